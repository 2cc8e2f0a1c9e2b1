"""One-use tokens: a form or request that comes twice does its work once.

A token is whatever text the page or the caller of the API made up for one submit. The first use takes it in the same
transaction as its work, so that of two at the same moment the second waits for the first and then reads its result.
Retention forgets a token when nobody can send it again.
"""

from __future__ import annotations

from datetime import datetime

from relay.store.protocols import Tx


def take(tx: Tx, token: str, *, now: datetime) -> str | None:
    """Take a token for this transaction's work: None when it is ours, else the result of its first use."""
    if tx.run("form_tokens.take", {"token": token, "now": now}):
        return None
    row = tx.one("form_tokens.result", {"token": token})
    return str(row["result"]) if row else ""


def result_of(tx: Tx, token: str) -> str | None:
    """Give what came of the use of a token; None when it was never used, or is forgotten."""
    row = tx.one("form_tokens.result", {"token": token})
    return str(row["result"]) if row and row["result"] else None


def save(tx: Tx, token: str, *, result: str) -> None:
    """Keep the result of a token's first use."""
    tx.run("form_tokens.save", {"token": token, "result": result})
