"""What the page about one mail shows, read on one snapshot, and the one button that helps.

The words are those of the catalogue, with the same values as `waybill why` gives them. Mail of an app that the person
does not see is as if it were not there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from dashboard.desk import Desk
from dashboard.saying import Saying
from relay import actions
from relay.actions import Papers, Telling
from relay.address import address_key
from relay.classify.explain import Explanation, Words, render, render_for_customer
from relay.model import Suppression
from relay.status import FAILED, OPEN, Status
from relay.store import incidents, notices
from relay.store.protocols import Tx

#: Verdicts as the look of an answer: (colour, shape).
TONES = {
    "delivered": ("ok", "tick"),
    "pending": ("wait", "clock"),
    "blocked": ("block", "no-entry"),
    "not_delivered": ("bad", "cross"),
}

#: Entries whose cure is another address.
_WRONG_ADDRESS = frozenset({"no-mailbox", "no-domain", "bad-address", "mailbox-off"})

#: Entries that only the people who run the recipient's server can mend.
_FOR_THEIR_IT = frozenset({"refused-policy", "not-theirs", "unknown"})


class Step(StrEnum):
    """The one thing to do about a mail."""

    CORRECT = "correct"
    RESEND = "resend"
    UNBLOCK = "unblock"
    INCIDENT = "incident"
    REPORT = "report"
    COPY = "copy"  #: it was sent again: look at that
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """All that is shown of one mail."""

    told: Telling
    words: Words
    tone: str
    icon: str
    step: Step
    notices: tuple[int, ...]  #: open ones of this address, as far as the person sees their apps
    can_be_noticed: bool  #: it can be put on the to-do list
    incident: int | None  #: the open one that this failure belongs to
    papers: Papers | None

    @property
    def is_final(self) -> bool:
        """Tell whether nothing more is expected to happen by itself, to it or to a copy that was made of it."""
        waiting = OPEN | {Status.SENT}
        return not any(one.status in waiting for one in (self.told.delivery, *self.told.copies))

    @property
    def block(self) -> Suppression | None:
        """The block that stands now."""
        return self.told.case.blocked if self.told.case.lifted_at is None else None

    @property
    def copy(self) -> str:
        """The newest resend of it, another than itself; "" without one."""
        others = [one.id for one in self.told.copies if one.id != self.told.delivery.id]
        return others[-1] if others else ""


def use_utc(desk: Desk) -> bool:
    """Tell all times of this page in UTC when the address asks for that."""
    is_utc = desk.asked("utc") == "1"
    if is_utc:
        desk.tongue = replace(desk.tongue, zone=UTC)
    return is_utc


async def told_of(desk: Desk) -> Telling | None:
    """Read the mail that the address names; None when there is none for this person."""
    return await desk.read(lambda tx: tell(tx, desk))


def tell(tx: Tx, desk: Desk, wanted: str = "") -> Telling | None:
    """Read the mail that the address names, or another one, in a unit that reads more."""
    told = actions.tell(
        tx,
        wanted or desk.request.path_params["id"],
        now=desk.now,
        give_up_after=desk.config.delivery.give_up_after,
        zone=desk.tongue.zone,
        is_last=not wanted and desk.asked("copy") == "last",
    )
    return told if told is not None and desk.sees(told.found.message.app) else None


async def sheet_of(desk: Desk, *, with_papers: bool = False) -> Sheet | None:
    """Read all that is shown of the mail that the address names."""

    def unit(tx: Tx) -> Sheet | None:
        told = tell(tx, desk)
        return None if told is None else _sheet(tx, desk, told, with_papers=with_papers)

    return await desk.read(unit)


def _sheet(tx: Tx, desk: Desk, told: Telling, *, with_papers: bool) -> Sheet:
    tone, icon = TONES[told.verdict.value]
    if told.delivery.status is Status.CANCELLED or (tone == "wait" and told.delivery.status is Status.QUEUED):
        tone, icon = "off", "dot"
    words = in_words(told.explanation, desk)
    incident = _incident(tx, told) if words.who == "admin" else None
    return Sheet(
        told=told,
        words=words,
        tone=tone,
        icon=icon,
        step=best_step(told, who=words.who, can_open_incident=bool(incident) and desk.may("operator"), now=desk.now),
        notices=_open_notices(tx, told, desk) if desk.may("support") else (),
        can_be_noticed=actions.is_for_desk(told),
        incident=incident,
        papers=_papers(tx, told, desk) if with_papers and desk.may("support") else None,
    )


def in_words(explanation: Explanation, desk: Desk) -> Words:
    """Say it to the reader."""
    return render(explanation, tongue=Saying(desk.tongue))


def best_step(told: Telling, *, who: str, can_open_incident: bool, now: datetime) -> Step:
    """Choose the one button that helps."""
    also, entry, message = told.explanation.also, told.explanation.entry, told.found.message
    if told.verdict.value in {"delivered", "pending"}:
        return Step.NOTHING
    if "resent" in also:
        return Step.COPY
    is_over = message.expires_at is not None and message.expires_at <= now
    again = Step.NOTHING if is_over or not told.found.has_content else Step.RESEND
    if "corrected" in also:
        return again
    if told.verdict.value == "blocked":
        return _step_when_blocked(told, again)
    return _step_when_failed(told, entry, who, again, can_open_incident=can_open_incident)


def _step_when_blocked(told: Telling, again: Step) -> Step:
    blocked = told.case.blocked
    if blocked is None or told.case.lifted_at is not None:
        return again
    return Step.CORRECT if blocked.reason in {"invalid_address", "invalid_domain"} else Step.UNBLOCK


def _step_when_failed(told: Telling, entry: str, who: str, again: Step, *, can_open_incident: bool) -> Step:
    category = told.delivery.category
    if entry in _WRONG_ADDRESS or (category is not None and category.value in {"invalid_address", "invalid_domain"}):
        return Step.CORRECT
    if "blocked" in told.explanation.also:
        return Step.UNBLOCK
    if who == "admin":
        return Step.INCIDENT if can_open_incident else Step.REPORT
    return Step.REPORT if entry in _FOR_THEIR_IT else again


def _incident(tx: Tx, told: Telling) -> int | None:
    if told.delivery.status not in FAILED | OPEN:
        return None
    domain, app = told.delivery.domain, told.found.message.app
    fits = (
        one.id
        for one in incidents.every(tx)
        if (not one.subject.domain or one.subject.domain == domain) and (not one.subject.app or one.subject.app == app)
    )
    return next(fits, None)


def _open_notices(tx: Tx, told: Telling, desk: Desk) -> tuple[int, ...]:
    key = address_key(told.delivery.address)
    return tuple(one.id for one in notices.search(tx, address=key) if desk.sees(one.app))


def _papers(tx: Tx, told: Telling, desk: Desk) -> Papers | None:
    names = {source.address: source.hostname for source in desk.config.delivery.source_addresses}
    ourselves = actions.Ourselves(hostname=desk.config.node.hostname, names=names)
    give_up_after = desk.config.delivery.give_up_after
    made = actions.papers(tx, told.delivery.id, now=desk.now, give_up_after=give_up_after, ourselves=ourselves)
    for_customer = render_for_customer(told.explanation, tongue=Saying(desk.tongue))
    return replace(made[0], for_customer=for_customer) if made else None
