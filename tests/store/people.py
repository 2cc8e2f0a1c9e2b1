"""People who sign in, made for tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from relay.accounts import Account, Role
from relay.model import new_id
from relay.store import accounts
from relay.store.audit import Actor, Via
from relay.store.engine import EngineStore
from tests.store.making import NOW

PAGE = Actor(by="boss", via=Via.PAGE, ip="192.0.2.9")


def account(name: str = "anna", **values: Any) -> Account:
    return replace(Account(id=new_id(), name=name, role=Role.SUPPORT, created_at=NOW), **values)


def add(store: EngineStore, name: str = "anna", **values: Any) -> Account:
    """Put an account into the store."""
    made = account(name, **values)
    assert store.write_now(lambda tx: accounts.add(tx, made))
    return made
