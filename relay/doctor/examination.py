"""The whole examination: gather the facts of every group at one time, and give the findings in a fixed order.

Runs for seconds, at most a minute: every question has an end. It changes nothing, sends no mail, and needs no running
relay. What the command line and the pages show is what `examine` gives.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from datetime import datetime

from relay.config import file_problems, warnings
from relay.delivery.dkim import SigningKey
from relay.delivery.dkim_keys import load_keys
from relay.delivery.own_addresses import OwnAddresses
from relay.delivery.resolver import Resolver
from relay.doctor.answer import Ask
from relay.doctor.blocklists import check_listing
from relay.doctor.dns_sender import SenderFacts, Sent, check_alignment, check_bulk, check_dmarc
from relay.doctor.finding import Finding
from relay.doctor.identity import SourceFacts, check_identity
from relay.doctor.local import (
    ClockFacts,
    check_certificate,
    check_clock,
    check_disk,
    check_folder,
    check_python,
    check_resolver,
    check_settings,
    check_sqlite,
    store_fault,
)
from relay.doctor.machine import look_at_certificates, look_at_disk, look_at_folder
from relay.doctor.names import ask_root, asker, limited, make_resolver
from relay.doctor.network import greeting_clock, read_web_clock, try_port_25
from relay.doctor.reach import Ended, check_nothing_probed, check_reach
from relay.doctor.sender_dkim import check_dkim, check_unsigned
from relay.doctor.sender_spf import check_spf
from relay.doctor.senders import (
    MOST_DOMAINS,
    configured_domains,
    expected,
    keys_of,
    look_up_key,
    look_up_sender,
    sent_by_domain,
)
from relay.doctor.sources import look_up_listing, look_up_source, public_sources
from relay.errors import ConfigError, StoreError
from relay.settings import Config
from relay.store import doctor as memory
from relay.store import is_shared, needs_single_process
from relay.store.protocols import Store
from relay.store.sqlite import version
from relay.wording import say


async def examine(
    config: Config, store: Store | None, *, now: Callable[[], datetime], domain: str | None = None
) -> list[Finding]:
    """Look at everything, or at one sender domain alone; `store` None: there is none yet, or it does not open."""
    resolver = make_resolver(config)
    try:
        return await _Examination(config, store, resolver, now=now, domain=domain).run()
    finally:
        await resolver.close()


class _Examination:
    def __init__(
        self,
        config: Config,
        store: Store | None,
        resolver: Resolver,
        *,
        now: Callable[[], datetime],
        domain: str | None,
    ) -> None:
        self._config = config
        self._store = store
        self._resolver = resolver
        self._ask: Ask = asker(resolver)
        self._now = now
        self._domain = domain
        self._problems: list[str] = []

    async def run(self) -> list[Finding]:
        keys = self._load_keys()
        if self._domain is not None:
            _, findings = await self._dns(keys)
            return findings
        speed = check_resolver(await ask_root(self._resolver, self._config))  # alone, so that nothing slows it
        (stored, share), (identity, senders), (reach, clocks) = await asyncio.gather(
            self._store_facts(), self._dns(keys), self._network()
        )
        return [*senders, *identity, *reach, *speed, *clocks, *stored, *self._machine(share)]

    def _load_keys(self) -> list[SigningKey]:
        try:
            return load_keys(self._config)
        except ConfigError as error:
            self._problems = error.problems
            return []

    async def _dns(self, keys: list[SigningKey]) -> tuple[list[Finding], list[Finding]]:
        """The findings about our addresses, and those about our sender domains."""
        config, spared = self._config, self._config.delivery.ip == "auto"
        ask = limited(self._ask, seconds=config.doctor.timeout.total_seconds())
        sources = await public_sources(ask, config)
        facts = await asyncio.gather(
            *(look_up_source(ask, source, is_spared=spared and ":" in source.ip) for source in sources)
        )
        listings = await asyncio.gather(
            *(look_up_listing(ask, source, zone) for source in sources for zone in config.doctor.blocklists)
        )
        sending = [source for source, one in zip(sources, facts, strict=True) if not one.is_unused]
        known = await asyncio.gather(*(look_up_key(ask, key) for key in keys))
        sent = await self._sent()
        senders = await asyncio.gather(
            *(
                look_up_sender(
                    self._ask,
                    domain,
                    sent.get(domain) or [expected(domain, config)],
                    config=config,
                    sources=sending,
                    keys=keys_of(domain, known),
                )
                for domain in self._domains(list(sent))
            )
        )
        identity = [finding for one in facts for finding in check_identity(one)]
        return [*identity, *map(check_listing, listings)], _about_senders(senders, facts, config)

    def _domains(self, sending: list[str]) -> list[str]:
        if self._domain is not None:
            return [self._domain]
        return list(dict.fromkeys([*sending[:MOST_DOMAINS], *configured_domains(self._config)]))

    async def _sent(self) -> dict[str, list[Sent]]:
        if self._store is None:
            return {}
        try:
            return sent_by_domain(await self._store.read(memory.senders), self._config)
        except StoreError:
            return {}  # _store_facts says so

    async def _network(self) -> tuple[list[Finding], list[Finding]]:
        """The findings about the way out, and those about the clock."""
        own = OwnAddresses(clock=time.monotonic)
        ask = limited(self._ask, seconds=self._config.doctor.timeout.total_seconds())
        tries, web = await asyncio.gather(
            try_port_25(ask, self._config, own), read_web_clock(ask, self._config, now=self._now)
        )
        at = self._now()
        said = [web, *(greeting_clock(facts, at=at) for facts in tries)]
        clocks = [facts for facts in said if facts is not None]
        is_online = any(facts.ahead is not None for facts in clocks)
        is_online = is_online or any(facts.ended in (Ended.GREETED, Ended.UNWILLING) for facts in tries)
        reach = [check_reach(facts, is_online=is_online) for facts in tries] or [check_nothing_probed()]
        return reach, [check_clock(facts) for facts in clocks]

    async def _store_facts(self) -> tuple[list[Finding], float | None]:
        """The findings about the store, and which part of it comes in on a day."""
        if self._store is None:
            return [], None
        now = self._now()
        try:
            share, theirs = await self._store.read(
                lambda tx: (memory.share_per_day(tx, now=now), memory.server_time(tx))
            )
        except StoreError as error:
            return [store_fault(str(error))], None
        if theirs is None:
            return [], share
        return [check_clock(ClockFacts(other=say("the store's server"), ahead=self._now() - theirs))], share

    def _machine(self, share: float | None) -> list[Finding]:
        config, now = self._config, self._now()
        problems = file_problems(config)
        named = {problem.partition(": ")[0] for problem in problems}
        problems += [problem for problem in self._problems if problem.partition(": ")[0] not in named]
        sqlite = [] if is_shared(config.store.url) else [check_sqlite(version(), is_affected=needs_single_process())]
        return [
            check_disk(look_at_disk(config, share_per_day=share)),
            *(check_certificate(facts, now=now) for facts in look_at_certificates(config)),
            check_folder(look_at_folder(config.data_dir)),
            *sqlite,
            check_python(sys.version_info[:3]),
            *check_settings(problems, warnings(config)),
        ]


def _about_senders(senders: list[SenderFacts], sources: list[SourceFacts], config: Config) -> list[Finding]:
    """Every SPF record and key once, then what concerns each domain in From."""
    found_spf = sorted((facts for sender in senders for facts in sender.spf.values()), key=lambda one: len(one.by_ip))
    spf = {facts.domain: facts for facts in found_spf}  # of a domain that several use, for most addresses
    keys = {key.record_name: key for sender in senders for key in sender.keys}
    known = [facts.has_ptr for facts in sources if not facts.is_unused]
    has_ptr = False if False in known else None if None in known or not known else True
    unsigned = [
        check_unsigned(sender.domain, signed_by=frozenset.union(*(one.signed_by for one in sender.sent)))
        for sender in senders
        if not sender.keys
    ]
    found = [*map(check_spf, spf.values()), *map(check_dkim, keys.values()), *unsigned]
    for sender in senders:
        bulk = check_bulk(sender, has_ptr=has_ptr, has_tls=config.tls.mode != "none")
        found += [check_dmarc(sender), *check_alignment(sender), bulk]
    return found
