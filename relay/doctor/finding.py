"""What the doctor says: one finding for each thing it looked at. Pure values.

A finding is bad when mail is refused, lost or not trusted because of it, a warning when it works but deserves a look,
good when it is as it should be. What could not be found out is unknown, never bad: a name server that does not answer
proves nothing about the record that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How it stands with one thing."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    id: str  #: group and check, stable: "sender.spf", "identity.ptr" …
    subject: str  #: what it is about: a domain, an address, a file
    state: State
    found: str
    expected: str
    fix: str = ""  #: the record to publish or the command to run, ready to paste; "" = nothing to do
    why: str  #: why it matters, in one sentence


#: Worst first.
ORDER = (State.BAD, State.WARNING, State.UNKNOWN, State.GOOD)


def worst(states: Iterable[State]) -> State:
    """Give the worst of several states; GOOD when there are none."""
    return min(states, key=ORDER.index, default=State.GOOD)
