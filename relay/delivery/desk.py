"""All that delivery asks of the store: each method is one unit of work, or one read.

It adds no policy. What is gathered here is what belongs in one commit: every disposition that waits, the deliveries
given back, and where the sites stand.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from relay.delivery.dkim_keys import Prepare, unchanged
from relay.delivery.steering import Orders
from relay.delivery.transaction import ContentKey
from relay.errors import StoreError
from relay.model import Claimed, DeliveryId, Disposition, Suppression
from relay.settings import IncidentSettings, Suppressions
from relay.store import content, nodes, pauses, sites, spool, steering, suppressions
from relay.store.nodes import Member
from relay.store.pauses import Pause
from relay.store.protocols import Row, Store, Tx
from relay.store.sites import SiteRow

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Away:
    """Deliveries to be given back unused."""

    ids: tuple[DeliveryId, ...]
    next_at: datetime
    waits_for_site: bool = False
    pause: Pause | None = None  #: to be held while this stands; else to be tried at `next_at`


@dataclass(slots=True, kw_only=True)
class Batch:
    """What is to be recorded in the next commit."""

    dispositions: list[Disposition] = field(default_factory=list)
    awaited: set[DeliveryId] = field(default_factory=set)  #: whose content has left us and whose answer takes long
    away: list[Away] = field(default_factory=list)
    held: list[tuple[DeliveryId, str]] = field(default_factory=list)  #: with the reason
    sites: list[SiteRow] = field(default_factory=list)
    wake_domains: set[str] = field(default_factory=set)  #: whose site works again

    def __bool__(self) -> bool:
        return any((self.dispositions, self.awaited, self.away, self.held, self.sites, self.wake_domains))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """What a delivery process learns of the others with each beat."""

    at: datetime  #: the store's clock
    is_new: bool  #: the store did not know us (any more): our leases may be others' by now
    owners: tuple[str, ...]  #: of all delivery processes alive, ours among them
    taken: int  #: deliveries of dead processes that were taken over
    sites: list[SiteRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catch:
    """What one claim brought."""

    fresh: list[Claimed]
    due: list[Claimed]
    orders: Orders  #: that hold for them


class Desk:
    """The store as one delivery process, under its name `owner`, uses it."""

    def __init__(
        self,
        store: Store,
        *,
        owner: str,
        lease: timedelta,
        blocking: Suppressions,
        incident: IncidentSettings,
        prepare: Prepare = unchanged,
    ) -> None:
        """`prepare`: makes what is sent of what is stored."""
        self._prepare = prepare
        self._store = store
        self._owner = owner
        self._lease = lease
        self._blocking = blocking
        self._incident = incident

    @property
    def lease(self) -> timedelta:
        return self._lease

    def changed(self) -> bool:
        """Tell whether any process committed since the last look."""
        return self._store.changed()

    async def open(self, now: datetime, *, is_alone: bool) -> tuple[int, list[SiteRow]]:
        """Take over what a dead process left (all leases, when no other delivery process can be alive)."""

        def unit(tx: Tx) -> tuple[int, list[SiteRow]]:
            return spool.take_over(tx, now=now, everyone=is_alone), sites.load(tx)

        return await self._store.write(unit)

    async def stored_sites(self) -> set[str]:
        """Name the sites that are stored as backing off."""
        return await self._store.read(sites.keys)

    async def orders(self, now: datetime) -> Orders:
        """Read what people have ordered for a while."""
        return await self._store.read(lambda tx: _orders(tx, now))

    async def take_over(self, now: datetime) -> int:
        """Take over leases that ran out."""
        return await self._store.write(lambda tx: spool.take_over(tx, now=now))

    async def beat(self, member: Member, *, now: datetime, patience: timedelta) -> Pulse:
        """Say that we live, bury who was silent longer than `patience`, and see who is there."""

        def unit(tx: Tx) -> Pulse:
            beat = nodes.beat(tx, member, now=now)
            dead = nodes.bury(tx, silent_since=beat.at - patience)
            taken = spool.take_over_from(tx, dead, now=now)
            owners = nodes.owners(nodes.living(tx, now=now), role=member.role)
            return Pulse(at=beat.at, is_new=beat.is_new, owners=owners, taken=taken, sites=sites.load(tx))

        return await self._store.write(unit)

    async def leave(self) -> None:
        """Take ourselves out of the processes alive."""
        await self._store.write(lambda tx: nodes.leave(tx, self._owner))

    async def claim(self, now: datetime, *, fresh: int, due: int) -> Catch:
        """Lease up to so many first tries and so many retries, the oldest first."""

        def unit(tx: Tx) -> Catch:
            return Catch(
                fresh=spool.claim(tx, owner=self._owner, now=now, lease=self._lease, limit=fresh, fresh=True)
                if fresh > 0
                else [],
                due=spool.claim(tx, owner=self._owner, now=now, lease=self._lease, limit=due, fresh=False)
                if due > 0
                else [],
                orders=_orders(tx, now),
            )

        return await self._store.write(unit)

    async def renew(self, ids: Sequence[DeliveryId], *, now: datetime) -> set[DeliveryId]:
        """Keep the leases; return those that are still ours."""
        until = now + self._lease
        return await self._store.write(lambda tx: spool.renew(tx, owner=self._owner, ids=ids, until=until))

    async def confirm(
        self, ids: Sequence[DeliveryId], *, now: datetime
    ) -> tuple[set[DeliveryId], dict[DeliveryId, Suppression]]:
        """Look again at deliveries that waited long in memory: which are still ours, which are blocked by now."""
        until = now + self._lease

        def unit(tx: Tx) -> tuple[set[DeliveryId], dict[DeliveryId, Suppression]]:
            kept = spool.renew(tx, owner=self._owner, ids=ids, until=until)
            return kept, suppressions.blocked_among(tx, ids, now=now)

        return await self._store.write(unit)

    async def next_due(self) -> datetime | None:
        """Say when there will be something to do."""
        return await self._store.read(spool.next_due)

    async def contents(self, keys: Sequence[ContentKey]) -> Mapping[ContentKey, bytes | None]:
        """Read contents; None stands for one that is gone or damaged."""
        return await self._store.read(lambda tx: self._prepared(_contents(tx, keys)))

    def _prepared(self, found: dict[ContentKey, bytes | None]) -> dict[ContentKey, bytes | None]:
        """Sign, on the reader's thread: a signature takes longer than the reading."""
        return {key: None if content is None else self._prepare(key, content) for key, content in found.items()}

    async def last_delivered(self, domain: str) -> datetime | None:
        """Say when a domain last took mail."""
        return await self._store.read(lambda tx: sites.domain_delivered_at(tx, domain))

    async def record(self, batch: Batch, *, now: datetime) -> None:
        """Record everything of the batch in one transaction."""
        await self._store.write(lambda tx: self._write(tx, batch, now))

    async def release_all(self, now: datetime) -> int:
        """Give back every lease; for an orderly stop, when nothing is under way."""
        return await self._store.write(lambda tx: spool.release_owner(tx, owner=self._owner, now=now))

    def _write(self, tx: Tx, batch: Batch, now: datetime) -> None:
        for delivery_id, reason in batch.held:  # before its result is recorded, which ends the lease
            spool.hold_claimed(tx, owner=self._owner, ids=[delivery_id], reason=reason)
        if batch.awaited:
            spool.mark_sent(tx, owner=self._owner, ids=sorted(batch.awaited))
        spool.record_all(tx, batch.dispositions, owner=self._owner, settings=self._blocking, incident=self._incident)
        standing = {pause.id for pause in pauses.every(tx)} if any(away.pause for away in batch.away) else set[int]()
        for away in batch.away:
            if away.pause is not None and away.pause.id in standing:
                spool.hold_claimed(tx, owner=self._owner, ids=away.ids, reason=pauses.held_text(away.pause))
                continue
            spool.release(tx, owner=self._owner, ids=away.ids, next_at=away.next_at, waits_for_site=away.waits_for_site)
        for site in batch.sites:
            sites.save(tx, site)
        if batch.wake_domains:
            spool.wake_site(tx, domains=batch.wake_domains, now=now)


def _orders(tx: Tx, now: datetime) -> Orders:
    return Orders(steers=tuple(steering.every(tx, now=now)), pauses=tuple(pauses.every(tx)))


def _contents(tx: Tx, keys: Sequence[ContentKey]) -> dict[ContentKey, bytes | None]:
    own = [key.delivery_id for key in keys if key.delivery_id is not None]
    stored = content.stored(tx, own) if own else {}
    stored |= content.stored(tx, [key.message_id for key in keys if key.delivery_id not in stored])
    return {key: _content(stored.get(key.delivery_id or "") or stored.get(key.message_id)) for key in keys}


def _content(row: Row | None) -> bytes | None:
    try:
        return None if row is None else content.unpack(row)
    except StoreError:
        # Damaged: it must not be sent, and the other contents of this read must not wait for it.
        logger.exception("content %s is damaged and is not sent", row["id"] if row else "")
        return None
