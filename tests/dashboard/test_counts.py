"""Counting a long span: the same numbers as counting it at once, with fewer rows read; hours and days of the reader."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from dashboard.counts import Counts
from dashboard.overview import SPANS, gather
from dashboard.tongue import Tongue
from relay.status import Status
from relay.store import open_store, spool, tallies
from relay.store.protocols import Store
from tests.store.making import HOUR, NOW, accept, claim, disposition

SPAN = timedelta(days=7)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:{tmp_path}/data/waybill.db", tmp_path) as opened:
        yield opened


def fill(store: Store) -> None:
    for hours in range(0, 7 * 24, 5):
        accept(store, f"g{hours}@d{hours % 3}.example", at=NOW - hours * HOUR, app="spa" if hours % 2 else "hotel")


def deliver_all(store: Store) -> None:
    for one in claim(store, now=NOW, limit=1000):
        store.write_now(lambda tx, one=one: spool.record(tx, disposition(one.delivery.id)))  # type: ignore[misc]


@pytest.mark.parametrize("apps", [None, ("spa",), ()])
def test_cells_add_up_to_the_whole(store: Store, apps: tuple[str, ...] | None) -> None:
    fill(store)
    counts = Counts(few=0)
    whole = store.read_now(lambda tx: tallies.count(tx, since=NOW - SPAN, until=NOW + HOUR, apps=apps))
    for _ in range(2):
        assert store.read_now(lambda tx: counts.of(tx, since=NOW - SPAN, now=NOW, apps=apps)) == whole


def test_few_deliveries_are_counted_anew_every_time(store: Store) -> None:
    fill(store)
    counts = Counts()
    store.read_now(lambda tx: counts.of(tx, since=NOW - SPAN, now=NOW))
    deliver_all(store)
    found = store.read_now(lambda tx: counts.of(tx, since=NOW - SPAN, now=NOW))
    assert found.statuses[Status.QUEUED] == 0


def test_old_cells_are_counted_again_when_they_are_stale_two_at_a_look(store: Store) -> None:
    fill(store)
    counts = Counts(few=0)

    def queued(now: datetime) -> int:
        return store.read_now(lambda tx: counts.of(tx, since=NOW - SPAN, now=now)).statuses[Status.QUEUED]

    before = queued(NOW)
    deliver_all(store)
    live = before - queued(NOW)
    assert 0 < live < before  # only the ends are counted anew at once
    later = NOW + timedelta(days=2)
    seen = [queued(later) for _ in range(40)]
    assert seen[0] > seen[1] > seen[2] > seen[-1] == 0


def test_what_was_warmed_is_not_counted_again(store: Store) -> None:
    fill(store)
    counts = Counts(few=0)
    asyncio.run(counts.warm(store, now=NOW))
    before = store.read_now(lambda tx: counts.of(tx, since=NOW - SPAN, now=NOW)).statuses[Status.QUEUED]
    deliver_all(store)
    after = store.read_now(lambda tx: counts.of(tx, since=NOW - SPAN, now=NOW)).statuses[Status.QUEUED]
    assert 0 < after < before


def test_a_store_that_cannot_be_read_is_no_end_of_the_process(store: Store) -> None:
    store.close()
    asyncio.run(Counts(few=0).warm(store, now=NOW))


@pytest.mark.parametrize("zone", ["Europe/Helsinki", "America/St_Johns", "Asia/Kathmandu"])
@pytest.mark.parametrize("now", [datetime(2026, 3, 29, 12, 20, tzinfo=UTC), datetime(2026, 10, 25, 12, 20, tzinfo=UTC)])
@pytest.mark.parametrize("span", sorted(SPANS))
def test_every_mail_is_in_one_bar_of_the_readers_clock_also_when_it_changes(
    store: Store, zone: str, now: datetime, span: str
) -> None:
    for hours in range(60):
        accept(store, at=now - hours * HOUR)
    tongue = Tongue("en", ZoneInfo(zone))
    found = store.read_now(
        lambda tx: gather(
            tx, span=span, counts=Counts(), tongue=tongue, disk=None, now=now, apps=None, is_operator=True
        )
    )
    assert sum(bar.total for bar in found.bars) == found.total
    assert len({bar.title for bar in found.bars}) >= len(found.bars) - 2  # an hour may come twice
    if span != "24h":
        days = [bar.total for bar in found.bars if bar.total]
        local = [tongue.local(now - hours * HOUR).date() for hours in range(60)]
        assert days == [local.count(day) for day in sorted(set(local))]
