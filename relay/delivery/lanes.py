"""What waits at one site: a queue for each app, served in turn, so that one app's burst does not starve another.

Round robin over the apps, one transaction each; within an app the oldest first. An app whose next transaction may not
go now is passed over. When something must leave memory, it is the newest of the app that has most waiting.
No I/O and no clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from relay.delivery.transaction import Transaction


class Lane:
    """The waiting transactions of one kind: first tries, or retries."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[Transaction]] = {}  #: by group, the next to be served first
        self._loads: dict[str, int] = {}  #: deliveries by app
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Transaction]:
        for queue in self._queues.values():
            yield from queue

    def heads(self) -> Iterator[Transaction]:
        """Give the next transaction of each group."""
        return (queue[0] for queue in self._queues.values())

    def load_of(self, app: str) -> int:
        """Count the deliveries of an app that wait."""
        return self._loads.get(app, 0)

    @property
    def apps(self) -> set[str]:
        """Name the apps that wait."""
        return set(self._loads)

    def append(self, transaction: Transaction, group: str) -> None:
        """Let a transaction wait behind those of its group."""
        self._queues.setdefault(group, deque()).append(transaction)
        self._add(transaction, 1)

    def put_back(self, transaction: Transaction, group: str) -> None:
        """Let a transaction that was taken be the very next."""
        queue = self._queues.pop(group, deque())
        queue.appendleft(transaction)
        self._queues = {group: queue, **self._queues}
        self._add(transaction, 1)

    def take(self, may_go: Callable[[Transaction], bool]) -> Transaction | None:
        """Take the next transaction that may go; its group is served last from here on."""
        group = next((group for group, queue in self._queues.items() if may_go(queue[0])), None)
        if group is None:
            return None
        queue = self._queues.pop(group)
        transaction = queue.popleft()
        if queue:
            self._queues[group] = queue
        self._add(transaction, -1)
        return transaction

    def take_newest(self) -> Transaction:
        """Take the newest transaction of the group that has most waiting."""
        group = max(self._queues, key=lambda group: len(self._queues[group]))
        transaction = self._queues[group].pop()
        if not self._queues[group]:
            del self._queues[group]
        self._add(transaction, -1)
        return transaction

    def clear(self) -> None:
        """Forget everything."""
        self._queues.clear()
        self._loads.clear()
        self._count = 0

    def _add(self, transaction: Transaction, sign: int) -> None:
        app = transaction.message.app
        self._count += sign
        left = self._loads.get(app, 0) + sign * len(transaction.claims)
        if left:
            self._loads[app] = left
        else:
            self._loads.pop(app, None)
