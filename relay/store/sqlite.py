"""SQLite under the store: the one module that imports it.

Takes pysqlite3 (a bundled, fixed SQLite) and falls back to the standard library's. Owns connections, PRAGMAs, the
translation of rows, times and errors; threads and group commit are in writer.py and engine.py.

Durability: WAL with synchronous=FULL, both read back after they were set, so that a COMMIT that returned is on disk.
Checkpoints are ours alone (wal_autocheckpoint=0), see wal.py, and always inside the turn lock. SQLite 3.7.0-3.51.2 can
corrupt a WAL when two connections write or checkpoint at the same instant; there only one process may write at all
(`needs_single_process`).

Errors become ours here: no space -> StoreFull, locked -> StoreBusy, a failing disk or file -> DiskFault (the store is
reopened and checked before it is used again), anything else (a broken statement, a constraint) -> StoreError.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relay.errors import StoreBusy, StoreError, StoreFull, StoreLocked, StoreSlow
from relay.store.locks import FileLock, Turn
from relay.store.protocols import DiskFault, Reader, Row, Value, Writer
from relay.store.text import fold
from relay.store.wal import WAL_LIMIT, Wal

if TYPE_CHECKING:
    import sqlite3 as db
else:
    try:
        import pysqlite3.dbapi2 as db
    except ImportError:
        import sqlite3 as db

__all__ = ["SqliteBackend", "connect", "db", "from_micros", "needs_single_process", "to_micros", "translate", "version"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_TOO_LONG = "the read took longer than it was given"
_LOOK_EVERY = 2_000  #: steps of SQLite's machine between two looks at the clock of a read with a limit

#: Primary result codes that speak of the disk or the file, not of the statement.
_DISK = {8: "read only", 10: "I/O error", 11: "damaged", 14: "cannot be opened", 15: "lock protocol", 26: "no database"}


def version() -> str:
    """Name the SQLite in use."""
    return str(db.sqlite_version)


def needs_single_process(info: tuple[int, int, int] | None = None) -> bool:
    """Tell whether this SQLite has the WAL-reset fault, so that only one process may write."""
    major, minor, patch = info or tuple(int(part) for part in db.sqlite_version.split("."))
    return (3, 7, 0) <= (major, minor, patch) < (3, 51, 3)


def translate(error: db.Error) -> StoreError:
    """Make our error of SQLite's."""
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code == 13:
        return StoreFull(f"no space left for the store: {error}")
    if code in (5, 6):
        return StoreBusy(f"another process kept the store locked: {error}")
    if code == 9:
        return StoreSlow(_TOO_LONG)
    if code in _DISK:
        return DiskFault(f"the store cannot be used ({_DISK[code]}): {error}")
    return StoreError(f"the store refused: {error}")


