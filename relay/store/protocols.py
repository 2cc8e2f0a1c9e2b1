"""The contract between the relay and its store; two backends keep it, one suite of tests proves it.

A *unit of work* is a plain function that takes a Tx and returns a value: the functions of spool.py, log.py,
suppressions.py … are such units. `Store.write` runs one inside a durable transaction (group commit: the writer thread
takes all waiting units into one transaction, a savepoint each), `Store.read` runs one on a read-only snapshot.
A write has returned only when its bytes are on disk; if it raises StoreError nothing of it was kept.

Statements are named ("spool.insert_message") and live in sql/*.sql, portable where possible; a statement that must
differ has a section in *.sqlite.sql or *.postgres.sql. Columns whose name ends in `_at` are times: aware UTC datetimes
on this side, INTEGER microseconds in SQLite and timestamptz in PostgreSQL on the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

#: What a statement may be given.
Value = str | int | float | bytes | datetime | None

#: One row by column name; `_at` columns are datetimes.
Row = Mapping[str, Any]


class Tx(Protocol):
    """An open transaction; valid only inside the unit of work it was given to."""

    def run(self, statement: str, params: Mapping[str, Value] | None = None, /) -> int:
        """Run a named statement that changes rows; return how many it changed."""

    def many(self, statement: str, params: Iterable[Mapping[str, Value]], /) -> None:
        """Run a named statement once for each set of parameters."""

    def rows(self, statement: str, params: Mapping[str, Value] | None = None, /) -> list[Row]:
        """Run a named statement that returns rows."""

    def one(self, statement: str, params: Mapping[str, Value] | None = None, /) -> Row | None:
        """Like rows, but the first row or None."""

    def compose(self, sql: str, params: Mapping[str, Value], /) -> list[Row]:
        """Run SELECT text composed by filters.py from fixed fragments, with bound values."""

    @property
    def dialect(self) -> str:
        """sqlite | postgres."""


class Store(Protocol):
    """A store, open for this process."""

    async def write(self, unit: Callable[[Tx], T], /) -> T:
        """Run the unit in a durable transaction on the writer thread; return when it is committed and synced."""

    async def read(self, unit: Callable[[Tx], T], /) -> T:
        """Run the unit on a read-only snapshot in a reader thread."""

    def write_now(self, unit: Callable[[Tx], T], /) -> T:
        """Like write, for callers without an event loop (the command line)."""

    def read_now(self, unit: Callable[[Tx], T], /) -> T:
        """Like read, on the caller's own thread; short look-ups only."""

    def changed(self) -> bool:
        """Tell whether any process committed since the last call (cheap: no query of tables)."""

    @property
    def is_healthy(self) -> bool:
        """False from a disk error until the store was opened and checked anew; intake answers 451 meanwhile."""

    def close(self) -> None:
        """Finish the waiting writes, checkpoint and close."""
