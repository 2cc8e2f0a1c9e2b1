"""Watch the delivery rate, and say so in the log when it falls below what is good, and when it has recovered.

Said once a day while it lasts, not at every look: whoever is called at night wants one line. The pages and
`waybill stats` show the rate itself.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial

from relay.store import stats
from relay.store.protocols import Store

_WINDOW = timedelta(hours=24)
_AGAIN = timedelta(days=1)

log = logging.getLogger(__name__)


class RateWatch:
    """Looks at the delivery rate of the last 24 hours; one per process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._said_at: datetime | None = None  #: when it was last said to be low; None: it is good

    async def look(self, now: datetime) -> None:
        """Look once."""
        rate = await self._store.read(partial(stats.delivery_rate, since=now - _WINDOW))
        if not rate.is_low:
            if self._said_at is not None and rate.is_meaningful:
                log.info("event=delivery_rate_good rate=%.3f", rate.value)
                self._said_at = None
            return
        if self._said_at is None or now - self._said_at >= _AGAIN:
            log.warning(
                "event=delivery_rate_low rate=%.3f delivered=%d failed=%d hint=%r",
                rate.value,
                rate.delivered,
                rate.failed,
                "waybill stats shows where it comes from",
            )
            self._said_at = now
