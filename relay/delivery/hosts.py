"""Remember which hosts did not answer, whose TLS is broken, who wants no IPv6, so that not every mail finds out anew.

Sites share servers: a thousand small domains with MX names of their own may all point at one dead machine. The memory
is by address and port, lasts for the first retry step (one minute at most), and never stands in the way of the one
probe that a backing-off site makes. When it is over, one worker tries the host and the others
go on without it as long as there is another one.
Broken TLS is remembered for ten minutes, only where clear text is allowed and worked.
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
BROKEN_TLS_SECONDS = 600.0
NO_IPV6_SECONDS = 86400.0
_KEPT = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dead:
    until: float
    reply: Reply
    tried_until: float = float("-inf")  #: somebody finds out, at most until then


class DeadHosts:
    """The hosts that failed at connect a moment ago."""

    def __init__(self, lifetime: timedelta) -> None:
        self._lifetime = min(lifetime, LONGEST).total_seconds()
        self._dead: dict[tuple[str, int], _Dead] = {}

    def note(self, result: HostResult, *, mono: float) -> None:
        """Remember a failed connect; a host that answered anything at all is not dead."""
        reply = result.replies.get(NO_RECIPIENT)
        if reply is None or reply.stage is not Stage.CONNECT or reply.code is not None or not result.was_asked:
            return
        key = (result.host.ip, result.host.port)
        self._dead.pop(key, None)
        self._dead[key] = _Dead(until=mono + self._lifetime, reply=reply)
        if len(self._dead) > _KEPT:
            del self._dead[next(iter(self._dead))]

    def begin(self, host: Host, *, mono: float) -> None:
        """Note that somebody tries the host now; if it was dead a while ago, nobody else needs to."""
        dead = self._dead.get((host.ip, host.port)) if self._dead else None
        if dead is not None and dead.until <= mono:
            self._dead[host.ip, host.port] = replace(dead, tried_until=mono + self._lifetime)

    def forget(self, host: Host) -> None:
        """Note that the host answered."""
        if self._dead:
            self._dead.pop((host.ip, host.port), None)

    def candidates(self, hosts: Sequence[Host], *, mono: float) -> Sequence[Host]:
        """Return the hosts worth a connection, in their order."""
        if not self._dead:
            return hosts
        worth_it = [host for host in hosts if not self._is_dead(host, mono)]
        return [host for host in worth_it if not self._is_being_tried(host, mono)] or worth_it

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
        dead = self._dead.get((host.ip, host.port))
        return dead is not None and mono < dead.until

    def _is_being_tried(self, host: Host, mono: float) -> bool:
        dead = self._dead.get((host.ip, host.port))
        return dead is not None and mono < dead.tried_until


class Ipv6Refusals:
    """The hosts that refused mail because it came over IPv6: for a day they get it over IPv4, if they have that."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def note(self, host: Host, *, mono: float) -> None:
        """Remember a host, by its name: what holds for one of its addresses holds for all."""
        self._until.pop(host.name, None)
        self._until[host.name] = mono + NO_IPV6_SECONDS
        if len(self._until) > _KEPT:
            del self._until[next(iter(self._until))]

    def without(self, hosts: Sequence[Host], *, mono: float) -> Sequence[Host]:
        """Leave out the IPv6 addresses of those hosts that also have an IPv4 one."""
        if not self._until:
            return hosts
        refusing = {host.name for host in hosts if mono < self._until.get(host.name, mono)}
        instead = {host.name for host in hosts if host.name in refusing and ":" not in host.ip}
        return [host for host in hosts if host.name not in instead or ":" not in host.ip]


class BrokenTls:
    """The hosts that offer TLS, cannot do it, and take clear text: each would cost two connections instead of one."""

    def __init__(self) -> None:
        self._problems: dict[tuple[str, int], tuple[float, str]] = {}

    def note(self, host: Host, problem: str, *, mono: float) -> None:
        """Remember what went wrong in the handshake."""
        self._problems.pop((host.ip, host.port), None)
        self._problems[host.ip, host.port] = (mono + BROKEN_TLS_SECONDS, problem)
        if len(self._problems) > _KEPT:
            del self._problems[next(iter(self._problems))]

    def recall(self, host: Host, *, mono: float) -> str:
        """Return what went wrong lately; "" when TLS is worth a try."""
        until, problem = self._problems.get((host.ip, host.port), (mono, ""))
        return problem if mono < until else ""
