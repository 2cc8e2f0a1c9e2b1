"""What waits to be sent, and how to steer it: by recipient domain, or altogether.

These pages are about all mail, so that a person who sees that of some apps only does not have them. What ends mail for
good asks for the domain to be typed, what stops all of it for a tick; everything else can be taken back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from starlette.responses import Response
from starlette.routing import Route

from dashboard.access import Role
from dashboard.desk import Desk
from dashboard.fragments import as_fragment
from dashboard.guard import at
from dashboard.marking import N_
from dashboard.queue_state import SPANS, DomainState, Order, all_orders, answer_in_words, state_of
from dashboard.tongue import Tongue
from relay import actions
from relay.actions import Answer
from relay.address import to_a_label
from relay.settings import parse_address, parse_rate
from relay.store import pauses, queue, sites, steering
from relay.store.protocols import Tx
from relay.store.queue import Selection, Totals, WaitingRow, Waits

_MOST_DOMAINS = 100
_PAGE = 50

Problems = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """What the list shows."""

    totals: Totals
    rows: tuple[DomainState, ...]
    orders: tuple[Order, ...]
    is_cut: bool  #: there are more domains than are shown

    @property
    def paused_all(self) -> Order | None:
        return next((order for order in self.orders if order.scope == "all" and order.kind == "pause"), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneDomain:
    """What the page of a domain shows."""

    domain: str
    state: DomainState | None  #: None: nothing waits
    orders: tuple[Order, ...]  #: on it
    rows: tuple[WaitingRow, ...]
    next_after: int | None  #: where the next page begins

    def own(self, kind: str) -> Order | None:
        """Give the order of a kind that is on this domain and nothing else."""
        return next((one for one in self.orders if one.kind == kind and one.scope == "domain"), None)


def _orders(tx: Tx, now: datetime) -> list[Order]:
    return all_orders(pauses.every(tx), steering.every(tx, now=now), sites.load(tx), now=now)


def _overview(tx: Tx, *, part: str, state: Waits | None, now: datetime, tongue: Tongue) -> Overview:
    orders = _orders(tx, now)
    found = queue.overview(tx, limit=_MOST_DOMAINS + 1, part=part, state=state)
    rows = tuple(state_of(one, orders, tongue=tongue) for one in found[:_MOST_DOMAINS])
    return Overview(totals=queue.totals(tx), rows=rows, orders=tuple(orders), is_cut=len(found) > _MOST_DOMAINS)


def _one(tx: Tx, domain: str, *, after: int, now: datetime, tongue: Tongue) -> OneDomain:
    orders = _orders(tx, now)
    found = queue.overview(tx, limit=1, domain=domain)
    state = state_of(found[0], orders, tongue=tongue) if found else None
    waiting = queue.waiting(tx, domain, after=after, limit=_PAGE + 1)
    return OneDomain(
        domain=domain,
        state=state,
        orders=state.orders if state else tuple(order for order in orders if order.concerns(domain, None)),
        rows=tuple(waiting[:_PAGE]),
        next_after=waiting[_PAGE - 1].seq if len(waiting) > _PAGE else None,
    )


# -- what is shown


async def show(desk: Desk) -> Response:
    """List the domains that mail waits for."""
    return await _list(desk, "queue.html") if desk.apps is None else await desk.missing()


async def rows(desk: Desk) -> Response:
    """Give the list alone, for a page that is open already."""
    if desk.apps is not None:
        return await desk.missing()
    return as_fragment(desk, await _list(desk, "queue_rows.html"))


async def _list(desk: Desk, template: str, *, problems: Problems | None = None) -> Response:
    part, wanted = desk.asked("domain"), desk.asked("state")
    state = Waits(wanted) if wanted in set(Waits) else None
    view = await desk.read(lambda tx: _overview(tx, part=part, state=state, now=desk.now, tongue=desk.tongue))
    status = 422 if problems else 200
    return await desk.page(
        template, status=status, view=view, part_of=part, state=wanted, spans=SPANS, problems=problems or []
    )


async def show_domain(desk: Desk) -> Response:
    """Show what waits for one domain, with everything that can be done about it."""
    domain = _domain(desk)
    if domain is None or desk.apps is not None:
        return await desk.missing()
    return await _domain_page(desk, domain)


async def _domain_page(
    desk: Desk, domain: str, *, problems: Problems | None = None, typed: dict[str, str] | None = None
) -> Response:
    view = await desk.read(
        lambda tx: _one(tx, domain, after=desk.number("after") or 0, now=desk.now, tongue=desk.tongue)
    )
    return await desk.page(
        "queue_domain.html",
        status=422 if problems else 200,
        view=view,
        spans=SPANS,
        problems=problems or [],
        typed=typed or {},
        in_words=lambda category: answer_in_words(category, domain, tongue=desk.tongue),
    )


def _domain(desk: Desk) -> str | None:
    return to_a_label(desk.request.path_params["domain"])


# -- what is done


async def order(desk: Desk) -> Response:
    """Pause, slow down or reroute all mail, or that of one scope; or end that."""
    scope, value = await desk.field("scope"), await desk.field("value")
    what = await desk.field("what")
    if desk.apps is not None or scope not in pauses.SCOPES or what not in _ORDERS:
        return await desk.missing()
    value = "" if scope == "all" else value
    problems = await _faults(desk, what, scope=scope)
    if problems:
        domain = to_a_label(value) if scope == "domain" else None
        typed = {name: await desk.field(name) for name in ("reason", "host", "rate_count")}
        if domain is not None:
            return await _domain_page(desk, domain, problems=problems, typed=typed)
        return await _list(desk, "queue.html", problems=problems)
    note = await desk.field("reason")
    work = _ORDERS[what](scope, value, await _Asked.read(desk))
    back = f"/queue/{value}" if scope == "domain" and to_a_label(value) == value else "/queue"
    return await desk.do(what, work, back=back, on=value or scope, kind=scope, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What was typed about an order."""

    by: str
    now: datetime
    note: str
    until: datetime | None
    host: str
    rate: str

    @classmethod
    async def read(cls, desk: Desk) -> _Asked:
        seconds = await desk.field("until")
        spans = {str(int(span.total_seconds())): span for span in SPANS}
        return cls(
            by=desk.person.name,
            now=desk.now,
            note=(await desk.field("reason"))[:500],
            until=desk.now + spans[seconds] if seconds in spans else None,
            host=_with_port(await desk.field("host")),
            rate=await _rate_of(desk),
        )


