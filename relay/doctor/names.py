"""Ask DNS for the doctor: the relay's own resolver, with answers as plain texts and an end to every patience."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

from relay.delivery.resolver import Lookup, Resolver, Verdict
from relay.doctor.answer import Answer, Ask, Said
from relay.doctor.local import ResolverFacts
from relay.settings import Config
from relay.wording import say

if TYPE_CHECKING:
    import dns.rdata

#: The root is signed and always there: what checks DNSSEC says so of it.
_ROOT = (".", "SOA")


def make_resolver(config: Config) -> Resolver:
    """Make a resolver of its own, with nothing remembered."""
    return Resolver(
        config.dns.servers,
        timeout=config.dns.timeout.total_seconds(),
        lifetime=config.dns.lifetime.total_seconds(),
        clock=time.monotonic,
        trusted=config.dns.trusted,
    )


def asker(resolver: Resolver) -> Ask:
    """Make the function through which the checks ask."""

    async def ask(name: str, kind: str) -> Answer:
        return _answer(await resolver.lookup(name, kind), kind)

    return ask


def limited(ask: Ask, *, seconds: float) -> Ask:
    """Give all questions together so much time; later ones, and the one that runs then, are not answered."""
    end = time.monotonic() + seconds

    async def ask_in_time(name: str, kind: str) -> Answer:
        try:
            async with asyncio.timeout(max(end - time.monotonic(), 0.0)):
                return await ask(name, kind)
        except TimeoutError:
            return Answer(Said.FAILED, why=say("the look-ups took more than {seconds} s", seconds=f"{seconds:g}"))

    return ask_in_time


async def ask_root(resolver: Resolver, config: Config) -> ResolverFacts:
    """Ask about the root, and take the time."""
    start = time.monotonic()
    lookup = await resolver.lookup(*_ROOT)
    seconds = time.monotonic() - start
    return ResolverFacts(
        servers=", ".join(resolver.servers()),
        answer=Answer(Said(lookup.verdict.value), why=lookup.text),
        seconds=seconds,
        is_trusted=resolver.is_trusted,
        is_secure=lookup.is_secure and lookup.verdict is Verdict.FOUND,
        wants_dane=config.tls.dane,
    )


def _answer(lookup: Lookup, kind: str) -> Answer:
    records = list(lookup.records)
    if kind == "MX":
        records.sort(key=lambda record: int(cast("Any", record).preference))
    return Answer(Said(lookup.verdict.value), tuple(_text(record, kind) for record in records), lookup.text)


def _text(record: dns.rdata.Rdata, kind: str) -> str:
    values = cast("Any", record)
    if kind == "TXT":
        return b"".join(values.strings).decode("utf-8", "replace")
    if kind in ("A", "AAAA"):
        return str(values.address)
    if kind in ("MX", "PTR"):
        name = values.exchange if kind == "MX" else values.target
        return str(name.to_text(omit_final_dot=True)).removesuffix(".")
    return str(record.to_text())
