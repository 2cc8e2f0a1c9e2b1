"""SQLite on a disk that is nearly full: the WAL never eats the room that the results of deliveries need (root only)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.errors import StoreFull
from relay.store import open_store
from relay.store.engine import EngineStore
from tests.store.making import accept
from tests.support.disks import MIB, free_bytes, leave_free, mounted
from tests.support.peers import wait_until

RESERVE = 8 * MIB


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "data", size=48 * MIB) as folder:
        yield folder


@pytest.fixture
def small_store(disk: Path) -> Iterator[EngineStore]:
    with open_store(f"sqlite:{disk / 'waybill.db'}", disk) as store:
        store.write_now(lambda tx: tx.compose("CREATE TABLE scratch (bytes BLOB)", {}))
        store.write_now(lambda tx: tx.compose("INSERT INTO scratch VALUES (:new)", {"new": os.urandom(100_000)}))
        yield store


def rewrite(store: EngineStore, times: int) -> None:
    """Change 100 kB again and again, which grows the WAL and not the database."""
    for _ in range(times):
        store.write_now(lambda tx: tx.compose("UPDATE scratch SET bytes = :new", {"new": os.urandom(100_000)}))


def test_the_wal_stays_small_while_little_room_is_left(small_store: EngineStore, disk: Path) -> None:
    for _ in range(40):
        accept(small_store, content=os.urandom(100_000))
    leave_free(disk, RESERVE)
    rewrite(small_store, 300)
    assert (disk / "waybill.db-wal").stat().st_size < 2 * MIB
    assert free_bytes(disk) > RESERVE - 2 * MIB


def test_a_store_that_met_a_full_disk_goes_on_when_there_is_room(small_store: EngineStore, disk: Path) -> None:
    for _ in range(40):
        accept(small_store, content=os.urandom(100_000))
    filler = leave_free(disk, 0)
    for _ in range(3):
        with pytest.raises(StoreFull):
            rewrite(small_store, 1)
    os.truncate(filler, filler.stat().st_size - 6 * MIB)
    rewrite(small_store, 300)
    assert small_store.is_healthy
    assert free_bytes(disk) > 5 * MIB


def test_an_idle_store_gives_the_wal_back_while_little_room_is_left(small_store: EngineStore, disk: Path) -> None:
    wal = disk / "waybill.db-wal"
    leave_free(disk, RESERVE)
    small_store.read_now(lambda tx: tx.compose("SELECT 1", {}))
    rewrite(small_store, 3)
    assert wal.stat().st_size > 0
    wait_until(lambda: wal.stat().st_size == 0)
