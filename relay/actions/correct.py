"""Correct a customer's address, and send again to the new one what the old one did not get.

Policy. The new address is the customer's current one from then on: resends of old mail go there by themselves. Sent
again is everything of the last days that did not arrive and ended: failed, or not sent because the old address was
blocked; and what is still being tried at the old address, which is stopped in the same moment, so that nobody gets it
twice and no stranger gets it at all. Left out, each with its reason: what a person stopped, what reached somebody by
another resend, what was sent to the new address before (so that a second run sends nothing), a reminder whose event is
over and any mail whose time is over, and what is not kept any more. A block on the new address refuses the whole.

Three steps: `plan_correction` for `Store.read` lists, `correct` for `Store.write` remembers the address, and then
for each mail `plan_resend` and `catch_up`, one by one, so that many large mails never lie in memory together.
A run that was cut short is ended by running it again.
The app that made the booking does not learn of it: the address must be corrected there too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.actions.answer import Answer, no
from relay.actions.blocks import describe
from relay.actions.redirect import block_on
from relay.actions.resend import Plan, resend
from relay.address import address_key, validate
from relay.model import Delivery, Event, Message
from relay.status import FAILED, OPEN, Status
from relay.store import addresses, events, log, queue, spool
from relay.store.protocols import Tx
from relay.wording import at, say

#: More than anybody at the desk reads, and than one address gets in a month.
MOST = 1000

_UNDELIVERED = (*sorted(FAILED), *sorted(OPEN), Status.SUPPRESSED, Status.CANCELLED)
_ARRIVED = frozenset({Status.DELIVERED, Status.SENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What is not sent again, and why."""

    row: log.LogRow
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What correcting an address would do; rows are newest first."""

    old: str
    new: str
    chosen: tuple[log.LogRow, ...]  #: are sent again, one for each mail
    left_out: tuple[LeftOut, ...]
    has_more: bool = False  #: there are more than MOST: run it again with another number of days


def plan_correction(tx: Tx, old: str, new: str, *, now: datetime, since: datetime) -> Correction | Answer:
    """List what would be sent again to the new address; an Answer says why the address cannot be corrected so.

    Raises:
        Refused: one of them is no address.
    """
    old, new = old.strip(), new.strip()
    for address in (old, new):
        validate(address, is_smtputf8=True)
    if address_key(old) == address_key(new):
        return no("same", say("{old} and {new} are the same address.", old=old, new=new))
    blocked = block_on(tx, new, now=now)
    if blocked is not None:
        return no(
            "blocked",
            say("Nothing was done: {new} is blocked ({why}). Unblock it first.", new=new, why=describe(blocked)),
        )
    query = log.Query(address=old, status=_UNDELIVERED, since=since, limit=MOST + 1)
    rows = log.search(tx, query)
    chosen: list[log.LogRow] = []
    left_out: list[LeftOut] = []
    roots: set[str] = set()
    for row in rows[:MOST]:
        root = row.resend_of or row.id
        if root in roots:  # a mail that was resent to the old address in vain is one mail
            continue
        roots.add(root)
        reason = _why_not(tx, row, old, new, now=now)
        if reason is None:
            chosen.append(row)
        else:
            left_out.append(LeftOut(row=row, reason=reason))
    return Correction(old=old, new=new, chosen=tuple(chosen), left_out=tuple(left_out), has_more=len(rows) > MOST)


def _why_not(tx: Tx, row: log.LogRow, old: str, new: str, *, now: datetime) -> str | None:
    found = log.find(tx, row.id)
    assert found is not None  # the row was read in the same snapshot
    family = _family(found.deliveries, row.resend_of or row.id)
    return _reason(family, old, new) or _time_over(found.message, now) or (None if found.has_content else _GONE)


_GONE = say("its content is not kept any more")


def _family(deliveries: Iterable[Delivery], root: str) -> list[Delivery]:
    return [one for one in deliveries if root in (one.id, one.resend_of)]


def _reason(family: Sequence[Delivery], old: str, new: str) -> str | None:
    """Say why one mail, with all its resends, is not to be sent to the new address."""
    # A mail to the hotel itself that was once resent to the customer's old address did not reach the customer.
    meant = [one for one in family if one.resend_of or address_key(one.address) == address_key(old)]
    for one in family:
        if one.resend_of and address_key(one.address) == address_key(new) and one.status is not Status.SUPPRESSED:
            return say(
                "it was sent again to {address} before ({id}: {status})",
                address=one.address,
                id=one.id,
                status=one.status,
            )
    arrived = next((one for one in meant if one.status in _ARRIVED), None)
    if arrived is not None:
        return say("it reached {address} by another resend ({id})", address=arrived.address, id=arrived.id)
    # The last word of a person holds: what was stopped and nothing since.
    return say("it was stopped by a person") if family[-1].status is Status.CANCELLED else None


def _time_over(message: Message, now: datetime) -> str | None:
    if message.expires_at is not None and message.expires_at <= now:
        return say("its time was over on {at}", at=at(message.expires_at))
    if message.kind == "reminder" and message.event_at is not None and message.event_at <= now:
        return say("it is a reminder of something that began on {at}", at=at(message.event_at))
    return None


def correct(tx: Tx, correction: Correction, *, by: str, now: datetime) -> Answer:
    """Remember the new address as the customer's current one."""
    old, new = correction.old, correction.new
    if address_key(addresses.corrected_to(tx, old) or "") != address_key(new):
        addresses.correct(tx, old, new, now=now)
        text = say("Corrected from {old} to {new}", old=old, new=new)
        for address in (old, new):
            events.add(tx, Event(at=now, kind="correct", text=text, address=address_key(address), by=by))
    return Answer(
        key="done", sentence=say("{old} is corrected to {new}.", old=old, new=new), count=len(correction.chosen)
    )


def catch_up(tx: Tx, plan: Plan, correction: Correction, *, by: str, now: datetime) -> Answer:
    """Send one mail of the list to the new address, unless somebody else did meanwhile; stop it at the old one.

    `plan` is plan_resend of the row's id to the new address.
    """
    spool.lock_message(tx, plan.message.id)
    root = plan.copies[0][0].resend_of
    assert root is not None  # what plan_resend makes is a resend
    family = _family(spool.deliveries_of(tx, plan.message.id), root)
    reason = _reason(family, correction.old, correction.new)
    if reason is not None:
        return no("left_out", say("Not sent again: {why}.", why=reason))
    answer = resend(tx, plan)
    still_tried = tuple(one.id for one in family if one.status in OPEN)
    if answer.is_done and still_tried:
        note = say("the address was corrected to {new}", new=correction.new)
        queue.cancel(tx, queue.Selection(ids=still_tried), now=now, by=by, reason=note)
    return answer
