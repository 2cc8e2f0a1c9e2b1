"""PostgreSQL under the store: writers, readers and news of commits, over psycopg.

Owns the settings durability rests on, transactions and snapshots, and the news that something was committed; threads
and group commit are in writer.py and engine.py, as for SQLite. psycopg is used synchronously on those threads.

Durability: synchronous_commit is at least "on" and fsync is on, both read back, so that a COMMIT that returned is on
the server's disk. A COMMIT whose answer was lost counts as failed; what it held may be stored all the same.

Several nodes: no lock orders the writers; statements that compete lock their rows (FOR UPDATE, SKIP LOCKED). A group
that made something due says NOTIFY waybill once, with its commit; a reader that asks `data_version` listens. That is
only the nudge: every two seconds the answer is "look" anyway, for a lost notice must not stop the mail.

After a DiskFault the writer connects and checks anew; a reader does by itself, before its next snapshot.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import timedelta
from itertools import count

import psycopg
from psycopg.pq import TransactionStatus

from relay.errors import StoreError
from relay.store.postgres_connection import Connection, connect, translate
from relay.store.postgres_tx import PostgresTx
from relay.store.postgres_wire import Call
from relay.store.protocols import DiskFault, Reader, Writer

__all__ = ["CHANNEL", "PostgresBackend"]

CHANNEL = "waybill"

_LOOK_EVERY = 2.0  #: seconds after which `data_version` differs even without a notice

#: The writer gives up what waits so long; its caller says 451 or tries again. Its statements look rows up by key: a
#: plan from when a table was small, or from statistics that a burst of mail has outrun, must not read the whole of it.
_WRITER_SESSION = """
SET enable_seqscan = off;
SET random_page_cost = 1.1;
SET lock_timeout = '5s';
SET statement_timeout = '30s';
SET idle_in_transaction_session_timeout = '20s'
"""

_versions = count(1)  #: never the same twice, whichever connection says it


class PostgresWriter:
    """The connection that writes. Its control statements wait for the next one whose answer is needed."""

    def __init__(self, connection: Connection, statements: Mapping[str, str]) -> None:
        self._connection = connection
        self._savepoint = _control("SAVEPOINT unit")
        self.tx = PostgresTx(connection, statements, is_writing=True)

    def begin(self) -> None:
        # The number of the transaction is fixed before any seq is drawn: log.py tells by it what may still come.
        self.tx.waiting = [_control("BEGIN"), _control("SELECT pg_current_xact_id()")]
        self.tx.has_news = False

    def enter(self) -> None:
        self._savepoint = _control("SAVEPOINT unit")
        self.tx.waiting.append(self._savepoint)

    def leave(self) -> None:
        if self.tx.waiting and self.tx.waiting[-1] is not self._savepoint:
            self.tx.flush()  # so that what fails does so inside its unit
        if not self._is_sound:
            raise StoreError("a unit hid a failure of the store")
        self.tx.waiting.append(_control("RELEASE unit"))

    def undo(self) -> None:
        for at, each in enumerate(self.tx.waiting):
            if each is self._savepoint:  # the server never heard of the unit
                del self.tx.waiting[at:]
                return
        self.tx.waiting = [_control("ROLLBACK TO unit"), _control("RELEASE unit")]
        self.tx.flush()

    @property
    def is_open(self) -> bool:
        """False when the connection is lost, or the server ended the transaction."""
        return self._is_sound or self._status is TransactionStatus.INERROR

    @property
    def _is_sound(self) -> bool:
        """True as well while BEGIN itself is still waiting."""
        is_begun = not (self.tx.waiting and self.tx.waiting[0].sql == "BEGIN")
        return self._status is (TransactionStatus.INTRANS if is_begun else TransactionStatus.IDLE)

    @property
    def _status(self) -> TransactionStatus:
        return TransactionStatus(self._connection.info.transaction_status)

    def commit(self) -> None:
        if self.tx.has_news:
            self.tx.waiting.append(_control(f"NOTIFY {CHANNEL}"))
        self.tx.waiting.append(_control("COMMIT"))
        answer = self.tx.flush()
        # The server answers ROLLBACK when something had failed.
        if answer is None or answer.word != "COMMIT":
            raise StoreError("the transaction was not committed")

    def rollback(self) -> None:
        self.tx.waiting = []
        with suppress(psycopg.Error):
            if self._status is not TransactionStatus.IDLE:
                self._connection.execute("ROLLBACK")

    def after_commit(self) -> None:
        return

    def rest(self) -> None:
        """Notice a server that went away before mail depends on it."""
        self.tx.waiting = [_control("SELECT 1")]
        self.tx.flush()

    def make_room(self) -> None:
        """The server minds its own disk."""

    def close(self) -> None:
        with suppress(psycopg.Error):
            self._connection.close()


def _control(sql: str) -> Call:
    return Call(sql, name=sql)


class PostgresReader:
    """A read-only connection; one snapshot at a time. It connects anew by itself, for nothing hangs on it."""

    def __init__(
        self, open_now: Callable[[], Connection], statements: Mapping[str, str], *, clock: Callable[[], float]
    ):
        self._open = open_now
        self._statements = statements
        self._clock = clock
        self._version = next(_versions)
        self._looked_at = clock()
        self._use(open_now())

    def _use(self, connection: Connection) -> None:
        self._connection = connection
        self._is_listening = False
        self.tx = PostgresTx(connection, self._statements, clock=self._clock)

    def begin(self, *, limit: timedelta | None = None) -> None:
        command = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        try:
            self._connection.execute(command)
        except psycopg.Error as error:
            if not isinstance(translate(error), DiskFault):
                raise translate(error) from error
            self._renew()
            try:
                self._connection.execute(command)
            except psycopg.Error as again:
                raise translate(again) from again
        self.tx.until = None if limit is None else self._clock() + limit.total_seconds()

    def end(self) -> None:
        self.tx.until = None
        with suppress(psycopg.Error):
            if self._connection.info.transaction_status is not TransactionStatus.IDLE:
                self._connection.execute("ROLLBACK")

    def data_version(self) -> int:
        """Count the notices; never waits for the server once it listens."""
        try:
            self._hear()
        except psycopg.Error:
            self._renew()
            try:
                self._hear()
            except psycopg.Error as error:
                raise translate(error) from error
        now = self._clock()
        if now - self._looked_at >= _LOOK_EVERY:
            self._looked_at = now
            self._version = next(_versions)
        return self._version

    def _hear(self) -> None:
        if not self._is_listening:
            self._connection.add_notify_handler(self._count)
            self._connection.execute(f"LISTEN {CHANNEL}")
            self._is_listening = True
            self._version = next(_versions)  # what was said before that went unheard
        self._connection.pgconn.consume_input()
        while self._connection.pgconn.notifies() is not None:
            self._version = next(_versions)

    def _count(self, notice: psycopg.Notify) -> None:
        self._version = next(_versions)

    def _renew(self) -> None:
        """Replace a connection that broke.

        Raises:
            DiskFault: the server cannot be reached.
        """
        self.close()
        self._use(self._open())

    def close(self) -> None:
        with suppress(psycopg.Error):
            self._connection.close()


class PostgresBackend:
    """One PostgreSQL database (or schema of it): opens its connections. The server orders the writers."""

    dialect = "postgres"

    def __init__(self, url: str, statements: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = url
        self._statements = statements
        self._clock = clock

    @property
    def turn(self) -> AbstractContextManager[None]:
        return nullcontext()

    def open_writer(self) -> Writer:
        """Open the writing connection.

        Raises:
            StoreError: the server cannot be reached, or would not make commits durable.
        """
        connection = connect(self.url)
        try:
            connection.execute(_WRITER_SESSION)
            _make_durable(connection)
        except psycopg.Error as error:
            connection.close()
            raise translate(error) from error
        except StoreError:
            connection.close()
            raise
        return PostgresWriter(connection, self._statements)

    def open_reader(self) -> Reader:
        return PostgresReader(lambda: connect(self.url), self._statements, clock=self._clock)

    def check(self, writer: Writer, /) -> None:
        """See after a fault that this is a server that takes writes, with our tables in it."""
        found = writer.tx.compose("SELECT pg_is_in_recovery() AS is_standby, to_regclass('delivery') AS tables", {})
        if found[0]["is_standby"] or found[0]["tables"] is None:
            raise DiskFault("the server is a standby, or the store's tables are not there")

    def may_write(self) -> None:
        return

    def close(self) -> None:
        return


def _make_durable(connection: Connection) -> None:
    """Raise synchronous_commit to "on" where it is less (remote_apply is more), and read back what holds."""
    if _setting(connection, "synchronous_commit") != "remote_apply":
        connection.execute("SET synchronous_commit = on")
    commit, sync = _setting(connection, "synchronous_commit"), _setting(connection, "fsync")
    if commit not in ("on", "remote_apply") or sync != "on":
        raise StoreError(
            f"the store needs synchronous_commit and fsync on, and the server gives synchronous_commit={commit} "
            f"and fsync={sync}"
        )


def _setting(connection: Connection, name: str) -> str:
    row = connection.execute("SELECT current_setting(%s) AS value", (name,)).fetchone()
    return str(row["value"]) if row else ""
