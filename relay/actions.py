"""What people do to mail: resend, cancel, block, unblock, reset, hold, release, flush, pause, resume; and ask `why`.

The command line, the pages and the API all call these, and nothing else changes a delivery for a person. Each is a unit
of work for `Store.write`: it does the thing and writes the event that says who did it, in one transaction. A refusal is
an Answer whose `is_done` is false, not an exception; its sentence is for people, its key is stable.

Policy. A block beats a resend: the new delivery is created `suppressed` with the reason, there is no attempt and no
error is counted. A resend is a new delivery of the same message; the original row and its date never change. What is
on the wire while it is cancelled may still arrive, and is then shown as delivered. Resetting an error counter lifts
automatic blocks, never one that a person or a complaint set.

A resend has two steps, so that reading and rewriting a large mail holds up no other writer: `plan_resend` for
`Store.read`, then `resend` for `Store.write`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from relay.address import address_key, domain_of, to_a_label, validate
from relay.answers import Inquiry, why
from relay.errors import Refused
from relay.model import APP_HOLD, Delivery, DeliveryId, Event, Message, Suppression, new_id
from relay.resend import Freshness, full_copy, is_signed, plain_copy
from relay.status import Status
from relay.store import addresses, content, events, log, pauses, queue, spool, suppressions
from relay.store.protocols import Tx
from relay.store.queue import Selection

__all__ = [
    "Answer",
    "Inquiry",
    "Plan",
    "block",
    "cancel",
    "cancel_many",
    "describe",
    "flush",
    "hold",
    "pause",
    "plan_resend",
    "release",
    "resend",
    "reset",
    "resume",
    "target",
    "unblock",
    "why",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of an action."""

    key: str  #: done, or why not: blocked, not_found, several, no_content, no_text, nothing_open, not_blocked …
    sentence: str  #: for people
    is_done: bool = True
    count: int = 0  #: how many deliveries, blocks or pauses were changed
    deliveries: tuple[DeliveryId, ...] = ()  #: those that were made or changed


def _no(key: str, sentence: str) -> Answer:
    return Answer(key=key, sentence=sentence, is_done=False)


# Resend


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
        return _no("not_found", f"There is no message or delivery {wanted_id}.")
    message, by_id = found.message, {delivery.id: delivery for delivery in found.deliveries}
    asked = by_id.get(found.delivery_id) if found.delivery_id else None
    chosen = [asked] if asked else [delivery for delivery in found.deliveries if not delivery.resend_of]
    if to is not None:
        validate(to, is_smtputf8=True)
        if len(chosen) > 1:
            return _no("several", f"That message went to {len(chosen)} recipients; give the id of one delivery.")
    raw = None if message.store_content == "none" else content.load(tx, message.id)
    if raw is None:
        return _no("no_content", "The content of that message was not kept, so it cannot be sent again.")
    copies = []
    for source in chosen:
        root = by_id.get(source.resend_of, source) if source.resend_of else source
        copy = _new_delivery(root, address=to or source.address, form=form, by=by, now=now)
        changed = _changed_content(raw, root, copy, hostname=hostname)
        if changed is None and form == "plain":
            return _no("no_text", "That message has no plain text part, so it cannot be sent as plain text.")
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


def describe(suppression: Suppression) -> str:
    """Say in a few words why something is blocked."""
    words = {
        "errors": "too many errors",
        "invalid_address": "the address does not exist",
        "invalid_domain": "the domain does not exist",
        "complaint": "the recipient marked our mail as spam",
    }.get(suppression.reason)
    if words is None:
        words = f"blocked by {suppression.by}" if suppression.by else "blocked by hand"
    note = f': "{suppression.note}"' if suppression.note else ""
    where = f"all of {suppression.value}, " if suppression.scope == "domain" else ""
    return f"{where}{words}{note}, since {suppression.since_at:%Y-%m-%d}"


# Blocks


def target(text: str) -> tuple[str, str]:
    """Read ADDRESS or @DOMAIN as (scope, value), in the form the block list goes by.

    Raises:
        Refused: it is neither.
    """
    text = text.strip()
    if text.startswith("@"):
        domain = to_a_label(text[1:])
        if domain is None:
            raise Refused(501, "5.1.3", f"{text[1:]} is not a domain name", reason="bad_address")
        return "domain", domain
    validate(text, is_smtputf8=True)
    return "address", address_key(text)


def block(
    tx: Tx, text: str, *, by: str, now: datetime, note: str = "", until: datetime | None = None, app: str | None = None
) -> Answer:
    """Send nothing more to an address or a domain.

    Raises:
        Refused: it is neither address nor domain.
    """
    scope, value = target(text)
    made = suppressions.block(
        tx,
        Suppression(
            id=0,
            scope=scope,
            value=value,
            reason="manual",
            source="manual",
            note=note,
            by=by,
            since_at=now,
            until_at=until,
            app=app,
        ),
    )
    if made is None:
        return Answer(key="already_blocked", sentence=f"{_shown(scope, value)} is blocked already.")
    events.add(tx, Event(at=now, kind="block", text=note or "Blocked by hand", address=value, by=by))
    return Answer(key="done", sentence=f"{_shown(scope, value)} is blocked: nothing more is sent there.", count=1)


