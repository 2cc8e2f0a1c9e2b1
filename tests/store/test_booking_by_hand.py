"""actions.set_booking, over either store: found by the new number alone, whether it was in the index before or not."""

from __future__ import annotations

import pytest

from relay import actions
from relay.store import log
from relay.store.engine import EngineStore
from tests.store.making import NOW, accept


def found(store: EngineStore, **query: object) -> list[str]:
    return [row.message for row in store.read_now(lambda tx: log.search(tx, log.Query(**query)))]  # type: ignore[arg-type]


def put(store: EngineStore, wanted: str, number: str) -> str:
    return store.write_now(lambda tx: actions.set_booking(tx, wanted, number, by="sari", now=NOW)).key


@pytest.mark.parametrize("is_indexed", [True, False])
def test_a_mail_is_found_by_the_booking_that_a_person_set(store: EngineStore, is_indexed: bool) -> None:
    message = accept(store, "anna@example.com", "bo@example.com").message
    if is_indexed:
        store.write_now(lambda tx: log.index_pending(tx))
    for number in ("BK-70001", "BK-80002"):
        assert put(store, message.id, number) == "done"
    assert found(store, booking="bk 80002") == [message.id] * 2
    assert found(store, words=("80002",)) == [message.id] * 2
    assert found(store, booking="BK-70001") == []
    assert found(store, words=("70001",)) == []
    store.write_now(lambda tx: log.index_pending(tx))
    assert found(store, words=("80002",)) == [message.id] * 2
    now = store.read_now(lambda tx: log.find(tx, message.id))
    assert now is not None
    assert [(one.value, one.source) for one in now.references if one.value == "BK-80002"] == [("BK-80002", "person")]
    assert [(one.kind, one.text, one.by) for one in now.events] == [
        ("booking", "BK-70001" + (f", before it was {message.booking}" if message.booking else ""), "sari"),
        ("booking", "BK-80002, before it was BK-70001", "sari"),
    ]


@pytest.mark.parametrize("number", ["", " \t", "x" * 101])
def test_what_is_no_number_changes_nothing(store: EngineStore, number: str) -> None:
    message = accept(store, "anna@example.com").message
    assert put(store, message.id, number) == "bad_booking"
    now = store.read_now(lambda tx: log.find(tx, message.id))
    assert now is not None
    assert now.message.booking == message.booking


def test_the_same_booking_again_leaves_no_trace(store: EngineStore) -> None:
    message = accept(store, "anna@example.com").message
    assert [put(store, message.id, "BK-1") for _ in range(2)] == ["done", "unchanged"]
    assert put(store, "X", "BK-1") == "not_found"
