"""Ask DNS one question and say in one value what came of it.

Policy: the four ends of a look-up are told apart and never confused. FOUND and NODATA (the name exists, without such a
record) and NXDOMAIN are answers; everything else (SERVFAIL, REFUSED, silence, garbage, a truncated answer whose TCP
repeat fails, an endless chain of aliases) is FAILED, which is temporary and never turned into one of the others.
Aliases (CNAME) are followed, also across answers. Answers are kept by their TTL (30 s to 1 h), negative ones 5 minutes
at most, failures 5 s, doubling to 30 s. Equal questions asked at one time are one look-up; a caller that gives up does
not stop it for the others. A server that stayed silent is asked last for a minute.

Servers come from the configuration or from resolv.conf, which is read again when it changes. No search list, EDNS with
1232 bytes, a new port for each question. RFC 1034, 2308, 6891. Does not know what an MX is for: mx.py does.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.reversename
from dns._asyncbackend import Backend

from relay.settings import HostPort

_POSITIVE_SECONDS = (30.0, 3600.0)
_NEGATIVE_SECONDS = (5.0, 300.0)
_FAILURE_SECONDS = (5.0, 30.0)
_SILENT_SECONDS = 60.0
_RECHECK_SECONDS = 5.0
_MAX_KEPT = 10_000
_MAX_ALIASES = 8

#: What is thrown for a question that was not answered.
_FAILURES = (dns.exception.DNSException, OSError, EOFError)


class Verdict(StrEnum):
    """How a look-up ended."""

    FOUND = "found"
    NODATA = "nodata"  #: the name exists and has no such record
    NXDOMAIN = "nxdomain"  #: the name does not exist
    FAILED = "failed"  #: nobody gave an answer; may be different later


@dataclass(frozen=True, slots=True)
class Lookup:
    """What came of one question."""

    verdict: Verdict
    records: tuple[dns.rdata.Rdata, ...] = ()
    text: str = ""  #: why it failed, in words
    expires_at: float = 0.0  #: on the resolver's clock
    is_secure: bool = False  #: DNSSEC was checked and is good, by servers that are trusted


class _Server(dns.nameserver.Do53Nameserver):
    """A DNS server that remembers until when it is taken for dead."""

    def __init__(self, address: HostPort, *, clock: Callable[[], float]) -> None:
        super().__init__(address.host, address.port)
        self._clock = clock
        self.silent_until = 0.0

    async def async_query(
        self,
        request: dns.message.QueryMessage,
        timeout: float,
        source: str | None,
        source_port: int,
        max_size: bool,
        backend: Backend,
        one_rr_per_rrset: bool = False,
        ignore_trailing: bool = False,
    ) -> dns.message.Message:
        try:
            answer = await super().async_query(
                request, timeout, source, source_port, max_size, backend, one_rr_per_rrset, ignore_trailing
            )
        except (dns.exception.Timeout, OSError):
            self.silent_until = self._clock() + _SILENT_SECONDS
            raise
        self.silent_until = 0.0
        return answer


class Resolver:
    """Looks names up, with memory; one per process."""

    def __init__(
        self,
        servers: Sequence[HostPort] = (),
        *,
        timeout: float,
        lifetime: float,
        clock: Callable[[], float],
        resolv_conf: Path = Path("/etc/resolv.conf"),
        trusted: bool | Literal["auto"] = "auto",
    ) -> None:
        """`trusted`: whether their word that an answer is secure counts; "auto": when all are on this machine."""
        self._clock = clock
        self._resolv_conf = None if servers else resolv_conf
        self._servers = [_Server(server, clock=clock) for server in servers]
        self._in_order = self._servers
        self._read_state: tuple[float, int] | None = None  # when resolv.conf was looked at, its mtime
        self._known: dict[tuple[str, str], Lookup] = {}
        self._penalty: dict[tuple[str, str], float] = {}
        self._running: dict[tuple[str, str], asyncio.Task[Lookup]] = {}
        self._resolver = dns.asyncresolver.Resolver(configure=False)
        self._trusted = trusted
        self._resolver.use_edns(0, dns.flags.DO if self.is_trusted else 0, 1232)
        self._resolver.flags = dns.flags.RD | dns.flags.AD
        self._resolver.timeout = timeout
        self._resolver.lifetime = lifetime

    @property
    def is_trusted(self) -> bool:
        """Tell whether a secure answer can be had at all; without that there is no DANE."""
        if self._trusted != "auto":
            return self._trusted
        self._order_servers()
        return all(ip_address(server.address.partition("%")[0]).is_loopback for server in self._servers)

    def known(self, name: str, kind: str) -> Lookup | None:
        """Return what is remembered of that question, None when it must be asked."""
        lookup = self._known.get((name, kind))
        return lookup if lookup is not None and self._clock() < lookup.expires_at else None

    async def lookup(self, name: str, kind: str) -> Lookup:
        """Look up the records of one kind (MX, A, AAAA, PTR …) of a name; never raises for what DNS says."""
        known = self.known(name, kind)
        if known is not None:
            return known
        key = (name, kind)
        running = self._running.get(key)
        if running is None:
            running = asyncio.create_task(self._ask_and_keep(name, kind), name=f"dns {kind} {name}")
            self._running[key] = running
            running.add_done_callback(lambda _: self._running.pop(key, None))
        # Shielded: this caller may be cancelled, the others still wait for the answer.
        return await asyncio.shield(running)

    async def reverse(self, ip: str) -> Lookup:
        """Look up the names (PTR) of an address."""
        return await self.lookup(dns.reversename.from_address(ip).to_text(omit_final_dot=True), "PTR")

    async def close(self) -> None:
        """Stop the look-ups that still run."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _ask_and_keep(self, name: str, kind: str) -> Lookup:
        lookup = await self._ask(name, kind)
        key = (name, kind)
        if lookup.verdict is Verdict.FAILED:
            shortest, longest = _FAILURE_SECONDS
            seconds = min(self._penalty.get(key, shortest / 2) * 2, longest)
            self._penalty[key] = seconds
            lookup = Lookup(Verdict.FAILED, text=lookup.text, expires_at=self._clock() + seconds)
        else:
            self._penalty.pop(key, None)
        while len(self._known) >= _MAX_KEPT:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._penalty.pop(oldest, None)
        self._known.pop(key, None)
        self._known[key] = lookup
        return lookup

    async def _ask(self, name: str, kind: str) -> Lookup:
        try:
            wanted = dns.name.from_text(name)
        except (dns.exception.DNSException, ValueError) as error:
            # Such a name cannot stand in DNS at all.
            return Lookup(Verdict.NXDOMAIN, text=f"not a domain name: {error}", expires_at=self._clock() + 300.0)
        try:
            async with asyncio.timeout(self._resolver.lifetime + 1.0):
                return await self._follow(wanted, kind)
        except dns.resolver.NXDOMAIN as error:
            return Lookup(Verdict.NXDOMAIN, expires_at=self._clock() + _within(_NEGATIVE_SECONDS, _nxdomain_ttl(error)))
        except TimeoutError:
            return Lookup(Verdict.FAILED, text=_silence(self._resolver.lifetime))
        except _FAILURES as error:
            return Lookup(Verdict.FAILED, text=_reason(error, lifetime=self._resolver.lifetime))

    async def _follow(self, name: dns.name.Name, kind: str) -> Lookup:
        """Ask, and ask again for the true name while only an alias comes back."""
        is_secure = self.is_trusted
        for _ in range(_MAX_ALIASES):
            self._order_servers()
            answer = await self._resolver.resolve(name, kind, raise_on_no_answer=False, search=False)
            ttl = answer.chaining_result.minimum_ttl
            is_secure = is_secure and bool(answer.response.flags & dns.flags.AD)
            if answer.rrset is not None:
                expires_at = self._clock() + _within(_POSITIVE_SECONDS, ttl)
                records = tuple(answer.rrset)
                return Lookup(Verdict.FOUND, records=records, expires_at=expires_at, is_secure=is_secure)
            if answer.canonical_name == name:
                expires_at = self._clock() + _within(_NEGATIVE_SECONDS, ttl)
                return Lookup(Verdict.NODATA, expires_at=expires_at, is_secure=is_secure)
            name = answer.canonical_name
        return Lookup(Verdict.FAILED, text="the name is an alias of an alias, without end")

    def servers(self) -> list[str]:
        """Return the servers in the order the next question goes to them."""
        self._order_servers()
        return [str(HostPort(server.address, server.port)) for server in self._in_order]

    def _order_servers(self) -> None:
        if self._resolv_conf is not None:
            self._read_again(self._resolv_conf)
        now = self._clock()
        # A stable sort: the silent ones last, otherwise the order that was configured.
        self._in_order = sorted(self._servers, key=lambda server: server.silent_until > now)
        self._resolver.nameservers = [*self._in_order]

    def _read_again(self, path: Path) -> None:
        now = self._clock()
        if self._read_state is not None and now - self._read_state[0] < _RECHECK_SECONDS:
            return
        try:
            changed_ns = os.stat(path).st_mtime_ns
            if self._read_state is None or changed_ns != self._read_state[1]:
                text = path.read_text(encoding="utf-8", errors="replace")
                self._servers = [_Server(HostPort(ip, 53), clock=self._clock) for ip in nameservers(text)]
            self._read_state = (now, changed_ns)
        except OSError:
            self._read_state = (now, 0)
        if not self._servers:
            self._servers = [_Server(HostPort("127.0.0.1", 53), clock=self._clock)]  # as resolv.conf(5) says


