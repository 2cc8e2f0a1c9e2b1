"""Links that let somebody in once: to choose a password, to make the first account, to give the code of a sign-in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from relay.store.protocols import Tx, Value
from relay.store.sessions import hash_of


class Purpose(StrEnum):
    """What a link is for."""

    WELCOME = "welcome"  #: choose the first password
    RESET = "reset"  #: choose another one
    FIRST_ADMIN = "first_admin"  #: make the first account
    DEMO = "demo"  #: sign in without a password
    SECOND_STEP = "second_step"  #: no link: the password was right, the code is to come


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A link that can still be used."""

    purpose: Purpose
    account_id: str | None  #: None: for whoever makes the first account
    expires_at: datetime


def add(tx: Tx, token: str, invitation: Invitation) -> None:
    """Keep a new link."""
    params: dict[str, Value] = {
        "token_hash": hash_of(token),
        "account_id": invitation.account_id,
        "purpose": invitation.purpose.value,
        "expires_at": invitation.expires_at,
    }
    tx.run("invitations.insert", params)


def find(tx: Tx, token: str, *, now: datetime) -> Invitation | None:
    """What a link is for; None when it was used, is too old, or never was one."""
    row = tx.one("invitations.open", {"token_hash": hash_of(token), "now": now})
    if row is None:
        return None
    return Invitation(purpose=Purpose(row["purpose"]), account_id=row["account_id"], expires_at=row["expires_at"])


def use(tx: Tx, token: str, *, now: datetime) -> bool:
    """Use a link up; False when that is no longer possible."""
    return tx.run("invitations.use", {"token_hash": hash_of(token), "now": now}) == 1


def end_all(tx: Tx, account_id: str) -> int:
    """End the links an account has."""
    return tx.run("invitations.end_all", {"account_id": account_id})


def end_first(tx: Tx) -> int:
    """End the links to make the first account."""
    return tx.run("invitations.end_first", {})
