"""What the store keeps for itself: secrets made once, rights that one process has at a time, and last results."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from relay.store.protocols import Tx


def secret(tx: Tx, name: str) -> bytes:
    """The 32 random bytes of that name, made at the first call and the same for ever, on every node."""
    row = tx.one("meta.value", {"key": f"secret_{name}"})
    if row is None:
        tx.run("meta.keep_first", {"key": f"secret_{name}", "value": secrets.token_hex(32)})
        row = tx.rows("meta.value", {"key": f"secret_{name}"})[0]
    return bytes.fromhex(row["value"])


def known_secret(tx: Tx, name: str) -> bytes | None:
    """The secret of that name, for readers; None until it was made."""
    row = tx.one("meta.value", {"key": f"secret_{name}"})
    return bytes.fromhex(row["value"]) if row is not None else None


def take_lease(tx: Tx, name: str, *, owner: str, now: datetime, lasts: timedelta) -> bool:
    """Take or keep a right until `now + lasts`; False while another owner has it."""
    taken = tx.rows(
        "meta.take_lease",
        {
            "key": f"lease_{name}",
            "value": f"{_text(now + lasts)} {owner}",
            "moment": _text(now),
            "mine": f"% {owner}",
        },
    )
    return bool(taken)


def last(tx: Tx, name: str) -> str | None:
    """The last result of that name, as its owner wrote it."""
    row = tx.one("meta.value", {"key": f"last_{name}"})
    return str(row["value"]) if row is not None else None


def keep_last(tx: Tx, name: str, value: str) -> None:
    """Keep a result in place of the one before."""
    tx.run("meta.keep_last", {"key": f"last_{name}", "value": value})


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