def nameservers(text: str) -> list[str]:
    """Read the addresses of the `nameserver` lines of a resolv.conf."""
    words = [line.split() for line in text.splitlines()]
    found = [parts[1] for parts in words if len(parts) >= 2 and parts[0] == "nameserver"]
    return [ip for ip in found if dns.inet.is_address(ip.partition("%")[0])]


def _within(limits: tuple[float, float], ttl: int) -> float:
    return min(max(float(ttl), limits[0]), limits[1])


def _nxdomain_ttl(error: dns.resolver.NXDOMAIN) -> int:
    responses: dict[dns.name.Name, dns.message.QueryMessage] = error.kwargs["responses"]
    return min((response.resolve_chaining().minimum_ttl for response in responses.values()), default=0)


def _silence(lifetime: float) -> str:
    return f"no DNS server answered within {lifetime:g} s"


def _reason(error: Exception, *, lifetime: float) -> str:
    if isinstance(error, dns.resolver.LifetimeTimeout):
        return _silence(lifetime)
    if isinstance(error, dns.resolver.NoNameservers):
        said = [_said(entry) for entry in error.kwargs["errors"]]
        return "no DNS server gave an answer: " + ", ".join(dict.fromkeys(said)) if said else _silence(lifetime)
    return f"the DNS look-up failed: {type(error).__name__}"


def _said(entry: dns.resolver.ErrorTuple) -> str:
    server, is_tcp, _, problem, response = entry
    name = str(server).removeprefix("Do53:").partition("@")[0]
    if response is not None and response.rcode() != dns.rcode.NOERROR:
        return f"{name} said {dns.rcode.to_text(response.rcode())}"
    if isinstance(problem, dns.message.Truncated):
        return f"{name} cut its answer short"
    if isinstance(problem, dns.exception.Timeout):
        return f"{name} was silent"
    if isinstance(problem, (OSError, EOFError)):
        return f"{name} could not be reached{' over TCP' if is_tcp else ''}"
    return f"{name} sent an answer that makes no sense"
