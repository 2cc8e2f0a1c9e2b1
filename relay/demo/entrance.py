"""The way into the pages of the demo: a past to look at, an account, a link that needs no password.

Used only when the demo stays up. The account is an admin's, since whoever starts the demo shall see everything; its
password is made anew each time, and nothing but this machine reaches the pages.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from relay.accounts import Role, link_of
from relay.actions import accounts
from relay.config import load
from relay.demo import history
from relay.demo.bookings import STORY_DOMAINS
from relay.demo.dns import FakeDns, Records
from relay.demo.guests import DOMAINS
from relay.store.audit import Actor, Via
from relay.store.invitations import Purpose
from relay.store.open import open_store
from relay.store.protocols import Tx

NAME = "demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """How somebody gets in."""

    link: str  #: works once, without a password
    url: str
    password: str
    deliveries: int  #: in the past that was written


def prepare(config_path: Path, *, now: datetime | None = None) -> Entrance:
    """Fill the store of a relay that does not run yet, and make the account."""
    config, now = load(config_path), now or datetime.now(UTC)
    password = secrets.token_hex(6)
    hashed = accounts.make_hash(password)

    def make(tx: Tx) -> str | None:
        actor = Actor(by=NAME, via=Via.CLI)
        accounts.create_account(tx, NAME, role=Role.ADMIN, shown="Demo", password_hash=hashed, actor=actor, now=now)
        return accounts.make_invitation(tx, NAME, Purpose.DEMO, actor=actor, now=now)

    with open_store(config.store.url, config.base_dir) as store:
        count = history.fill(store, now=now)
        token = store.write_now(make)
    url = config.dashboard.url
    return Entrance(link=link_of(url, token or ""), url=url, password=password, deliveries=count)


def publish(dns: FakeDns, *, host: str) -> None:
    """Let the domains of the past take mail, so that what is sent to them today arrives."""
    for domain in (*DOMAINS, *STORY_DOMAINS):
        dns.set(domain, Records(mx=((10, host),)))
