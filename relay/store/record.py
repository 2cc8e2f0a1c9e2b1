"""Record what came of an attempt: one unit, all of it or nothing.

In one transaction: the attempt rows, the delivery's new status and reply, its next time, the counters of its address,
an automatic block, the notice or incident that a failure makes, what the sender is to be told by mail (dsn.py), the
last success of address and domain, and the end of a content nobody may keep. Whether an error counts and blocks is
decided by relay/suppress.py, whether a step is legal by relay/status.py. What an incident has stopped counts against
nobody; what becomes of a notification to a sender concerns nobody either.

An attempt happened even when its delivery was meanwhile cancelled or taken over by another process. Its rows are then
kept all the same, and a copy that arrived is shown as delivered; any other result leaves the delivery as it is and is
told by an event (`late_result`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from relay import dsn_rules, suppress
from relay.model import DeliveryId, Disposition, Event, Suppression
from relay.settings import IncidentSettings, Suppressions
from relay.status import FAILED, OPEN, Status, check_transition
from relay.store import content, counters, dsn, events, incidents, notices, rows, suppressions
from relay.store.protocols import Row, Tx, Value
from relay.wording import say

#: Successes are written to address and domain when the last one noted is older than this: a day is exact enough for
#: "took mail in the last 90 days", and saves two rows on nearly every delivery.
_STALE = timedelta(days=1)

_DEFAULTS = Suppressions()
_INCIDENT_DEFAULTS = IncidentSettings()
_ARRIVED = frozenset({Status.DELIVERED, Status.SENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What was written."""

    is_applied: bool  #: False: the delivery had ended or moved on; only the attempt and an event were kept
    status: Status  #: where the delivery stands now
    counted: bool = False  #: its address's error counter went up
    block: Suppression | None = None  #: the automatic block that this result caused


def record(
    tx: Tx,
    disposition: Disposition,
    *,
    owner: str | None = None,
    settings: Suppressions = _DEFAULTS,
    incident: IncidentSettings = _INCIDENT_DEFAULTS,
) -> Recorded | None:
    """Record one disposition; `owner` is the lease holder, None for a late report. None: there is no such delivery.

    Raises:
        IllegalTransition: the status cannot follow on the present one.
    """
    subject = _subjects(tx, [disposition.delivery_id]).get(disposition.delivery_id)
    if subject is None:
        return None
    return _record(tx, disposition, subject, owner=owner, settings=settings, incident=incident)


def record_all(
    tx: Tx,
    dispositions: Sequence[Disposition],
    *,
    owner: str | None = None,
    settings: Suppressions = _DEFAULTS,
    incident: IncidentSettings = _INCIDENT_DEFAULTS,
) -> dict[DeliveryId, Recorded | None]:
    """Record many dispositions in one unit; all that deciding needs is read in one look, and again where it changed."""
    subjects = _subjects(tx, [each.delivery_id for each in dispositions])
    recorded: dict[DeliveryId, Recorded | None] = {}
    changed: set[str] = set()
    for each in dispositions:
        subject = subjects.get(each.delivery_id)
        if subject is not None and not changed.isdisjoint(
            (each.delivery_id, subject["address_key"], subject["domain"])
        ):
            subject = _subjects(tx, [each.delivery_id]).get(each.delivery_id)
        if subject is None:
            recorded[each.delivery_id] = None
            continue
        recorded[each.delivery_id] = _record(tx, each, subject, owner=owner, settings=settings, incident=incident)
        changed |= {each.delivery_id, subject["address_key"]}
        if _is_stale(subject["domain_delivered_at"], each.at):
            changed.add(subject["domain"])
    return recorded


def _subjects(tx: Tx, ids: Iterable[DeliveryId]) -> dict[DeliveryId, Row]:
    return {row["id"]: row for row in tx.rows("record.subjects", {"ids": rows.ids_param(ids)})}


