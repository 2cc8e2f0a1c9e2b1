"""Opening connections: where to, from where, and how a connection that cannot be opened is told."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from subprocess import DEVNULL, Popen

import pytest

from relay.delivery.contract import HostResult, TlsMode
from relay.delivery.session import SmtpSession
from relay.model import DeliveryId, Stage
from relay.settings import HostPort, Listener, SourceAddress
from tests.delivery.peer import Peer, Say, Script, serving
from tests.delivery.sending import CONTEXTS, connector, envelope, host, only_reply

Found = SmtpSession | HostResult


def connect(script: Script, **settings: object) -> tuple[HostResult | None, Peer]:
    """Connect to a scripted server; None when that worked."""

    async def scenario() -> tuple[HostResult | None, Peer]:
        async with serving(script) as peer:
            found = await connector(**settings).connect(host(peer.port), tls=TlsMode.MAY)  # type: ignore[arg-type]
            if isinstance(found, HostResult):
                return found, peer
            await found.quit()
            return None, peer

    return asyncio.run(scenario())


@pytest.mark.parametrize("is_configured", [False, True])
def test_a_private_address_is_not_connected_unless_the_configuration_names_it(is_configured: bool) -> None:
    async def scenario() -> None:
        async with serving() as peer:
            to = host(peer.port, is_configured=is_configured)
            found = await connector(allow_private_addresses=False).connect(to, tls=TlsMode.MAY)
            if isinstance(found, HostResult):
                reply = found.replies[DeliveryId("")]
                assert (reply.code, reply.enhanced, reply.host) == (550, "5.4.4", "mx.test")
                assert (found.is_host_failure, peer.connections) == (True, 0)
            else:
                await found.quit()
            assert isinstance(found, HostResult) != is_configured

    asyncio.run(scenario())


def test_our_own_listener_is_refused_before_a_packet_leaves() -> None:
    async def scenario() -> None:
        async with serving() as peer:
            listeners = [Listener(address=HostPort("127.0.0.1", peer.port))]
            found = await connector(listeners=listeners).connect(host(peer.port), tls=TlsMode.MAY)
            assert isinstance(found, HostResult)
            assert only_reply(found).enhanced == "5.4.6"
            assert peer.connections == 0

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("greeting", "hostname", "machine", "is_loop"),
    [
        (b"220 relay.example.com ESMTP\r\n", "relay.example.com", "machine", True),
        (b"220 RELAY.example.com. ESMTP\r\n", "relay.example.com", "machine", True),
        (b"220 other.example.com for relay.example.com\r\n", "relay.example.com", "machine", False),
        (b"220 machine ESMTP Postfix\r\n", "machine", "machine", False),
        (b"220 localhost\r\n", "localhost", "machine", False),
        (b"220\r\n", "relay.example.com", "machine", False),
    ],
)
def test_our_own_name_in_the_greeting_is_a_loop(greeting: bytes, hostname: str, machine: str, is_loop: bool) -> None:
    result, _ = connect({"greeting": Say(greeting)}, hostname=hostname, machine_name=machine)
    assert (result is not None) == is_loop
    if result is not None:
        reply = only_reply(result)
        assert (reply.code, reply.enhanced, reply.stage) == (550, "5.4.6", Stage.CONNECT)


def test_a_closed_port_is_told_in_words() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets it
        port = taken.getsockname()[1]
        found = asyncio.run(connector().connect(host(port), tls=TlsMode.MAY))
    assert isinstance(found, HostResult)
    reply = only_reply(found)
    assert (reply.code, reply.enhanced, reply.stage, reply.host) == (None, "4.4.1", Stage.CONNECT, "mx.test")
    assert reply.text == f"cannot connect to mx.test (127.0.0.1) port {port}: connection refused"
    assert found.is_host_failure
    assert reply.text in found.conversation


def test_a_connection_that_is_never_answered_times_out() -> None:
    async def scenario() -> Found:
        with socket.socket() as full:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            fillers = [socket.socket() for _ in range(4)]
            try:
                for filler in fillers:  # a full backlog drops what comes next
                    filler.setblocking(False)
                    filler.connect_ex(full.getsockname())
                await asyncio.sleep(0.05)
                timeouts = {"connect": "300ms"}
                return await connector(timeouts=timeouts).connect(host(full.getsockname()[1]), tls=TlsMode.MAY)
            finally:
                for filler in fillers:
                    filler.close()

    found = asyncio.run(scenario())
    assert isinstance(found, HostResult)
    reply = only_reply(found)
    assert (reply.code, reply.enhanced) == (None, "4.4.1")
    assert "no answer from mx.test (127.0.0.1)" in reply.text
    assert found.took.total_seconds() <= 0.3 + 1.0  # its place is free again


def test_each_server_address_sees_one_of_our_sources_and_its_name() -> None:
    sources = [SourceAddress(address=f"127.0.0.{n}", hostname=f"out{n}.example.com") for n in (11, 12, 13)]

    async def scenario() -> None:
        seen = set()
        async with serving() as peer, serving() as other:
            opened = connector(source_addresses=sources)
            for ip, to in (("127.0.0.1", peer), ("127.0.0.1", peer), ("127.0.0.1", other)):
                session = await opened.connect(host(to.port, ip=ip), tls=TlsMode.MAY)
                assert isinstance(session, SmtpSession)
                result = await session.deliver(envelope())
                await session.quit()
                seen.add(result.source)
                number = (result.source or "").rpartition(".")[2]
                assert to.commands[0] == f"EHLO out{number}.example.com"
        assert len(seen) == 1

    asyncio.run(scenario())


def test_an_apps_choice_of_source_addresses_decides_where_from_and_under_what_name() -> None:
    sources = [SourceAddress(address=f"127.0.0.{n}", hostname=f"out{n}.example.com") for n in (11, 12, 13)]

    async def scenario() -> None:
        async with serving() as peer:
            opened = connector(source_addresses=sources)
            for number in (11, 12, 13):
                wanted = replace(host(peer.port), sources=(f"127.0.0.{number}",))
                session = await opened.connect(wanted, tls=TlsMode.MAY)
                assert isinstance(session, SmtpSession)
                result = await session.deliver(envelope())
                await session.quit()
                assert result.source == f"127.0.0.{number}"
                assert f"EHLO out{number}.example.com" in peer.commands

    asyncio.run(scenario())


@pytest.mark.parametrize("addresses", [("127.0.0.11", "203.0.113.9"), ("203.0.113.9", "127.0.0.11")])
def test_a_source_address_of_another_node_is_never_used(addresses: tuple[str, str]) -> None:
    async def scenario() -> str | None:
        sources = [SourceAddress(address=address) for address in addresses]
        async with serving() as peer:
            opened = connector(source_addresses=sources, own_addresses={"127.0.0.11"})
            session = await opened.connect(host(peer.port), tls=TlsMode.MAY)
            assert isinstance(session, SmtpSession)
            result = await session.deliver(envelope())
            await session.quit()
            return result.source

    assert asyncio.run(scenario()) == "127.0.0.11"


def test_a_source_address_that_is_not_ours_is_told_in_words() -> None:
    result, _ = connect({}, source_addresses=[SourceAddress(address="203.0.113.9")])
    assert result is not None
    assert only_reply(result).text == "cannot send from 203.0.113.9: it is no address of this machine"
    assert not result.was_asked, "it says nothing about the server"


@pytest.mark.parametrize("code", [421, 450, 554])
def test_a_refused_greeting_is_the_hosts_failure(code: int) -> None:
    result, _ = connect({"greeting": Say(b"%d 4.3.2 not now\r\n" % code)})
    assert result is not None
    assert (only_reply(result).code, only_reply(result).stage) == (code, Stage.CONNECT)
    assert result.is_host_failure


def test_a_cancelled_connect_leaves_nothing_open() -> None:
    async def scenario() -> None:
        async with serving({"greeting": Say(b"", "stall")}) as peer:
            opening = asyncio.ensure_future(connector().connect(host(peer.port), tls=TlsMode.MAY))
            await peer.is_connected.wait()
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening

    asyncio.run(scenario())


@contextmanager
def smtp_sink(*options: str) -> Iterator[int]:
    """Run Postfix's smtp-sink on a free port."""
    program = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        pytest.skip("smtp-sink is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    as_nobody = ["-u", "nobody"] if os.geteuid() == 0 else []
    sink = Popen([program, *as_nobody, *options, f"127.0.0.1:{port}", "10"], stderr=DEVNULL)
    try:
        yield port
    finally:
        sink.kill()
        sink.wait()


async def connect_when_up(port: int) -> SmtpSession:
    for _ in range(200):
        found = await connector().connect(host(port), tls=TlsMode.MAY)
        if isinstance(found, SmtpSession):
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("smtp-sink did not start")


@pytest.mark.parametrize("options", [(), ("-p",), ("-e",), ("-8",)], ids=str)
def test_a_real_server_takes_ten_messages_on_one_connection(options: tuple[str, ...]) -> None:
    async def scenario(port: int) -> None:
        session = await connect_when_up(port)
        for _ in range(10):
            result = await session.deliver(envelope("anna@guest.example", "bert@guest.example"))
            assert {reply.code for reply in result.replies.values()} == {250}
        assert session.sent_count == 10
        await session.quit()

    with smtp_sink(*options) as port:
        asyncio.run(scenario(port))


@pytest.mark.parametrize(
    ("option", "codes"),
    [(("-f", "rcpt"), {500}), (("-r", "data"), {450}), (("-q", "rcpt"), {None}), (("-Q", "."), {421})],
    ids=str,
)
def test_a_real_server_that_refuses_gives_that_reply(option: tuple[str, ...], codes: set[int | None]) -> None:
    async def scenario(port: int) -> None:
        session = await connect_when_up(port)
        result = await session.deliver(envelope())
        got = {reply.code for reply in result.replies.values()}
        assert got == codes, result.conversation
        await session.quit()

    with smtp_sink(*option) as port:
        asyncio.run(scenario(port))


def test_every_mode_has_a_context_that_refuses_old_tls() -> None:
    for mode in (TlsMode.MAY, TlsMode.ENCRYPT, TlsMode.VERIFY, TlsMode.IMPLICIT):
        context = CONTEXTS.of(mode)
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        is_checked = mode in {TlsMode.VERIFY, TlsMode.IMPLICIT}
        assert (context.verify_mode == ssl.CERT_REQUIRED, context.check_hostname) == (is_checked, is_checked)
