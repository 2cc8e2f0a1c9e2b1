"""Who asks: the session behind a cookie, and how sessions end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relay.accounts import Account
from relay.actions.accounts.noting import Action, note
from relay.actions.answer import Answer, no
from relay.store import accounts, invitations, sessions
from relay.store.audit import Actor
from relay.store.protocols import Tx
from relay.store.sessions import Session
from relay.wording import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request of somebody who is signed in."""

    account: Account
    session: Session
    is_touch_due: bool  #: whether `touch` has something to write


def visit(tx: Tx, token: str, *, now: datetime) -> Visit | None:
    """Tell who has this token in the cookie; None when the session is over or never was."""
    session = sessions.alive(tx, token, now=now) if token else None
    account = accounts.get(tx, session.account_id) if session is not None else None
    if session is None or account is None or account.is_disabled:
        return None
    return Visit(account=account, session=session, is_touch_due=session.seen_at <= now - sessions.TOUCH)


def who(tx: Tx, token: str, *, now: datetime) -> Account | None:
    """Tell whose session it is; None when it is over or never was."""
    found = visit(tx, token, now=now)
    return found.account if found is not None else None


def touch(tx: Tx, token: str, *, now: datetime) -> None:
    """Remember that a session was used just now; at most once a minute something is written."""
    session = sessions.alive(tx, token, now=now)
    if session is not None and sessions.touch(tx, token, now=now):
        accounts.seen(tx, session.account_id, at=now)


def sign_out(tx: Tx, token: str, *, actor: Actor, now: datetime) -> bool:
    """End the session of a token; False when it was over already."""
    session = sessions.alive(tx, token, now=now)
    if session is None:
        return False
    sessions.end(tx, session.token_hash, account_id=session.account_id)
    note(tx, Action.SIGN_OUT, actor.by, actor=actor, now=now)
    return True


def end_session(tx: Tx, account: Account, *, token_hash: str, actor: Actor, now: datetime) -> bool:
    """End one of an account's sessions, as the list of them names it; False when it has none such."""
    if not sessions.end(tx, token_hash, account_id=account.id):
        return False
    note(tx, Action.SIGN_OUT, account.name, actor=actor, now=now)
    return True


def sign_out_everywhere(tx: Tx, name: str, *, actor: Actor, now: datetime) -> Answer:
    """End all sessions and links of an account."""
    account = accounts.named(tx, name)
    if account is None:
        return no("not_found", say("There is no account {name}.", name=name))
    count = end_all(tx, account)
    note(tx, Action.SIGN_OUT_EVERYWHERE, account.name, actor=actor, now=now)
    sentence = say("{name} is signed out everywhere.", name=account.name)
    if count == 0:
        sentence = say("{name} is nowhere signed in.", name=account.name)
    return Answer(key="done", sentence=sentence, count=count)


def end_all(tx: Tx, account: Account) -> int:
    """End what lets an account in without its password; give how many sessions there were."""
    invitations.end_all(tx, account.id)
    return sessions.end_all(tx, account.id)
