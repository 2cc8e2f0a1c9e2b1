"""Notice when many domains vanish at once: that is our resolver, not the guests' typing.

Policy: over the last ten minutes, at least five different domains answered NXDOMAIN, and they are at least half of
all the domains looked up. Counted per domain, so that one mistyped domain asked a hundred times is one.
No I/O; the time is given.
"""

from __future__ import annotations

from datetime import datetime, timedelta

WINDOW = timedelta(minutes=10)
MANY = 5
#: Beyond this many domains the oldest are forgotten, however young.
_KEPT = 20_000


class NxdomainWatch:
    """Which domains were looked up lately, and which of them did not exist."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[datetime, bool]] = {}  #: in order of time
        self._missing = 0

    def note(self, domain: str, *, is_missing: bool, now: datetime) -> None:
        """Remember what the look-up of a domain said."""
        old = self._seen.pop(domain, None)
        if old is not None and old[1]:
            self._missing -= 1
        self._seen[domain] = (now, is_missing)
        self._missing += is_missing
        self._forget(now)

    def is_epidemic(self, now: datetime) -> bool:
        """Tell whether so many domains are missing that the answer itself is in doubt."""
        self._forget(now)
        return self._missing >= MANY and self._missing * 2 >= len(self._seen)

    def _forget(self, now: datetime) -> None:
        while self._seen:
            domain = next(iter(self._seen))
            at, is_missing = self._seen[domain]
            if now - at <= WINDOW and len(self._seen) <= _KEPT:
                return
            del self._seen[domain]
            self._missing -= is_missing
