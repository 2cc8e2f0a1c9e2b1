"""Lead each claimed delivery through: block list, route, site, transaction, verdict, record.

The crossroads between routing, sites, pool and recorder; it owns no connection and no store. A blocked delivery is
recorded `suppressed` without any attempt, also when its retries were queued long before the block. A delivery for a
site that backs off, or for a slow one when memory is short, is given back until the site may take it; one for a site
that a person paused is held. What is claimed
or taken from a queue after its message's deadline ends without an attempt, whatever kept it until then. A message that
makes our own code fail is deferred with a traceback in the log and, the third time, held for a person.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from relay import deadline, maillog
from relay.delivery import fate
from relay.delivery.carriage import ContentMissing, TooLate
from relay.delivery.contract import Route
from relay.delivery.desk import Away, Desk
from relay.delivery.nxdomain import NxdomainWatch
from relay.delivery.pool import Pool
from relay.delivery.recorder import Recorder
from relay.delivery.return_path import most_recipients
from relay.delivery.routing import Routed
from relay.delivery.site import Site
from relay.delivery.sites import Sites
from relay.delivery.steering import Steering
from relay.delivery.transaction import Transaction, content_key
from relay.delivery.verdict import Judge, Trouble, Verdict
from relay.errors import StoreError
from relay.model import Claimed, DeliveryId, MessageId
from relay.retry import longest_wait
from relay.store.pauses import Pause

logger = logging.getLogger(__name__)

#: How often a message may make our own code fail before it is held.
MAX_FAULTS = 3
NEEDS_ATTENTION = "needs attention: the relay failed on it {count} times, see the error log"
NO_CONTENT = "needs attention: its content is missing or damaged"
_FAULTS_KEPT = 10_000
#: When a delivery is tried again whose content the store could not read: each try may cost a connection.
STORE_PAUSE = timedelta(seconds=5)
#: When a delivery comes back that had no room in memory while its domain was looked up.
LOOK_UP_PAUSE = timedelta(seconds=5)


class Dispatch:
    """See the module; implements CarriageOwner and takes what Routing found."""

    def __init__(
        self,
        *,
        judge: Judge,
        sites: Sites,
        recorder: Recorder,
        desk: Desk,
        tasks: asyncio.TaskGroup,
        monotonic: Callable[[], float],
        settle_seconds: float = 1.0,
        steering: Steering | None = None,
    ) -> None:
        self._steering = steering or Steering()
        self._judge = judge
        self._plan = judge.plan
        self._clock = judge.clock
        self._sites = sites
        self._recorder = recorder
        self._desk = desk
        self._tasks = tasks
        self._monotonic = monotonic
        self._settle_seconds = settle_seconds
        self._is_stopping = False
        self._watch = NxdomainWatch()
        self._doubtful: dict[asyncio.Task[None], Claimed] = {}
        self._faults: dict[MessageId, int] = {}

    def use(self, pool: Pool) -> None:
        """Name the pool that carries transactions; it and this need each other."""
        self._pool = pool

    # -- from a claim to a transaction

    def sift(self, claims: Iterable[Claimed]) -> list[Claimed]:
        """Record the blocked ones as suppressed and the late ones as missed; return those to be sent."""
        to_send = []
        now = self._clock()
        for claim in claims:
            if claim.blocked is not None:
                self._recorder.decided(claim, fate.suppressed(claim.delivery, block=claim.blocked, now=now))
            elif deadline.is_over(claim.message, now):
                self._recorder.decided(claim, fate.missed(claim, now=now))
            else:
                to_send.append(claim)
        return to_send

    def routed(self, found: list[Routed]) -> None:
        """Queue deliveries of one message at their sites, or decide for those that have none."""
        by_site: dict[tuple[object, ...], tuple[Site, Route, list[Claimed]]] = {}
        waited = max(each.waited for each in found)
        for claim, route, _ in found:
            try:
                self._watch.note(claim.delivery.domain, is_missing=route.is_nxdomain, now=self._clock())
                if route.failure is not None:
                    self._has_no_route(claim, route)
                    continue
                site = self._sites.of(route, domain=claim.delivery.domain)
            except Exception as error:  # one attempt: unknown -> deferred, the others go on
                self.failed_claims([claim], error)
                continue
            kind = (site, content_key(claim), route.tls, route.credentials)
            by_site.setdefault(kind, (site, route, []))[2].append(claim)
        for site, route, claims in by_site.values():
            self._enter(site, route, claims, waited=waited)

    def _enter(self, site: Site, route: Route, claims: list[Claimed], *, waited: float) -> None:
        mono = self._monotonic()
        is_fresh = claims[0].delivery.attempts == 0
        is_picky = site.step > 0 or self._pool.is_memory_short(is_fresh=is_fresh)
        app = claims[0].message.app
        has_room = not is_picky or site.has_room(mono, app=app)
        if (pause := self._steering.pause_of(site.key)) is not None:
            self._pause(claims, pause)
            return
        has_room = has_room and self._pool.may_wait(site, is_fresh=is_fresh)
        if site.limits.connections == 0 or site.is_backing_off(self._clock()) or not has_room:
            self.sent_away(site, claims)
            return
        most = most_recipients(claims[0], self._judge.return_path)
        for start in range(0, len(claims), most):
            part = claims[start : start + most]
            self._pool.push(
                site,
                Transaction(
                    claims=part,
                    route=route,
                    content_key=content_key(part[0]),
                    is_fresh=is_fresh,
                    queued_at=mono - waited,
                ),
            )

    def _has_no_route(self, claim: Claimed, route: Route) -> None:
        if route.is_nxdomain:
            task = self._tasks.create_task(self._decide_nxdomain(claim, route))
            self._doubtful[task] = claim
            task.add_done_callback(self._doubtful.pop)
            return
        self._recorder.decided(claim, self._judge.judge_no_route(claim, route))

    async def _decide_nxdomain(self, claim: Claimed, route: Route) -> None:
        # A moment's wait shows whether one domain is missing or suddenly all of them.
        await asyncio.sleep(self._settle_seconds)
        try:
            last = await self._desk.last_delivered(claim.delivery.domain)
        except StoreError:
            last = self._clock()  # cannot tell: doubt
        now = self._clock()
        doubt = fate.doubt_of_nxdomain(last_delivered_at=last, is_epidemic=self._watch.is_epidemic(now), now=now)
        if doubt is not None:
            logger.warning("nxdomain-doubted domain=%s id=%s", maillog.quoted(claim.delivery.domain), claim.delivery.id)
        try:
            self._recorder.decided(claim, self._judge.judge_no_route(claim, route, doubt=doubt))
        except Exception as error:  # one attempt: unknown -> deferred, the others go on
            self.failed_claims([claim], error)

    def stop(self) -> list[Claimed]:
        """Keep nothing waiting from here on, and end what is still being thought over; return those deliveries."""
        self._is_stopping = True
        left = list(self._doubtful.values())
        for task in self._doubtful:
            task.cancel()
        return left

    # -- from the pool

    def judge(self, transaction: Transaction) -> Verdict:
        """Decide what the results mean."""
        return self._judge.judge(transaction)

    def finished(self, verdict: Verdict) -> None:
        """Record the dispositions of a transaction."""
        for claim, disposition in verdict.decided:
            self._recorder.decided(claim, disposition)

    def awaited(self, ids: tuple[DeliveryId, ...]) -> None:
        """Let it be seen that these have left us and the answer takes long."""
        self._recorder.awaited(ids)

    def troubled(self, site: Site, transaction: Transaction, trouble: Trouble) -> bool:
        """Let the site back off, once for all transactions of one generation."""
        now = self._clock()
        has_begun = site.failed(
            transaction,
            now,
            mono=self._monotonic(),
            category=trouble.category,
            reply=trouble.reply,
            ladder=self._plan.ladder,
            random=self._plan.random,
        )
        if has_begun and site.until_at is not None:
            if transaction.message.expires_at is not None:
                site.hasten(self._soonest(transaction.message.expires_at, now))
            self._recorder.site(site.record(now))
            maillog.site_backs_off(
                site.key, step=site.step, until=site.until_at, now=now, category=trouble.category, reply=trouble.reply
            )
        return has_begun

    async def pardon(self) -> None:
        """Probe those sites at once whose stored back-off somebody removed, and call back what waits for them."""
        now = self._clock()
        waiting = [site for site in self._sites if site.is_backing_off(now)]
        if not waiting:
            return
        stored = await self._desk.stored_sites()
        for site in waiting:
            if site.is_pardoned(stored, now=now, mono=self._monotonic()):
                self._recorder.site(site.record(now), wake_domains=site.domains)

    def recovered(self, site: Site) -> None:
        """Call back what waited for the site."""
        self._recorder.site(site.record(self._clock()), wake_domains=site.domains)
        site.domains = set()
        maillog.site_recovered(site.key)

    def answered(self, site: Site) -> None:
        """Call back what left memory because nobody had answered there."""
        if site.domains and site.step == 0:
            self._recorder.wake(site.domains)
            site.domains = set()

    def sent_away(self, site: Site, claims: list[Claimed]) -> None:
        """Give deliveries back until the site may take them; end those whose time is up."""
        now, mono = self._clock(), self._monotonic()
        is_troubled = site.step > 0
        is_unseen = not is_troubled and not site.is_known(mono)
        until: dict[datetime, list[DeliveryId]] = {}
        if self._is_stopping and not is_troubled:
            self.let_go(claims)
            return
        for claim in claims:
            delivery = claim.delivery
            end = delivery.created_at + self._plan.give_up_after
            if deadline.is_over(claim.message, now):
                self._recorder.decided(
                    claim, fate.missed(claim, now=now, category=site.category if is_troubled else None)
                )
                continue
            if is_troubled and now >= end:
                expired = fate.expired(delivery, category=site.category, text=site.reply, now=now)
                self._recorder.decided(claim, expired)
                continue
            if claim.message.expires_at is not None:
                end = min(end, self._hasten(site, claim.message.expires_at, now))
            is_retry = delivery.attempts > 0
            next_at = now + site.away_for(now, mono=mono, ladder=self._plan.ladder, is_retry=is_retry)
            if is_troubled or is_unseen:
                site.domains.add(delivery.domain)
                next_at = min(next_at, end)
            until.setdefault(next_at, []).append(delivery.id)
        for next_at, ids in until.items():
            self._recorder.away(Away(ids=tuple(ids), next_at=next_at, waits_for_site=True))

    def _hasten(self, site: Site, expires_at: datetime, now: datetime) -> datetime:
        """Let a site that backs off be looked at while there is time; return when the delivery is looked at again."""
        soonest = self._soonest(expires_at, now)
        if site.hasten(soonest):
            self._recorder.site(site.record(now))
        return min(soonest, expires_at)

    def _soonest(self, expires_at: datetime, now: datetime) -> datetime:
        return now + longest_wait(expires_at, now=now, ladder=self._plan.ladder)

    def _pause(self, claims: list[Claimed], pause: Pause) -> None:
        ids = tuple(claim.delivery.id for claim in claims)
        self._recorder.away(Away(ids=ids, next_at=self._clock(), pause=pause))

    def let_go(self, claims: Iterable[Claimed], *, pause: timedelta = timedelta(0)) -> None:
        """Give deliveries back for another process, or this one's successor, to send at once or after a pause."""
        ids = tuple(claim.delivery.id for claim in claims)
        if ids:
            self._recorder.away(Away(ids=ids, next_at=self._clock() + pause))

    def look_up_later(self, claims: list[Claimed]) -> None:
        """Give back deliveries for whose look-up there is no room in memory; its answer is known when they return."""
        self.let_go(claims, pause=LOOK_UP_PAUSE)

    def is_late(self, transaction: Transaction) -> bool:
        """Tell whether the deadline of its message is over."""
        return deadline.is_over(transaction.message, self._clock())

    def drop_late(self, transaction: Transaction) -> None:
        """End a transaction's deliveries when their message's deadline is over."""
        if self.is_late(transaction):
            now = self._clock()
            for claim in transaction.claims:
                self._recorder.decided(claim, fate.missed(claim, now=now))
            transaction.claims = []

    async def confirm(self, transaction: Transaction) -> None:
        """Take those deliveries out of a transaction that are blocked or no longer ours by now."""
        now = self._clock()
        ids = [claim.delivery.id for claim in transaction.claims]
        try:
            ours, blocked = await self._desk.confirm(ids, now=now)
        except StoreError:
            self.let_go(transaction.claims)  # the block list cannot be read, so nothing may be sent
            transaction.claims = []
            return
        kept = []
        for claim in transaction.claims:
            block = blocked.get(claim.delivery.id)
            if claim.delivery.id not in ours:
                self._recorder.lost(claim)
            elif block is not None:
                end = fate.suppressed(claim.delivery, block=block, now=now)
                self._recorder.decided(replace(claim, blocked=block), end)
            else:
                kept.append(claim)
        transaction.claims = kept

    # -- faults of our own

    def failed(self, transaction: Transaction, error: Exception) -> None:
        """Note that a transaction ended by a fault of our own, or because its time was over between two hosts."""
        if not isinstance(error, TooLate):
            self.failed_claims(transaction.claims, error)
        elif transaction.results[transaction.earlier :]:
            self.finished(self._judge.judge(transaction))
        else:
            self.drop_late(transaction)

    def failed_claims(self, claims: list[Claimed], error: Exception) -> None:
        """Defer deliveries that made our own code fail; hold them when that happens again and again."""
        message_id = claims[0].delivery.message_id
        if isinstance(error, StoreError):  # the content could not be read now; no attempt was made
            logger.error("attempt message=%s waits for the store: %s", message_id, error)
            self.let_go(claims, pause=STORE_PAUSE)
            return
        if isinstance(error, ContentMissing):
            logger.error("content message=%s: %s", message_id, error)
            for claim in claims:
                self._recorder.hold(claim, NO_CONTENT)
            return
        logger.error("attempt message=%s failed inside the relay", message_id, exc_info=error)
        count = self._faults.pop(message_id, 0) + 1
        self._faults[message_id] = count
        if len(self._faults) > _FAULTS_KEPT:
            del self._faults[next(iter(self._faults))]
        for claim in claims:
            if count >= MAX_FAULTS:
                self._recorder.hold(claim, NEEDS_ATTENTION.format(count=count))
            self._recorder.decided(claim, self._judge.judge_error(claim, error))
