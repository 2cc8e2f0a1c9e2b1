"""Who is signed in: sessions by the hash of their token, which alone the browser has.

A session dies after 8 hours without use and after 7 days in any case. Whatever takes trust from an account (a new
password, another role, being disabled) ends its sessions by deleting them in the same transaction, so there is nothing
to compare when one is used; that the account is not disabled is looked at all the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from relay.store.protocols import Row, Tx, Value

IDLE = timedelta(hours=8)
WHOLE = timedelta(days=7)

#: A session that was written as seen within this time is not written again.
TOUCH = timedelta(minutes=1)

_AGENT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One browser that is signed in."""

    token_hash: str = field(repr=False)
    account_id: str
    created_at: datetime
    seen_at: datetime
    ip: str
    agent: str


def hash_of(token: str) -> str:
    """What is kept of a token: it is 32 random bytes, so a plain SHA-256 cannot be turned back."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def begin(tx: Tx, token: str, *, account_id: str, ip: str, agent: str, now: datetime) -> None:
    """Write a new session."""
    params: dict[str, Value] = {
        "token_hash": hash_of(token), "account_id": account_id, "at": now, "ip": ip, "agent": agent[:_AGENT],
    }  # fmt: skip
    tx.run("sessions.insert", params)


def alive(tx: Tx, token: str, *, now: datetime) -> Session | None:
    """The session of a token, when it lives."""
    row = tx.one("sessions.alive", {"token_hash": hash_of(token)} | _limits(now))
    return _session(row) if row is not None else None


def touch(tx: Tx, token: str, *, now: datetime) -> bool:
    """Write that it was seen; False when that was written less than a minute ago."""
    params: dict[str, Value] = {"token_hash": hash_of(token), "now": now, "before": now - TOUCH}
    return tx.run("sessions.touch", params) == 1


def of_account(tx: Tx, account_id: str, *, now: datetime) -> list[Session]:
    """The living sessions of an account, the last seen first."""
    found = tx.rows("sessions.of_account", {"account_id": account_id} | _limits(now))
    return [_session(row) for row in found]


def end(tx: Tx, token_hash: str, *, account_id: str) -> bool:
    """End one session of an account; False when it has none such."""
    return tx.run("sessions.end", {"token_hash": token_hash, "account_id": account_id}) == 1


def end_all(tx: Tx, account_id: str) -> int:
    """End every session of an account; give how many there were."""
    return tx.run("sessions.end_all", {"account_id": account_id})


def _limits(now: datetime) -> dict[str, Value]:
    return {"idle_since": now - IDLE, "created_since": now - WHOLE}


def _session(row: Row) -> Session:
    return Session(
        token_hash=row["token_hash"],
        account_id=row["account_id"],
        created_at=row["created_at"],
        seen_at=row["seen_at"],
        ip=row["ip"],
        agent=row["agent"],
    )
