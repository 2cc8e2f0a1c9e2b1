"""What all connections of one intake process share: the rules, the counters, the way out, the clock.

A Reception is made once per process and configuration; connections hold a reference and nothing else that lives longer
than they do. The clock, the pause after a wrong password and the free-space look-up are passed in.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

from relay.errors import Refused
from relay.intake.acceptor import Acceptor
from relay.intake.auth import Authenticator, Failures
from relay.intake.limits import Connections, Memory, Rates
from relay.intake.policy import Policy
from relay.intake.references import Extractor
from relay.intake.tls import ListenerTls
from relay.settings import App, Config, Limits, Listener

if TYPE_CHECKING:
    from relay.intake.returns import Returns
    from relay.intake.server import RelaySMTP


def utc_now() -> datetime:
    """Give the time."""
    return datetime.now(UTC)


class FreeSpace:
    """Bytes free on the disk of a folder, asked at most twenty times a second; one without free inodes has none.

    What is accepted between two looks comes out of the reserve that deliveries live on, so it must be little.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._asked_at = float("-inf")
        self._free = 0

    def __call__(self) -> int:
        now = time.monotonic()
        if now - self._asked_at >= 0.05:
            status = os.statvfs(self._folder)
            has_inodes = status.f_files == 0 or status.f_favail > 100
            self._asked_at = now
            self._free = status.f_bavail * status.f_frsize if has_inodes else 0
        return self._free


@dataclass(frozen=True, slots=True)
class Port:
    """One listener as its connections see it."""

    listener: Listener
    tls: ListenerTls | None = None

    @property
    def name(self) -> str:
        """How the log calls it."""
        return str(self.listener.address)


class Reception:
    """The shared side of all connections of one process."""

    def __init__(
        self,
        config: Config,
        acceptor: Acceptor,
        *,
        hashes: Mapping[str, str],
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        free_space: Callable[[], int],
        returns: Returns | None = None,
    ) -> None:
        """`returns` takes what comes in at listeners for returned mail; without them it is not needed."""
        self.config = config
        self.returns = returns
        self.silence = config.intake.timeout.total_seconds()
        self.hostname = config.node.hostname or "localhost"
        self.acceptor = acceptor
        self.now = now
        self.sleep = sleep
        self.free_space = free_space
        self.policy = Policy(config)
        self.authenticator = Authenticator(hashes)
        self.failures = Failures(limit=config.intake.auth_failures)
        self.rates = Rates()
        self.connections = Connections(total=config.intake.max_connections)
        self.memory = Memory(config.intake.memory)
        self.large_builds = asyncio.Lock()
        self.sessions: WeakSet[RelaySMTP] = WeakSet()
        self.commits: set[asyncio.Task[Refused | None]] = set()
        self.is_stopping = False
        self.max_size = max((app.limits.size for app in config.app), default=Limits().size)
        self._extractors: dict[str, Extractor] = {}

    def extractor(self, app: App) -> Extractor:
        """Give the app's way of finding references, compiled once."""
        found = self._extractors.get(app.name)
        if found is None:
            found = self._extractors[app.name] = Extractor(patterns=tuple(app.booking_pattern), kinds=app.kinds)
        return found
