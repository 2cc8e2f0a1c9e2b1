"""The short words of the pages: statuses, their tones and icons. Longer ones are in classify.explain."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard.marking import N_
from relay.status import Status


@dataclass(frozen=True, slots=True)
class Label:
    """How a status looks: a word, a colour and a shape."""

    title: str
    tone: str  #: ok | info | wait | bad | block | off
    icon: str  #: a symbol of static/icons.svg


STATUS: dict[Status, Label] = {
    Status.QUEUED: Label(N_("Queued"), "off", "dot"),
    Status.SENT: Label(N_("Sent, waiting for an answer"), "info", "envelope"),
    Status.DELIVERED: Label(N_("Delivered"), "ok", "tick"),
    Status.DEFERRED: Label(N_("Delayed, trying again"), "wait", "clock"),
    Status.SOFT_BOUNCED: Label(N_("Not delivered (we stopped trying)"), "bad", "cross-dashed"),
    Status.HARD_BOUNCED: Label(N_("Not delivered"), "bad", "cross"),
    Status.INVALID: Label(N_("Address does not exist"), "bad", "cross"),
    Status.REJECTED: Label(N_("Refused before sending"), "bad", "cross"),
    Status.SUPPRESSED: Label(N_("Not sent, blocked"), "block", "no-entry"),
    Status.CANCELLED: Label(N_("Cancelled by a person"), "off", "dot"),
}
