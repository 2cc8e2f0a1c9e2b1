"""Corrected addresses and one-use tokens: what the store remembers of them."""

from __future__ import annotations

import pytest

from relay.actions import Answer, once
from relay.model import DeliveryId
from relay.store import addresses
from relay.store.engine import EngineStore
from relay.store.protocols import Tx
from tests.store.making import MINUTE, NOW, accept, claim, disposition


def correct(store: EngineStore, *pairs: tuple[str, str]) -> None:
    for number, (old, new) in enumerate(pairs):
        at = NOW + number * MINUTE
        store.write_now(lambda tx, old=old, new=new, at=at: addresses.correct(tx, old, new, now=at))  # type: ignore[misc]


def current(store: EngineStore, address: str) -> str | None:
    return store.read_now(lambda tx: addresses.corrected_to(tx, address))


@pytest.mark.parametrize(
    ("pairs", "want"),
    [
        ([], {"a@x.example": None}),
        ([("a@x.example", "B@x.example")], {"A@X.example": "B@x.example", "b@x.example": None}),
        (
            [("a@x.example", "b@x.example"), ("B@x.example", "c@x.example")],
            {"a@x.example": "c@x.example", "b@x.example": "c@x.example", "c@x.example": None},
        ),
        (
            [("a@x.example", "b@x.example"), ("b@x.example", "a@x.example")],
            {"a@x.example": None, "b@x.example": "a@x.example"},
        ),
        ([("a@x.example", "b@x.example"), ("a@x.example", "c@x.example")], {"a@x.example": "c@x.example"}),
    ],
    ids=["none", "one", "chain", "back again", "anew"],
)
def test_the_current_address_is_the_end_of_all_corrections(
    store: EngineStore, pairs: list[tuple[str, str]], want: dict[str, str | None]
) -> None:
    correct(store, *pairs)
    assert {address: current(store, address) for address in want} == want


def test_earlier_addresses_are_found_from_the_current_one(store: EngineStore) -> None:
    correct(store, ("a@x.example", "B@x.example"), ("b@x.example", "c@x.example"), ("z@x.example", "c@x.example"))
    earlier = store.read_now(lambda tx: addresses.earlier(tx, "C@x.example"))
    assert sorted(earlier) == ["a@x.example", "b@x.example", "z@x.example"]
    assert store.read_now(lambda tx: addresses.earlier(tx, "a@x.example")) == []


def test_a_correction_leaves_what_is_known_of_the_address(store: EngineStore) -> None:
    accept(store, "a@x.example", name="Anna")
    (claimed,) = claim(store)
    store.write_now(lambda tx: addresses_recorded(tx, claimed.delivery.id))
    correct(store, ("a@x.example", "b@x.example"))
    known = store.read_now(lambda tx: addresses.get(tx, "a@x.example"))
    assert known is not None
    assert (known.name, known.corrected_to, known.corrected_at) == ("Anna", "b@x.example", NOW)


def addresses_recorded(tx: Tx, delivery: DeliveryId) -> None:
    from relay.store import spool

    spool.record(tx, disposition(delivery), owner="one")


def test_a_token_does_its_work_once_and_gives_the_first_answer_again(store: EngineStore) -> None:
    done: list[int] = []

    def work(tx: Tx) -> Answer:
        done.append(1)
        return Answer(key="done", sentence="Queued.", count=len(done), deliveries=(DeliveryId("D1"),))

    first = store.write_now(lambda tx: once(tx, "t1", work, now=NOW))
    again = store.write_now(lambda tx: once(tx, "t1", work, now=NOW + MINUTE))
    other = store.write_now(lambda tx: once(tx, "t2", work, now=NOW))
    assert (first, again.count, other.count) == (again, 1, 2)
    assert again.deliveries == (DeliveryId("D1"),)


def test_a_token_whose_work_failed_can_be_used_again(store: EngineStore) -> None:
    def fails(tx: Tx) -> Answer:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        store.write_now(lambda tx: once(tx, "t1", fails, now=NOW))
    fine = Answer(key="done", sentence="Queued.")
    assert store.write_now(lambda tx: once(tx, "t1", lambda _: fine, now=NOW)) == fine
