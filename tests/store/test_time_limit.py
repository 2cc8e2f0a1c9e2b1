"""A read with a time limit ends in time, says so, and leaves the connection as good as before, on both backends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from relay.errors import StoreSlow
from relay.status import Group
from relay.store import log
from relay.store.engine import EngineStore
from relay.store.log import Query
from relay.store.protocols import Row, Tx, Value
from tests.store.making import accept

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT COUNT(*) AS count FROM n WHERE x < 0"
SHORT = timedelta(milliseconds=50)
NOTHING = timedelta(0)
LONG = timedelta(minutes=1)


def endless(tx: Tx) -> list[Row]:
    return tx.compose(ENDLESS, {})


class Tiring:
    """A transaction whose time is over after a few composed statements."""

    def __init__(self, tx: Tx, *, after: int) -> None:
        self._tx = tx
        self._left = after

    def compose(self, sql: str, params: Mapping[str, Value], /) -> list[Row]:
        if not self._left:
            raise StoreSlow("over")
        self._left -= 1
        return self._tx.compose(sql, params)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)


def test_an_endless_read_ends(store: EngineStore) -> None:
    with pytest.raises(StoreSlow):
        store.read_now(endless, limit=SHORT)
    with pytest.raises(StoreSlow):
        asyncio.run(store.read(endless, limit=SHORT))
    assert store.is_healthy


def test_the_next_read_has_no_limit_of_the_last(store: EngineStore) -> None:
    accept(store)
    with pytest.raises(StoreSlow):
        store.read_now(endless, limit=SHORT)
    many = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 300000) SELECT COUNT(*) AS c FROM n"
    )
    assert store.read_now(lambda tx: tx.compose(many, {}))[0]["c"] == 300_000
    assert len(store.read_now(lambda tx: log.search(tx, Query()), limit=LONG)) == 1


def test_a_unit_may_answer_with_what_it_has(store: EngineStore) -> None:
    def unit(tx: Tx) -> str:
        try:
            endless(tx)
        except StoreSlow:
            return "so far"
        return "all"

    assert store.read_now(unit, limit=SHORT) == "so far"


def test_a_page_without_time_is_partial_and_never_none(store: EngineStore) -> None:
    accept(store)
    assert store.read_now(lambda tx: log.page(tx, Query(words=("guest",))), limit=NOTHING).is_partial
    whole = store.read_now(lambda tx: log.page(tx, Query(words=("guest",))), limit=LONG)
    assert (len(whole.rows), whole.is_partial) == (1, False)


@pytest.mark.parametrize("oldest_first", [False, True])
def test_a_page_keeps_what_was_found_before_the_time_was_over(store: EngineStore, oldest_first: bool) -> None:
    made = [accept(store, f"guest{number}@example.com").deliveries[0].address for number in range(9)]
    query = Query(oldest_first=oldest_first)
    page = store.read_now(lambda tx: log.page(Tiring(tx, after=2), query, piece=1))
    assert page.is_partial
    assert [row.to for row in page.rows] == (made[:5] if oldest_first else made[:3:-1])  # pieces of 1 and 4 rows


def test_counts_without_time_say_at_least(store: EngineStore) -> None:
    accept(store)
    counted = store.read_now(lambda tx: log.counts(tx, Query()), limit=NOTHING)
    assert counted[Group.PENDING].is_more