def unblock(tx: Tx, text: str, *, by: str, now: datetime, note: str = "") -> Answer:
    """Lift every block on exactly this address or domain.

    Raises:
        Refused: it is neither address nor domain.
    """
    scope, value = target(text)
    lifted = suppressions.unblock(tx, value, scope=scope, now=now, by=by, note=note)
    if not lifted:
        return _no("not_blocked", f"{_shown(scope, value)} is not blocked.")
    events.add(tx, Event(at=now, kind="unblock", text=note or "Unblocked", address=value, by=by))
    sentence = f"{_shown(scope, value)} is no longer blocked."
    if scope == "address":
        domain = domain_of(value)
        if suppressions.active_on(tx, domain, scope="domain", now=now):
            sentence += f" But all of {domain} is blocked; to end that: unblock @{domain}."
    return Answer(key="done", sentence=sentence, count=len(lifted))


def _shown(scope: str, value: str) -> str:
    return value if scope == "address" else f"@{value}"


def reset(tx: Tx, address: str, *, by: str, now: datetime, note: str = "") -> Answer:
    """Set an address's error counter to zero and lift its automatic blocks.

    Raises:
        Refused: it is no address.
    """
    _, key = target(address.lstrip("@"))
    if addresses.get(tx, key) is None:
        return _no("not_found", f"Nothing is known about {key}.")
    lifted = addresses.reset(tx, key, now=now, by=by, note=note)
    sentence = f"The error counter of {key} is 0."
    if lifted:
        sentence += " It is no longer blocked."
    still = suppressions.active_on(tx, key, scope="address", now=now)
    if still:
        sentence += f" It stays blocked: {describe(still[0])}."
    return Answer(key="done", sentence=sentence, count=len(lifted))


# The queue


def cancel(tx: Tx, wanted_id: str, *, by: str, now: datetime) -> Answer:
    """Stop a delivery, or every delivery of a message, that has not ended."""
    found = log.find(tx, wanted_id)
    if found is None:
        return _no("not_found", f"There is no message or delivery {wanted_id}.")
    ids = (found.delivery_id,) if found.delivery_id else tuple(delivery.id for delivery in found.deliveries)
    if not queue.selected(tx, Selection(ids=ids)):
        ended = ", ".join(sorted({one.status.value for one in found.deliveries if one.id in ids}))
        return _no("nothing_open", f"There is nothing to stop: it has ended ({ended}).")
    return cancel_many(tx, Selection(ids=ids), by=by, now=now)


def cancel_many(tx: Tx, chosen: Selection, *, by: str, now: datetime, note: str = "") -> Answer:
    """Stop every open delivery of a selection."""
    stopped = queue.cancel(tx, chosen, now=now, by=by, reason=note)
    sentence = f"Cancelled: {_deliveries(len(stopped))}."
    return Answer(key="done", sentence=sentence, count=len(stopped), deliveries=tuple(stopped))


def flush(tx: Tx, chosen: Selection, *, by: str, now: datetime) -> Answer:
    """Try now what waits for a later try."""
    count = queue.flush(tx, chosen, now=now, by=by)
    return Answer(key="done", sentence=f"To be tried now: {_deliveries(count)}.", count=count)


def hold(tx: Tx, chosen: Selection, *, by: str, now: datetime, note: str = "") -> Answer:
    """Keep what is open now from being sent, until it is released."""
    count = queue.hold(tx, chosen, reason=note, now=now, by=by)
    return Answer(key="done", sentence=f"Held: {_deliveries(count)}.", count=count)


def release(tx: Tx, chosen: Selection, *, by: str, now: datetime) -> Answer:
    """Let held deliveries go; those of an app in hold mode only when the app is named, since they may be tests."""
    count = queue.release(tx, chosen, now=now, by=by)
    sentence = f"Released: {_deliveries(count)}."
    kept = queue.count_of_app_hold(tx, chosen)
    if kept:
        stay = "stays" if kept == 1 else "stay"
        sentence += f" {kept} of an app in hold mode {stay} held; to send real guests its mail, name it with --app."
    return Answer(key="done", sentence=sentence, count=count)


def pause(
    tx: Tx, scope: str, value: str, *, by: str, now: datetime, note: str = "", until: datetime | None = None
) -> Answer:
    """Send nothing of a scope (all, site, domain, app) until it is resumed or the time is over."""
    value = _pause_value(scope, value)
    if any(one.scope == scope and one.value == value for one in pauses.every(tx)):
        return Answer(key="already_paused", sentence=f"Sending {_scope(scope, value)} is paused already.")
    pauses.pause(tx, scope=scope, value=value, reason=note, by=by, now=now, until=until)
    text = f"Sending {_scope(scope, value)} is paused{': ' + note if note else ''}"
    events.add(tx, Event(at=now, kind="pause", text=text, by=by))
    return Answer(key="done", sentence=f"Sending {_scope(scope, value)} is paused.", count=1)


def resume(tx: Tx, scope: str, value: str, *, by: str, now: datetime) -> Answer:
    """End the pauses on exactly this scope and value."""
    value = _pause_value(scope, value)
    count = pauses.resume(tx, scope=scope, value=value, now=now)
    if not count:
        return _no("not_paused", f"Sending {_scope(scope, value)} is not paused.")
    events.add(tx, Event(at=now, kind="resume", text=f"Sending {_scope(scope, value)} goes on", by=by))
    return Answer(key="done", sentence=f"Sending {_scope(scope, value)} goes on.", count=count)


def _pause_value(scope: str, value: str) -> str:
    return (to_a_label(value) or value.lower()) if scope == "domain" else value


def _scope(scope: str, value: str) -> str:
    return {"all": "to everyone", "domain": f"to {value}", "site": f"to the servers {value}"}.get(
        scope, f"from {value}"
    )


def _deliveries(count: int) -> str:
    return "1 delivery" if count == 1 else f"{count} deliveries"
