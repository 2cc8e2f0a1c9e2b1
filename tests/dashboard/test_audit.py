"""The audit log's page: who did what, filters, paging, and CSV that says of itself that it was taken."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta

import pytest

from relay.store import audit
from relay.store.audit import Actor, Entry, Via
from relay.store.protocols import Tx
from tests.dashboard.house import House

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def did(house: House, action: str, on: str = "", *, by: str = "bob", at: datetime = NOON, **texts: str) -> None:
    actor = Actor(by=by, via=Via.PAGE, ip="192.0.2.7")
    entry = Entry(at=at, actor=actor, action=action, object=on, **texts)
    house.store.write_now(lambda tx: audit.add(tx, entry))


def objects(page: str) -> list[str]:
    return re.findall(r"thing\d+", page)


def test_an_empty_log_says_what_will_stand_there(house: House) -> None:
    assert "Nothing was done yet" in house.client("olga").get("/audit").text


def test_each_line_says_who_what_when_and_from_where(house: House) -> None:
    did(house, "block", "anna@example.com", note="<i>asked us to</i>", object_kind="address")
    did(house, "resend", "01ABC", object_kind="message")
    page = house.client("olga").get("/audit").text
    for text in ("bob", "<code>block</code>", "anna@example.com", "&lt;i&gt;asked us to", "192.0.2.7", "20 Nov 12:00"):
        assert text in page
    assert 'href="/m/01ABC"' in page


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("by=bob", ["thing3", "thing1"]),
        ("action=resend", ["thing2"]),
        ("text=because+rain", ["thing3"]),
        ("since=2026-11-21", ["thing3"]),
        ("until=2026-11-20", ["thing2", "thing1"]),
        ("since=2026-11-20&until=2026-11-20&by=carol", ["thing2"]),
        ("since=yesterday", ["thing3", "thing2", "thing1"]),
        ("by=nobody", []),
    ],
)
def test_the_list_shows_what_is_chosen(house: House, asked: str, shown: list[str]) -> None:
    did(house, "block", "thing1")
    did(house, "resend", "thing2", by="carol")
    did(house, "block", "thing3", at=NOON + timedelta(days=1), note="because of rain")
    page = house.client("olga").get(f"/audit?{asked}").text
    assert objects(page) == shown
    assert ("Nothing fits" in page) is (not shown)


def test_a_day_is_that_of_the_readers_clock(house: House) -> None:
    house.config_text += '[dashboard]\ntime_zone = "Asia/Kathmandu"\n'
    did(house, "block", "thing1", at=datetime(2026, 11, 20, 18, 30, tzinfo=UTC))
    client = house.client("olga")
    assert objects(client.get("/audit?since=2026-11-21").text) == ["thing1"]
    assert objects(client.get("/audit?until=2026-11-20").text) == []
    assert "2026-11-21T00:15:00+05:45" in client.get("/audit.csv").text


def test_many_lines_are_paged(house: House) -> None:
    for number in range(53):
        did(house, "block", f"thing{number}")
    client = house.client("olga")
    page = client.get("/audit?by=bob").text
    (older,) = re.findall(r'href="(/audit\?by=bob&amp;before=\d+)"', page)
    assert len(objects(page)) == 50
    assert objects(client.get(older.replace("&amp;", "&")).text) == ["thing2", "thing1", "thing0"]


@pytest.mark.parametrize(("asked", "delimiter"), [("", ","), ("&for=excel", ";")])
def test_csv_holds_the_same_rows_and_its_taking_is_audited(house: House, asked: str, delimiter: str) -> None:
    did(house, "block", "anna@example.com", note="=HYPERLINK(1)")
    did(house, "resend", "thing2", by="carol")
    answer = house.client("olga").get(f"/audit.csv?by=bob{asked}")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    text = answer.text.removeprefix("\ufeff")
    assert (text != answer.text) is (delimiter == ";")
    heading, row = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    assert heading[:2] == ["at", "who"]
    assert row[:5] == ["2026-11-20T12:00:00+00:00", "bob", "page", "192.0.2.7", "block"]
    assert row[5:] == ["", "anna@example.com", "", "'=HYPERLINK(1)"]
    assert [(one["action"], one["on"], one["note"]) for one in house.audited] == [("export", "audit", "by=bob")]


def test_a_long_export_is_whole(house: House) -> None:
    def many(tx: Tx) -> None:
        for number in range(1203):
            actor = Actor(by="bob", via=Via.CLI)
            audit.add(tx, Entry(at=NOON, actor=actor, action="block", object=f"thing{number}"))

    house.store.write_now(many)
    lines = house.client("olga").get("/audit.csv").text.splitlines()
    assert len(lines) == 1204
    assert len(set(lines)) == 1204


def test_support_may_not_read_it(house: House) -> None:
    assert house.client("bob").get("/audit").status_code == 403
    assert house.client("bob").get("/audit.csv").status_code == 403
    assert house.audited == []
