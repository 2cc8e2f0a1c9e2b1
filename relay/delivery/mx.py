"""Find the servers that take the mail of a domain, in the order to try them, or say why there are none.

Policy, first match wins: a [[route]] for this app and domain, for the domain (exact before wildcard, longest wildcard
first), for the app; the smarthost; then MX. MX hosts go by preference, equal ones shuffled; each host's addresses are
looked up at one time, IPv6 before IPv4; once one host has an address, the others are waited for 2 s and no longer, so
that a dead name server of a backup host holds up nothing. No MX record at all: the domain's own address (RFC 5321 5.1).

| DNS says | route |
|---|---|
| NXDOMAIN | 550 5.1.2, is_nxdomain: whether it is believed is the scheduler's decision |
| neither MX nor address | 550 5.1.2 |
| null MX (RFC 7505) | 550 5.1.10 |
| no answer (SERVFAIL, REFUSED, silence, garbage) | no code, 4.4.3: temporary |
| MX hosts without an address | no code, 4.4.3 when one look-up failed, else 550 5.4.4; NXDOMAIN: as above |
| only addresses of a family we cannot send from | no code, 4.4.4 |
| a host of the configuration without an address | no code, 4.4.4: our settings or resolver, not the recipient |

A failure to find out is never taken for "there is no MX": that would send mail to the wrong host.
IPv6 is used when `delivery.ip` says so, or on "auto" when the address we would send from has a name (PTR): the large
providers refuse mail from nameless IPv6 addresses. Whether an address may be connected is guard.py's question.
Mail of an app with source addresses of its own leaves from these only, to hosts of the same IP versions.
A route of the configuration is an MX of its domain; a smarthost, or a route that names only an app, takes mail to pass
it on, so that it is `sent` there and not `delivered`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import cast

from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from relay import settings
from relay.address import literal_ip, to_a_label
from relay.delivery.contract import Credentials, Host, Route, TlsMode
from relay.delivery.guard import is_private
from relay.delivery.own_addresses import ipv6_source
from relay.delivery.protection import Protections
from relay.delivery.resolver import Lookup, Resolver, Verdict
from relay.model import Reply, Stage
from relay.settings import Config, HostPort

#: More MX hosts, or more addresses of one host, than any honest domain needs (RFC 5321 5.1 asks for at least two).
_MAX_HOSTS = 20
_MAX_ADDRESSES = 5

#: Whether our IPv6 address has a name is asked again after this.
_RECHECK_IPV6_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fixed:
    """One [[route]], or the smarthost, ready to use."""

    host: str
    port: int
    tls: TlsMode
    credentials: Credentials | None
    is_smarthost: bool

    @property
    def site(self) -> str:
        return f"{self.host}:{self.port}"


class MxRouter:
    """Finds the route of a recipient domain (contract.Router)."""

    def __init__(
        self,
        config: Config,
        *,
        resolver: Resolver,
        read_secret: Callable[[Path], str],
        rng: random.Random,
        clock: Callable[[], float] = time.monotonic,
        ipv6_source: Callable[[], str | None] = ipv6_source,
        has_address: Callable[[str], bool] = lambda ip: True,
        protections: Protections | None = None,
        patience: timedelta = timedelta(seconds=2),
    ) -> None:
        """`has_address`: which of the configured source addresses are this machine's; `protections` None: the same
        TLS for all.
        """
        self._delivery = config.delivery
        self._resolver = resolver
        self._rng = rng
        self._clock = clock
        self._ipv6_source = ipv6_source
        self._has_address = has_address
        self._protections = protections
        self._patience = patience.total_seconds()
        self._ipv6_known: tuple[float, bool] | None = None
        self._tls = TlsMode(config.tls.mode)
        self._sources = {app.name: tuple(app.source_addresses) for app in config.app if app.source_addresses}
        self._routes = [(route, _fixed(route, read_secret)) for route in config.route]
        self._smarthost = _smarthost(config.delivery, read_secret)

    async def route(self, *, domain: str, app: str) -> Route:
        """Look up; never raises for what DNS says."""
        started = self._clock()
        fixed = self._find_fixed(domain.lower().rstrip("."), app)
        found = await (self._to_fixed(fixed) if fixed is not None else self._to_domain(domain))
        name = to_a_label(domain.rstrip("."))
        if fixed is None and self._protections is not None and found.hosts and name is not None:
            found = await self._protections.apply(found, name)
        return replace(self._from_chosen(found, app), took=timedelta(seconds=self._clock() - started))

    async def detour(self, target: HostPort, *, domain: str, app: str) -> Route:
        """Give the way through a host that a person named for a while; what it takes is handed on, not delivered.

        Our own settings for the domain's TLS hold there too; what the domain publishes is about its own hosts.
        """
        name = to_a_label(domain.rstrip(".")) or domain
        wanted = self._protections.configured(name) if self._protections is not None else None
        tls = TlsMode.VERIFY if wanted is TlsMode.DANE else wanted or self._tls
        fixed = _Fixed(host=target.host, port=target.port, tls=tls, credentials=None, is_smarthost=True)
        return self._from_chosen(await self._to_fixed(fixed), app)

    def _from_chosen(self, found: Route, app: str) -> Route:
        """Leave from the source addresses of the app's choice, and only to hosts these can reach."""
        sources = self._sources.get(app, ())
        if not sources or not found.hosts:
            return found
        families = {":" in source for source in sources}
        hosts = tuple(replace(host, sources=sources) for host in found.hosts if (":" in host.ip) in families)
        text = f"the mail servers cannot be reached from {', '.join(sources)}, the source addresses of {app}"
        failure = None if hosts else _temporary(text, enhanced="4.4.4")
        return replace(found, hosts=hosts, failure=failure)

    def _find_fixed(self, domain: str, app: str) -> _Fixed | None:
        best: tuple[tuple[bool, bool, bool, int], _Fixed] | None = None
        for route, fixed in self._routes:
            pattern = (route.domain or "").lower()
            if (route.app and route.app != app) or (pattern and not _matches(pattern, domain)):
                continue
            rank = (bool(route.app and pattern), bool(pattern), not pattern.startswith("*."), len(pattern))
            if best is None or rank > best[0]:
                best = (rank, fixed)
        return best[1] if best is not None else self._smarthost

    async def _to_fixed(self, fixed: _Fixed) -> Route:
        hosts, failure = await self._addresses_of([(0, fixed.host)], port=fixed.port, is_configured=True)
        if failure is not None and failure.code is not None:
            failure = _temporary(failure.text, enhanced="4.4.4")
        return Route(
            site=fixed.site,
            hosts=hosts,
            tls=fixed.tls,
            credentials=fixed.credentials,
            is_smarthost=fixed.is_smarthost,
            failure=failure,
        )

    async def _to_domain(self, domain: str) -> Route:
        if domain.startswith("["):
            return self._to_literal(domain)
        name = to_a_label(domain.rstrip("."))
        if name is None:
            return self._failed(domain, _permanent("5.1.2", f"{domain} is not a valid domain name"))
        mx = await self._resolver.lookup(name, "MX")
        if mx.verdict is Verdict.FAILED:
            return self._failed(name, _temporary(f"the mail servers of {name} could not be looked up: {mx.text}"))
        if mx.verdict is Verdict.NXDOMAIN:
            reply = _permanent("5.1.2", f"the domain {name} does not exist (NXDOMAIN)")
            return replace(self._failed(name, reply), is_nxdomain=True)
        if mx.verdict is Verdict.NODATA:
            return await self._to_own_address(name)
        records = sorted((record.preference, _host_name(record)) for record in cast("tuple[MX, ...]", mx.records))
        named = [(preference, host) for preference, host in records if host]
        if not named:
            return self._failed(name, _permanent("5.1.10", f"the domain {name} takes no mail (null MX)"))
        return await self._to_hosts(named[:_MAX_HOSTS])

    async def _to_hosts(self, named: list[tuple[int, str]]) -> Route:
        shuffled = sorted(named, key=lambda entry: (entry[0], self._rng.random()))
        hosts, failure = await self._addresses_of(shuffled, port=self._delivery.port)
        site = ",".join(sorted({host for _, host in named}))
        is_missing = failure is not None and failure.code is not None and self._is_nxdomain(named)
        return Route(site=site, hosts=hosts, tls=self._tls, failure=failure, is_nxdomain=is_missing)

    def _is_nxdomain(self, named: list[tuple[int, str]]) -> bool:
        """Tell whether DNS says that an MX host does not exist; that may be our resolver's fault as well."""
        answers = [self._resolver.known(host, "A") for _, host in named]
        return any(answer is not None and answer.verdict is Verdict.NXDOMAIN for answer in answers)

    async def _to_own_address(self, name: str) -> Route:
        """Without an MX record the domain itself is the mail server (RFC 5321 5.1)."""
        hosts, failure = await self._addresses_of([(0, name)], port=self._delivery.port)
        if failure is not None and failure.enhanced == "5.4.4":
            failure = _permanent("5.1.2", f"the domain {name} has neither mail servers (MX) nor an address")
        return Route(site=name, hosts=hosts, tls=self._tls, failure=failure)

    def _to_literal(self, domain: str) -> Route:
        ip = literal_ip(domain)
        if ip is None:
            return self._failed(domain, _permanent("5.1.2", f"{domain} is not a valid address literal"))
        return Route(site=domain, hosts=(Host(name=ip, ip=ip, port=self._delivery.port),), tls=self._tls)

    def _failed(self, site: str, failure: Reply) -> Route:
        return Route(site=site, tls=self._tls, failure=failure)

    async def _addresses_of(
        self, named: Sequence[tuple[int, str]], *, port: int, is_configured: bool = False
    ) -> tuple[tuple[Host, ...], Reply | None]:
        found = await self._look_up_hosts([name for _, name in named], may_be_literal=is_configured)
        hosts: list[Host] = []
        for (preference, name), addresses in zip(named, found, strict=True):
            for ip in [*self._some(addresses.v6), *self._some(addresses.v4)]:
                host = Host(name=name, ip=ip, port=port, preference=preference, is_configured=is_configured)
                if await self._can_use(ip):
                    hosts.append(host)
        if hosts:
            return tuple(hosts), None
        return (), _without_address([name for _, name in named], found)

    def _some(self, addresses: list[str]) -> list[str]:
        return self._rng.sample(addresses, min(len(addresses), _MAX_ADDRESSES))

    async def _look_up_hosts(self, names: list[str], *, may_be_literal: bool) -> list[_Addresses]:
        questions = [(name, kind) for name in names if not _is_ip(name) for kind in ("AAAA", "A")]
        known = {question: self._resolver.known(*question) for question in questions}
        missing = [question for question, lookup in known.items() if lookup is None]
        answers = {question: lookup for question, lookup in known.items() if lookup is not None}
        if missing:
            is_found = any(lookup.verdict is Verdict.FOUND for lookup in answers.values())
            answers |= await self._ask(missing, is_found=is_found)
        return [_collect(name, answers, may_be_literal=may_be_literal) for name in names]

    async def _ask(self, questions: list[tuple[str, str]], *, is_found: bool) -> dict[tuple[str, str], Lookup]:
        """Ask all at one time; with one address found, do not wait for the slow ones (their look-ups go on)."""
        tasks = {question: asyncio.ensure_future(self._resolver.lookup(*question)) for question in questions}
        try:
            done, pending = await asyncio.wait(tasks.values(), timeout=self._patience)
            if pending and not is_found and not any(task.result().verdict is Verdict.FOUND for task in done):
                await asyncio.wait(pending)
        finally:
            for task in tasks.values():
                task.cancel()
        late = Lookup(Verdict.FAILED, text="the look-up takes long")
        return {question: task.result() if task.done() else late for question, task in tasks.items()}

    async def _can_use(self, ip: str) -> bool:
        if self._delivery.ip != "auto":
            return (":" in ip) == (self._delivery.ip == "6")
        if ":" not in ip or (self._delivery.allow_private_addresses and is_private(ip)):
            return True
        return await self._has_named_ipv6()

    async def _has_named_ipv6(self) -> bool:
        now = self._clock()
        if self._ipv6_known is None or now >= self._ipv6_known[0]:
            self._ipv6_known = (now + _RECHECK_IPV6_SECONDS, await self._look_up_named_ipv6())
        return self._ipv6_known[1]

    async def _look_up_named_ipv6(self) -> bool:
        configured = [source.address for source in self._delivery.source_addresses]
        had = [ip for ip in configured if ":" in ip and self._has_address(ip)]
        sources = had if configured else [self._ipv6_source()]
        for ip in sources:
            if ip is not None and (await self._resolver.reverse(ip)).verdict is Verdict.FOUND:
                return True
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Addresses:
    """The addresses of one host, or why there are none."""

    v6: list[str]
    v4: list[str]
    failure: str = ""  #: a look-up failed: words
    refusal: str = ""  #: looked up, and it cannot be used: words


