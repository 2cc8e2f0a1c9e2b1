"""Finding, fetching and remembering MTA-STS policies, against a real HTTPS server and name server (RFC 8461)."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relay.delivery.mta_sts import PolicyFault, StsMode
from relay.delivery.resolver import Resolver
from relay.delivery.sts import RETRY, StsPolicies
from relay.delivery.sts_fetch import PolicyFetcher, finder
from relay.delivery.tls import TlsContexts
from relay.settings import HostPort
from relay.store import open_store
from relay.store.engine import EngineStore
from tests.delivery.certificates import Authority
from tests.delivery.nameserver import NameServer, answering

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NAME = "mta-sts.guest.example"


def policy(mode: str = "enforce", max_age: int = 604800) -> bytes:
    return f"version: STSv1\nmode: {mode}\nmx: mx.guest.example\nmax_age: {max_age}\n".encode()


def answer(body: bytes, *, status: str = "200 OK", kind: str = "text/plain; charset=utf-8", extra: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


class Web:
    """An HTTPS server that gives one answer to everything."""

    def __init__(self) -> None:
        self.answer = answer(policy())
        self.requests: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            await writer.drain()
        writer.close()


@dataclass
class World:
    """The recipient's side, and ours."""

    web: Web
    dns: NameServer
    now: datetime
    make: Callable[[], StsPolicies]
    fetcher: PolicyFetcher

    def publish(self, record: str | None) -> None:
        self.dns.zone.pop(("_mta-sts.guest.example", "TXT"), None)
        if record is not None:
            self.dns.zone[("_mta-sts.guest.example", "TXT")] = [f'"v=STSv1; id={record};"']


@contextlib.asynccontextmanager
async def world(store: EngineStore, authority: Authority, tls: ssl.SSLContext) -> AsyncIterator[World]:
    web = Web()
    server = await asyncio.start_server(web.serve, "127.0.0.1", 0, ssl=tls)
    web.port = server.sockets[0].getsockname()[1]
    made: list[StsPolicies] = []
    resolvers: list[Resolver] = []
    async with answering({(NAME, "A"): ["127.0.0.1"]}) as dns:

        def resolver() -> Resolver:  # a new one each time: DNS is not to be remembered in here
            resolvers.append(Resolver([HostPort("127.0.0.1", dns.port)], timeout=0.3, lifetime=0.6, clock=lambda: 0.0))
            return resolvers[-1]

        fetcher = PolicyFetcher(
            finder(resolver()),
            may_connect=lambda ip: True,
            context=TlsContexts.build(ca_file=authority.ca_file).checked,
            port=web.port,
        )

        def make() -> StsPolicies:
            made.append(StsPolicies(resolver(), fetcher, store=store, clock=lambda: here.now))
            return made[-1]

        here = World(web=web, dns=dns, now=START, make=make, fetcher=fetcher)
        try:
            yield here
        finally:
            for policies in made:
                await policies.close()
            for each in resolvers:
                await each.close()
            server.close()
            await server.wait_closed()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def run(tmp_path: Path, authority: Authority) -> Callable[[Callable[[World], Awaitable[None]]], None]:
    def run_it(scenario: Callable[[World], Awaitable[None]]) -> None:
        async def inside() -> None:
            with open_store(f"sqlite:{tmp_path}/waybill.db", tmp_path) as store:
                async with world(store, authority, authority.server(NAME)) as here:
                    await scenario(here)

        asyncio.run(inside())

    return run_it


Run = Callable[[Callable[[World], Awaitable[None]]], None]


def test_a_policy_is_fetched_once_and_remembered_over_a_restart(run: Run) -> None:
    async def scenario(here: World) -> None:
        here.publish("1")
        policies = here.make()
        found = await asyncio.gather(*(policies.policy_for("guest.example") for _ in range(5)))
        assert {each.mode if each else None for each in found} == {StsMode.ENFORCE}
        again = await here.make().policy_for("guest.example")
        assert again is not None
        assert len(here.web.requests) == 1
        assert here.web.requests[0].startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n")

    run(scenario)


def test_a_new_id_fetches_anew_and_the_same_one_does_not(run: Run) -> None:
    async def scenario(here: World) -> None:
        here.publish("1")
        await here.make().policy_for("guest.example")
        here.publish("2")
        here.web.answer = answer(policy("testing"))
        found = await here.make().policy_for("guest.example")
        assert found is not None
        assert (found.mode, found.id, len(here.web.requests)) == (StsMode.TESTING, "2", 2)

    run(scenario)


