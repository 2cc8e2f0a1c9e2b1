"""One transaction from its queue to its verdict, on one worker's connection.

Policy: what waited in memory for more than a few seconds is looked at again first, for the block list and a person's
cancel hold until the very attempt. So does the message's deadline: after it no host is asked any more, and no content
sent. The hosts are carrier.py's business, the meaning of their answers verdict.py's; in
between, a site that merely refuses one more connection while it serves others gets fewer, and the transaction goes
back without an attempt. A fault of our own ends this transaction and the connection, never the worker.
What the owner of it all (dispatch.py) hears stands in `CarriageOwner`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from relay.delivery.carrier import Carrier, Connection
from relay.delivery.contents import Contents
from relay.delivery.contract import Envelope, HostResult
from relay.delivery.looks import Looks
from relay.delivery.return_path import ReturnPath
from relay.delivery.site import Site
from relay.delivery.transaction import Transaction
from relay.delivery.verdict import Trouble, Verdict
from relay.delivery.worker import Worker
from relay.model import Claimed, DeliveryId, Stage

#: Seconds in memory after which a delivery is looked at again before it is sent.
_STALE_AFTER = 5.0


class ContentMissing(LookupError):
    """The store has no content for a delivery that is still open."""


class TooLate(RuntimeError):
    """The message's deadline was over before a host that answered could be given it."""


class CarriageOwner(Protocol):
    """Who hears what became of transactions."""

    def judge(self, transaction: Transaction) -> Verdict:
        """Decide what the results mean."""

    def finished(self, verdict: Verdict) -> None:
        """Keep the dispositions of a transaction."""

    def awaited(self, ids: tuple[DeliveryId, ...]) -> None:
        """Note that these have left us and the answer takes long."""

    def troubled(self, site: Site, transaction: Transaction, trouble: Trouble) -> bool:
        """Note trouble with a whole site; True when it now backs off and nothing of it may wait here."""

    def recovered(self, site: Site) -> None:
        """Note that a site ended its back-off."""

    def answered(self, site: Site) -> None:
        """Note that somebody answers at a site that was looked at."""

    def sent_away(self, site: Site, claims: list[Claimed]) -> None:
        """Take back deliveries that are not to wait in memory."""

    async def confirm(self, transaction: Transaction) -> None:
        """Take those deliveries out of a transaction that are blocked or no longer ours by now."""

    def drop_late(self, transaction: Transaction) -> None:
        """Take those deliveries out of a transaction whose message's deadline is over."""

    def is_late(self, transaction: Transaction) -> bool:
        """Tell whether the deadline of its message is over."""

    def failed(self, transaction: Transaction, error: Exception) -> None:
        """Note that a transaction ended by a fault of our own, or was too late for its message."""


