"""What sites that nobody has answered from hold: connections being tried, and deliveries in memory.

A host that is away keeps a connection waiting for half a minute, and whatever waits for it in memory as long. Looking
at thousands of dead servers would take all the room that retries have, and living servers would wait for every one of
them. So a look may take at most half of what its kind (first tries, retries) has; the other half is for sites that
have answered within the last minute. A look ends when the site answers, or with its failure.
State only, no I/O and no clock.
"""

from __future__ import annotations

from collections import Counter

from relay.delivery.site import Site
from relay.delivery.worker import Worker

#: Deliveries of one site, when it is not alone.
_FEW = 2


class Looks:
    """The looks of this process; kinds are told apart by `is_fresh`."""

    def __init__(self, *, connections: int, deliveries: int) -> None:
        """`connections`: all there are, of which retries may have half; `deliveries`: in memory, of each kind."""
        self._most_workers = max(1, connections // 2)
        self._most_due_workers = max(1, connections // 4)
        self._most_deliveries = max(1, deliveries // 2)
        self._workers: dict[Worker, bool] = {}  #: whether it carries a retry
        self._due_workers = 0
        self._loads: dict[Site, Counter[bool]] = {}
        self._totals: Counter[bool] = Counter()

    # -- connections

    def has_room(self, *, is_fresh: bool) -> bool:
        """Tell whether one more site may be looked at."""
        return len(self._workers) < self._most_workers and (is_fresh or self._due_workers < self._most_due_workers)

    def begin(self, worker: Worker) -> None:
        """Count a worker that connects to a site nobody has answered from."""
        self._workers[worker] = worker.is_due
        self._due_workers += worker.is_due

    def end(self, worker: Worker) -> bool:
        """Note that its site has answered, or that it gave up; tell whether it was a look."""
        is_due = self._workers.pop(worker, None)
        self._due_workers -= bool(is_due)
        return is_due is not None

    # -- deliveries in memory

    def add(self, site: Site, count: int, *, is_fresh: bool, is_known: bool) -> None:
        """Count deliveries that came into memory, or (negative) left it."""
        if count > 0 and is_known:
            return
        load = self._loads.get(site)
        if load is None:
            if count <= 0:
                return
            load = self._loads[site] = Counter()
        change = max(count, -load[is_fresh])  # what came while it was known was not counted
        load[is_fresh] += change
        self._totals[is_fresh] += change
        if not load.total():
            del self._loads[site]

    def answered(self, site: Site) -> None:
        """Note that somebody answered there."""
        self._totals.subtract(self._loads.pop(site, Counter()))

    def may_wait(self, site: Site, *, is_fresh: bool) -> bool:
        """Tell whether one more delivery may wait for a look; soon only a few of each site, so that many are seen."""
        waiting = self._totals[is_fresh]
        if waiting >= self._most_deliveries:
            return False
        return waiting < self._most_deliveries // 4 or self._loads.get(site, Counter())[is_fresh] < _FEW
