"""The spool: what waits to be sent. Units of work for intake (accept) and delivery (claim, lease, release).

accept writes a whole submission at once: message, content, deliveries, references; what is redirected (redirects.py)
goes to its new address from the start. A claim is one conditional
UPDATE … RETURNING with a lease; a row that another process has is not returned. While leased, `next_at` is when the
lease runs out; a lease that ran out is taken over and the delivery marked as "outcome unknown", because nobody can
say how far its last attempt came. Nothing is ever deleted to free a lock. What a pause covers is held, not claimed.

Recording the result of an attempt is record.py (`record` is also reached from here).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from relay.address import address_key
from relay.model import Claimed, Delivery, DeliveryId, Event, Message, MessageId, Reference, Submission
from relay.status import OPEN
from relay.store import content, erasure, events, pauses, redirects, rows, suppressions
from relay.store.content import Packed, pack
from relay.store.content import load as load_content
from relay.store.protocols import Row, Tx, Value
from relay.store.record import Recorded, record, record_all
from relay.store.text import reference_key
from relay.wording import say

__all__ = [
    "Packed",
    "Recorded",
    "accept",
    "add_delivery",
    "claim",
    "deliveries_of",
    "hold_claimed",
    "load_content",
    "lock_message",
    "next_due",
    "pack",
    "record",
    "record_all",
    "release",
    "release_owner",
    "renew",
    "take_over",
    "take_over_from",
    "wake_site",
]

#: The same Message-ID from the same app within this is the same mail handed in twice.
DUPLICATE_WINDOW = timedelta(days=7)


def accept(tx: Tx, submission: Submission, *, packed: Packed | None = None) -> Message:
    """Store all of a submission; return the message as stored (duplicate_of and booking may have been found).

    `packed` is content.pack(submission.content), made beforehand so that large mail is not compressed in here.
    """
    message, deliveries = submission.message, submission.deliveries
    references = submission.references
    notes: list[Event] = []
    before = _before(tx, message)
    if before["earlier"] is not None and message.duplicate_of is None:
        message = replace(message, duplicate_of=MessageId(before["earlier"]))
    if before["has_redirects"]:
        deliveries, notes = redirects.apply(tx, deliveries, now=message.accepted_at)
    if message.booking is None and any(reference.kind == "thread" for reference in references):
        inherited = _thread_booking(tx, message.app, references)
        if inherited is not None:
            message = replace(message, booking=inherited.value)
            references = (*references, inherited)
    tx.later("spool.insert_message", rows.message_params(message))
    content.put(tx, message.id, packed or pack(submission.content))
    for delivery in deliveries:
        _insert(tx, delivery)
    events.add_all(tx, notes)
    for reference in references:
        add_reference(tx, message.id, reference)
    return message


def add_reference(tx: Tx, message_id: MessageId, reference: Reference) -> None:
    """Note a booking, customer … of a message."""
    tx.later("spool.insert_reference", _reference_params(message_id, reference))


def deliveries_of(tx: Tx, message_id: MessageId) -> tuple[Delivery, ...]:
    """All deliveries of a message, its resends among them, oldest first."""
    return tuple(rows.delivery(row) for row in tx.rows("spool.deliveries_of", {"message_id": message_id}))


def lock_message(tx: Tx, message_id: MessageId) -> None:
    """Let units that look at a message's deliveries before they add one run one after the other, on any node."""
    tx.run("spool.lock_message", {"message_id": message_id})


def add_delivery(tx: Tx, delivery: Delivery, *, changed_content: bytes | None = None) -> None:
    """Add a delivery to a stored message (a resend), with its own content when that differs from the message's."""
    _insert(tx, delivery)
    if changed_content is not None:
        content.put(tx, delivery.id, pack(changed_content))


def claim(tx: Tx, *, owner: str, now: datetime, lease: timedelta, limit: int, fresh: bool) -> list[Claimed]:
    """Lease due deliveries: those never tried (fresh), or those tried before; the longest due first.

    Deliveries of a claimed message to the same domain come along even over the limit, so that they can share one
    transaction. Each comes with the block that forbids it, if one does.
    """
    if limit <= 0:
        return []
    pauses.hold_due(tx, now=now)
    params: dict[str, Value] = {"owner": owner, "now": now, "until": now + lease}
    found = tx.rows("spool.claim_fresh" if fresh else "spool.claim_due", {**params, "limit": limit})
    if len(found) >= limit:
        claimed_ids = rows.ids_param(row["id"] for row in found)
        found = [*found, *tx.rows("spool.claim_siblings", {**params, "ids": claimed_ids})]
    return _with_messages(tx, found, now) if found else []


