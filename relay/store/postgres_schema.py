"""The steps from an empty PostgreSQL schema to the one of this version: the same numbers and names as for SQLite.

All pending steps run in one transaction under an advisory lock: nodes that start together apply them once, and a
crash leaves either the old or the new schema. A schema that knows steps this version does not know is left alone.
The text of a step is the section of its name in sql/schema.postgres.sql.

Two things depend on the server, and are looked at on every start: the trigram index (the extension pg_trgm may be
missing, or we may not be allowed to create it) and ICU for the case of letters. Without the first, searches read the
rows one by one and find the same; without the second, letters outside ASCII are only as equal as the database's own
locale says. Each is warned about.
"""

from __future__ import annotations

import logging

import psycopg

from relay.errors import StoreError
from relay.store.migrations import STEPS
from relay.store.postgres_connection import Connection, connect, translate

_LOCK = 0x57617962696C6C  # "Waybill"

_log = logging.getLogger("relay.store")


def migrate(url: str, statements: dict[str, str]) -> list[str]:
    """Bring the schema up to date; return the steps that were applied.

    Raises:
        StoreError: the schema is newer than this version, or a step failed (then nothing changed).
    """
    connection = connect(url)
    try:
        if not _pending(connection) and _has(connection, "search_by_words"):
            return []
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
            pending = _pending(connection)
            for name in pending:
                if name == STEPS[0]:
                    _create_fold(connection, statements)
                connection.execute(statements[f"schema.{name}"].encode())
                connection.execute("INSERT INTO migration (name, applied_at) VALUES (%s, now())", (name,))
            _create_index(connection, statements)
        return pending
    except psycopg.Error as error:
        raise translate(error) from error
    finally:
        connection.close()


def scrub(url: str, statements: dict[str, str]) -> bool:
    """Remove the old versions of changed and deleted rows from the tables; what the server's WAL archive holds stays.

    Raises:
        StoreError: the server cannot be reached or refused.
    """
    connection = connect(url)
    try:
        connection.execute(statements["schema.scrub"].encode())
        return True
    except psycopg.Error as error:
        raise translate(error) from error
    finally:
        connection.close()


def _pending(connection: Connection) -> list[str]:
    done: list[str] = []
    if _has(connection, "migration"):
        done = [row["name"] for row in connection.execute("SELECT name FROM migration").fetchall()]
    unknown = [name for name in done if name not in STEPS]
    if unknown:
        raise StoreError(f"the store is newer than this version of Waybill (it has {', '.join(sorted(unknown))})")
    return [name for name in STEPS if name not in done]


def _has(connection: Connection, name: str) -> bool:
    row = connection.execute("SELECT to_regclass(%s) IS NOT NULL AS yes", (name,)).fetchone()
    return bool(row and row["yes"])


def _create_fold(connection: Connection, statements: dict[str, str]) -> None:
    has_icu = connection.execute("SELECT 1 FROM pg_collation WHERE collname = 'und-x-icu'").fetchone()
    if not has_icu:
        _log.warning("event=no_icu text=%r", "searches tell cases apart as the database's locale does")
    connection.execute(statements["schema.fold_with_icu" if has_icu else "schema.fold_without_icu"].encode())


def _create_index(connection: Connection, statements: dict[str, str]) -> None:
    """Make the trigram index if it is not there and can be made."""
    if _has(connection, "search_by_words"):
        return
    try:
        with connection.transaction():
            connection.execute(statements["schema.trigram_index"].encode())
    except psycopg.Error as error:
        said = " ".join(str(error).split())
        _log.warning("event=no_trigram_index text=%r reason=%r", "searches for words read the whole log", said)