class Carriage:
    """Runs transactions and tells what came of them."""

    def __init__(
        self,
        carrier: Carrier,
        contents: Contents,
        *,
        owner: CarriageOwner,
        short_at: int,
        looks: Looks,
        begin: Callable[[Site], None],
        opened: Callable[[Worker], None],
        monotonic: Callable[[], float],
        return_path: ReturnPath,
    ) -> None:
        """`begin` lets further transactions of a site begin; `opened` hears of each connection that did."""
        self._carrier = carrier
        self._contents = contents
        self._owner = owner
        self._short_at = short_at
        self._looks = looks
        self._begin_more = begin
        self._has_opened = opened
        self._monotonic = monotonic
        self._return_path = return_path
        self._loads = {True: 0, False: 0}  #: deliveries queued or carried: first tries, retries
        self._is_cutting = False
        self.doubt_until = float("-inf")  #: until then whatever is sent is looked at again

    def stop_connecting_for_good(self) -> None:
        """Open no further connection, and give back what no server has answered to."""
        self._is_cutting = True
        self._carrier.stop()

    async def run(self, worker: Worker, transaction: Transaction) -> None:
        site = worker.site
        self._contents.pin(transaction.content_key)
        try:
            mono = self._monotonic()
            if mono - transaction.queued_at > _STALE_AFTER or mono < self.doubt_until:
                await self._confirm(site, transaction)
            self._drop_late(site, transaction)
            if transaction.claims:
                await self._try_hosts(worker, transaction)
            site.ended(transaction)
            if transaction.claims:
                self._conclude(worker, transaction)
        except Exception as error:  # one attempt: unknown -> deferred, the others go on
            self.stop_connecting(worker)
            self.cut(worker)
            site.ended(transaction)
            self.add_load(site, transaction, -len(transaction.claims))
            self._owner.failed(transaction, error)
        finally:
            self._contents.unpin(transaction.content_key)

    async def _confirm(self, site: Site, transaction: Transaction) -> None:
        """Look again at what waited long: the block list and a person's cancel hold until the very attempt."""
        before = len(transaction.claims)
        await self._owner.confirm(transaction)
        self.add_load(site, transaction, len(transaction.claims) - before)
        transaction.queued_at = self._monotonic()

    def _drop_late(self, site: Site, transaction: Transaction) -> None:
        before = len(transaction.claims)
        if before:
            self._owner.drop_late(transaction)
            self.add_load(site, transaction, len(transaction.claims) - before)

    async def _try_hosts(self, worker: Worker, transaction: Transaction) -> None:
        if worker.connection is not None and not worker.connection.fits(transaction, worker.site):
            await self._replace(worker)
        if worker.connection is not None:
            envelope = await self._envelope(transaction)
            if await self._carrier.reuse(worker.connection, transaction, envelope=envelope) or self._is_cutting:
                return
            self.cut(worker)
        if not worker.is_connecting:
            worker.is_connecting = True
            worker.site.connecting += 1
        await self._carrier.carry(
            transaction, envelope=partial(self._envelope, transaction), opened=partial(self._opened, worker)
        )
        self.stop_connecting(worker)
        if worker.connection is not None and not worker.connection.session.is_usable:
            self.cut(worker)

    async def _replace(self, worker: Worker) -> None:
        """Close a connection that must not carry the next transaction, before a new one is opened."""
        connection = worker.connection
        if connection is None:
            return
        self.forget(worker)
        if connection.session.is_usable:
            await connection.session.quit()
        else:
            connection.session.abort()

    def _opened(self, worker: Worker, connection: Connection) -> None:
        site = worker.site
        if worker.connection is None:
            site.sessions += 1
        worker.connection = connection
        self.stop_connecting(worker)
        site.answered(self._monotonic(), worker.transaction)
        self._looks.answered(site)
        self._has_opened(worker)

    def stop_connecting(self, worker: Worker) -> None:
        worker.site.connecting -= worker.is_connecting
        worker.is_connecting = False

    async def _envelope(self, transaction: Transaction) -> Envelope:
        message = transaction.message
        if self._owner.is_late(transaction):
            raise TooLate(f"message {message.id} was wanted until {message.expires_at}")
        content = await self._contents.get(transaction.content_key, size=message.size)
        if content is None:
            raise ContentMissing(f"the store has no content for message {message.id}")
        return Envelope(
            message=message,
            deliveries=tuple(claim.delivery for claim in transaction.claims),
            content=content,
            mail_from=self._return_path(transaction.claims[0]),
            # What a smarthost takes is `sent` in the end: to say so before it has would be a promise.
            awaited=None if transaction.route.is_smarthost else self._owner.awaited,
        )

    def _conclude(self, worker: Worker, transaction: Transaction) -> None:
        site = worker.site
        if self._is_cutting and _is_untouched(transaction):
            self.let_go(site, transaction)
            return
        if self._is_refused_connection(worker, transaction):
            self._return(site, transaction)
            return
        verdict = self._owner.judge(transaction)
        self.add_load(site, transaction, -len(verdict.decided))
        self._owner.finished(verdict)
        if verdict.trouble is not None:
            if self._owner.troubled(site, transaction, verdict.trouble):
                self.send_away_waiting(site)
        else:
            site.completed(len(verdict.decided), mono=self._monotonic())
            if site.succeeded(transaction, mono=self._monotonic()):
                self._owner.recovered(site)
        if verdict.rest:
            self._queue_rest(site, transaction, verdict.rest)
        self._begin_more(site)

    def _queue_rest(self, site: Site, transaction: Transaction, rest: list[Claimed]) -> None:
        """Put the recipients that were too many at the head of the queue."""
        site.queue(
            Transaction(
                claims=rest,
                route=transaction.route,
                content_key=transaction.content_key,
                is_fresh=transaction.is_fresh,
                results=list(transaction.results),
                earlier=len(transaction.results),
            ),
            is_first=True,
        )

    def _is_refused_connection(self, worker: Worker, transaction: Transaction) -> bool:
        """Tell whether the site merely refused one more connection while it serves others."""
        tried = transaction.results[transaction.earlier :]
        return (
            worker.connection is None
            and worker.site.sessions > 0
            and transaction.returns == 0
            and not transaction.is_probe
            and all(result.is_host_failure and _is_before_ehlo_ended(result) for result in tried)
        )

    def _return(self, site: Site, transaction: Transaction) -> None:
        site.shrink(self._monotonic())
        transaction.returns += 1
        del transaction.results[transaction.earlier :]
        site.queue(transaction, is_first=True)
        self._begin_more(site)

    def let_go(self, site: Site, transaction: Transaction) -> None:
        site.ended(transaction)
        self.add_load(site, transaction, -len(transaction.claims))
        self._owner.sent_away(site, transaction.claims)

    def cut(self, worker: Worker) -> None:
        """Close at once."""
        if worker.connection is not None:
            worker.connection.session.abort()
            self.forget(worker)

    def forget(self, worker: Worker) -> None:
        worker.connection = None
        worker.site.sessions -= 1

    # -- what waits in memory

    def add_load(self, site: Site, transaction: Transaction, count: int) -> None:
        mono = self._monotonic()
        site.add_load(count, mono=mono)
        self._loads[transaction.is_fresh] += count
        self._looks.add(site, count, is_fresh=transaction.is_fresh, is_known=site.is_known(mono))

    def send_away_waiting(self, site: Site) -> None:
        """Give back everything of a site that has not begun."""
        self._send_away(site, site.drain())

    def _send_away(self, site: Site, transactions: list[Transaction]) -> None:
        claims = self._given_up(site, transactions)
        if claims:
            self._owner.sent_away(site, claims)

    def give_up_waiting(self, site: Site) -> list[Claimed]:
        """Take everything of a site that has not begun out of memory."""
        return self._given_up(site, site.drain())

    def _given_up(self, site: Site, transactions: list[Transaction]) -> list[Claimed]:
        claims: list[Claimed] = []
        for transaction in transactions:
            self.add_load(site, transaction, -len(transaction.claims))
            claims += transaction.claims
        return claims

    def relieve(self, sites: Iterable[Site]) -> None:
        """Give back what waits for slow sites beyond their room, when memory is short."""
        for site in sites:
            if site.queued and (self.is_memory_short(is_fresh=True) or self.is_memory_short(is_fresh=False)):
                self._send_away(site, site.trim(self._monotonic()))

    def is_memory_short(self, *, is_fresh: bool) -> bool:
        """Tell whether the deliveries that wait or are carried leave little room for others of their kind."""
        return self._loads[is_fresh] > self._short_at


def _is_before_ehlo_ended(result: HostResult) -> bool:
    return all(reply.stage in (Stage.CONNECT, Stage.EHLO) for reply in result.replies.values())


def _is_untouched(transaction: Transaction) -> bool:
    """Tell whether no server said anything about this mail, nor could have taken it."""
    if not transaction.results:
        return True
    last = transaction.results[-1]
    return not last.is_unknown and all(reply.code is None for reply in last.replies.values())
