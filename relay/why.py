"""The one-sentence answer to "did they get it?": answer, sentence, what happened, proof, next step, who can act.

Policy. Of everything that fits the question, the newest delivery to each address speaks for that address, and a resend
speaks for the delivery it repeats; addresses that a person corrected count as the one they were corrected to. Of these
the worst decides, so that a copy that reached the hotel never hides a confirmation that did not reach the guest.
Delivered is said only of what the recipient's server confirmed and did not send back.
The words are those of the catalogue (classify/explain.py).
Pure: it is given what the store knows; actions.why gathers that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum

from relay.address import address_key
from relay.classify.explain import (
    Explanation,
    Value,
    Words,
    explain_delivery,
    explain_no_record,
    render,
    render_for_customer,
)
from relay.model import Attempt, Delivery, DeliveryId, Event, Message, Refusal, Stage, Suppression
from relay.status import FAILED, OPEN, Status

_TRIES_SHOWN = 3


class Verdict(StrEnum):
    """The answer in one word."""

    DELIVERED = "delivered"
    PENDING = "pending"
    BLOCKED = "blocked"
    NOT_DELIVERED = "not_delivered"
    NO_RECORD = "no_record"


_VERDICTS = {
    Status.DELIVERED: Verdict.DELIVERED,
    Status.QUEUED: Verdict.PENDING,
    Status.DEFERRED: Verdict.PENDING,
    Status.SENT: Verdict.PENDING,
    Status.SUPPRESSED: Verdict.BLOCKED,
}

#: One line of a list in words; only `delivered` says so.
_STANDING = {
    Status.DELIVERED: "delivered: their server confirmed it",
    Status.SENT: "not yet: handed on, not confirmed",
    Status.QUEUED: "not yet: waiting to be sent",
    Status.DEFERRED: "not yet: will be tried again",
    Status.SOFT_BOUNCED: "not delivered",
    Status.HARD_BOUNCED: "not delivered: cannot receive",
    Status.INVALID: "not delivered: no such address",
    Status.REJECTED: "not sent: refused",
    Status.SUPPRESSED: "not sent: blocked",
    Status.CANCELLED: "not sent: stopped by a person",
}

#: A copy that changes nothing for the mail it repeats.
_CAME_TO_NOTHING = FAILED | {Status.SUPPRESSED, Status.CANCELLED}

#: Events that say what came back for a mail that was accepted; a bounce is told by the status itself.
_CAME_LATER = ("complaint", "not_spam", "auto_reply", "delayed", "receipt", "unread_report")

#: The worst decides.
_RANK = {Verdict.NOT_DELIVERED: 3, Verdict.BLOCKED: 2, Verdict.PENDING: 1, Verdict.DELIVERED: 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """As much of a delivery as choosing needs."""

    seq: int
    id: DeliveryId
    address: str  #: the customer's current one, where it was corrected
    status: Status
    resend_of: DeliveryId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The deciding delivery with what is known about it."""

    message: Message
    delivery: Delivery
    attempts: tuple[Attempt, ...]
    events: tuple[Event, ...]
    blocked: Suppression | None  #: the block that stands on its address or domain, or that stopped it then
    give_up_after: timedelta
    lifted_at: datetime | None = None  #: when that block ended
    error_count: int = 0  #: of the address
    refusals: tuple[Refusal, ...] = ()  #: newer mail to the same address that was not taken
    resends: tuple[Delivery, ...] = ()  #: copies that were made of it
    corrected: str | None = None  #: the customer's current address, when it is another
    phone: str | None = None  #: of the customer, from any of their mails
    suggestion: str | None = None  #: an address that may have been meant


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """The answer."""

    verdict: Verdict
    title: str
    sentence: str
    happened: str
    proof: tuple[str, ...]
    next_step: str
    who: str | None  #: customer | you | admin | wait; None: nobody has to act


def verdict_of(status: Status) -> Verdict:
    """Say in one word where a status leaves the recipient."""
    return _VERDICTS.get(status, Verdict.NOT_DELIVERED)


def badness(status: Status) -> int:
    """Rank what became of mails: the worst decides."""
    return _RANK[verdict_of(status)]


def standing(status: Status, *, is_returned: bool = False, is_held: bool = False) -> str:
    """Say in a few words where one of many deliveries stands; `is_returned`: accepted first, then sent back."""
    if is_returned:
        return "not delivered: returned later"
    return "not yet: held back" if is_held and status in OPEN else _STANDING[status]


def standing_of(delivery: Delivery) -> str:
    """Say in a few words where this delivery stands."""
    return standing(delivery.status, is_returned=_is_returned(delivery), is_held=delivery.held is not None)


def deciding(candidates: Sequence[Candidate]) -> Candidate:
    """Choose the delivery that the answer is about; there must be at least one."""
    newest: dict[str, Candidate] = {}
    spoken_for = {one.resend_of for one in candidates if one.resend_of}
    for one in sorted(candidates, key=lambda one: one.seq):
        if one.id in spoken_for:
            continue
        # The resends of one delivery stand for one recipient, also when the address was corrected in between.
        newest[one.resend_of or address_key(one.address)] = one
    by_address: dict[str, Candidate] = {}
    for one in sorted(newest.values(), key=lambda one: one.seq):
        by_address[address_key(one.address)] = one
    return max(by_address.values(), key=lambda one: (badness(one.status), one.seq))


