"""Killed at any moment: what was acknowledged is there, and the store is sound."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from relay.store import log, open_store
from relay.store.verify import verify
from tests.support.tools import need

ROOT = Path(__file__).parents[2]

#: Accepts from 20 callers at once and prints every id after its write has returned; ends only by being killed.
WRITER = """
import asyncio, sys
from pathlib import Path
from relay.store import open_store, spool
from tests.store.making import submission

async def caller(store, number):
    while True:
        made = submission(f"guest{number}@example.com", content=bytes(3000))
        await store.write(lambda tx: spool.accept(tx, made))
        sys.stdout.write(made.message.id + "\\n")
        sys.stdout.flush()

async def main():
    store = open_store(sys.argv[1], Path())
    await asyncio.gather(*(caller(store, number) for number in range(20)))

asyncio.run(main())
"""


@pytest.mark.parametrize("acks", [1, 40, 300])
def test_two_writers_killed_under_load_lose_nothing_they_acknowledged(
    store_url: str, tmp_path: Path, acks: int
) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, store_url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    acked: list[str] = []
    for process in writers:
        assert process.stdout is not None
        acked += [process.stdout.readline().strip() for _ in range(acks)]
    for process in writers:
        process.kill()
    for process in writers:
        with process:
            assert process.stdout is not None
            # A last line may have been cut by the kill; it was then not acknowledged to anybody.
            acked += [line.strip() for line in process.stdout if line.endswith("\n")]
    assert all(len(each) == 26 for each in acked)
    with open_store(store_url, tmp_path) as store:
        lost = [each for each in acked if store.read_now(lambda tx, each=each: log.find(tx, each)) is None]  # type: ignore[misc]
        assert lost == []
        assert store.read_now(verify) == []


# What the system calls say.

#: Accepts one mail after the other and says ACK (or NAK) on its standard output for each.
TELLER = """
import os, sys
from pathlib import Path
from relay.errors import StoreError
from relay.store import open_store, spool
from tests.store.making import submission

store = open_store("sqlite:waybill.db", Path(sys.argv[1]))
kept = []
for number in range(int(sys.argv[2])):
    made = submission(f"guest{number}@example.com", content=bytes(3000))
    try:
        store.write_now(lambda tx: spool.accept(tx, made))
    except StoreError:
        os.write(1, b"NAK\\n")
        while not store.is_healthy:
            pass
    else:
        kept.append(made.message.id)
        os.write(1, b"ACK\\n")
os.write(1, b"END\\n")
store.close()
Path(sys.argv[1], "acked").write_text("\\n".join(kept))
"""


def acks_before_sync(trace: list[str]) -> int:
    """Count the acks that came while something written to the WAL was not synced yet."""
    is_dirty, early = False, 0
    for line in trace:
        if "pwrite64(" in line and "-wal>" in line:
            is_dirty = True
        elif "sync(" in line and "-wal>" in line:
            is_dirty = False
        elif '"ACK' in line:
            early += is_dirty
    return early


def test_the_check_of_ack_order_sees_an_early_ack() -> None:
    write, sync, ack = "pwrite64(5</d/waybill.db-wal>, ...)", "fsync(5</d/waybill.db-wal>)", 'write(1, "ACK\\n", 4)'
    assert acks_before_sync([write, sync, ack, write, ack, sync]) == 1
    assert acks_before_sync([write, sync, ack, write, sync, ack]) == 0


def test_no_ack_before_the_wal_is_synced(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    calls = "trace=write,pwrite64,fsync,fdatasync"
    command = [
        need("strace"),
        "-f",
        "-y",
        "-qq",
        "-s",
        "8",
        "-o",
        str(trace),
        "-e",
        calls,
        sys.executable,
        "-c",
        TELLER,
    ]
    done = subprocess.run([*command, str(tmp_path), "40"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.count("ACK") == 40
    lines = trace.read_text().splitlines()
    assert sum('"ACK' in line for line in lines) == 40
    assert sum("-wal>" in line and "pwrite64" in line for line in lines) >= 40
    assert acks_before_sync(lines) == 0


def test_failing_syncs_are_never_acknowledged_and_the_store_recovers(tmp_path: Path) -> None:
    inject = "inject=fsync,fdatasync:error=EIO:when=20..23"
    command = [need("strace"), "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", inject]
    done = subprocess.run(
        [*command, sys.executable, "-c", TELLER, str(tmp_path), "60"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    answers = done.stdout.split()
    assert "NAK" in answers
    assert answers[-2:] == ["ACK", "END"], "it works again after the fault"
    acked = set((tmp_path / "acked").read_text().split())
    with open_store("sqlite:waybill.db", tmp_path) as store:
        stored = {row.message for row in store.read_now(lambda tx: log.search(tx, log.Query(limit=100)))}
        assert stored == acked, "what was refused was not kept either"
        assert store.read_now(verify) == []
