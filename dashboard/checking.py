"""Run an examination behind the pages: one at a time, with an end, its result kept in the store.

What is looked at has time limits of its own; the one here is for what they forgot. A dashboard that is stopped
meanwhile loses the run, never the last result.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from relay import doctor
from relay.doctor import Examination, Finding
from relay.errors import StoreError
from relay.settings import Config
from relay.store.protocols import Store
from relay.wording import say

log = logging.getLogger(__name__)

#: The longest one examination may take.
LONGEST = timedelta(minutes=3)

#: Looks at everything, or at one domain.
Examine = Callable[[Config, Store, str | None], Awaitable[list[Finding]]]


async def _examine(config: Config, store: Store, domain: str | None) -> list[Finding]:
    return await doctor.examine(config, store, now=lambda: datetime.now(UTC), domain=domain)


class Checker:
    """The one examination of this process."""

    def __init__(self, examine: Examine = _examine, *, longest: timedelta = LONGEST) -> None:
        self._examine = examine
        self._longest = longest
        self._task: asyncio.Task[None] | None = None
        self._domain: str | None = None

    @property
    def is_busy(self) -> bool:
        """Tell whether one is running."""
        return self._task is not None and not self._task.done()

    def runs(self, domain: str | None) -> bool:
        """Tell whether just this one is running; None: that of everything."""
        return self.is_busy and self._domain == domain

    def start(self, config: Config, store: Store, *, domain: str | None = None) -> bool:
        """Begin an examination; False while another is running."""
        if self.is_busy:
            return False
        self._domain = domain
        self._task = asyncio.create_task(self._run(config, store, domain))
        return True

    async def wait(self) -> None:
        """Wait for the end of the one that runs."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self, config: Config, store: Store, domain: str | None) -> None:
        findings: list[Finding] = []
        fault = ""
        try:
            async with asyncio.timeout(self._longest.total_seconds()):
                findings = await self._examine(config, store, domain)
        except TimeoutError:
            fault = say("The check took too long and was stopped.")
        except Exception:
            log.exception("event=check_failed domain=%s", domain or "-")
            fault = say("The check failed; the log of the dashboard says why.")
        one = Examination(at=datetime.now(UTC), findings=tuple(findings), fault=fault)
        try:
            await store.write(lambda tx: doctor.save(tx, one, domain=domain))
        except StoreError as error:
            log.warning("event=check_not_kept error=%s", error)
