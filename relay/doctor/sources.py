"""Find out which addresses the world sees our mail come from, and look up what DNS says about each.

In this order: doctor.public_addresses; the public ones of delivery.source_addresses; those that the routing table
would choose, when they are public; what node.hostname leads to (behind address translation that is usually right).
With a smarthost there are none: its addresses are what counts. IPv6 is left out where delivery.ip says so.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

from relay.delivery.guard import is_private
from relay.delivery.own_addresses import ipv6_source
from relay.doctor.answer import Answer, Ask, Said, reverse_name
from relay.doctor.blocklists import ListingFacts, question
from relay.doctor.identity import SourceFacts
from relay.settings import Config

#: Not a neighbour, so that the routing table answers with the way out (RFC 5737); nothing is sent there.
_FAR_AWAY = "198.51.100.1"

_MAX_NAMES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One address the world sees."""

    ip: str
    ehlo: str


def ipv4_source() -> str | None:
    """Return the IPv4 address a connection to the internet would come from, None when there is no way out."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((_FAR_AWAY, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None


async def public_sources(ask: Ask, config: Config) -> list[Source]:
    """Name the addresses that receivers see."""
    if config.delivery.smarthost is not None:
        return []
    configured = {source.address: source.hostname for source in config.delivery.source_addresses}
    found = [*config.doctor.public_addresses]
    found = found or _public(list(configured))
    if not found and not configured:
        found = _public([ip for ip in (ipv4_source(), ipv6_source()) if ip is not None])
    if not found:
        answers = [await ask(config.node.hostname, kind) for kind in ("A", "AAAA")]
        found = _public([text for answer in answers for text in answer.texts])
    name = config.node.hostname
    if len(set(configured.values())) == 1:  # all translated addresses hide behind one name
        name = next(iter(configured.values())) or name
    return [
        Source(ip=ip, ehlo=configured.get(ip) or name)
        for ip in dict.fromkeys(found)
        if config.delivery.ip in ("auto", "6" if ":" in ip else "4")
    ]


def _public(ips: list[str]) -> list[str]:
    return [ip for ip in ips if not is_private(ip)]


async def look_up_source(ask: Ask, source: Source, *, is_spared: bool) -> SourceFacts:
    """Ask DNS for the names of an address, their addresses, and the address of the EHLO name."""
    kind = "AAAA" if ":" in source.ip else "A"
    ptr, ehlo = await asyncio.gather(ask(reverse_name(source.ip), "PTR"), ask(source.ehlo, kind))
    names = ptr.texts[:_MAX_NAMES]
    answers = await asyncio.gather(*(ask(name, kind) for name in names))
    return SourceFacts(
        ip=source.ip,
        ehlo=source.ehlo,
        ptr=ptr,
        forward=dict(zip(names, answers, strict=True)),
        ehlo_addresses=ehlo,
        is_spared=is_spared,
    )


async def look_up_listing(ask: Ask, source: Source, zone: str) -> ListingFacts:
    """Ask a block list about an address."""
    name = question(source.ip, zone)
    answer = await ask(name, "A")
    words = await ask(name, "TXT") if answer.said is Said.FOUND else Answer(Said.NODATA)
    return ListingFacts(ip=source.ip, zone=zone, answer=answer, text=" ".join(words.texts))
