"""Group commit and health: who is answered what, and when, if units or the disk fail."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from relay.errors import StoreBusy, StoreError, StoreFull, StoreLocked
from relay.store import log, open_store, spool
from relay.store.engine import EngineStore
from relay.store.protocols import DiskFault, Reader, Row, Tx, Value, Writer
from relay.store.sqlite import connect
from tests.store.making import accept, submission


def test_a_bad_unit_does_not_fail_its_group(store: EngineStore) -> None:
    hold, at_work = threading.Event(), threading.Event()

    def slow(tx: Tx) -> None:
        at_work.set()
        hold.wait()

    good = [submission(f"guest{number}@example.com") for number in range(3)]

    def bad(tx: Tx) -> None:
        spool.accept(tx, submission("never@example.com"))
        raise LookupError("no")

    async def main() -> list[object]:
        first = asyncio.ensure_future(store.write(slow))
        await asyncio.to_thread(at_work.wait)
        # All of these wait behind the slow one and so form one group.
        rest = [
            asyncio.ensure_future(store.write(unit))
            for unit in (
                lambda tx: spool.accept(tx, good[0]).id,
                bad,
                lambda tx: spool.accept(tx, good[1]).id,
                lambda tx: tx.run("spool.no_such_statement"),
                lambda tx: tx.compose("SELECT nonsense", {}),
                lambda tx: spool.accept(tx, good[2]).id,
            )
        ]
        await asyncio.sleep(0)
        hold.set()
        await first
        got: list[object] = await asyncio.gather(*rest, return_exceptions=True)
        return got

    got = asyncio.run(main())
    assert [got[0], got[2], got[5]] == [each.message.id for each in good]
    assert [type(got[1]), type(got[3]), type(got[4])] == [LookupError, KeyError, StoreError]
    rows = store.read_now(lambda tx: log.search(tx, log.Query()))
    assert sorted(row.to for row in rows) == [f"guest{number}@example.com" for number in range(3)]
    assert store.is_healthy


def test_a_cancelled_caller_changes_nothing_for_the_others(store: EngineStore) -> None:
    hold, at_work = threading.Event(), threading.Event()
    made = submission()

    def slow(tx: Tx) -> None:
        at_work.set()
        hold.wait()

    async def main() -> None:
        first = asyncio.ensure_future(store.write(slow))
        await asyncio.to_thread(at_work.wait)
        gone = asyncio.ensure_future(store.write(lambda tx: spool.accept(tx, made)))
        kept = asyncio.ensure_future(store.write(lambda tx: 5))
        await asyncio.sleep(0)
        gone.cancel()
        hold.set()
        await first
        assert await kept == 5

    asyncio.run(main())
    assert store.read_now(lambda tx: log.find(tx, made.message.id)) is not None


def test_several_loops_may_wait_at_once(store: EngineStore) -> None:
    async def main(number: int) -> list[str]:
        made = [submission(f"guest{number}.{each}@example.com") for each in range(20)]
        await asyncio.gather(*(store.write(lambda tx, each=each: spool.accept(tx, each)) for each in made))  # type: ignore[misc]
        rows = await store.read(lambda tx: log.search(tx, log.Query(limit=100)))
        return [row.to for row in rows if row.to.startswith(f"guest{number}.")]

    got: list[list[str]] = []
    threads = [threading.Thread(target=lambda n=n: got.append(asyncio.run(main(n)))) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(each) for each in got] == [20, 20, 20]


def test_a_reader_cannot_write(store: EngineStore) -> None:
    with pytest.raises(StoreError):
        store.read_now(lambda tx: spool.accept(tx, submission()))


def test_a_read_sees_one_snapshot(store: EngineStore) -> None:
    def look(tx: Tx) -> tuple[int, int]:
        before = len(log.search(tx, log.Query()))
        accept(store)
        return before, len(log.search(tx, log.Query()))

    assert store.read_now(look) == (0, 0)
    assert len(store.read_now(lambda tx: log.search(tx, log.Query()))) == 1


def wait_for(is_true: Callable[[], bool]) -> None:
    """PostgreSQL's notice comes right behind the commit, not with it."""
    end = time.monotonic() + 5
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_changed_tells_of_commits_of_any_process(open_one: Callable[[], EngineStore]) -> None:
    mine, other = open_one(), open_one()
    mine.changed()
    assert not mine.changed()
    accept(other)
    wait_for(mine.changed)
    assert not mine.changed()
    accept(mine)
    wait_for(mine.changed)


