"""Tokens: made once, shown once, found by their hash, revoked by their name."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime

from relay.accounts import Role, fault_of_apps, fault_of_name
from relay.actions.accounts.noting import Action, note
from relay.actions.answer import Answer, no
from relay.store import tokens
from relay.store.audit import Actor
from relay.store.protocols import Tx
from relay.store.tokens import Token
from relay.wording import say

#: How a token begins, so that it is known for one of ours wherever it turns up.
PREFIX = "wb_"
_SHOWN = len(PREFIX) + 6


def add_token(tx: Tx, name: str, *, role: Role, actor: Actor, now: datetime, apps: Sequence[str] = ()) -> str | Answer:
    """Make a token and give it, this once; an Answer says why not."""
    fault = fault_of_name(name) or fault_of_apps(tuple(apps))
    if fault is not None:
        return no("bad_value", fault)
    secret = PREFIX + secrets.token_urlsafe(32)
    made = Token(
        name=name, prefix=secret[:_SHOWN], role=role, apps=tuple(dict.fromkeys(apps)), created_at=now, by=actor.by
    )
    if not tokens.add(tx, secret, made):
        return no("taken", say("There is a token {name} already; revoke it first.", name=name))
    text = say("{role}, only {apps}", role=role, apps=", ".join(made.apps)) if made.apps else role.value
    note(tx, Action.ADD_TOKEN, name, actor=actor, now=now, text=text, kind="token")
    return secret


def revoke_token(tx: Tx, name: str, *, actor: Actor, now: datetime) -> Answer:
    """Let a token count no more, from this moment on."""
    known = tokens.named(tx, name)
    if known is None or not tokens.revoke(tx, name, now=now):
        return no("not_found", say("There is no token {name} in use.", name=name))
    note(tx, Action.REVOKE_TOKEN, known.name, actor=actor, now=now, kind="token")
    return Answer(key="done", sentence=say("Token {name} counts no more.", name=known.name), count=1)


def bearer(tx: Tx, secret: str) -> Token | None:
    """Tell which token a program showed; None when it is none, or revoked."""
    return tokens.find(tx, secret) if secret.startswith(PREFIX) else None


def touch_token(tx: Tx, secret: str, *, now: datetime) -> bool:
    """Remember that it was used just now; at most once a minute something is written."""
    return tokens.touch(tx, secret, now=now)