def _record(
    tx: Tx,
    disposition: Disposition,
    subject: Row,
    *,
    owner: str | None,
    settings: Suppressions,
    incident: IncidentSettings,
) -> Recorded:
    if owner is not None and subject["lease_owner"] != owner and _is_recorded(tx, disposition):
        return Recorded(is_applied=True, status=Status(subject["status"]))
    for attempt in disposition.attempt_rows:
        tx.later("record.insert_attempt", rows.attempt_params(attempt))
    old = Status(subject["status"])
    if owner is not None and not _may_apply(subject, disposition, owner):
        _note_late(tx, subject, disposition)
        return Recorded(is_applied=False, status=old)
    check_transition(old, disposition.status)
    tx.later("record.update_delivery", _delivery_params(disposition, old), changes=1)
    if disposition.status is Status.SUPPRESSED:
        _note_suppressed(tx, subject, disposition)
    if subject["dsn"] is not None:
        _plan_dsn(tx, subject, disposition, Status.DEFERRED if _is_awaited(subject) else old)
    effect = _effect(tx, subject, disposition, settings=settings, incident=incident)
    is_notification = subject["dsn"] == dsn_rules.ITSELF
    if not is_notification:
        _save_address(tx, subject, disposition, counts=effect.counts)
    block = _block(tx, subject, disposition, effect.block_reason) if effect.block_reason else None
    if not is_notification:
        notices.follow(tx, subject, disposition)
    if disposition.next_at is None and subject["store_content"] != "all":
        content.drop_if_ended(tx, subject["message_id"])
    return Recorded(is_applied=True, status=disposition.status, counted=effect.counts, block=block)


def _plan_dsn(tx: Tx, subject: Row, disposition: Disposition, old: Status) -> None:
    """Plan to tell the sender, where that was asked for; a notification itself asks for nothing."""
    action = dsn_rules.due(subject["dsn"], old=old, new=disposition.status, is_passed_on=disposition.is_dsn_passed_on)
    if action is not None:
        dsn.plan(tx, disposition.delivery_id, message_id=subject["message_id"], action=action, at=disposition.at)


def _effect(
    tx: Tx, subject: Row, disposition: Disposition, *, settings: Suppressions, incident: IncidentSettings
) -> suppress.Effect:
    """Say what the result does to its address, which is nothing once an incident has stopped what it is about."""
    if subject["dsn"] == dsn_rules.ITSELF:
        return suppress.NOTHING
    joined = incidents.join(tx, subject, disposition, settings=incident)
    if joined is not None and joined.is_spared:
        if settings.count_our_faults:  # whoever counts again later must spare it too
            counters.forgive(tx, [disposition.delivery_id], now=disposition.at)
        return suppress.NOTHING
    effect = suppress.decide(
        status=disposition.status,
        outcome=disposition.outcome,
        error_count=subject["error_count"] or 0,
        settings=settings,
    )
    if joined is not None and effect.counts:
        incidents.mark_counted(tx, joined, disposition.delivery_id)
    return effect


def _is_recorded(tx: Tx, disposition: Disposition) -> bool:
    """Tell whether this very result is in the store: its commit was done, but the answer to it was lost."""
    first = next(iter(disposition.attempt_rows), None)
    if first is None:
        return False
    params: dict[str, Value] = {
        "delivery_id": first.delivery_id,
        "number": first.number,
        "started_at": first.started_at,
    }
    return tx.one("record.has_attempt", params) is not None


def _may_apply(subject: Row, disposition: Disposition, owner: str) -> bool:
    """Tell whether the result of an attempt still decides about its delivery."""
    if Status(subject["status"]) not in OPEN and not _is_awaited(subject):
        # Stopped by a person while the attempt ran: if it arrived all the same, that is what must be shown.
        return subject["status"] == Status.CANCELLED and disposition.status in _ARRIVED
    if subject["lease_owner"] in (owner, None):
        return True
    # Another process has it now: our end is an end for both, our "later" is not.
    return disposition.next_at is None


def _is_awaited(subject: Row) -> bool:
    """Tell whether the answer to its content takes long: nobody has taken it yet, unlike what a smarthost was given."""
    return subject["status"] == Status.SENT and subject["lease_owner"] is not None


