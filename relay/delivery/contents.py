"""The contents of messages in memory: loaded once, kept only while somebody needs them, never more than a budget.

Small contents are fetched ahead, a whole claim in one read, and stay pinned by the deliveries claimed.
Large ones are read, and pinned, only when they are sent; then a byte budget makes senders wait
for one another, and recipients at several sites that are sent at the same time share one copy.
A content larger than the whole budget is still sent, alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from relay.delivery.transaction import ContentKey

#: Reads contents by key; a key without content maps to None.
Load = Callable[[Sequence[ContentKey]], Awaitable[Mapping[ContentKey, bytes | None]]]

#: Contents up to this size are fetched ahead.
SMALL_BYTES = 64 * 1024


class Contents:
    """Contents by key with a count of who needs each."""

    def __init__(self, load: Load, *, budget_bytes: int = 256 * 1024**2) -> None:
        self._load = load
        self._budget_bytes = budget_bytes
        self._used_bytes = 0
        self._kept: dict[ContentKey, bytes] = {}
        self._pins: dict[ContentKey, int] = {}
        self._loading: dict[ContentKey, asyncio.Future[None]] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def used_bytes(self) -> int:
        """Bytes kept now."""
        return self._used_bytes

    async def fetch_ahead(self, wanted: Iterable[tuple[ContentKey, int]]) -> None:
        """Load the small ones of these (key, size) in one read; half the budget is left for large ones."""
        keys = []
        total = self._used_bytes
        for key, size in wanted:
            if size <= SMALL_BYTES and key not in self._kept and total + size <= self._budget_bytes // 2:
                keys.append(key)
                total += size
        if keys:
            for key, content in (await self._load(keys)).items():
                if content is not None:
                    self._keep(key, content)

    def pin(self, key: ContentKey) -> None:
        """Keep this content, once it is loaded, until it was unpinned as often."""
        self._pins[key] = self._pins.get(key, 0) + 1

    def unpin(self, key: ContentKey) -> None:
        """Need this content no more; the last one frees it."""
        left = self._pins.get(key, 0) - 1
        if left > 0:
            self._pins[key] = left
            return
        self._pins.pop(key, None)
        self._drop(key)

    async def get(self, key: ContentKey, *, size: int) -> bytes | None:
        """Return the content, waiting for memory when it is large; None when the store has none.

        The caller has pinned the key.
        """
        while (content := self._kept.get(key)) is None:
            if (loading := self._loading.get(key)) is not None:
                await asyncio.shield(loading)
                continue
            if self._used_bytes and self._used_bytes + size > self._budget_bytes:
                await self._wait_for_memory()
                continue
            return await self._load_one(key, size)
        return content

    async def _load_one(self, key: ContentKey, size: int) -> bytes | None:
        done = self._loading[key] = asyncio.get_running_loop().create_future()
        self._used_bytes += size  # reserved while it is read
        try:
            content = (await self._load([key])).get(key)
        finally:
            del self._loading[key]
            self._used_bytes -= size
            done.set_result(None)
        if content is not None:
            self._keep(key, content)
        self._wake()
        return content

    async def _wait_for_memory(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def _keep(self, key: ContentKey, content: bytes) -> None:
        if key not in self._kept:
            self._kept[key] = content
            self._used_bytes += len(content)

    def _drop(self, key: ContentKey) -> None:
        content = self._kept.pop(key, None)
        if content is not None:
            self._used_bytes -= len(content)
            self._wake()

    def _wake(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