def answer(case: Case, *, zone: tzinfo | None = None) -> Why:
    """Answer about one delivery; `zone` is whose clock the times are told by (UTC without one)."""
    delivery = _in_zone(case.delivery, zone)
    words = render(explained(case, zone=zone))
    return Why(
        verdict=verdict_in(case),
        title=words.title,
        sentence=_sentence(case.message, delivery, words),
        happened=words.happened,
        proof=tuple(_proof(case, zone)),
        next_step=words.next_step,
        who=words.who if words.who != "nobody" else None,
    )


def explained(case: Case, *, zone: tzinfo | None = None) -> Explanation:
    """Choose the words for one delivery, for whoever renders them in a language of their own."""
    delivery = _in_zone(case.delivery, zone)
    return explain_delivery(delivery, message=case.message, blocked=case.blocked, params=_params(case, zone))


def verdict_in(case: Case) -> Verdict:
    """Say in one word where the delivery stands; what waits for a blocked address is blocked."""
    is_stopped = case.delivery.status in OPEN and case.blocked is not None
    return Verdict.BLOCKED if is_stopped else verdict_of(case.delivery.status)


def no_record(
    query: str, *, refusals: Sequence[Refusal], similar: Sequence[str], first_at: datetime | None, zone: tzinfo | None
) -> Why:
    """Answer that nothing was ever handed to us, with what comes nearest."""
    words = render(explain_no_record(query))
    proof = [_refused_at(one, zone) for one in refusals]
    proof += [f"Did you mean {one}?" for one in similar]
    proof.append(_beginning(first_at))
    return Why(
        verdict=Verdict.NO_RECORD,
        title=words.title,
        sentence=f"{query}: nothing was handed to us{', but something was refused' if refusals else ''}.",
        happened=words.happened,
        proof=tuple(proof),
        next_step=words.next_step,
        who=words.who if words.who != "nobody" else None,
    )


def _beginning(first_at: datetime | None) -> str:
    if first_at is None:
        return "The log is empty."
    return f"The log begins on {first_at:%Y-%m-%d}: what was sent before that is not in it."


def _refused_at(refusal: Refusal, zone: tzinfo | None) -> str:
    sender = f"from {refusal.mail_from} " if refusal.mail_from else ""
    who = refusal.app or refusal.client_ip
    reply = f"{refusal.code} {refusal.enhanced} {refusal.text}"
    return f"{_at(refusal.at, zone)} refused at the door: {sender}by {who}: {reply}"


def _in_zone(delivery: Delivery, zone: tzinfo | None) -> Delivery:
    if zone is None:
        return delivery
    return replace(
        delivery,
        next_at=delivery.next_at.astimezone(zone) if delivery.next_at else None,
        delivered_at=delivery.delivered_at.astimezone(zone) if delivery.delivered_at else None,
        ended_at=delivery.ended_at.astimezone(zone) if delivery.ended_at else None,
    )


def customer_text(case: Case, *, zone: tzinfo | None = None) -> str:
    """Write what can be told to the customer."""
    return render_for_customer(explained(case, zone=zone))


def _params(case: Case, zone: tzinfo | None) -> dict[str, Value]:
    """Add what the delivery's row does not hold: until when we try, who cancelled or held it."""
    until = case.delivery.created_at + case.give_up_after
    if case.message.expires_at is not None:
        until = min(until, case.message.expires_at)
    params: dict[str, Value] = {"until": until.astimezone(zone) if zone else until}
    kept_by = next((one.outcome for one in reversed(case.attempts) if one.outcome is not None), None)
    params |= {"last_reason": kept_by.category.value} if kept_by is not None else {}
    params |= {"corrected": case.corrected} if case.corrected else {}
    copy = next((one for one in reversed(case.resends) if one.status not in _CAME_TO_NOTHING), None)
    params |= {"resent": copy.address} if copy else {}
    params |= {"phone": case.phone} if case.phone else {}
    params |= {"suggestion": case.suggestion} if case.suggestion and not case.corrected else {}
    params |= {"lifted": case.lifted_at.astimezone(zone) if zone else case.lifted_at} if case.lifted_at else {}
    is_the_reason = case.delivery.status in OPEN or case.delivery.status is Status.SUPPRESSED
    if is_the_reason and case.blocked is not None and case.blocked.reason == "errors" and case.error_count:
        params["n"] = case.error_count
    kinds = {Status.CANCELLED: ("cancel",)}.get(case.delivery.status, ("hold", "pause"))
    for event in case.events:
        if event.kind in kinds and event.by and event.delivery_id == case.delivery.id:
            params["user"] = event.by
            params["time"] = event.at.astimezone(zone) if zone else event.at
    return params


