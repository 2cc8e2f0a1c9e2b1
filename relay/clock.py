"""What time it is, as the store tells it: the machine's clock, put right where it cannot be.

Several nodes compare times that others wrote: when a lease runs out, when a delivery is due, how long a site is left
alone. A node whose clock is a minute off would take over deliveries that others are sending, or leave its own to them.
So each beat brings the store's time, asked for and answered at two moments of the machine's clock; when the store's
lies outside of these two, the clock is off, and it is moved by just so much that it could be right. In between, and
where the clocks agree, nothing changes. No I/O.

Without a shared store nobody calls `heard`, and this is the machine's clock.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

_NONE = timedelta(0)


class StoreClock:
    """Call it for the time."""

    def __init__(self, machine: Callable[[], datetime]) -> None:
        self.machine = machine  #: the clock of this machine as it is
        self.offset = _NONE  #: what is added to it

    def __call__(self) -> datetime:
        return self.machine() + self.offset

    def heard(self, at: datetime, *, asked: datetime) -> timedelta:
        """Take in the store's time, asked for at that moment of `machine`; return by how much ours is ahead."""
        least, most = at - self.machine(), at - asked
        self.offset = min(max(self.offset, least), most)
        return -self.offset
