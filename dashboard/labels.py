"""The words for what the store calls by a key: statuses, marks, groups, kinds, causes, roles, events, who can act.

Policy. Each table gives an English text (a msgid, for Tongue.text); a status also has a tone and an icon, and the icons
differ in shape, so that colour is never all there is. Green (ok) is for what the recipient's server confirmed, and for
nothing else. A word that an app made up (a kind) has no translation: it is shown as written. No I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dashboard.marking import N_
from relay.classify.explain import reason_of
from relay.model import Category
from relay.status import Status


class Tone(StrEnum):
    """The colour of a status."""

    OK = "ok"
    INFO = "info"
    WAIT = "wait"
    BAD = "bad"
    BLOCK = "block"
    OFF = "off"


class Icon(StrEnum):
    """The shape beside the word."""

    TICK = "tick"
    ENVELOPE = "envelope"
    CLOCK = "clock"
    CROSS = "cross"
    CROSS_DASHED = "cross-dashed"
    NO_ENTRY = "no-entry"
    DOT = "dot"


class Group(StrEnum):
    """What the support desk sees first; the exact status comes second."""

    PENDING = "pending"
    DELIVERED = "delivered"
    NOT_DELIVERED = "not_delivered"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Label:
    """A word with its tone and icon."""

    title: str
    tone: Tone
    icon: Icon


STATUS: Mapping[Status, Label] = {
    Status.QUEUED: Label(N_("Queued"), Tone.OFF, Icon.DOT),
    Status.SENT: Label(N_("Sent, waiting for an answer"), Tone.INFO, Icon.ENVELOPE),
    Status.DEFERRED: Label(N_("Delayed, trying again"), Tone.WAIT, Icon.CLOCK),
    Status.DELIVERED: Label(N_("Delivered"), Tone.OK, Icon.TICK),
    Status.SOFT_BOUNCED: Label(N_("Not delivered (we stopped trying)"), Tone.BAD, Icon.CROSS_DASHED),
    Status.HARD_BOUNCED: Label(N_("Not delivered"), Tone.BAD, Icon.CROSS),
    Status.INVALID: Label(N_("Address does not exist"), Tone.BAD, Icon.CROSS),
    Status.REJECTED: Label(N_("Refused before sending"), Tone.BAD, Icon.CROSS),
    Status.SUPPRESSED: Label(N_("Not sent, blocked"), Tone.BLOCK, Icon.NO_ENTRY),
    Status.CANCELLED: Label(N_("Cancelled by a person"), Tone.OFF, Icon.DOT),
}

#: What stands beside a status: the marks of a delivery, a hold, the archive.
MARK: Mapping[str, Label] = {
    "opened": Label(N_("Opened"), Tone.INFO, Icon.ENVELOPE),
    "clicked": Label(N_("Link clicked"), Tone.INFO, Icon.ENVELOPE),
    "auto_reply": Label(N_("Automatic reply"), Tone.INFO, Icon.ENVELOPE),
    "spam": Label(N_("Marked as spam"), Tone.BLOCK, Icon.NO_ENTRY),
    "held": Label(N_("Paused"), Tone.WAIT, Icon.CLOCK),
    "archived": Label(N_("Archived"), Tone.OFF, Icon.DOT),
}

GROUP: Mapping[Group, Label] = {
    Group.PENDING: Label(N_("Pending"), Tone.WAIT, Icon.CLOCK),
    Group.DELIVERED: Label(N_("Delivered"), Tone.OK, Icon.TICK),
    Group.NOT_DELIVERED: Label(N_("Not delivered"), Tone.BAD, Icon.CROSS),
    Group.CANCELLED: Label(N_("Cancelled"), Tone.OFF, Icon.DOT),
    Group.BLOCKED: Label(N_("Blocked"), Tone.BLOCK, Icon.NO_ENTRY),
}

_GROUP_OF: Mapping[Status, Group] = {
    Status.QUEUED: Group.PENDING,
    Status.SENT: Group.PENDING,
    Status.DEFERRED: Group.PENDING,
    Status.DELIVERED: Group.DELIVERED,
    Status.SOFT_BOUNCED: Group.NOT_DELIVERED,
    Status.HARD_BOUNCED: Group.NOT_DELIVERED,
    Status.INVALID: Group.NOT_DELIVERED,
    Status.REJECTED: Group.NOT_DELIVERED,
    Status.SUPPRESSED: Group.BLOCKED,
    Status.CANCELLED: Group.CANCELLED,
}

#: Who can act: the values of Words.who.
WHO: Mapping[str, str] = {
    "customer": N_("The customer"),
    "you": N_("You"),
    "admin": N_("Your admin"),
    "wait": N_("Nobody: wait"),
    "nobody": N_("Nobody"),
}

#: Kinds of mail that have a word in each language.
KIND: Mapping[str, str] = {
    "confirmation": N_("Confirmation"),
    "reminder": N_("Reminder"),
    "change": N_("Change of booking"),
    "cancellation": N_("Cancellation"),
    "invoice": N_("Invoice"),
    "receipt": N_("Receipt"),
    "payment": N_("Payment"),
    "offer": N_("Offer"),
    "voucher": N_("Voucher"),
    "review": N_("Request for a review"),
    "password": N_("Password"),
    "newsletter": N_("Newsletter"),
    "marketing": N_("Advertising"),
    "promotion": N_("Advertising"),
}

#: The cause of a notice, in a list.
CAUSE: Mapping[str, str] = {
    "no-mailbox": N_("Address does not exist"),
    "no-domain": N_("Domain does not exist"),
    "bad-address": N_("Not a valid address"),
    "mailbox-off": N_("Mailbox is switched off"),
    "mailbox-full": N_("Mailbox is full"),
    "too-big": N_("Email is too large"),
    "virus": N_("Attachment was refused"),
    "too-late": N_("Its time was over"),
    "gave-up": N_("We stopped trying"),
    "their-fault": N_("Fault at their server"),
    "refused-policy": N_("They do not accept mail from us"),
    "not-theirs": N_("Their server is not set up for it"),
    "blocked-auto": N_("Blocked after errors"),
    "complaint": N_("Marked as spam"),
    "unknown": N_("Reason unclear"),
}

#: Why an address or a domain is blocked: Suppression.reason.
BLOCK: Mapping[str, str] = {
    "manual": N_("Blocked by a person"),
    "errors": N_("Blocked after errors"),
    "invalid_address": N_("Address does not exist"),
    "invalid_domain": N_("Domain does not exist"),
    "complaint": N_("Marked as spam"),
}

ROLE: Mapping[str, str] = {
    "viewer": N_("Viewer"),
    "support": N_("Support"),
    "operator": N_("Operator"),
    "admin": N_("Admin"),
}

#: What happened, in a time line: Event.kind.
EVENT: Mapping[str, str] = {
    "resend": N_("Sent again"),
    "cancel": N_("Cancelled"),
    "hold": N_("Held back"),
    "release": N_("Released to be sent"),
    "flush": N_("Next try brought forward"),
    "block": N_("Blocked by a person"),
    "unblock": N_("Unblocked"),
    "reset": N_("Error counter reset"),
    "redirect": N_("Redirection set up"),
    "redirect_end": N_("Redirection ended"),
    "redirected": N_("Redirected to another address"),
    "correct": N_("Address corrected"),
    "booking": N_("Booking set by a person"),
    "interrupted": N_("Interrupted, will be sent again"),
    "late_result": N_("A try ended later"),
    "suppressed": N_("Not sent, blocked"),
    "deadline": N_("Not arrived yet, and time is running out"),
    "returned": N_("It came back"),
    "complaint": N_("Marked as spam"),
    "not_spam": N_("The recipient says it was no spam"),
    "auto_reply": N_("Automatic reply"),
    "delayed": N_("A server reports a delay"),
    "receipt": N_("A server reports that it arrived"),
    "unread_report": N_("Something came back that a person must read"),
    "report_closed": N_("What came back was dealt with"),
    "dsn": N_("The app was told"),
    "reclassify": N_("Reason read again by newer rules"),
    "notice": N_("To-do changed"),
    "incident": N_("Incident changed"),
    "pause": N_("Sending paused"),
    "resume": N_("Sending goes on"),
    "import": N_("List imported"),
    "undo": N_("Undone"),
    "erase": N_("A person's data was erased"),
}


def group_of(status: Status, marks: tuple[str, ...] = ()) -> Group:
    """Name the group; what was marked as spam arrived, but the address is blocked since."""
    if status is Status.DELIVERED and "spam" in marks:
        return Group.BLOCKED
    return _GROUP_OF[status]


def kind(name: str) -> str:
    """Give the word for a kind; one that an app made up is its own."""
    return KIND.get(name.lower(), name.replace("_", " ").capitalize())


def event(name: str) -> str:
    """Give the word for an event."""
    return EVENT.get(name, name.replace("_", " ").capitalize())


def reason(category: Category) -> str:
    """Give the few words for a category of the classification."""
    return reason_of(category)
