"""Make and change accounts. The last admin who can sign in is neither disabled nor made less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from relay.accounts import Account, Role, fault_of_apps, fault_of_name
from relay.actions.accounts.noting import Action, note
from relay.actions.accounts.visits import end_all
from relay.actions.answer import Answer, no
from relay.model import new_id
from relay.store import accounts, invitations
from relay.store.audit import Actor
from relay.store.protocols import Tx
from relay.wording import say

_SHOWN = 100

_ROLES = {
    Role.VIEWER: say("viewer"),
    Role.SUPPORT: say("support"),
    Role.OPERATOR: say("operator"),
    Role.ADMIN: say("admin"),
}


def create_account(
    tx: Tx,
    name: str,
    *,
    role: Role,
    actor: Actor,
    now: datetime,
    shown: str = "",
    apps: Sequence[str] = (),
    may_read_content: bool = True,
    password_hash: str = "",
) -> Answer:
    """Make an account; without a password nobody can sign in to it until a link was used."""
    fault = fault_of_name(name) or fault_of_apps(tuple(apps))
    if fault is not None:
        return no("bad_value", fault)
    account = Account(
        id=new_id(),
        name=name,
        shown=" ".join(shown.split())[:_SHOWN],
        role=role,
        apps=tuple(dict.fromkeys(apps)),
        may_read_content=may_read_content,
        password_hash=password_hash,
        created_at=now,
    )
    if not accounts.add(tx, account):
        return no("taken", say("There is an account {name} already.", name=name))
    if role is Role.ADMIN:
        invitations.end_first(tx)
    note(tx, Action.ADD_ACCOUNT, name, actor=actor, now=now, text=_rights(account))
    return Answer(
        key="done", sentence=say("Account {name} was made: {what}.", name=name, what=_rights(account)), count=1
    )


def change_account(
    tx: Tx,
    name: str,
    *,
    actor: Actor,
    now: datetime,
    shown: str | None = None,
    role: Role | None = None,
    apps: Sequence[str] | None = None,
    may_read_content: bool | None = None,
) -> Answer:
    """Change what is given; with other rights the account has to sign in anew."""
    account = accounts.named(tx, name)
    if account is None:
        return _unknown(name)
    if (fault := fault_of_apps(tuple(apps or ()))) is not None:
        return no("bad_value", fault)
    wanted = replace(
        account,
        shown=account.shown if shown is None else " ".join(shown.split())[:_SHOWN],
        role=account.role if role is None else role,
        apps=account.apps if apps is None else tuple(dict.fromkeys(apps)),
        may_read_content=account.may_read_content if may_read_content is None else may_read_content,
    )
    if wanted == account:
        return Answer(
            key="unchanged", sentence=say("{name} is so already: {what}.", name=account.name, what=_rights(account))
        )
    if wanted.role is not Role.ADMIN and _is_last_admin(tx, account):
        return _last(account)
    accounts.change(tx, wanted)
    if _rights(wanted) != _rights(account):
        end_all(tx, account)
    note(
        tx,
        Action.CHANGE_ACCOUNT,
        account.name,
        actor=actor,
        now=now,
        text=say("from {what} to {which}", what=_rights(account), which=_rights(wanted)),
    )
    return Answer(key="done", sentence=say("{name} is now {what}.", name=account.name, what=_rights(wanted)), count=1)


def disable_account(tx: Tx, name: str, *, actor: Actor, now: datetime) -> Answer:
    """Let nobody sign in to an account any more, and end its sessions and links; what it did stays in the log."""
    account = accounts.named(tx, name)
    if account is None:
        return _unknown(name)
    if _is_last_admin(tx, account):
        return _last(account)
    if not accounts.disable(tx, account.id, at=now):
        return Answer(key="unchanged", sentence=say("{name} is disabled already.", name=account.name))
    end_all(tx, account)
    note(tx, Action.DISABLE_ACCOUNT, account.name, actor=actor, now=now)
    return Answer(key="done", sentence=say("{name} is disabled and signed out everywhere.", name=account.name), count=1)


def enable_account(tx: Tx, name: str, *, actor: Actor, now: datetime) -> Answer:
    """Let its owner sign in again, with the password it had."""
    account = accounts.named(tx, name)
    if account is None:
        return _unknown(name)
    if not accounts.enable(tx, account.id):
        return Answer(key="unchanged", sentence=say("{name} is not disabled.", name=account.name))
    note(tx, Action.ENABLE_ACCOUNT, account.name, actor=actor, now=now)
    return Answer(key="done", sentence=say("{name} can sign in again.", name=account.name), count=1)


def set_password(tx: Tx, name: str, *, password_hash: str, actor: Actor, now: datetime) -> Answer:
    """Give an account another password (made by `make_hash`); it is signed out everywhere."""
    account = accounts.named(tx, name)
    if account is None:
        return _unknown(name)
    if account.is_connected:
        return no(
            "connected",
            say("{name} signs in with the provider; disconnect it to give it a password.", name=account.name),
        )
    accounts.set_password(tx, account.id, password_hash=password_hash)
    end_all(tx, account)
    note(tx, Action.SET_PASSWORD, account.name, actor=actor, now=now)
    sentence = say("{name} has a new password and is signed out everywhere.", name=account.name)
    return Answer(key="done", sentence=sentence, count=1)


def prefer(tx: Tx, wanted: Account, *, actor: Actor, now: datetime) -> None:
    """Keep language, zone, theme, letter keys and height of rows of an account."""
    accounts.prefer(tx, wanted)
    note(tx, Action.CHANGE_PREFERENCES, wanted.name, actor=actor, now=now)


def _rights(account: Account) -> str:
    apps = ", ".join(account.apps)
    if not account.may_read_content:
        return say("{role}, may not read mail[, only {apps}]", role=_ROLES[account.role], apps=apps)
    return say("{role}, only {apps}", role=_ROLES[account.role], apps=apps) if apps else _ROLES[account.role]


def _is_last_admin(tx: Tx, account: Account) -> bool:
    is_admin = account.role is Role.ADMIN and not account.is_disabled
    return is_admin and not accounts.has_other_admin(tx, account.id)


def _last(account: Account) -> Answer:
    return no("last_admin", say("{name} is the only admin; make another one first.", name=account.name))


def _unknown(name: str) -> Answer:
    return no("not_found", say("There is no account {name}.", name=name))
