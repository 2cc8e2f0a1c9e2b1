"""One transaction after another on one connection: what goes on the wire, and which recipient gets which reply."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from relay.delivery import exchange
from relay.delivery.contract import Credentials, HostResult, TlsMode
from relay.model import DeliveryId, Stage
from relay.settings import Timeouts
from tests.delivery.peer import EHLO, EHLO_PLAIN, Peer, Say, Script, serving
from tests.delivery.sending import (
    CONTENT,
    IMPATIENT,
    connector,
    delivery,
    envelope,
    host,
    only_reply,
    open_session,
    send,
)

EHLOS = pytest.mark.parametrize("ehlo", [EHLO, EHLO_PLAIN], ids=["pipelined", "one by one"])
ANNA, BERT, CARL = "anna@guest.example", "bert@guest.example", "carl@guest.example"


def with_peer(script: Script, scenario: Callable[[Peer], Awaitable[None]]) -> None:
    async def run() -> None:
        async with serving(script) as peer:
            await scenario(peer)

    asyncio.run(run())


@EHLOS
def test_a_message_arrives_byte_for_byte(ehlo: bytes) -> None:
    async def scenario(peer: Peer) -> None:
        result = await send(peer.port)
        reply = only_reply(result)
        assert (reply.code, reply.enhanced, reply.text, reply.stage) == (250, "2.0.0", "taken", Stage.DATA)
        assert peer.contents == [CONTENT + b".\r\n"]
        size = f" SIZE={len(CONTENT)}" if ehlo == EHLO else ""
        mail, rcpt, data = peer.commands[1:4]
        assert peer.commands[0] == "EHLO relay.example.com"
        assert (mail, rcpt, data) == (f"MAIL FROM:<desk@hotel.example>{size}", f"RCPT TO:<{ANNA}>", "DATA")
        assert (result.source, result.tls, result.is_unknown, result.is_reused) == ("127.0.0.1", None, False, False)
        assert result.tls_decision == "clear text: the server does not offer STARTTLS"
        steps = {"connect", "greeting", "ehlo", "mail", "rcpt", "data", "final"}
        assert set(result.timings) == steps

    with_peer({"EHLO": Say(ehlo)}, scenario)


@EHLOS
def test_a_connection_carries_one_transaction_after_another(ehlo: bytes) -> None:
    async def scenario(peer: Peer) -> None:
        session = await open_session(peer.port)
        assert (session.is_usable, session.sent_count) == (True, 0)
        first = await session.deliver(envelope())
        second = await session.deliver(envelope())
        assert (first.is_reused, second.is_reused, session.sent_count) == (False, True, 2)
        assert "connect" not in second.timings
        assert session.is_usable
        await session.quit()
        assert not session.is_usable
        assert (peer.connections, len(peer.contents), peer.commands[-1]) == (1, 2, "QUIT")
        assert "RSET" not in peer.commands

    with_peer({"EHLO": Say(ehlo)}, scenario)


@EHLOS
def test_each_recipient_gets_its_own_reply(ehlo: bytes) -> None:
    async def scenario(peer: Peer) -> None:
        session = await open_session(peer.port)
        result = await session.deliver(envelope(ANNA, BERT, CARL))
        codes = {address: reply.code for address, reply in result.replies.items()}
        assert codes == {ANNA: 250, BERT: 550, CARL: 450}
        stages = [result.replies[DeliveryId(address)].stage for address in (ANNA, BERT, CARL)]
        assert stages == [Stage.DATA, Stage.RCPT, Stage.RCPT]
        assert len(peer.contents) == 1
        assert session.is_usable
        await session.quit()

    script = {
        "EHLO": Say(ehlo),
        f"RCPT TO:<{BERT}>": Say(b"550 5.1.1 unknown\r\n"),
        f"RCPT TO:<{CARL}>": Say(b"450 4.2.0 greylisted\r\n"),
    }
    with_peer(script, scenario)


@EHLOS
@pytest.mark.parametrize(("said", "code"), [(b"452 4.3.1 later\r\n", 452), (b"554 5.7.1 spam\r\n", 554)])
@pytest.mark.parametrize("at", ["DATA", "content"])
def test_a_refused_content_is_the_reply_of_those_that_were_accepted(
    at: str, said: bytes, code: int, ehlo: bytes
) -> None:
    async def scenario(peer: Peer) -> None:
        result = await send(peer.port, envelope(ANNA, BERT))
        assert {address: reply.code for address, reply in result.replies.items()} == {ANNA: code, BERT: 550}

    with_peer({"EHLO": Say(ehlo), f"RCPT TO:<{BERT}>": Say(b"550 5.1.1 no\r\n"), at: Say(said)}, scenario)


@EHLOS
def test_nothing_is_sent_when_all_recipients_are_refused_and_the_next_transaction_resets(ehlo: bytes) -> None:
    async def scenario(peer: Peer) -> None:
        session = await open_session(peer.port)
        assert only_reply(await session.deliver(envelope())).code == 550
        assert peer.contents == []
        assert session.is_usable
        assert only_reply(await session.deliver(envelope(BERT))).code == 250
        assert peer.commands.count("RSET") == 1
        assert only_reply(await session.deliver(envelope(BERT))).code == 250
        assert peer.commands.count("RSET") == 1
        await session.quit()

    script: Script = {
        "EHLO": Say(ehlo),
        f"RCPT TO:<{ANNA}>": Say(b"550 5.1.1 no\r\n"),
        "DATA": [Say(b"554 5.5.1 no recipients\r\n" if ehlo == EHLO else b"354 go\r\n"), Say(b"354 go\r\n")],
    }
    with_peer(script, scenario)


def test_a_server_that_wants_content_for_nobody_gets_a_lone_dot() -> None:
    async def scenario(peer: Peer) -> None:
        session = await open_session(peer.port)
        assert only_reply(await session.deliver(envelope())).code == 550
        assert peer.contents == [b".\r\n"]
        assert not session.is_usable
        await session.quit()

    with_peer({"RCPT": Say(b"550 5.1.1 no\r\n")}, scenario)


@EHLOS
@pytest.mark.parametrize("at", ["MAIL", "RCPT", "DATA", "content"])
def test_421_is_the_reply_of_everyone_still_open_and_ends_the_connection(at: str, ehlo: bytes) -> None:
    async def scenario(peer: Peer) -> None:
        session = await open_session(peer.port)
        result = await session.deliver(envelope(ANNA, BERT))
        assert {reply.code for reply in result.replies.values()} == {421}
        assert not session.is_usable
        await session.quit()
        assert "QUIT" not in peer.commands

    key = f"RCPT TO:<{BERT}>" if at == "RCPT" else at
    with_peer({"EHLO": Say(ehlo), key: Say(b"421 4.3.2 going down\r\n", "close")}, scenario)


@pytest.mark.parametrize("then", ["close", "reset", "stall"])
def test_a_lost_last_answer_leaves_the_outcome_unknown(then: str) -> None:
    async def scenario(peer: Peer) -> None:
        result = await send(peer.port, envelope(ANNA, BERT), timeouts=IMPATIENT)
        assert result.is_unknown
        assert result.replies.keys() == {ANNA, BERT}
        for reply in result.replies.values():
            assert (reply.code, reply.stage) == (None, Stage.DATA)
            assert "whether it was accepted is unknown" in reply.text
        assert peer.contents == [CONTENT + b".\r\n"]

    with_peer({"content": Say(b"", then)}, scenario)


@EHLOS
def test_a_connection_lost_before_the_content_is_not_unknown(ehlo: bytes) -> None:
    async def scenario(peer: Peer) -> None:
        result = await send(peer.port)
        assert (only_reply(result).code, result.is_unknown) == (None, False)

    with_peer({"EHLO": Say(ehlo), "DATA": Say(b"", "close")}, scenario)


@EHLOS
def test_refusals_before_a_silence_stay_refusals(ehlo: bytes) -> None:
    async def scenario(peer: Peer) -> None:
        result = await send(peer.port, envelope(ANNA, BERT, CARL), timeouts=IMPATIENT)
        assert {address: reply.code for address, reply in result.replies.items()} == {ANNA: None, BERT: 550, CARL: None}

    script = {
        "EHLO": Say(ehlo),
        f"RCPT TO:<{BERT}>": Say(b"550 5.1.1 unknown\r\n"),
        f"RCPT TO:<{CARL}>": Say(b"", "stall"),
    }
    with_peer(script, scenario)


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: x\r\n\r\na\n.\nMAIL FROM:<evil@x.example>\nb\r\n",
        b"Subject: x\r\n\r\na\r\n.\nQUIT\r\n",
        b"Subject: x\r\n\r\na\n.\r\nQUIT\r\n",
        b"Subject: x\r\n\r\na\r.\rQUIT\r\n",
        b"Subject: x\r\n\r\na\r.\r\nQUIT\r\n",
        b"Subject: x\r\n\r\na\r\n.\rQUIT\r\n",
        b"Subject: x\r\n\r\na\r\r\n.\r\r\nQUIT\r\n",
        b"Subject: x\r\n\r\na\r\n.\r\nMAIL FROM:<evil@x.example>\r\n",
        b".\r\nSubject: x\r\n\r\n.a\r\n..b\r\n...\r\n",
        b"Subject: no end of line\r\n\r\n.",
        b"Subject: x\r\n\r\nends in CR\r",
        b"\r\n.\r\n",
        b"",
    ],
    ids=repr,
)
def test_no_smuggling_bytes_go_on_the_wire(content: bytes) -> None:
    async def scenario(peer: Peer) -> None:
        assert only_reply(await send(peer.port, envelope(content=content))).code == 250
        (wire,) = peer.contents
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)", wire)
        body = wire.removesuffix(b".\r\n")
        assert not re.search(rb"(?:^|\r\n)\.(?!\.)", body)
        unstuffed = re.sub(rb"(^|\r\n)\.", rb"\1", body)
        if not re.search(rb"(?<!\r)\n|\r(?!\n)", content):
            assert unstuffed.removesuffix(b"\r\n") == content.removesuffix(b"\r\n")
        assert [command for command in peer.commands if "evil" in command] == []

    with_peer({}, scenario)


def test_a_large_message_goes_out_whole() -> None:
    content = b"Subject: x\r\n\r\n" + (b"." + b"y" * 76 + b"\r\n") * 30_000

    async def scenario(peer: Peer) -> None:
        assert only_reply(await send(peer.port, envelope(content=content))).code == 250
        assert peer.contents[0].removesuffix(b".\r\n").replace(b"\r\n..", b"\r\n.") == content

    with_peer({"EHLO": Say(EHLO_PLAIN)}, scenario)


def test_a_server_that_takes_no_more_of_the_content_is_left_and_the_mail_waits() -> None:
    """As a server that vanished from the network would: nothing of what we send is read or answered any more."""
    content = b"Subject: x\r\n\r\n" + (b"y" * 76 + b"\r\n") * 200_000

    async def scenario(peer: Peer) -> None:
        result = await send(peer.port, envelope(content=content), timeouts=IMPATIENT)
        reply = only_reply(result)
        assert (reply.code, reply.stage, result.is_unknown) == (None, Stage.DATA, False)
        assert "the server took no more data" in reply.text

    with_peer({"EHLO": Say(EHLO_PLAIN), "DATA": Say(b"354 go on\r\n", "stall")}, scenario)


@pytest.mark.parametrize(
    ("said", "code"),
    [(b"554 5.7.1 that is enough\r\n", 554), (b"250 2.0.0 I know the rest\r\n", None), (b"", None)],
)
def test_an_answer_before_the_end_of_the_content_is_a_refusal_or_nothing(said: bytes, code: int | None) -> None:
    content = b"Subject: x\r\n\r\n" + (b"y" * 76 + b"\r\n") * 200_000

    async def scenario() -> HostResult:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mx.test\r\n")
            for answer in (b"250 mx.test\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
                await reader.readline()
                writer.write(answer)
            await reader.read(1000)
            writer.write(said)
            await writer.drain()
            done.set()
            await finished.wait()
            writer.transport.abort()

        done, finished = asyncio.Event(), asyncio.Event()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        timeouts = Timeouts(block=timedelta(seconds=0.5), final=timedelta(seconds=0.5))
        result = await send(server.sockets[0].getsockname()[1], envelope(content=content), timeouts=timeouts)
        finished.set()
        server.close()
        await server.wait_closed()
        return result

    result = asyncio.run(scenario())
    assert (only_reply(result).code, result.is_unknown) == (code, False)


def test_a_message_over_the_size_limit_is_refused_without_sending_it() -> None:
    async def scenario(peer: Peer) -> None:
        session = await open_session(peer.port)
        result = await session.deliver(envelope(ANNA, BERT, content=b"x" * 1001))
        assert {(reply.code, reply.enhanced) for reply in result.replies.values()} == {(552, "5.3.4")}
        assert peer.commands == ["EHLO relay.example.com"]
        assert only_reply(await session.deliver(envelope(content=b"x" * 1000))).code == 250
        await session.quit()

    with_peer({"EHLO": Say(b"250-mx\r\n250 SIZE 1000\r\n")}, scenario)


@pytest.mark.parametrize("size", [b"SIZE", b"SIZE 0", b"SIZE lots", b"SIZE " + b"9" * 5000])
def test_a_size_that_is_no_limit_limits_nothing(size: bytes) -> None:
    async def scenario(peer: Peer) -> None:
        assert only_reply(await send(peer.port)).code == 250

    with_peer({"EHLO": Say(b"250-mx\r\n250 " + size + b"\r\n")}, scenario)


def test_international_addresses_use_smtputf8_where_it_is_offered() -> None:
    async def scenario(peer: Peer) -> None:
        sent = envelope("jörg@gäste.example", ANNA, is_smtputf8=True)
        result = await send(peer.port, sent)
        assert all(reply.code == 250 for reply in result.replies.values())
        assert peer.commands[1].endswith(" SMTPUTF8")
        assert peer.commands[2] == "RCPT TO:<jörg@gäste.example>"

    with_peer({"EHLO": Say(b"250-mx\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n")}, scenario)


@EHLOS
def test_without_smtputf8_only_the_international_local_part_is_refused(ehlo: bytes) -> None:
    async def scenario(peer: Peer) -> None:
        result = await send(peer.port, envelope("jörg@guest.example", "anna@gäste.example", ANNA))
        reply = result.replies[DeliveryId("jörg@guest.example")]
        assert (reply.code, reply.enhanced) == (553, "5.6.7")
        assert result.replies[DeliveryId("anna@gäste.example")].code == 250
        assert result.replies[DeliveryId(ANNA)].code == 250
        rcpts = [command for command in peer.commands if command.startswith("RCPT")]
        assert rcpts == ["RCPT TO:<anna@xn--gste-loa.example>", f"RCPT TO:<{ANNA}>"]

    with_peer({"EHLO": Say(ehlo)}, scenario)


def test_an_international_sender_or_header_needs_smtputf8() -> None:
    async def scenario(peer: Peer) -> None:
        for sent in (
            envelope(mail_from="hôtel@hotel.example"),
            envelope(content="Subject: réservation\r\n\r\nx\r\n".encode(), is_smtputf8=True),
        ):
            reply = only_reply(await send(peer.port, sent))
            assert (reply.code, reply.enhanced) == (553, "5.6.7")
        assert not any(command.startswith("MAIL") for command in peer.commands)
        # Raw 8-bit in a header of an old app is no reason to refuse.
        assert only_reply(await send(peer.port, envelope(content=b"Subject: \xe9\r\n\r\nx\r\n"))).code == 250

    with_peer({}, scenario)


@pytest.mark.parametrize(
    ("ehlo", "mail", "rcpt"),
    [
        (
            b"250-mx\r\n250-dsn\r\n250 8bitMIME\r\n",
            " BODY=8BITMIME RET=HDRS ENVID=a+3Db",
            " NOTIFY=FAILURE ORCPT=rfc822;x",
        ),
        (b"250 mx\r\n", "", ""),
    ],
)
def test_parameters_go_only_to_servers_that_offer_them(ehlo: bytes, mail: str, rcpt: str) -> None:
    async def scenario(peer: Peer) -> None:
        sent = envelope(
            delivery(ANNA, notify="FAILURE", orcpt="rfc822;x"), is_8bit=True, ret="HDRS", envid="a+3Db", mail_from=""
        )
        assert only_reply(await send(peer.port, sent)).code == 250
        assert peer.commands[1:3] == [f"MAIL FROM:<>{mail}", f"RCPT TO:<{ANNA}>{rcpt}"]

    with_peer({"EHLO": Say(ehlo)}, scenario)


@pytest.mark.parametrize(
    ("ehlo", "want"),
    [
        (b"250-mx\r\n250-DSN\r\n250 SMTPUTF8\r\n", "utf-8;jürgen@gäst.example"),
        (b"250-mx\r\n250 DSN\r\n", "utf-8;j\\x{FC}rgen@g\\x{E4}st.example"),
    ],
)
def test_an_international_original_recipient_is_ascii_where_the_server_knows_nothing_else(
    ehlo: bytes, want: str
) -> None:
    async def scenario(peer: Peer) -> None:
        sent = envelope(delivery(ANNA, notify="NEVER", orcpt="utf-8;jürgen@gäst.example"))
        assert only_reply(await send(peer.port, sent)).code == 250
        assert peer.commands[2] == f"RCPT TO:<{ANNA}> NOTIFY=NEVER ORCPT={want}"

    with_peer({"EHLO": Say(ehlo)}, scenario)


@pytest.mark.parametrize(
    "address", ["anna@guest.example\r\nRCPT TO:<evil@x.example>", "an\x00na@guest.example", "a\tb@guest.example"]
)
def test_a_control_character_never_becomes_a_command(address: str) -> None:
    async def scenario(peer: Peer) -> None:
        result = await send(peer.port, envelope(address, BERT))
        assert result.replies[DeliveryId(address)].enhanced == "5.1.3"
        assert result.replies[DeliveryId(BERT)].code == 250
        assert [command for command in peer.commands if "evil" in command] == []
        refused = only_reply(await send(peer.port, envelope(mail_from=address)))
        assert refused.enhanced == "5.1.7"

    with_peer({}, scenario)


@pytest.mark.parametrize(
    "address", ['"anna smith"@guest.example', '"a@b"@guest.example', "Anna+Tag@Guest.Example", "a,b@guest.example"]
)
def test_the_address_goes_on_the_wire_as_it_is_stored(address: str) -> None:
    async def scenario(peer: Peer) -> None:
        await send(peer.port, envelope(address))
        assert peer.commands[2] == f"RCPT TO:<{address}>"

    with_peer({}, scenario)


def test_helo_is_said_to_a_server_that_knows_no_ehlo() -> None:
    async def scenario(peer: Peer) -> None:
        assert only_reply(await send(peer.port)).code == 250
        assert peer.commands[:2] == ["EHLO relay.example.com", "HELO relay.example.com"]
        assert peer.commands[2] == "MAIL FROM:<desk@hotel.example>"

    with_peer({"EHLO": Say(b"502 5.5.1 what?\r\n")}, scenario)


def test_unasked_bytes_make_a_connection_unusable() -> None:
    async def scenario() -> None:
        said = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"220 mx.test\r\n")
            await reader.readline()
            writer.write(b"250 mx.test\r\n")
            await said.wait()
            writer.write(b"421 4.4.2 idle for too long\r\n")
            await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        session = await open_session(server.sockets[0].getsockname()[1])
        assert session.is_usable
        said.set()
        while session.is_usable:  # noqa: ASYNC110 - a session announces nothing, it only refuses to be used
            await asyncio.sleep(0.001)
        reply = only_reply(await session.deliver(envelope()))
        assert (reply.code, "idle for too long" in reply.text) == (None, True)
        await session.quit()
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())


def test_a_cancelled_transaction_spoils_the_connection() -> None:
    async def scenario(peer: Peer) -> None:
        session = await open_session(peer.port)
        running = asyncio.ensure_future(session.deliver(envelope()))
        await peer.has_content.wait()
        assert not session.is_usable
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not session.is_usable
        await session.quit()
        assert "QUIT" not in peer.commands

    with_peer({"content": Say(b"", "stall")}, scenario)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize(("said", "is_good"), [(b"235 2.7.0 welcome\r\n", True), (b"535 5.7.8 wrong\r\n", False)])
def test_a_smarthost_is_logged_in_to_and_the_password_is_not_recorded(
    mechanism: str, said: bytes, is_good: bool
) -> None:
    async def scenario(peer: Peer) -> None:
        credentials = Credentials(username="hotel", password="sesame")
        found = await connector().connect(host(peer.port), tls=TlsMode.NONE, credentials=credentials)
        if isinstance(found, HostResult):
            assert not is_good
            reply = only_reply(found)
            assert (reply.code, reply.enhanced, reply.stage) == (535, "5.7.8", Stage.AUTH)
            assert found.is_host_failure
            result = found
        else:
            assert is_good
            result = await found.deliver(envelope())
            await found.quit()
            assert "auth" in result.timings
        secrets = ["AGhvdGVsAHNlc2FtZQ==", "c2VzYW1l"]
        assert any(secret in command for command in peer.commands for secret in secrets)
        assert not any(secret in result.conversation for secret in [*secrets, "sesame"])
        assert "<hidden>" in result.conversation

    script: dict[str, Say] = {
        "EHLO": Say(f"250-mx\r\n250 AUTH {mechanism}\r\n".encode()),
        "AUTH": Say(said if mechanism == "PLAIN" else b"334 VXNlcm5hbWU6\r\n"),
        "aG90ZWw=": Say(b"334 UGFzc3dvcmQ6\r\n"),
        "c2VzYW1l": Say(said),
    }
    with_peer(script, scenario)


@pytest.mark.parametrize("mode", [TlsMode.MAY, TlsMode.NONE])
def test_a_password_is_sent_in_clear_only_when_tls_is_switched_off(mode: TlsMode) -> None:
    async def scenario(peer: Peer) -> None:
        found = await connector().connect(
            host(peer.port), tls=mode, credentials=Credentials(username="a", password="b")
        )
        if isinstance(found, HostResult):
            assert only_reply(found).text == "the password is not sent without TLS"
        else:
            await found.quit()
        assert any(command.startswith("AUTH") for command in peer.commands) == (mode is TlsMode.NONE)

    with_peer({"EHLO": Say(b"250-mx\r\n250 AUTH PLAIN\r\n"), "AUTH": Say(b"235 2.7.0 ok\r\n")}, scenario)


def test_the_conversation_is_kept_for_failures_and_for_all_when_asked() -> None:
    async def scenario(peer: Peer) -> None:
        good = await send(peer.port, record="failures")
        assert good.conversation == ""
        kept = (await send(peer.port, record="all")).conversation
        failed = await send(peer.port, envelope(BERT), record="failures")
        for text in (kept, failed.conversation):
            assert "S: 220 mx.test ESMTP" in text
            assert "C: EHLO relay.example.com" in text
            assert "S: 250-PIPELINING" in text
        assert f"C: <{len(CONTENT) + 3} bytes of content>" in kept
        assert "S: 250 2.0.0 taken" in kept
        assert "S: 550 5.1.1 unknown" in failed.conversation
        assert "Booking" not in kept

    with_peer({f"RCPT TO:<{BERT}>": Say(b"550 5.1.1 unknown\r\n"), "DATA": Say(b"354 ok\r\n")}, scenario)


@pytest.mark.parametrize(("answer", "told"), [(Say(then="stall"), 1), (Say(b"250 2.0.0 taken\r\n"), 0)])
def test_that_an_answer_takes_long_is_told_while_it_is_awaited(
    answer: Say, told: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "AWAITED_AFTER", 0.05)
    heard: list[tuple[DeliveryId, ...]] = []

    async def scenario(peer: Peer) -> None:
        sent = replace(envelope(ANNA, BERT), awaited=heard.append)
        result = await send(peer.port, sent, timeouts=IMPATIENT)
        assert result.is_unknown is (told == 1)
        await asyncio.sleep(0.1)
        (bert,) = (one.id for one in sent.deliveries if one.address == BERT)
        assert heard == [(bert,)] * told  # the other one was refused before

    with_peer({"RCPT": [Say(b"550 5.1.1 nobody\r\n"), Say(b"250 ok\r\n")], "content": answer}, scenario)
