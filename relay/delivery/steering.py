"""What people ordered for a while, as one delivery process knows it: slower paces, detours, and pauses of sites.

The store is the truth; the scheduler reads it with each claim and once a second. Where several detours fit, the
narrowest counts: domain, app, site, everything. A detour's host is nobody's MX: what it takes is `sent`, not
`delivered`, and never comes back here for the same detour. An order whose time is over is forgotten within a second.
No I/O; the time is given.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from relay.delivery.contract import Route
from relay.delivery.gates import Gates
from relay.delivery.share import Share
from relay.delivery.site_keys import is_of_site
from relay.settings import HostPort, parse_address
from relay.store.pauses import Pause
from relay.store.steering import Steer, SteerKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """All that the store has."""

    steers: tuple[Steer, ...] = ()
    pauses: tuple[Pause, ...] = ()


class Steering:
    """See the module."""

    def __init__(self) -> None:
        self.gates = Gates()
        self._detours: dict[tuple[str, str], Steer] = {}
        self._pauses: tuple[Pause, ...] = ()

    def keep_to(self, orders: Orders, *, now: datetime, share: Share) -> bool:
        """Take these orders; tell whether mail that waits in memory may be concerned."""
        steers = [steer for steer in orders.steers if steer.holds(now)]
        detours = {(steer.scope, steer.value): steer for steer in steers if steer.kind is SteerKind.REROUTE}
        pauses = tuple(pause for pause in orders.pauses if pause.until_at is None or now < pause.until_at)
        is_changed = (detours, pauses) != (self._detours, self._pauses)
        self._detours, self._pauses = detours, pauses
        return self.gates.change((s for s in steers if s.kind is SteerKind.SLOW), share=share) or is_changed

    def detour(self, *, domain: str, app: str) -> Steer | None:
        """Return the detour that holds whatever the site is; then DNS need not even answer."""
        narrow = self._detours.get(("domain", domain)) or self._detours.get(("app", app))
        if narrow is not None or any(scope == "site" for scope, _ in self._detours):
            return narrow
        return self._detours.get(("all", ""))

    def detour_of_site(self, site_key: str) -> Steer | None:
        """Return the detour of a site, or of everything."""
        for (scope, value), steer in self._detours.items():
            if scope == "site" and is_of_site(site_key, value):
                return steer
        return self._detours.get(("all", ""))

    @property
    def has_detours(self) -> bool:
        return bool(self._detours)

    def pause_of(self, site_key: str) -> Pause | None:
        """Return the pause that a site is under; those of domains and apps are kept by the store's claims."""
        of_sites = (pause for pause in self._pauses if pause.scope == "site")
        return next((pause for pause in of_sites if is_of_site(site_key, pause.value)), None)


class DetourRouter(Protocol):
    """A router that can also find the way to a host that a person named."""

    def route(self, *, domain: str, app: str) -> Awaitable[Route]: ...

    def detour(self, target: HostPort, *, domain: str, app: str) -> Awaitable[Route]: ...


class Detours:
    """The router of a process (contract.Router), with detours."""

    def __init__(self, router: DetourRouter, steering: Steering, *, clock: Callable[[], datetime]) -> None:
        self._router = router
        self._steering = steering
        self._clock = clock

    async def route(self, *, domain: str, app: str) -> Route:
        """Find the way, by the detour if one is ordered."""
        if not self._steering.has_detours:
            return await self._router.route(domain=domain, app=app)
        steer = self._steering.detour(domain=domain, app=app)
        if steer is None:
            found = await self._router.route(domain=domain, app=app)
            steer = self._steering.detour_of_site(found.site)
            if steer is None or not steer.holds(self._clock()):
                return found
        elif not steer.holds(self._clock()):
            return await self._router.route(domain=domain, app=app)
        return await self._router.detour(parse_address(steer.target), domain=domain, app=app)
