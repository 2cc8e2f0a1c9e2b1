"""The store under test: every test that takes `store` runs on each backend, but for those about SQLite's file.

A test that takes `database`, the path of the SQLite file, runs on SQLite alone. `store_url` is in tests/conftest.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from relay.store import open_store
from relay.store.engine import EngineStore
from relay.store.sqlite import connect


@pytest.fixture
def open_one(store_url: str, tmp_path: Path) -> Iterator[Callable[[], EngineStore]]:
    """Opens the same store again and again, as several processes would."""
    with ExitStack() as stores:
        yield lambda: stores.enter_context(open_store(store_url, tmp_path))


@pytest.fixture
def store(open_one: Callable[[], EngineStore]) -> EngineStore:
    return open_one()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the SQLite file of `store` lies."""
    return tmp_path / "data" / "waybill.db"


@pytest.fixture
def meddle(store_url: str) -> Callable[[str], None]:
    """Changes the store behind its back, as a fault or a person with another tool would."""

    def run(sql: str) -> None:
        if store_url.startswith("sqlite:"):
            connection = connect(Path(store_url.removeprefix("sqlite:")))
            connection.execute(sql)
            connection.close()
        else:
            with psycopg.connect(store_url, autocommit=True) as server:
                server.execute(re.sub(r"\bx'([0-9a-f]*)'", r"'\\x\1'::bytea", sql).replace("BLOB", "BYTEA").encode())

    return run
