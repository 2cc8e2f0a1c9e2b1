"""The page of the log: one box, rows, pills and chips, what leads straight on, and CSV."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from relay.model import Delivery
from relay.status import Status
from tests.dashboard.house import House

OK = "250 2.0.0 ok"
UNKNOWN = "550 5.1.1 <{}>: user unknown"
FULL = "552 5.2.2 mailbox is full"


def _mail(house: House, address: str, *, line: str = "", status: Status | None = None, **values: object) -> Delivery:
    _, (delivery,) = house.desk.accept(address, **values)  # type: ignore[arg-type]
    if status is not None:
        house.desk.answer(delivery, line.format(address), status=status)
    return delivery


def _rows(page: str) -> list[str]:
    return re.findall(r"<tr data-row>.*?</tr>", page.replace("<wbr>", ""), re.DOTALL)


def _pills(page: str) -> dict[str, str]:
    block = page[page.index('<ul class="pills">') :].split("</ul>")[0]
    found = re.findall(r">([^<>]+?)(?: <span class=\"many\">([^<]+)</span>)?</a>", block)
    return dict(found)


class InAHurry:
    """A store whose time for searching is over before it begins."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def read(self, unit: Any, *, limit: timedelta | None = None) -> Any:
        return await self._store.read(unit, limit=None if limit is None else timedelta(0))


# -- the list


def test_each_recipient_is_a_row_with_all_its_columns(house: House) -> None:
    house.desk.accept("anna@example.com", "ben@example.com", subject="Two people")
    page = house.client("vera").get("/log").text
    rows = _rows(page)
    assert len(rows) == 2
    assert "Queued" in rows[0]
    assert "ben@example.com" in rows[0]
    assert "Two people" in rows[0]
    assert 'href="/bookings/BK-10042"' in rows[0]
    assert ">hotel<" in rows[0]


def test_a_row_that_did_not_arrive_says_why(house: House) -> None:
    _mail(house, "full@example.com", line=FULL, status=Status.SOFT_BOUNCED)
    (row,) = _rows(house.client("vera").get("/log").text)
    assert "Not delivered (we stopped trying)" in row
    assert "mailbox is full" in row


def test_pills_count_by_group_and_filter(house: House) -> None:
    _mail(house, "a@example.com", line=OK, status=Status.DELIVERED)
    _mail(house, "b@example.com", line=UNKNOWN, status=Status.INVALID)
    _mail(house, "c@example.com")
    client = house.client("vera")
    page = client.get("/log").text
    assert _pills(page) == {
        "All": "3", "Pending": "1", "Delivered": "1", "Not delivered": "1", "Cancelled": "0", "Blocked": "0",
    }  # fmt: skip
    page = client.get("/log?status=not_delivered").text
    assert len(_rows(page)) == 1
    assert "b@example.com" in _rows(page)[0]
    assert _pills(page)["Delivered"] == "1"  # the others still say what they would show
    assert len(_rows(client.get("/log?status=invalid").text)) == 1
    assert len(_rows(client.get("/log?q=status:delivered").text)) == 1


def test_the_controls_of_the_form_say_the_same_as_the_operators(house: House) -> None:
    _mail(house, "a@example.com", line=FULL, status=Status.SOFT_BOUNCED, subject="Spa day", app="spa")
    _mail(house, "a@other.example", line=FULL, status=Status.SOFT_BOUNCED)
    _mail(house, "b@example.com", line=OK, status=Status.DELIVERED, kind="reminder")
    client = house.client("vera")
    for asked in (
        *(
            "domain=example.com&reason=mailbox_full",
            "app=spa",
            "subject=spa+day",
            "kind=confirmation&domain=example.com",
        ),
        *("q=domain:example.com+reason:mailbox_full", "sender=spa", "to=a@example", "q=full_&domain=x"),
    ):
        rows = _rows(client.get(f"/log?list=1&{asked}").text)
        assert [("a@example.com" in row) for row in rows] == ([True] if "full_" not in asked else []), asked
    page = client.get("/log?list=1&domain=example.com&reason=mailbox_full&q=a").text
    assert 'value="a domain:example.com reason:mailbox_full"' in page  # the box holds all of it
    assert '<option value="mailbox_full" selected>' in page
    assert 'name="domain" value="example.com"' in page
    assert '<input type="hidden" name="q" value="a">' in page


