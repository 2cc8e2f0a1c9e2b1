"""The last examinations are kept: of everything, and of the newest few single domains."""

from __future__ import annotations

from relay.doctor import Examination, Finding, State, load, save
from relay.store.engine import EngineStore
from tests.store.making import NOW

ONE = Finding(
    id="sender.spf", subject="hotel.example", state=State.BAD, found="a “b”", expected="c", fix="d\ne", why="f"
)


def test_an_examination_is_read_back_as_it_was(store: EngineStore) -> None:
    assert store.read_now(load) is None
    for fault in ("first", ""):
        store.write_now(lambda tx, fault=fault: save(tx, Examination(at=NOW, findings=(ONE,), fault=fault)))  # type: ignore[misc]
    assert store.read_now(load) == Examination(at=NOW, findings=(ONE,))
    assert store.read_now(lambda tx: load(tx, "hotel.example")) is None


def test_the_oldest_single_domains_are_forgotten(store: EngineStore) -> None:
    empty = Examination(at=NOW, findings=())
    store.write_now(lambda tx: save(tx, empty))
    for number in range(41):
        store.write_now(lambda tx, name=f"d{number}.example": save(tx, empty, domain=name))  # type: ignore[misc]
    kept = [n for n in range(41) if store.read_now(lambda tx, n=n: load(tx, f"d{n}.example"))]  # type: ignore[misc]
    assert kept == list(range(1, 41))
    assert store.read_now(load) == empty
