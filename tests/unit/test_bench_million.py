"""The store that pages are timed on: the same for the same seed, and with all that the pages ask for."""

from __future__ import annotations

import random
from pathlib import Path

from bench.million import Town, fill
from bench.pages import QUESTIONS, measure
from relay.model import Category
from relay.status import OPEN, Group, Status
from relay.store import log, open_store
from relay.store.log import Query

COUNT = 3_000


def test_one_seed_makes_one_town() -> None:
    one, same, other = (list(Town(seed, 50).batches()) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_everything_that_is_asked_for_is_there_and_answers(tmp_path: Path) -> None:
    with open_store("sqlite:data/waybill.db", tmp_path) as store:
        fill(store, COUNT)
        rows = store.read_now(lambda tx: log.search(tx, Query(limit=COUNT)))
        assert len(rows) == COUNT
        assert {row.status for row in rows} >= set(Status) - OPEN - {Status.CANCELLED}
        assert {row.category for row in rows} >= set(Category)
        counted = store.read_now(lambda tx: log.counts(tx, Query()))
        assert sum(count.number for count in counted.values()) == COUNT
        assert counted[Group.BLOCKED].number > 0
        customers = Town(1, COUNT).customers
        who = random.Random(1).choice(customers)
        assert store.read_now(lambda tx: log.search(tx, Query(words=(who.name,)))) != []
        for name, asking in QUESTIONS.items():
            took = measure(store, asking, customers, times=2)
            assert (len(took.wall), len(took.cpu), took.partial) == (2, 2, 0), name
