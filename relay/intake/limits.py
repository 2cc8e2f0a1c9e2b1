"""Count what apps and clients use, and say when it is too much: rates, connections, memory. One object per process.

Rates are token buckets: `100/1m` lets 100 mails through at once and one more every 0.6 s. Memory is the content being
received or committed. A session waits for its first share before it gets 354, and never while it holds one, so that
full memory can slow clients down but never lock them against each other; what does not fit while it arrives is
refused for now (452). Time is passed in; nothing here sleeps but the wait for memory.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque

from relay.settings import Rate


class TokenBucket:
    """One rate."""

    def __init__(self, rate: Rate, *, now: float) -> None:
        self._size = float(rate.count)
        self._per_second = rate.count / max(rate.per.total_seconds(), 0.001)
        self._tokens = self._size
        self._at = now

    def take(self, now: float) -> bool:
        """Take one if there is one."""
        self._tokens = min(self._size, self._tokens + max(0.0, now - self._at) * self._per_second)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Rates:
    """The token buckets of all apps."""

    def __init__(self) -> None:
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, app: str, rate: Rate | None, *, now: float) -> bool:
        """Count one mail of the app; False when it has had its share."""
        if rate is None:
            return True
        bucket = self._buckets.get(app)
        if bucket is None:
            bucket = self._buckets[app] = TokenBucket(rate, now=now)
        return bucket.take(now)


class Connections:
    """Open connections, in all and by app network."""

    def __init__(self, *, total: int) -> None:
        self._total = total
        self._by_key: Counter[str] = Counter()
        self.count = 0

    def is_full(self) -> bool:
        """Tell whether the process has as many connections as it may have."""
        return self.count >= self._total

    def enter(self, key: str, *, limit: int) -> bool:
        """Count a connection; False, and not counted, when its network already has as many as it may."""
        if self._by_key[key] >= limit:
            return False
        self._by_key[key] += 1
        self.count += 1
        return True

    def leave(self, key: str) -> None:
        """Count a connection as gone."""
        self.count -= 1
        self._by_key[key] -= 1
        if not self._by_key[key]:
            del self._by_key[key]


class Memory:
    """The bytes of content in hand, against a budget."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._used = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def used(self) -> int:
        """Bytes taken now."""
        return self._used

    def take(self, size: int) -> bool:
        """Take that many bytes if they are free and nobody waits for his turn; False when not."""
        if self._waiting or self._used + size > self._budget:
            return False
        self._used += size
        return True

    async def reserve(self, size: int) -> int:
        """Wait until that many bytes are free and take them; gives how many were taken (never above the budget)."""
        size = min(size, self._budget)
        if self.take(size):
            return size
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (size, granted)
        self._waiting.append(entry)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.release(size)  # granted in the very moment of the cancel
            else:
                self._waiting.remove(entry)
            raise
        return size

    def grow(self, size: int) -> bool:
        """Take more at once if it is free; False when it is not."""
        if self._used + size > self._budget:
            return False
        self._used += size
        return True

    def release(self, size: int) -> None:
        """Give back, and let the next waiting sessions go on."""
        self._used -= size
        while self._waiting and self._used + self._waiting[0][0] <= self._budget:
            wanted, granted = self._waiting.popleft()
            if not granted.cancelled():
                self._used += wanted
                granted.set_result(None)