def _with_messages(tx: Tx, found: Sequence[Row], now: datetime) -> list[Claimed]:
    wanted = rows.ids_param({row["message_id"] for row in found})
    messages = {row["id"]: rows.message(row) for row in tx.rows("spool.messages", {"ids": wanted})}
    erasure.revive(tx, {row["address_key"] for row in found if not row["attempts"]})
    blocked = suppressions.blocked_among(tx, [row["id"] for row in found], now=now)
    claimed = []
    for row in sorted(found, key=lambda row: int(row["seq"])):
        message = messages.get(row["message_id"])
        if message is None:  # damaged store: keep it out of the way of the others, where `verify` names it
            hold_claimed(tx, owner=row["lease_owner"], ids=[row["id"]], reason="damaged: its message is missing")
            continue
        delivery = rows.delivery(row)
        claimed.append(Claimed(delivery=delivery, message=message, blocked=blocked.get(delivery.id)))
    return claimed


def renew(tx: Tx, *, owner: str, ids: Iterable[DeliveryId], until: datetime) -> set[DeliveryId]:
    """Keep leases longer; return those that still are ours. The others must not be sent any more."""
    kept = tx.rows("spool.renew", {"owner": owner, "ids": rows.ids_param(ids), "until": until})
    return {DeliveryId(row["id"]) for row in kept}


def release(tx: Tx, *, owner: str, ids: Iterable[DeliveryId], next_at: datetime, waits_for_site: bool = False) -> int:
    """Give leases back without an attempt; `waits_for_site` lets wake_site bring them forward."""
    return tx.run(
        "spool.release",
        {"owner": owner, "ids": rows.ids_param(ids), "next_at": next_at, "waits_for_site": int(waits_for_site)},
    )


def hold_claimed(tx: Tx, *, owner: str, ids: Iterable[DeliveryId], reason: str) -> int:
    """Give leases back and hold the deliveries: nobody claims them until they are freed."""
    return tx.run("spool.hold_claimed", {"owner": owner, "ids": rows.ids_param(ids), "held": reason})


def mark_sent(tx: Tx, *, owner: str, ids: Iterable[DeliveryId]) -> None:
    """Say that the content left us and its answer is awaited; whoever gives the lease back says queued or deferred."""
    tx.many("spool.mark_sent", [{"id": each, "owner": owner} for each in ids])


def release_owner(tx: Tx, *, owner: str, now: datetime) -> int:
    """Give back all leases of a process that stops in order; their attempts never began or were recorded."""
    return tx.run("spool.release_owner", {"owner": owner, "now": now})


def take_over(tx: Tx, *, now: datetime, everyone: bool = False) -> int:
    """Take over the leases that ran out; return how many.

    `everyone` takes all leases, also those that still run: for the one delivery process of a store, at its start.
    """
    taken = tx.rows("spool.take_over", {"now": now, "everyone": int(everyone)})
    if taken:
        events.add_all(tx, [_interrupted(row, now) for row in taken])
    return len(taken)


def take_over_from(tx: Tx, owners: Iterable[str], *, now: datetime) -> int:
    """Take over all leases of processes that are known to be dead; return how many."""
    taken = [row for owner in owners for row in tx.rows("spool.take_over_from", {"owner": owner, "now": now})]
    if taken:
        events.add_all(tx, [_interrupted(row, now) for row in taken])
    return len(taken)


def wake_site(tx: Tx, *, domains: Iterable[str], now: datetime) -> int:
    """Make due what waited only because its site was backing off."""
    return tx.run("spool.wake_site", {"domains": rows.ids_param(domains), "now": now})


def next_due(tx: Tx) -> datetime | None:
    """When there will next be something to claim, take over or free; None when nothing waits."""
    row = tx.one("spool.next_due")
    due: datetime | None = row["due_at"] if row else None
    return due


def _insert(tx: Tx, delivery: Delivery) -> None:
    params = rows.delivery_params(delivery, address_key=address_key(delivery.address))
    if delivery.status in OPEN and delivery.next_at is None:
        params["next_at"] = delivery.created_at
    tx.later("spool.insert_delivery", params)


def _before(tx: Tx, message: Message) -> Row:
    """Look once for all that may change a submission: an earlier one like it, and redirects."""
    now = message.accepted_at
    params: dict[str, Value] = {"message_id": message.message_id, "app": message.app, "now": now}
    return tx.rows("spool.before_accept", {**params, "since": now - DUPLICATE_WINDOW})[0]


def _thread_booking(tx: Tx, app: str, references: Sequence[Reference]) -> Reference | None:
    """The booking of the mails this one follows, when they agree on one."""
    wanted = [reference.value for reference in references if reference.kind == "thread"][:50]
    found = tx.rows("spool.thread_bookings", {"ids": rows.ids_param(wanted), "app": app})
    if len(found) != 1:
        return None
    return Reference(kind="booking", value=found[0]["booking"], source="thread", rule="thread", confidence=80)


def _reference_params(message_id: MessageId, reference: Reference) -> dict[str, Value]:
    return {
        "message_id": message_id,
        "kind": reference.kind,
        "value": reference.value,
        "value_key": reference_key(reference.value),
        "source": reference.source,
        "rule": reference.rule,
        "confidence": reference.confidence,
    }


def _interrupted(row: Row, now: datetime) -> Event:
    return Event(
        at=now,
        kind="interrupted",
        text=say("The process sending it stopped. The outcome of a running attempt is unknown; it is sent again."),
        message_id=row["message_id"],
        delivery_id=row["id"],
    )