def test_chips_take_one_thing_away(house: House) -> None:
    page = house.client("vera").get("/log?q=virtanen+status:invalid&since=7d").text
    block = page[page.index('<ul class="chips"') :].split("</ul>")[0]
    assert re.findall(r"<bdi>([^<]+)</bdi>", block) == ["virtanen", "Address does not exist", "Last 7 days"]
    addresses = re.findall(r'href="([^"]+)"', block)
    assert addresses[1] == "/log?q=virtanen&amp;since=7d&amp;list=1"
    assert addresses[2] == "/log?q=virtanen+status%3Ainvalid&amp;list=1"


def test_what_is_not_understood_is_said_in_a_sentence(house: House) -> None:
    _mail(house, "a@example.com")
    page = house.client("vera").get("/log?q=status:lost+a@example").text
    assert "“lost” is not a status." in page
    assert len(_rows(page)) == 1


def test_days_are_those_of_the_reader_and_both_ends_are_in(house: House) -> None:
    _mail(house, "a@example.com")
    today = datetime.now(UTC).date()
    client = house.client("vera")
    day = house.desk.now.date()
    assert len(_rows(client.get(f"/log?since=range&from_day={day}&to_day={day}").text)) == 1
    assert _rows(client.get(f"/log?from_day={today + timedelta(days=2)}").text) == []
    page = client.get(f"/log?since=range&from_day={day}&to_day={day}").text
    assert f'name="from_day" value="{day}"' in page
    assert f'name="to_day" value="{day}"' in page
    assert len(_rows(client.get("/log?since=24h").text)) == 1


def test_fifty_rows_are_a_page_and_the_way_leads_on_and_back(house: House) -> None:
    for number in range(53):
        house.desk.accept(f"guest{number}@example.com")
    client = house.client("vera")
    page = client.get("/log").text
    assert len(_rows(page)) == 50
    (older,) = re.findall(r'href="([^"]+)">Older<', page)
    page = client.get(older.replace("&amp;", "&")).text
    assert [re.search(r"guest\d+", row).group() for row in _rows(page)] == ["guest2", "guest1", "guest0"]  # type: ignore[union-attr]
    (newer,) = re.findall(r'href="([^"]+)">Newer<', page)
    assert len(_rows(client.get(newer.replace("&amp;", "&")).text)) == 50
    page = client.get("/log?order=oldest").text
    assert "guest0@" in _rows(page)[0]
    (newer,) = re.findall(r'href="([^"]+)">Newer<', page)
    assert "guest52@" in _rows(client.get(newer.replace("&amp;", "&")).text)[-1]


def test_new_mail_is_announced_and_not_pushed(house: House) -> None:
    _mail(house, "a@example.com")
    client = house.client("vera")
    page = client.get("/log").text
    (address,) = re.findall(r'data-live="([^"]+)"', page)
    address = address.replace("&amp;", "&")
    first = client.get(address)
    assert "new, show" not in first.text
    assert client.get(address, headers={"if-none-match": first.headers["etag"]}).status_code == 304
    _mail(house, "b@example.com")
    assert "1 new, show" in client.get(address, headers={"if-none-match": first.headers["etag"]}).text


def test_m001_9_the_archive_comes_after_and_is_marked(house: House) -> None:
    now = house.desk.now
    house.desk.now = now - timedelta(days=60)
    _mail(house, "old@example.com")
    house.desk.now = now
    _mail(house, "new@example.com")
    client = house.client("vera")
    page = client.get("/log?q=example").text
    rows = _rows(page)
    assert ["new@" in rows[0], "old@" in rows[1], "Archived" in rows[0], "Archived" in rows[1]] == [
        True,
        True,
        False,
        True,
    ]
    assert "1 of these is archived" in page
    assert len(_rows(client.get("/log?q=example&archived=without").text)) == 1
    assert "old@" in _rows(client.get("/log?q=example+is:archived").text)[0]


def test_mail_of_other_apps_does_not_exist(house: House) -> None:
    _mail(house, "a@example.com", app="spa")
    _mail(house, "b@example.com")
    client = house.client("sven")
    page = client.get("/log").text
    assert "a@example.com" not in page
    assert len(_rows(page)) == 1
    assert _pills(page)["All"] == "1"
    assert _rows(client.get("/log?q=app:spa").text) == []
    assert _rows(client.get("/log?sender=spa").text) == []
    assert '<option value="spa"' not in page


def test_hostile_text_is_only_text(house: House) -> None:
    _mail(house, "a@example.com", subject="<script>alert(1)</script>", booking='"><svg onload=alert(1)>')
    page = house.client("vera").get("/log", params={"q": "<script>alert(1)</script>", "list": "1"}).text
    assert "<script>alert" not in page
    assert "<svg onload" not in page
    assert len(_rows(page)) == 1


# -- straight on


