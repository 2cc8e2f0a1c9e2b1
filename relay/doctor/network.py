"""Try the way out: port 25 from each source address, and a web server's clock.

A try connects, reads the greeting, says QUIT and leaves; no mail is sent. From every source address this machine has,
over the address's family; without configured ones once over IPv4 and once over IPv6, as the routing table says.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from ipaddress import ip_address

from relay.delivery.own_addresses import OwnAddresses, ipv6_source
from relay.doctor.answer import Ask
from relay.doctor.local import ClockFacts
from relay.doctor.reach import Ended, ReachFacts
from relay.doctor.sources import ipv4_source
from relay.settings import Config, HostPort, parse_address
from relay.wording import say

#: Of each family, so many addresses of the probe are tried before it counts as silent.
_TRIES = 2
_MAX_GREETING = 4096
_DATE = re.compile(r"[A-Z][a-z]{2}, \d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """One way out to try."""

    name: str
    version: int
    local: str | None  #: the address to bind; None: what the routing table chooses
    problem: str = ""  #: why there is nothing to try
    is_needed: bool = True


def is_literal(host: str) -> bool:
    """Tell an IP address from a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def ways_out(config: Config, own: OwnAddresses) -> list[_Way]:
    """Name the addresses to try from; those of other nodes are left out."""
    configured = [source.address for source in config.delivery.source_addresses]
    if configured:
        had = [ip for ip in configured if own.has(ip)]
        missing = say("this machine has none of delivery.source_addresses")
        nobody = [] if had else [_Way(name=ip, version=_version(ip), local=ip, problem=missing) for ip in configured]
        return [_Way(name=ip, version=_version(ip), local=ip) for ip in had] + nobody
    found = []
    for version, source in ((4, ipv4_source()), (6, ipv6_source())):
        if config.delivery.ip not in ("auto", str(version)):
            continue
        problem = "" if source else say("this machine has no way out over IPv{version}", version=version)
        is_needed = version == 4 or config.delivery.ip == "6"
        name = source or f"IPv{version}"
        found.append(_Way(name=name, version=version, local=None, problem=problem, is_needed=is_needed))
    return found


def _version(ip: str) -> int:
    return ip_address(ip).version


async def try_port_25(ask: Ask, config: Config, own: OwnAddresses) -> list[ReachFacts]:
    """Try every way out; empty when no host to try with is set."""
    probe, port = _target(config)
    if not probe:
        return []
    ways = [way for way in ways_out(config, own) if not is_literal(probe) or _version(probe) == way.version]
    tries = (_try(ask, way, probe, port, config=config) for way in ways)
    return list(await asyncio.gather(*tries))


def _target(config: Config) -> tuple[str, int]:
    """The host and port to try; port 0: the MX hosts of a domain."""
    if config.delivery.smarthost is not None:
        return config.delivery.smarthost.host, config.delivery.smarthost.port
    if ":" in config.doctor.probe:
        address = parse_address(config.doctor.probe)
        return address.host, address.port
    return config.doctor.probe, 0


async def _try(ask: Ask, way: _Way, probe: str, port: int, *, config: Config) -> ReachFacts:
    facts = ReachFacts(
        source=way.name,
        version=way.version,
        target=probe,
        ended=Ended.UNREACHABLE,
        text=way.problem,
        is_needed=way.is_needed,
    )
    if way.problem:
        return facts
    hosts, why = await _addresses(ask, probe, version=way.version, is_domain=port == 0)
    if not hosts:
        return replace(facts, ended=Ended.NO_TARGET, text=why)
    seconds = config.doctor.timeout.total_seconds() / _TRIES
    for host, ip in hosts[:_TRIES]:
        where = HostPort(ip, port or config.delivery.port)
        ended, text = await _greeting(where, local=way.local, seconds=seconds)
        target = str(where) if host == ip else f"{where} ({host})"
        facts = replace(facts, target=target, ip=ip, port=where.port, ended=ended, text=text)
        if ended in (Ended.GREETED, Ended.UNWILLING):
            break
    return facts


