"""The queue as people see and steer it: what waits where, and flush, hold, release, cancel for a selection.

Everything a person does leaves an event on each delivery it touched, with who it was. Cancelling also stops what is
claimed but not sent yet: its lease is gone, so the next renewal does not return it; what is on the wire in that moment
arrives, and is then shown as delivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from relay.model import APP_HOLD, Category, DeliveryId, Event, MessageId
from relay.status import Status, check_transition
from relay.store import content, events, filters, rows
from relay.store.filters import Selection
from relay.store.protocols import Row, Tx
from relay.store.text import like_pattern
from relay.wording import say

__all__ = [
    "DomainQueue",
    "Selection",
    "Totals",
    "WaitingRow",
    "Waits",
    "cancel",
    "count_of_app_hold",
    "flush",
    "hold",
    "overview",
    "release",
    "selected",
    "totals",
    "waiting",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainQueue:
    """What is open for one domain."""

    domain: str
    waiting: int
    held: int
    sending: int  #: leased to a delivery process
    oldest_at: datetime
    next_at: datetime | None  #: None: all of it is held or being sent
    attempts: int  #: the most tries of one delivery
    mx: str | None = None
    code: int | None = None
    enhanced: str | None = None
    reply: str | None = None  #: the last one, of the delivery tried most
    category: Category | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRow:
    """One open delivery."""

    seq: int  #: its place, for paging
    id: DeliveryId
    message: MessageId
    address: str
    name: str
    subject: str
    booking: str | None
    app: str
    status: Status
    category: Category | None
    attempts: int
    created_at: datetime
    next_at: datetime | None  #: None: it is being sent
    held: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """How much is open altogether."""

    waiting: int
    fresh: int  #: never tried
    held: int
    oldest_at: datetime | None


class Waits(StrEnum):
    """What must be so for some mail of a domain, to be chosen."""

    HELD = "held"
    SENDING = "sending"
    DELAYED = "delayed"  #: tried before
    NEW = "new"  #: never tried


def overview(
    tx: Tx, *, limit: int = 100, part: str = "", domain: str = "", state: Waits | None = None
) -> list[DomainQueue]:
    """What is open, by domain, the most first; of domains with that part in their name, or of exactly one."""
    name = like_pattern(domain)[1:-1] if domain else like_pattern(part.lower())
    found = []
    for row in tx.rows("queue.overview", {"limit": limit, "name": name, "state": state.value if state else ""}):
        last = tx.one("queue.last_reply", {"domain": row["domain"]})
        category = last["category"] if last else None
        found.append(
            DomainQueue(
                **row,
                mx=last["mx"] if last else None,
                code=last["code"] if last else None,
                enhanced=last["enhanced"] if last else None,
                reply=last["reply"] if last else None,
                category=Category(category) if category else None,
            )
        )
    return found


def waiting(tx: Tx, domain: str, *, after: int = 0, limit: int = 50) -> list[WaitingRow]:
    """What is open for one domain, the oldest first; `after` is the seq of the last one of the page before."""
    found = tx.rows("queue.waiting", {"domain": domain, "after": after, "limit": limit})
    return [
        WaitingRow(
            **{
                **row,
                "status": Status(row["status"]),
                "category": Category(row["category"]) if row["category"] else None,
            }
        )
        for row in found
    ]


def totals(tx: Tx) -> Totals:
    """How much is open altogether."""
    row = tx.rows("queue.totals")[0]
    return Totals(waiting=row["waiting"], fresh=row["fresh"] or 0, held=row["held"] or 0, oldest_at=row["oldest_at"])


def selected(tx: Tx, chosen: Selection) -> list[DeliveryId]:
    """The open deliveries of a selection, oldest first."""
    return [DeliveryId(row["id"]) for row in tx.compose(*filters.selection(chosen))]


def flush(tx: Tx, chosen: Selection, *, now: datetime, by: str) -> int:
    """Try now what waits for a later try, also where its site backs off; return how many."""
    found = [row for row in _select(tx, chosen) if row["held"] is None and row["lease_owner"] is None]
    count = tx.run("queue.flush", {"ids": _ids(found), "now": now})
    for mx in {row["mx"] for row in found if row["mx"]}:
        tx.run("sites.forgive", {"mx": mx})
    _note(tx, found, kind="flush", text=say("Next try brought forward to now"), now=now, by=by)
    return count


def hold(tx: Tx, chosen: Selection, *, reason: str, now: datetime, by: str) -> int:
    """Keep from being sent until released; return how many."""
    found = [row for row in _select(tx, chosen) if row["held"] is None]
    count = tx.run("queue.hold", {"ids": _ids(found), "held": reason or "held by hand"})
    _note(
        tx,
        found,
        kind="hold",
        text=say("Held: {note}", note=reason) if reason else say("Held: by hand"),
        now=now,
        by=by,
    )
    return count


def release(tx: Tx, chosen: Selection, *, now: datetime, by: str) -> int:
    """Send what was held (a pause that still stands holds it again); return how many.

    Mail of an app in hold mode goes only when the app or the very deliveries are named.
    """
    is_named = bool(chosen.app or chosen.ids)
    held = [row for row in _select(tx, chosen) if row["held"] is not None]
    found = [row for row in held if is_named or row["held"] != APP_HOLD]
    count = tx.run("queue.release", {"ids": _ids(found), "now": now})
    _note(tx, found, kind="release", text=say("Released to be sent"), now=now, by=by)
    return count


def count_of_app_hold(tx: Tx, chosen: Selection) -> int:
    """Count what is still held because its app is in hold mode."""
    return sum(row["held"] == APP_HOLD for row in _select(tx, chosen))


def cancel(tx: Tx, chosen: Selection, *, now: datetime, by: str, reason: str = "") -> list[DeliveryId]:
    """End open deliveries by the word of a named person; return them."""
    found = _select(tx, chosen)
    for row in found:
        check_transition(Status(row["status"]), Status.CANCELLED)
    tx.run("queue.cancel", {"ids": _ids(found), "now": now})
    _note(tx, found, kind="cancel", text=say("Cancelled[: {how}]", how=reason), now=now, by=by)
    for message_id in {row["message_id"] for row in found if row["store_content"] != "all"}:
        content.drop_if_ended(tx, MessageId(message_id))
    return [DeliveryId(row["id"]) for row in found]


def _select(tx: Tx, chosen: Selection) -> list[Row]:
    """Read what is about to be changed; SQLite has no other writer meanwhile, PostgreSQL must be told."""
    return tx.compose(*filters.selection(chosen, locks=tx.dialect == "postgres"))


def _ids(found: list[Row]) -> str:
    return rows.ids_param(row["id"] for row in found)


def _note(tx: Tx, found: list[Row], *, kind: str, text: str, now: datetime, by: str) -> None:
    events.add_all(
        tx,
        [
            Event(
                at=now,
                kind=kind,
                text=text,
                message_id=row["message_id"],
                delivery_id=row["id"],
                address=row["address_key"],
                by=by,
            )
            for row in found
        ],
    )
