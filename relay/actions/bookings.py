"""All that left for one booking, and what is known about it (mission 002.1, 002.2).

A unit of work for `Store.read`. Whoever may see only some apps' mail gets what those apps handed in, and nothing that
tells of the others.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from relay.actions.answer import Answer
from relay.actions.asking import rows_of_booking
from relay.actions.blocks import describe
from relay.actions.mails import Mail, mails
from relay.actions.resend import plan_resend
from relay.actions.telling import Telling, tell
from relay.address import address_key, domain_of
from relay.store import addresses, bookings, log, suppressions
from relay.store.bookings import Place
from relay.store.protocols import Tx
from relay.why import badness
from relay.wording import say

_CUSTOMERS = 10

#: Mails that are sent again in one go: each is read and written anew in memory.
MOST_AT_ONCE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Involved:
    """Somebody who gets mail for the booking."""

    address: str  #: normalised
    shown: str
    name: str
    phone: str | None
    number: str | None  #: customer number


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingCard:
    """One booking: the answer, its mails oldest first, and what is known about it."""

    number: str  #: as the mail writes it
    deciding: Mail  #: the worst; of several the newest
    told: Telling  #: what is to be said of that one
    mails: tuple[Mail, ...]
    customers: tuple[Involved, ...]
    apps: tuple[str, ...]  #: that handed them in
    event_at: datetime | None
    places: tuple[Place, ...]  #: where the number was found; none: only a subject names it
    missing_kinds: tuple[str, ...]  #: that most bookings of the app get
    first_at: datetime | None  #: when the log begins


def booking_card(
    tx: Tx,
    booking: str,
    *,
    now: datetime,
    give_up_after: timedelta,
    apps: Collection[str] | None = None,
    zone: tzinfo | None = None,
) -> BookingCard | None:
    """Gather what is known about a booking; None when no mail for it was handed to us."""
    rows = [row for row in rows_of_booking(tx, booking) if apps is None or row.app in apps]
    if not rows:
        return None
    messages = {row.message for row in rows}
    about = [one for one in bookings.about(tx, booking) if one.message in messages]
    places = [one for one in bookings.places(tx, booking) if one.message in messages]
    found_in = {(one.source, one.rule): one for one in places}
    from_apps = tuple(dict.fromkeys(row.app for row in rows))
    listed = sorted(mails(rows), key=lambda mail: (mail.original.accepted_at, mail.seq))
    worst = _worst(tx, listed)
    told = tell(tx, worst.newest.id, now=now, give_up_after=give_up_after, zone=zone)
    assert told is not None  # the row was read in the same snapshot
    return BookingCard(
        number=places[0].value if places else booking,
        deciding=worst,
        told=told,
        mails=tuple(listed),
        customers=_involved(tx, rows, {one.phone for one in about if one.phone}),
        apps=from_apps,
        event_at=next((one.event_at for one in about if one.event_at), None),
        places=tuple(found_in.values()),
        missing_kinds=_missing(tx, rows, from_apps),
        first_at=log.first_at(tx),
    )


def _worst(tx: Tx, listed: list[Mail]) -> Mail:
    """Choose the mail that the answer is about; one that the same person got later, of the same kind, is settled."""
    people = {mail.seq: _person(tx, mail) for mail in listed}
    arrived: dict[tuple[str, str | None], int] = {}
    for mail in listed:
        if mail.is_received:
            arrived[people[mail.seq], mail.original.kind] = mail.seq
    unsettled = [mail for mail in listed if arrived.get((people[mail.seq], mail.original.kind), 0) <= mail.seq]
    return max(unsettled, key=lambda mail: (badness(mail.status), mail.seq))


def _person(tx: Tx, mail: Mail) -> str:
    to = mail.newest.intended or mail.newest.to
    return address_key(addresses.corrected_to(tx, to) or to)


def _involved(tx: Tx, rows: list[log.LogRow], phones: set[str]) -> tuple[Involved, ...]:
    """Who the mail went to, the newest first; a phone that only the mail names is theirs when there is one person."""
    people: dict[str, log.LogRow] = {}
    for row in rows:
        people.setdefault(address_key(row.intended or row.to), row)
    found = []
    for key, row in list(people.items())[:_CUSTOMERS]:
        known = addresses.get(tx, key)
        phone = known.phone if known else None
        if phone is None and len(people) == 1:
            phone = next(iter(phones), None)
        number = known.customer if known else None
        found.append(
            Involved(address=key, shown=row.intended or row.to, name=row.name, phone=phone, number=number),
        )
    return tuple(found)


def _missing(tx: Tx, rows: list[log.LogRow], apps: tuple[str, ...]) -> tuple[str, ...]:
    seen = {row.kind for row in rows}
    if seen == {None}:  # the app's mail tells no kinds
        return ()
    usual = {kind for app in apps for kind in bookings.usual_kinds(tx, app)}
    return tuple(sorted(usual - {kind for kind in seen if kind}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A mail that would not be sent again, and why."""

    mail: Mail
    key: str  #: blocked, or the key of plan_resend's Answer
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resending:
    """What sending all undelivered mail of a booking again would do."""

    chosen: tuple[tuple[Mail, str], ...]  #: with the address it would go to
    skipped: tuple[Skipped, ...]
    has_more: bool = False  #: there are more than are done at once


def plan_booking_resend(tx: Tx, card: BookingCard, *, by: str, now: datetime, hostname: str) -> Resending:
    """List what did not arrive and can be sent again, and what cannot."""
    wanted = [mail for mail in card.mails if mail.is_undelivered]
    chosen, skipped = [], []
    for mail in wanted[:MOST_AT_ONCE]:
        plan = plan_resend(tx, mail.newest.id, by=by, now=now, hostname=hostname)
        if isinstance(plan, Answer):
            skipped.append(Skipped(mail=mail, key=plan.key, sentence=plan.sentence))
            continue
        to = plan.copies[0][0].address
        blocked = suppressions.active_for(tx, address_key(to), domain=domain_of(to), app=plan.message.app, now=now)
        if blocked is not None:
            skipped.append(
                Skipped(
                    mail=mail,
                    key="blocked",
                    sentence=say("{address} is blocked ({why}).", address=to, why=describe(blocked)),
                )
            )
        else:
            chosen.append((mail, to))
    return Resending(chosen=tuple(chosen), skipped=tuple(skipped), has_more=len(wanted) > MOST_AT_ONCE)
