"""One of several delivery processes on one store: say that we live, see who else does, know when we are cut off.

Every 5 s a beat. Who was silent for 30 s is buried by any other, and its deliveries are taken over; so a process that
had no answer for 15 s begins nothing more. Between the two lies the time its open transactions have to end. Once it is
answered again, everything in its memory may belong to others and is looked at anew before it is sent.

Leases and retries are compared between nodes, so this process goes by the store's clock (clock.py), of which it hears
with each beat. A machine whose own clock is more than a few seconds off is told so in the log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from relay.clock import StoreClock
from relay.delivery.desk import Desk, Pulse
from relay.errors import StoreError
from relay.store.nodes import Member

logger = logging.getLogger(__name__)

BEAT = 5.0  #: seconds between two beats
ANSWER = 8.0  #: seconds to wait for the answer to one
FENCE = 15.0  #: seconds without an answer after which nothing is begun
PATIENCE = timedelta(seconds=30)  #: silence after which a process counts as dead
_TROUBLE_PAUSE = 1.0
_SKEW = timedelta(seconds=5)


class MembershipOwner(Protocol):
    """Who hears how things stand."""

    def cut_off(self) -> None:
        """Begin nothing more: others may be taking over."""

    def among(self, pulse: Pulse, *, is_back: bool) -> None:
        """Share with these; `is_back`: what is in memory may be others' by now."""


class Membership:
    """See the module; run() until cancelled."""

    def __init__(
        self,
        desk: Desk,
        member: Member,
        *,
        owner: MembershipOwner,
        clock: StoreClock,
        monotonic: Callable[[], float],
        beat_seconds: float = BEAT,
    ) -> None:
        self._desk = desk
        self._member = member
        self._owner = owner
        self._clock = clock
        self._monotonic = monotonic
        self._beat_seconds = beat_seconds
        self._heard_at = monotonic()
        self._has_joined = False
        self._is_cut_off = False
        self._is_skewed = False

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            is_heard = await self.beat()
            await asyncio.sleep(self._beat_seconds if is_heard else min(_TROUBLE_PAUSE, self._beat_seconds))

    async def beat(self) -> bool:
        """Beat once; tell whether it was answered."""
        asked_at, asked = self._monotonic(), self._clock.machine()
        try:
            async with asyncio.timeout(ANSWER):
                pulse = await self._desk.beat(self._member, now=self._clock(), patience=PATIENCE)
        except (StoreError, TimeoutError) as error:
            self._unheard(error)
            return False
        is_back = self._is_cut_off or (pulse.is_new and self._has_joined)
        if is_back:
            logger.warning("event=node_back owner=%s", self._member.owner)
        self._heard_at = asked_at  # the others count from there at the earliest
        self._has_joined = True
        self._is_cut_off = False
        self._compare_clocks(self._clock.heard(pulse.at, asked=asked))
        self._owner.among(pulse, is_back=is_back)
        return True

    def _unheard(self, error: Exception) -> None:
        if not self._is_cut_off and self._monotonic() - self._heard_at >= FENCE:
            self._is_cut_off = True
            said = str(error) or "no answer"
            logger.error("event=node_cut_off owner=%s reason=%r", self._member.owner, said)
            self._owner.cut_off()

    def _compare_clocks(self, ahead: timedelta) -> None:
        is_skewed = abs(ahead) > _SKEW
        if is_skewed and not self._is_skewed:
            text = "set the clock of this node; until then it goes by the store's"
            logger.error("event=clock_skew seconds=%+.1f text=%r", ahead.total_seconds(), text)
        self._is_skewed = is_skewed
