"""Deliveries that ended in failure, with the answers that decided: for reading them again.

The answer is the delivery's own reply with the stage and host of the attempt it came from. A delivery whose reply no
attempt has (a late report, a time that ran out between two tries) is passed over: there is nothing to read again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relay.model import Blame, Category, DeliveryId, MessageId, Reply, ReplyClass, Stage
from relay.reclassify import AddressCase, Change, PastFailure, was_read
from relay.status import Status
from relay.store import addresses, counters, suppressions
from relay.store.protocols import Row, Tx

#: Which statuses are read again.
STATUSES = (Status.SOFT_BOUNCED, Status.HARD_BOUNCED, Status.INVALID, Status.REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some failures of one status, oldest first."""

    failures: tuple[PastFailure, ...]
    passed_over: int  #: of those seen, how many have no answer of an attempt
    after: int | None  #: seq to go on behind; None: that was all


def page(tx: Tx, status: Status, *, since: datetime, after: int = 0, limit: int = 500) -> Page:
    """Read the next failures of a status that ended since a time."""
    found = tx.rows("failures.page", {"status": status.value, "since": since, "after": after, "limit": limit})
    readable = [row for row in found if row["attempt"] is not None]
    return Page(
        failures=tuple(_failure(row) for row in readable),
        passed_over=len(found) - len(readable),
        after=found[-1]["seq"] if len(found) == limit else None,
    )


def update(tx: Tx, change: Change) -> bool:
    """Write a new reading; False when the delivery is no longer as it was read."""
    count = tx.run(
        "failures.update",
        {
            "id": change.past.id,
            "old_status": change.past.status.value,
            "old_rule": change.past.outcome.rule,
            "status": change.status.value,
            "category": change.outcome.category.value,
            "blame": change.outcome.blame.value,
            "rule": change.outcome.rule,
        },
    )
    return count == 1


def case_of(tx: Tx, address_key: str, changes: tuple[Change, ...], *, now: datetime) -> AddressCase:
    """Gather what deciding about one address needs."""
    known = addresses.get(tx, address_key)
    row = tx.one("failures.last_lifted", {"address": address_key})
    standing = suppressions.active_on(tx, address_key, scope="address", now=now)
    return AddressCase(
        error_count=known.error_count if known else 0,
        reset_at=known.reset_at if known else None,
        last_arrival=counters.last_arrival(tx, address_key),
        last_lifted=row["last_lifted_at"] if row else None,
        block=next((one for one in standing if one.source == "automatic"), None),
        changes=changes,
        forgiven=frozenset(counters.forgiven_among(tx, [one.past.id for one in changes])),
    )


def _failure(row: Row) -> PastFailure:
    status = Status(row["status"])
    return PastFailure(
        seq=row["seq"],
        id=DeliveryId(row["id"]),
        message_id=MessageId(row["message_id"]),
        address=row["address"],
        address_key=row["address_key"],
        mail_from=row["mail_from"],
        status=status,
        ended_at=row["ended_at"],
        outcome=was_read(
            reply_class=ReplyClass(row["class"]) if row["class"] else None,
            category=Category(row["category"]) if row["category"] else None,
            blame=Blame(row["blame"]) if row["blame"] else None,
            rule=row["rule"],
            status=status,
        ),
        reply=Reply(
            stage=Stage(row["stage"]), code=row["code"], enhanced=row["enhanced"], text=row["reply"], host=row["mx"]
        ),
    )