_Work = Callable[[Tx], Answer]

_ORDERS: dict[str, Callable[[str, str, _Asked], _Work]] = {
    "pause": lambda scope, value, asked: (
        lambda tx: actions.pause(tx, scope, value, by=asked.by, now=asked.now, note=asked.note, until=asked.until)
    ),
    "resume": lambda scope, value, asked: lambda tx: actions.resume(tx, scope, value, by=asked.by, now=asked.now),
    "slow": lambda scope, value, asked: (
        lambda tx: actions.slow(
            tx, scope, value, parse_rate(asked.rate), by=asked.by, now=asked.now, note=asked.note, until=asked.until
        )
    ),
    "end_slow": lambda scope, value, asked: lambda tx: actions.end_slow(tx, scope, value, by=asked.by, now=asked.now),
    "reroute": lambda scope, value, asked: (
        lambda tx: actions.reroute(
            tx, scope, value, parse_address(asked.host), by=asked.by, now=asked.now, note=asked.note, until=asked.until
        )
    ),
    "end_reroute": lambda scope, value, asked: (
        lambda tx: actions.end_reroute(tx, scope, value, by=asked.by, now=asked.now)
    ),
}


async def _faults(desk: Desk, what: str, *, scope: str) -> Problems:
    """Say what is missing or wrong in the form of an order."""
    tell = desk.tongue.text
    if what == "pause" and scope == "all" and await desk.field("confirm") != "yes":
        return [("confirm", tell(N_("Tick the box: it stops all mail.")))]
    if what == "slow" and not _is_rate(await _rate_of(desk)):
        return [("rate_count", tell(N_("Write how many emails may go, as a whole number above zero.")))]
    if what == "reroute" and not _is_host(_with_port(await desk.field("host"))):
        return [("host", tell(N_("Write a host such as mx.example.com or 192.0.2.9:2525.")))]
    return []


async def _rate_of(desk: Desk) -> str:
    return f"{await desk.field('rate_count')}/1{await desk.field('rate_per', 'm')}"


def _is_rate(text: str) -> bool:
    try:
        parse_rate(text)
    except ValueError:
        return False
    return True


def _with_port(text: str) -> str:
    if text.startswith("["):
        return text if "]:" in text else f"{text}:25"
    return f"[{text}]:25" if text.count(":") > 1 else text if ":" in text else f"{text}:25"


def _is_host(text: str) -> bool:
    try:
        found = parse_address(text)
    except ValueError:
        return False
    return found.port > 0 and found.host not in {"", "0.0.0.0"}


async def steer(desk: Desk) -> Response:
    """Try now, hold, release or give up what waits for one domain."""
    domain, what = _domain(desk), desk.request.path_params["what"]
    if domain is None or desk.apps is not None or what not in _STEPS:
        return await desk.missing()
    if what == "give-up" and to_a_label(await desk.field("typed")) != domain:
        fault = desk.tongue.text(N_("Type the domain as it stands above; giving up cannot be undone."))
        return await _domain_page(desk, domain, problems=[("typed", fault)])
    note = (await desk.field("reason"))[:500]
    work = _STEPS[what]
    return await desk.do(
        what.replace("-", "_"),
        lambda tx: work(tx, Selection(domain=domain), desk.person.name, desk.now, note),
        back=f"/queue/{domain}",
        on=domain,
        kind="domain",
        note=note,
    )


_STEPS: dict[str, Callable[[Tx, Selection, str, datetime, str], Answer]] = {
    "try": lambda tx, chosen, by, now, _: actions.flush(tx, chosen, by=by, now=now),
    "hold": lambda tx, chosen, by, now, note: actions.hold(tx, chosen, by=by, now=now, note=note),
    "release": lambda tx, chosen, by, now, _: actions.release(tx, chosen, by=by, now=now),
    "give-up": lambda tx, chosen, by, now, note: actions.cancel_many(tx, chosen, by=by, now=now, note=note),
}

ROUTES: list[Route] = [
    at("/queue", show, need=Role.OPERATOR),
    at("/queue/rows", rows, need=Role.OPERATOR),
    at("/queue/order", order, need=Role.OPERATOR, methods=["POST"]),
    at("/queue/{domain}", show_domain, need=Role.OPERATOR),
    at("/queue/{domain}/{what}", steer, need=Role.OPERATOR, methods=["POST"]),
]
