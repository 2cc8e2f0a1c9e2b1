"""Who a session belongs to, as the store knows it, and how the audit log hears of what people do here."""

from __future__ import annotations

from datetime import datetime

from dashboard.access import Person
from relay.accounts import Account
from relay.actions import accounts
from relay.store import audit
from relay.store.audit import Actor, Entry, Via
from relay.store.protocols import Store, Tx


class StoreGate:
    """The gate over the accounts of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def person_of(self, token: str, *, now: datetime) -> Person | None:
        """Give the person of a session that is alive; None for every other text."""
        visit = await self._store.read(lambda tx: accounts.visit(tx, token, now=now))
        if visit is None:
            return None
        if visit.is_touch_due:
            await self._store.write(lambda tx: accounts.touch(tx, token, now=now))
        return person(visit.account)


def person(account: Account) -> Person:
    """What the pages know of an account."""
    return Person(
        id=account.id,
        name=account.name,
        role=account.role,
        may_read_content=account.may_read_content,
        apps=account.apps or None,
        language=account.language,
        zone=account.zone,
        theme=account.theme,
        has_keys=not account.keys_off,
        is_compact=account.is_compact,
    )


def actor(name: str, ip: str) -> Actor:
    """Who does something on a page."""
    return Actor(by=name, via=Via.PAGE, ip=ip)


def record(tx: Tx, *, by: str, ip: str, action: str, kind: str, on: str, note: str, at: datetime) -> None:
    """Write one row of the audit log, in the transaction of what it tells of."""
    audit.add(tx, Entry(at=at, actor=actor(by, ip), action=action, object_kind=kind, object=on, note=note))