def _delivery_params(disposition: Disposition, old: Status) -> dict[str, Value]:
    outcome, reply, status = disposition.outcome, disposition.reply, disposition.status
    return {
        "id": disposition.delivery_id,
        "old_status": old.value,
        "status": status.value,
        "category": outcome.category.value if outcome else None,
        "blame": outcome.blame.value if outcome else None,
        "rule": outcome.rule if outcome else None,
        "attempts": disposition.attempts,
        "next_at": disposition.next_at if status in OPEN else None,
        "code": reply.code if reply else None,
        "enhanced": reply.enhanced if reply else None,
        "reply": reply.text if reply else None,
        "mx": disposition.mx or (reply.host if reply else None),
        "delivered_at": disposition.at if status is Status.DELIVERED else None,
        "ended_at": None if status in OPEN else disposition.at,
        "is_unknown": int(disposition.is_unknown),
    }


def _save_address(tx: Tx, subject: Row, disposition: Disposition, *, counts: bool) -> None:
    """Write what was learnt about the address, if anything is new."""
    is_failure = disposition.status in FAILED and disposition.status is not Status.REJECTED
    is_success = disposition.status is Status.DELIVERED
    at = disposition.at
    phone, customer = _person(subject)
    delivered_at = at if is_success and _is_stale(subject["last_delivered_at"], at) else None
    is_news = (
        subject["known"] is None
        or is_failure
        or delivered_at is not None
        or (subject["name"] and subject["name"] != subject["known_name"])
        or (phone and phone != subject["known_phone"])
        or (customer and customer != subject["known_customer"])
    )
    if is_news:
        outcome, reply = disposition.outcome, disposition.reply
        tx.later(
            "record.save_address",
            {
                "address": subject["address_key"],
                "shown": subject["address"],
                "added": int(counts),
                "last_error_at": at if is_failure else None,
                "last_category": outcome.category.value if is_failure and outcome else None,
                "last_reply": reply.text if is_failure and reply else None,
                "last_delivery_id": disposition.delivery_id if is_failure else None,
                "last_delivered_at": delivered_at,
                "name": subject["name"],
                "phone": phone,
                "customer": customer,
            },
        )
    if is_success and _is_stale(subject["domain_delivered_at"], at):
        tx.later("record.save_domain", {"domain": subject["domain"], "at": at})


def _person(subject: Row) -> tuple[str | None, str | None]:
    """Phone and customer number that the message gives, when they can only be this recipient's."""
    return (subject["phone"], subject["customer"]) if subject["is_only"] else (None, None)


def _is_stale(before: datetime | None, at: datetime) -> bool:
    return before is None or at - before >= _STALE


def _block(tx: Tx, subject: Row, disposition: Disposition, reason: str) -> Suppression | None:
    outcome, reply = disposition.outcome, disposition.reply
    return suppressions.block(
        tx,
        Suppression(
            id=0,
            scope="address",
            value=subject["address_key"],
            reason=reason,
            since_at=disposition.at,
            category=outcome.category if outcome else None,
            delivery_id=disposition.delivery_id,
            reply=reply.text if reply else "",
            rule=outcome.rule if outcome else None,
        ),
    )


def _note_late(tx: Tx, subject: Row, disposition: Disposition) -> None:
    said = disposition.reply.text if disposition.reply else say("no answer")
    _note(
        tx,
        subject,
        disposition,
        kind="late_result",
        text=say("A running attempt ended later ({status}): {reply}", status=disposition.status, reply=said),
    )


def _note_suppressed(tx: Tx, subject: Row, disposition: Disposition) -> None:
    said = disposition.reply.text if disposition.reply else say("the address is blocked")
    _note(tx, subject, disposition, kind="suppressed", text=said)


def _note(tx: Tx, subject: Row, disposition: Disposition, *, kind: str, text: str) -> None:
    events.add(
        tx,
        Event(
            at=disposition.at,
            kind=kind,
            text=text,
            message_id=subject["message_id"],
            delivery_id=disposition.delivery_id,
            address=subject["address_key"],
        ),
    )
