"""The time line of one delivery: received, every try, what people did, what came back later, the end, what is next.

Oldest first. A line says in plain words what happened; what servers said, word for word, stands in its details. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dashboard import labels
from dashboard.labels import STATUS
from dashboard.marking import N_
from relay.actions import Telling
from relay.classify.explain import Explanation, explain
from relay.model import Attempt, Delivery, Event
from relay.status import FAILED, OPEN, Status

#: How events look, where they are more than a note: (colour, shape). Green is for what their server confirmed alone.
_LOOKS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("resend", "auto_reply", "receipt", "dsn"), ("info", "envelope")),
    **dict.fromkeys(("not_spam", "redirected", "correct", "booking"), ("info", "info")),
    **dict.fromkeys(("hold", "interrupted", "deadline", "delayed", "pause"), ("wait", "clock")),
    **dict.fromkeys(("suppressed", "complaint", "block"), ("block", "no-entry")),
    "returned": ("bad", "cross"),
    "unread_report": ("wait", "warning"),
}

#: Events whose name says it all, but for the reason that a person gave.
_PLAIN = frozenset({"resend", "cancel", "hold", "release", "flush", "deadline"})

#: Events whose own text is plain enough to stand beside their name.
_WITH_TEXT = frozenset({"redirected", "booking"})

#: Ends that the last try shows by itself.
_SHOWN_BY_TRY = frozenset({Status.DELIVERED, Status.HARD_BOUNCED, Status.INVALID, Status.SENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line."""

    at: datetime
    text: str  #: to be translated
    values: Mapping[str, str] = field(default_factory=dict)
    tone: str = "off"
    icon: str = "dot"
    by: str = ""
    attempt: Attempt | None = None
    told: Explanation | None = None  #: what a try met, for the catalogue to say; its title is `%(title)s` of the text
    note: str = ""  #: text of the log that is fit for all
    raw: str = ""  #: text of the log for the details
    delivery: Delivery | None = None  #: a copy, to follow
    is_ahead: bool = False  #: has not happened yet


def lines_of(told: Telling, *, now: datetime) -> list[Line]:
    """Give the lines of a delivery, the oldest first."""
    message, delivery = told.found.message, told.delivery
    received = Line(at=message.accepted_at, text=N_("Received from %(app)s"), values={"app": message.app})
    found = [received, *_tries(told), *_events(told), *_copies(told), *_end(told)]
    found.sort(key=lambda line: line.at)
    if delivery.status in OPEN and delivery.next_at is not None and delivery.held is None and told.case.blocked is None:
        text = N_("Being tried now") if delivery.is_being_tried else N_("Next try")
        at = now if delivery.is_being_tried else delivery.next_at
        found.append(Line(at=at, text=text, tone="wait", icon="clock", is_ahead=True))
    if message.expires_at is not None and delivery.status in OPEN and message.expires_at > now:
        found.append(Line(at=message.expires_at, text=N_("Nothing is delivered after this"), is_ahead=True))
    return found


def _tries(told: Telling) -> Iterator[Line]:
    delivery = told.delivery
    for one in told.case.attempts:
        number = str(one.number)
        if one.outcome is None:
            took = N_("Try %(number)s: %(domain)s confirmed that it has the email")
            if delivery.status is Status.SENT or delivery.domain == "":
                took = N_("Try %(number)s: it was handed on")
            tone, icon = ("ok", "tick") if one.reply.is_positive else ("wait", "clock")
            values = {"number": number, "domain": delivery.domain}
            yield Line(at=one.started_at, text=took, values=values, tone=tone, icon=icon, attempt=one)
            continue
        params = {"address": delivery.address, "domain": delivery.domain}
        explained = explain(reply=one.reply, outcome=one.outcome, params=params)
        tone, icon = ("wait", "clock") if explained.is_pending else ("bad", "cross")
        text = N_("Try %(number)s: %(title)s")
        yield Line(
            at=one.started_at, text=text, values={"number": number}, tone=tone, icon=icon, attempt=one, told=explained
        )


def _events(told: Telling) -> Iterator[Line]:
    for event in told.found.events:
        if event.delivery_id in (None, told.delivery.id):
            yield _event(event)


def _event(event: Event) -> Line:
    tone, icon = _LOOKS.get(event.kind, ("off", "dot"))
    note, raw = "", event.text
    if event.kind in _WITH_TEXT:
        note, raw = event.text, ""
    elif event.kind in _PLAIN:
        note, raw = event.text.partition(": ")[2], ""
    return Line(at=event.at, text=labels.event(event.kind), tone=tone, icon=icon, by=event.by, note=note, raw=raw)


def _copies(told: Telling) -> Iterator[Line]:
    """Tell of the resends of this mail where the page is about the first one."""
    if told.delivery.resend_of is not None:
        return
    for copy in told.copies:
        label = STATUS[copy.status]
        text = (
            N_("Sent again to %(address)s as plain text") if copy.form == "plain" else N_("Sent again to %(address)s")
        )
        yield Line(
            at=copy.created_at,
            text=text,
            values={"address": copy.address},
            tone=label.tone,
            icon=label.icon,
            by=copy.by or "",
            delivery=copy,
        )


def _end(told: Telling) -> Iterable[Line]:
    delivery = told.delivery
    if delivery.ended_at is None or delivery.status not in FAILED | {Status.SUPPRESSED, Status.CANCELLED}:
        return
    if _is_told_already(told) or (delivery.status in _SHOWN_BY_TRY and told.case.attempts):
        return
    label = STATUS[delivery.status]
    yield Line(at=delivery.ended_at, text=label.title, tone=label.tone, icon=label.icon)


def _is_told_already(told: Telling) -> bool:
    """Tell whether an event of the same moment says it: what a person stopped, what came back."""
    own = [one for one in told.found.events if one.delivery_id == told.delivery.id]
    ends = {"cancel", "suppressed", "returned", "complaint"}
    return any(one.kind in ends and one.at == told.delivery.ended_at for one in own)