async def _addresses(ask: Ask, probe: str, *, version: int, is_domain: bool) -> tuple[list[tuple[str, str]], str]:
    """Name and address of each host to try; or why there is none."""
    if is_literal(probe):
        return [(probe, probe)], ""
    names = [probe]
    if is_domain:
        answer = await ask(probe, "MX")
        if answer.is_failed:
            return [], say("the MX hosts of {domain} cannot be looked up: {why}", domain=probe, why=answer.why)
        names = [name for name in answer.texts if name] or names
    found = []
    for name in names[:_TRIES]:
        answer = await ask(name, "A" if version == 4 else "AAAA")
        if answer.is_failed:
            return [], say("{host} cannot be looked up: {why}", host=name, why=answer.why)
        found += [(name, ip) for ip in answer.texts[:1]]
    return found, say("{host} has no IPv{version} address to try with", host=probe, version=version)


async def _greeting(where: HostPort, *, local: str | None, seconds: float) -> tuple[Ended, str]:
    """Connect, read what the server says first, and leave."""
    try:
        async with asyncio.timeout(seconds), _connected(where, local=local) as (reader, writer):
            line = await reader.readline()
            text = line[:200].decode("utf-8", "replace").strip()
            writer.write(b"QUIT\r\n")
            is_good = line.startswith((b"220 ", b"220-"))
            return (Ended.GREETED, text) if is_good else (Ended.UNWILLING, text or say("it closed without a word"))
    except TimeoutError:
        return Ended.SILENT, say("no answer within {seconds} s", seconds=f"{seconds:g}")
    except ConnectionRefusedError:
        return Ended.REFUSED, say("the connection was refused")
    except (ConnectionError, ValueError) as error:  # ValueError: a line without end
        return Ended.UNWILLING, say("the connection broke: {reply}", reply=error)
    except OSError as error:
        return Ended.UNREACHABLE, error.strerror or str(error)


@contextlib.asynccontextmanager
async def _connected(
    where: HostPort, *, local: str | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    bind = (local, 0) if local else None
    reader, writer = await asyncio.open_connection(where.host, where.port, local_addr=bind, limit=_MAX_GREETING)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await writer.wait_closed()


async def read_web_clock(ask: Ask, config: Config, *, now: Callable[[], datetime]) -> ClockFacts | None:
    """Hold our clock against the Date of a web server; None when none is set."""
    if not config.doctor.clock:
        return None
    address = parse_address(config.doctor.clock)
    found, why = await _addresses(ask, address.host, version=4, is_domain=False)
    if not found:
        found, _ = await _addresses(ask, address.host, version=6, is_domain=False)
    if not found:
        return ClockFacts(other=str(address), why=why)
    seconds = config.doctor.timeout.total_seconds()
    request = f"HEAD / HTTP/1.1\r\nHost: {address.host}\r\nConnection: close\r\n\r\n".encode()
    try:
        async with asyncio.timeout(seconds), _connected(HostPort(found[0][1], address.port)) as (reader, writer):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
    except TimeoutError:
        return ClockFacts(other=str(address), why=say("no answer within {seconds} s", seconds=f"{seconds:g}"))
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        return ClockFacts(other=str(address), why=say("it cannot be asked: {reply}", reply=error))
    match = re.search(r"^date:[ \t]*(.+?)\r?$", head.decode("latin-1"), re.I | re.M)
    return _beside(str(address), match[1] if match else "", now())


def greeting_clock(facts: ReachFacts, *, at: datetime) -> ClockFacts | None:
    """Hold our clock against the date that some servers put into their greeting."""
    match = _DATE.search(facts.text) if facts.ended is Ended.GREETED else None
    return _beside(facts.target, match[0], at) if match else None


def _beside(other: str, date: str, at: datetime) -> ClockFacts:
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return ClockFacts(other=other, why=say("it did not say what time it is"))
    # Their time is cut to whole seconds, so on average it is half a second later.
    theirs = theirs if theirs.tzinfo else theirs.replace(tzinfo=UTC)
    return ClockFacts(other=other, ahead=at - theirs - timedelta(seconds=0.5))
