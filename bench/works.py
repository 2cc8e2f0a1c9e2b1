"""The works every system is measured with, as a table.

Counts are sized so that each run takes a few seconds on a two-core machine; `--scale` multiplies them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One kind of load."""

    name: str
    title: str
    size_bytes: int
    sessions: int
    count: int
    reuses_connections: bool = False
    per_second: float | None = None  #: sent at this pace by our own client, and latency is measured

    def scaled(self, factor: float) -> Work:
        """Return the same work with more or fewer messages."""
        return replace(self, count=max(self.sessions, round(self.count * factor)))


WORKS = (
    Work(name="new", title="4 KiB, 20 sessions, new connection each", size_bytes=4096, sessions=20, count=3000),
    Work(
        name="reused",
        title="4 KiB, 20 sessions, reused connections",
        size_bytes=4096,
        sessions=20,
        count=4000,
        reuses_connections=True,
    ),
    Work(name="40k", title="40 KiB, 20 sessions", size_bytes=40 * 1024, sessions=20, count=1500),
    Work(name="1m", title="1 MiB, 20 sessions", size_bytes=1024 * 1024, sessions=20, count=200),
    Work(name="100", title="4 KiB, 100 sessions, new connection each", size_bytes=4096, sessions=100, count=3000),
    Work(name="latency", title="20 messages/s: 250 → arrival", size_bytes=4096, sessions=1, count=200, per_second=20.0),
)

#: Sent before anything is measured.
WARM_UP = Work(name="warm-up", title="warm-up", size_bytes=4096, sessions=20, count=300)
