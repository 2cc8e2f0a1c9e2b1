"""The fixtures of the acceptance tests: one browser and one filled house for each process of tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from dashboard.app import build
from dashboard.gate import StoreGate, record
from relay.actions import accounts
from relay.config import load_text
from relay.store import accounts as kept
from relay.store import open_store
from relay.store.audit import Actor, Via
from relay.store.protocols import Store, Tx
from tests.acceptance.browser import chromium, serving
from tests.acceptance.seed import Seeded, fill
from tests.dashboard.house import CONFIG, PEOPLE


@dataclass(frozen=True, slots=True, kw_only=True)
class FullHouse:
    """The pages over a filled store, with an account for each of tests.dashboard.house.PEOPLE."""

    base: str
    store: Store
    seeded: Seeded
    sessions: Mapping[str, str]  #: name -> what the session cookie holds


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # No longer than one file: while it is open an event loop runs in this thread, and asyncio.run() would fail.
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def full_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullHouse]:
    folder: Path = tmp_path_factory.mktemp("house")
    with open_store("sqlite:data/waybill.db", folder) as store:
        seeded = fill(store)
        config = load_text(CONFIG, base_dir=folder)
        sessions = {name: _signed_in(store, name) for name in PEOPLE}
        app = build(config, store, gate=StoreGate(store), audit=record, nudge=lambda: None)
        with serving(app) as base:
            yield FullHouse(base=base, store=store, seeded=seeded, sessions=sessions)


def _signed_in(store: Store, name: str) -> str:
    """Make an account and begin a session of it."""
    person, now = PEOPLE[name], datetime.now(UTC)
    root = Actor(by="root", via=Via.CLI)

    def work(tx: Tx) -> str:
        accounts.create_account(
            tx, name, role=person.role, apps=person.apps or (), may_read_content=person.may_read_content,
            actor=root, now=now,
        )  # fmt: skip
        account = kept.named(tx, name)
        assert account is not None
        return accounts.begin_session(tx, account, ip="127.0.0.1", agent="acceptance", now=now)

    return store.write_now(work)