def test_a_closed_store_refuses(store: EngineStore) -> None:
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.write_now(lambda tx: None)
    with pytest.raises(StoreError, match="closed"):
        store.read_now(lambda tx: None)


def test_close_finishes_what_waits_and_leaves_no_wal(open_one: Callable[[], EngineStore], database: Path) -> None:
    store = open_one()
    made = [submission(f"guest{number}@example.com") for number in range(50)]

    async def main() -> None:
        waiting = [asyncio.ensure_future(store.write(lambda tx, each=each: spool.accept(tx, each))) for each in made]  # type: ignore[misc]
        await asyncio.sleep(0)
        await asyncio.to_thread(store.close)
        await asyncio.gather(*waiting)

    asyncio.run(main())
    assert not Path(f"{database}-wal").exists()
    again = open_one()
    assert len(again.read_now(lambda tx: log.search(tx, log.Query(limit=99)))) == 50


# The disk.


@pytest.mark.usefixtures("database")
def test_no_space_is_store_full_and_passes_when_there_is_space_again(store: EngineStore) -> None:
    kept = accept(store)
    pages = store.write_now(lambda tx: tx.compose("PRAGMA page_count", {}))[0]["page_count"]
    store.write_now(lambda tx: tx.compose(f"PRAGMA max_page_count = {pages + 2}", {}))
    large = submission(content=os.urandom(200_000))
    with pytest.raises(StoreFull):
        store.write_now(lambda tx: spool.accept(tx, large))
    assert store.is_healthy
    assert store.read_now(lambda tx: log.find(tx, large.message.id)) is None
    assert store.read_now(lambda tx: log.find(tx, kept.message.id)) is not None
    store.write_now(lambda tx: tx.compose("PRAGMA max_page_count = 1000000", {}))
    store.write_now(lambda tx: spool.accept(tx, large))


def test_an_outsiders_lock_is_store_busy_and_passes(store: EngineStore, database: Path) -> None:
    with connect(database) as outsider:
        # The store gives up after five seconds; here it shall do so at once.
        store.write_now(lambda tx: tx.compose("PRAGMA busy_timeout = 10", {}))
        outsider.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy):
            store.write_now(lambda tx: spool.accept(tx, submission()))
        outsider.execute("ROLLBACK")
    outsider.close()
    accept(store)
    assert store.is_healthy


def test_a_store_that_was_moved_away_accepts_nothing_until_it_is_back(store: EngineStore, database: Path) -> None:
    accept(store)
    aside = database.parent / "aside"
    aside.mkdir()
    files = [path for path in database.parent.glob("waybill.db*") if path.suffix != ".turn"]
    for path in files:
        path.rename(aside / path.name)
    with pytest.raises(StoreError, match="removed"):
        accept(store)
    assert not store.is_healthy
    assert not database.exists(), "no empty store may take the place of the lost one"
    for path in files:
        (aside / path.name).rename(path)
    end = time.monotonic() + 10
    while not store.is_healthy and time.monotonic() < end:
        time.sleep(0.02)
    accept(store)


def test_a_damaged_file_makes_the_store_unhealthy(store: EngineStore, database: Path) -> None:
    accept(store, content=bytes(range(256)) * 4000)
    store.close()
    raw = bytearray(database.read_bytes())
    raw[8192:] = b"\x55" * (len(raw) - 8192)
    database.write_bytes(raw)
    try:
        broken = open_store(f"sqlite:{database}", database.parent)
    except DiskFault:
        return  # noticed even earlier
    with broken, pytest.raises(StoreError):
        broken.write_now(lambda tx: spool.accept(tx, submission()))
    assert not broken.is_healthy


class FakeTx:
    """A Tx that nothing is asked of."""

    dialect = "fake"

    def run(self, statement: str, params: Any = None, /) -> int:
        raise NotImplementedError

    def later(self, statement: str, params: Any = None, /, *, changes: int | None = None) -> None:
        raise NotImplementedError

    def many(self, statement: str, params: Any, /) -> None:
        raise NotImplementedError

    def rows(self, statement: str, params: Any = None, /) -> list[Row]:
        raise NotImplementedError

    def one(self, statement: str, params: Any = None, /) -> Row | None:
        raise NotImplementedError

    def compose(self, sql: str, params: Any, /) -> list[Row]:
        raise NotImplementedError


