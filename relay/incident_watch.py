"""Say in the log what incidents there are, once for each, and end those of our name servers when they are over.

Whoever is called at night finds one line for an incident that was opened and one when it stopped mail; the list itself
is `waybill incidents list`. An incident of our name servers is over when all of its mail has ended and nothing new came
for a while; any other is ended by a person, because its failed mail is still to be sent again.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial

from relay.incidents import headline
from relay.store import incidents
from relay.store.protocols import Store

log = logging.getLogger(__name__)

_QUIET = timedelta(minutes=10)


class IncidentWatch:
    """Looks at the incidents; one per process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._said: dict[int, datetime | None] = {}  #: incident -> its pause when it was last said

    async def look(self, now: datetime) -> None:
        """Look once."""
        over = await self._store.write(partial(incidents.close_quiet_resolver, before=now - _QUIET, now=now))
        for one in over:
            log.info("event=incident_over id=%d what=%r", one.id, headline(one.subject, one.category))
        known, self._said = self._said, {}
        for one in await self._store.read(incidents.every):
            self._said[one.id] = one.paused_at
            if one.id not in known or known[one.id] != one.paused_at:
                log.warning(
                    "event=incident id=%d state=%s failed=%d what=%r hint=%r",
                    one.id,
                    "paused" if one.paused_at is not None else "open",
                    one.count,
                    headline(one.subject, one.category),
                    f"waybill incidents show {one.id} says what to do",
                )
