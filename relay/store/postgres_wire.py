"""Statements on their way to PostgreSQL and back: any number of them in one go, over libpq's pipeline mode.

Owns the encoding of parameters, the statements prepared on one connection, and the reading of results. psycopg's own
pipeline looks at the socket and sends for every single statement, which costs more than the statements themselves; here
all are written at once and then their answers awaited, for a fifth of the CPU and one way there and back. What is used
of psycopg is its interface to libpq (`psycopg.pq`), its adaptation of types and its errors.

All statements of one `run` are up to the first failure; those behind a failure are not run. Statements with a name are
prepared when they are first used and composed ones never, since there is no end of them. A parameter that was only ever
NULL has no type yet; when its first value comes, the statement is prepared once more.
"""

from __future__ import annotations

import select
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import abc
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format
from psycopg.pq.abc import PGresult

from relay.store.postgres_connection import Connection
from relay.store.postgres_sql import to_postgres
from relay.store.protocols import Row, Value


@dataclass(frozen=True, slots=True)
class Call:
    """One statement with its parameters as the server gets them."""

    sql: str
    values: Sequence[Any] = ()
    types: tuple[int, ...] = ()
    formats: Sequence[Format] = ()
    name: str = ""  #: of a statement that is worth preparing
    changes: int | None = None  #: how many rows it must change


class Answer:
    """What the server said to one statement."""

    __slots__ = ("_result", "_transformer")

    def __init__(self, result: PGresult, transformer: abc.Transformer) -> None:
        self._result = result
        self._transformer = transformer

    @property
    def word(self) -> str:
        """The command it took it for; ROLLBACK to a COMMIT of what had failed."""
        return (self._result.command_status or b"").decode()

    @property
    def count(self) -> int:
        """How many rows were changed, or found."""
        return self._result.command_tuples or 0

    def rows(self) -> list[Row]:
        """The rows found, by column name."""
        result = self._result
        if not result.ntuples:
            return []
        names = [(result.fname(number) or b"").decode() for number in range(result.nfields)]
        self._transformer.set_pgresult(result)
        return self._transformer.load_rows(0, result.ntuples, lambda values: dict(zip(names, values, strict=True)))


class Wire:
    """One connection; used by one thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection  # kept: the socket closes with it
        self._pg = connection.pgconn
        self._transformer: abc.Transformer = Transformer(connection)
        self._types: dict[str, tuple[int, ...]] = {}  #: of the parameters of each named statement, as far as known
        self._prepared: dict[tuple[str, tuple[int, ...]], bytes] = {}  #: name on the server, by ours and the types
        self._count = 0  #: statements prepared so far
        self._poll = select.poll()
        self._poll.register(self._pg.socket, select.POLLIN)

    def call(self, sql: str, params: Mapping[str, Value], *, name: str = "", changes: int | None = None) -> Call:
        """Make a statement of the store ready to be sent.

        Raises:
            psycopg.Error: a value cannot be one of PostgreSQL's.
        """
        text, names = to_postgres(sql)
        given = [_storable(params[each]) for each in names]
        values = self._transformer.dump_sequence(given, [PyFormat.AUTO] * len(given))
        types = self._transformer.types or ()
        if name:
            known = self._types.get(name, ())
            if types != known:
                types = self._types[name] = _merged(types, known)
        return Call(text, values, types, self._transformer.formats or (), name, changes)

    def run(self, calls: Sequence[Call]) -> list[Answer]:
        """Run statements one after the other, with one wait for all.

        Raises:
            psycopg.Error: one failed, and none behind it was run; or the connection is lost.
        """
        pg = self._pg
        pg.enter_pipeline_mode()
        news: dict[tuple[str, tuple[int, ...]], bytes] = {}
        expected: list[tuple[str, tuple[int, ...]] | None] = []  # of each result: which statement it prepares
        for call in calls:
            if not call.name:
                pg.send_query_params(call.sql.encode(), call.values, call.types, call.formats, Format.BINARY)
            else:
                key = (call.name, call.types)
                prepared = self._prepared.get(key) or news.get(key)
                if prepared is None:
                    self._count += 1
                    prepared = news[key] = b"w%d" % self._count
                    pg.send_prepare(prepared, call.sql.encode(), call.types)
                    expected.append(key)
                pg.send_query_prepared(prepared, call.values, call.formats, Format.BINARY)
            expected.append(None)
        pg.pipeline_sync()
        self._send()
        results = self._receive()
        for prepares, result in zip(expected, results, strict=False):
            if prepares is not None and result.status == ExecStatus.COMMAND_OK:
                self._prepared[prepares] = news[prepares]
        if pg.status == ConnStatus.OK:
            pg.exit_pipeline_mode()
        self._raise_first(results)
        answers = [result for prepares, result in zip(expected, results, strict=True) if prepares is None]
        return [Answer(result, self._transformer) for result in answers]

    def _send(self) -> None:
        """Write all there is; what the server says meanwhile is taken in, or both would wait for each other."""
        while self._pg.flush():
            self._poll.modify(self._pg.socket, select.POLLIN | select.POLLOUT)
            self._poll.poll()
            self._pg.consume_input()
        self._poll.modify(self._pg.socket, select.POLLIN)

    def _receive(self) -> list[PGresult]:
        """Wait for all results, or for the end of the connection."""
        pg = self._pg
        results: list[PGresult] = []
        while True:
            while pg.is_busy():
                self._poll.poll()
                pg.consume_input()
            result = pg.get_result()  # None between those of two statements
            if result is not None and result.status == ExecStatus.PIPELINE_SYNC:
                return results
            if result is not None:
                results.append(result)
            elif pg.status == ConnStatus.BAD:
                return results

    def _raise_first(self, results: Sequence[PGresult]) -> None:
        for result in results:
            if result.status not in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.EMPTY_QUERY):
                raise error_from_result(result)
        if self._pg.status == ConnStatus.BAD:
            raise psycopg.OperationalError(self._pg.get_error_message())


def _storable(value: Value) -> Value:
    """PostgreSQL's texts hold no NUL; what a hostile mail brings is kept as the sign for "unreadable"."""
    return value.replace("\x00", "\ufffd") if type(value) is str and "\x00" in value else value


def _merged(types: tuple[int, ...], known: tuple[int, ...]) -> tuple[int, ...]:
    """Give the type of each parameter; that of a NULL is what it was before."""
    return tuple(new or old for new, old in zip(types, known, strict=True)) if known else types
