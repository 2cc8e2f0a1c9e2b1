"""What senders are to be told by mail: planned with the result it is about, told once.

`plan` is called inside the transaction that records a result. `waiting` and `late` give what a notification is made
of; `settle` takes it off the list and stores the notification in one transaction, so a crash neither loses nor doubles
one, and of several processes one is first. That a mail is late needs no plan: it is read off the deliveries that still
wait, through an index that holds only those whose sender asked.

What is told when, relay/dsn_rules.py decides; relay/dsn.py writes the mail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.address import address_key
from relay.dsn_rules import Action, without_delay
from relay.errors import StoreError
from relay.model import Attempt, Delivery, DeliveryId, Event, Message, MessageId, Submission, Suppression
from relay.status import Status
from relay.store import content, events, rows, spool, suppressions
from relay.store.protocols import Row, Tx, Value
from relay.wording import say

#: Recipients in one notification, which is what many programs read of one; rows of the list in one look.
_MOST = 50


class NotSettled(Exception):
    """Somebody else told it, or it is no longer true; nothing was stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One recipient that a notification tells of."""

    delivery: Delivery
    attempt: Attempt | None  #: the try whose answer decided, or the last one
    block: Suppression | None = None  #: what kept it from being sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """What one notification is about: one message, one action, the recipients."""

    message: Message
    action: Action
    told: tuple[Told, ...]
    content: bytes | None  #: what was sent; None when it is no longer kept
    is_still_waiting: bool = False  #: the deliveries are late with us, not with another server


def plan(tx: Tx, delivery_id: DeliveryId, *, message_id: MessageId, action: Action, at: datetime) -> None:
    """Have the sender told of a delivery."""
    tx.later("dsn.plan", {"delivery_id": delivery_id, "action": action.value, "message_id": message_id, "at": at})


def forget_delay(tx: Tx, delivery_id: DeliveryId, dsn: str) -> None:
    """Note that the delay was told, so that it is told once."""
    tx.later("dsn.forget_delay", {"id": delivery_id, "dsn": dsn, "rest": without_delay(dsn)})


def waiting(tx: Tx, *, now: datetime, limit: int) -> list[Matter]:
    """What is planned, the longest due first."""
    oldest = {(row["message_id"], row["action"]): None for row in tx.rows("dsn.waiting", {"limit": _MOST})}
    matters = []
    for message_id, action in list(oldest)[:limit]:
        params: dict[str, Value] = {"message_id": message_id, "action": action, "limit": _MOST}
        matters.append(_matter(tx, tx.rows("dsn.told_of", params), action=Action(action), now=now))
    return [matter for matter in matters if matter is not None]


def late(tx: Tx, *, before: datetime, now: datetime, limit: int) -> list[Matter]:
    """Deliveries accepted before a time that still wait, and whose sender wants to know."""
    by_message: dict[str, list[Row]] = {}
    for row in tx.rows("dsn.late", {"before": before, "limit": limit}):
        by_message.setdefault(row["message_id"], []).append(row)
    made = (
        _matter(tx, found[:_MOST], action=Action.DELAYED, now=now, is_still_waiting=True)
        for found in by_message.values()
    )
    return [matter for matter in made if matter is not None]


def settle(tx: Tx, matter: Matter, notification: Submission, *, now: datetime) -> None:
    """Store a notification and note that its matter is told.

    Raises:
        NotSettled: part of it was told by somebody else or is no longer so; look again.
    """
    _take(tx, matter)
    spool.accept(tx, notification)
    _note(
        tx,
        matter,
        say("Its sender is told by mail: {action} (message {id})", action=matter.action, id=notification.message.id),
        now=now,
    )


def give_up(tx: Tx, matter: Matter, *, now: datetime) -> None:
    """Take a matter off the list of which no notification can be made.

    Raises:
        NotSettled: as `settle`.
    """
    _take(tx, matter)
    _note(tx, matter, say("Its sender could not be told: {action}", action=matter.action), now=now)


def _matter(
    tx: Tx, found: Sequence[Row], *, action: Action, now: datetime, is_still_waiting: bool = False
) -> Matter | None:
    """Gather what is known; deliveries with a content of their own (resends) make a matter each."""
    row = tx.one("spool.message", {"id": found[0]["message_id"]}) if found else None
    if row is None:
        return None
    message = rows.message(row)
    deliveries = [rows.delivery(each) for each in found]
    first = deliveries[0]
    same = [each for each in deliveries if each.resend_of is None] if first.resend_of is None else [first]
    return Matter(
        message=message,
        action=action,
        told=tuple(_told(tx, message, delivery, now=now) for delivery in same),
        content=_content(tx, message.id, first),
        is_still_waiting=is_still_waiting,
    )


def _content(tx: Tx, message_id: MessageId, delivery: Delivery) -> bytes | None:
    try:
        return content.load(tx, message_id, delivery_id=delivery.id if delivery.resend_of is not None else None)
    except StoreError:  # damaged: what happened is told all the same
        return None


def _told(tx: Tx, message: Message, delivery: Delivery, *, now: datetime) -> Told:
    tries = [rows.attempt(row) for row in tx.rows("dsn.last_attempts", {"delivery_id": delivery.id})]
    deciding = next((one for one in tries if one.mx == delivery.mx and one.reply.text == delivery.reply), None)
    block = None
    if delivery.status is Status.SUPPRESSED:
        key = address_key(delivery.address)
        block = suppressions.active_for(tx, key, domain=delivery.domain, app=message.app, now=now)
    return Told(delivery=delivery, attempt=deciding or next(iter(tries), None), block=block)


def _take(tx: Tx, matter: Matter) -> None:
    """Take it off the list, with the content that was kept for it alone."""
    for told in matter.told:
        delivery, dsn = told.delivery, told.delivery.dsn or ""
        if matter.is_still_waiting:
            taken = tx.run("dsn.tell_delay", {"id": delivery.id, "dsn": dsn, "rest": without_delay(dsn)})
        else:
            taken = tx.run("dsn.take", {"delivery_id": delivery.id, "action": matter.action.value})
        if taken != 1:
            raise NotSettled(delivery.id)
    if matter.message.store_content != "all":
        content.drop_if_ended(tx, matter.message.id)


def _note(tx: Tx, matter: Matter, text: str, *, now: datetime) -> None:
    for told in matter.told:
        event = Event(
            at=now,
            kind="dsn",
            text=text,
            message_id=matter.message.id,
            delivery_id=told.delivery.id,
            address=address_key(told.delivery.address),
        )
        events.add(tx, event)
