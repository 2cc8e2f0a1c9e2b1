"""Say until when a mail is worth delivering: its deadline, if it has one. Pure.

Policy, in words. What the app says about this very mail decides alone: its header field X-Waybill-Expires, also when
that time is over already, else Expires (Expiry-Date), unless that time is over: programs copy a dead Expires from web
pages. Otherwise the earlier of two: the span of the app's `deadline`, and the start of the event found in the mail. A
start counts for a mail of kind reminder, or for all mail of an app with deadline = "event", and never when it is past
when the mail comes: a receipt or a thank-you is about what was. deadline = "none" takes neither.
A start that names only a day counts to the end of that day, one without a zone as UTC.

What follows from a deadline: relay/retry.py brings the tries forward, delivery begins nothing after it and ends the
mail then (delivery/fate.py), and the desk hears of it before (relay/deadline_watch.py).
RFC 4021 (Expires, Expiry-Date), RFC 5322 3.3.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

from relay.headers import HeaderBlock
from relay.model import Message
from relay.wording import at, say

#: The rule that reads the end of a delivery whose deadline is over, and its entry in the catalogue.
RULE = "deadline_passed"
ENTRY = "too-late"

OWN_FIELD = "x-waybill-expires"
_FIELDS = ("expires", "expiry-date")
_LONGEST = 100
_REMINDER = "reminder"

Setting = timedelta | Literal["event", "none"] | None


def deadline_of(
    block: HeaderBlock,
    *,
    setting: Setting,
    kind: str | None,
    event_until: datetime | None,
    accepted_at: datetime,
) -> datetime | None:
    """Give the deadline of a mail; None: it is never too late for it.

    `setting` is the app's, `event_until` the start of the event (the end of its day, when it names only a day).
    """
    own = _in_field(block, OWN_FIELD)
    if own is not None:
        return own
    said = next((at for name in _FIELDS if (at := _in_field(block, name)) is not None), None)
    if said is not None and said > accepted_at:
        return said
    found = []
    if isinstance(setting, timedelta):
        found.append(accepted_at + setting)
    is_by_event = setting == "event" or (setting != "none" and (kind or "").casefold() == _REMINDER)
    if is_by_event and event_until is not None and event_until > accepted_at:
        found.append(event_until)
    return min(found, default=None)


def parse_time(text: str) -> datetime | None:
    """Read a time as mail writes it or by ISO 8601; a day alone means its end. None: it is neither."""
    text = text.strip()[:_LONGEST]
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            at = read(text)
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        return until(text, at)
    return None


def until(written: str, at: datetime) -> datetime:
    """Give the end of the day when only a day was written, else the time itself."""
    has_time = ":" in written or "T" in written.upper()
    try:
        return at if has_time else at + timedelta(days=1)
    except OverflowError:
        return at


def is_over(message: Message, now: datetime) -> bool:
    """Tell whether nothing of this mail may be begun any more."""
    return message.expires_at is not None and message.expires_at <= now


def is_at_event(message: Message) -> bool:
    """Tell whether the deadline is the very start of the event."""
    return message.expires_at is not None and message.expires_at == message.event_at


def text(message: Message) -> str:
    """Say when it was too late for a mail, for where the answer of a server would stand."""
    if message.expires_at is None:
        return say("it was only wanted until its time")
    written = at(message.expires_at)
    if is_at_event(message):
        return say("the appointment was at {at}", at=written)
    return say("it was only wanted until {until}", until=written)


def _in_field(block: HeaderBlock, name: str) -> datetime | None:
    value = block.first(name)
    return parse_time(value.decode("ascii", "replace")) if value else None
