"""The statements of one transaction on PostgreSQL, with as few ways to the server and back as their meaning allows.

A way there and back costs more than most statements. Statements whose result nobody looks at (`later`, `many`, and the
writer's own BEGIN and SAVEPOINT) wait in a queue; the next one that is looked at takes them along, in order. The queue
is emptied at the end of each unit at the latest, so that a failure is always met inside the unit it belongs to. A
connection that reads has no unit that would empty it, and keeps nothing waiting.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import psycopg
from psycopg.errors import QueryCanceled

from relay.errors import StoreError, StoreSlow
from relay.store.postgres_connection import Connection, translate
from relay.store.postgres_wire import Answer, Call, Wire
from relay.store.protocols import Row, Value

#: Statements after which another node may have something to do.
_NEWS = frozenset(
    {
        *("spool.insert_delivery", "spool.wake_site", "spool.release_owner", "spool.take_over", "spool.take_over_from"),
        *("queue.flush", "queue.release", "pauses.insert", "pauses.free"),
    }
)

_TOO_LONG = "the read took longer than it was given"


class PostgresTx:
    """A Tx on one connection; the engine begins and ends the transaction around it."""

    __slots__ = ("_clock", "_is_writing", "_statements", "_wire", "has_news", "until", "waiting")

    def __init__(
        self,
        connection: Connection,
        statements: Mapping[str, str],
        *,
        is_writing: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wire = Wire(connection)
        self._statements = statements
        self._is_writing = is_writing
        self._clock = clock
        self.until: float | None = None  #: when the time limit of a read is over, by its clock
        self.has_news = False  #: something was made due that other nodes should know of
        self.waiting: list[Call] = []

    @property
    def dialect(self) -> str:
        return "postgres"

    def run(self, statement: str, params: Mapping[str, Value] | None = None, /) -> int:
        return self._now(self._named(statement, params)).count

    def later(
        self, statement: str, params: Mapping[str, Value] | None = None, /, *, changes: int | None = None
    ) -> None:
        self.waiting.append(self._named(statement, params, changes=changes))
        if not self._is_writing:
            self.flush()

    def many(self, statement: str, params: Iterable[Mapping[str, Value]], /) -> None:
        self.waiting += [self._named(statement, each) for each in params]
        if not self._is_writing:
            self.flush()

    def rows(self, statement: str, params: Mapping[str, Value] | None = None, /) -> list[Row]:
        return self._now(self._named(statement, params)).rows()

    def one(self, statement: str, params: Mapping[str, Value] | None = None, /) -> Row | None:
        found = self.rows(statement, params)
        return found[0] if found else None

    def compose(self, sql: str, params: Mapping[str, Value], /) -> list[Row]:
        return self._now(self._call(sql, params)).rows()

    def flush(self) -> Answer | None:
        """Run all that waits, in order and in one go; return what the server said to the last of it.

        Raises:
            StoreError: one failed, and with it all behind it, or did not change what it must.
        """
        calls, self.waiting = self.waiting, []
        if not calls:
            return None
        if self.until is not None:
            calls.insert(0, self._limited(self.until))
        try:
            answers = self._wire.run(calls)
        except QueryCanceled as error:
            raise (translate(error) if self.until is None else StoreSlow(_TOO_LONG)) from error
        except psycopg.Error as error:
            raise translate(error) from error
        for call, answer in zip(calls, answers, strict=True):
            if call.name in _NEWS and answer.count > 0:
                self.has_news = True
            if call.changes is not None and answer.count != call.changes:
                raise StoreError(f"{call.name} changed {answer.count} rows and not {call.changes}")
        return answers[-1]

    def _limited(self, until: float) -> Call:
        """Have the server stop what comes next when the time of this read is over."""
        left_ms = int((until - self._clock()) * 1000)
        if left_ms < 1:
            raise StoreSlow(_TOO_LONG)
        return Call(f"SET LOCAL statement_timeout = {left_ms}")

    def _now(self, call: Call) -> Answer:
        self.waiting.append(call)
        answer = self.flush()
        assert answer is not None
        return answer

    def _named(self, name: str, params: Mapping[str, Value] | None, *, changes: int | None = None) -> Call:
        return self._call(self._statements[name], params or {}, name=name, changes=changes)

    def _call(self, sql: str, params: Mapping[str, Value], *, name: str = "", changes: int | None = None) -> Call:
        try:
            return self._wire.call(sql, params, name=name, changes=changes)
        except psycopg.Error as error:
            raise translate(error) from error
