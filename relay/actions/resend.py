"""Send a message again, as it was or as plain text, to its customer's current address or any other.

Policy. A block beats a resend: the new delivery is created `suppressed` with the reason, there is no attempt and no
error is counted. A resend is a new delivery of the same message; the original row and its date never change. Without
an address it goes where mail to this customer goes now: to the corrected address, or where a redirect sends it; the
answer says so. While an identical copy (same origin, address, form) has not ended, there is no second one: the answer
names the first. Nothing is sent again after the message's deadline. A `token` makes any repeated submit return the
first answer.

It has two steps, so that reading and rewriting a large mail holds up no other writer: `plan_resend` for `Store.read`,
then `resend` for `Store.write`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from relay import deadline, suppress
from relay.actions.answer import Answer, no
from relay.actions.blocks import describe
from relay.actions.once import once
from relay.address import address_key, domain_of, to_a_label, validate
from relay.model import APP_HOLD, Delivery, DeliveryId, Event, Message, new_id
from relay.resend import Freshness, forms_of, full_copy, is_signed, plain_copy
from relay.status import OPEN, Status
from relay.store import addresses, content, events, log, redirects, spool, suppressions
from relay.store.protocols import Tx
from relay.wording import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The new deliveries of a resend, with their content where it differs from the message's."""

    message: Message
    copies: tuple[tuple[Delivery, bytes | None], ...]
    remarks: tuple[str, ...] = ()  #: what the person has to know about where they go


def possible_forms(tx: Tx, message: Message) -> tuple[str, ...]:
    """Name the forms in which a message can be sent again now: full, plain; none when its content is gone."""
    raw = _content(tx, message)
    return forms_of(raw) if raw is not None else ()


def plan_resend(
    tx: Tx, wanted_id: str, *, by: str, now: datetime, hostname: str, to: str | None = None, form: str = "full"
) -> Plan | Answer:
    """Make ready to send a delivery, or every delivery of a message, again; an Answer says why that cannot be.

    Raises:
        Refused: `to` is no address that mail can be sent to.
    """
    found = log.find(tx, wanted_id)
    if found is None:
        return no("not_found", say("There is no message or delivery {wanted_id}.", wanted_id=wanted_id))
    if deadline.is_over(found.message, now):
        return no(
            "too_late",
            say("Not sent again: {why}, and nothing is delivered after that.", why=deadline.text(found.message)),
        )
    message, by_id = found.message, {delivery.id: delivery for delivery in found.deliveries}
    asked = by_id.get(found.delivery_id) if found.delivery_id else None
    chosen = [asked] if asked else [delivery for delivery in found.deliveries if not delivery.resend_of]
    if to is not None:
        validate(to, is_smtputf8=True)
        if len(chosen) > 1:
            return no(
                "several",
                say("That message went to {count} recipients; give the id of one delivery.", count=len(chosen)),
            )
    raw = _content(tx, message)
    if raw is None:
        return no("no_content", say("The content of that message was not kept ({why}).", why=_why_gone(message)))
    copies, remarks = [], []
    for source in chosen:
        root = by_id.get(source.resend_of, source) if source.resend_of else source
        address, intended, remark = where_to(tx, source, to=to, now=now)
        copy = _new_delivery(root, address=address, intended=intended, form=form, by=by, now=now)
        copies.append((copy, _changed_content(raw, root, copy, hostname=hostname)))
        remarks += [remark] if remark else []
    if form == "plain" and None in (changed for _, changed in copies):
        return no("no_text", say("That message has no plain text part, so it cannot be sent as plain text."))
    return Plan(message=message, copies=tuple(copies), remarks=tuple(remarks))


def _content(tx: Tx, message: Message) -> bytes | None:
    return None if message.store_content == "none" else content.load(tx, message.id)


def _why_gone(message: Message) -> str:
    reason = {
        "none": say("so it is set for the app {app}; have the app send it anew", app=message.app),
        "until_ended": say("for the app {app} only until it has ended; have the app send it anew", app=message.app),
    }
    return reason.get(message.store_content, say("its time of keeping is over; have the app send it anew"))


def where_to(tx: Tx, source: Delivery, *, to: str | None, now: datetime) -> tuple[str, str | None, str]:
    """Say where a copy goes, for whom it was meant if that is somebody else, and what to say about it."""
    if to is not None or source.intended is not None:  # a test app's mail stays with the tester
        return to or source.address, None, ""
    corrected = addresses.corrected_to(tx, source.address)
    asked = corrected or source.address
    redirect = redirects.active_for(tx, asked, now=now)
    if redirect is not None:
        remark = say("Mail to {asked} is redirected to {new}, so it goes there.", asked=asked, new=redirect.new_address)
        return redirect.new_address, asked, remark
    if corrected is not None:
        return corrected, None, say("{new} is the current address; it was {old}.", new=corrected, old=source.address)
    return asked, None, ""


