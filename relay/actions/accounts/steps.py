"""The second step of an account: begun with a new secret, on once a code of it was given, removed."""

from __future__ import annotations

import secrets
from datetime import datetime

from relay import totp
from relay.accounts import Account
from relay.actions.accounts.noting import Action, note
from relay.actions.answer import Answer, no
from relay.store import accounts
from relay.store.audit import Actor
from relay.store.protocols import Tx
from relay.wording import say


def start_totp(tx: Tx, account: Account) -> str | None:
    """Make a secret for the telephone (totp.uri writes it); None when the second step is on, remove it first.

    Nothing changes for signing in until a code of it was confirmed; starting again makes another secret.
    """
    known = accounts.get(tx, account.id)
    if known is None or known.has_second_step:
        return None
    secret = totp.secret_of(secrets.token_bytes(totp.SECRET_BYTES))
    accounts.set_totp(tx, account.id, secret=secret)
    return secret


def confirm_totp(tx: Tx, account: Account, code: str, *, actor: Actor, now: datetime) -> Answer:
    """Switch the second step on, when the code shows that the telephone has the secret."""
    known = accounts.get(tx, account.id)
    if known is None or known.totp_secret is None or known.has_second_step:
        return no("not_started", say("There is no second step to confirm."))
    step = totp.match(known.totp_secret, code, now=now, last_step=None)
    if step is None or not accounts.use_step(tx, known.id, secret=known.totp_secret, step=step):
        return no("wrong", say("The code is wrong; look at the clock of the telephone and take the newest one."))
    note(tx, Action.ADD_SECOND_STEP, known.name, actor=actor, now=now)
    return Answer(key="done", sentence=say("{name} signs in with a code from now on.", name=known.name), count=1)


def remove_totp(tx: Tx, name: str, *, actor: Actor, now: datetime) -> Answer:
    """Let an account sign in without a code again: a telephone was lost, or its owner wants it so."""
    account = accounts.named(tx, name)
    if account is None:
        return no("not_found", say("There is no account {name}.", name=name))
    if account.totp_secret is None:
        return Answer(key="unchanged", sentence=say("{name} signs in without a code already.", name=account.name))
    accounts.set_totp(tx, account.id, secret=None)
    note(tx, Action.REMOVE_SECOND_STEP, account.name, actor=actor, now=now)
    return Answer(key="done", sentence=say("{name} signs in without a code.", name=account.name), count=1)
