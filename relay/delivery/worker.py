"""One worker: a connection, the transaction it carries, and the wait for the next one; and the set of idle workers.

State only; pool.py gives them work, carriage.py runs it.
"""

from __future__ import annotations

import asyncio

from relay.delivery.carrier import Connection
from relay.delivery.site import Site
from relay.delivery.transaction import Transaction


class Worker:
    """One task with its connection and the transaction it carries."""

    __slots__ = ("connection", "is_connecting", "is_due", "site", "task", "transaction", "wanted")

    def __init__(self, site: Site, transaction: Transaction) -> None:
        self.site = site
        self.transaction: Transaction | None = transaction
        self.is_due = not transaction.is_fresh  #: counts against the share of retries
        self.connection: Connection | None = None
        self.is_connecting = False
        self.wanted: asyncio.Future[Transaction | None] | None = None  #: set while idle
        self.task: asyncio.Task[None] | None = None


class IdleWorkers:
    """The workers that keep a connection open without work; the last to become idle is the first to be used."""

    def __init__(self) -> None:
        self._by_site: dict[Site, list[Worker]] = {}
        self._in_order: dict[Worker, None] = {}

    async def wait(self, worker: Worker, *, seconds: float) -> Transaction | None:
        """Be idle until a transaction is handed over, or None when dismissed or after that time."""
        loop = asyncio.get_running_loop()
        worker.wanted = loop.create_future()
        self._by_site.setdefault(worker.site, []).append(worker)
        self._in_order[worker] = None
        timer = loop.call_later(seconds, self.dismiss, worker)
        try:
            return await worker.wanted
        finally:
            timer.cancel()
            self._remove(worker)
            worker.wanted = None

    def has(self, site: Site) -> bool:
        """Tell whether a worker of the site is idle."""
        return site in self._by_site

    def hand(self, site: Site, transaction: Transaction) -> Worker:
        """Give the transaction to an idle worker of the site."""
        worker = self._by_site[site][-1]
        self._remove(worker)
        if worker.wanted is not None:
            worker.wanted.set_result(transaction)
        return worker

    def dismiss(self, worker: Worker) -> None:
        """End a worker's idleness with nothing to do."""
        self._remove(worker)
        if worker.wanted is not None and not worker.wanted.done():
            worker.wanted.set_result(None)

    def dismiss_oldest(self) -> None:
        """Dismiss the worker that has been idle for longest, if any."""
        for worker in self._in_order:
            self.dismiss(worker)
            return

    def dismiss_all(self) -> None:
        """Dismiss every idle worker."""
        for worker in list(self._in_order):
            self.dismiss(worker)

    def _remove(self, worker: Worker) -> None:
        if worker not in self._in_order:
            return
        del self._in_order[worker]
        workers = self._by_site[worker.site]
        workers.remove(worker)
        if not workers:
            del self._by_site[worker.site]
