"""Which deliveries this process holds, and how many more it may claim.

First tries and retries each have half of the budget, so that neither ever waits for the other. A held delivery pins
its small content in memory; both go when the delivery was recorded or given back. State only, no I/O.
"""

from __future__ import annotations

from collections.abc import Iterable

from relay.delivery.contents import SMALL_BYTES, Contents
from relay.delivery.transaction import ContentKey, content_key
from relay.model import Claimed, DeliveryId


class Leases:
    """The deliveries this process holds, split as they were claimed."""

    def __init__(self, contents: Contents, *, budget: int) -> None:
        self._half = budget // 2
        self._contents = contents
        self._held: dict[DeliveryId, tuple[bool, ContentKey | None]] = {}
        self._due = 0

    def __len__(self) -> int:
        return len(self._held)

    def room(self) -> tuple[int, int]:
        """Return how many first tries and how many retries may be claimed now."""
        return max(0, self._half - (len(self._held) - self._due)), max(0, self._half - self._due)

    @property
    def ids(self) -> list[DeliveryId]:
        return list(self._held)

    def add(self, claims: Iterable[Claimed], *, is_due: bool) -> None:
        """Hold claimed deliveries, and their contents as far as they are fetched ahead."""
        for claim in claims:
            self.drop([claim.delivery.id])  # a lease that was lost and won back counts once
            key = content_key(claim) if claim.message.size <= SMALL_BYTES else None
            if key is not None:
                self._contents.pin(key)
            self._due += is_due
            self._held[claim.delivery.id] = (is_due, key)

    def drop(self, ids: Iterable[DeliveryId]) -> None:
        """Let go of deliveries that were recorded or given back."""
        for delivery_id in ids:
            is_due, key = self._held.pop(delivery_id, (False, None))
            self._due -= is_due
            if key is not None:
                self._contents.unpin(key)
