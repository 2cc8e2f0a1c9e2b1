"""Receiving sites without sockets: a router, a connector and sessions that answer what a test tells them to.

`World` holds the scripts and remembers everything; a host answers with a Behaviour that the test may change while the
scheduler runs. Time stands still unless the test moves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from relay.delivery.contract import Credentials, Envelope, Host, HostResult, Route, TlsMode
from relay.delivery.transaction import NO_RECIPIENT
from relay.model import (
    Blame,
    Category,
    Delivery,
    DeliveryId,
    Message,
    MessageId,
    Outcome,
    Reply,
    ReplyClass,
    Stage,
    Submission,
    new_id,
)
from relay.settings import HostPort
from relay.status import Status

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OK = Reply(stage=Stage.DATA, code=250, enhanced="2.0.0", text="taken")


def refusal(code: int | None, *, stage: Stage = Stage.RCPT, enhanced: str | None = None, text: str = "no") -> Reply:
    return Reply(stage=stage, code=code, enhanced=enhanced, text=text)


def read_by_word(reply: Reply, *, sender: str = "", recipient: str = "") -> Outcome:
    """Classify by the category's name in the text, so that a test says what a reply means."""
    first = reply.text.split(" ", maxsplit=1)[0]
    category = Category(first) if first in set(Category) else Category.UNKNOWN
    is_final = reply.code is not None and reply.code >= 500
    us = {Category.RATE_LIMITED, Category.REPUTATION_BLOCK}
    invalid = {Category.INVALID_ADDRESS, Category.INVALID_DOMAIN}
    return Outcome(
        reply_class=ReplyClass.SOFT if is_final else ReplyClass.DEFERRED,
        category=category,
        blame=Blame.US if category in us else Blame.RECIPIENT if category in invalid else Blame.THEIR_SERVER,
        rule="by_word",
        suppress=is_final and category in invalid,
    )