def _collect(name: str, answers: dict[tuple[str, str], Lookup], *, may_be_literal: bool) -> _Addresses:
    if _is_ip(name):
        if not may_be_literal:
            # RFC 5321 5.1, RFC 2181 10.3: an MX record holds a name.
            return _Addresses(v6=[], v4=[], refusal=f"{name} is an IP address where a host name belongs")
        return _Addresses(v6=[name] if ":" in name else [], v4=[] if ":" in name else [name])
    v6, v4 = answers[(name, "AAAA")], answers[(name, "A")]
    failures = [lookup.text for lookup in (v6, v4) if lookup.verdict is Verdict.FAILED]
    return _Addresses(
        v6=[record.address for record in cast("tuple[AAAA, ...]", v6.records)],
        v4=[record.address for record in cast("tuple[A, ...]", v4.records)],
        failure=f"{name}: {failures[0]}" if failures else "",
        refusal=f"{name} has no address",
    )


def _without_address(names: list[str], found: list[_Addresses]) -> Reply:
    unusable = [name for name, host in zip(names, found, strict=True) if host.v6 or host.v4]
    failures = [host.failure for host in found if host.failure]
    if failures:
        return _temporary("the address of the mail server could not be looked up: " + "; ".join(failures[:3]))
    if unusable:
        text = f"{', '.join(unusable[:3])} can only be reached over an IP version that this relay does not send from"
        return _temporary(text, enhanced="4.4.4")
    return _permanent("5.4.4", "no mail server can be reached: " + "; ".join(host.refusal for host in found[:3]))