def _sentence(message: Message, delivery: Delivery, words: Words) -> str:
    what = what_it_is(message)
    to = f"{delivery.address} (meant for {delivery.intended})" if delivery.intended else delivery.address
    if delivery.status is Status.DELIVERED and delivery.delivered_at is not None:
        reply = _reply(delivery.code, delivery.enhanced, delivery.reply)
        server = delivery.mx or f"the server of {delivery.domain}"
        return f"{what} to {to} was accepted by {server} at {_clock(delivery.delivered_at)}, reply {reply}."
    title = words.title[:1].lower() + words.title[1:]
    return f"{what} to {to}: {title}."


def what_it_is(message: Message) -> str:
    """Name a message as people do: its kind and its booking, else its subject."""
    kind = message.kind.replace("_", " ").capitalize() if message.kind else "Mail"
    if message.booking:
        return f"{kind} for {message.booking}"
    return f'{kind} "{message.subject}"' if message.subject else kind


def _proof(case: Case, zone: tzinfo | None) -> list[str]:
    message, delivery = case.message, case.delivery
    lines = [f"{_at(message.accepted_at, zone)} accepted from {message.app} as {message.id}"]
    lines += _events(case, "redirected", zone=zone)
    if delivery.resend_of:
        form = " as plain text" if delivery.form == "plain" else ""
        lines.append(f"{_at(delivery.created_at, zone)} sent again{form} by {delivery.by or 'somebody'}")
    hidden = len(case.attempts) - _TRIES_SHOWN
    if hidden > 0:
        lines.append(f"(tries before these: {hidden}; waybill show {delivery.id})")
    for attempt in case.attempts[-_TRIES_SHOWN:]:
        lines.append(f"{_at(attempt.started_at, zone)} {_try(attempt)}")
    if _is_returned(delivery) and delivery.ended_at is not None:
        reply = _reply(delivery.code, delivery.enhanced, delivery.reply)
        lines.append(f"{_at(delivery.ended_at, zone)} sent back to us: {reply or 'no reason given'}")
    lines += _events(case, *_CAME_LATER, zone=zone)
    if message.expires_at is not None and delivery.delivered_at is None:
        lines.append(f"{_at(message.expires_at, zone)} deadline: nothing of it is delivered after that")
    if delivery.is_being_tried:
        lines.append(f"being tried now, by {delivery.lease_owner}")
    elif delivery.next_at is not None and not delivery.held and case.blocked is None:
        lines.append(f"{_at(delivery.next_at, zone)} next try")
    if case.blocked is not None:
        lines.append(f"{_at(case.blocked.since_at, zone)} {case.blocked.value} blocked ({_block(case, case.blocked)})")
    if case.lifted_at is not None:
        lines.append(f"{_at(case.lifted_at, zone)} that block ended: it can be sent again")
    lines += [f"{_at(copy.created_at, zone)} {_copy(copy)}" for copy in case.resends]
    if delivery.is_unknown:
        lines.append("The outcome of an earlier try is unknown and it was sent again: there may be two copies.")
    return lines + [_refused_at(one, zone) for one in case.refusals]


def _events(case: Case, *kinds: str, zone: tzinfo | None) -> list[str]:
    """Tell what happened to the deciding delivery beside its tries."""
    return [
        f"{_at(event.at, zone)} {event.text}{_by(event.by)}"
        for event in case.events
        if event.kind in kinds and event.delivery_id == case.delivery.id
    ]


def _block(case: Case, blocked: Suppression) -> str:
    """Say why it is blocked, with the answer that led to it where no try of this delivery shows that."""
    cause = f"{blocked.reason.replace('_', ' ')}{_by(blocked.by)}"
    is_shown = not blocked.reply or blocked.delivery_id == case.delivery.id
    return cause if is_shown else f"{cause}: {' '.join(blocked.reply.split())}"


def _is_returned(delivery: Delivery) -> bool:
    return delivery.delivered_at is not None and delivery.status in FAILED


def _copy(copy: Delivery) -> str:
    return f"sent again to {copy.address}{_by(copy.by)}, {copy.id}: {standing_of(copy)}"


def _by(name: str | None) -> str:
    return f", by {name}" if name else ""


def _try(attempt: Attempt) -> str:
    reply = attempt.reply
    if reply.stage is Stage.DNS:
        return f"look-up: {_reply(reply.code, reply.enhanced, reply.text)}"
    where = f"{attempt.mx} [{attempt.ip}]" if attempt.mx and attempt.ip else attempt.mx or "no server"
    if reply.code is None:
        return f"{where}: {reply.text}"
    return f"{where} answered {_reply(reply.code, reply.enhanced, reply.text)}"


def _reply(code: int | None, enhanced: str | None, text: str | None) -> str:
    return " ".join(str(part) for part in (code, enhanced, " ".join((text or "").split())) if part)


def _at(when: datetime, zone: tzinfo | None) -> str:
    return _clock(when.astimezone(zone) if zone else when)


def _clock(when: datetime) -> str:
    suffix = " UTC" if when.utcoffset() == timedelta(0) else ""
    return f"{when:%Y-%m-%d %H:%M:%S}{suffix}"