@pytest.mark.parametrize("record", [None, "2"], ids=["the record is gone", "the file cannot be had"])
def test_what_was_fetched_holds_until_it_expires(run: Run, record: str | None) -> None:
    """RFC 8461 5.1: else whoever can disturb DNS or the web server could switch protection off."""

    async def scenario(here: World) -> None:
        here.publish("1")
        await here.make().policy_for("guest.example")
        here.publish(record)
        here.web.answer = answer(b"gone", status="404 Not Found")
        here.now = START + 6 * DAY
        found = await here.make().policy_for("guest.example")
        assert found is not None
        assert found.id == "1"
        here.now = START + 8 * DAY
        assert await here.make().policy_for("guest.example") is None

    run(scenario)


def test_a_broken_web_server_costs_one_connection_in_five_minutes(run: Run) -> None:
    async def scenario(here: World) -> None:
        here.publish("1")
        here.web.answer = answer(b"", status="500 Oops")
        policies = here.make()
        for _ in range(3):
            assert await policies.policy_for("guest.example") is None
        assert len(here.web.requests) == 1
        here.now += RETRY
        here.web.answer = answer(policy())
        assert await policies.policy_for("guest.example") is not None

    run(scenario)


def test_without_a_record_nothing_is_fetched(run: Run) -> None:
    async def scenario(here: World) -> None:
        assert await here.make().policy_for("guest.example") is None
        here.dns.zone[("_mta-sts.guest.example", "TXT")] = "servfail"
        assert await here.make().policy_for("guest.example") is None
        assert here.web.requests == []

    run(scenario)


def test_refreshing_fetches_what_is_a_day_old_and_forgets_what_expired(run: Run) -> None:
    async def scenario(here: World) -> None:
        here.publish("1")
        policies = here.make()
        await policies.policy_for("guest.example")
        await policies.refresh(START + timedelta(hours=23))
        assert len(here.web.requests) == 1
        here.now = START + 2 * DAY
        await policies.refresh(here.now)
        assert len(here.web.requests) == 2
        here.publish(None)
        here.now = START + 8 * DAY
        assert await here.make().policy_for("guest.example") is not None, "renewed two days after the start"
        here.now = START + 10 * DAY
        await policies.refresh(here.now)
        assert await here.make().policy_for("guest.example") is None

    run(scenario)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (answer(policy(), status="301 Moved", extra="Location: https://elsewhere.example/\r\n"), "answered with 301"),
        (answer(policy(), kind="text/html"), "not text/plain"),
        (answer(b"x" * 70_000), "larger than 64 KiB"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 500\r\n\r\nshort", "could not be read"),
        (b"\x00\xff nonsense\r\n\r\n", "could not be read"),
        (b"", "could not be read"),
    ],
)
def test_only_a_plain_200_counts(run: Run, given: bytes, reason: str) -> None:
    async def scenario(here: World) -> None:
        here.web.answer = given
        with pytest.raises(PolicyFault, match=reason):
            await here.fetcher.fetch("guest.example")

    run(scenario)


@pytest.mark.parametrize("temper", ["wrong name", "expired", "self-signed"])
def test_the_certificate_must_be_good(tmp_path: Path, authority: Authority, temper: str) -> None:
    name = "www.guest.example" if temper == "wrong name" else NAME
    tls = authority.server(name, is_expired=temper == "expired", is_self_signed=temper == "self-signed")

    async def inside() -> None:
        with open_store(f"sqlite:{tmp_path}/waybill.db", tmp_path) as store:
            async with world(store, authority, tls) as here:
                with pytest.raises(PolicyFault, match=r"certificate of mta-sts\.guest\.example is not valid"):
                    await here.fetcher.fetch("guest.example")
                assert here.web.requests == []

    asyncio.run(inside())


def test_a_policy_host_on_this_machine_is_not_asked(authority: Authority) -> None:
    async def inside() -> None:
        async with answering({(NAME, "A"): ["127.0.0.1"]}) as dns:
            resolver = Resolver([HostPort("127.0.0.1", dns.port)], timeout=0.3, lifetime=0.6, clock=lambda: 0.0)
            fetcher = PolicyFetcher(finder(resolver), may_connect=lambda ip: False, context=TlsContexts.build().checked)
            with pytest.raises(PolicyFault, match="no address that may be used"):
                await fetcher.fetch("guest.example")
            await resolver.close()

    asyncio.run(inside())
