"""To do: the list with tabs, filters and bulk changes, and a notice's page that corrects, resends and closes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from starlette.testclient import TestClient

from relay.model import Delivery, Reference
from relay.status import Status
from relay.store import addresses, log, notices, redirects, spool, suppressions
from relay.store.notices import Notice
from tests.dashboard.house import House, token_of
from tests.store.making import disposition

UNKNOWN = "550 5.1.1 User unknown"
FULL = "552 5.2.2 Mailbox is full"
OURS = "550 5.7.26 Unauthenticated email is not accepted due to the domain's DMARC policy"


def fail(house: House, address: str, text: str = UNKNOWN, **values: Any) -> Delivery:
    _, (one,) = house.desk.accept(address, **values)
    house.desk.answer(one, text, status=Status.INVALID if text is UNKNOWN else Status.SOFT_BOUNCED)
    return one


def state(house: House, notice_id: int = 1) -> Notice:
    found = house.store.read_now(lambda tx: notices.get(tx, notice_id))
    assert found is not None
    return found


def shown(client: TestClient, path: str = "/todo") -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def change(client: TestClient, action: str, *ids: int, at: str = "/todo", **more: str) -> str:
    """Tick notices, press a button, and give the page one is sent to."""
    form = {"token": token_of(shown(client, at)), "ids": [str(one) for one in ids], "back": "/todo", **more}
    answer = client.post(f"/todo/{action}", data=form)
    assert answer.status_code == 303, answer.text
    return shown(client, answer.headers["location"])


def order(page: str) -> list[str]:
    return re.findall(r'aria-label="Choose ([^@"]+)@', page)


# The list.


def test_m000_2_a_mail_that_was_not_delivered_appears_with_no_staff_action(house: House) -> None:
    reference = Reference(kind="phone", value="+358 40 1234567", source="header")
    fail(house, "sari@example.com", phone="+358 40 1234567", references=(reference,))
    page = shown(house.client("bob"))
    for text in ("Address does not exist", "sari@example.com", "BK-10042", "+358 40 1234567", "nobody"):
        assert text in page
    assert 'href="/todo/1#correct"' in page


def test_what_starts_soon_is_first_then_the_oldest(house: House) -> None:
    now = datetime.now(UTC)
    fail(house, "old@example.com")
    fail(house, "late@example.com", event_at=now + timedelta(days=2))
    fail(house, "soon@example.com", event_at=now + timedelta(hours=2))
    fail(house, "young@example.com", FULL)
    assert order(shown(house.client("bob"))) == ["soon", "late", "old", "young"]


def test_tabs_say_how_many_and_filters_choose(house: House) -> None:
    fail(house, "one@example.com")
    fail(house, "two@example.com", FULL)
    fail(house, "three@example.com", FULL, app="spa")
    client = house.client("bob")
    change(client, "assign", 2, to="bob")
    change(client, "clear", 1)
    page = shown(client)
    counts = re.findall(r'class="tabcount">(\d+)<', page)
    assert counts == ["2", "1", "0", "1"]
    assert order(shown(client, "/todo?tab=mine")) == ["two"]
    assert order(shown(client, "/todo?tab=cleared")) == ["one"]
    assert order(shown(client, "/todo?app=spa")) == ["three"]
    assert order(shown(client, "/todo?cause=mailbox-full&assigned=bob")) == ["two"]
    assert "No to-do here fits these filters." in shown(client, "/todo?cause=virus")


@pytest.mark.parametrize("query", ["after=1.2", "after=x.y.z", "after=1.99999999999999999.1", "tab=x", "cause=%00"])
def test_an_address_that_means_nothing_shows_a_list_all_the_same(house: House, query: str) -> None:
    fail(house, "one@example.com")
    assert house.client("bob").get(f"/todo?{query}").status_code == 200


def test_a_long_list_has_pages(house: House) -> None:
    for turn in range(52):
        fail(house, f"g{turn:02}@example.com")
    client = house.client("bob")
    first = shown(client)
    assert len(order(first)) == 50
    (more,) = re.findall(r'href="(/todo\?after=[^"]+)"', first)
    assert order(shown(client, unescape(more))) == ["g50", "g51"]


def count_beside(page: str) -> str:
    """What the navigation says of how much there is to do."""
    found = re.search(r'<a href="/todo"[^>]*><span>To do</span>(?:<span class="count">([^<]*)</span>)?</a>', page)
    assert found is not None
    return found[1] or ""


def test_every_page_says_how_much_there_is_to_do_for_whoever_looks(house: House) -> None:
    client = house.client("alice")
    assert count_beside(shown(client, "/help")) == ""
    fail(house, "sari@example.com")
    fail(house, "otto@example.com", app="spa")
    assert [count_beside(shown(client, path)) for path in ("/help", "/log")] == ["2", "2"]
    assert count_beside(shown(house.client("sven"), "/help")) == "1"
    for number in range(100):
        fail(house, f"guest{number}@example.com")
    assert count_beside(shown(client, "/help")) == "99+"


def test_nothing_to_do_is_good_news_with_a_number(house: House) -> None:
    _, (one,) = house.desk.accept("anna@example.com")
    house.desk.answer(one, "250 2.0.0 ok", status=Status.DELIVERED)
    page = shown(house.client("bob"))
    assert "Nothing to do" in page
    assert "1 email arrived in the last 7 days." in page


def test_an_incident_is_one_line_and_no_to_do(house: House) -> None:
    for turn in range(3):
        fail(house, f"g{turn}@outlook.example", OURS)
    page = unescape(shown(house.client("bob")))
    assert "outlook.example refuses our emails. 3 emails, your admin is informed." in page
    assert order(page) == []


def test_a_scoped_person_sees_and_changes_own_notices_only(house: House) -> None:
    fail(house, "own@example.com")
    fail(house, "other@example.com", app="spa")
    client = house.client("sven")
    page = shown(client)
    assert order(page) == ["own"]
    assert re.findall(r'class="tabcount">(\d+)<', page) == ["1", "0", "0", "0"]
    assert client.get("/todo/2").status_code == 404
    assert client.get("/todo/2/mails").status_code == 404
    form = {"token": token_of(page), "other": "new@example.com"}
    assert client.post("/todo/2/correct", data=form).status_code == 404
    assert "There is no notice 2" in change(client, "clear", 1, 2)
    assert (state(house, 1).state, state(house, 2).state) == ("open", "open")


def test_viewers_have_no_buttons_and_no_right(house: House) -> None:
    fail(house, "one@example.com")
    client = house.client("vera")
    assert '<form method="post"' not in shown(client)
    assert "/todo/1/correct" not in shown(client, "/todo/1")
    for action in ("resolve", "clear", "assign", "reopen", "undo", "note", "1/correct"):
        assert client.post(f"/todo/{action}", data={"ids": "1"}).status_code == 403


# Changes.


def test_j8_several_are_cleared_and_undone_with_five_clicks(house: House) -> None:
    for turn in range(3):
        fail(house, f"g{turn}@example.com")
    client = house.client("bob")
    page = change(client, "clear", 1, 2, 3)
    assert "Cleared: 3. Nothing else was changed." in page
    form = {
        "token": token_of(page),
        "ids": re.findall(r'name="ids" value="([\d,]+)"', page)[0],
        "back": "/todo",
    }
    answer = client.post("/todo/undo", data=form)
    assert "Undone. Open again: 3." in shown(client, answer.headers["location"])
    assert {state(house, one).state for one in (1, 2, 3)} == {"open"}


def test_the_undo_of_long_ago_or_of_others_is_not_offered(house: House) -> None:
    fail(house, "one@example.com")
    page = change(house.client("bob"), "resolve", 1)
    assert "/todo/undo" in page
    assert "/todo/undo" not in shown(house.client("olga"), "/todo?undo=1")
    answer = house.client("olga").post("/todo/undo", data={"token": "t" * 20, "ids": "1"})
    assert "There is nothing to undo any more." in shown(house.client("olga"), answer.headers["location"])
    assert state(house).state == "resolved"


def test_m000_10_clearing_changes_neither_block_counter_nor_log(house: House) -> None:
    one = fail(house, "gone@example.com")

    def around() -> Any:
        return house.store.read_now(
            lambda tx: (
                addresses.get(tx, "gone@example.com"),
                suppressions.active_on(tx, "gone@example.com", scope="address", now=datetime.now(UTC)),
                [row.status for row in log.search(tx, log.Query())],
            )
        )

    before = around()
    assert before[1]
    change(house.client("bob"), "clear", 1)
    assert (around(), state(house).state, state(house).by) == (before, "cleared", "bob")
    assert one.id == state(house).delivery_id


def test_a_change_is_made_once_and_audited(house: House) -> None:
    fail(house, "one@example.com")
    client = house.client("bob")
    form = {"token": token_of(shown(client)), "ids": "1", "back": "/todo"}
    first = client.post("/todo/resolve", data=form)
    client.post("/todo/reopen", data={**form, "token": "z" * 20})
    assert client.post("/todo/resolve", data=form).headers["location"] == first.headers["location"]
    assert state(house).state == "open"
    assert [(row["action"], row["kind"], row["on"]) for row in house.audited] == [
        ("notice_resolve", "notice", "1"),
        ("notice_reopen", "notice", "1"),
    ]


def test_without_a_tick_nothing_happens_and_the_list_says_so(house: House) -> None:
    fail(house, "one@example.com")
    answer = house.client("bob").post("/todo/clear", data={"token": "t" * 20})
    assert answer.status_code == 422
    assert "Tick the to-dos that are meant first." in answer.text
    assert house.audited == []


def test_assigning_noting_and_closing_with_the_note(house: House) -> None:
    fail(house, "one@example.com")
    client = house.client("bob")
    assert "Assigned: 1." in change(client, "assign", 1, to="bob")
    assert "The note is kept." in change(client, "note", 1, at="/todo/1", note=" rang  her ")
    assert (state(house).assigned, state(house).note) == ("bob", "rang her")
    change(client, "resolve", 1)
    assert (state(house).state, state(house).note) == ("resolved", "rang her")
    assert "Dealt with" in shown(client, "/todo/1")
    assert "Open again: 1." in change(client, "reopen", 1, at="/todo/1")
    change(client, "assign", 1, to="")
    assert state(house).assigned is None
    answer = client.post("/todo/assign", data={"token": "t" * 20, "ids": "1", "to": "mallory"})
    assert (answer.status_code, state(house).assigned) == (422, None)


def test_nobody_is_sent_to_another_site(house: House) -> None:
    fail(house, "one@example.com")
    form = {"token": "t" * 20, "ids": "1", "back": "//evil.example/x"}
    assert house.client("bob").post("/todo/clear", data=form).headers["location"].startswith("/todo?")


# One notice.


@pytest.mark.parametrize("path", ["/todo/99", "/todo/x", "/todo/-1", "/todo/9999999999999999999999", "/todo/99/mails"])
def test_a_notice_that_is_not_there_is_not_found(house: House, path: str) -> None:
    assert house.client("bob").get(path).status_code == 404


def test_m000_5_the_notice_says_cause_and_fix_in_words(house: House) -> None:
    fail(house, "sari@example.com", subject="Your stay")
    page = unescape(shown(house.client("bob"), "/todo/1"))
    assert "Not delivered: address does not exist" in page
    assert "example.com answered that there is no mailbox sari@example.com." in page
    assert "Ask for the right address, correct it, resend." in page
    assert "Your stay" in page
    head, _, details = page.partition("<details>")
    assert "5.1.1" in details
    assert "5.1.1" not in head


def right(**typed: str) -> dict[str, str]:
    return {"other": "sari@gmail.example", "resend": "yes", "days": "30", **typed}


def post_correct(client: TestClient, **typed: str) -> Any:
    return client.post("/todo/1/correct", data={"token": token_of(shown(client, "/todo/1")), **right(**typed)})


def test_j4_a_typing_mistake_is_corrected_sent_again_and_ends_by_itself(house: House) -> None:
    _, (good,) = house.desk.accept("other@gmail.example")
    house.desk.answer(good, "250 2.0.0 ok", status=Status.DELIVERED)
    fail(house, "sari@gmial.example")
    client = house.client("bob")
    assert 'name="choice" value="sari@gmail.example"' in shown(client, "/todo/1")
    answer = post_correct(client, other="", choice="sari@gmail.example")
    page = shown(client, answer.headers["location"])
    assert "The address is corrected, 1 sent again." in page
    assert 'data-live="/todo/1/mails"' in page
    (copy,) = house.store.read_now(lambda tx: log.search(tx, log.Query(address="sari@gmail.example")))
    assert (copy.status, state(house).state) == (Status.QUEUED, "open")
    house.store.write_now(lambda tx: spool.record(tx, disposition(copy.id, at=datetime.now(UTC))))
    live = client.get("/todo/1/mails").text
    assert "data-final" in live
    assert "Delivered" in live
    assert state(house).state == "resolved"
    assert [(row["action"], row["on"], row["note"]) for row in house.audited] == [
        ("correct", "sari@gmial.example", "to sari@gmail.example")
    ]
    assert house.nudges == 1


def test_m000_6_a_double_click_sends_once(house: House) -> None:
    fail(house, "sari@gmial.example")
    client = house.client("bob")
    form = {"token": token_of(shown(client, "/todo/1")), **right()}
    for _ in range(2):
        assert client.post("/todo/1/correct", data=form).status_code == 303
    assert len(house.store.read_now(lambda tx: log.search(tx, log.Query(address="sari@gmail.example")))) == 1


def test_a_redirect_holds_until_the_end_of_that_day_on_the_readers_clock(house: House) -> None:
    house.config_text += '[dashboard]\ntime_zone = "Europe/Helsinki"\n'
    fail(house, "sari@gmial.example")
    day = (datetime.now(UTC) + timedelta(days=10)).date()
    post_correct(house.client("bob"), redirect="yes", until=day.isoformat())
    found = house.store.read_now(lambda tx: redirects.active_for(tx, "sari@gmial.example", now=datetime.now(UTC)))
    assert found is not None
    assert found.until_at is not None
    assert found.until_at.hour in (20, 21)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"other": ""}, "Give the right address."),
        ({"other": "SARI@gmial.example"}, "That is the address that did not work."),
        ({"other": "no address"}, "That is not an email address: no address"),
        ({"days": "0"}, "Give a number of days from 1 to 365."),
        ({"days": "x"}, "Give a number of days from 1 to 365."),
        ({"redirect": "yes", "until": "2020-01-01"}, "Give a day that is still to come."),
        ({"redirect": "yes", "until": "soon"}, "Give a day that is still to come."),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_done(house: House, typed: dict[str, str], said: str) -> None:
    fail(house, "sari@gmial.example")
    answer = post_correct(house.client("bob"), **typed)
    assert answer.status_code == 422
    assert said in answer.text
    assert house.audited == []
    assert house.store.read_now(lambda tx: addresses.corrected_to(tx, "sari@gmial.example")) is None
    if typed.get("other"):
        assert f'value="{typed["other"]}"' in answer.text


def test_a_refusal_is_told_on_the_notice(house: House) -> None:
    fail(house, "sari@gmial.example")
    fail(house, "gone@example.com")  # blocked at once
    client = house.client("bob")
    answer = post_correct(client, other="gone@example.com")
    assert "gone@example.com is blocked" in shown(client, answer.headers["location"])
    assert state(house).state == "open"


def test_hostile_text_is_shown_as_text(house: House) -> None:
    evil = '"><svg onload=alert(1)>'
    fail(house, "one@example.com", text=f"550 5.1.1 {evil}", subject=evil, booking=evil)
    client = house.client("bob")
    for path in ("/todo", "/todo/1"):
        page = shown(client, path)
        assert "<svg onload" not in page