def test_one_clear_term_leads_straight_there(house: House) -> None:
    delivery = _mail(house, "a@example.com")
    client = house.client("vera")
    for asked, place in (
        (delivery.id.lower(), f"/m/{delivery.id}"),
        (delivery.message_id, f"/m/{delivery.message_id}"),
        ("bk 10042", "/bookings/bk%2010042"),
        ("booking:BK-10042", "/bookings/BK-10042"),
    ):
        answer = client.get("/log", params={"q": asked})
        assert (answer.status_code, answer.headers.get("location")) == (303, place)
    assert client.get("/log?q=BK-10042&list=1").status_code == 200
    assert client.get("/log?q=a@example.com").status_code == 200
    assert house.client("sven").get(f"/log?q={delivery.id}").status_code == 303


def test_what_another_app_sent_leads_nowhere(house: House) -> None:
    delivery = _mail(house, "a@example.com", app="spa")
    client = house.client("sven")
    for asked in (delivery.id, "BK-10042"):
        answer = client.get(f"/log?q={asked}")
        assert answer.status_code == 200
        assert "a@example.com" not in answer.text


# -- nothing


def test_m002_5_nothing_found_says_that_nothing_was_handed_to_us(house: House) -> None:
    _mail(house, "sari@gmail.example", booking="BK-20931")
    house.desk.refuse(to="gone@example.com")
    client = house.client("vera")
    page = client.get("/log?q=BK-20932").text
    assert "did not hand one to us" in page
    assert 'href="/bookings/BK-20931"' in page
    page = client.get("/log?q=gone@example.com").text
    assert "refused something at the door" in page


def test_nothing_beside_filters_offers_to_look_everywhere(house: House) -> None:
    _mail(house, "a@example.com")
    page = house.client("vera").get("/log?q=example&status=delivered").text
    assert "Nothing fits all of this" in page
    assert 'href="/log?q=example&amp;list=1"' in page
    assert "did not hand" not in page


def test_an_empty_log_says_what_will_stand_here(house: House) -> None:
    assert "No email yet" in house.client("vera").get("/log").text


def test_a_search_that_ran_out_of_time_never_says_none(house: House) -> None:
    _mail(house, "a@example.com")
    house.store = InAHurry(house.store)
    page = house.client("vera").get("/log?q=nobody-here").text
    assert "The search stopped" in page
    assert "did not hand" not in page
    assert "Nothing fits" not in page


def test_refusals_stand_under_the_rejected(house: House) -> None:
    house.desk.refuse(to="x@example.com", text="sender not allowed <b>")
    client = house.client("vera")
    page = client.get("/log?status=rejected").text
    assert "Refused at the door" in page
    assert "this sender is not allowed" in page
    page = client.get("/log?refused=1").text
    assert len(_rows(page)) == 1
    assert "sender not allowed &lt;b&gt;" in page
    assert "Refused at the door" not in client.get("/log").text
    assert "Nothing was refused" in house.client("sven").get("/log?refused=1").text


# -- CSV


def _csv(text: str, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


def test_csv_has_the_rows_of_the_page_and_no_formulas(house: House) -> None:
    _mail(house, "a@example.com", line=FULL, status=Status.SOFT_BOUNCED, subject='=HYPERLINK("http://x")')
    _mail(house, "b@example.com", line=OK, status=Status.DELIVERED)
    client = house.client("bob")
    answer = client.get("/log.csv?q=reason:mailbox_full")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = _csv(answer.text)
    assert row["to"] == "a@example.com"
    assert row["subject"] == '\'=HYPERLINK("http://x")'
    assert row["reason"] == "mailbox_full"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+\d\d:\d\d", row["accepted"])
    assert [(one["action"], one["on"]) for one in house.audited] == [("export", "reason:mailbox_full")]
    excel = client.get("/log.csv?excel=1").content.decode()
    assert excel.startswith("\ufeffaccepted;status;")
    assert len(_csv(excel.removeprefix("\ufeff"), ";")) == 2


def test_csv_goes_to_the_end_in_pieces(house: House) -> None:
    guests = [f"guest{number}@example.com" for number in range(2003)]
    house.desk.accept(*guests)
    client = house.client("bob")
    newest = [row["to"] for row in _csv(client.get("/log.csv").text)]
    assert newest == guests[::-1]
    assert [row["to"] for row in _csv(client.get("/log.csv?order=oldest").text)] == guests


def test_csv_is_for_support_and_in_scope(house: House) -> None:
    _mail(house, "a@example.com", app="spa")
    assert house.client("vera").get("/log.csv").status_code == 403
    assert _csv(house.client("sven").get("/log.csv").text) == []
    assert "log.csv" not in house.client("vera").get("/log").text
