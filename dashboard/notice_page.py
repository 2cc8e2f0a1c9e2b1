"""One notice: what the page shows of it, and the form that corrects its address.

The mails of apps that a person does not see are left out, and a number in the form that is out of bounds is a problem
that is told, never mended in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta

from dashboard.causes import cause
from dashboard.marking import N_
from dashboard.saying import Saying
from dashboard.todo_list import people
from dashboard.tongue import Tongue
from relay import actions
from relay.actions import Card, Fix
from relay.address import address_key, validate
from relay.classify.explain import Words, render
from relay.errors import Refused
from relay.status import OPEN, Status
from relay.store import notices
from relay.store.notices import Copy, Mail
from relay.store.protocols import Tx

#: How far back one can look for what did not arrive, in days.
MOST_DAYS = 365
DAYS = 30

#: How long a redirect holds when nothing else is said.
REDIRECT_DAYS = 30

_MOST_REDIRECT_DAYS = 3660


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One mail that did not arrive, with the newest copy of it."""

    mail: Mail
    copy: Copy | None

    @property
    def is_moving(self) -> bool:
        """Tell whether something may still become of it."""
        status = self.copy.status if self.copy is not None else self.mail.status
        return status in OPEN or status is Status.SENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the page shows."""

    card: Card
    words: Words
    lines: list[Line]
    people: tuple[str, ...]

    @property
    def is_open(self) -> bool:
        return self.card.notice.closed_at is None

    @property
    def is_wrong_address(self) -> bool:
        return actions.is_wrong_address(self.card.notice)

    @property
    def title(self) -> str:
        return cause(self.card.notice.cause)

    @property
    def is_moving(self) -> bool:
        return any(line.is_moving for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What was typed into the form."""

    choice: str = ""  #: the suggestion, when it was chosen
    other: str = ""
    is_resent: bool = True
    days: str = str(DAYS)
    is_redirected: bool = False
    until: str = ""  #: a date
    problems: list[tuple[str, str]] = field(default_factory=list)

    @property
    def new(self) -> str:
        return self.other or self.choice


def read(tx: Tx, notice_id: int, *, apps: tuple[str, ...] | None, person: str, tongue: Tongue) -> Shown | None:
    """Read what the page shows; None when there is no such notice for this person."""
    card = actions.show_notice(tx, notice_id)
    if card is None or (apps is not None and card.notice.app not in apps):
        return None
    if apps is not None and card.message is not None and card.message.app not in apps:
        card = replace(card, proof=None, message=None)
    copies: dict[str, Copy] = {}
    for copy in notices.copies_of(tx, card.notice):  # the newest first
        copies.setdefault(copy.original, copy)
    mails = [mail for mail in card.mails if apps is None or mail.app in apps]
    lines = [Line(mail=mail, copy=copies.get(mail.id)) for mail in mails]
    own = {line.mail.id for line in lines}
    # A copy that itself did not arrive is a line of the same mail.
    lines = [line for line in lines if not (line.copy is not None and line.copy.id in own)]
    words = render(card.explanation, tongue=Saying(tongue))
    return Shown(card=card, words=words, lines=lines, people=people(tx, person))


def checked(
    typed: Typed, *, old: str, tongue: Tongue, now: datetime, apps: tuple[str, ...] | None
) -> tuple[Fix | None, list[tuple[str, str]]]:
    """Make what is to be done of what was typed, or say what is wrong with it."""
    wrong: list[tuple[str, str]] = [*_address(typed, old, tongue)]
    days = int(typed.days) if typed.days.isascii() and typed.days.isdigit() and len(typed.days) < 5 else 0
    if typed.is_resent and not 1 <= days <= MOST_DAYS:
        wrong.append(("days", tongue.text(N_("Give a number of days from 1 to {most}.")).format(most=MOST_DAYS)))
    until = _end_of(typed.until, tongue) if typed.is_redirected else None
    if typed.is_redirected and (until is None or not now < until <= now + timedelta(days=_MOST_REDIRECT_DAYS)):
        wrong.append(("until", tongue.text(N_("Give a day that is still to come."))))
    if wrong:
        return None, wrong
    since = now - timedelta(days=days) if typed.is_resent else None
    return Fix(old=old, new=typed.new, resend_since=since, redirect_until=until, apps=apps), []


def _address(typed: Typed, old: str, tongue: Tongue) -> list[tuple[str, str]]:
    if not typed.new:
        return [("other", tongue.text(N_("Give the right address.")))]
    if address_key(typed.new) == address_key(old):
        return [("other", tongue.text(N_("That is the address that did not work.")))]
    try:
        validate(typed.new, is_smtputf8=True)
    except Refused:
        return [("other", tongue.text(N_("That is not an email address: {address}")).format(address=typed.new))]
    return []


def _end_of(text: str, tongue: Tongue) -> datetime | None:
    """Give the end of a day on the reader's clock; None for what is no day."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        return None
    return datetime.combine(day, time(23, 59, 59), tongue.zone)


def typed_of(form: Mapping[str, str]) -> Typed:
    """Read the form."""
    return Typed(
        choice=form.get("choice", "").strip(),
        other=form.get("other", "").strip(),
        is_resent=form.get("resend", "") == "yes",
        days=form.get("days", "").strip(),
        is_redirected=form.get("redirect", "") == "yes",
        until=form.get("until", "").strip(),
    )
