"""Signing in with the word of a provider, and which account that is. What the word must be worth is checked before.

An account is either local or a provider's: connecting takes password and second step away, and the provider asks for
what it thinks fit. Rights follow the groups at every sign-in. Who is refused loses the sessions that stand on an older
word. A provider's word never makes the last admin less, because nobody could then mend the accounts; it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from relay.accounts import Account
from relay.actions.accounts.entering import SignIn, State, begin_session
from relay.actions.accounts.noting import Action, note
from relay.actions.accounts.people import change_account, create_account
from relay.actions.accounts.visits import end_all
from relay.actions.answer import Answer, no
from relay.oidc import Grant, Guest, granted
from relay.settings import Oidc
from relay.store import accounts, form_tokens, sign_ins
from relay.store.audit import Actor, Via
from relay.store.protocols import Tx
from relay.wording import say

_GROUPS = 20  #: as many are named in the audit log


class Refusal(StrEnum):
    """Why somebody for whom the provider vouches stays out."""

    NO_ACCOUNT = "no_account"  #: new, and accounts are made by admins
    NO_NAME = "no_name"  #: new, and nothing the provider says can be the name of an account
    TAKEN = "taken"  #: new, and an account that is not theirs has the name
    NO_ROLE = "no_role"  #: no group of theirs gives a role
    LAST_ADMIN = "last_admin"  #: their groups would leave nobody who can make accounts
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The browser that somebody came with."""

    ip: str
    agent: str


def may_come(tx: Tx, *, ip: str, now: datetime) -> bool:
    """Tell whether this client may bring an answer of the provider now."""
    return not sign_ins.is_outside_throttled(tx, ip=ip, now=now)


def fail_outside(tx: Tx, reason: str, *, ip: str, now: datetime, name: str = "") -> None:
    """Count and write down a sign-in that came to nothing; `name` is that of the account, when it is known."""
    sign_ins.fail_outside(tx, ip=ip, now=now)
    note(tx, Action.SIGN_IN_FAILED, name, actor=Actor(by="", via=Via.PAGE, ip=ip), now=now, text=reason)


def enter_outside(
    tx: Tx, guest: Guest, settings: Oidc, *, answer: str, caller: Caller, now: datetime
) -> SignIn | Refusal:
    """Let somebody in for whom the provider vouches, with what their groups give; one answer counts once."""
    if form_tokens.take(tx, f"sso:{answer}", now=now) is not None:
        return SignIn(state=State.WRONG)
    found = accounts.of_subject(tx, guest.issuer, guest.subject)
    known = accounts.take(tx, found.id) if found is not None else None
    account = _rightful(tx, guest, known, settings, ip=caller.ip, now=now)
    if isinstance(account, Refusal):
        if known is not None:
            end_all(tx, known)
        name = known.name if known is not None else ""
        fail_outside(tx, _told(account, guest), ip=caller.ip, now=now, name=name)
        return account
    token = begin_session(tx, account, ip=caller.ip, agent=caller.agent, now=now)
    note(tx, Action.SIGN_IN, account.name, actor=_itself(account.name, caller.ip), now=now, text=guest.issuer)
    return SignIn(state=State.OK, account=account, token=token)


def connect_account(tx: Tx, name: str, *, issuer: str, subject: str, actor: Actor, now: datetime) -> Answer:
    """Let an account be entered by the word of a provider alone; its password and second step go."""
    account = accounts.named(tx, name)
    if account is None:
        return no("not_found", say("There is no account {name}.", name=name))
    if (account.issuer, account.subject) == (issuer, subject):
        return Answer(key="unchanged", sentence=say("{name} is connected so already.", name=account.name))
    if not subject or not accounts.connect(tx, account.id, issuer=issuer, subject=subject):
        return no("taken", say("{subject} is connected to another account already.", subject=subject))
    end_all(tx, account)
    note(tx, Action.CONNECT_ACCOUNT, account.name, actor=actor, now=now, text=f"{issuer} {subject}")
    return Answer(
        key="done",
        sentence=say("{name} signs in with {issuer} from now on.", name=account.name, issuer=issuer),
        count=1,
    )


def disconnect_account(tx: Tx, name: str, *, actor: Actor, now: datetime) -> Answer:
    """Make an account local again; without a password, until it is given one."""
    account = accounts.named(tx, name)
    if account is None:
        return no("not_found", say("There is no account {name}.", name=name))
    if not account.is_connected:
        return Answer(key="unchanged", sentence=say("{name} is a local account already.", name=account.name))
    accounts.disconnect(tx, account.id)
    end_all(tx, account)
    note(tx, Action.DISCONNECT_ACCOUNT, account.name, actor=actor, now=now, text=f"{account.issuer} {account.subject}")
    return Answer(
        key="done", sentence=say("{name} is a local account; give it a password.", name=account.name), count=1
    )


def _rightful(
    tx: Tx, guest: Guest, known: Account | None, settings: Oidc, *, ip: str, now: datetime
) -> Account | Refusal:
    """Give the account, with the rights it has from now on."""
    if known is not None and known.is_disabled:
        return Refusal.DISABLED
    grant = granted(guest.groups, settings)
    if settings.roles and grant is None:
        return Refusal.NO_ROLE
    if known is None:
        return _made(tx, guest, grant, settings, ip=ip, now=now)
    if grant is None:
        return known
    answer = change_account(
        tx,
        known.name,
        role=grant.role,
        apps=grant.apps if settings.apps else None,
        actor=_itself(known.name, ip),
        now=now,
    )
    return Refusal.LAST_ADMIN if answer.key == "last_admin" else accounts.get(tx, known.id) or Refusal.NO_ACCOUNT


def _made(tx: Tx, guest: Guest, grant: Grant | None, settings: Oidc, *, ip: str, now: datetime) -> Account | Refusal:
    if not settings.create or grant is None:
        return Refusal.NO_ACCOUNT
    if not guest.name:
        return Refusal.NO_NAME
    actor = _itself(guest.name, ip)
    made = create_account(tx, guest.name, role=grant.role, apps=grant.apps, shown=guest.shown, actor=actor, now=now)
    if made.is_done:
        account = accounts.named(tx, guest.name)
        assert account is not None  # it was just made
        connect_account(tx, account.name, issuer=guest.issuer, subject=guest.subject, actor=actor, now=now)
    # Another node may have made it since we looked; an account of that name that is nobody's we know is left alone.
    return accounts.of_subject(tx, guest.issuer, guest.subject) or Refusal.TAKEN


def _itself(name: str, ip: str) -> Actor:
    return Actor(by=name, via=Via.PAGE, ip=ip)


def _told(refusal: Refusal, guest: Guest) -> str:
    """Say in the audit log who it was, so that an admin can connect the account or give a group."""
    more = len(guest.groups) - _GROUPS
    groups = ", ".join(guest.groups[:_GROUPS]) + (f" and {more} more" if more > 0 else "")
    return f"{refusal}: {guest.name or '-'}, subject {guest.subject}, groups {groups or '-'}"
