"""The rows of the audit log that are about accounts and tokens."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from relay.store import audit
from relay.store.audit import Actor, Entry
from relay.store.protocols import Tx


class Action(StrEnum):
    """What is done with accounts and tokens, as the audit log names it."""

    SIGN_IN = "sign_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_OUT = "sign_out"
    SIGN_OUT_EVERYWHERE = "sign_out_everywhere"
    ADD_ACCOUNT = "add_account"
    CHANGE_ACCOUNT = "change_account"
    DISABLE_ACCOUNT = "disable_account"
    ENABLE_ACCOUNT = "enable_account"
    CHANGE_PREFERENCES = "change_preferences"
    SET_PASSWORD = "set_password"
    ADD_SECOND_STEP = "add_second_step"
    REMOVE_SECOND_STEP = "remove_second_step"
    CONNECT_ACCOUNT = "connect_account"
    DISCONNECT_ACCOUNT = "disconnect_account"
    MAKE_LINK = "make_link"
    USE_LINK = "use_link"
    ADD_TOKEN = "add_token"
    REVOKE_TOKEN = "revoke_token"


def note(
    tx: Tx, action: Action, name: str, *, actor: Actor, now: datetime, text: str = "", kind: str = "account"
) -> None:
    """Write what was done with the account, or token, of that name."""
    audit.add(
        tx, Entry(at=now, actor=actor, action=action.value, object_kind=kind if name else "", object=name, text=text)
    )
