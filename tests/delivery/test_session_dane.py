"""Connections to hosts with TLSA records, and to those of a domain that only tests its MTA-STS policy."""

from __future__ import annotations

import asyncio
import hashlib
import ssl

import pytest
import uvloop

from relay.delivery.contract import Host, HostResult, Protection, TlsMode
from relay.delivery.dane import Tlsa
from relay.delivery.tls import TlsContexts
from relay.model import DeliveryId, Stage
from tests.delivery.certificates import Authority
from tests.delivery.peer import EHLO_TLS, Peer, Say, serving
from tests.delivery.sending import IMPATIENT, connector, envelope


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def send(
    protection: Protection,
    authority: Authority,
    *,
    tls: ssl.SSLContext | None,
    starttls: Say | None = None,
    is_uvloop: bool = False,
) -> tuple[HostResult, Peer]:
    """Send one mail to a server with that TLS (None: it offers none)."""

    async def run() -> tuple[HostResult, Peer]:
        script = {"EHLO": Say(EHLO_TLS if tls or starttls else b"250 mx.test\r\n")}
        script |= {"STARTTLS": starttls} if starttls else {}
        async with serving(script, tls=tls) as peer:
            contexts = TlsContexts.build(ca_file=authority.ca_file)
            host = Host(name="mx.test", ip="127.0.0.1", port=peer.port, protection=protection)
            got = await connector(contexts=contexts, timeouts=IMPATIENT).connect(host, tls=TlsMode.MAY)
            if isinstance(got, HostResult):
                return got, peer
            result = await got.deliver(envelope())
            await got.quit()
            return result, peer

    if is_uvloop:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(run())
    return asyncio.run(run())


def by_records(*records: Tlsa) -> Protection:
    return Protection(mode=TlsMode.DANE, because="its TLSA records", tlsa=records, names=("mx.test", "guest.example"))


def hash_of(der: bytes) -> bytes:
    return hashlib.sha256(der).digest()


@pytest.mark.parametrize("is_uvloop", [False, True], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("usage", [2, 3])
def test_a_certificate_that_fits_its_records_gets_the_mail(authority: Authority, usage: int, is_uvloop: bool) -> None:
    tls = authority.server("mx.test", with_authority=True)
    certificate = authority.served if usage == 3 else authority.own
    result, peer = send(by_records(Tlsa(usage, 0, 1, hash_of(certificate))), authority, tls=tls, is_uvloop=is_uvloop)
    assert len(peer.contents) == 1
    assert result.tls_decision == "encrypted with TLSv1.3; certificate checked against the TLSA records of mx.test"


@pytest.mark.parametrize(
    ("temper", "words"),
    [
        ("another certificate", "none of those that its TLSA records name"),
        ("no TLS", "does not offer STARTTLS"),
        ("refuses", "refused STARTTLS"),
        ("garbage", "TLS handshake failed"),
    ],
)
def test_without_it_not_one_byte_of_mail_goes_out(authority: Authority, temper: str, words: str) -> None:
    tls = None if temper == "no TLS" else authority.server("mx.test")
    starttls = {"refuses": Say(b"454 4.7.0 no\r\n"), "garbage": Say(b"220 go\r\n", "garbage tls")}.get(temper)
    result, peer = send(by_records(Tlsa(3, 0, 1, hash_of(b"other"))), authority, tls=tls, starttls=starttls)
    assert peer.contents == []
    assert not any(command.startswith("MAIL") for command in peer.commands)
    assert result.is_host_failure
    reply = result.replies[DeliveryId("")]
    assert (reply.stage, reply.code is None or 400 <= reply.code < 500) == (Stage.STARTTLS, True)
    assert words in (result.tls_decision or "")
    assert "required by its TLSA records" in (result.tls_decision or "")


TESTING = Protection(mode=TlsMode.TESTING, because="the MTA-STS policy of guest.example")


def test_testing_with_a_good_certificate_says_that_it_was_checked(authority: Authority) -> None:
    result, peer = send(TESTING, authority, tls=authority.server("mx.test"))
    assert len(peer.contents) == 1
    assert "certificate checked and valid for mx.test" in (result.tls_decision or "")
    assert "(the MTA-STS policy of guest.example (testing))" in (result.tls_decision or "")


@pytest.mark.parametrize(
    ("temper", "decision"),
    [
        ("self-signed", "encrypted with TLSv1.3; certificate not checked"),
        ("no TLS", "clear text: the server does not offer STARTTLS"),
        ("garbage", "clear text: the TLS handshake failed"),
    ],
)
def test_testing_delivers_what_enforce_would_have_refused_and_says_so(
    authority: Authority, temper: str, decision: str
) -> None:
    tls = None if temper == "no TLS" else authority.server("mx.test", is_self_signed=temper == "self-signed")
    starttls = Say(b"220 go\r\n", "garbage tls") if temper == "garbage" else None
    result, peer = send(TESTING, authority, tls=tls, starttls=starttls)
    assert len(peer.contents) == 1
    assert (result.tls_decision or "").startswith(decision)
    assert "only testing, so it goes on without" in result.conversation
    assert "would have refused it" in (result.tls_decision or "")
