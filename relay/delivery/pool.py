"""The connections: workers that carry waiting transactions to their sites, a few per site, bounded over all.

A worker is one asyncio task that owns at most one session. It takes one transaction of its site after another, keeps
the session open for `idle` when there is none, and ends. Handing a transaction to an idle worker sets one future; no
task is made while a worker lives. Over all sites there are at most `max_connections` workers; when they are used up
the longest idle connection gives way, busy sites give up their second and further workers, and the sites that wait
get their turn in order. Workers busy with retries may be half of all at most, so that a backlog for dead servers
never takes the connections that new mail needs; nor those of living servers' retries (looks.py).

The pool gives transactions to workers and obeys site.py; how one is run and what follows from it is carriage.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from relay.delivery.carriage import Carriage, CarriageOwner
from relay.delivery.carrier import Carrier
from relay.delivery.contents import Contents
from relay.delivery.looks import Looks
from relay.delivery.return_path import ReturnPath
from relay.delivery.site import Site
from relay.delivery.transaction import Transaction
from relay.delivery.worker import IdleWorkers, Worker
from relay.model import Claimed


class Pool:
    """All workers of this process."""

    def __init__(
        self,
        carrier: Carrier,
        contents: Contents,
        *,
        owner: CarriageOwner,
        tasks: asyncio.TaskGroup,
        max_connections: int,
        memory: int,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        return_path: ReturnPath,
    ) -> None:
        """`memory`: deliveries of a kind (first tries, retries) that may be in memory."""
        self._owner = owner
        self._looks = Looks(connections=max_connections, deliveries=memory)
        self._carriage = Carriage(
            carrier,
            contents,
            owner=owner,
            short_at=memory // 2,
            looks=self._looks,
            begin=self._begin,
            opened=self._opened,
            monotonic=monotonic,
            return_path=return_path,
        )
        self._tasks = tasks
        self._max = max_connections
        self._max_due = max(1, max_connections // 2)
        self._clock = clock
        self._monotonic = monotonic
        self._workers: dict[Worker, None] = {}
        self._due_workers = 0
        self._idle = IdleWorkers()
        self._starved: dict[Site, None] = {}  #: sites that wait for a connection slot, in order
        self._starved_due: dict[Site, None] = {}  #: sites that wait for the share of retries
        self._unseen: dict[bool, dict[Site, None]] = {True: {}, False: {}}  #: that wait to be looked at, by `has_fresh`
        self._timers: dict[Site, asyncio.TimerHandle] = {}
        self._is_paused = False
        self._is_stopping = False

    @property
    def open_count(self) -> int:
        """Workers, each with at most one connection."""
        return len(self._workers)

    # -- transactions in

    def push(self, site: Site, transaction: Transaction) -> None:
        """Let a transaction wait for its site, and begin what may begin."""
        self._carriage.add_load(site, transaction, len(transaction.claims))
        site.queue(transaction)
        self._begin(site)

    def relieve(self, sites: Iterable[Site]) -> None:
        """Give back what waits for slow sites beyond their room, when memory is short.

        Not while paused: no site is slow then, and what is given back would wait for up to a minute more.
        """
        if not self._is_paused:
            self._carriage.relieve(sites)

    def is_memory_short(self, *, is_fresh: bool) -> bool:
        """Tell whether the deliveries that wait or are carried leave little room for others of their kind."""
        return self._carriage.is_memory_short(is_fresh=is_fresh)

    def may_wait(self, site: Site, *, is_fresh: bool) -> bool:
        """Tell whether more deliveries may wait in memory for what becomes of the look at a site."""
        return site.is_known(self._monotonic()) or self._looks.may_wait(site, is_fresh=is_fresh)

    def doubt(self, seconds: float) -> None:
        """Look again at everything before it is sent, for as long as claims of until now may be in memory."""
        self._carriage.doubt_until = self._monotonic() + seconds

    def send_away(self, sites: Iterable[Site]) -> None:
        """Give back what waits for these sites."""
        for site in sites:
            if site.queued:
                self._carriage.send_away_waiting(site)

    def give_up_waiting(self, sites: Iterable[Site]) -> list[Claimed]:
        """Take everything that has not begun out of memory."""
        return [claim for site in sites if site.queued for claim in self._carriage.give_up_waiting(site)]

    def look_again(self, sites: Iterable[Site]) -> None:
        """Begin what may begin by now: the rates have changed."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for site in sites:
            if site.queued:
                self._begin(site)

    def pause(self) -> None:
        """Begin nothing until resumed: results cannot be recorded now."""
        self._is_paused = True

    def resume(self, sites: Iterable[Site]) -> None:
        """Go on."""
        self._is_paused = False
        for site in sites:
            site.expect(self._monotonic())
            if site.queued:
                self._begin(site)

    def _begin(self, site: Site) -> None:
        """Begin as many waiting transactions of the site as limits and connections allow."""
        if self._is_stopping or self._is_paused:
            return
        now, mono = self._clock(), self._monotonic()
        while site.queued:
            if self._idle.has(site):
                transaction = site.take(now, mono=mono, is_due_allowed=self._is_due_allowed)
                if transaction is None:
                    break
                self._assign(self._idle.hand(site, transaction), transaction)
            elif not site.may_connect(mono):
                break
            elif not self._may_look(site, mono):
                self._unseen[site.has_fresh][site] = None
                break
            elif len(self._workers) >= self._max:
                (self._starved if site.has_fresh or self._is_due_allowed else self._starved_due)[site] = None
                self._idle.dismiss_oldest()
                break
            else:
                is_due_allowed = self._is_due_allowed and self._may_look(site, mono, is_fresh=False)
                transaction = site.take(now, mono=mono, is_due_allowed=is_due_allowed)
                if transaction is None:
                    break
                self._start(site, transaction, is_look=not site.is_known(mono))
        if site.queued:
            self._look_again(site, now, mono=mono)

    def _look_again(self, site: Site, now: datetime, *, mono: float) -> None:
        """See to it that a site whose transactions could not begin is looked at when they may."""
        if site.is_backing_off(now):  # put back by a worker that had begun before: nobody would look for it
            self._carriage.send_away_waiting(site)
            return
        if not self._is_due_allowed:
            self._starved_due[site] = None
        wait = site.rate_wait(mono)
        if wait > 0 and site not in self._timers:
            self._timers[site] = asyncio.get_running_loop().call_later(wait, self._rate_is_over, site)

    def _rate_is_over(self, site: Site) -> None:
        del self._timers[site]
        self._begin(site)

    @property
    def _is_due_allowed(self) -> bool:
        return self._due_workers < self._max_due

    # -- workers

    def _may_look(self, site: Site, mono: float, *, is_fresh: bool | None = None) -> bool:
        is_fresh = site.has_fresh if is_fresh is None else is_fresh
        return site.is_known(mono) or self._looks.has_room(is_fresh=is_fresh)

    def _start(self, site: Site, transaction: Transaction, *, is_look: bool) -> None:
        worker = Worker(site, transaction)
        self._workers[worker] = None
        self._due_workers += worker.is_due
        site.workers += 1
        site.connecting += 1
        worker.is_connecting = True
        if is_look:
            self._looks.begin(worker)
        worker.task = self._tasks.create_task(self._run(worker))

    def _assign(self, worker: Worker, transaction: Transaction) -> None:
        worker.transaction = transaction
        is_due = not transaction.is_fresh
        self._due_workers += is_due - worker.is_due
        worker.is_due = is_due

    async def _run(self, worker: Worker) -> None:
        try:
            while worker.transaction is not None:
                await self._carriage.run(worker, worker.transaction)
                worker.transaction = None
                if not self._take_next(worker) and worker.connection is not None:
                    await self._be_idle(worker)
        finally:
            await self._end(worker)

    def _take_next(self, worker: Worker) -> bool:
        """Let the worker go on with the next transaction of its site, unless others wait for its place."""
        site = worker.site
        if self._is_stopping or self._is_paused or self._should_give_way(worker):
            return False
        if worker.connection is None and not site.may_connect(self._monotonic()) and site.workers > 1:
            return False
        is_due_allowed = worker.is_due or self._is_due_allowed
        transaction = site.take(self._clock(), mono=self._monotonic(), is_due_allowed=is_due_allowed)
        if transaction is None:
            return False
        self._assign(worker, transaction)
        return True

    @property
    def _is_place_wanted(self) -> bool:
        return bool(self._starved) and len(self._workers) >= self._max

    def _should_give_way(self, worker: Worker) -> bool:
        if worker.site.is_over_limit:
            return True  # the share of this process has shrunk
        if not self._is_place_wanted:
            return False
        connection = worker.connection
        is_used_up = connection is None or connection.session.sent_count >= worker.site.limits.messages_per_connection
        return worker.site.workers > 1 or is_used_up

    async def _be_idle(self, worker: Worker) -> None:
        connection = worker.connection
        if connection is None or self._is_stopping:
            return
        limits = worker.site.limits
        if not connection.session.is_usable or connection.session.sent_count >= limits.messages_per_connection:
            return
        self._due_workers -= worker.is_due
        worker.is_due = False
        self._serve_starved()
        if not self._is_place_wanted and not worker.site.is_over_limit:
            await self._idle.wait(worker, seconds=limits.idle.total_seconds())

    def _opened(self, worker: Worker) -> None:
        """Let others connect once this one has."""
        if self._looks.end(worker):
            self._owner.answered(worker.site)
            self._serve_unseen()
        self._begin(worker.site)

    async def _end(self, worker: Worker) -> None:
        """Close the connection and let others have the place."""
        site = worker.site
        left = worker.transaction if worker.connection is None else None  # cancelled while connecting: nothing was sent
        try:
            await self._close(worker)
        finally:
            del self._workers[worker]
            self._looks.end(worker)
            self._due_workers -= worker.is_due
            site.workers -= 1
            self._carriage.stop_connecting(worker)
            if left is not None:
                self._carriage.let_go(site, left)
            self._serve_starved()  # first: they waited, and this site has had the place
            self._begin(site)

    async def _close(self, worker: Worker) -> None:
        connection = worker.connection
        if connection is None:
            return
        if worker.transaction is not None or not connection.session.is_usable:
            self._carriage.cut(worker)
            return
        self._carriage.forget(worker)
        await connection.session.quit()

    def _serve_starved(self) -> None:
        for waiting in (self._starved, self._starved_due):
            for site in list(waiting):
                if len(self._workers) >= self._max or (waiting is self._starved_due and not self._is_due_allowed):
                    break
                waiting.pop(site, None)
                self._begin(site)
        self._serve_unseen()

    def _serve_unseen(self) -> None:
        for is_fresh, waiting in self._unseen.items():
            for site in list(waiting):
                if len(self._workers) >= self._max or not self._looks.has_room(is_fresh=is_fresh):
                    break
                waiting.pop(site, None)
                self._begin(site)

    # -- the end

    async def stop(self, sites: Iterable[Site], *, grace: timedelta) -> None:
        """Give back what has not begun, wait for open transactions, then cut the rest.

        A cut connection makes its transaction report how far it had come. One that does not even answer to that is
        cancelled; its deliveries are neither recorded nor given back, so their lease runs out and they are taken
        over as interrupted.
        """
        self._is_stopping = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for site in sites:
            self._carriage.send_away_waiting(site)
        self._idle.dismiss_all()
        await self._wait(grace.total_seconds())
        self._carriage.stop_connecting_for_good()
        for worker in list(self._workers):
            if worker.connection is not None:
                worker.connection.session.abort()
            elif worker.task is not None:
                worker.task.cancel()
        await self._wait(1.0)
        for worker in self._workers:
            if worker.task is not None:
                worker.task.cancel()
        await self._wait(1.0)
        for site in sites:  # what came back meanwhile
            self._carriage.send_away_waiting(site)

    async def _wait(self, seconds: float) -> None:
        tasks = [worker.task for worker in self._workers if worker.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
