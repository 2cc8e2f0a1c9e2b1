"""Counts for the first page: by quarter of an hour, domain and reason, on both backends."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from relay.model import Category, ReplyClass
from relay.status import Status
from relay.store import spool, tallies
from relay.store.engine import EngineStore
from relay.store.tallies import Tally
from tests.store.making import HOUR, MINUTE, NOW, accept, claim, disposition, outcome, reply

FULL = outcome(Category.MAILBOX_FULL, reply_class=ReplyClass.SOFT)


def end(store: EngineStore, address: str, status: Status, *, at: datetime = NOW, app: str = "hotel") -> None:
    made = accept(store, address, at=at, app=app)
    claim(store, now=at)
    is_good = status is Status.DELIVERED
    said = reply() if is_good else reply(552, "full")
    done = disposition(made.deliveries[0].id, status, at=at, said=said, reading=None if is_good else FULL)
    store.write_now(lambda tx: spool.record(tx, done))


def counted(store: EngineStore, *, hours: int = 24, apps: tuple[str, ...] | None = None) -> Tally:
    return store.read_now(lambda tx: tallies.count(tx, since=NOW - timedelta(hours=hours), until=NOW + HOUR, apps=apps))


def test_counts_are_by_quarter_hour_domain_and_reason(store: EngineStore) -> None:
    end(store, "a@one.example", Status.DELIVERED, at=NOW - 16 * MINUTE)
    end(store, "b@one.example", Status.DELIVERED, at=NOW - 14 * MINUTE)
    end(store, "c@two.example", Status.SOFT_BOUNCED, at=NOW - MINUTE)
    accept(store, "d@two.example", at=NOW)
    found = counted(store)
    assert found.slices == {
        NOW - 30 * MINUTE: Counter({Status.DELIVERED: 1}),
        NOW - 15 * MINUTE: Counter({Status.DELIVERED: 1, Status.SOFT_BOUNCED: 1}),
        NOW: Counter({Status.QUEUED: 1}),
    }
    assert found.domains == {
        "one.example": Counter({Status.DELIVERED: 2}),
        "two.example": Counter({Status.SOFT_BOUNCED: 1, Status.QUEUED: 1}),
    }
    assert found.reasons == Counter({Category.MAILBOX_FULL: 1})
    assert found.statuses == Counter({Status.DELIVERED: 2, Status.SOFT_BOUNCED: 1, Status.QUEUED: 1})


def test_slices_fit_the_hours_of_every_zone(store: EngineStore) -> None:
    accept(store, at=datetime(2026, 3, 1, 11, 14, 59, tzinfo=UTC))  # 16:59:59 in Kathmandu
    accept(store, at=datetime(2026, 3, 1, 11, 15, tzinfo=UTC))
    hours = Counter(begin.astimezone(ZoneInfo("Asia/Kathmandu")).hour for begin in counted(store).slices)
    assert hours == Counter({16: 1, 17: 1})


def test_only_the_time_and_the_apps_asked_for_count(store: EngineStore) -> None:
    accept(store, at=NOW - 25 * HOUR)
    accept(store, at=NOW - 24 * HOUR)
    accept(store, at=NOW, app="spa")
    accept(store, at=NOW + HOUR)
    assert counted(store).statuses.total() == 2
    assert counted(store, apps=("spa",)).statuses.total() == 1
    assert counted(store, apps=("spa", "hotel")).statuses.total() == 2
    assert counted(store, apps=()).statuses.total() == 0


def test_tallies_of_parts_add_up_to_that_of_the_whole(store: EngineStore) -> None:
    end(store, "a@one.example", Status.DELIVERED, at=NOW - 3 * HOUR)
    end(store, "b@two.example", Status.SOFT_BOUNCED, at=NOW - HOUR)
    whole = counted(store)
    middle = NOW - 2 * HOUR
    parts = [
        store.read_now(lambda tx: tallies.count(tx, since=NOW - 24 * HOUR, until=middle)),
        store.read_now(lambda tx: tallies.count(tx, since=middle, until=NOW + HOUR)),
    ]
    assert tallies.added(parts) == whole
    assert tallies.added(parts) == whole  # adding changed no part


def test_the_size_is_read_from_the_ends(store: EngineStore) -> None:
    assert store.read_now(lambda tx: tallies.size(tx, since=NOW)) == 0
    for hours in (48, 2, 1):
        accept(store, at=NOW - hours * HOUR)
    assert store.read_now(lambda tx: tallies.size(tx, since=NOW - 3 * HOUR)) == 2


def test_the_last_error_of_a_domain_is_its_newest(store: EngineStore) -> None:
    end(store, "a@one.example", Status.SOFT_BOUNCED)
    made = accept(store, "b@one.example", at=NOW + MINUTE)
    claim(store, now=NOW + MINUTE)
    busy = outcome(Category.GREYLISTED, reply_class=ReplyClass.DEFERRED)
    done = disposition(made.deliveries[0].id, Status.DEFERRED, said=reply(451, "later"), reading=busy)
    store.write_now(lambda tx: spool.record(tx, done))
    end(store, "c@two.example", Status.SOFT_BOUNCED, app="spa")
    errors = store.read_now(lambda tx: tallies.last_errors(tx))
    assert {domain: one.category for domain, one in errors.items()} == {
        "one.example": Category.GREYLISTED,
        "two.example": Category.MAILBOX_FULL,
    }
    assert set(store.read_now(lambda tx: tallies.last_errors(tx, apps=("hotel",)))) == {"one.example"}


def test_when_mail_last_arrived_and_since_when_nobody_takes_it(store: EngineStore) -> None:
    assert store.read_now(lambda tx: (tallies.last_delivered_at(tx), tallies.due_since(tx))) == (None, None)
    end(store, "a@one.example", Status.DELIVERED, at=NOW - HOUR)
    end(store, "a@two.example", Status.DELIVERED, at=NOW - 2 * HOUR)
    accept(store, at=NOW - MINUTE)
    accept(store, at=NOW - HOUR, held="by hand")
    found = store.read_now(lambda tx: (tallies.last_delivered_at(tx), tallies.due_since(tx)))
    assert found == (NOW - HOUR, NOW - MINUTE)


def test_the_second_mail_of_a_day_to_a_domain_is_its_last_one(store: EngineStore) -> None:
    end(store, "a@one.example", Status.DELIVERED, at=NOW - 5 * HOUR)
    end(store, "b@one.example", Status.DELIVERED, at=NOW - MINUTE)
    assert store.read_now(tallies.last_delivered_at) == NOW - MINUTE
