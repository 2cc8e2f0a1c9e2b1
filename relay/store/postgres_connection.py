"""Connections to PostgreSQL, and what its errors mean to us; the rest of the backend is postgres.py.

Owns how a connection is opened (UTC, UTF-8, nothing begun by itself, statements prepared, a vanished peer noticed on
either side within half a minute) and the translation of errors: no space -> StoreFull; a deadlock, a lock or a
statement that waited too long -> StoreBusy; a lost connection, a server that stops or fails -> DiskFault; anything
else -> StoreError.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg.types.numeric import Int8Dumper
from psycopg.types.string import StrDumper

from relay.errors import StoreBusy, StoreError, StoreFull
from relay.store.protocols import DiskFault

Connection = psycopg.Connection[dict[str, Any]]

_STATEMENTS_PREPARED = 300  #: on a connection; there are fewer

#: How long a vanished peer may go unnoticed, on either side; a URL may say otherwise for ours.
_CONNECTING: dict[str, str | int] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "target_session_attrs": "read-write",
    "application_name": "waybill",
}
#: The server's side as well: keepalives are not sent while an answer or a notice is unacknowledged, and the session of
#: a machine that was cut off would hold its rows for a quarter of an hour.
_SESSION = """
SET TimeZone = 'UTC';
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET tcp_keepalives_idle = 10;
SET tcp_keepalives_interval = 5;
SET tcp_keepalives_count = 3;
SET tcp_user_timeout = '20s';
SET idle_in_transaction_session_timeout = '60s'
"""

_BUSY = {"40001", "40P01", "55P03", "57014"}  # serialization, deadlock, lock not available, statement timed out
_GONE = {"57P01", "57P02", "57P03", "57P05", "25P03", "53300", "3D000"}  # stopping, crashed, starting, idle, too many
_GONE_CLASSES = ("08", "58", "XX", "F0")  # connection, system, internal (damage), configuration file


def translate(error: psycopg.Error) -> StoreError:
    """Make our error of PostgreSQL's."""
    said = " ".join(str(error).split())
    code = error.sqlstate
    if code == "53100":
        return StoreFull(f"no space left for the store: {said}")
    if code in _BUSY:
        return StoreBusy(f"the store was kept locked by others: {said}")
    if code is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return DiskFault(f"the store cannot be reached: {said}")
    if code is not None and (code in _GONE or code.startswith(_GONE_CLASSES)):
        return DiskFault(f"the store cannot be used: {said}")
    return StoreError(f"the store refused: {said}")


def connect(url: str) -> Connection:
    """Open a connection on which times are UTC and nothing is begun by itself.

    Raises:
        DiskFault: the server cannot be reached.
        StoreError: it refuses us, or its encoding is not UTF-8.
    """
    try:
        given = conninfo_to_dict(url)
        connection = psycopg.connect(url, autocommit=True, row_factory=dict_row, **_CONNECTING | given)  # type: ignore[arg-type]
    except psycopg.Error as error:
        raise translate(error) from error
    try:
        connection.prepared_max = _STATEMENTS_PREPARED
        connection.prepare_threshold = 2
        # Numbers and texts always of one type, or each size would be a statement of its own to prepare.
        connection.adapters.register_dumper(int, Int8Dumper)
        connection.adapters.register_dumper(str, StrDumper)
        connection.execute(_SESSION)
        if connection.info.parameter_status("server_encoding") != "UTF8":
            raise StoreError("the store needs a PostgreSQL database with the encoding UTF8")
    except psycopg.Error as error:
        connection.close()
        raise translate(error) from error
    except StoreError:
        connection.close()
        raise
    return connection
