"""The time line of one delivery: received, every try, what people did, what came back later, the end, what is next.

Oldest first. A line says in plain words what happened; what servers said, word for word, stands in its details. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dashboard.labels import STATUS
from dashboard.marking import N_
from relay.actions import Telling
from relay.classify.explain import Explanation, explain
from relay.model import Attempt, Delivery, Event
from relay.status import FAILED, OPEN, Status

#: What the events of a delivery are called: (words, colour, shape). Their own text stands in the details.
EVENTS: dict[str, tuple[str, str, str]] = {
    "resend": (N_("Sent again"), "info", "envelope"),
    "suppressed": (N_("Not sent: the address is blocked"), "block", "no-entry"),
    "cancel": (N_("Cancelled"), "off", "dot"),
    "hold": (N_("Held back"), "wait", "clock"),
    "release": (N_("Released to be sent"), "off", "dot"),
    "flush": (N_("Next try brought forward"), "off", "dot"),
    "interrupted": (N_("A try was interrupted, so it is sent again"), "wait", "clock"),
    "late_result": (N_("A running try ended later"), "off", "dot"),
    "deadline": (N_("Not arrived yet, and its time is nearly over: the desk was told"), "wait", "clock"),
    "returned": (N_("It came back after it was accepted"), "bad", "cross"),
    "complaint": (N_("The recipient marked it as spam"), "block", "no-entry"),
    "not_spam": (N_("The recipient says that it was no spam"), "info", "info"),
    "auto_reply": (N_("An automatic answer came"), "info", "envelope"),
    "delayed": (N_("A server on the way reports that it still tries"), "wait", "clock"),
    "receipt": (N_("A server on the way reports that it arrived"), "ok", "tick"),
    "unread_report": (N_("Something came back that could not be understood"), "wait", "warning"),
    "redirected": (N_("Redirected to another address"), "info", "info"),
    "dsn": (N_("The sender was told by email"), "info", "envelope"),
    "reclassify": (N_("The answer was read anew"), "off", "dot"),
    "report_closed": (N_("Somebody looked at what came back"), "off", "dot"),
    "booking": (N_("The booking was set by a person"), "info", "info"),
}
_OTHER = (N_("Note"), "off", "dot")

#: Events whose own text is plain enough to stand beside their name.
_PLAIN_TEXT = frozenset({"resend", "cancel", "hold", "redirected", "booking", "deadline"})

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
    text, tone, icon = EVENTS.get(event.kind, _OTHER)
    is_plain = event.kind in _PLAIN_TEXT
    note, raw = (event.text, "") if is_plain else ("", event.text)
    return Line(at=event.at, text=text, tone=tone, icon=icon, by=event.by, note=note, raw=raw)


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
