"""What has to be done from time to time, by one process of all that share the store.

Runs in the delivery process. A lease in the store says whose turn it is; when its owner dies, another takes over
after LEASE. Each chore says how often it is due and does its work in small units, so that mail never waits for it.
A chore that fails is logged and tried again when it is next due; it never ends the process.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from relay.errors import RelayError
from relay.store import meta
from relay.store.protocols import Store

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=2)

#: How often the lease is renewed and the chores are looked over.
_LOOK = timedelta(seconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """One thing to be done from time to time."""

    name: str
    every: timedelta
    run: Callable[[datetime], Awaitable[None]]  #: given the time


class Housekeeper:
    """Does the chores that are due while this process has the lease."""

    def __init__(
        self,
        store: Store,
        chores: Sequence[Chore],
        *,
        owner: str,
        clock: Callable[[], datetime],
        look: timedelta = _LOOK,
    ) -> None:
        self._store = store
        self._chores = chores
        self._owner = owner
        self._clock = clock
        self._look = look
        self._done_at: dict[str, datetime] = {}

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            try:
                if await self._is_our_turn():
                    await self._do_what_is_due()
            except RelayError as error:
                log.warning("housekeeping waits for the store: %s", error)
            await asyncio.sleep(self._look.total_seconds())

    async def _is_our_turn(self) -> bool:
        now = self._clock()
        return await self._store.write(
            lambda tx: meta.take_lease(tx, "housekeeping", owner=self._owner, now=now, lasts=LEASE)
        )

    async def _do_what_is_due(self) -> None:
        for chore in self._chores:
            now = self._clock()
            done_at = self._done_at.get(chore.name)
            if done_at is not None and now - done_at < chore.every:
                continue
            self._done_at[chore.name] = now
            try:
                await chore.run(now)
            except RelayError as error:
                log.warning("housekeeping: %s failed and is tried again later: %s", chore.name, error)
            except Exception:  # an odd row must not end delivery, again at each start
                log.exception("housekeeping: %s failed and is tried again later", chore.name)
            if not await self._is_our_turn():
                return
