"""The log: follow it, and read one message with everything that happened to it.

Searching it is searching.py, counting it counting.py; what they offer is reached from here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from relay.model import Attempt, Delivery, DeliveryId, Event, Message, Reference
from relay.store import events, filters, rows
from relay.store.counting import Count, Counts, counts
from relay.store.log_query import Query
from relay.store.log_rows import LogRow, log_rows
from relay.store.protocols import Tx, Value
from relay.store.searching import Page, index_pending, page, search

__all__ = [
    "Count",
    "Counts",
    "Found",
    "LogRow",
    "Page",
    "Position",
    "Query",
    "changed_since",
    "counts",
    "find",
    "first_at",
    "index_pending",
    "page",
    "position",
    "reach",
    "rows_of",
    "search",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One message with all that belongs to it."""

    message: Message
    deliveries: tuple[Delivery, ...]
    attempts: tuple[Attempt, ...]  #: of all deliveries, oldest first
    events: tuple[Event, ...]
    references: tuple[Reference, ...]
    has_content: bool
    delivery_id: DeliveryId | None  #: the one that was asked for, if the id was a delivery's

    def attempts_of(self, delivery_id: DeliveryId) -> tuple[Attempt, ...]:
        return tuple(attempt for attempt in self.attempts if attempt.delivery_id == delivery_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far a follower has read."""

    delivery: int
    attempt: int
    event: int
    refusal: int
    later: Later | None = None  #: what was seen beyond that while transactions below it were still open


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """A further position, good to be followed to once every transaction before `open_to` has ended."""

    delivery: int
    attempt: int
    event: int
    refusal: int
    open_to: int


def find(tx: Tx, wanted: str) -> Found | None:
    """Read the message that an id names; a message's or a delivery's, in any case of letters."""
    wanted = wanted.strip().upper()
    row = tx.one("log.message_of", {"id": wanted})
    if row is None:
        return None
    message = rows.message(row)
    by_message = {"message_id": message.id}
    deliveries = tuple(rows.delivery(each) for each in tx.rows("spool.deliveries_of", by_message))
    return Found(
        message=message,
        deliveries=deliveries,
        attempts=tuple(rows.attempt(each) for each in tx.rows("log.attempts_of", by_message)),
        events=tuple(events.of_message(tx, message.id)),
        references=tuple(rows.reference(each) for each in tx.rows("log.references_of", by_message)),
        has_content=tx.one("spool.has_content", {"id": message.id}) is not None,
        delivery_id=next((each.id for each in deliveries if each.id == wanted), None),
    )


def position(tx: Tx) -> Position:
    """Where the log ends now."""
    return reach(tx, None)


def changed_since(tx: Tx, seen: Position, *, limit: int = 500) -> tuple[list[LogRow], Position]:
    """What is new or was tried since a position, oldest first, and the position to ask with next.

    At most `limit` deliveries of a burst are given; the others are skipped, not given later.
    """
    here = reach(tx, seen)
    if (here.delivery, here.attempt, here.event) == (seen.delivery, seen.attempt, seen.event):
        return [], here
    params: dict[str, Value] = {"delivery": seen.delivery, "attempt": seen.attempt, "event": seen.event, "limit": limit}
    ends: dict[str, Value] = {"delivery_to": here.delivery, "attempt_to": here.attempt, "event_to": here.event}
    seqs = [row["seq"] for row in tx.rows("log.changed", params | ends)]
    return log_rows(tx.compose(*filters.log_of(seqs))), here


def rows_of(tx: Tx, ids: Sequence[DeliveryId]) -> list[LogRow]:
    """The rows of these deliveries, newest first; what is none is left out."""
    return log_rows(tx.compose(*filters.log_of_ids(ids))) if ids else []


def reach(tx: Tx, seen: Position | None) -> Position:
    """Say how far the log can be read without leaving out what commits later under a lower seq.

    With one writer that is the end. With several it is the end too when no transaction is open; else the end that was
    seen before all those that are open now began, which is known by the next look or the one after it.
    """
    row = tx.rows("log.position")[0]
    ends = {table: row[table] for table in ("delivery", "attempt", "event", "refusal")}
    end = Later(**ends, open_to=row["open_to"])
    if row["open_from"] == row["open_to"] or seen is None:
        return Position(**ends)
    later = seen.later
    if later is not None and row["open_from"] >= later.open_to:
        return Position(
            delivery=later.delivery, attempt=later.attempt, event=later.event, refusal=later.refusal, later=end
        )
    return replace(seen, later=later or end)


def first_at(tx: Tx) -> datetime | None:
    """When logging began: the first message of all."""
    row = tx.one("log.booking_dates")
    found: datetime | None = row["first_at"] if row else None
    return found