def _new_delivery(root: Delivery, *, address: str, intended: str | None, form: str, by: str, now: datetime) -> Delivery:
    is_same = address_key(address) == address_key(root.address)
    return Delivery(
        id=DeliveryId(new_id()),
        message_id=root.message_id,
        address=address,
        domain=domain_of(address),
        status=Status.QUEUED,
        created_at=now,
        name=root.name,
        intended=intended or (root.intended if is_same else None),
        next_at=now,
        # A test system that holds its mail holds what is resent as well.
        held=APP_HOLD if root.held == APP_HOLD else None,
        resend_of=root.id,
        form=form,
        notify=root.notify,
        orcpt=root.orcpt if is_same else None,
        dsn=root.dsn,
        by=by,
    )


def _changed_content(raw: bytes, root: Delivery, copy: Delivery, *, hostname: str) -> bytes | None:
    """Make the copy's own content; None when it is the message's (a signed mail), or when there is no text part."""
    fresh = Freshness(
        now=copy.created_at,
        message_id=f"<{copy.id}@{to_a_label(hostname) or hostname}>",
        old_address=root.address,
        new_address=copy.address,
    )
    if copy.form == "plain":
        return plain_copy(raw, fresh)
    return None if is_signed(raw) else full_copy(raw, fresh)


def resend(tx: Tx, plan: Plan, *, token: str | None = None) -> Answer:
    """Add the planned deliveries to the queue; those to a blocked address end at once as suppressed."""
    if token is None:
        return _resend(tx, plan)
    return once(tx, token, lambda tx: _resend(tx, plan), now=plan.copies[0][0].created_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """What became of one copy."""

    kind: str  #: queued | blocked | waiting
    id: DeliveryId
    sentence: str


def _resend(tx: Tx, plan: Plan) -> Answer:
    spool.lock_message(tx, plan.message.id)
    if any(changed is None for _, changed in plan.copies) and not content.is_kept(tx, plan.message.id):
        return no("no_content", say("The content of that message was removed a moment ago."))
    family = spool.deliveries_of(tx, plan.message.id)
    done = [_add(tx, plan, copy, changed, family) for copy, changed in plan.copies]
    queued = [copy.address for (copy, _), one in zip(plan.copies, done, strict=True) if one.kind == "queued"]
    said = [one.sentence for one in done if one.sentence]
    if queued:
        said += [_queued(queued, plan.copies[0][0].form), *plan.remarks]
    kinds = {one.kind for one in done}
    return Answer(
        key="blocked" if "blocked" in kinds else "done" if queued else "already_queued",
        sentence=" ".join(said),
        is_done="blocked" not in kinds,
        count=sum(one.kind != "waiting" for one in done),
        deliveries=tuple(one.id for one in done),
    )


def _add(tx: Tx, plan: Plan, copy: Delivery, changed: bytes | None, family: Sequence[Delivery]) -> _Done:
    waiting = _same_copy(family, copy)
    if waiting is not None:
        sentence = _queued_already(waiting)
        return _Done(kind="waiting", id=waiting.id, sentence=sentence)
    blocked = suppressions.active_for(
        tx, address_key(copy.address), domain=copy.domain, app=plan.message.app, now=copy.created_at
    )
    if blocked is not None:
        ended = replace(copy, status=Status.SUPPRESSED, next_at=None, ended_at=copy.created_at, held=None)
        copy = replace(ended, reply=suppress.told_of(blocked))
    spool.add_delivery(tx, copy, changed_content=changed)
    _note(tx, copy, kind="resend", text=_sent_again(copy), by=copy.by or "")
    if copy.intended is not None and address_key(copy.intended) != address_key(copy.address):
        redirects.note(tx, copy, now=copy.created_at)
    if blocked is None:
        return _Done(kind="queued", id=copy.id, sentence="")
    _note(tx, copy, kind="suppressed", text=say("Not sent: blocked ({why})", why=describe(blocked)), by="")
    return _Done(
        kind="blocked",
        id=copy.id,
        sentence=say("Not sent: {address} is blocked ({why}).", address=copy.address, why=describe(blocked)),
    )


def _same_copy(family: Sequence[Delivery], copy: Delivery) -> Delivery | None:
    """Find the copy that would be sent twice: a double click, two people, a page sent again."""
    wanted = (copy.resend_of, address_key(copy.address), copy.form)
    same = [one for one in family if (one.resend_of, address_key(one.address), one.form) == wanted]
    return next((one for one in same if one.status in OPEN), None)


def _note(tx: Tx, copy: Delivery, *, kind: str, text: str, by: str) -> None:
    key = address_key(copy.address)
    at, message_id = copy.created_at, copy.message_id
    events.add(tx, Event(at=at, kind=kind, text=text, message_id=message_id, delivery_id=copy.id, address=key, by=by))


def _queued(addresses: Sequence[str], form: str) -> str:
    to = ", ".join(addresses)
    if form == "plain":
        return say("Queued again to {addresses} as plain text.", addresses=to)
    return say("Queued again to {addresses}.", addresses=to)


def _queued_already(waiting: Delivery) -> str:
    if waiting.form == "plain":
        return say("Already queued to {address} as plain text: {id}.", address=waiting.address, id=waiting.id)
    return say("Already queued to {address}: {id}.", address=waiting.address, id=waiting.id)


def _sent_again(copy: Delivery) -> str:
    if copy.form == "plain":
        return say("Sent again to {address} as plain text", address=copy.address)
    return say("Sent again to {address}", address=copy.address)
