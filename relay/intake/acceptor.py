"""What intake needs from the rest of the relay, and its real form over the store.

A submission is accepted when `accept` has returned: then it is on disk and 250 may be said. Refusals are worth keeping
but never worth waiting for: they are gathered and written together within a second, or when the store works again. They
are dropped (with a count in the log) when more than a few thousand wait, or after a thousand of one client in a minute,
so that a stranger cannot fill the disk with them; what is dropped is not logged one by one either.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from relay import maillog
from relay.errors import StoreError
from relay.model import Refusal, Submission
from relay.store.content import Packed, pack
from relay.store.protocols import Store, Tx

log = logging.getLogger("relay.intake")

_PACKED_BEFORE = 256 * 1024
_MAX_WAITING = 5000
_MAX_OF_ONE = 1000  # of one client in a minute
_GATHER = 0.5  # seconds refusals are gathered before they are written


class Acceptor(Protocol):
    """Takes what intake took."""

    async def accept(self, submission: Submission) -> None:
        """Commit it durably, or raise StoreError."""

    def refuse(self, refusal: Refusal) -> None:
        """Remember a refusal soon; never waits, never raises."""

    @property
    def is_healthy(self) -> bool:
        """False while nothing can be accepted."""


class Accept(Protocol):
    """The unit of work that stores a submission."""

    def __call__(self, tx: Tx, submission: Submission, /, *, packed: Packed | None) -> object: ...


class StoreAcceptor:
    """Accepts into a store; the units of work are given by whoever wires the process."""

    def __init__(
        self,
        store: Store,
        *,
        accept: Accept,
        refuse: Callable[[Tx, Sequence[Refusal]], object],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._accept = accept
        self._refuse = refuse
        self._wake = wake
        self._is_waking = False
        self._waiting: list[Refusal] = []
        self._minute: datetime | None = None
        self._of_client: Counter[str] = Counter()  #: refusals in this minute
        self._dropped = 0
        self._is_failing = False
        self._has_refusals = asyncio.Event()

    @property
    def is_healthy(self) -> bool:
        """As the store says."""
        return self._store.is_healthy

    async def accept(self, submission: Submission) -> None:
        """Commit the submission, then wake delivery."""
        # Compressing a large mail takes longer than a hundred commits; the one writer must not wait for it.
        is_large = len(submission.content) > _PACKED_BEFORE
        packed = await asyncio.to_thread(pack, submission.content) if is_large else None
        await self._store.write(lambda tx: self._accept(tx, submission, packed=packed))
        if not self._is_waking:
            # One nudge for all that one commit brought: their turns come before the loop's next round.
            self._is_waking = True
            asyncio.get_running_loop().call_soon(self._wake_once)

    def _wake_once(self) -> None:
        self._is_waking = False
        self._wake()

    def refuse(self, refusal: Refusal) -> None:
        """Queue the refusal for `run`."""
        minute = refusal.at.replace(second=0, microsecond=0)
        if minute != self._minute:
            self._minute, self._of_client = minute, Counter()
        self._of_client[refusal.client_ip] += 1
        if len(self._waiting) >= _MAX_WAITING or self._of_client[refusal.client_ip] > _MAX_OF_ONE:
            self._dropped += 1
            return
        maillog.refused(refusal)
        self._waiting.append(refusal)
        self._has_refusals.set()

    async def run(self) -> None:
        """Write refusals as they come, until cancelled; what waits then is written first."""
        try:
            while True:
                await self._has_refusals.wait()
                await asyncio.sleep(_GATHER)
                await self.flush()
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Write what waits now."""
        batch, self._waiting = self._waiting, []
        self._has_refusals.clear()
        if self._dropped:
            log.warning("refusals not kept because too many came at once: %d", self._dropped)
            self._dropped = 0
        if not batch:
            return
        try:
            await self._store.write(lambda tx: self._refuse(tx, batch))
        except StoreError as error:
            if not self._is_failing:
                log.warning("refusals wait for the store: %s", error)
            self._is_failing = True
            self._waiting = (batch + self._waiting)[:_MAX_WAITING]
            self._has_refusals.set()
        else:
            self._is_failing = False
