"""Record what became of deliveries: everything that waits goes into one commit, then the next.

Nothing waits for a record but the lease, so that connections go on while the disk works. A store that cannot write
now keeps everything in memory, is asked again every half second, and meanwhile the owner begins nothing new. What
cannot be recorded for a reason of its own is found by recording one at a time; that delivery is held for a person, for
sending it again and again would be worse.
The mail log is written after the commit: it never tells what the store does not know.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from relay import maillog
from relay.delivery.desk import Away, Batch, Desk
from relay.errors import RelayError, StoreBusy, StoreFull
from relay.model import Claimed, DeliveryId, Disposition
from relay.status import Status
from relay.store.protocols import DiskFault
from relay.store.sites import SiteRow

logger = logging.getLogger(__name__)

#: Seconds between two tries to reach a store that cannot write.
PAUSE = 0.5
#: Dispositions in one commit.
MOST = 200
UNRECORDABLE = "needs attention: its result could not be recorded"


class RecorderOwner(Protocol):
    """Who hears what was recorded."""

    def recorded(self, ids: Iterable[DeliveryId]) -> None:
        """Note that these deliveries left memory."""

    def store_failed(self) -> None:
        """Note that the store cannot write now."""

    def store_works(self) -> None:
        """Note that it can again."""


class Recorder:
    """Gathers dispositions, releases and site states, and writes them."""

    def __init__(self, desk: Desk, *, owner: RecorderOwner, clock: Callable[[], datetime]) -> None:
        self._desk = desk
        self._owner = owner
        self._clock = clock
        self._batch = Batch()
        self._decided: list[tuple[Claimed, Disposition]] = []
        self._held: list[tuple[Claimed, str]] = []
        self._wake = asyncio.Event()
        self._is_ending = False

    def decided(self, claim: Claimed, disposition: Disposition) -> None:
        """Record a disposition with the next commit."""
        self._decided.append((claim, disposition))
        self._batch.awaited.discard(claim.delivery.id)
        self._wake.set()

    def awaited(self, ids: Iterable[DeliveryId]) -> None:
        """Say with the next commit that these have left us; their results come later."""
        self._batch.awaited.update(ids)
        self._wake.set()

    def away(self, away: Away) -> None:
        """Give deliveries back with the next commit."""
        self._batch.away.append(away)
        self._wake.set()

    def hold(self, claim: Claimed, reason: str) -> None:
        """Hold a delivery for a person with the next commit."""
        self._held.append((claim, reason))
        self._wake.set()

    def lost(self, claim: Claimed) -> None:
        """Forget a delivery that is no longer ours; there is nothing to record."""
        self._owner.recorded([claim.delivery.id])

    def site(self, record: SiteRow, *, wake_domains: Iterable[str] = ()) -> None:
        """Keep where a site stands, and make due what waited for it."""
        self._batch.sites.append(record)
        self._batch.wake_domains.update(wake_domains)
        self._wake.set()

    def wake(self, domains: Iterable[str]) -> None:
        """Make due what waits for the site of these domains."""
        self._batch.wake_domains.update(domains)
        self._wake.set()

    def end(self) -> None:
        """Let run() return once everything is recorded."""
        self._is_ending = True
        self._wake.set()

    async def run(self) -> None:
        """Write until the end."""
        while not self._is_ending or self._is_waiting:
            if self._is_waiting:
                await self._write_next()
            else:
                self._wake.clear()
                await self._wake.wait()

    @property
    def _is_waiting(self) -> bool:
        return bool(self._decided or self._held or self._batch)

    async def _write_next(self) -> None:
        """Write what waits; of very many dispositions only the first, for a long commit keeps intake's waiting."""
        decided, self._decided = self._decided[:MOST], self._decided[MOST:]
        held, self._held = self._held, []
        batch, self._batch = self._batch, Batch()
        batch.dispositions = [disposition for _, disposition in decided]
        batch.held = [(claim.delivery.id, reason) for claim, reason in held]
        try:
            await self._write_when_possible(batch)
            self._owner.recorded(_ids(batch))  # before anything else: what was just given back may be claimed again
            lost = set[DeliveryId]()
        except Exception:  # one attempt among these cannot be recorded: find it, the others go on
            lost = await self._write_one_by_one(batch)
        for claim, reason in held:
            maillog.held(claim, reason)
        for claim, disposition in decided:
            if claim.delivery.id in lost:
                maillog.held(claim, UNRECORDABLE)
            else:
                _log(claim, disposition)

    async def _write_when_possible(self, batch: Batch) -> None:
        is_failing = False
        while True:
            try:
                await self._desk.record(batch, now=self._clock())
            except (StoreBusy, StoreFull, DiskFault) as error:
                if not is_failing:
                    logger.error("recording waits for the store: %s", error)
                    self._owner.store_failed()
                is_failing = True
                await asyncio.sleep(PAUSE)
                continue
            if is_failing:
                logger.warning("recording goes on")
                self._owner.store_works()
            return

    async def _write_one_by_one(self, batch: Batch) -> set[DeliveryId]:
        """Record what can be recorded and hold the others; return those."""
        lost: set[DeliveryId] = set()
        rest = Batch(away=batch.away, held=batch.held, sites=batch.sites, wake_domains=batch.wake_domains)
        rest.awaited = batch.awaited
        for part in [*(Batch(dispositions=[one]) for one in batch.dispositions), rest]:
            try:
                await self._write_when_possible(part)
            except Exception:  # the same one attempt
                logger.exception("could not record %s", ", ".join(_ids(part)))
                if part is not rest:
                    lost.update(_ids(part))
                    await self._hold(part)
            self._owner.recorded(_ids(part))
        return lost

    async def _hold(self, part: Batch) -> None:
        held = [(disposition.delivery_id, UNRECORDABLE) for disposition in part.dispositions]
        try:
            await self._write_when_possible(Batch(held=held))
        except RelayError:
            logger.exception("could not hold %s either; its lease runs out", ", ".join(_ids(part)))


def _ids(batch: Batch) -> list[DeliveryId]:
    ids = [disposition.delivery_id for disposition in batch.dispositions]
    ids += [delivery_id for delivery_id, _ in batch.held]
    return ids + [delivery_id for away in batch.away for delivery_id in away.ids]


def _log(claim: Claimed, disposition: Disposition) -> None:
    if disposition.status is Status.SUPPRESSED:
        maillog.suppressed(claim)
    elif not disposition.attempt_rows:
        maillog.expired(claim, disposition)
    else:
        maillog.attempt(claim, disposition)
