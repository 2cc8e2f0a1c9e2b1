"""The log: search it, follow it, and read one message with everything that happened to it.

Words of three letters and more go through a trigram index that the delivery process fills when it is idle
(`index_pending`), so that accepting mail stays fast; what is not indexed yet is read row by row. The index only
proposes: the words are compared with the row itself in both parts, so that indexed or not makes no difference to what
is found, and a mail is found as soon as its 250 was said.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from relay.model import Attempt, Blame, Category, Delivery, DeliveryId, Event, Message, MessageId, Reference
from relay.moments import json_time
from relay.status import Status
from relay.store import events, filters, rows
from relay.store.filters import Query
from relay.store.protocols import Row, Tx, Value
from relay.store.text import grams_query

__all__ = [
    "Found",
    "LogRow",
    "Position",
    "Query",
    "changed_since",
    "find",
    "first_at",
    "index_pending",
    "position",
    "reach",
    "search",
]

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """One delivery as the log shows it."""

    seq: int  #: its place in the log; `Query.before` takes that of a page's last row
    id: DeliveryId
    message: MessageId
    accepted_at: datetime  #: when the message came; for a resend too
    created_at: datetime  #: when this delivery came to be
    app: str
    sender: str  #: address of the From: header
    to: str  #: as in RCPT
    name: str
    subject: str
    booking: str | None
    customer: str | None
    kind: str | None
    status: Status
    category: Category | None
    blame: Blame | None
    rule: str | None
    attempts: int
    mx: str | None
    code: int | None
    enhanced: str | None
    reply: str | None
    next_at: datetime | None  #: None once ended, and while it is being tried
    held: str | None
    marks: tuple[str, ...]
    delivered_at: datetime | None
    ended_at: datetime | None
    resend_of: DeliveryId | None
    form: str
    intended: str | None  #: the address the app gave, where the mail goes to another
    is_unknown: bool
    duplicate_of: MessageId | None
    size: int
    expires_at: datetime | None  #: its deadline: nothing of it is delivered after that

    def as_json(self) -> dict[str, object]:
        """The keys of `waybill log --json`, always all of them; times in RFC 3339 with Z."""
        return {
            "id": self.id,
            "message": self.message,
            "accepted_at": json_time(self.accepted_at),
            "app": self.app,
            "from": self.sender,
            "to": self.to,
            "subject": self.subject,
            "booking": self.booking,
            "kind": self.kind,
            "status": self.status.value,
            "category": self.category.value if self.category else None,
            "blame": self.blame.value if self.blame else None,
            "attempts": self.attempts,
            "mx": self.mx,
            "code": self.code,
            "enhanced": self.enhanced,
            "reply": self.reply,
            "next_at": json_time(self.next_at),
            "marks": list(self.marks),
            "intended": self.intended,
            "resend_of": self.resend_of,
            "delivered_at": json_time(self.delivered_at),
            "expires_at": json_time(self.expires_at),
        }


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


def search(tx: Tx, query: Query) -> list[LogRow]:
    """List deliveries that fit, newest first."""
    if query.archived is None:
        return _search(tx, query)
    ends = query.archive_ends
    since, until = query.since or _FIRST, query.until or _LAST
    if not query.archived:  # a delivery is never older than its message
        return _search(tx, replace(query, since=max(since, ends)))
    # The archive is all that was made before its end, and the resends of that since.
    found = _search(tx, replace(query, until=min(until, ends)))
    found += _search(tx, replace(query, since=max(since, ends)))
    return sorted(found, key=lambda row: -row.seq)[: query.limit]


def _search(tx: Tx, query: Query) -> list[LogRow]:
    bounds = _bounds(tx, query)
    if bounds is not None and bounds[0] > bounds[1]:
        return []
    grams = grams_query(query.needles())
    if grams is None:
        return _rows(tx, filters.log_plain(query, bounds=bounds))
    if tx.dialect == "postgres":
        # Any row may be in either part: a lower seq may commit later than a higher one that is indexed already.
        long = [needle for needle in query.needles() if len(needle) >= 3]
        found = _rows(tx, filters.log_pending(query, bounds=bounds))
        found += _rows(tx, filters.log_trigrams(query, needles=long, bounds=bounds))
        return sorted(found, key=lambda row: -row.seq)[: query.limit]
    indexed = _indexed_to(tx)
    found = _rows(tx, filters.log_plain(query, after=indexed, bounds=bounds))
    if len(found) < query.limit and indexed:
        rest = replace(query, limit=query.limit - len(found))
        found += _rows(tx, filters.log_indexed(rest, grams=grams, up_to=indexed, bounds=bounds))
    return found


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
    return _rows(tx, filters.log_of(seqs)), here


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


def index_pending(tx: Tx, *, limit: int = 200) -> int:
    """Add the next rows of the log to the search index; return how many (0: nothing was left to do)."""
    if tx.dialect == "postgres":
        taken = [row["seq"] for row in tx.rows("search.take_pending", {"limit": limit})]
        if taken:
            found = tx.compose(*filters.words_of(taken))
            tx.many("search.insert", [{"seq": row["seq"], "words": row["words"]} for row in found])
        return len(taken)
    indexed = _indexed_to(tx)
    pending = tx.compose(*filters.unindexed(after=indexed, limit=limit))
    if pending:
        tx.many("search.insert", [{"seq": row["seq"], "words": row["words"]} for row in pending])
        tx.run("search.save_indexed_to", {"seq": pending[-1]["seq"]})
    return len(pending)


def _indexed_to(tx: Tx) -> int:
    row = tx.one("search.indexed_to")
    return int(row["seq"]) if row else 0


def _bounds(tx: Tx, query: Query) -> tuple[int, int] | None:
    """Narrow times to rows of the log, so that a search in the past does not read the present."""
    if query.since is None and query.until is None:
        return None
    row = tx.rows("log.time_bounds", {"since": query.since or _FIRST, "until": query.until or _LAST})[0]
    return (row["low"], row["high"]) if row["low"] is not None else (1, 0)


def _rows(tx: Tx, statement: tuple[str, dict[str, Value]]) -> list[LogRow]:
    return [_log_row(row) for row in tx.compose(*statement)]


def _log_row(row: Row) -> LogRow:
    values = dict(row)
    values["sender"] = values.pop("header_from")
    values["to"] = values.pop("address")
    values["status"] = Status(values["status"])
    values["category"] = Category(values["category"]) if values["category"] else None
    values["blame"] = Blame(values["blame"]) if values["blame"] else None
    values["marks"] = tuple(values["marks"].split())
    values["is_unknown"] = bool(values["is_unknown"])
    return LogRow(**values)
