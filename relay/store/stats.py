"""Counts and rates over a window of time, for `waybill stats` and the overview page.

A delivery belongs to the window in which it was made. The delivery rate is delivered ÷ (delivered + ended in failure);
what still waits, was blocked, cancelled or handed to a smarthost is in neither part. Notifications to senders are
counted nowhere: they are no mail of the app.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relay.model import Category
from relay.status import FAILED, Status
from relay.store.protocols import Tx

#: Below this many ended deliveries a rate says nothing.
RATE_FROM = 50

#: Below this rate something is wrong: with our server, our sending domains, or a list of addresses.
RATE_GOOD = 0.98


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How much of what ended did arrive."""

    delivered: int
    failed: int

    @property
    def value(self) -> float | None:
        """Between 0 and 1; None when nothing ended yet."""
        ended = self.delivered + self.failed
        return self.delivered / ended if ended else None

    @property
    def is_meaningful(self) -> bool:
        return self.delivered + self.failed >= RATE_FROM

    @property
    def is_low(self) -> bool:
        """True when somebody should look; never on so few deliveries that one typing mistake decides."""
        return self.is_meaningful and self.value is not None and self.value < RATE_GOOD


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainCount:
    """How one domain took our mail."""

    domain: str
    total: int
    delivered: int
    failed: int
    pending: int


def by_status(tx: Tx, *, since: datetime) -> dict[Status, int]:
    """Count deliveries by status, every status with its number."""
    found = {row["status"]: row["count"] for row in tx.rows("stats.by_status", {"since": since})}
    return {status: found.get(status.value, 0) for status in Status}


def by_category(tx: Tx, *, since: datetime) -> dict[Category, int]:
    """Count the reasons of what failed or waits, the most frequent first."""
    counts: dict[Category, int] = {}
    for row in tx.rows("stats.by_category", {"since": since}):
        category = Category(row["category"])
        counts[category] = counts.get(category, 0) + row["count"]
    return dict(sorted(counts.items(), key=lambda entry: -entry[1]))


def by_domain(tx: Tx, *, since: datetime, limit: int = 50) -> list[DomainCount]:
    """Count by domain, the busiest first."""
    return [DomainCount(**row) for row in tx.rows("stats.by_domain", {"since": since, "limit": limit})]


def by_app(tx: Tx, *, since: datetime) -> dict[str, int]:
    """Count what each app handed in, the busiest first."""
    return {row["app"]: row["count"] for row in tx.rows("stats.by_app", {"since": since})}


def delivery_rate(tx: Tx, *, since: datetime) -> Rate:
    """How much of what ended did arrive."""
    counts = by_status(tx, since=since)
    return Rate(delivered=counts[Status.DELIVERED], failed=sum(counts[status] for status in FAILED))