def _matches(pattern: str, domain: str) -> bool:
    return domain.endswith(pattern[1:]) if pattern.startswith("*.") else domain == pattern


def _host_name(record: MX) -> str:
    return record.exchange.to_text(omit_final_dot=True).lower().removesuffix(".")


def _is_ip(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _permanent(enhanced: str, text: str) -> Reply:
    return Reply(stage=Stage.DNS, code=550, enhanced=enhanced, text=text)


def _temporary(text: str, *, enhanced: str = "4.4.3") -> Reply:
    return Reply(stage=Stage.DNS, code=None, enhanced=enhanced, text=text)


def _fixed(route: settings.Route, read_secret: Callable[[Path], str]) -> _Fixed:
    return _Fixed(
        host=route.host,
        port=route.port,
        tls=TlsMode(route.tls),
        credentials=_credentials(route.username, route.password_file, read_secret),
        is_smarthost=route.domain is None,
    )


def _smarthost(delivery: settings.DeliverySettings, read_secret: Callable[[Path], str]) -> _Fixed | None:
    if delivery.smarthost is None:
        return None
    return _Fixed(
        host=delivery.smarthost.host,
        port=delivery.smarthost.port,
        tls=TlsMode(delivery.smarthost_tls),
        credentials=_credentials(delivery.smarthost_username, delivery.smarthost_password_file, read_secret),
        is_smarthost=True,
    )


def _credentials(
    username: str | None, password_file: Path | None, read_secret: Callable[[Path], str]
) -> Credentials | None:
    if not username or password_file is None:
        return None
    return Credentials(username=username, password=read_secret(password_file))
