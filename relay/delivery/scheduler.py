"""The life of a delivery process: claim what is due, have it carried, record it, keep the leases, stop in order.

Leases. What is claimed (claiming.py) is leased, and the lease renewed while it is in memory. A lease that runs out
belongs to nobody: it is taken over, here or by another process, and the outcome of its attempt is called unknown.

Stop. Nothing more is claimed or begun; what has not begun is given back at once; open transactions may finish within
the grace and are then cut. A transaction that was cut before the server could have taken the mail is given back, any
other is recorded as unknown, so that a clean stop never sends twice.

It owns the order of things and the leases. When and how much is claimed is claiming.py, what happens to one delivery
is dispatch.py and what that calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from relay import maillog
from relay.clock import StoreClock
from relay.delivery.carrier import Carrier
from relay.delivery.claiming import BUDGET, Claiming
from relay.delivery.contents import Contents
from relay.delivery.contract import Connector, Router
from relay.delivery.desk import Desk, Pulse
from relay.delivery.dispatch import Dispatch
from relay.delivery.dkim_keys import Prepare, unchanged
from relay.delivery.fate import Classify, RetryPlan
from relay.delivery.hosts import DeadHosts
from relay.delivery.leases import Leases
from relay.delivery.membership import BEAT, Membership
from relay.delivery.pool import Pool
from relay.delivery.providers import load_providers
from relay.delivery.recorder import Recorder
from relay.delivery.return_path import ReturnPath, as_given
from relay.delivery.routing import Routing
from relay.delivery.share import Share
from relay.delivery.sites import Sites
from relay.delivery.steering import Orders, Steering
from relay.delivery.verdict import Judge
from relay.errors import StoreError
from relay.model import DeliveryId
from relay.settings import Config
from relay.store.nodes import Member
from relay.store.protocols import Store

logger = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
POLL = 0.2  #: seconds between looks for other processes' commits
_TICK = 1.0
_LAST_RECORDS = 3.0  #: seconds the last records may take when the process stops
JOINING = BEAT + 2.0  #: seconds until every other process has heard of a new one
_DOUBT = 90.0  #: seconds after which nothing is in memory that was claimed before we were cut off and not looked at
_TROUBLE_PAUSE = 1.0  #: seconds before a store that failed is asked again


class Scheduler:
    """One delivery process's scheduling; run() until stop()."""

    def __init__(
        self,
        store: Store,
        router: Router,
        *,
        connector: Connector,
        classify: Classify,
        config: Config,
        clock: Callable[[], datetime],
        random: Callable[[], float],
        owner: str,
        is_alone: bool = False,
        member: Member | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        settle_seconds: float = 1.0,
        poll_seconds: float = POLL,
        return_path: ReturnPath = as_given,
        prepare: Prepare = unchanged,
        steering: Steering | None = None,
    ) -> None:
        """See `run`.

        `is_alone`: no other delivery process can be alive on this store, so all leases found are a dead one's.
        `member`: there may be others, and this is how they know us; its owner is `owner`.
        `prepare`: makes what is sent of what is stored.
        `steering`: kept up to date with what people order; the router may go by it too.
        """
        self._steering = steering or Steering()
        self._router = router
        self._connector = connector
        self._config = config
        self._clock = StoreClock(clock)
        self._monotonic = monotonic
        self._is_alone = is_alone
        self._settle_seconds = settle_seconds
        self._desk = Desk(
            store, owner=owner, lease=LEASE, blocking=config.suppression, incident=config.incident, prepare=prepare
        )
        self._judge = Judge(
            classify=classify,
            plan=RetryPlan(ladder=config.delivery.retry, give_up_after=config.delivery.give_up_after, random=random),
            clock=self._clock,
            records_all=config.delivery.record == "all",
            return_path=return_path,
        )
        self._contents = Contents(self._desk.contents)
        self._leases = Leases(self._contents, budget=BUDGET)
        self._sites = Sites(config.delivery.site, config.site, providers=load_providers(), gates=self._steering.gates)
        self._recorder = Recorder(self._desk, owner=self, clock=self._clock)
        self._claiming = Claiming(
            self._desk,
            self._leases,
            contents=self._contents,
            clock=self._clock,
            poll_seconds=poll_seconds,
            heed=self._heed,
        )
        self._started = asyncio.Event()
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._grace = timedelta(0)
        self._is_store_failing = False
        self._is_cut_off = False
        self._is_joining = False
        self._share = Share()
        self._membership = (
            Membership(self._desk, member, owner=self, clock=self._clock, monotonic=monotonic)
            if member is not None
            else None
        )
        self._owner = owner

    # -- from outside

    def wake(self) -> None:
        """Look for work now."""
        self._claiming.nudge()

    async def heed_orders(self) -> None:
        """Heed what people ordered or took back; what waits in memory is given back, to take its new way."""
        try:
            self._heed(await self._desk.orders(self._clock()))
        except StoreError as error:
            logger.error("looking at the orders waits for the store: %s", error)

    def _heed(self, orders: Orders) -> None:
        try:
            is_changed = self._steering.keep_to(orders, now=self._clock(), share=self._share)
        except ValueError as error:  # a damaged order must not end all delivery
            logger.error("the orders in the store cannot be read: %s", error)
            return
        if is_changed:
            self._dispatch.let_go(self._pool.give_up_waiting(self._sites))
            self._pool.look_again(self._sites)

    @property
    def in_memory(self) -> int:
        """Deliveries leased by this process."""
        return len(self._leases)

    async def wait_started(self) -> None:
        """Return once old leases are taken over and claiming has begun."""
        await self._started.wait()

    async def stop(self, grace: timedelta) -> None:
        """Stop in order and return when everything is recorded or given back."""
        self._grace = grace
        self._stopping.set()
        self._claiming.nudge()
        await self._stopped.wait()

    async def run(self) -> None:
        """Deliver until stopped."""
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._run(tasks)
        finally:
            self._stopped.set()

    # -- what the recorder tells

    def recorded(self, ids: Iterable[DeliveryId]) -> None:
        """Let go of deliveries whose state is on disk."""
        self._claiming.let_go(ids)

    def store_failed(self) -> None:
        """Begin nothing whose result could not be recorded."""
        self._is_store_failing = True
        self._pool.pause()

    def store_works(self) -> None:
        """Go on."""
        self._is_store_failing = False
        self._go_on()

    @property
    def _must_wait(self) -> bool:
        return self._is_store_failing or self._is_cut_off or self._is_joining

    # -- what the membership tells

    def cut_off(self) -> None:
        """Begin nothing more: others may be taking over what we hold."""
        self._is_cut_off = True
        self._pool.pause()

    def among(self, pulse: Pulse, *, is_back: bool) -> None:
        """Share the sites with the other processes, and heed what they found out."""
        if len(pulse.owners) > 1 and (is_back or not self._share.owner):
            self._join()
        self._share = Share(owner=self._owner, owners=pulse.owners)
        without = self._sites.divide(self._share)
        adopted = self._sites.adopt(pulse.sites)
        for site in adopted:
            logger.info("event=site_backs_off_with_others site=%s step=%d", maillog.quoted(site.key), site.step)
        self._pool.send_away([*without, *adopted])
        if pulse.taken:
            logger.warning("took over %d deliveries of a process that is gone", pulse.taken)
            self._claiming.nudge()
        if is_back:
            self._pool.doubt(_DOUBT)
            self._is_cut_off = False
            self._go_on()

    def _join(self) -> None:
        """Let the others hear of us and shrink their shares before we use ours."""
        self._is_joining = True
        self._pool.pause()
        asyncio.get_running_loop().call_later(JOINING, self._joined)

    def _joined(self) -> None:
        self._is_joining = False
        self._go_on()

    def _go_on(self) -> None:
        if not self._must_wait:
            self._pool.resume(self._sites)
            self._claiming.nudge()

    # -- the life

    async def _run(self, tasks: asyncio.TaskGroup) -> None:
        self._build(tasks)
        await self._meet()
        await self._open()
        recording = tasks.create_task(self._recorder.run())
        upkeep = [tasks.create_task(self._keep_up())]
        if self._membership is not None:
            upkeep.append(tasks.create_task(self._membership.run()))
        self._started.set()
        while not self._stopping.is_set():
            try:
                await self._claiming.claim(may_claim=not self._must_wait)
                await self._claiming.wait_for_work(self._stopping)
            except StoreError as error:
                logger.error("claiming waits for the store: %s", error)
                await self._pause(_TROUBLE_PAUSE)
        await self._wind_up(recording)
        for task in upkeep:
            task.cancel()
        if self._membership is not None:
            await self._leave()

    async def _meet(self) -> None:
        """Hear of the others, and what time it is, before anything is taken over or claimed."""
        while self._membership is not None and not self._stopping.is_set() and not await self._membership.beat():
            await self._pause(_TROUBLE_PAUSE)

    async def _leave(self) -> None:
        """Let the others have our share at once."""
        try:
            async with asyncio.timeout(_LAST_RECORDS):
                await self._desk.leave()
        except (StoreError, TimeoutError) as error:
            logger.warning("leaving without a word: %s", error)

    def _build(self, tasks: asyncio.TaskGroup) -> None:
        delivery = self._config.delivery
        self._dispatch = Dispatch(
            judge=self._judge,
            sites=self._sites,
            recorder=self._recorder,
            desk=self._desk,
            tasks=tasks,
            monotonic=self._monotonic,
            settle_seconds=self._settle_seconds,
            steering=self._steering,
        )
        self._pool = Pool(
            Carrier(self._connector, DeadHosts(delivery.retry[0]), clock=self._clock, monotonic=self._monotonic),
            self._contents,
            owner=self._dispatch,
            tasks=tasks,
            max_connections=delivery.max_connections,
            memory=BUDGET // 2,
            clock=self._clock,
            monotonic=self._monotonic,
            return_path=self._judge.return_path,
        )
        self._dispatch.use(self._pool)
        self._routing = Routing(
            self._router,
            tasks=tasks,
            routed=self._dispatch.routed,
            failed=self._dispatch.failed_claims,
            crowded_out=self._dispatch.look_up_later,
            monotonic=self._monotonic,
        )
        self._claiming.use(self._dispatch, self._routing)

    async def _open(self) -> None:
        """Take over what a dead process left, and remember which sites back off."""
        while not self._stopping.is_set():
            try:
                count, sites = await self._desk.open(self._clock(), is_alone=self._is_alone)
            except StoreError as error:
                logger.error("starting waits for the store: %s", error)
                await self._pause(_TROUBLE_PAUSE)
                continue
            self._sites.load(sites)
            await self.heed_orders()
            if count:
                logger.warning("took over %d deliveries whose process had stopped", count)
            return

    async def _pause(self, seconds: float) -> None:
        """Sleep, but not past the stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _keep_up(self) -> None:
        """Every second: keep slow sites from filling memory. Three times within a lease: see to the leases."""
        keep_at = self._monotonic() + LEASE.total_seconds() / 3
        while True:
            await asyncio.sleep(_TICK)
            self._pool.relieve(self._sites)
            await self.heed_orders()
            await self._pardon()
            if self._monotonic() >= keep_at:
                await self._keep_leases()
                self._sites.forget_quiet()
                keep_at = self._monotonic() + LEASE.total_seconds() / 3

    async def _pardon(self) -> None:
        try:
            await self._dispatch.pardon()
        except StoreError as error:
            logger.error("looking at the sites waits for the store: %s", error)

    async def _keep_leases(self) -> None:
        """Renew our leases and take over those that ran out."""
        try:
            if ids := self._leases.ids:
                await self._desk.renew(ids, now=self._clock())
            if count := await self._desk.take_over(self._clock()):
                logger.warning("took over %d deliveries whose lease had run out", count)
                self._claiming.nudge()
        except StoreError as error:
            logger.error("renewing leases waits for the store: %s", error)

    async def _wind_up(self, recording: asyncio.Task[None]) -> None:
        """Stop in order; see the module."""
        self._dispatch.let_go(self._routing.stop())
        self._dispatch.let_go(self._dispatch.stop())
        await self._pool.stop(self._sites, grace=self._grace)
        self._recorder.end()
        await asyncio.wait([recording], timeout=_LAST_RECORDS)
        if not recording.done():
            logger.error("stopping although %d deliveries could not be recorded", len(self._leases))
            recording.cancel()
