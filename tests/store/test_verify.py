"""verify finds every fault that is put into a store, and none in a sound one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from relay.errors import StoreError
from relay.status import Status
from relay.store import open_store, queue, spool
from relay.store.engine import EngineStore
from relay.store.queue import Selection
from relay.store.verify import verify
from tests.store.making import NOW, accept, claim, disposition, outcome

FAULTS = {
    "open_without_time": "UPDATE delivery SET next_at = NULL",
    "leased_but_ended": "UPDATE delivery SET next_at = NULL, lease_owner = 'one'",
    "unknown_status": "UPDATE delivery SET status = 'lost'",
    "open_without_content": "DELETE FROM content",
    "delivery_without_message": "DELETE FROM message",
    "message_without_delivery": "DELETE FROM delivery",
    "attempt_without_delivery": """INSERT INTO attempt (delivery_id, number, started_at, took_ms, stage, text, timings,
        is_unknown, reused) SELECT 'gone', 1, accepted_at, 0, 'data', '', '{}', 0, 0 FROM message""",
    "reference_without_message": """INSERT INTO reference (message_id, kind, value, value_key, source, rule, confidence)
        VALUES ('gone', 'booking', 'x', 'X', 'header', '', 100)""",
    "content_without_message": "INSERT INTO content VALUES ('gone', 'identity', 0, x'')",
    "delivered_without_time": "UPDATE delivery SET status = 'delivered', next_at = NULL, ended_at = NULL",
    "content": "UPDATE content SET raw = x'00'",
}


def test_a_store_that_was_used_in_every_way_is_sound(store: EngineStore) -> None:
    ends = [(Status.DELIVERED, None), (Status.INVALID, outcome(suppress=True)), (Status.DEFERRED, outcome())]
    made = accept(store, *(f"guest{number}@example.com" for number in range(6)), booking="BK-1", content=b"x" * 20_000)
    claim(store)
    for delivery, (status, reading) in zip(made.deliveries, ends, strict=False):
        done = disposition(delivery.id, status, reading=reading)
        store.write_now(lambda tx, done=done: spool.record(tx, done, owner="one"))  # type: ignore[misc]
    store.write_now(lambda tx: spool.take_over(tx, now=NOW, everyone=True))
    cancelled = Selection(address="guest5@example.com")
    store.write_now(lambda tx: queue.cancel(tx, cancelled, now=NOW, by="alice"))
    accept(store, store_content="none")
    seen: list[tuple[str, int, int]] = []
    assert store.read_now(lambda tx: verify(tx, progress=lambda *step: seen.append(step))) == []
    assert seen[0][0] == "file"
    assert seen[-1] == ("content", 2, 2)


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_a_fault_is_found_and_named(store: EngineStore, meddle: Callable[[str], None], kind: str) -> None:
    made = accept(store)
    meddle(FAULTS[kind])
    found = [each for each in store.read_now(verify) if each.kind == kind]
    assert len(found) == 1
    assert found[0].subject in {made.message.id, made.deliveries[0].id, "gone"}
    assert found[0].subject in found[0].text


def test_a_damaged_content_is_never_given_out(store: EngineStore, meddle: Callable[[str], None]) -> None:
    small, large = accept(store), accept(store, content=b"large " * 9000)
    meddle("UPDATE content SET raw = CAST(substr(raw, 1, length(raw) - 1) || x'21' AS BLOB)")
    for made in (small, large):
        with pytest.raises(StoreError, match=made.message.id):
            store.read_now(lambda tx, made=made: spool.load_content(tx, made.message.id))  # type: ignore[misc]


def test_flipped_bytes_in_the_file_are_found_or_harmless(tmp_path: Path) -> None:
    url = "sqlite:waybill.db"
    with open_store(url, tmp_path) as store:
        made = [accept(store, f"guest{number}@example.com", content=bytes([number]) * 9000) for number in range(40)]
    path = tmp_path / "waybill.db"
    sound = path.read_bytes()
    found = 0
    for number in range(12):  # one page after another
        place = 4096 + number * 4096 * 3 + 1
        path.write_bytes(sound[:place] + bytes(255 - byte for byte in sound[place : place + 64]) + sound[place + 64 :])
        try:
            with open_store(url, tmp_path) as store:
                findings = store.read_now(verify)
                for each in made:
                    try:
                        raw = store.read_now(lambda tx, each=each: spool.load_content(tx, each.message.id))  # type: ignore[misc]
                    except StoreError:
                        continue
                    assert raw in (None, each.content), "a damaged content was given out"
        except StoreError:
            findings = ["it did not open"]  # type: ignore[list-item]
        found += bool(findings)
        for name in ("waybill.db-wal", "waybill.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
    assert found > 0
