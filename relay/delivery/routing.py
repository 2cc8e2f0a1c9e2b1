"""Find the way of claimed deliveries: one look-up per domain at a time, bounded over all, none waiting for another.

Deliveries of one message to several domains are handed on together when their look-ups end within half a second of
the claim, so that domains which share a site share a transaction; a domain that hangs keeps only its own deliveries.
Look-ups for retries may be half of all that run, so that dead domains never delay new mail. The router caches.
A look-up that takes longer than half a second is slow. It goes on, but only so many deliveries wait in memory for slow
ones, first tries and retries apart, and each domain has its share of these; the newest beyond that are given back and
find the answer when they return.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from relay.delivery.contract import Route, Router
from relay.model import Claimed

#: Look-ups at one time.
MAX_LOOKUPS = 256
#: How long the routed part of a message waits for its other domains.
PATIENCE = 0.5
#: Deliveries of a kind (first tries, retries) that wait in memory for slow look-ups.
MAX_WAITING = 250
_SLOW_AFTER = 0.5


class Routed(NamedTuple):
    """A delivery with its way."""

    claim: Claimed
    route: Route
    waited: float = 0.0  #: seconds since it was claimed


class _Key(NamedTuple):
    domain: str
    app: str


class _Bundle:
    """The deliveries of one message within one claim, and the domains still looked up."""

    __slots__ = ("is_late", "missing", "ready", "since", "timer")

    def __init__(self, missing: dict[_Key, list[Claimed]], *, since: float) -> None:
        self.missing = missing
        self.since = since
        self.ready: list[Routed] = []
        self.is_late = False
        self.timer: asyncio.TimerHandle | None = None


class Routing:
    """The look-ups that run, and the deliveries that wait for them."""

    def __init__(
        self,
        router: Router,
        *,
        tasks: asyncio.TaskGroup,
        routed: Callable[[list[Routed]], None],
        failed: Callable[[list[Claimed], Exception], None],
        crowded_out: Callable[[list[Claimed]], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._router = router
        self._tasks = tasks
        self._routed = routed
        self._failed = failed
        self._crowded_out = crowded_out
        self._monotonic = monotonic
        self._bundles: dict[_Key, list[_Bundle]] = {}  #: by what they wait for
        self._fresh: deque[_Key] = deque()
        self._due: deque[_Key] = deque()
        self._running: dict[_Key, asyncio.Task[None]] = {}
        self._doubts: dict[_Key, asyncio.TimerHandle] = {}
        self._slow: dict[_Key, None] = {}  #: in the order in which they became slow
        self._running_due = 0

    def add(self, claims: Sequence[Claimed]) -> None:
        """Route the deliveries of one claim."""
        by_message: dict[str, dict[_Key, list[Claimed]]] = {}
        for claim in claims:
            key = _Key(claim.delivery.domain, claim.message.app)
            by_message.setdefault(claim.message.id, {}).setdefault(key, []).append(claim)
        for missing in by_message.values():
            self._add_bundle(_Bundle(missing, since=self._monotonic()))
        self._run_more()
        self._make_room()

    def stop(self) -> list[Claimed]:
        """End all look-ups; return the deliveries that waited."""
        for task in self._running.values():
            task.cancel()
        for doubt in self._doubts.values():
            doubt.cancel()
        self._slow.clear()
        bundles = {id(bundle): bundle for waiting in self._bundles.values() for bundle in waiting}
        left: list[Claimed] = []
        for bundle in bundles.values():
            if bundle.timer is not None:
                bundle.timer.cancel()
            left += [routed.claim for routed in bundle.ready]
            left += [claim for claims in bundle.missing.values() for claim in claims]
        self._bundles.clear()
        self._fresh.clear()
        self._due.clear()
        return left

    def _add_bundle(self, bundle: _Bundle) -> None:
        for key, claims in bundle.missing.items():
            if key not in self._bundles:
                self._bundles[key] = []
                is_fresh = any(claim.delivery.attempts == 0 for claim in claims)
                (self._fresh if is_fresh else self._due).append(key)
                self._doubts[key] = asyncio.get_running_loop().call_later(_SLOW_AFTER, self._is_slow, key)
            self._bundles[key].append(bundle)
        if len(bundle.missing) > 1:
            bundle.timer = asyncio.get_running_loop().call_later(PATIENCE, self._hand_on_late, bundle)

    def _is_slow(self, key: _Key) -> None:
        self._slow[key] = None
        self._make_room()

    def _make_room(self) -> None:
        """Give back what waits for slow look-ups beyond the room, of which each domain has its share."""
        share = max(1, MAX_WAITING // max(1, len(self._slow)))
        counts = {True: 0, False: 0}
        for key in self._slow:
            staying = []
            own = {True: 0, False: 0}
            for bundle in self._bundles[key]:
                claims = bundle.missing[key]
                is_fresh = claims[0].delivery.attempts == 0
                if counts[is_fresh] + len(claims) <= MAX_WAITING and own[is_fresh] + len(claims) <= share:
                    own[is_fresh] += len(claims)
                    counts[is_fresh] += len(claims)
                    staying.append(bundle)
                else:
                    self._crowded_out(bundle.missing.pop(key))
                    if not bundle.missing:
                        self._hand_on(bundle)
            self._bundles[key] = staying

    def _end_doubt(self, key: _Key) -> None:
        self._slow.pop(key, None)
        if (doubt := self._doubts.pop(key, None)) is not None:
            doubt.cancel()

    def _hand_on_late(self, bundle: _Bundle) -> None:
        bundle.is_late = True
        self._hand_on(bundle)

    def _hand_on(self, bundle: _Bundle) -> None:
        if bundle.timer is not None and not bundle.missing:
            bundle.timer.cancel()
        ready, bundle.ready = bundle.ready, []
        if ready:
            self._routed(ready)

    def _run_more(self) -> None:
        while len(self._running) < MAX_LOOKUPS:
            if self._fresh:
                key, is_due = self._fresh.popleft(), False
            elif self._due and self._running_due < MAX_LOOKUPS // 2:
                key, is_due = self._due.popleft(), True
            else:
                return
            self._running_due += is_due
            self._running[key] = self._tasks.create_task(self._look_up(key, is_due))

    async def _look_up(self, key: _Key, is_due: bool) -> None:
        try:
            route = await self._router.route(domain=key.domain, app=key.app)
        except Exception as error:  # one attempt: unknown -> deferred, the others go on
            self._fail(key, error)
        else:
            self._resolve(key, route)
        finally:
            del self._running[key]
            self._running_due -= is_due
            self._run_more()

    def _resolve(self, key: _Key, route: Route) -> None:
        self._end_doubt(key)
        for bundle in self._bundles.pop(key, []):
            waited = self._monotonic() - bundle.since
            bundle.ready += [Routed(claim, route, waited) for claim in bundle.missing.pop(key)]
            if not bundle.missing or bundle.is_late:
                self._hand_on(bundle)

    def _fail(self, key: _Key, error: Exception) -> None:
        self._end_doubt(key)
        for bundle in self._bundles.pop(key, []):
            self._failed(bundle.missing.pop(key), error)
            if not bundle.missing:
                self._hand_on(bundle)
