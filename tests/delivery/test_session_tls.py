"""Which connection is encrypted, which goes on in clear text, and which mail is not sent at all."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from relay.delivery.contract import Credentials, HostResult, TlsMode
from relay.delivery.session import SmtpSession
from relay.delivery.tls import TlsContexts
from relay.model import Stage
from tests.delivery.certificates import Authority
from tests.delivery.peer import EHLO_TLS, Peer, Say, Script, serving
from tests.delivery.sending import IMPATIENT, connector, envelope, host, only_reply, send

MAY, NONE, ENCRYPT, VERIFY = TlsMode.MAY, TlsMode.NONE, TlsMode.ENCRYPT, TlsMode.VERIFY


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def contexts(authority: Authority) -> TlsContexts:
    return TlsContexts.build(ca_file=authority.ca_file)


def server_of_temper(temper: str, authority: Authority) -> tuple[dict[str, Say], ssl.SSLContext]:
    """What such a server says, and its TLS."""
    script: dict[str, Say] = {"EHLO": Say(EHLO_TLS)}
    if temper == "handshake broken":
        script["STARTTLS"] = Say(b"220 go\r\n", "garbage tls")
    elif temper == "hangs up":
        script["STARTTLS"] = Say(b"220 go\r\n", "close")
    elif temper == "silent":
        script["STARTTLS"] = Say(b"220 go\r\n", "stall")
    elif temper == "454":
        script["STARTTLS"] = Say(b"454 4.7.0 TLS not available\r\n")
    elif temper == "502":
        script["STARTTLS"] = Say(b"502 5.5.1 what?\r\n")
    elif temper == "not offered":
        script["EHLO"] = Say(b"250 mx.test\r\n")
    tls = {
        "self-signed": lambda: authority.server("mx.test", is_self_signed=True),
        "expired": lambda: authority.server("mx.test", is_expired=True),
        "wrong name": lambda: authority.server("other.test"),
        "TLS 1.0 only": lambda: authority.old_server("mx.test"),
    }.get(temper, lambda: authority.server("mx.test"))()
    return script, tls


async def send_by(peer: Peer, mode: TlsMode, contexts: TlsContexts) -> HostResult:
    return await send(peer.port, tls=mode, contexts=contexts, timeouts=IMPATIENT)


ENCRYPTED = "encrypted with TLSv1.3; certificate "
CLEAR = "clear text: "
NOTHING = "nothing sent: "


@pytest.mark.parametrize(
    ("temper", "mode", "decision"),
    [
        ("good", NONE, CLEAR + "TLS is switched off in the settings"),
        ("good", MAY, ENCRYPTED + "not checked (opportunistic)"),
        ("good", ENCRYPT, ENCRYPTED + "not checked (required)"),
        ("good", VERIFY, ENCRYPTED + "checked and valid for mx.test"),
        ("self-signed", MAY, ENCRYPTED + "not checked (opportunistic)"),
        ("self-signed", ENCRYPT, ENCRYPTED + "not checked (required)"),
        ("self-signed", VERIFY, NOTHING + "TLS with a valid certificate is required and the certificate is not valid"),
        ("expired", MAY, ENCRYPTED + "not checked (opportunistic)"),
        ("expired", VERIFY, NOTHING + "TLS with a valid certificate is required and the certificate is not valid"),
        ("wrong name", MAY, ENCRYPTED + "not checked (opportunistic)"),
        ("wrong name", VERIFY, NOTHING + "TLS with a valid certificate is required and the certificate is not valid"),
        ("handshake broken", MAY, CLEAR + "the TLS handshake failed"),
        ("handshake broken", ENCRYPT, NOTHING + "TLS is required and the TLS handshake failed"),
        ("handshake broken", VERIFY, NOTHING + "TLS with a valid certificate is required and the TLS handshake failed"),
        ("hangs up", MAY, CLEAR + "the server closed the connection during the TLS handshake, tried again"),
        ("hangs up", ENCRYPT, NOTHING + "TLS is required and the server closed the connection"),
        ("silent", MAY, CLEAR + "the TLS handshake took too long"),
        ("silent", ENCRYPT, NOTHING + "TLS is required and the TLS handshake took too long"),
        ("454", MAY, CLEAR + "the server refused STARTTLS (454 4.7.0 TLS not available)"),
        ("454", ENCRYPT, NOTHING + "TLS is required and the server refused STARTTLS (454"),
        ("502", MAY, CLEAR + "the server refused STARTTLS (502"),
        ("502", VERIFY, NOTHING + "TLS with a valid certificate is required and the server refused STARTTLS (502"),
        ("not offered", MAY, CLEAR + "the server does not offer STARTTLS"),
        ("not offered", ENCRYPT, NOTHING + "TLS is required and the server does not offer STARTTLS"),
        ("TLS 1.0 only", MAY, CLEAR + "the server closed the connection during the TLS handshake, tried again"),
        ("TLS 1.0 only", ENCRYPT, NOTHING + "TLS is required and the server closed the connection"),
    ],
)
def test_the_tls_decision(
    temper: str, mode: TlsMode, decision: str, authority: Authority, contexts: TlsContexts
) -> None:
    script, tls = server_of_temper(temper, authority)

    async def scenario() -> tuple[HostResult, Peer]:
        async with serving(script, tls=tls) as peer:
            return await send_by(peer, mode, contexts), peer

    result, peer = asyncio.run(scenario())
    assert (result.tls_decision or "").startswith(decision)
    mail = [command for command in peer.commands if command.startswith(("MAIL", "RCPT"))]
    encrypted_mail = [command for command in peer.encrypted if command.startswith(("MAIL", "RCPT"))]
    reply = only_reply(result)
    if decision.startswith(NOTHING):
        assert (mail, peer.contents) == ([], [])
        assert (reply.stage, result.is_host_failure, result.tls) == (Stage.STARTTLS, True, None)
        assert reply.code in {None, 454, 502}
    else:
        assert reply.code == 250
        assert len(peer.contents) == 1
        is_encrypted = decision.startswith(ENCRYPTED)
        assert (encrypted_mail == mail) == is_encrypted
        assert (result.tls or "").startswith("TLSv1.3 TLS_") == is_encrypted
    assert peer.connections == (2 if mode is MAY and "handshake" in decision else peer.connections)


def with_peer(script: Script, tls: ssl.SSLContext | None, scenario: Callable[[Peer], Awaitable[None]]) -> None:
    async def run() -> None:
        async with serving(script, tls=tls) as peer:
            await scenario(peer)

    asyncio.run(run())


@pytest.mark.parametrize("tail", [b"250 injected\r\n", b"250 inj"])
@pytest.mark.parametrize("mode", [MAY, ENCRYPT])
def test_bytes_slipped_in_before_tls_are_never_believed(
    tail: bytes, mode: TlsMode, authority: Authority, contexts: TlsContexts
) -> None:
    async def scenario(peer: Peer) -> None:
        result = await send_by(peer, mode, contexts)
        if mode is ENCRYPT:
            assert only_reply(result).code is None
            assert peer.contents == []
        assert "injected" not in (result.tls or "")
        assert peer.encrypted == []

    script = {"EHLO": Say(EHLO_TLS), "STARTTLS": Say(b"220 go\r\n" + tail, "tls")}
    with_peer(script, authority.server("mx.test"), scenario)


def test_extensions_said_in_clear_are_forgotten_inside_tls(authority: Authority, contexts: TlsContexts) -> None:
    async def scenario(peer: Peer) -> None:
        assert only_reply(await send_by(peer, MAY, contexts)).code == 250
        assert not any("SIZE=" in command for command in peer.commands)
        assert [command for command in peer.encrypted if command.startswith("EHLO")]

    script = {"EHLO": [Say(b"250-mx\r\n250-SIZE 5\r\n250 STARTTLS\r\n"), Say(b"250 mx\r\n")]}
    with_peer(script, authority.server("mx.test"), scenario)


@pytest.mark.parametrize("name", ["mx.test", "other.test"])
def test_implicit_tls_needs_a_valid_certificate(name: str, authority: Authority, contexts: TlsContexts) -> None:
    async def scenario() -> HostResult | SmtpSession:
        peer = Peer({"EHLO": Say(b"250-mx\r\n250 AUTH PLAIN\r\n"), "AUTH": Say(b"235 2.7.0 ok\r\n")})
        server = await asyncio.start_server(peer.handle, "127.0.0.1", 0, ssl=authority.server(name))
        port = server.sockets[0].getsockname()[1]
        credentials = Credentials(username="hotel", password="sesame")
        found = await connector(contexts=contexts).connect(host(port), tls=TlsMode.IMPLICIT, credentials=credentials)
        if isinstance(found, SmtpSession):
            result = await found.deliver(envelope())
            await found.quit()
        else:
            result = found
        server.close()
        await peer.close()
        await server.wait_closed()
        assert len(peer.contents) == (name == "mx.test")
        return result

    result = asyncio.run(scenario())
    assert isinstance(result, HostResult)
    reply = only_reply(result)
    if name == "mx.test":
        assert reply.code == 250
        assert result.tls_decision == "encrypted with TLSv1.3; certificate checked and valid for mx.test"
    else:
        assert (reply.code, reply.stage, result.is_host_failure) == (None, Stage.STARTTLS, True)
        assert "certificate is not valid" in reply.text


def test_a_missing_authority_file_is_an_error_at_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        TlsContexts.build(ca_file=tmp_path / "none.pem")


def test_a_server_whose_tls_is_broken_is_asked_for_it_once(contexts: TlsContexts, authority: Authority) -> None:
    script, tls = server_of_temper("handshake broken", authority)

    async def scene() -> tuple[list[str], list[str]]:
        async with serving(script, tls=tls) as peer:
            connecting = connector(contexts=contexts, timeouts=IMPATIENT)
            decisions = []
            for _ in range(2):
                session = await connecting.connect(host(peer.port), tls=MAY)
                assert isinstance(session, SmtpSession)
                decisions.append((await session.deliver(envelope())).tls_decision or "")
                session.abort()
            strict = await connecting.connect(host(peer.port), tls=ENCRYPT)  # what is required is tried every time
            assert isinstance(strict, HostResult)
            return decisions, peer.commands

    decisions, commands = asyncio.run(scene())
    assert decisions[0].endswith("tried again without TLS")
    assert decisions[1].startswith("clear text: the TLS handshake failed")
    assert decisions[1].endswith("a while ago")
    assert commands.count("STARTTLS") == 2
