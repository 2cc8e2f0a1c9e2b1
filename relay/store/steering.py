"""What people order for a while: mail sent more slowly, or through another host; by everything, site, domain or app.

An order is of one kind on one thing; a new one of that kind on the same takes its place. Every delivery process reads
them once a second and keeps to them. One whose time is over counts no more and is dropped when the next is given.
Pauses, which hold mail in the store, are pauses.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from relay.store.pauses import SCOPES
from relay.store.protocols import Row, Tx


class SteerKind(StrEnum):
    """What is ordered."""

    SLOW = "slow"  #: at most so many transactions in a time
    REROUTE = "reroute"  #: through another host


@dataclass(frozen=True, slots=True, kw_only=True)
class Steer:
    """One order."""

    kind: SteerKind
    scope: str  #: all | site | domain | app
    value: str  #: site key or host, domain, app; "" for all
    target: str  #: slow: a rate such as "60/1m"; reroute: "host:port"
    reason: str
    by: str
    since_at: datetime
    until_at: datetime | None = None  #: None: until a person ends it

    def holds(self, now: datetime) -> bool:
        """Tell whether it counts now."""
        return self.until_at is None or now < self.until_at


def begin(tx: Tx, steer: Steer) -> None:
    """Give an order.

    Raises:
        ValueError: there is no such scope.
    """
    if steer.scope not in SCOPES:
        raise ValueError(f"an order is on {', '.join(SCOPES)}; not on {steer.scope}")
    tx.run("steering.drop_past", {"now": steer.since_at})
    tx.run(
        "steering.save",
        {
            "kind": steer.kind.value,
            "scope": steer.scope,
            "value": steer.value,
            "target": steer.target,
            "reason": steer.reason,
            "by": steer.by,
            "since_at": steer.since_at,
            "until_at": steer.until_at,
        },
    )


def end(tx: Tx, kind: SteerKind, *, scope: str, value: str, now: datetime) -> bool:
    """End the order of this kind on exactly this; tell whether one counted until now."""
    tx.run("steering.drop_past", {"now": now})
    return tx.run("steering.delete", {"kind": kind.value, "scope": scope, "value": value}) > 0


def every(tx: Tx, *, now: datetime) -> list[Steer]:
    """All orders that count now, oldest first."""
    found = [_steer(row) for row in tx.rows("steering.list")]
    return [steer for steer in found if steer.holds(now)]


def _steer(row: Row) -> Steer:
    return Steer(
        kind=SteerKind(row["kind"]),
        scope=row["scope"],
        value=row["value"],
        target=row["target"],
        reason=row["reason"],
        by=row["by"],
        since_at=row["since_at"],
        until_at=row["until_at"],
    )