class Clock:
    """Wall time and seconds that move only when told."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return 1000.0 + self.passed

    def advance(self, seconds: float) -> None:
        self.passed += seconds


@dataclass
class Behaviour:
    """What a host does; every field may change while the test runs."""

    connect: Reply | None = None  #: a failure at connect, greeting or EHLO
    replies: Callable[[Envelope], dict[str, Reply]] | None = None  #: by address; others are taken
    is_unknown: bool = False  #: the answer to the final dot never comes
    gate: asyncio.Event | None = None  #: a transaction waits for it
    is_slow: bool = False  #: that wait is for the answer to the content, and long
    connect_gate: asyncio.Event | None = None
    is_stale: bool = False  #: reused connections turn out dead at MAIL
    max_sessions: int | None = None  #: more are refused with 421
    no_ipv6: Reply | None = None  #: the answer to any mail over IPv6
    no_ipv4: bool = False  #: nobody answers at an IPv4 address
    is_asked: bool = True  #: False: the relay itself refuses to connect there


@dataclass
class World:
    """All hosts, what they were asked, and what they took."""

    clock: Clock
    routes: dict[str, Route] = field(default_factory=dict)
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    route_gates: dict[str, asyncio.Event] = field(default_factory=dict)
    connects: list[str] = field(default_factory=list)
    transactions: list[tuple[str, list[str]]] = field(default_factory=list)  #: host and addresses, as begun
    taken: list[str] = field(default_factory=list)
    lookups: list[str] = field(default_factory=list)
    open_sessions: int = 0
    most_sessions: int = 0
    credentials: list[Credentials | None] = field(default_factory=list)

    def serve(self, domain: str, *hosts: str, site: str | None = None, is_smarthost: bool = False) -> None:
        """Let a domain be served by these hosts."""
        made = tuple(
            Host(name=name, ip=f"192.0.2.{len(self.behaviours) + number}", port=25, preference=number)
            for number, name in enumerate(hosts)
        )
        self.routes[domain] = Route(site=site or ",".join(sorted(hosts)), hosts=made, is_smarthost=is_smarthost)
        for name in hosts:
            self.behaviours.setdefault(name, Behaviour())

    def host(self, name: str) -> Behaviour:
        return self.behaviours[name]

    async def route(self, *, domain: str, app: str) -> Route:
        self.lookups.append(domain)
        if domain in self.route_gates:
            await self.route_gates[domain].wait()
        return self.routes[domain]

    async def detour(self, target: HostPort, *, domain: str, app: str) -> Route:
        """The way through a host that a person named; `serve` it under its name first."""
        host = next(host for route in self.routes.values() for host in route.hosts if host.name == target.host)
        return Route(site=str(target), hosts=(replace(host, port=target.port),), is_smarthost=True)

    async def connect(
        self, host: Host, *, tls: TlsMode, credentials: Credentials | None = None
    ) -> FakeSession | HostResult:
        behaviour = self.behaviours[host.name]
        self.connects.append(host.name)
        self.credentials.append(credentials)
        if behaviour.connect_gate is not None:
            await behaviour.connect_gate.wait()
        failure = behaviour.connect
        if behaviour.no_ipv4 and ":" not in host.ip:
            failure = refusal(None, stage=Stage.CONNECT, text="network timed out")
        if behaviour.max_sessions is not None and self.open_sessions >= behaviour.max_sessions:
            failure = refusal(421, stage=Stage.CONNECT, text="rate_limited too many connections")
        if failure is not None:
            return HostResult(
                host=host,
                started_at=self.clock.now(),
                took=timedelta(0),
                replies={NO_RECIPIENT: failure},
                is_host_failure=True,
                was_asked=behaviour.is_asked,
            )
        self.open_sessions += 1
        self.most_sessions = max(self.most_sessions, self.open_sessions)
        return FakeSession(self, host)


class FakeSession:
    """One open connection to a host of the World."""

    def __init__(self, world: World, host: Host) -> None:
        self._world = world
        self._host = host
        self._is_open = True
        self._sent_count = 0
        self._aborted = asyncio.Event()

    @property
    def is_usable(self) -> bool:
        return self._is_open

    @property
    def sent_count(self) -> int:
        return self._sent_count

    async def deliver(self, envelope: Envelope) -> HostResult:
        is_reused = self._sent_count > 0
        self._sent_count += 1
        behaviour = self._world.behaviours[self._host.name]
        addresses = [delivery.address for delivery in envelope.deliveries]
        self._world.transactions.append((self._host.name, addresses))
        if behaviour.is_stale and is_reused:
            self.abort()
            return self._result(envelope, dict.fromkeys(addresses, refusal(None, stage=Stage.MAIL)), is_reused)
        if behaviour.is_slow and envelope.awaited is not None:
            envelope.awaited(tuple(delivery.id for delivery in envelope.deliveries))
        if behaviour.gate is not None:
            await self._wait(behaviour.gate)
        if not self._is_open:
            lost = refusal(None, stage=Stage.RCPT, text="network connection lost")
            return self._result(envelope, dict.fromkeys(addresses, lost), is_reused)
        if behaviour.is_unknown:
            self.abort()
            lost = refusal(None, stage=Stage.DATA, text="network connection lost after the content")
            return self._result(envelope, dict.fromkeys(addresses, lost), is_reused, is_unknown=True)
        said = behaviour.replies(envelope) if behaviour.replies is not None else {}
        if behaviour.no_ipv6 is not None and ":" in self._host.ip:
            said = dict.fromkeys(addresses, behaviour.no_ipv6)
        replies = {address: said.get(address, OK) for address in addresses}
        self._world.taken += [address for address, reply in replies.items() if reply.is_positive]
        if any(reply.code == 421 for reply in replies.values()):
            self.abort()
        return self._result(envelope, replies, is_reused)

    async def quit(self) -> None:
        self.abort()

    def abort(self) -> None:
        if self._is_open:
            self._is_open = False
            self._world.open_sessions -= 1
            self._aborted.set()

    async def _wait(self, gate: asyncio.Event) -> None:
        tasks = [asyncio.ensure_future(gate.wait()), asyncio.ensure_future(self._aborted.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def _result(
        self, envelope: Envelope, replies: dict[str, Reply], is_reused: bool, *, is_unknown: bool = False
    ) -> HostResult:
        return HostResult(
            host=self._host,
            started_at=self._world.clock.now(),
            took=timedelta(0),
            replies={delivery.id: replies[delivery.address] for delivery in envelope.deliveries},
            is_reused=is_reused,
            is_unknown=is_unknown,
            conversation="C: … S: …",
        )


def submission(
    addresses: Iterable[str],
    *,
    at: datetime = START,
    app: str = "hotel",
    content: bytes = b"Subject: x\r\n\r\nHello\r\n",
    attempts: int = 0,
    next_at: datetime | None = None,
) -> Submission:
    """One message to these recipients."""
    message = Message(
        id=MessageId(new_id()),
        accepted_at=at,
        app=app,
        mail_from="desk@hotel.example",
        header_from="desk@hotel.example",
        size=len(content),
    )
    deliveries = tuple(
        Delivery(
            id=DeliveryId(new_id()),
            message_id=message.id,
            address=address,
            domain=address.rpartition("@")[2],
            status=Status.DEFERRED if attempts else Status.QUEUED,
            created_at=at,
            attempts=attempts,
            next_at=next_at or at,
        )
        for address in addresses
    )
    return Submission(message=message, content=content, deliveries=deliveries)
