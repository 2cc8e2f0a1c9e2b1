"""Claim what is due: how much, how often, and when to look again.

At a nudge from intake, at a commit of any process (looked for every 0.2 s), or when the next delivery is due, due
deliveries are leased: first tries and retries each up to half of what may be in memory, so that neither ever waits for
the other. Each claim is a commit that intake's commits wait for, so claims are small and keep a distance.
What is claimed has its content fetched ahead and goes to routing. Whether anything may be claimed now is the
scheduler's word.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from relay.delivery.contents import Contents
from relay.delivery.desk import Desk
from relay.delivery.dispatch import Dispatch
from relay.delivery.leases import Leases
from relay.delivery.routing import Routing
from relay.delivery.steering import Orders
from relay.delivery.transaction import content_key
from relay.errors import StoreError
from relay.model import Claimed, DeliveryId

logger = logging.getLogger(__name__)

#: Deliveries in memory: half for first tries, half for retries.
BUDGET = 2000
_MOST = 200  #: deliveries of a kind leased in one commit; more would keep intake's commits waiting
_LULL = 0.02  #: seconds without a nudge before the next due time is looked up
_GATHER = 0.005  #: seconds between claims while there is plenty to do
_BREATH = 0.004  #: seconds between claims otherwise
_BUSY = 100  #: deliveries in memory that are plenty


class Claiming:
    """The claims of one delivery process."""

    def __init__(
        self,
        desk: Desk,
        leases: Leases,
        *,
        contents: Contents,
        clock: Callable[[], datetime],
        poll_seconds: float,
        heed: Callable[[Orders], None],
    ) -> None:
        """`heed` hears of the orders that hold for what was claimed, before anything becomes of it."""
        self._desk = desk
        self._leases = leases
        self._contents = contents
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._heed = heed
        self._nudge = asyncio.Event()
        self._is_hungry = False
        self._has_caught = False

    def use(self, dispatch: Dispatch, routing: Routing) -> None:
        """Name those that what is claimed is handed to."""
        self._dispatch = dispatch
        self._routing = routing

    def nudge(self) -> None:
        """Look for work now."""
        self._nudge.set()

    def let_go(self, ids: Iterable[DeliveryId]) -> None:
        """Note that deliveries left memory; with room again, claim what had to wait for it."""
        self._leases.drop(ids)
        if self._is_hungry and len(self._leases) <= BUDGET * 3 // 4:
            self._nudge.set()

    async def claim(self, *, may_claim: bool) -> None:
        """Claim as much as there is room for and set it going.

        Raises:
            StoreError: nothing could be claimed.
        """
        self._nudge.clear()
        fresh, due = self._leases.room()
        self._is_hungry = False
        if not may_claim or (not fresh and not due):
            self._is_hungry = True
            return
        fresh, due = min(fresh, _MOST), min(due, _MOST)
        catch = await self._desk.claim(self._clock(), fresh=fresh, due=due)
        self._heed(catch.orders)
        self._has_caught = bool(catch.fresh or catch.due)
        self._leases.add(catch.fresh, is_due=False)
        self._leases.add(catch.due, is_due=True)
        claims = self._dispatch.sift([*catch.fresh, *catch.due])
        if claims:
            await self._fetch_ahead(claims)
            self._routing.add(claims)
        if (fresh and len(catch.fresh) >= fresh) or (due and len(catch.due) >= due):
            self._is_hungry = True
            if any(self._leases.room()):
                self._nudge.set()

    async def wait_for_work(self, stopping: asyncio.Event) -> None:
        """Return at a nudge, when another process committed, or when the next delivery is due.

        Raises:
            StoreError: it could not be looked.
        """
        # Nudges add up for a moment: each claim is a commit, and intake's commits wait for it.
        await asyncio.sleep(_GATHER if len(self._leases) > _BUSY else _BREATH)
        if await self._is_nudged_within(_LULL):
            return
        self._desk.changed()  # before the look: what is committed from here on is seen by the next call
        due_at = await self._desk.next_due()
        while not stopping.is_set():
            left = poll = self._poll_seconds
            if due_at is not None:
                left = min(poll, (due_at - self._clock()).total_seconds())
            if left <= 0 and not self._has_caught:
                left = poll  # due, but it was not caught (a lease that ran out, no room): no reason to hurry
            if await self._is_nudged_within(max(left, _LULL)) or self._desk.changed():
                return
            if due_at is not None and self._clock() >= due_at:
                return

    async def _fetch_ahead(self, claims: Iterable[Claimed]) -> None:
        try:
            await self._contents.fetch_ahead({content_key(claim): claim.message.size for claim in claims}.items())
        except StoreError as error:
            logger.error("contents could not be fetched ahead: %s", error)  # each is read when it is sent

    async def _is_nudged_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._nudge.wait()
        return self._nudge.is_set()
