"""Gather what is known of the domains we send for: from the mail of late, the configuration, and DNS."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from relay.address import to_a_label
from relay.delivery.dkim import SigningKey
from relay.doctor.answer import Ask
from relay.doctor.dmarc import discover
from relay.doctor.dns_sender import SenderFacts, Sent
from relay.doctor.names import limited
from relay.doctor.sender_dkim import KeyFacts
from relay.doctor.sender_spf import SpfFacts
from relay.doctor.sources import Source
from relay.doctor.spf import evaluate
from relay.errors import Refused
from relay.headers import HeaderBlock, parse_block
from relay.settings import Config
from relay.store.doctor import Sender

#: More domains than this are not looked up at one go; the busiest come first.
MOST_DOMAINS = 50

_DOMAIN_TAG = re.compile(rb"(?:^|;)\s*d\s*=\s*([^;\s]+)")


def sent_by_domain(senders: Sequence[Sender], config: Config) -> dict[str, list[Sent]]:
    """Sort the mail of late by its domain in From, and by what stands in the envelope on the wire."""
    found: dict[str, dict[str, Sent]] = {}
    for sender in senders:
        domain = to_a_label(sender.header_from.rpartition("@")[2])
        envelope = _envelope(sender.mail_from, config)
        if domain is None or envelope is None:
            continue
        pairs = found.setdefault(domain, {})
        one = _read(sender, envelope, config)
        pairs[envelope] = _joined(pairs[envelope], one) if envelope in pairs else one
    return {domain: list(pairs.values()) for domain, pairs in found.items()}


def configured_domains(config: Config) -> list[str]:
    """Name the domains that the configuration sends for."""
    named = [key.domain for key in config.dkim]
    named += [domain.removeprefix("*.") for app in config.app for domain in app.from_domains]
    named += [app.default_from.rpartition("@")[2] for app in config.app if app.default_from]
    return list(dict.fromkeys(label for name in named if (label := to_a_label(name)) is not None))


def expected(domain: str, config: Config) -> Sent:
    """Say how mail of a domain would leave that has not sent any yet."""
    apps = [app for app in config.app if domain in (to_a_label(name) for name in app.from_domains)]
    through = {_smarthost(app.name, config) for app in apps} or {_smarthost("", config)}
    return Sent(
        envelope=config.returned.domain or domain,
        smarthost=through.pop() if len(through) == 1 else "",
        ips=_either(*(frozenset(app.source_addresses) for app in apps)),
    )


async def look_up_sender(
    ask: Ask, domain: str, sent: Sequence[Sent], *, config: Config, sources: Sequence[Source], keys: Sequence[KeyFacts]
) -> SenderFacts:
    """Ask DNS for all that receivers would ask about mail with this domain in From."""
    ask = limited(ask, seconds=config.doctor.timeout.total_seconds())
    envelopes = {one.envelope: one for one in sent}
    others = {*envelopes, *(key.domain for key in keys), *(name for one in sent for name in one.signed_by)} - {domain}
    dmarc, spf, organizations = await asyncio.gather(
        discover(ask, domain),
        asyncio.gather(*(look_up_spf(ask, one, sources=sources) for one in envelopes.values())),
        asyncio.gather(*(discover(ask, other) for other in sorted(others))),
    )
    return SenderFacts(
        domain=domain,
        dmarc=dmarc,
        sent=tuple(sent),
        spf={facts.domain: facts for facts in spf},
        keys=tuple(keys),
        organizations={found.domain: found.organization for found in organizations},
    )


async def look_up_spf(ask: Ask, sent: Sent, *, sources: Sequence[Source]) -> SpfFacts:
    """Evaluate the SPF record of an envelope domain for each address its mail leaves from; none with a smarthost."""
    chosen = [source for source in sources if source.ip in sent.ips] or sources
    seen = [] if sent.smarthost else chosen
    evaluations = [await evaluate(ask, ip=source.ip, domain=sent.envelope, helo=source.ehlo) for source in seen]
    by_ip = tuple(zip((source.ip for source in seen), evaluations, strict=True))
    return SpfFacts(domain=sent.envelope, by_ip=by_ip, smarthost=sent.smarthost)


async def look_up_key(ask: Ask, key: SigningKey) -> KeyFacts:
    """Ask for the record of one of our keys."""
    return KeyFacts(
        domain=key.domain,
        record_name=key.record_name,
        record=key.record,
        bits=key.key.key_size if isinstance(key.key, RSAPrivateKey) else 0,
        answer=await ask(key.record_name, "TXT"),
    )


def keys_of(domain: str, keys: Iterable[KeyFacts]) -> list[KeyFacts]:
    """Choose the keys that sign mail of a domain: its own, else those of the closest domain above it."""
    known = list(keys)
    while domain:
        found = [key for key in known if key.domain == domain]
        if found:
            return found
        domain = domain.partition(".")[2]
    return []


def _envelope(mail_from: str, config: Config) -> str | None:
    if not mail_from:
        return to_a_label(config.node.hostname)  # SPF is judged by EHLO then (RFC 7208 2.4)
    return config.returned.domain or to_a_label(mail_from.rpartition("@")[2])


def _either(*chosen: frozenset[str]) -> frozenset[str]:
    """Addresses of several senders together; one that may use any may use any."""
    return frozenset().union(*chosen) if all(chosen) else frozenset()


def _smarthost(app: str, config: Config) -> str:
    """The host that passes on the mail of an app; "" when we deliver it ourselves."""
    own = next((route.host for route in config.route if route.app == app and route.domain is None), "")
    return own or (config.delivery.smarthost.host if config.delivery.smarthost is not None else "")


def _read(sender: Sender, envelope: str, config: Config) -> Sent:
    try:
        block = parse_block(sender.head)
    except Refused:
        block = HeaderBlock([], 0)
    tags = [_DOMAIN_TAG.search(value) for value in block.all("dkim-signature")]
    one_click = (block.first("list-unsubscribe-post") or b"").replace(b" ", b"").lower()
    is_bulk = (sender.kind or "").lower() in {kind.lower() for kind in config.doctor.bulk_kinds}
    return Sent(
        envelope=envelope,
        count=sender.count,
        smarthost=_smarthost(sender.app, config),
        ips=_either(*(frozenset(app.source_addresses) for app in config.app if app.name == sender.app)),
        signed_by=frozenset(tag[1].decode("ascii", "replace").lower() for tag in tags if tag is not None),
        is_bulk=is_bulk and bool(sender.head),
        has_one_click=one_click == b"list-unsubscribe=one-click" and block.has("list-unsubscribe"),
    )


def _joined(one: Sent, other: Sent) -> Sent:
    """Two kinds of one sender: a signature counts when both have it, and every bulk mail needs its way out."""
    bulk = [sent for sent in (one, other) if sent.is_bulk]
    return Sent(
        envelope=one.envelope,
        count=one.count + other.count,
        smarthost=one.smarthost if one.smarthost == other.smarthost else "",
        ips=_either(one.ips, other.ips),
        signed_by=one.signed_by & other.signed_by,
        is_bulk=bool(bulk),
        has_one_click=all(sent.has_one_click for sent in bulk),
    )
