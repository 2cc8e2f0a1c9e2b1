"""Our sending domains, and the checker: what DNS, our addresses and this machine look like from outside.

The pages show the last examination at once; "Check now" runs a new one behind them. Nothing here changes the
configuration: what to publish and what to paste is shown, each with a button that copies it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from dashboard import findings as sorting
from dashboard.access import Role
from dashboard.checking import Checker
from dashboard.desk import Desk
from dashboard.findings import STATES, TITLES, Shown
from dashboard.fragments import as_fragment
from dashboard.guard import at
from dashboard.marking import N_
from relay import doctor
from relay.actions import Answer
from relay.address import to_a_label
from relay.doctor import Examination, State
from relay.settings import Config
from relay.store import doctor as memory
from relay.store.protocols import Tx
from relay.wording import say

#: What the list shows of each domain.
COLUMNS = ("sender.spf", "sender.dkim", "sender.dmarc", "sender.alignment")


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainRow:
    """One sending domain in the list."""

    domain: str
    mails: int  #: among the newest
    is_configured: bool
    states: dict[str, State]


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    """What the list shows."""

    rows: tuple[DomainRow, ...]
    last: Examination | None
    addresses: tuple[Shown, ...]
    machine: tuple[Shown, ...]
    is_running: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OneDomain:
    """What the page of a domain shows."""

    domain: str
    last: Examination | None
    found: tuple[Shown, ...]
    is_running: bool
    selectors: tuple[str, ...]
    apps: tuple[str, ...]  #: that may send for it by their from_domains
    is_configured: bool
    return_path: str
    new_selector: str

    @property
    def is_good(self) -> bool:
        return bool(self.found) and all(one.finding.state is State.GOOD for one in self.found)


async def show(desk: Desk) -> Response:
    """List the domains that mail is sent for, and what holds for all of them."""
    if desk.apps is not None:
        return await desk.missing()
    look = desk.asked("look")
    if look:
        domain = to_a_label(look.lstrip("@").rpartition("@")[2])
        if domain is not None and "." in domain:
            return desk.go(f"/domains/{domain}")
    fault = desk.tongue.text(N_("Write a domain such as hotel.example."))
    problems = [("look", fault)] if look else []
    return await _list(desk, "domains.html", problems=problems)


async def show_found(desk: Desk) -> Response:
    """Give the results alone, for a page that is open already."""
    if desk.apps is not None:
        return await desk.missing()
    return as_fragment(desk, await _list(desk, "domains_found.html", problems=[]))


async def _list(desk: Desk, template: str, *, problems: list[tuple[str, str]]) -> Response:
    checker: Checker = desk.request.app.state.checker
    view = await desk.read(lambda tx: _everything(tx, desk.config, is_running=checker.runs(None)))
    return await desk.page(
        template,
        status=422 if problems else 200,
        view=view,
        columns=COLUMNS,
        titles=TITLES,
        states=STATES,
        look=desk.asked("look"),
        problems=problems,
    )


async def show_domain(desk: Desk) -> Response:
    """Show what is published for one domain, what should be, and what to paste."""
    return await _one(desk, "domain.html")


async def show_domain_found(desk: Desk) -> Response:
    """Give the results for one domain alone."""
    return as_fragment(desk, await _one(desk, "domain_found.html"))


async def _one(desk: Desk, template: str) -> Response:
    domain = _domain(desk)
    if domain is None:
        return await desk.missing()
    checker: Checker = desk.request.app.state.checker
    selector = f"wb{desk.now:%Y%m}"
    is_running = checker.runs(domain) or checker.runs(None)
    view = await desk.read(
        lambda tx: _domain_view(tx, desk.config, domain, is_running=is_running, new_selector=selector)
    )
    return await desk.page(template, view=view, states=STATES)


async def check(desk: Desk) -> Response:
    """Examine everything anew."""
    return await _check(desk, None) if desk.apps is None else await desk.missing()


async def check_domain(desk: Desk) -> Response:
    """Examine one domain anew."""
    domain = _domain(desk)
    return await _check(desk, domain) if domain is not None else await desk.missing()


async def _check(desk: Desk, domain: str | None) -> Response:
    checker: Checker = desk.request.app.state.checker
    answers: list[Answer] = []

    def begin(_: Tx) -> Answer:
        busy = Answer(key="busy", sentence=say("Another check is running."), is_done=False)
        answers.append(busy if checker.is_busy else Answer(key="done", sentence=say("Being checked.")))
        return answers[-1]

    back = f"/domains/{domain}" if domain else "/domains"
    response = await desk.do("check", begin, back=back, on=domain or "", kind="domain")
    if answers and answers[-1].is_done:  # not for a second click on the same form
        checker.start(desk.config, desk.store, domain=domain)
    return response


def _domain(desk: Desk) -> str | None:
    """Give the domain of the address; None when it is none, or not for this person."""
    found = to_a_label(desk.request.path_params["domain"])
    return found if found is not None and "." in found and desk.apps is None else None


# -- what is prepared


def _everything(tx: Tx, config: Config, *, is_running: bool) -> Everything:
    known = doctor.every(tx)
    last = known.get("")
    found = last.findings if last else ()
    return Everything(
        rows=tuple(_rows(tx, config, known)),
        last=last,
        addresses=tuple(sorting.ready(sorting.by_address(found))),
        machine=tuple(sorting.ready(sorting.of_machine(found))),
        is_running=is_running,
    )


def _rows(tx: Tx, config: Config, known: Mapping[str, Examination]) -> Iterable[DomainRow]:
    mails: dict[str, int] = {}
    for sender in memory.senders(tx, heads=0):
        domain = to_a_label(sender.header_from.rpartition("@")[2])
        if domain:
            mails[domain] = mails.get(domain, 0) + sender.count
    configured = doctor.configured_domains(config)
    for domain in dict.fromkeys([*sorted(mails, key=lambda name: -mails[name]), *configured]):
        newest = _newest(known.get(""), known.get(domain))
        found = sorting.about(domain, newest.findings) if newest else []
        yield DomainRow(
            domain=domain,
            mails=mails.get(domain, 0),
            is_configured=domain in configured,
            states=sorting.states_by_check(found),
        )


def _domain_view(tx: Tx, config: Config, domain: str, *, is_running: bool, new_selector: str) -> OneDomain:
    alone, everything = doctor.load(tx, domain), doctor.load(tx)
    if everything is not None and not sorting.about(domain, everything.findings):
        everything = None  # it did not look at this domain
    last = _newest(alone, everything)
    return OneDomain(
        domain=domain,
        last=last,
        found=tuple(sorting.ready(sorting.about(domain, last.findings) if last else [])),
        is_running=is_running,
        selectors=tuple(key.selector for key in config.dkim if key.domain == domain),
        apps=tuple(app.name for app in config.app if domain in app.from_domains),
        is_configured=domain in doctor.configured_domains(config),
        return_path=config.returned.domain or "",
        new_selector=new_selector,
    )


def _newest(one: Examination | None, other: Examination | None) -> Examination | None:
    if one is None or other is None:
        return one or other
    return one if one.at >= other.at else other


ROUTES: list[Route] = [
    at("/domains", show, need=Role.OPERATOR),
    at("/domains/found", show_found, need=Role.OPERATOR),
    at("/domains/check", check, need=Role.OPERATOR, methods=["POST"]),
    at("/domains/{domain}", show_domain, need=Role.OPERATOR),
    at("/domains/{domain}/found", show_domain_found, need=Role.OPERATOR),
    at("/domains/{domain}/check", check_domain, need=Role.OPERATOR, methods=["POST"]),
]
