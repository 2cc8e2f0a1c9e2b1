"""Tell the desk of mail that may come too late, while there is still time to phone.

Looked for every few seconds by one process of all: open deliveries whose message's deadline comes within
`delivery.deadline_notice`, or half of whose time is over when that is later. Each raises its notice once, whether it
was tried, waits for a pause, or was never begun. What fails before it was told of makes the same notice by failing.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial

from relay import deadline
from relay.store import deadlines
from relay.store.protocols import Store

_BATCH = 100

log = logging.getLogger(__name__)


class DeadlineWatch:
    """Looks at the deadlines; one per process."""

    def __init__(self, store: Store, *, notice: timedelta) -> None:
        self._store = store
        self._notice = notice

    async def look(self, now: datetime) -> None:
        """Look once."""
        while found := await self._store.read(partial(deadlines.near, now=now, notice=self._notice, limit=_BATCH)):
            for delivery_id in found:
                message = await self._store.write(partial(deadlines.warn, delivery_id=delivery_id, now=now))
                if message is not None:
                    why = deadline.text(message)
                    log.warning("event=deadline_near id=%s message=%s why=%r", delivery_id, message.id, why)
