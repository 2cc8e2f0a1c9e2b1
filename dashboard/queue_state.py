"""What stands in the way of a domain's mail, or steers it: pauses, orders and back-offs, as one list. Pure.

An order is on everything, a site (its hosts), a domain or an app. Which of them concern a domain is told by the host
that was last tried for it; one on an app concerns some of the mail of every domain and is shown above the list only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from dashboard.saying import Saying
from dashboard.tongue import Tongue
from relay.classify.explain import Course, Explanation, entry_for, render
from relay.model import Category
from relay.settings import Rate, parse_rate
from relay.status import Status
from relay.store.pauses import Pause
from relay.store.queue import DomainQueue
from relay.store.sites import SiteRow
from relay.store.steering import Steer


class OrderKind(StrEnum):
    PAUSE = "pause"
    SLOW = "slow"
    REROUTE = "reroute"
    BACK_OFF = "back_off"  #: delivery's own doing, by what a site answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One thing that steers mail."""

    kind: OrderKind
    scope: str  #: all | site | domain | app
    value: str
    since_at: datetime
    until_at: datetime | None = None
    by: str = ""
    reason: str = ""
    target: str = ""  #: the rate, or the host it goes through
    category: Category | None = None  #: of a back-off

    @property
    def rate(self) -> Rate:
        """The pace of one that slows down."""
        return parse_rate(self.target)

    def concerns(self, domain: str, mx: str | None) -> bool:
        """Tell whether all mail to this domain, last tried at this host, keeps to it."""
        if self.scope == "site":
            return mx is not None and mx.lower() in self.value.lower().split(",")
        return self.scope == "all" or (self.scope == "domain" and self.value == domain)


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainState:
    """One line of the queue."""

    queue: DomainQueue
    orders: tuple[Order, ...]
    said: str  #: the last answer in words; "" when there was none

    @property
    def is_paused(self) -> bool:
        return any(order.kind is OrderKind.PAUSE for order in self.orders)

    @property
    def technical(self) -> str:
        """The last answer as the server gave it."""
        one = self.queue
        return " ".join(str(part) for part in (one.code, one.enhanced, one.reply) if part)


#: Where an order stands in the list: what stops mail first.
_RANK = {kind: rank for rank, kind in enumerate(OrderKind)}


def all_orders(
    pauses: Iterable[Pause], steers: Iterable[Steer], sites: Iterable[SiteRow], *, now: datetime
) -> list[Order]:
    """Put everything that counts now into one list, what stops mail first."""
    found = [_of_pause(pause) for pause in pauses if pause.until_at is None or pause.until_at > now]
    found += [_of_steer(steer) for steer in steers if steer.holds(now)]
    found += [_of_site(site) for site in sites if site.until_at is not None and site.until_at > now]
    return sorted(found, key=lambda order: (_RANK[order.kind], order.since_at))


def state_of(queue: DomainQueue, orders: Iterable[Order], *, tongue: Tongue) -> DomainState:
    """Say how it stands with one domain."""
    mine = tuple(order for order in orders if order.concerns(queue.domain, queue.mx))
    return DomainState(queue=queue, orders=mine, said=answer_in_words(queue.category, queue.domain, tongue=tongue))


def answer_in_words(category: Category | None, domain: str, *, tongue: Tongue) -> str:
    """Say in a few words what a server answered while we still try."""
    if category is None:
        return ""
    entry = entry_for(Status.DEFERRED, category=category, course=Course.TRYING)
    explanation = Explanation(entry=entry, params={"domain": domain}, is_pending=True)
    return render(explanation, tongue=Saying(tongue)).title


#: How long an order may be made to last; none: until somebody ends it.
SPANS = (timedelta(minutes=30), timedelta(hours=1), timedelta(hours=4), timedelta(days=1), timedelta(days=3))


def _of_pause(pause: Pause) -> Order:
    return Order(
        kind=OrderKind.PAUSE,
        scope=pause.scope,
        value=pause.value,
        since_at=pause.since_at,
        until_at=pause.until_at,
        by=pause.by,
        reason=pause.reason.removeprefix(f"{pause.by}: "),  # that of an incident names the incident itself
    )


def _of_steer(steer: Steer) -> Order:
    return Order(
        kind=OrderKind(steer.kind.value),
        scope=steer.scope,
        value=steer.value,
        since_at=steer.since_at,
        until_at=steer.until_at,
        by=steer.by,
        reason=steer.reason,
        target=steer.target,
    )


def _of_site(site: SiteRow) -> Order:
    return Order(
        kind=OrderKind.BACK_OFF,
        scope="site",
        value=site.key.partition(" ")[0],
        since_at=site.updated_at,
        until_at=site.until_at,
        reason=site.reply or "",
        category=site.category,
    )
