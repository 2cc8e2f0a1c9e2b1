"""Which MTA-STS policy holds for a domain now (RFC 8461): DNS tells when to look, the store remembers.

Policy. The TXT record says whether there is a policy and whether it changed; only then the file is fetched. What was
fetched holds until it expires, also when the record has vanished or the file cannot be fetched: else whoever can
disturb DNS could switch protection off. What cannot be fetched is tried again after RETRY at the earliest, so that a
broken web server costs one connection, not one for each mail. Equal questions at one time are one look-up.
A domain whose record cannot be looked up, and of which nothing is remembered, has no policy for now.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar, cast

from dns.rdtypes.ANY.TXT import TXT

from relay.delivery.mta_sts import PolicyFault, StsMode, StsPolicy, parse_policy, record_id
from relay.delivery.resolver import Resolver, Verdict
from relay.delivery.sts_fetch import PolicyFetcher
from relay.errors import StoreError
from relay.store import sts
from relay.store.protocols import Store
from relay.store.sts import StoredPolicy

RETRY = timedelta(minutes=5)

#: RFC 8461 3.3 asks for a look once a day, so that a policy never runs out while its domain keeps it up.
REFRESH = timedelta(days=1)
_AT_ONCE = 5
_MAX_KEPT = 10_000

log = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")


class StsPolicies:
    """The policies of one process."""

    def __init__(
        self, resolver: Resolver, fetcher: PolicyFetcher, *, store: Store, clock: Callable[[], datetime]
    ) -> None:
        self._resolver = resolver
        self._fetcher = fetcher
        self._store = store
        self._clock = clock
        self._known: dict[str, StsPolicy | None] = {}
        self._failed_at: dict[tuple[str, str], datetime] = {}
        self._running: dict[str, asyncio.Task[StsPolicy | None]] = {}

    async def policy_for(self, domain: str) -> StsPolicy | None:
        """Say which policy holds for mail to a domain (A-label, lower case); None: none does."""
        if (quick := self._quick(domain)) is not None:
            return quick[0]
        running = self._running.get(domain)
        if running is None:
            running = asyncio.create_task(self._find(domain), name=f"mta-sts {domain}")
            self._running[domain] = running
            running.add_done_callback(lambda _: self._running.pop(domain, None))
        return await asyncio.shield(running)  # another mail may wait for it when this one is cancelled

    async def refresh(self, now: datetime) -> None:
        """Fetch anew what was fetched more than a day ago, and forget what expired; a chore of housekeeping."""
        await self._store.write(partial(sts.drop_expired, now=now))
        old = await self._store.read(partial(sts.stale, fetched_before=now - REFRESH, limit=_AT_ONCE))
        for each in old:
            await self._fetch(each.domain, each.id)

    async def close(self) -> None:
        """Stop what still runs."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _quick(self, domain: str) -> tuple[StsPolicy | None] | None:
        """Answer without waiting, when nothing has to be asked; None: something has."""
        found = self._resolver.known(f"_mta-sts.{domain}", "TXT")
        if found is None or domain not in self._known:
            return None
        known = self._valid(domain)
        record = record_id(_texts(found.records)) if found.verdict is Verdict.FOUND else None
        return (known,) if record is None or (known is not None and known.id == record) else None

    def _valid(self, domain: str) -> StsPolicy | None:
        known = self._known.get(domain)
        return known if known is not None and known.expires_at > self._clock() else None

    async def _find(self, domain: str) -> StsPolicy | None:
        await self._remember(domain)
        known = self._valid(domain)
        found = await self._resolver.lookup(f"_mta-sts.{domain}", "TXT")
        record = record_id(_texts(found.records)) if found.verdict is Verdict.FOUND else None
        if record is None or (known is not None and known.id == record):
            return known
        return await self._fetch(domain, record) or known

    async def _fetch(self, domain: str, record: str) -> StsPolicy | None:
        key, now = (domain, record), self._clock()
        failed_at = self._failed_at.get(key)
        if failed_at is not None and now - failed_at < RETRY:
            return None
        try:
            body = await self._fetcher.fetch(domain)
            policy = parse_policy(body, domain=domain, record=record, now=now)
        except PolicyFault as fault:
            _keep(self._failed_at, key, now)
            log.info("event=mta_sts_fetch_failed domain=%s reason=%r", domain, str(fault))
            return None
        self._failed_at.pop(key, None)
        _keep(self._known, domain, policy)
        await self._save(policy)
        return policy

    async def _remember(self, domain: str) -> None:
        """Bring to mind what the store has of a domain; when it cannot be read, the next mail asks again."""
        if domain not in self._known:
            with contextlib.suppress(StoreError):
                stored = await self._store.read(partial(sts.load, domain=domain))
                _keep(self._known, domain, _from_stored(stored) if stored else None)

    async def _save(self, policy: StsPolicy) -> None:
        stored = StoredPolicy(
            domain=policy.domain,
            id=policy.id,
            mode=policy.mode.value,
            mx=policy.mx,
            max_age=policy.max_age,
            fetched_at=policy.fetched_at,
        )
        try:
            await self._store.write(partial(sts.save, policy=stored))
        except StoreError as error:
            log.warning("event=mta_sts_not_kept domain=%s reason=%r", policy.domain, str(error))


def _from_stored(stored: StoredPolicy) -> StsPolicy:
    return StsPolicy(
        domain=stored.domain,
        id=stored.id,
        mode=StsMode(stored.mode),
        mx=stored.mx,
        max_age=stored.max_age,
        fetched_at=stored.fetched_at,
    )


def _texts(records: tuple[object, ...]) -> list[str]:
    return [b"".join(record.strings).decode("ascii", "replace") for record in cast("tuple[TXT, ...]", records)]


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    kept.pop(key, None)
    kept[key] = value
    while len(kept) > _MAX_KEPT:
        del kept[next(iter(kept))]
