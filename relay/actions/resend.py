"""Send a message again, as it was or as plain text, to the same address or another.

Policy. A block beats a resend: the new delivery is created `suppressed` with the reason, there is no attempt and no
error is counted. A resend is a new delivery of the same message; the original row and its date never change.

It has two steps, so that reading and rewriting a large mail holds up no other writer: `plan_resend` for `Store.read`,
then `resend` for `Store.write`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from relay.actions.answer import Answer, no
from relay.actions.blocks import describe
from relay.address import address_key, domain_of, to_a_label, validate
from relay.model import APP_HOLD, Delivery, DeliveryId, Event, Message, new_id
from relay.resend import Freshness, full_copy, is_signed, plain_copy
from relay.status import Status
from relay.store import content, events, log, spool, suppressions
from relay.store.protocols import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The new deliveries of a resend, with their content where it differs from the message's."""

    message: Message
    copies: tuple[tuple[Delivery, bytes | None], ...]


def plan_resend(
    tx: Tx, wanted_id: str, *, by: str, now: datetime, hostname: str, to: str | None = None, form: str = "full"
) -> Plan | Answer:
    """Make ready to send a delivery, or every delivery of a message, again; an Answer says why that cannot be.

    Raises:
        Refused: `to` is no address that mail can be sent to.
    """
    found = log.find(tx, wanted_id)
    if found is None:
        return no("not_found", f"There is no message or delivery {wanted_id}.")
    message, by_id = found.message, {delivery.id: delivery for delivery in found.deliveries}
    asked = by_id.get(found.delivery_id) if found.delivery_id else None
    chosen = [asked] if asked else [delivery for delivery in found.deliveries if not delivery.resend_of]
    if to is not None:
        validate(to, is_smtputf8=True)
        if len(chosen) > 1:
            return no("several", f"That message went to {len(chosen)} recipients; give the id of one delivery.")
    raw = None if message.store_content == "none" else content.load(tx, message.id)
    if raw is None:
        return no("no_content", "The content of that message was not kept, so it cannot be sent again.")
    copies = []
    for source in chosen:
        root = by_id.get(source.resend_of, source) if source.resend_of else source
        copy = _new_delivery(root, address=to or source.address, form=form, by=by, now=now)
        changed = _changed_content(raw, root, copy, hostname=hostname)
        if changed is None and form == "plain":
            return no("no_text", "That message has no plain text part, so it cannot be sent as plain text.")
        copies.append((copy, changed))
    return Plan(message=message, copies=tuple(copies))


def _new_delivery(root: Delivery, *, address: str, form: str, by: str, now: datetime) -> Delivery:
    is_same = address_key(address) == address_key(root.address)
    return Delivery(
        id=DeliveryId(new_id()),
        message_id=root.message_id,
        address=address,
        domain=domain_of(address),
        status=Status.QUEUED,
        created_at=now,
        name=root.name,
        intended=root.intended if is_same else None,
        next_at=now,
        # A test system that holds its mail holds what is resent as well.
        held=APP_HOLD if root.held == APP_HOLD else None,
        resend_of=root.id,
        form=form,
        notify=root.notify,
        orcpt=root.orcpt if is_same else None,
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


def resend(tx: Tx, plan: Plan) -> Answer:
    """Add the planned deliveries to the queue; those to a blocked address end at once as suppressed."""
    blocked: list[str] = []
    queued: list[str] = []
    for copy, changed in plan.copies:
        block_on_it = suppressions.active_for(
            tx, address_key(copy.address), domain=copy.domain, app=plan.message.app, now=copy.created_at
        )
        if block_on_it is not None:
            copy = replace(copy, status=Status.SUPPRESSED, next_at=None, ended_at=copy.created_at, held=None)
            blocked.append(f"Not sent: {copy.address} is blocked ({describe(block_on_it)}).")
        else:
            queued.append(copy.address)
        spool.add_delivery(tx, copy, changed_content=changed)
        _note(tx, copy, kind="resend", text=f"Sent again to {copy.address}{_as_plain(copy.form)}", by=copy.by or "")
        if block_on_it is not None:
            _note(tx, copy, kind="suppressed", text=f"Not sent: blocked ({describe(block_on_it)})", by="")
    ids = tuple(copy.id for copy, _ in plan.copies)
    said = [f"Queued again to {', '.join(queued)}{_as_plain(plan.copies[0][0].form)}."] if queued else []
    sentence = " ".join(blocked + said)
    return Answer(
        key="blocked" if blocked else "done",
        sentence=sentence,
        is_done=not blocked,
        count=len(ids),
        deliveries=ids,
    )


def _note(tx: Tx, copy: Delivery, *, kind: str, text: str, by: str) -> None:
    key = address_key(copy.address)
    at, message_id = copy.created_at, copy.message_id
    events.add(tx, Event(at=at, kind=kind, text=text, message_id=message_id, delivery_id=copy.id, address=key, by=by))


def _as_plain(form: str) -> str:
    return " as plain text" if form == "plain" else ""
