"""Decide what the sender of a mail is told about it by mail: which of delay, failure and success, and when.

Policy, in words. The client asks at RCPT (NOTIFY), and what it asks is done; NEVER and nothing at all mean silence,
because the pages and the log are the usual way. An app that reads its mailbox can be set to more (`dsn`):

| `dsn` | with NOTIFY | without |
|---|---|---|
| `asked` | what it asks | nothing |
| `failure` | what it asks | failure |
| `delay` | what it asks | delay and failure |
| `none` | nothing | nothing |

Nobody is told about a mail from the null sender, about a report, or about an automatic answer. Mail that merely says
`Auto-Submitted: auto-generated`, as good booking systems do, is told about like any other.

What is to be told stands beside the delivery as words in alphabetical order ("delay failure success"), so that what
nobody asked for costs nothing later. The word ITSELF stands beside a delivery that carries such a notification: its
failure is nobody's error and is told to nobody. A person who cancels a mail knows, and so does who resends to a blocked
address; both are silent. Success is told by the next server where it takes the request over, else by us as `relayed`.
RFC 3461 4.1, 5.2, 6.2; RFC 3834 2. No I/O, no clock.
"""

from __future__ import annotations

import re
from enum import StrEnum

from relay.headers import HeaderBlock
from relay.status import FAILED, Status

#: Stands beside the delivery of a notification.
ITSELF = "report"

DELAY, FAILURE, SUCCESS = "delay", "failure", "success"

_UNASKED = {"failure": {FAILURE}, "delay": {DELAY, FAILURE}}
_ANSWERS = re.compile(rb"auto-replied\b", re.IGNORECASE)
_REPORT = re.compile(rb"multipart/report\b", re.IGNORECASE)

_NOT_DELIVERED = FAILED | {Status.SUPPRESSED}
_TAKEN = frozenset({Status.DELIVERED, Status.SENT})


class Action(StrEnum):
    """What a notification says happened to a recipient (RFC 3464 2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"


def to_tell(*, notify: str | None, setting: str, mail_from: str, is_answer: bool) -> str | None:
    """Say what the sender is to be told of one recipient; None: nothing."""
    if not mail_from or is_answer or setting == "none":
        return None
    asked = {word.lower() for word in notify.split(",")} if notify else _UNASKED.get(setting, set())
    return " ".join(sorted(asked & {DELAY, FAILURE, SUCCESS})) or None


def is_answer(block: HeaderBlock) -> bool:
    """Tell whether a mail is a report or an automatic answer, about which nobody is told."""
    submitted, kind = block.first("auto-submitted"), block.first("content-type")
    return bool((submitted and _ANSWERS.match(submitted)) or (kind and _REPORT.match(kind)))


def wants(dsn: str | None, word: str) -> bool:
    """Tell whether this is still to be told."""
    return dsn is not None and word in dsn.split()


def without_delay(dsn: str) -> str | None:
    """Say what is left to tell once the delay was told."""
    return " ".join(word for word in dsn.split() if word != DELAY) or None


def due(dsn: str | None, *, old: Status, new: Status, is_passed_on: bool) -> Action | None:
    """Say what a step of a delivery gives to tell; `is_passed_on`: the server that took it tells the rest itself."""
    if new in _NOT_DELIVERED and old not in _NOT_DELIVERED:
        return Action.FAILED if wants(dsn, FAILURE) else None
    # A mail that a smarthost had taken, or that a report says arrived, was told of when it left.
    if new in _TAKEN and old not in _TAKEN and not is_passed_on:
        return Action.RELAYED if wants(dsn, SUCCESS) else None
    return None