class FakeWriter:
    """A writing connection whose next commits fail as told; remembers what it was asked."""

    def __init__(self, faults: list[StoreError]) -> None:
        self.faults = faults
        self.calls: list[str] = []
        self.is_open = True
        self.tx: Tx = FakeTx()

    def _call(self, name: str) -> None:
        self.calls.append(name)

    def begin(self) -> None:
        self._call("begin")

    def enter(self) -> None:
        self._call("enter")

    def leave(self) -> None:
        self._call("leave")

    def undo(self) -> None:
        self._call("undo")

    def commit(self) -> None:
        self._call("commit")
        if self.faults:
            raise self.faults.pop(0)

    def rollback(self) -> None:
        self._call("rollback")

    def after_commit(self) -> None:
        self._call("after_commit")

    def rest(self) -> None:
        self._call("rest")

    def make_room(self) -> None:
        self._call("make_room")

    def close(self) -> None:
        self._call("close")


class FakeBackend:
    """A backend without a disk; `faults` are those of the commits, `checks` those of the checks after a fault."""

    dialect = "fake"

    def __init__(self, *, faults: list[StoreError], checks: list[StoreError] | None = None) -> None:
        self.faults = faults
        self.checks = checks or []
        self.writers: list[FakeWriter] = []
        self.is_checked = threading.Event()
        self.may_check = threading.Event()
        self.may_check.set()
        self.refuses = False

    @property
    def turn(self) -> AbstractContextManager[None]:
        return nullcontext()

    def open_writer(self) -> Writer:
        self.writers.append(FakeWriter(self.faults))
        return self.writers[-1]

    def open_reader(self) -> Reader:
        raise DiskFault("no reader")

    def check(self, writer: Writer, /) -> None:
        self.is_checked.set()
        self.may_check.wait()
        if self.checks:
            raise self.checks.pop(0)

    def may_write(self) -> None:
        if self.refuses:
            raise StoreLocked("another process writes")

    def close(self) -> None:
        return


def test_after_a_disk_fault_nothing_is_accepted_until_the_store_was_opened_and_checked_anew() -> None:
    backend = FakeBackend(faults=[DiskFault("EIO")], checks=[DiskFault("still broken")])
    backend.may_check.clear()
    store = EngineStore(backend, backend.open_writer())
    with pytest.raises(DiskFault, match="EIO"):
        store.write_now(lambda tx: "acked")
    backend.is_checked.wait()
    assert not store.is_healthy
    with pytest.raises(DiskFault, match="being checked"):
        store.write_now(lambda tx: "acked")
    backend.may_check.set()
    while not store.is_healthy:
        threading.Event().wait(0.01)
    assert store.write_now(lambda tx: "acked") == "acked"
    assert backend.checks == [], "it was checked twice"
    assert [writer.calls[-1] for writer in backend.writers[:2]] == ["close", "close"]
    store.close()


def test_a_commit_that_fails_is_reported_to_its_whole_group_and_each_gets_its_own_error() -> None:
    backend = FakeBackend(faults=[StoreFull("no space")])
    store = EngineStore(backend, backend.open_writer())
    hold, at_work = threading.Event(), threading.Event()

    def slow(tx: Tx) -> None:
        at_work.set()
        hold.wait()

    async def main() -> list[object]:
        waiting = [asyncio.ensure_future(store.write(slow))]
        await asyncio.to_thread(at_work.wait)
        hold.set()
        first = await asyncio.gather(*waiting, return_exceptions=True)
        return [*first, await store.write(lambda tx: "fine")]

    got = asyncio.run(main())
    assert [type(got[0]), got[1]] == [StoreFull, "fine"]
    assert store.is_healthy, "a full disk is no broken disk"
    store.close()


def test_a_process_that_must_not_write_is_told_so() -> None:
    backend = FakeBackend(faults=[])
    backend.refuses = True
    store = EngineStore(backend, backend.open_writer())
    with pytest.raises(StoreLocked):
        store.write_now(lambda tx: "acked")
    assert "commit" not in backend.writers[0].calls
    store.close()


def test_a_fault_met_by_a_reader_has_the_store_checked() -> None:
    backend = FakeBackend(faults=[])
    store = EngineStore(backend, backend.open_writer())
    with pytest.raises(DiskFault, match="no reader"):
        store.read_now(lambda tx: None)
    backend.is_checked.wait()
    while not store.is_healthy:
        threading.Event().wait(0.01)
    assert len(backend.writers) == 2
    store.close()


def test_values_are_bound_never_spelled(store: EngineStore) -> None:
    evil: dict[str, Value] = {"id": "x'; DROP TABLE message; --"}
    assert store.read_now(lambda tx: tx.one("spool.message", evil)) is None
    accept(store)
