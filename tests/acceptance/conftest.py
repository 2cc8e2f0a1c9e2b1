"""The fixtures of the acceptance tests: one browser and one filled house for each process of tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from dashboard.app import build
from relay.config import load_text
from relay.store import open_store
from relay.store.protocols import Store
from tests.acceptance.browser import chromium, serving
from tests.acceptance.seed import Seeded, fill
from tests.dashboard.house import CONFIG, KnownGate


@dataclass(frozen=True, slots=True, kw_only=True)
class FullHouse:
    """The pages over a filled store; the session cookie is a name of tests.dashboard.house.PEOPLE."""

    base: str
    store: Store
    seeded: Seeded


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def full_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullHouse]:
    folder: Path = tmp_path_factory.mktemp("house")
    with open_store("sqlite:data/waybill.db", folder) as store:
        seeded = fill(store)
        config = load_text(CONFIG, base_dir=folder)
        app = build(config, store, gate=KnownGate(), audit=lambda tx, **_: None, nudge=lambda: None)
        with serving(app) as base:
            yield FullHouse(base=base, store=store, seeded=seeded)
