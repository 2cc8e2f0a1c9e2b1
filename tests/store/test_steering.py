"""Orders to send more slowly or through another host, as the store keeps them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relay.store import steering
from relay.store.engine import EngineStore
from relay.store.steering import Steer, SteerKind
from tests.store.making import HOUR, MINUTE, NOW

SLOW = Steer(
    kind=SteerKind.SLOW,
    scope="site",
    value="mx.example.com",
    target="60/60s",
    reason="they asked",
    by="alice",
    since_at=NOW,
    until_at=NOW + HOUR,
)
REROUTE = replace(SLOW, kind=SteerKind.REROUTE, target="relay.example.org:25", until_at=None)


def begin(store: EngineStore, *steers: Steer) -> None:
    for steer in steers:
        store.write_now(lambda tx, steer=steer: steering.begin(tx, steer))  # type: ignore[misc]


def test_orders_are_kept_with_who_why_and_until_when(store: EngineStore) -> None:
    begin(store, SLOW, REROUTE)
    assert store.read_now(lambda tx: steering.every(tx, now=NOW)) == [REROUTE, SLOW]


def test_a_new_order_of_a_kind_on_the_same_takes_the_place_of_the_old_one(store: EngineStore) -> None:
    slower = replace(SLOW, target="5/60s", by="bob", reason="", since_at=NOW + MINUTE, until_at=None)
    other = replace(SLOW, value="mx.example.org")
    begin(store, SLOW, REROUTE, other, slower)
    assert store.read_now(lambda tx: steering.every(tx, now=NOW)) == [REROUTE, other, slower]


def test_an_order_counts_until_its_time_is_over(store: EngineStore) -> None:
    begin(store, SLOW)
    assert store.read_now(lambda tx: steering.every(tx, now=NOW + HOUR - MINUTE)) == [SLOW]
    assert store.read_now(lambda tx: steering.every(tx, now=NOW + HOUR)) == []


@pytest.mark.parametrize(
    ("scope", "value", "minutes", "was_there"),
    [
        ("site", "mx.example.com", 1, True),
        ("site", "mx.example.com", 60, False),
        ("site", "mx.example.org", 1, False),
        ("domain", "mx.example.com", 1, False),
    ],
)
def test_only_an_order_that_counts_on_exactly_this_can_be_ended(
    store: EngineStore, scope: str, value: str, minutes: int, was_there: bool
) -> None:
    begin(store, SLOW)
    ended = store.write_now(
        lambda tx: steering.end(tx, SteerKind.SLOW, scope=scope, value=value, now=NOW + minutes * MINUTE)
    )
    assert ended is was_there
    left = store.read_now(lambda tx: steering.every(tx, now=NOW + MINUTE))
    assert left == ([] if was_there or minutes == 60 else [SLOW])


def test_an_order_on_something_unknown_is_refused(store: EngineStore) -> None:
    with pytest.raises(ValueError, match="not on country"):
        begin(store, replace(SLOW, scope="country"))
