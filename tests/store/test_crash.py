"""Killed at any moment: what was acknowledged is there, and the store is sound."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from relay.store import log, open_store
from relay.store.verify import verify

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
    store = open_store("sqlite:waybill.db", Path(sys.argv[1]))
    await asyncio.gather(*(caller(store, number) for number in range(20)))

asyncio.run(main())
"""


@pytest.mark.parametrize("acks", [1, 40, 300])
def test_two_writers_killed_under_load_lose_nothing_they_acknowledged(tmp_path: Path, acks: int) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
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
    with open_store("sqlite:waybill.db", tmp_path) as store:
        lost = [each for each in acked if store.read_now(lambda tx, each=each: log.find(tx, each)) is None]  # type: ignore[misc]
        assert lost == []
        assert store.read_now(verify) == []
