"""The box "we have no email for this": nothing was handed to us, which is not the same as "not delivered" (002.5).

Every page that can come out empty after a search shows it with `{% include "_nothing.html" %}`, given `nothing`. It
says since when there is a log, what to check in the booking system, which bookings and addresses look alike, and what
was refused at the door.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dashboard.links import booking_url
from dashboard.marking import N_
from dashboard.tongue import Tongue
from relay.actions import CustomerIds, Nearest
from relay.model import Refusal

#: errors.Refused.reason -> why we said no, for people; what is not here is for an admin to look up.
_REASONS = {
    "auth_failed": N_("wrong password"),
    "bad_address": N_("that is not an email address"),
    "bad_content": N_("the email was built wrongly"),
    "loop": N_("the email went round in a circle"),
    "rate_limited": N_("too many emails at once"),
    "sender_not_allowed": N_("this sender is not allowed"),
    "shortage": N_("we were short of space"),
    "store_trouble": N_("we could not keep it just then"),
    "too_large": N_("the email was too large"),
    "too_many_connections": N_("too many emails at once"),
    "too_many_recipients": N_("too many recipients"),
    "unknown_address": N_("we take no email for this address"),
    "unknown_client": N_("we do not know this program"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """Something that may have been meant."""

    text: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AtTheDoor:
    """An email that we did not take."""

    at: datetime
    program: str
    sender: str
    reason: str  #: in the reader's language
    answer: str  #: what the program was told, word for word


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """What the box shows."""

    query: str
    is_booking: bool
    first_at: datetime | None  #: when the log begins; None: there is no mail at all
    alike: tuple[Alike, ...]
    refused: tuple[AtTheDoor, ...]


def nothing(query: str, near: Nearest, *, tongue: Tongue, ids: CustomerIds, is_booking: bool = False) -> Nothing:
    """Prepare the box for a question that found nothing."""
    bookings = [Alike(text=one, url=booking_url(one)) for one in near.bookings]
    people = [Alike(text=one, url=f"/customers/{ids.of(one)}") for one in near.addresses]
    return Nothing(
        query=query,
        is_booking=is_booking,
        first_at=near.first_at,
        alike=tuple(bookings + people),
        refused=at_the_door(near.refusals, tongue),
    )


def at_the_door(refusals: Sequence[Refusal], tongue: Tongue) -> tuple[AtTheDoor, ...]:
    """Put refusals into words."""
    other = N_("see the details")
    return tuple(
        AtTheDoor(
            at=one.at,
            program=one.app or one.client_ip,
            sender=one.mail_from or "",
            reason=tongue.text(_REASONS.get(one.reason, other)),
            answer=f"{one.code} {one.enhanced} {one.text}",
        )
        for one in refusals
    )
