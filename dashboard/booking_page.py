"""What the page of a booking says: one sentence on top, and one line for each mail.

The sentence counts what the customer's mail server confirmed, and names the mail that decides: the worst, as in
`waybill why`. Only what was confirmed is ever green (mission 002.3, 002.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dashboard.labels import STATUS, kind
from dashboard.marking import N_
from dashboard.saying import Saying
from dashboard.tongue import Tongue
from relay.actions import BookingCard, CustomerIds, Mail, Verdict
from relay.classify.explain import Words, render
from relay.status import OPEN, Status

#: Reference.source -> where a number was found, for people.
PLACES = {
    "header": N_("in a field that the booking system sets"),
    "esp_header": N_("in a field that the booking system sets for another mail service"),
    "schema_org": N_("in the booking data inside the email"),
    "icalendar": N_("in the calendar entry inside the email"),
    "pattern": N_("in the text of the email, by the program's booking pattern"),
    "thread": N_("in the email that this one answers"),
    "subject": N_("in the subject"),
    "person": N_("given by a person"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One mail of the table."""

    mail: Mail
    what: str  #: kind, else subject
    received: str  #: yes | wait | no

    @property
    def is_wrong_address(self) -> bool:
        """Tell whether another address is the cure."""
        return self.mail.status in {Status.INVALID, Status.HARD_BOUNCED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who gets mail for the booking, with the way to their page."""

    url: str
    name: str
    address: str
    phone: str
    number: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingPage:
    """All that the template shows."""

    card: BookingCard
    tone: str
    icon: str
    headline: tuple[str, ...]  #: whole sentences
    words: Words  #: of the mail that decides
    lines: tuple[Line, ...]
    people: tuple[Person, ...]
    places: tuple[str, ...]
    missing: tuple[str, ...]  #: kinds, in the reader's words
    undelivered: int

    @property
    def is_final(self) -> bool:
        return not any(line.mail.is_pending for line in self.lines)


def prepare(card: BookingCard, *, tongue: Tongue, ids: CustomerIds, now: datetime) -> BookingPage:
    """Put a booking into words."""
    lines = tuple(_line(mail, tongue) for mail in card.mails)
    label = STATUS[card.deciding.status]
    words = render(card.told.explanation, tongue=Saying(tongue))
    people = tuple(
        Person(
            url=f"/customers/{ids.of(one.address)}",
            name=one.name or one.shown,
            address=one.shown,
            phone=one.phone or "",
            number=one.number or "",
        )
        for one in card.customers
    )
    places = [tongue.text(PLACES[one.source]) for one in card.places if one.source in PLACES]
    return BookingPage(
        card=card,
        tone="wait" if label.tone in {"off", "info"} and card.deciding.is_pending else label.tone,
        icon=label.icon,
        headline=(_counted(card.mails, tongue), *_deciding(card, lines, words, tongue=tongue, now=now)),
        words=words,
        lines=lines,
        people=people,
        places=tuple(dict.fromkeys(places)) or (tongue.text(PLACES["subject"]),),
        missing=tuple(tongue.text(kind(one)) for one in card.missing_kinds),
        undelivered=sum(mail.is_undelivered for mail in card.mails),
    )


def _line(mail: Mail, tongue: Tongue) -> Line:
    original = mail.original
    what = tongue.text(kind(original.kind)) if original.kind else original.subject or tongue.text(N_("(no subject)"))
    return Line(mail=mail, what=what, received="yes" if mail.is_received else "wait" if mail.is_pending else "no")


def _counted(mails: Sequence[Mail], tongue: Tongue) -> str:
    """Say how many arrived."""
    total, got = len(mails), sum(mail.is_received for mail in mails)
    if got == total:
        said = tongue.plural(
            "The email reached the customer's mail server.",
            "All %(num)s emails reached the customer's mail server.",
            total,
        )
    elif got == 0:
        said = tongue.plural(
            "The email has not reached the customer's mail server.",
            "None of the %(num)s emails has reached the customer's mail server.",
            total,
        )
    else:
        said = tongue.text(N_("%(got)s of %(num)s emails reached the customer's mail server."))
    return said % {"num": tongue.number(total), "got": tongue.number(got)}


def _deciding(card: BookingCard, lines: Sequence[Line], words: Words, *, tongue: Tongue, now: datetime) -> list[str]:
    """Say what the worst mail waits for or came to."""
    if card.told.verdict is Verdict.DELIVERED:
        return []
    mail = card.deciding
    what = next(line.what for line in lines if line.mail.seq == mail.seq)
    is_waiting = mail.status in OPEN and mail.newest.held is None and card.told.verdict is Verdict.PENDING
    if is_waiting and mail.newest.next_at is not None and mail.newest.attempts:
        said = tongue.text(N_("%(what)s: still being tried, next at %(time)s."))
        return [said % {"what": what, "time": tongue.soon(mail.newest.next_at, now)}]
    return [tongue.text(N_("%(title)s (%(what)s).")) % {"what": what, "title": words.title}]
