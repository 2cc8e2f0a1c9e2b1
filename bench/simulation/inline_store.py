"""The real SQLite store without its threads: each unit runs at once, on the thread of the simulation.

Statements, transactions and indexes are the product's own. What differs is the engine around them: a write takes a
fixed time of the virtual clock instead of the disk's, and nothing is synced, for a simulation that is cut off is
thrown away. How long the units really took is kept, so that the fixed time can be compared with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from relay.store import loader, migrations
from relay.store.protocols import Tx
from relay.store.sqlite import SqliteBackend

T = TypeVar("T")


class InlineStore:
    """See relay.store.protocols.Store."""

    def __init__(self, path: Path, *, commit_seconds: float) -> None:
        statements = loader.load("sqlite")
        migrations.migrate(path, statements)
        self._backend = SqliteBackend(path, statements)
        self._writer = self._backend.open_writer()
        self._writer.tx.compose("PRAGMA synchronous=OFF", {})
        self._reader = self._backend.open_reader()
        self._commit_seconds = commit_seconds
        self._has_committed = False
        self.took: list[float] = []  #: real seconds of each unit that wrote while the clock ran

    async def write(self, unit: Callable[[Tx], T], /) -> T:
        begun = time.perf_counter()
        value = self.write_now(unit)
        self.took.append(time.perf_counter() - begun)
        await asyncio.sleep(self._commit_seconds)
        return value

    async def read(self, unit: Callable[[Tx], T], /, *, limit: timedelta | None = None) -> T:
        value = self.read_now(unit)
        await asyncio.sleep(0)
        return value

    def write_now(self, unit: Callable[[Tx], T], /) -> T:
        writer = self._writer
        writer.begin()
        try:
            value = unit(writer.tx)
            writer.commit()
        except BaseException:
            writer.rollback()
            raise
        writer.after_commit()
        self._has_committed = True
        return value

    def read_now(self, unit: Callable[[Tx], T], /, *, limit: timedelta | None = None) -> T:
        return unit(self._reader.tx)  # nothing else runs meanwhile, so it needs no snapshot of its own

    def changed(self) -> bool:
        changed, self._has_committed = self._has_committed, False
        return changed

    @property
    def is_healthy(self) -> bool:
        return True

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
        self._backend.close()

    def __enter__(self) -> InlineStore:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
