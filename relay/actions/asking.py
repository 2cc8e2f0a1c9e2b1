"""Gather from the store what the answer to "what became of it?" needs; why.py says it in words.

A unit of work for `Store.read`: one snapshot, a few look-ups, the newest rows only. Reached as actions.why.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

from relay.actions.nearest import nearest
from relay.address import address_key
from relay.model import Delivery, DeliveryId, Suppression
from relay.status import OPEN, Status
from relay.store import addresses, log, notices, pauses, suppressions
from relay.store.near import refused_for
from relay.store.protocols import Row, Tx
from relay.why import Candidate, Case, Verdict, Why, answer, deciding, no_record, verdict_of

_ID_LENGTH = 26
_ROWS = 200  #: more than anyone reads, few enough to be quick
_SHORTEST_NUMBER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Inquiry:
    """What `why` found: the answer and the rows of the log it rests on, newest first."""

    why: Why
    rows: tuple[log.LogRow, ...]


def why(tx: Tx, question: str, *, now: datetime, give_up_after: timedelta, zone: tzinfo | None = None) -> Inquiry:
    """Answer what became of the mail to an address or a customer, for a booking, or with an id."""
    rows = _rows_for(tx, question.strip())
    if not rows:
        return Inquiry(why=_no_record(tx, question.strip(), zone=zone), rows=())
    return Inquiry(why=spoken(tx, rows, now=now, give_up_after=give_up_after, zone=zone), rows=tuple(rows))


def spoken(
    tx: Tx, rows: Sequence[log.LogRow], *, now: datetime, give_up_after: timedelta, zone: tzinfo | None = None
) -> Why:
    """Say what became of these deliveries; the worst decides."""
    current = {to: addresses.corrected_to(tx, to) or to for to in {row.to for row in rows}}
    chosen = deciding([_candidate(row, current[row.to]) for row in rows])
    case = case_of(tx, chosen.id, now=now, give_up_after=give_up_after)
    assert case is not None  # the row was read in the same snapshot
    return answer(case, zone=zone)


def verdict_of_booking(tx: Tx, booking: str, *, apps: Sequence[str]) -> Verdict:
    """Say in one word what became of the mail of a booking that these apps handed us."""
    rows = [row for row in log.search(tx, log.Query(booking=booking, limit=_ROWS)) if row.app in apps]
    if not rows:
        return Verdict.NO_RECORD
    current = {to: addresses.corrected_to(tx, to) or to for to in {row.to for row in rows}}
    return verdict_of(deciding([_candidate(row, current[row.to]) for row in rows]).status)


def case_of(tx: Tx, delivery_id: DeliveryId, *, now: datetime, give_up_after: timedelta) -> Case | None:
    """Gather what is known about one delivery; None when there is none of that id."""
    found = log.find(tx, delivery_id)
    delivery = next((one for one in found.deliveries if one.id == found.delivery_id), None) if found else None
    if found is None or delivery is None:
        return None
    return case_in(tx, found, delivery, now=now, give_up_after=give_up_after)


def case_in(tx: Tx, found: log.Found, delivery: Delivery, *, now: datetime, give_up_after: timedelta) -> Case:
    """Gather what is known about one delivery of a message that was read in the same snapshot."""
    blocked, lifted_at = _block_of(tx, delivery, app=found.message.app, now=now)
    known = addresses.get(tx, address_key(delivery.address))
    return Case(
        message=found.message,
        delivery=_with_pause(tx, delivery, app=found.message.app),
        attempts=found.attempts_of(delivery.id),
        events=found.events,
        blocked=blocked,
        lifted_at=lifted_at,
        give_up_after=give_up_after,
        error_count=known.error_count if known and blocked else 0,
        refusals=tuple(refused_for(tx, delivery.address, since=found.message.accepted_at)),
        resends=_later_copies(found.deliveries, delivery),
        corrected=addresses.corrected_to(tx, delivery.address),
        suggestion=next((row["suggestion"] for row in _notices(tx, delivery) if row["suggestion"]), None),
        phone=found.message.phone or (known.phone if known else None),
    )


def _later_copies(family: Sequence[Delivery], delivery: Delivery) -> tuple[Delivery, ...]:
    """Give the copies made after this one of the mail it is, or repeats."""
    root = delivery.resend_of or delivery.id
    later = family[family.index(delivery) + 1 :]
    return tuple(one for one in later if one.resend_of == root)


def _notices(tx: Tx, delivery: Delivery) -> list[Row]:
    return notices.open_on(tx, address_key(delivery.address))


def _candidate(row: log.LogRow, address: str) -> Candidate:
    return Candidate(seq=row.seq, id=row.id, address=address, status=row.status, resend_of=row.resend_of)


def _with_pause(tx: Tx, delivery: Delivery, *, app: str) -> Delivery:
    """Show as held what a pause will hold when its time comes: nothing of it is sent meanwhile."""
    if delivery.status not in OPEN or delivery.held is not None:
        return delivery
    covering = (
        one
        for one in pauses.every(tx)
        if one.scope == "all" or (one.scope, one.value) in (("domain", delivery.domain), ("app", app))
    )
    pause = next(covering, None)
    return delivery if pause is None else replace(delivery, held=pauses.held_text(pause))


def _block_of(tx: Tx, delivery: Delivery, *, app: str, now: datetime) -> tuple[Suppression | None, datetime | None]:
    """Find the block that stands now; for what was suppressed, else the one that stood then, with its end."""
    key = address_key(delivery.address)
    active = suppressions.active_for(tx, key, domain=delivery.domain, app=app, now=now)
    then = delivery.ended_at
    if active is not None or delivery.status is not Status.SUPPRESSED or then is None:
        return active, None
    past = suppressions.history(tx, key, scope="address") + suppressions.history(tx, delivery.domain, scope="domain")
    for one in past:
        end = _end(one)
        stood_then = one.suppression.since_at <= then and (end is None or end > then)
        if stood_then and one.suppression.app in (None, app):
            return one.suppression, end
    return None, None


def _end(one: suppressions.Listing) -> datetime | None:
    return min((end for end in (one.lifted_at, one.suppression.until_at) if end is not None), default=None)


def _rows_for(tx: Tx, question: str) -> list[log.LogRow]:
    """Find the rows a question is about: exactly that id, address or booking, no mere part of one."""
    found = log.find(tx, question) if len(question) == _ID_LENGTH else None
    if found is not None:
        wanted = found.delivery_id or found.message.id
        rows = log.search(tx, log.Query(words=(wanted,), limit=_ROWS))
        return [row for row in rows if wanted in (row.id, row.message)]
    if "@" in question:
        return _rows_of_address(tx, question)
    if not question:
        return []
    return (
        log.search(tx, log.Query(booking=question, limit=_ROWS))
        or log.search(tx, log.Query(customer=question, limit=_ROWS))
        or _rows_named(tx, question)
    )


def rows_of_booking(tx: Tx, booking: str) -> list[log.LogRow]:
    """Find the mail of a booking, newest first; of one that no mail is tied to, what names it in the subject."""
    return log.search(tx, log.Query(booking=booking, limit=_ROWS)) or _rows_named(tx, booking)


def _rows_named(tx: Tx, question: str) -> list[log.LogRow]:
    """Find mail whose subject names a number, whole: an app without a booking pattern was handed to us all the same."""
    if not any(letter.isdigit() for letter in question) or len(question) < _SHORTEST_NUMBER:
        return []
    whole = re.compile(rf"(?<![\w-]){re.escape(question)}(?![\w-])", re.IGNORECASE)
    rows = log.search(tx, log.Query(words=(question,), limit=_ROWS))
    return [row for row in rows if whole.search(row.subject)]


def _rows_of_address(tx: Tx, address: str) -> list[log.LogRow]:
    """Find the mail of whoever has this address: also at those it was corrected from or to, and what is redirected."""
    current = addresses.corrected_to(tx, address) or address
    found: dict[str, log.LogRow] = {}
    for each in (current, *addresses.earlier(tx, current)):
        for query in (log.Query(address=each, limit=_ROWS), log.Query(redirected_from=each, limit=_ROWS)):
            found |= {row.id: row for row in log.search(tx, query)}
    if found or not address_key(address):
        return sorted(found.values(), key=lambda row: -row.seq)[:_ROWS]
    key = address_key(address)
    rows = log.search(tx, log.Query(to=key, limit=_ROWS))  # what an app in redirect mode meant for this address
    return [row for row in rows if key == address_key(row.intended or "")]


def _no_record(tx: Tx, question: str, *, zone: tzinfo | None) -> Why:
    near = nearest(tx, question)
    return no_record(question, refusals=near.refusals, similar=near.similar, first_at=near.first_at, zone=zone)
