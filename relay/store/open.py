"""Open the store a URL names: the one way in for every process.

"sqlite:PATH" is a file; a relative path starts from the folder of the configuration file. Opening makes the folder
(0700) and the file (0600), applies pending migrations and checks that commits will be durable.
"""

from __future__ import annotations

from pathlib import Path

from relay.errors import ConfigError
from relay.store import loader, migrations
from relay.store.engine import EngineStore
from relay.store.locks import make_folder
from relay.store.sqlite import SqliteBackend


def open_store(url: str, base_dir: Path) -> EngineStore:
    """Open the store for this process.

    Raises:
        ConfigError: the URL names no store we know.
        StoreError: it cannot be opened, is not durable, or is newer than this version.
    """
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
    path = _path(url, base_dir)
    make_folder(path.parent)
    statements = loader.load("sqlite")
    backend = SqliteBackend(path, statements)
    try:
        with backend.turn:
            return migrations.migrate(path, statements)
    finally:
        backend.close()


def folder_of(url: str, base_dir: Path) -> Path:
    """Give the folder on whose disk the store grows.

    Raises:
        ConfigError: the URL names no store we know.
    """
    return _path(url, base_dir).parent


def is_there(url: str, base_dir: Path) -> bool:
    """Tell whether there is a store already, so that opening it makes no new one.

    Raises:
        ConfigError: the URL names no store we know.
    """
    return _path(url, base_dir).exists()


def _path(url: str, base_dir: Path) -> Path:
    scheme, colon, rest = url.partition(":")
    if scheme != "sqlite" or not colon or not rest:
        raise ConfigError([f'store.url: "{url}" names no store; write "sqlite:PATH"'])
    path = Path(rest.removeprefix("//") if rest.startswith("///") else rest)
    return path if path.is_absolute() else base_dir / path
