"""Signing in: look, verify, settle, and the code of the second step. How they fit together stands in the package."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from relay import totp
from relay.accounts import Account, prepared
from relay.actions.accounts.noting import Action, note
from relay.passwords import hash_password, nobodys_hash, verify_password
from relay.store import accounts, invitations, sessions, sign_ins
from relay.store.audit import Actor, Via
from relay.store.invitations import Invitation, Purpose
from relay.store.protocols import Tx

#: How long somebody may look for the telephone.
_TICKET = timedelta(minutes=5)

_NOBODY = nobodys_hash()


class State(StrEnum):
    """How a sign-in ended."""

    OK = "ok"
    WRONG = "wrong"  #: name, password, code or link; or the account is disabled
    THROTTLED = "throttled"
    NEEDS_TOTP = "needs_totp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is known before the password is checked."""

    name: str  #: as it was typed
    ip: str
    account_id: str  #: "" = there is none of that name
    password_hash: str = field(repr=False)
    is_throttled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SignIn:
    """What came of it."""

    state: State
    account: Account | None = None  #: when ok
    token: str = field(default="", repr=False)  #: when ok: for the cookie
    ticket: str = field(default="", repr=False)  #: when needs_totp: for `second_step`


def look(tx: Tx, name: str, *, ip: str, now: datetime) -> Look:
    """Read what the password is checked against."""
    account = accounts.named(tx, name)
    return Look(
        name=name,
        ip=ip,
        account_id=account.id if account is not None else "",
        password_hash=account.password_hash if account is not None else "",
        is_throttled=sign_ins.is_throttled(tx, name, ip=ip, now=now),
    )


def verify(seen: Look, password: str) -> bool:
    """Check a password; slow on purpose, so in a thread and outside every transaction.

    Without an account, or without a password of its own, it takes as long. Who must wait anyway costs us nothing.
    """
    if seen.is_throttled:
        return False
    given = prepared(password).encode("utf-8", "surrogatepass")
    return verify_password(given, seen.password_hash or _NOBODY) and bool(seen.password_hash)


def make_hash(password: str) -> str:
    """Hash a new password; slow on purpose, like `verify`."""
    return hash_password(prepared(password))


def settle(tx: Tx, seen: Look, *, is_right: bool, agent: str, now: datetime, code: str = "") -> SignIn:
    """Let somebody in, or count the failure."""
    account = _proven(tx, seen, is_right=is_right, now=now)
    if isinstance(account, State):
        return SignIn(state=account)
    return admit(tx, account, code=code, ip=seen.ip, agent=agent, now=now)


def confirm(tx: Tx, seen: Look, *, is_right: bool, now: datetime) -> State:
    """Tell whether whoever is signed in gave the right password once more: ok, wrong or throttled."""
    account = _proven(tx, seen, is_right=is_right, now=now)
    return account if isinstance(account, State) else State.OK


def second_step(tx: Tx, ticket: str, code: str, *, ip: str, agent: str, now: datetime) -> SignIn:
    """Let somebody in whose password was right, if the code is; a wrong code may be tried again."""
    found = invitations.find(tx, ticket, now=now)
    if found is None or found.purpose is not Purpose.SECOND_STEP:
        return SignIn(state=State.WRONG)
    account = accounts.take(tx, found.account_id or "")
    if account is None or account.is_disabled:
        return SignIn(state=State.WRONG)
    if sign_ins.is_throttled(tx, account.name, ip=ip, now=now):
        return SignIn(state=State.THROTTLED)
    if not _takes(tx, account, code, now=now):
        return SignIn(state=_failed(tx, account.name, account, ip=ip, now=now))
    if not invitations.use(tx, ticket, now=now):  # used by another request, or ended with the password
        return SignIn(state=State.WRONG)
    return _enter(tx, account, ip=ip, agent=agent, now=now)


def admit(tx: Tx, account: Account, *, code: str, ip: str, agent: str, now: datetime) -> SignIn:
    """Go on after the first step: ask for the code, or check it, or begin the session."""
    if account.has_second_step:
        if not code.strip():
            ticket = secrets.token_urlsafe(32)
            step = Invitation(purpose=Purpose.SECOND_STEP, account_id=account.id, expires_at=now + _TICKET)
            invitations.add(tx, ticket, step)
            return SignIn(state=State.NEEDS_TOTP, ticket=ticket)
        if not _takes(tx, account, code, now=now):
            return SignIn(state=_failed(tx, account.name, account, ip=ip, now=now))
    return _enter(tx, account, ip=ip, agent=agent, now=now)


def begin_session(tx: Tx, account: Account, *, ip: str, agent: str, now: datetime) -> str:
    """Begin a session and give its token, which stands nowhere else."""
    token = secrets.token_urlsafe(32)
    sessions.begin(tx, token, account_id=account.id, ip=ip, agent=agent, now=now)
    accounts.seen(tx, account.id, at=now)
    return token


def _proven(tx: Tx, seen: Look, *, is_right: bool, now: datetime) -> Account | State:
    """Give the account whose password it is, as it stands now; else what to answer."""
    account = accounts.take(tx, seen.account_id)
    if seen.is_throttled or sign_ins.is_throttled(tx, seen.name, ip=seen.ip, now=now):
        return State.THROTTLED
    # Meanwhile the account may have been disabled, or got another password than the one that was checked.
    if not is_right or account is None or account.is_disabled or account.password_hash != seen.password_hash:
        return _failed(tx, seen.name, account, ip=seen.ip, now=now)
    return account


def _takes(tx: Tx, account: Account, code: str, *, now: datetime) -> bool:
    if account.totp_secret is None:
        return False
    step = totp.match(account.totp_secret, code, now=now, last_step=account.totp_last_step)
    return step is not None and accounts.use_step(tx, account.id, secret=account.totp_secret, step=step)


def _enter(tx: Tx, account: Account, *, ip: str, agent: str, now: datetime) -> SignIn:
    token = begin_session(tx, account, ip=ip, agent=agent, now=now)
    note(tx, Action.SIGN_IN, account.name, actor=Actor(by=account.name, via=Via.PAGE, ip=ip), now=now)
    return SignIn(state=State.OK, account=account, token=token)


def _failed(tx: Tx, name: str, account: Account | None, *, ip: str, now: datetime) -> State:
    """Count a failure. It was nobody we know, and a name that was typed wrong may be a password: neither is written."""
    sign_ins.fail(tx, name, ip=ip, now=now)
    known = account.name if account is not None else ""
    note(tx, Action.SIGN_IN_FAILED, known, actor=Actor(by="", via=Via.PAGE, ip=ip), now=now)
    return State.WRONG
