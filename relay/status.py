"""The states of a delivery and the only ways between them.

Theory of operation. A delivery is born `queued` (or `suppressed`, when its address is blocked at that moment and it is
a resend). The scheduler moves it; a person may cancel it; a late report may move a delivery that had already ended.
Every legal step stands in TRANSITIONS with its reason; an unknown one raises IllegalTransition and nothing is guessed.
The diagram in docs/architecture.md is generated from this table. No I/O, no clock.
"""

from __future__ import annotations

from enum import StrEnum

from relay.errors import IllegalTransition


class Status(StrEnum):
    """Where one delivery (message × recipient) stands."""

    QUEUED = "queued"  #: accepted, first attempt not finished
    SENT = "sent"  #: handed to a smarthost, or its final answer takes long; not green
    DEFERRED = "deferred"  #: 4xx or no answer, retries remain
    DELIVERED = "delivered"  #: the recipient's server acknowledged receipt (2xx after DATA)
    SOFT_BOUNCED = "soft_bounced"  #: ended for a temporary or fixable reason, or retries used up
    HARD_BOUNCED = "hard_bounced"  #: ended: the address or domain cannot receive
    INVALID = "invalid"  #: ended: the server said that there is no such address
    REJECTED = "rejected"  #: ended: a smarthost or our own settings refused us
    SUPPRESSED = "suppressed"  #: not sent: the address is blocked
    CANCELLED = "cancelled"  #: stopped by a named person


#: Statuses from which the scheduler still has work to do.
OPEN = frozenset({Status.QUEUED, Status.DEFERRED})

#: Statuses that count as "pending" for the support desk.
PENDING = frozenset({Status.QUEUED, Status.DEFERRED})

#: Statuses that mean the mail did not arrive.
FAILED = frozenset({Status.SOFT_BOUNCED, Status.HARD_BOUNCED, Status.INVALID, Status.REJECTED})


class Group(StrEnum):
    """What support staff count: one word for what all deliveries in it have in common."""

    PENDING = "pending"  #: no final answer yet
    DELIVERED = "delivered"  #: the only green
    NOT_DELIVERED = "not_delivered"
    CANCELLED = "cancelled"
    BLOCKED = "blocked"  #: not sent, or arrived and reported as spam: nothing more goes there


#: Which statuses each group holds. A delivery marked as spam is in BLOCKED whatever its status; see group_of.
GROUPS: dict[Group, frozenset[Status]] = {
    Group.PENDING: OPEN | {Status.SENT},
    Group.DELIVERED: frozenset({Status.DELIVERED}),
    Group.NOT_DELIVERED: FAILED,
    Group.CANCELLED: frozenset({Status.CANCELLED}),
    Group.BLOCKED: frozenset({Status.SUPPRESSED}),
}

_GROUP_OF = {status: group for group, statuses in GROUPS.items() for status in statuses}


def group_of(status: Status, *, is_spam: bool = False) -> Group:
    """Tell in which group a delivery is counted; `is_spam`: its recipient reported it."""
    return Group.BLOCKED if is_spam else _GROUP_OF[status]


#: (from, to) -> why that step exists.
TRANSITIONS: dict[tuple[Status, Status], str] = {
    (Status.QUEUED, Status.DELIVERED): "2xx after the content",
    (Status.QUEUED, Status.SENT): "a smarthost took it, or the final answer takes more than 5 s",
    (Status.QUEUED, Status.DEFERRED): "4yz or no answer, and a retry is planned",
    (Status.QUEUED, Status.SOFT_BOUNCED): "5yz for a fixable reason, or retries used up",
    (Status.QUEUED, Status.HARD_BOUNCED): "5yz: the address or domain cannot receive",
    (Status.QUEUED, Status.INVALID): "5yz: no such address",
    (Status.QUEUED, Status.REJECTED): "a smarthost or our own settings refused us",
    (Status.QUEUED, Status.SUPPRESSED): "the address is blocked",
    (Status.QUEUED, Status.CANCELLED): "a person stopped it",
    (Status.DEFERRED, Status.DELIVERED): "2xx after the content",
    (Status.DEFERRED, Status.SENT): "a smarthost took it, or the final answer takes more than 5 s",
    (Status.DEFERRED, Status.DEFERRED): "4yz or no answer again, and a retry is planned",
    (Status.DEFERRED, Status.SOFT_BOUNCED): "5yz for a fixable reason, or retries used up",
    (Status.DEFERRED, Status.HARD_BOUNCED): "5yz: the address or domain cannot receive",
    (Status.DEFERRED, Status.INVALID): "5yz: no such address",
    (Status.DEFERRED, Status.REJECTED): "a smarthost or our own settings refused us",
    (Status.DEFERRED, Status.SUPPRESSED): "the address was blocked while it waited",
    (Status.DEFERRED, Status.CANCELLED): "a person stopped it",
    (Status.SENT, Status.QUEUED): "nobody heard the answer of its first try; it is tried again",
    (Status.SENT, Status.DELIVERED): "a report or the late answer says delivered",
    (Status.SENT, Status.DEFERRED): "the late answer was 4yz or none",
    (Status.SENT, Status.SOFT_BOUNCED): "a report or the late answer says so",
    (Status.SENT, Status.HARD_BOUNCED): "a report or the late answer says so",
    (Status.SENT, Status.INVALID): "a report or the late answer says so",
    (Status.SENT, Status.REJECTED): "the late answer refused us",
    (Status.SENT, Status.CANCELLED): "a person stopped it while its answer was awaited",
    (Status.CANCELLED, Status.DELIVERED): "the attempt that ran when it was stopped had already arrived",
    (Status.CANCELLED, Status.SENT): "the smarthost had already taken it when it was stopped",
    (Status.DELIVERED, Status.SOFT_BOUNCED): "returned after it was accepted",
    (Status.DELIVERED, Status.HARD_BOUNCED): "returned after it was accepted",
    (Status.DELIVERED, Status.INVALID): "returned after it was accepted",
    (Status.SOFT_BOUNCED, Status.HARD_BOUNCED): "its last answer was read again by newer rules",
    (Status.SOFT_BOUNCED, Status.INVALID): "its last answer was read again by newer rules",
    (Status.HARD_BOUNCED, Status.SOFT_BOUNCED): "its last answer was read again by newer rules",
    (Status.HARD_BOUNCED, Status.INVALID): "its last answer was read again by newer rules",
    (Status.INVALID, Status.SOFT_BOUNCED): "its last answer was read again by newer rules",
    (Status.INVALID, Status.HARD_BOUNCED): "its last answer was read again by newer rules",
}


def check_transition(old: Status, new: Status) -> None:
    """Pass silently when the step is legal.

    Raises:
        IllegalTransition: the step does not stand in TRANSITIONS.
    """
    if (old, new) not in TRANSITIONS:
        raise IllegalTransition(f"a delivery cannot go from {old} to {new}")
