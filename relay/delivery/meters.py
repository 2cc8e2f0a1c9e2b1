"""Two small meters of a site: a configured rate, kept exactly, and what it completed lately.

No I/O and no clock here: `mono` is given, counts seconds and never jumps.
"""

from __future__ import annotations

from collections import deque

from relay.settings import Rate

#: Seconds of history that Throughput keeps.
WINDOW_SECONDS = 5


class RateWindow:
    """At most so many in any window of that length, exactly."""

    def __init__(self, rate: Rate) -> None:
        self._per = rate.per.total_seconds()
        self._times: deque[float] = deque(maxlen=rate.count)

    def change(self, rate: Rate) -> None:
        """Keep to another rate from now on; what went already counts."""
        self._per = rate.per.total_seconds()
        self._times = deque(self._times, maxlen=rate.count)

    def wait(self, mono: float) -> float:
        """Return the seconds until the next one may go; 0 is now."""
        if self._times.maxlen is None or len(self._times) < self._times.maxlen:
            return 0.0
        return max(0.0, self._times[0] + self._per - mono)

    def spend(self, mono: float) -> None:
        """Count one that goes now."""
        self._times.append(mono)

    def postpone(self, before: float, mono: float) -> None:
        """Count from now one that was counted before: it could not go at once."""
        if before in self._times:
            self._times.remove(before)
            self._times.append(mono)


class Throughput:
    """Deliveries completed within the last five seconds, counted by the second."""

    def __init__(self) -> None:
        self._counts = [0] * WINDOW_SECONDS
        self._second = 0

    def add(self, count: int, mono: float) -> None:
        """Count deliveries completed now."""
        self._move(int(mono))
        self._counts[self._second % WINDOW_SECONDS] += count

    def total(self, mono: float) -> int:
        """Return the number completed in the window."""
        self._move(int(mono))
        return sum(self._counts)

    def _move(self, second: int) -> None:
        for passed in range(min(second - self._second, WINDOW_SECONDS)):
            self._counts[(second - passed) % WINDOW_SECONDS] = 0
        self._second = max(second, self._second)
