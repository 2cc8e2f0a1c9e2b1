"""The contract between the relay and its store; two backends keep it, one suite of tests proves it.

A *unit of work* is a plain function that takes a Tx and returns a value: the functions of spool.py, log.py,
suppressions.py … are such units. `Store.write` runs one inside a durable transaction (group commit: the writer thread
takes all waiting units into one transaction, a savepoint each), `Store.read` runs one on a read-only snapshot.
A write has returned only when its bytes are on disk; if it raises StoreError nothing of it was kept.

Statements are named ("spool.insert_message") and live in sql/*.sql, portable where possible; a statement that must
differ has a section in *.sqlite.sql or *.postgres.sql. Columns named `at` or ending in `_at` are times: aware UTC
datetimes on this side, INTEGER microseconds in SQLite and timestamptz in PostgreSQL on the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from relay.errors import StoreError

T = TypeVar("T")

#: What a statement may be given.
Value = str | int | float | bytes | datetime | None

#: One row by column name; `_at` columns are datetimes.
Row = Mapping[str, Any]


class DiskFault(StoreError):
    """The disk or the file failed; the store is opened and checked anew before it is used again."""


class Tx(Protocol):
    """An open transaction; valid only inside the unit of work it was given to."""

    def run(self, statement: str, params: Mapping[str, Value] | None = None, /) -> int:
        """Run a named statement that changes rows; return how many it changed."""

    def later(
        self, statement: str, params: Mapping[str, Value] | None = None, /, *, changes: int | None = None
    ) -> None:
        """Run a named statement whose result the unit does not need; `changes` rows, or the unit fails.

        A backend may keep it until the next statement, or the end of the unit; what it raises it raises then.
        """

    def many(self, statement: str, params: Iterable[Mapping[str, Value]], /) -> None:
        """Run a named statement once for each set of parameters; may be kept as by `later`."""

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

    async def read(self, unit: Callable[[Tx], T], /, *, limit: timedelta | None = None) -> T:
        """Run the unit on a read-only snapshot in a reader thread.

        With a limit, a statement that is still running when it is over, and every later one, raises StoreSlow inside
        the unit, which may give what it has; nothing more can be read in it.
        """

    def write_now(self, unit: Callable[[Tx], T], /) -> T:
        """Like write, for callers without an event loop (the command line)."""

    def read_now(self, unit: Callable[[Tx], T], /, *, limit: timedelta | None = None) -> T:
        """Like read, on the caller's own thread; short look-ups only."""

    def changed(self) -> bool:
        """Tell whether any process committed since the last call (cheap: no query of tables)."""

    @property
    def is_healthy(self) -> bool:
        """False from a disk error until the store was opened and checked anew; intake answers 451 meanwhile."""

    def close(self) -> None:
        """Finish the waiting writes, checkpoint and close."""


class Writer(Protocol):
    """A backend's one writing connection: used by the writer thread only, inside the backend's turn."""

    @property
    def tx(self) -> Tx: ...

    def begin(self) -> None:
        """Open the transaction of a group."""

    def enter(self) -> None:
        """Set the savepoint of one unit."""

    def leave(self) -> None:
        """Keep what the unit did, once all of it is done.

        Raises:
            StoreError: something the unit asked for failed; `undo` takes all of it back.
        """

    def undo(self) -> None:
        """Take back what the unit did."""

    @property
    def is_open(self) -> bool:
        """False when the database itself has rolled the whole group back."""

    def commit(self) -> None:
        """Make the group durable; it is on disk when this returns."""

    def rollback(self) -> None:
        """Give the group up; never raises."""

    def after_commit(self) -> None:
        """Housekeeping that cannot undo the commit."""

    def rest(self) -> None:
        """Housekeeping while there is nothing to do."""

    def make_room(self) -> None:
        """Give back to the disk what is not needed, after a commit that found no room."""

    def close(self) -> None:
        """Close; never raises."""


class Reader(Protocol):
    """A backend's read-only connection: one snapshot at a time."""

    @property
    def tx(self) -> Tx: ...

    def begin(self, *, limit: timedelta | None = None) -> None:
        """Take a snapshot, to be read for so long at most."""

    def end(self) -> None:
        """Let it go; never raises."""

    def data_version(self) -> int:
        """A number that differs once any other connection, of any process, has committed."""

    def close(self) -> None:
        """Close; never raises."""


class Backend(Protocol):
    """What a database must offer so that the engine (threads, group commit, health) can stand on it."""

    @property
    def dialect(self) -> str: ...

    @property
    def turn(self) -> AbstractContextManager[None]:
        """Held around every transaction that writes; orders the writers of several processes."""

    def open_writer(self) -> Writer:
        """Open the writing connection and check that it is durable."""

    def open_reader(self) -> Reader:
        """Open a read-only connection."""

    def check(self, writer: Writer, /) -> None:
        """Look the database over after a fault; raises DiskFault when it is damaged."""

    def may_write(self) -> None:
        """Raise StoreLocked when this process must not write."""

    def close(self) -> None:
        """Give locks back, after the connections are closed."""
