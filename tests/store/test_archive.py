"""The archive is a view: mail first accepted more than a month ago, with its resends, whenever they were made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from relay.model import Delivery, DeliveryId, new_id
from relay.store import log, spool
from relay.store.engine import EngineStore
from relay.store.filters import month_before
from relay.store.log import Query
from tests.store.making import HOUR, MINUTE, NOW, accept

MONTH_AGO = month_before(NOW)


@pytest.mark.parametrize(
    ("day", "want"),
    [
        ((2026, 3, 1), (2026, 2, 1)),
        ((2026, 3, 31), (2026, 2, 28)),
        ((2024, 3, 30), (2024, 2, 29)),
        ((2026, 1, 15), (2025, 12, 15)),
    ],
)
def test_a_month_is_a_month_of_the_calendar(day: tuple[int, int, int], want: tuple[int, int, int]) -> None:
    assert month_before(datetime(*day, 12, tzinfo=UTC)) == datetime(*want, 12, tzinfo=UTC)


def copy_of(original: Delivery, *, at: datetime) -> Delivery:
    return replace(original, id=DeliveryId(new_id()), resend_of=original.id, created_at=at, address="again@example.com")


@pytest.fixture
def filled(store: EngineStore) -> EngineStore:
    old = accept(store, "old@example.com", at=MONTH_AGO - MINUTE)
    accept(store, "edge@example.com", at=MONTH_AGO)
    accept(store, "new@example.com", at=NOW - HOUR)
    store.write_now(lambda tx: spool.add_delivery(tx, copy_of(old.deliveries[0], at=NOW)))
    return store


def found(store: EngineStore, query: Query) -> list[str]:
    return [row.to.partition("@")[0] for row in store.read_now(lambda tx: log.search(tx, replace(query, now=NOW)))]


@pytest.mark.parametrize("is_indexed", [False, True])
@pytest.mark.parametrize(
    ("query", "want"),
    [
        (Query(), ["again", "new", "edge", "old"]),
        (Query(archived=True), ["again", "old"]),
        (Query(archived=False), ["new", "edge"]),
        (Query(archived=True, words=("example",)), ["again", "old"]),
        (Query(archived=False, words=("example",)), ["new", "edge"]),
        (Query(archived=True, limit=1), ["again"]),
        (Query(archived=True, since=NOW - timedelta(days=1)), ["again"]),
        (Query(archived=True, until=NOW - timedelta(days=1)), ["old"]),
        (Query(archived=False, until=MONTH_AGO), []),
    ],
)
def test_the_archive_is_what_was_first_accepted_over_a_month_ago(
    filled: EngineStore, query: Query, want: list[str], *, is_indexed: bool
) -> None:
    while is_indexed and filled.write_now(log.index_pending):
        continue
    assert found(filled, query) == want


def test_pages_of_the_archive_go_on_where_the_last_one_ended(filled: EngineStore) -> None:
    for number in range(5):
        accept(filled, f"more{number}@example.com", at=MONTH_AGO - HOUR)
    seen: list[str] = []
    before = None
    while True:
        query = Query(archived=True, now=NOW, limit=2, before=before)
        page = filled.read_now(lambda tx, query=query: log.search(tx, query))  # type: ignore[misc]
        if not page:
            break
        seen += [row.to.partition("@")[0] for row in page]
        before = page[-1].seq
    assert seen == ["more4", "more3", "more2", "more1", "more0", "again", "old"]


def test_what_is_archived_cannot_be_asked_without_the_time(store: EngineStore) -> None:
    with pytest.raises(ValueError, match="now"):
        store.read_now(lambda tx: log.search(tx, Query(archived=True)))
