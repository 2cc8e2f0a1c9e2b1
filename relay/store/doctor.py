"""What the doctor wants to know of the store: who sent lately, how fast it grows, what time its server has.

Reads only, and few rows whatever the size of the store: the newest messages, and the ends of indexes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from relay.errors import StoreError
from relay.model import MessageId
from relay.store import content
from relay.store.protocols import Tx

#: How many of the newest messages count as "lately".
_LATELY = 5000
#: Of how many senders the newest mail itself is read.
_READ = 40
#: A header block longer than this is not looked through.
_HEAD = 256 * 1024

_WINDOW = timedelta(days=7)
_LEAST = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """One sender lately: an app, a pair of addresses and a kind, as accepted."""

    app: str
    header_from: str
    mail_from: str
    kind: str | None
    count: int
    head: bytes = b""  #: the beginning of the newest of its mails; empty when that is not kept


def senders(tx: Tx, *, heads: int = _READ) -> list[Sender]:
    """Say who sent the newest messages, the busiest first; the newest mail of so many of them is read."""
    found = tx.rows("doctor.senders", {"limit": _LATELY})
    return [
        Sender(
            app=row["app"],
            header_from=row["header_from"],
            mail_from=row["mail_from"],
            kind=row["kind"],
            count=row["count"],
            head=_head(tx, row["newest"]) if number < heads else b"",
        )
        for number, row in enumerate(found)
    ]


def _head(tx: Tx, message_id: str) -> bytes:
    try:
        raw = content.load(tx, MessageId(message_id)) or b""
    except StoreError:
        return b""  # damaged: `waybill verify` says so
    head, separator, _ = raw[:_HEAD].partition(b"\r\n\r\n")
    return head + separator


def share_per_day(tx: Tx, *, now: datetime) -> float | None:
    """Say which part of all that is kept came in on an average day of the last week; None: it is too young."""
    oldest, newest = tx.one("doctor.oldest"), tx.one("doctor.newest")
    if oldest is None or newest is None:
        return None
    days = min(now - oldest["created_at"], _WINDOW)
    if days < _LEAST:
        return None
    first = tx.one("doctor.first_since", {"since": now - days})
    if first is None:
        return 0.0
    recent, kept = newest["seq"] - first["seq"] + 1, newest["seq"] - oldest["seq"] + 1
    return float(recent / kept / (days / timedelta(days=1)))


def server_time(tx: Tx) -> datetime | None:
    """Give the time of the store's server; None when it has no clock of its own."""
    if tx.dialect == "sqlite":
        return None
    at: datetime = tx.rows("doctor.clock")[0]["looked_at"]
    return at
