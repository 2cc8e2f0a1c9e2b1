"""Error counters put right afterwards: errors taken back, or read anew by today's rules.

The counter of an address is raised by record.py alone. Here it is lowered or raised by a difference, so that it stays
right also where old deliveries were pruned and cannot be counted again. An error that was taken back is noted as
forgiven, so that it is never taken back twice; what ended before the counter's last reset counts no more anyway.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from relay.model import Blame, Category, DeliveryId
from relay.status import Status
from relay.store import rows
from relay.store.protocols import Tx, Value

_FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastError:
    """A delivery to an address that ended in failure."""

    id: DeliveryId
    status: Status
    category: Category | None
    blame: Blame | None
    rule: str | None
    ended_at: datetime


def recount(tx: Tx, address_key: str, *, by: int) -> int:
    """Change the counter by so much, never below zero; return what it is then."""
    row = tx.one("counters.recount", {"address": address_key, "by": by})
    return int(row["error_count"]) if row else 0


def correct_last_error(tx: Tx, address_key: str, *, delivery_id: DeliveryId, category: Category) -> None:
    """Name another category for the last error, if this delivery was it."""
    tx.run(
        "counters.correct_last_error",
        {"address": address_key, "delivery_id": delivery_id, "category": category.value},
    )


def errors_between(tx: Tx, address_key: str, *, since: datetime, until: datetime | None) -> list[PastError]:
    """The deliveries to an address that failed in that time and were not forgiven, oldest first."""
    params: dict[str, Value] = {"address": address_key, "since": since, "until": until or _FOREVER}
    return [
        PastError(
            id=row["id"],
            status=Status(row["status"]),
            category=Category(row["category"]) if row["category"] else None,
            blame=Blame(row["blame"]) if row["blame"] else None,
            rule=row["rule"],
            ended_at=row["ended_at"],
        )
        for row in tx.rows("counters.errors_between", params)
    ]


def unsent_since(tx: Tx, address_key: str, *, since: datetime) -> list[DeliveryId]:
    """The deliveries to an address that failed or were suppressed since then and were not sent again, oldest first."""
    found = tx.rows("counters.unsent_since", {"address": address_key, "since": since})
    return [DeliveryId(row["id"]) for row in found]


def last_arrival(tx: Tx, address_key: str) -> datetime | None:
    """When mail last arrived there; exact, where the record of the address may be a day behind."""
    row = tx.one("counters.last_arrival", {"address": address_key})
    found: datetime | None = row["last_delivered_at"] if row else None
    return found


def forgive(tx: Tx, ids: Iterable[DeliveryId], *, now: datetime) -> None:
    """Note that the errors of these deliveries count no more."""
    tx.many("counters.forgive", [{"id": each, "at": now} for each in ids])


def forgiven_among(tx: Tx, ids: Iterable[DeliveryId]) -> set[DeliveryId]:
    """Which of these deliveries were forgiven."""
    return {DeliveryId(row["delivery_id"]) for row in tx.rows("counters.forgiven_among", {"ids": rows.ids_param(ids)})}
