"""The audit log: what is written, found, forgotten with time, and blanked for a person."""

from __future__ import annotations

from typing import Any

import pytest

from relay.store import audit
from relay.store.audit import Actor, Entry, Via
from relay.store.engine import EngineStore
from tests.store.making import HOUR, NOW

ANNA = Actor(by="anna", via=Via.PAGE, ip="192.0.2.1")
ROOT = Actor(by="root", via=Via.CLI)

ENTRIES = [
    Entry(at=NOW, actor=ANNA, action="resend", object_kind="delivery", object="01AB", text="To guest@example.com"),
    Entry(at=NOW + HOUR, actor=ROOT, action="block", object_kind="address", object="a_b@example.com", note="Äpfel"),
    Entry(at=NOW + 2 * HOUR, actor=ANNA, action="block", object_kind="address", object="axb@example.com"),
    Entry(at=NOW + 3 * HOUR, actor=ANNA, action="sign_in"),
]


def fill(store: EngineStore) -> None:
    for entry in ENTRIES:
        store.write_now(lambda tx, e=entry: audit.add(tx, e))  # type: ignore[misc]


def found(store: EngineStore, **asked: Any) -> list[int]:
    rows = store.read_now(lambda tx: audit.search(tx, **asked))
    return [ENTRIES.index(row.entry) for row in rows]


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, [3, 2, 1, 0]),
        ({"by": "anna"}, [3, 2, 0]),
        ({"by": "ann"}, []),
        ({"action": "block"}, [2, 1]),
        ({"action": "block", "by": "root"}, [1]),
        ({"words": ["GUEST@example"]}, [0]),
        ({"words": ["a_b@"]}, [1]),
        ({"words": ["äpfel"]}, [1]),
        ({"words": ["example", "axb"]}, [2]),
        ({"since": NOW + HOUR, "until": NOW + 3 * HOUR}, [2, 1]),
        ({"limit": 1}, [3]),
        ({"by": "x' OR '1'='1"}, []),
    ],
)
def test_entries_are_found_newest_first(store: EngineStore, asked: dict[str, Any], wanted: list[int]) -> None:
    fill(store)
    assert found(store, **asked) == wanted


def test_pages_go_by_key_and_miss_nothing(store: EngineStore) -> None:
    fill(store)
    first = store.read_now(lambda tx: audit.search(tx, limit=3))
    fill(store)  # what comes meanwhile moves nothing
    rest = store.read_now(lambda tx: audit.search(tx, limit=3, before=first[-1].seq))
    assert [ENTRIES.index(row.entry) for row in first + rest] == [3, 2, 1, 0]
    assert store.read_now(audit.actions) == ["block", "resend", "sign_in"]


def test_a_long_text_is_cut(store: EngineStore) -> None:
    store.write_now(lambda tx: audit.add(tx, Entry(at=NOW, actor=ANNA, action="x", text="t" * 9000, note="n" * 9000)))
    (row,) = store.read_now(audit.search)
    assert (len(row.entry.text), len(row.entry.note)) == (2000, 2000)
