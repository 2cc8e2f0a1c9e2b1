"""Who is alive on a store, and what becomes of the leases of those who are not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from relay.store import nodes, spool
from relay.store.engine import EngineStore
from relay.store.nodes import Member, NodeRow
from tests.store.making import NOW, accept, claim

MINUTE = timedelta(minutes=1)


def member(owner: str, *, role: str = "delivery") -> Member:
    return Member(owner=owner, node=owner.split("/")[0], role=role, version="1", sources="192.0.2.1 192.0.2.2")


def living(store: EngineStore) -> list[NodeRow]:
    return store.read_now(lambda tx: nodes.living(tx, now=NOW))


def beat(store: EngineStore, owner: str, *, now: datetime = NOW) -> bool:
    return store.write_now(lambda tx: nodes.beat(tx, member(owner), now=now)).is_new


def test_a_process_is_new_once_and_known_from_then_on(store: EngineStore) -> None:
    assert [beat(store, "one/1"), beat(store, "one/1"), beat(store, "two/1")] == [True, False, True]
    rows = living(store)
    assert [row.member for row in rows] == [member("one/1"), member("two/1")]
    assert all(row.seen_at >= row.started_at and row.silent >= timedelta(0) for row in rows)


def test_only_the_silent_are_buried_and_they_learn_of_it(store: EngineStore) -> None:
    beat(store, "one/1", now=NOW - MINUTE)
    heard = store.write_now(lambda tx: nodes.beat(tx, member("two/1"), now=NOW)).at
    assert store.write_now(lambda tx: nodes.bury(tx, silent_since=heard - 2 * MINUTE)) == []
    buried = store.write_now(lambda tx: nodes.bury(tx, silent_since=heard))
    assert buried == ["one/1"]
    assert beat(store, "one/1"), "it is told that it was not known"


def test_a_process_that_stops_in_order_is_gone_at_once(store: EngineStore) -> None:
    beat(store, "one/1")
    assert store.write_now(lambda tx: nodes.leave(tx, "one/1")) == 1
    assert living(store) == []


def test_the_leases_of_the_dead_are_taken_over_and_no_others(store: EngineStore) -> None:
    first = accept(store, "a@example.com").deliveries[0].id
    claim(store, owner="dead/1")
    accept(store, "b@example.com")
    claim(store, owner="alive/1")
    assert store.write_now(lambda tx: spool.take_over_from(tx, ["dead/1", "never/1"], now=NOW)) == 1
    taken = claim(store, owner="alive/1")
    assert [(each.delivery.id, each.delivery.is_unknown) for each in taken] == [(first, True)]


def test_the_owners_of_a_role_come_in_one_order(open_one: Callable[[], EngineStore]) -> None:
    store = open_one()
    for owner, role in (("b/1", "delivery"), ("a/1", "delivery"), ("c/1", "intake")):
        store.write_now(lambda tx, owner=owner, role=role: nodes.beat(tx, member(owner, role=role), now=NOW))  # type: ignore[misc]
    assert nodes.owners(living(store), role="delivery") == ("a/1", "b/1")
