"""Remember for a minute which hosts did not answer, so that not every mail finds out anew.

Sites share servers: a thousand small domains with MX names of their own may all point at one dead machine. The memory
is by address and port, lasts for the first retry step (one minute at most), and never stands in the way of the one
probe that a backing-off site makes.
No I/O; `mono` is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from relay.delivery.contract import Host, HostResult
from relay.delivery.transaction import NO_RECIPIENT
from relay.model import Reply, Stage

LONGEST = timedelta(seconds=60)
_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dead:
    until: float
    reply: Reply


class DeadHosts:
    """The hosts that failed at connect a moment ago."""

    def __init__(self, lifetime: timedelta) -> None:
        self._lifetime = min(lifetime, LONGEST).total_seconds()
        self._dead: dict[tuple[str, int], _Dead] = {}

    def note(self, result: HostResult, *, mono: float) -> None:
        """Remember a failed connect; a host that answered anything at all is not dead."""
        reply = result.replies.get(NO_RECIPIENT)
        if reply is None or reply.stage is not Stage.CONNECT or reply.code is not None:
            return
        key = (result.host.ip, result.host.port)
        self._dead.pop(key, None)
        self._dead[key] = _Dead(until=mono + self._lifetime, reply=reply)
        if len(self._dead) > _KEPT:
            del self._dead[next(iter(self._dead))]

    def forget(self, host: Host) -> None:
        """Note that the host answered."""
        if self._dead:
            self._dead.pop((host.ip, host.port), None)

    def candidates(self, hosts: Sequence[Host], *, mono: float) -> Sequence[Host]:
        """Return the hosts worth a connection, in their order."""
        if not self._dead:
            return hosts
        return [host for host in hosts if not self._is_dead(host, mono)]

    def recall(self, hosts: Sequence[Host], *, now: datetime) -> list[HostResult]:
        """Return results for hosts that are not tried because all of them were found dead a moment ago."""
        results = []
        for host in hosts:
            dead = self._dead.get((host.ip, host.port))
            if dead is not None:
                reply = replace(dead.reply, text=f"not tried again so soon: {dead.reply.text}", host=host.name)
                results.append(
                    HostResult(
                        host=host,
                        started_at=now,
                        took=timedelta(0),
                        replies={NO_RECIPIENT: reply},
                        is_host_failure=True,
                    )
                )
        return results

    def _is_dead(self, host: Host, mono: float) -> bool:
        key = (host.ip, host.port)
        dead = self._dead.get(key)
        if dead is not None and dead.until <= mono:
            del self._dead[key]
            return False
        return dead is not None
