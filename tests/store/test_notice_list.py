"""The to-do list: order, pages, filters and scope in the query itself, on both backends."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from relay.actions import Wanted, just_closed, note_notices, resolve_notices, undo_closing
from relay.model import Category, ReplyClass
from relay.notices import State
from relay.status import Status
from relay.store import notice_filters, notice_list, notices, spool
from relay.store.engine import EngineStore
from relay.store.notice_list import Entry, Listing
from tests.store.making import HOUR, MINUTE, NOW, claim, disposition, outcome, reply, submission

INVALID = outcome()
FULL = outcome(Category.MAILBOX_FULL, reply_class=ReplyClass.SOFT)


def fail(
    store: EngineStore,
    address: str,
    *,
    at: datetime = NOW,
    event_at: datetime | None = None,
    reading: object = INVALID,
    app: str = "hotel",
) -> None:
    made = submission(address, at=at, app=app, booking="BK-1", name="Anna Berg")
    made = replace(made, message=replace(made.message, event_at=event_at))
    store.write_now(lambda tx: spool.accept(tx, made))
    claim(store, now=at)
    status = Status.INVALID if reading is INVALID else Status.SOFT_BOUNCED
    done = disposition(
        made.deliveries[0].id,
        status,
        at=at,
        said=reply(550, "no"),
        reading=reading,  # type: ignore[arg-type]
    )
    store.write_now(lambda tx: spool.record(tx, done))


def page(store: EngineStore, **asked: object) -> list[Entry]:
    return store.read_now(lambda tx: notice_list.page(tx, Listing(**asked), now=NOW))  # type: ignore[arg-type]


def names(entries: list[Entry]) -> list[str]:
    return [one.notice.address.partition("@")[0] for one in entries]


def fill(store: EngineStore) -> None:
    fail(store, "past@a.example", event_at=NOW - HOUR, at=NOW - 3 * HOUR)
    fail(store, "plain@a.example", at=NOW - 2 * HOUR)
    fail(store, "late@a.example", event_at=NOW + 5 * HOUR)
    fail(store, "soon@a.example", event_at=NOW + HOUR)
    fail(store, "young@a.example", at=NOW - MINUTE)


def test_what_starts_soon_is_first_then_the_oldest(store: EngineStore) -> None:
    fill(store)
    assert names(page(store)) == ["soon", "late", "past", "plain", "young"]


def test_pages_follow_each_other_without_gap_or_repetition(store: EngineStore) -> None:
    fill(store)
    seen: list[str] = []
    after = None
    for _ in range(3):
        found = page(store, after=after, limit=2)
        seen += names(found)
        after = found[-1].place
    assert seen == ["soon", "late", "past", "plain", "young"]
    assert page(store, after=after) == []


def test_closed_ones_are_listed_by_when_they_were_closed(store: EngineStore) -> None:
    fill(store)
    for minute, entry in enumerate(page(store)):
        closed = NOW + minute * MINUTE
        store.write_now(
            lambda tx, n=entry.notice.id, at=closed: notices.close(  # type: ignore[misc]
                tx, n, state=State.RESOLVED, at=at, by="bob", note=""
            )
        )
    first = page(store, state="resolved", limit=2)
    assert names(first) == ["young", "plain"]
    assert names(page(store, state="resolved", after=first[-1].place)) == ["past", "late", "soon"]
    assert page(store) == []
    assert page(store, state="cleared") == []


def test_filters_and_counts_go_together(store: EngineStore) -> None:
    fail(store, "one@a.example")
    fail(store, "two@a.example", reading=FULL, app="spa")
    fail(store, "three@a.example", reading=FULL)
    three = page(store, cause="mailbox-full", app="hotel")
    assert names(three) == ["three"]
    store.write_now(lambda tx: notices.assign(tx, three[0].notice.id, to="bob"))
    assert names(page(store, assigned="bob")) == ["three"]
    counts = [
        store.read_now(lambda tx, asked=asked: notice_list.count(tx, Listing(**asked)))  # type: ignore[misc]
        for asked in ({}, {"assigned": "bob"}, {"cause": "mailbox-full"}, {"state": "cleared"}, {"apps": ("spa",)})
    ]
    assert counts == [3, 1, 2, 0, 1]
    assert store.read_now(lambda tx: notice_list.count(tx, Listing(), most=2)) == 2
    facets = store.read_now(lambda tx: notice_list.facets(tx, Listing()))
    assert (facets.causes, facets.apps, facets.people) == (("mailbox-full", "no-mailbox"), ("hotel", "spa"), ("bob",))


def test_only_notices_of_ones_own_apps_exist(store: EngineStore) -> None:
    fail(store, "one@a.example")
    fail(store, "two@a.example", app="spa")
    assert names(page(store, apps=("spa",))) == ["two"]
    assert page(store, apps=("spa",), app="hotel") == []
    assert page(store, apps=()) == []
    assert store.read_now(lambda tx: notice_list.facets(tx, Listing(apps=("spa",)))).apps == ("spa",)


def test_a_line_says_whose_it_is_and_what_for(store: EngineStore) -> None:
    fail(store, "one@a.example", event_at=NOW + HOUR)
    (one,) = page(store)
    assert (one.name, one.booking, one.event_at, one.status) == ("Anna Berg", "BK-1", NOW + HOUR, Status.INVALID)


def test_undo_gives_back_what_this_person_closed_a_moment_ago(store: EngineStore) -> None:
    fail(store, "one@a.example")
    fail(store, "two@a.example")
    ids = tuple(entry.notice.id for entry in page(store))
    store.write_now(lambda tx: note_notices(tx, Wanted(ids=ids[:1]), note="rang", by="bob", now=NOW))
    store.write_now(lambda tx: resolve_notices(tx, Wanted(ids=ids[:1]), by="bob", now=NOW))
    store.write_now(lambda tx: resolve_notices(tx, Wanted(ids=ids[1:]), by="eve", now=NOW))
    assert [one.id for one in store.read_now(lambda tx: just_closed(tx, Wanted(ids=ids), by="bob", now=NOW))] == [
        ids[0]
    ]
    late = store.write_now(lambda tx: undo_closing(tx, Wanted(ids=ids), by="bob", now=NOW + 6 * MINUTE))
    assert (late.is_done, late.key) == (False, "too_late")
    done = store.write_now(lambda tx: undo_closing(tx, Wanted(ids=ids), by="bob", now=NOW + MINUTE))
    assert (done.is_done, done.count) == (True, 1)
    assert [(one.notice.id, one.notice.note) for one in page(store)] == [(ids[0], "rang")]


def test_what_is_of_another_app_is_not_changed(store: EngineStore) -> None:
    fail(store, "one@a.example", app="spa")
    (one,) = page(store)
    answer = store.write_now(
        lambda tx: resolve_notices(tx, Wanted(ids=(one.notice.id,), apps=("hotel",)), by="bob", now=NOW)
    )
    assert (answer.key, names(page(store))) == ("not_found", ["one"])


def test_a_newer_mail_of_the_same_problem_gives_the_time_of_its_event(store: EngineStore) -> None:
    fill(store)
    fail(store, "young@a.example", event_at=NOW + 2 * HOUR)
    assert names(page(store))[:3] == ["soon", "young", "late"]
    assert page(store)[1].event_at == NOW + 2 * HOUR


def test_a_page_is_read_off_the_indexes_of_its_order(store: EngineStore, database: Path) -> None:
    sql, params = notice_filters.notice_page(Listing(), now=NOW)
    plan = [row["detail"] for row in store.read_now(lambda tx: tx.compose(f"EXPLAIN QUERY PLAN {sql}", params))]
    used = [line for line in plan if "notice_" in line]
    assert [name in line for name, line in zip(("notice_coming", "notice_waiting"), used, strict=True)] == [True, True]
