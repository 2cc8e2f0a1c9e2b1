"""Open the store a URL names: the one way in for every process.

"sqlite:PATH" is a file; a relative path starts from the folder of the configuration file. Opening makes the folder
(0700) and the file (0600). "postgresql://…" is a database on a server, in any form that libpq knows; it needs the
extra `postgres`. Opening applies pending migrations and checks that commits will be durable.
"""

from __future__ import annotations

from pathlib import Path

from relay.errors import ConfigError
from relay.store import loader, migrations
from relay.store.engine import EngineStore
from relay.store.locks import make_folder
from relay.store.sqlite import SqliteBackend


def is_shared(url: str) -> bool:
    """Tell whether several nodes may work on the store that a URL names."""
    return url.startswith(("postgresql://", "postgres://"))


def open_store(url: str, base_dir: Path) -> EngineStore:
    """Open the store for this process.

    Raises:
        ConfigError: the URL names no store we know.
        StoreError: it cannot be opened, is not durable, or is newer than this version.
    """
    if is_shared(url):
        return _open_postgres(url)
    path = _path(url, base_dir)
    make_folder(path.parent)
    statements = loader.load("sqlite")
    backend = SqliteBackend(path, statements)
    try:
        with backend.turn:
            migrations.migrate(path, statements)
            writer = backend.open_writer()
    except BaseException:
        backend.close()
        raise
    return EngineStore(backend, writer)


def migrate(url: str, base_dir: Path) -> list[str]:
    """Bring the schema up to date and say which steps were applied (`waybill migrate`)."""
    if is_shared(url):
        _need_psycopg()
        from relay.store import postgres_schema

        return postgres_schema.migrate(url, loader.load("postgres"))
    path = _path(url, base_dir)
    make_folder(path.parent)
    statements = loader.load("sqlite")
    backend = SqliteBackend(path, statements)
    try:
        with backend.turn:
            return migrations.migrate(path, statements)
    finally:
        backend.close()


def scrub(url: str, base_dir: Path) -> bool:
    """Wipe what deleted rows left in the files of the database; False when others kept it busy, to be tried again.

    Raises:
        StoreError: the store cannot be opened.
    """
    if is_shared(url):
        _need_psycopg()
        from relay.store import postgres_schema

        return postgres_schema.scrub(url, loader.load("postgres"))
    path = _path(url, base_dir)
    backend = SqliteBackend(path, loader.load("sqlite"))
    try:
        return backend.scrub()
    finally:
        backend.close()


def folder_of(url: str, base_dir: Path) -> Path:
    """Give the folder on whose disk the store grows; a server's disk is its own business, and ours is base_dir's.

    Raises:
        ConfigError: the URL names no store we know.
    """
    if is_shared(url):
        return base_dir
    return _path(url, base_dir).parent


def is_there(url: str, base_dir: Path) -> bool:
    """Tell whether there is a store already, so that opening it makes no new one.

    Raises:
        ConfigError: the URL names no store we know.
    """
    return is_shared(url) or _path(url, base_dir).exists()


def _open_postgres(url: str) -> EngineStore:
    _need_psycopg()
    from relay.store import postgres_schema
    from relay.store.postgres import PostgresBackend

    statements = loader.load("postgres")
    postgres_schema.migrate(url, statements)
    backend = PostgresBackend(url, statements)
    return EngineStore(backend, backend.open_writer())


def _need_psycopg() -> None:
    """Say what to install, instead of a traceback: most nodes do without."""
    try:
        import psycopg  # noqa: F401  whether it is there is the question
    except ImportError as error:
        raise ConfigError([f"store.url: PostgreSQL needs pip install 'waybill-relay[postgres]' ({error})"]) from error


def _path(url: str, base_dir: Path) -> Path:
    scheme, colon, rest = url.partition(":")
    if scheme != "sqlite" or not colon or not rest:
        raise ConfigError([f'store.url: "{url}" names no store; write "sqlite:PATH" or "postgresql://…"'])
    path = Path(rest.removeprefix("//") if rest.startswith("///") else rest)
    return path if path.is_absolute() else base_dir / path