def to_micros(moment: datetime) -> int:
    """Write a time as microseconds since 1970 UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(value: int) -> datetime:
    """Read a time back."""
    return _EPOCH + timedelta(microseconds=value)


def _bind(params: Mapping[str, Value] | None) -> Mapping[str, Any]:
    if not params:
        return {}
    return {
        key: (value - _EPOCH) // _MICROSECOND if type(value) is datetime else value for key, value in params.items()
    }


@lru_cache(maxsize=512)
def _time_columns(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if name == "at" or name.endswith("_at"))


class SqliteTx:
    """A Tx on one connection; the engine begins and ends the transaction around it."""

    __slots__ = ("_connection", "_statements", "until")

    def __init__(self, connection: db.Connection, statements: Mapping[str, str]) -> None:
        self._connection = connection
        self._statements = statements
        self.until: float | None = None  #: when the time limit of a read is over

    @property
    def dialect(self) -> str:
        return "sqlite"

    def run(self, statement: str, params: Mapping[str, Value] | None = None, /) -> int:
        try:
            return self._connection.execute(self._statements[statement], _bind(params)).rowcount
        except db.Error as error:
            raise translate(error) from error

    def later(
        self, statement: str, params: Mapping[str, Value] | None = None, /, *, changes: int | None = None
    ) -> None:
        count = self.run(statement, params)
        if changes is not None and count != changes:
            raise StoreError(f"{statement} changed {count} rows and not {changes}")

    def many(self, statement: str, params: Iterable[Mapping[str, Value]], /) -> None:
        try:
            self._connection.executemany(self._statements[statement], map(_bind, params))
        except db.Error as error:
            raise translate(error) from error

    def rows(self, statement: str, params: Mapping[str, Value] | None = None, /) -> list[Row]:
        return self.compose(self._statements[statement], params or {})

    def one(self, statement: str, params: Mapping[str, Value] | None = None, /) -> Row | None:
        found = self.compose(self._statements[statement], params or {})
        return found[0] if found else None

    def compose(self, sql: str, params: Mapping[str, Value], /) -> list[Row]:
        if self.until is not None and time.monotonic() >= self.until:
            raise StoreSlow(_TOO_LONG)
        try:
            cursor = self._connection.execute(sql, _bind(params))
            found = cursor.fetchall()
        except db.Error as error:
            raise translate(error) from error
        if not found:
            return []
        names = tuple(column[0] for column in cursor.description)
        times = _time_columns(names)
        return [_row(names, times, values) for values in found]


def _row(names: tuple[str, ...], times: tuple[str, ...], values: Sequence[Any]) -> Row:
    row = dict(zip(names, values, strict=True))
    for name in times:
        if row[name] is not None:
            row[name] = _EPOCH + timedelta(microseconds=row[name])
    return row


class SqliteWriter:
    """The connection that writes; used by one thread, inside the turn."""

    def __init__(self, connection: db.Connection, path: Path, statements: Mapping[str, str]) -> None:
        self._connection = connection
        self._path = path
        self._file = _identity(path)
        self._wal = Wal(path, command=self.command)
        self.tx = SqliteTx(connection, statements)

    def command(self, sql: str) -> list[Any]:
        """Run one control statement (BEGIN, SAVEPOINT, PRAGMA …)."""
        try:
            return self._connection.execute(sql).fetchall()
        except db.Error as error:
            raise translate(error) from error

    def begin(self) -> None:
        self.command("BEGIN IMMEDIATE")

    def enter(self) -> None:
        self.command("SAVEPOINT unit")

    def leave(self) -> None:
        self.command("RELEASE unit")

    def undo(self) -> None:
        self.command("ROLLBACK TO unit")
        self.command("RELEASE unit")

    @property
    def is_open(self) -> bool:
        """False when SQLite itself rolled the transaction back (disk full, I/O error)."""
        return self._connection.in_transaction

    def commit(self) -> None:
        """Commit, and see that it went into the file that the next start will open.

        Raises:
            DiskFault: that file was removed or replaced; SQLite itself would go on writing into the old one for ever.
        """
        self.command("COMMIT")
        if _identity(self._path) != self._file:
            raise DiskFault(f"{self._path} was removed or replaced while it was open")

    def rollback(self) -> None:
        """End the transaction, if there still is one; the error that led here is the one to report."""
        if self._connection.in_transaction:
            with suppress(db.Error):
                self._connection.execute("ROLLBACK")

    def after_commit(self) -> None:
        """Copy the WAL back when it has grown large; the commit itself is already safe."""
        self._wal.after_commit()

    def rest(self) -> None:
        """Empty a large WAL while nothing else is to be done; never wait long for readers."""
        self._wal.rest()

    def make_room(self) -> None:
        """Copy the WAL back and give its bytes to the disk, as far as readers let go of it at once."""
        self._wal.empty()

    def close(self) -> None:
        """Close; the last connection of all copies the WAL back."""
        with suppress(db.Error):
            self._connection.close()


class SqliteReader:
    """A read-only connection; one snapshot at a time."""

    def __init__(self, connection: db.Connection, statements: Mapping[str, str]) -> None:
        self._connection = connection
        self.tx = SqliteTx(connection, statements)

    def begin(self, *, limit: timedelta | None = None) -> None:
        try:
            self._connection.execute("BEGIN")
        except db.Error as error:
            raise translate(error) from error
        if limit is not None:
            until = self.tx.until = time.monotonic() + limit.total_seconds()
            self._connection.set_progress_handler(lambda: time.monotonic() >= until, _LOOK_EVERY)

    def end(self) -> None:
        if self.tx.until is not None:
            self.tx.until = None
            self._connection.set_progress_handler(None, 0)
        if self._connection.in_transaction:
            with suppress(db.Error):
                self._connection.execute("ROLLBACK")

    def data_version(self) -> int:
        """A number that differs when any other connection, of any process, has committed."""
        try:
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except db.Error as error:
            raise translate(error) from error

    def close(self) -> None:
        with suppress(db.Error):
            self._connection.close()


class SqliteBackend:
    """One database file: opens its connections and knows its locks."""

    dialect = "sqlite"

    def __init__(self, path: Path, statements: Mapping[str, str]) -> None:
        self.path = path
        self.turn = Turn(Path(f"{path}.turn"))
        self._statements = statements
        self._alone: FileLock | None = None

    def open_writer(self) -> Writer:
        """Open the writing connection, inside the turn.

        Raises:
            StoreError: the file cannot be opened, or it is not in WAL mode with synchronous=FULL.
        """
        connection = connect(self.path, is_new=False)  # never an empty store in the place of a lost one
        try:
            _prepare(connection)
        except StoreError:
            connection.close()
            raise
        return SqliteWriter(connection, self.path, self._statements)

    def open_reader(self) -> Reader:
        """Open a read-only connection."""
        try:
            connection = db.connect(
                f"{self.path.absolute().as_uri()}?mode=ro",
                uri=True,
                timeout=5.0,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
            connection.create_function("fold", 1, fold, deterministic=True)
            connection.execute("PRAGMA query_only=1")
            connection.execute("PRAGMA cache_size=-8000")
            connection.execute("PRAGMA temp_store=MEMORY")
        except db.Error as error:
            raise translate(error) from error
        return SqliteReader(connection, self._statements)

    def scrub(self) -> bool:
        """Empty the WAL, where old pages still hold what was wiped; False when readers or writers never let go."""
        with self.turn:
            connection = connect(self.path, is_new=False)
            try:
                is_busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except db.Error as error:
                raise translate(error) from error
            finally:
                connection.close()
        return not is_busy

    def check(self, writer: Writer, /) -> None:
        """Look the file over after a fault.

        Raises:
            DiskFault: it is damaged.
        """
        found = writer.tx.compose("PRAGMA quick_check(1)", {})
        if [row["quick_check"] for row in found] != ["ok"]:
            raise DiskFault(f"the store is damaged: {found[0]['quick_check'] if found else 'no answer'}")

    def may_write(self) -> None:
        """Become the one writing process, where SQLite needs that; a fixed SQLite needs nothing.

        Raises:
            StoreLocked: another process writes, and this SQLite bears only one.
        """
        if self._alone is None and needs_single_process():
            lock = FileLock(Path(f"{self.path}.writer"))
            try:
                lock.take()
            except StoreLocked as error:
                raise StoreLocked(
                    f"SQLite {version()} bears only one writing process, and one is running; "
                    "install pysqlite3, which brings a newer SQLite"
                ) from error
            self._alone = lock

    def close(self) -> None:
        self.turn.close()
        if self._alone is not None:
            self._alone.release()


def _identity(path: Path) -> tuple[int, int] | None:
    """Tell one file from another of the same name."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def connect(path: Path, *, is_new: bool = True) -> db.Connection:
    """Open the file for writing, making it (0600; its WAL inherits that) when it is not there and may be new."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if is_new else 0), 0o600))
        connection = db.connect(
            str(path), timeout=5.0, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.create_function("fold", 1, fold, deterministic=True)
        return connection
    except OSError as error:
        raise DiskFault(f"cannot open {path}: {error.strerror}") from error
    except db.Error as error:
        raise translate(error) from error


def _prepare(connection: db.Connection) -> None:
    """Set what durability rests on, and read it back."""
    try:
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        connection.execute("PRAGMA synchronous=FULL")
        level = connection.execute("PRAGMA synchronous").fetchone()[0]
        for pragma in (
            "busy_timeout=5000",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-16000",
            f"journal_size_limit={WAL_LIMIT}",
            "wal_autocheckpoint=0",
            "mmap_size=0",
            "secure_delete=ON",  # what was pruned or erased is not to be read in the file's free pages
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except db.Error as error:
        raise translate(error) from error
    if str(mode).lower() != "wal" or level != 2:
        raise DiskFault(f"the store needs WAL with synchronous=FULL, and the file gives {mode} with {level}")
