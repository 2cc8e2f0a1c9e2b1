"""One-time links: to choose a password, to make the first account, to look at the demo.

A link holds 32 random bytes of which only the hash is kept. It is used once, and ends when another one is made for the
account, when its password changes, and with its time. A link to choose a password does not take the place of the
second step.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType

from relay.accounts import Account, Role, fault_of_name
from relay.actions.accounts.entering import SignIn, State, admit
from relay.actions.accounts.noting import Action, note
from relay.actions.accounts.people import create_account, set_password
from relay.store import accounts, invitations
from relay.store.audit import Actor, Via
from relay.store.invitations import Invitation, Purpose
from relay.store.protocols import Tx

#: How long a link can be used.
LASTS: Mapping[Purpose, timedelta] = MappingProxyType(
    {
        Purpose.WELCOME: timedelta(days=7),
        Purpose.RESET: timedelta(days=1),
        Purpose.FIRST_ADMIN: timedelta(days=1),
        Purpose.DEMO: timedelta(hours=1),
    }
)

_WRONG = SignIn(state=State.WRONG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """What a link that was opened is for."""

    purpose: Purpose
    account: Account | None  #: None: the account is still to be made


def make_invitation(tx: Tx, name: str, purpose: Purpose, *, actor: Actor, now: datetime) -> str | None:
    """Make a link for an account and give its token; None when there is none, it is disabled, or it has a provider."""
    account = accounts.named(tx, name)
    if account is None or account.is_disabled or account.is_connected:
        return None
    if purpose not in LASTS or purpose is Purpose.FIRST_ADMIN:
        return None
    invitations.end_all(tx, account.id)
    note(tx, Action.MAKE_LINK, account.name, actor=actor, now=now, text=purpose.value)
    return _new(tx, purpose, account.id, now=now)


def first_link(tx: Tx, *, now: datetime) -> str | None:
    """Give the token with which the first account is made; None once there is an account.

    Called at each start: links of earlier starts, which may stand in old logs, end with it.
    """
    if accounts.is_any(tx):
        return None
    invitations.end_first(tx)
    return _new(tx, Purpose.FIRST_ADMIN, None, now=now)


def invited(tx: Tx, token: str, *, now: datetime) -> Invited | None:
    """Tell what a link is for, before anything is done with it; None when it cannot be used (any more)."""
    found = invitations.find(tx, token, now=now)
    if found is None or found.purpose not in LASTS:
        return None
    if found.purpose is Purpose.FIRST_ADMIN:
        return None if accounts.is_any(tx) else Invited(purpose=found.purpose, account=None)
    account = accounts.get(tx, found.account_id or "")
    if account is None or account.is_disabled or account.is_connected:
        return None
    return Invited(purpose=found.purpose, account=account)


def use_invitation(
    tx: Tx,
    token: str,
    *,
    ip: str,
    agent: str,
    now: datetime,
    password_hash: str = "",
    name: str = "",
    shown: str = "",
) -> SignIn:
    """Use a link up and sign in with it.

    All but demo links need the hash of a new password (`make_hash`), the first admin's also a name (fault_of_name says
    what is wrong with one). What is missing leaves the link as it was and gives `wrong`.
    """
    found = invited(tx, token, now=now)
    if found is None or (found.purpose is not Purpose.DEMO and not password_hash):
        return _WRONG
    if found.account is None and fault_of_name(name) is not None:
        return _WRONG
    if not invitations.use(tx, token, now=now):
        return _WRONG
    actor = Actor(by=found.account.name if found.account is not None else name, via=Via.PAGE, ip=ip)
    if found.account is None:
        made = create_account(tx, name, role=Role.ADMIN, shown=shown, password_hash=password_hash, actor=actor, now=now)
        if not made.is_done:
            return _WRONG  # somebody made an account of that name meanwhile
    elif found.purpose is not Purpose.DEMO:
        set_password(tx, found.account.name, password_hash=password_hash, actor=actor, now=now)
    note(tx, Action.USE_LINK, actor.by, actor=actor, now=now, text=found.purpose.value)
    account = accounts.named(tx, actor.by)
    return _WRONG if account is None else admit(tx, account, code="", ip=ip, agent=agent, now=now)


def _new(tx: Tx, purpose: Purpose, account_id: str | None, *, now: datetime) -> str:
    token = secrets.token_urlsafe(32)
    made = Invitation(purpose=purpose, account_id=account_id, expires_at=now + LASTS[purpose])
    invitations.add(tx, token, made)
    return token
