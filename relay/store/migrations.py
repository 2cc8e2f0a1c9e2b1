"""The steps from an empty file to the schema of this version, by sqlite_utils.Migrations.

Forward only, each step once, all pending steps in one BEGIN IMMEDIATE inside the writers' turn: two processes that
start together apply them once, and a crash leaves either the old or the new schema. A file that knows steps this
version does not know is newer than the program and is left alone. The text of a step is the section of its name in
sql/schema.sqlite.sql; a published step never changes.
"""

from __future__ import annotations

from pathlib import Path

from relay.errors import StoreError
from relay.store.sqlite import connect, db, translate

SET = "relay"

#: Every step there is, in order.
STEPS = (
    *("m0001_relay_core", "m0002_search", "m0003_nodes", "m0004_understanding", "m0005_tls"),
    "m0006_steering",
    "m0007_dsn",
    "m0008_deadlines",
    "m0009_accounts",
    "m0010_search",
    "m0011_views",
    "m0012_oidc",
    "m0013_urgency",
)


def applied(connection: db.Connection) -> list[str]:
    """Name the steps this file has seen, oldest first."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'").fetchone()
    if not known:
        return []
    rows = connection.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = ? ORDER BY rowid", (SET,))
    return [row[0] for row in rows.fetchall()]


def migrate(path: Path, statements: dict[str, str]) -> list[str]:
    """Bring the file up to date, inside the turn; return the steps that were applied.

    Raises:
        StoreError: the file is newer than this version, or a step failed (then nothing changed).
    """
    connection = connect(path)
    try:
        connection.execute("PRAGMA synchronous=FULL")
        pending = _pending(connection)
        if pending:
            connection.execute("BEGIN IMMEDIATE")
            pending = _pending(connection)  # an outsider without our turn may have been faster
            _apply(connection, statements)
            connection.execute("COMMIT")
        return pending
    except db.Error as error:
        raise translate(error) from error
    finally:
        connection.close()


def _pending(connection: db.Connection) -> list[str]:
    done = applied(connection)
    unknown = [name for name in done if name not in STEPS]
    if unknown:
        raise StoreError(f"the store is newer than this version of Waybill (it has {', '.join(unknown)})")
    return [name for name in STEPS if name not in done]


def _apply(connection: db.Connection, statements: dict[str, str]) -> None:
    # Here and not above: the import costs as much as a whole short command, and only a new or old file needs it.
    from sqlite_utils import Database, Migrations

    steps = Migrations(SET)

    def step(name: str) -> None:
        @steps(name=name)
        def run(database: Database) -> None:
            for statement in _split(statements[f"schema.{name}"]):
                database.execute(statement)

    for name in STEPS:
        step(name)
    steps.apply(Database(connection))


def _split(script: str) -> list[str]:
    """Cut a section into statements; executescript() would commit the transaction around it."""
    found, text = [], ""
    for line in script.splitlines():
        text += line + "\n"
        if db.complete_statement(text):
            found.append(text)
            text = ""
    if text.strip():
        found.append(text)
    return found
