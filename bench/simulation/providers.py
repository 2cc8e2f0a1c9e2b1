"""Modelled receiving providers: how fast they are, what they bear, and when they are away.

A provider serves domains with a few hosts. It takes a while for a connection and for a message, refuses connections
and messages beyond what it bears, puts off what it greylists, and during an outage answers nobody. `Internet` is both
the router and the connector of the scheduler; all that providers see goes into a Sight for each of them.
Nothing here knows how the scheduler works: limits are looked at from the outside, as a provider sees them.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random

from bench.simulation.virtual import now, seconds
from relay.delivery.contract import Credentials, Envelope, Host, HostResult, Route, TlsMode
from relay.delivery.transaction import NO_RECIPIENT
from relay.model import Delivery, DeliveryId, Reply, Stage

_TAKEN = Reply(stage=Stage.DATA, code=250, enhanced="2.0.0", text="taken")
_SILENT = Reply(stage=Stage.CONNECT, code=None, enhanced=None, text="connection timed out")
_NO_NETWORK = Reply(stage=Stage.CONNECT, code=None, enhanced=None, text="network is unreachable")
_LOST = Reply(stage=Stage.MAIL, code=None, enhanced=None, text="network connection lost")
_CROWDED = Reply(stage=Stage.CONNECT, code=421, enhanced="4.7.0", text="too many concurrent connections from your IP")
_TOO_FAST = Reply(stage=Stage.MAIL, code=450, enhanced="4.7.1", text="you are sending too fast, rate limit exceeded")
_GREY = Reply(stage=Stage.RCPT, code=450, enhanced="4.2.0", text="greylisted, try again in 5 minutes")
_FULL = Reply(stage=Stage.RCPT, code=452, enhanced="4.2.2", text="mailbox full")

#: How long a host that is away keeps a connection waiting: delivery.timeouts.connect.
CONNECT_TIMEOUT = 30.0
_GREY_SECONDS = 300.0
_TAKES_SECONDS = 0.02  #: a look-up whose answer is cached
_LOOKS_UP_SECONDS = 0.15  #: the first one of a domain


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """From when until when nobody answers, in seconds."""

    begin: float
    end: float

    def has(self, moment: float) -> bool:
        """Tell whether it lasts at that moment."""
        return self.begin <= moment < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """What one provider is like."""

    name: str
    domains: tuple[str, ...]
    hosts: int = 2
    connect_seconds: float = 0.15  #: TCP, greeting, EHLO, TLS
    answer_seconds: float = 0.35  #: one message on an open connection, on average
    bears_connections: int | None = None
    bears_rate: tuple[int, float] | None = None  #: messages in any window of so many seconds
    is_greylisting: bool = False
    full_share: float = 0.0  #: of its mailboxes
    outage: Outage | None = None
    lookup_seconds: float | None = None  #: what each look-up of its domains takes; None: as others'


@dataclass(slots=True)
class Sight:
    """What one provider saw of us."""

    connects: list[tuple[float, str]] = field(default_factory=list)  #: begun, with the host
    opened: list[float] = field(default_factory=list)  #: those that succeeded
    begun: list[float] = field(default_factory=list)  #: messages, whatever came of them
    answered: list[float] = field(default_factory=list)  #: messages answered, with yes or no
    levels: list[tuple[float, int]] = field(default_factory=list)  #: open connections, at each change
    open: int = 0  #: connections now, those being opened among them
    refused: int = 0  #: connections and messages beyond what it bears

    def change(self, by: int) -> None:
        """Note that a connection came or went."""
        self.open += by
        self.levels.append((seconds(), self.open))

    @property
    def most_open(self) -> int:
        return max((count for _, count in self.levels), default=0)

    def most_within(self, window: float) -> int:
        """Return the most messages begun in any window of that length."""
        recent: deque[float] = deque()
        most = 0
        for moment in self.begun:
            recent.append(moment)
            while moment - recent[0] >= window - 1e-6:
                recent.popleft()
            most = max(most, len(recent))
        return most


@dataclass(frozen=True, slots=True)
class First:
    """When a delivery was first tried."""

    provider: str
    app: str
    accepted: float  #: seconds since the start
    tried: float

    @property
    def waited(self) -> float:
        return self.tried - self.accepted


@dataclass(slots=True, kw_only=True)
class Internet:
    """All providers."""

    providers: Sequence[Provider]
    random: Random
    network_outage: Outage | None = None  #: of our own network
    sights: dict[str, Sight] = field(default_factory=dict)
    firsts: list[First] = field(default_factory=list)
    taken: list[tuple[float, str, str]] = field(default_factory=list)  #: when, by whom, delivery id
    _by_domain: dict[str, Provider] = field(default_factory=dict)
    _by_host: dict[str, Provider] = field(default_factory=dict)
    _routes: dict[str, Route] = field(default_factory=dict)
    _looked_up: set[str] = field(default_factory=set)
    _greeted: dict[str, float] = field(default_factory=dict)  #: greylisted deliveries, when first seen

    def __post_init__(self) -> None:
        for number, provider in enumerate(self.providers):
            self.sights.setdefault(provider.name, Sight())
            hosts = tuple(
                Host(name=f"mx{rank}.{provider.name}", ip=f"10.{number >> 8}.{number & 255}.{rank}", port=25)
                for rank in range(1, provider.hosts + 1)
            )
            route = Route(site=",".join(host.name for host in hosts), hosts=hosts)
            self._by_host.update((host.name, provider) for host in hosts)
            for domain in provider.domains:
                self._by_domain[domain] = provider
                self._routes[domain] = route

    async def route(self, *, domain: str, app: str) -> Route:
        del app
        usual = _TAKES_SECONDS if domain in self._looked_up else _LOOKS_UP_SECONDS
        slow = self._by_domain[domain].lookup_seconds
        await asyncio.sleep(usual if slow is None else slow)
        self._looked_up.add(domain)
        return self._routes[domain]

    async def connect(
        self, host: Host, *, tls: TlsMode, credentials: Credentials | None = None
    ) -> OpenSession | HostResult:
        del tls, credentials
        provider = self._by_host[host.name]
        sight = self.sights[provider.name]
        sight.connects.append((seconds(), host.name))
        sight.change(1)
        refusal = await self._refusal(provider, sight)
        if refusal is not None:
            sight.change(-1)
            return _result(host, {NO_RECIPIENT: refusal}, is_host_failure=True)
        sight.opened.append(seconds())
        return OpenSession(self, provider, host)

    async def _refusal(self, provider: Provider, sight: Sight) -> Reply | None:
        begun = seconds()
        if self.network_outage is not None and self.network_outage.has(begun):
            return _NO_NETWORK
        if provider.outage is not None and provider.outage.has(begun):
            await asyncio.sleep(CONNECT_TIMEOUT)
            return _SILENT
        await asyncio.sleep(provider.connect_seconds * self.random.uniform(0.7, 1.5))
        if provider.bears_connections is not None and sight.open > provider.bears_connections:
            sight.refused += 1
            return _CROWDED
        return None

    def is_away(self, provider: Provider) -> bool:
        """Tell whether nobody answers there now."""
        moment = seconds()
        away = (self.network_outage, provider.outage)
        return any(outage is not None and outage.has(moment) for outage in away)

    def note_try(self, provider: Provider, envelope: Envelope, *, at: float) -> None:
        """Remember first tries."""
        app = envelope.message.app
        for delivery in envelope.deliveries:
            if delivery.attempts == 0:
                accepted = at - (now() - delivery.created_at).total_seconds()
                self.firsts.append(First(provider.name, app, accepted, at))

    def reply(self, provider: Provider, delivery: Delivery) -> Reply:
        """Answer for one recipient."""
        if provider.full_share and zlib.crc32(delivery.address.encode()) % 1000 < provider.full_share * 1000:
            return _FULL
        if provider.is_greylisting:
            first = self._greeted.setdefault(delivery.id, seconds())
            if seconds() - first < _GREY_SECONDS:
                return _GREY
        return _TAKEN


class OpenSession:
    """One open connection."""

    def __init__(self, internet: Internet, provider: Provider, host: Host) -> None:
        self._internet = internet
        self._provider = provider
        self._sight = internet.sights[provider.name]
        self._host = host
        self._is_open = True
        self._sent_count = 0

    @property
    def is_usable(self) -> bool:
        return self._is_open

    @property
    def sent_count(self) -> int:
        return self._sent_count

    async def deliver(self, envelope: Envelope) -> HostResult:
        internet, provider = self._internet, self._provider
        began = seconds()
        self._sent_count += 1
        is_reused = self._sent_count > 1
        if internet.is_away(provider):
            self.abort()
            lost = {delivery.id: _LOST for delivery in envelope.deliveries}
            return replace(_result(self._host, lost), is_reused=is_reused)
        self._sight.begun.append(began)
        internet.note_try(provider, envelope, at=began)
        if self._is_too_fast():
            self._sight.refused += 1
            await asyncio.sleep(provider.connect_seconds)
            fast = {delivery.id: _TOO_FAST for delivery in envelope.deliveries}
            return replace(_result(self._host, fast), is_reused=is_reused)
        await asyncio.sleep(provider.answer_seconds * internet.random.uniform(0.5, 1.5))
        self._sight.answered.append(seconds())
        replies = {delivery.id: internet.reply(provider, delivery) for delivery in envelope.deliveries}
        taken = (key for key, reply in replies.items() if reply.is_positive)
        internet.taken += ((seconds(), provider.name, key) for key in taken)
        return replace(_result(self._host, replies), is_reused=is_reused)

    def _is_too_fast(self) -> bool:
        if self._provider.bears_rate is None:
            return False
        count, window = self._provider.bears_rate
        begun = self._sight.begun
        return len(begun) > count and begun[-1] - begun[-1 - count] < window - 1e-6

    async def quit(self) -> None:
        self.abort()

    def abort(self) -> None:
        if self._is_open:
            self._is_open = False
            self._sight.change(-1)


def _result(host: Host, replies: dict[DeliveryId, Reply], *, is_host_failure: bool = False) -> HostResult:
    return HostResult(host=host, started_at=now(), took=timedelta(0), replies=replies, is_host_failure=is_host_failure)
