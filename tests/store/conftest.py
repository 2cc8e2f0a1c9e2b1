"""The store under test: every test that takes `store` runs on each backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from relay.store import open_store
from relay.store.engine import EngineStore

#: One entry per backend; a second one gets the whole suite.
BACKENDS: dict[str, Callable[[Path], EngineStore]] = {
    "sqlite": lambda folder: open_store("sqlite:data/waybill.db", folder),
}


@pytest.fixture(params=sorted(BACKENDS))
def open_one(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], EngineStore]]:
    """Opens the same store again and again, as several processes would."""
    stores: list[EngineStore] = []

    def open_now() -> EngineStore:
        stores.append(BACKENDS[request.param](tmp_path))
        return stores[-1]

    yield open_now
    for store in stores:
        store.close()


@pytest.fixture
def store(open_one: Callable[[], EngineStore]) -> EngineStore:
    return open_one()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where the SQLite file of `store` lies."""
    return tmp_path / "data" / "waybill.db"
