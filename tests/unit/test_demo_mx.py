"""The scripted mail servers of the demo: each temper behaves as its name says, seen from a bare client."""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.peers import ACCEPTS, FakeMx, Step, Temper, Tls, at, drops, recovering, temper, until

T = TypeVar("T")


class Client:
    """A client that says what it is told and reads whole replies; "" when the server has closed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def hear(self) -> str:
        lines: list[str] = []
        while line := (await self.reader.readline()).decode("latin-1"):
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                break
        return "\n".join(lines)

    async def say(self, line: str) -> str:
        self.writer.write(line.encode() + b"\r\n")
        return await self.hear()

    async def send(self, *recipients: str, content: bytes = b"Subject: x\r\n\r\nHello\r\n") -> list[str]:
        """Run one transaction; give the replies to MAIL, each RCPT, DATA and the final dot, as far as it came."""
        replies = [await self.say("MAIL FROM:<desk@hotel.example>")]
        for recipient in recipients:
            replies.append(await self.say(f"RCPT TO:<{recipient}>"))
        replies.append(await self.say("DATA"))
        if replies[-1].startswith("354"):
            self.writer.write(content + b".\r\n")
            replies.append(await self.hear())
        return replies


def talk(mx: FakeMx, script: Callable[[Client], Awaitable[T]]) -> T:
    """Start the server, run the script against it over one connection."""
    return asyncio.run(_talk(mx, script))


async def _talk(mx: FakeMx, script: Callable[[Client], Awaitable[T]]) -> T:
    async with mx:
        return await connected(mx, script)


async def connected(mx: FakeMx, script: Callable[[Client], Awaitable[T]]) -> T:
    reader, writer = await asyncio.open_connection(mx.address.host, mx.port)
    try:
        async with asyncio.timeout(20):
            return await script(Client(reader, writer))
    finally:
        writer.close()


async def whole(client: Client) -> list[str]:
    """Greet and send one message to two guests."""
    return [
        await client.hear(),
        await client.say("EHLO relay.example"),
        *await client.send("a@g.example", "b@g.example"),
    ]


#: What a server that takes everything says to `whole`.
FINE = ["220", "250", "250 2.1.0", "250 2.1.5", "250 2.1.5", "354", "250 2.0.0"]


def codes(replies: list[str]) -> list[str]:
    return [reply[:9] if reply[3:4] == " " and reply[4:5].isdigit() else reply[:3] for reply in replies]


def test_accepting_server_keeps_what_it_took_byte_for_byte() -> None:
    mx = FakeMx(now=lambda: datetime(2026, 2, 3, tzinfo=UTC))
    content = b"Subject: dots\r\n\r\n..one dot\r\nbare\nline\n.\nstill content\r\n"

    async def script(client: Client) -> list[str]:
        await client.hear()
        await client.say("EHLO relay.example")
        return await client.send("a@g.example", "B@g.example", content=content)

    replies = talk(mx, script)

    assert replies[-1] == "250 2.0.0 Ok: queued as 000001"
    [got] = mx.received
    want = content.replace(b"..one", b".one")
    assert (got.content, got.sha256) == (want, hashlib.sha256(want).hexdigest())
    assert (got.mail_from, got.recipients, got.helo) == (
        "desk@hotel.example",
        ("a@g.example", "B@g.example"),
        "relay.example",
    )
    assert (got.connection, got.tls, got.at, got.is_answered) == (1, None, datetime(2026, 2, 3, tzinfo=UTC), True)
    assert [line for _, line in mx.commands][:2] == ["EHLO relay.example", "MAIL FROM:<desk@hotel.example>"]


@pytest.mark.parametrize(
    ("behaviour", "want"),
    [
        (temper.ACCEPTS, FINE),
        (temper.FULL, ["220", "250", "250 2.1.0", "552 5.2.2", "552 5.2.2", "554 5.5.1"]),
        (temper.FULL_FOR_NOW, ["220", "250", "250 2.1.0", "452 4.2.2", "452 4.2.2", "554 5.5.1"]),
        (temper.UNKNOWN_USER, ["220", "250", "250 2.1.0", "550 5.1.1", "550 5.1.1", "554 5.5.1"]),
        (temper.REPUTATION, ["220", "250", "250 2.1.0", "550 5.7.1", "550 5.7.1", "554 5.5.1"]),
        (temper.SPAM, ["220", "250", "250 2.1.0", "250 2.1.5", "250 2.1.5", "354", "554 5.7.1"]),
        (temper.OLD, ["220", "502 5.5.1", "250 2.1.0", "250 2.1.5", "250 2.1.5", "354", "250 2.0.0"]),
        (
            replace(temper.SLOW, delays={Step.GREETING: 0.01, Step.FINAL: 0.01}),
            FINE,
        ),
        (
            replace(temper.TARPIT, tarpit=0.001),
            FINE,
        ),
        (replace(ACCEPTS, max_recipients=1), ["220", "250", "250 2.1.0", "250 2.1.5", "452 4.5.3", "354", "250 2.0.0"]),
    ],
    ids=lambda value: value.name if isinstance(value, Temper) else "",
)
def test_temper_answers_as_its_name_says(behaviour: Temper, want: list[str]) -> None:
    assert codes(talk(FakeMx(behaviour), whole)) == want


def test_partial_server_decides_for_each_recipient() -> None:
    mx = FakeMx(temper.PARTIAL)

    async def script(client: Client) -> list[str]:
        await client.hear()
        await client.say("EHLO relay.example")
        return await client.send("aino@g.example", "unknown@g.example", "later@g.example", "closed@g.example")

    replies = talk(mx, script)

    assert codes(replies)[1:5] == ["250 2.1.5", "550 5.1.1", "450 4.3.0", "550 5.2.1"]
    assert "<unknown@g.example>" in replies[2]
    assert mx.received[0].recipients == ("aino@g.example",)


def test_greylisting_server_takes_the_second_try_of_the_same_triplet_only() -> None:
    mx = FakeMx(temper.GREYLISTS)

    async def script(client: Client) -> list[list[str]]:
        await client.hear()
        await client.say("EHLO relay.example")
        tries = []
        for recipient in ("a@g.example", "a@g.example", "b@g.example"):
            tries.append(await client.send(recipient))
            await client.say("RSET")
        return tries

    assert [replies[1][:3] for replies in talk(mx, script)] == ["450", "250", "450"]
    assert len(mx.received) == 1


@pytest.mark.parametrize(
    ("step", "heard", "received"),
    [
        (Step.GREETING, 0, 0),
        (Step.EHLO, 1, 0),
        (Step.MAIL, 2, 0),
        (Step.RCPT, 3, 0),
        (Step.DATA, 5, 0),
        (Step.CONTENT, 6, 0),
        (Step.FINAL, 6, 1),
    ],
)
@pytest.mark.parametrize("is_resetting", [False, True], ids=["close", "reset"])
def test_dropping_server_vanishes_at_its_step(step: Step, heard: int, received: int, is_resetting: bool) -> None:
    mx = FakeMx(drops(step, is_resetting=is_resetting))

    async def script(client: Client) -> int:
        count = 0
        try:
            if not await client.hear():
                return 0
            count = 1
            for line in ("EHLO r", "MAIL FROM:<a@b.example>", "RCPT TO:<a@g.example>", "RCPT TO:<b@g.example>", "DATA"):
                if not await client.say(line):
                    return count
                count += 1
            client.writer.write(b"Subject: x\r\n\r\nHello\r\n.\r\n")
            return count + bool(await client.hear())
        except ConnectionError:
            assert is_resetting
            return count

    assert talk(mx, script) == heard
    assert [got.is_answered for got in mx.received] == [False] * received


def test_421_closes_the_connection_and_the_server_recovers_after_as_many_as_said() -> None:
    mx = FakeMx(recovering(temper.RATE_LIMITED, after=2))

    async def until_mail(client: Client) -> list[str]:
        await client.hear()
        await client.say("EHLO relay.example")
        return [await client.say("MAIL FROM:<a@b.example>"), await client.say("NOOP")]

    async def scene() -> list[list[str]]:
        async with mx:
            return [await connected(mx, until_mail) for _ in range(3)]

    first, second, third = asyncio.run(scene())

    assert first[0].startswith("421 4.7.28")
    assert first[1] == second[1] == ""
    assert third == ["250 2.1.0 Ok", "250 2.0.0 Ok"]


def test_refusing_greeting_is_followed_by_the_end() -> None:
    async def script(client: Client) -> list[str]:
        return [await client.hear(), await client.hear()]

    assert talk(FakeMx(temper.NO_SERVICE), script) == ["554 5.3.2 mx.example takes no mail", ""]


def test_too_many_connections_get_421() -> None:
    mx = FakeMx(replace(ACCEPTS, max_connections=1))

    async def outer(client: Client) -> tuple[str, str]:
        first = await client.hear()
        return first, await connected(mx, lambda second: second.hear())

    first, second = talk(mx, outer)

    assert (first[:3], second[:9]) == ("220", "421 4.7.0")
    assert mx.most_open == 2


def test_size_is_enforced_by_parameter_and_by_content() -> None:
    async def script(client: Client) -> list[str]:
        await client.hear()
        offers = await client.say("EHLO relay.example")
        assert "SIZE 1024" in offers
        refused = await client.say("MAIL FROM:<a@b.example> SIZE=2048")
        return [refused, *await client.send("a@g.example", content=b"x" * 2000 + b"\r\n")]

    mx = FakeMx(temper.SMALL)

    assert codes(talk(mx, script)) == ["552 5.3.4", "250 2.1.0", "250 2.1.5", "354", "552 5.3.4"]
    assert mx.received == []


def test_good_tls_encrypts_and_is_recorded() -> None:
    mx = FakeMx(temper.TLS_GOOD, hostname="mx.tls.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    async def script(client: Client) -> str:
        await client.hear()
        assert "STARTTLS" in await client.say("EHLO relay.example")
        assert (await client.say("STARTTLS")).startswith("220")
        await client.writer.start_tls(context)
        offers = await client.say("EHLO relay.example")
        await client.send("a@g.example")
        return offers

    assert "STARTTLS" not in talk(mx, script)
    assert (mx.received[0].tls or "").startswith("TLSv1.")


def test_broken_tls_offers_and_then_talks_nonsense() -> None:
    async def script(client: Client) -> None:
        await client.hear()
        await client.say("EHLO relay.example")
        assert (await client.say("STARTTLS")).startswith("220")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        await client.writer.start_tls(context, server_hostname="mx.example")

    with pytest.raises((ssl.SSLError, ConnectionError)):
        talk(FakeMx(temper.TLS_BROKEN), script)


@pytest.mark.parametrize(("tls", "want"), [(Tls.REFUSED, "454 4.7.0"), (Tls.NONE, "503 5.5.1")])
def test_starttls_that_is_refused_leaves_the_session_as_it_was(tls: Tls, want: str) -> None:
    async def script(client: Client) -> list[str]:
        await client.hear()
        await client.say("EHLO relay.example")
        return [await client.say("STARTTLS"), *await client.send("a@g.example")]

    assert codes(talk(FakeMx(replace(ACCEPTS, tls=tls)), script))[::4] == [want, "250 2.0.0"]


def test_answer_given_as_bytes_goes_out_as_it_is() -> None:
    async def script(client: Client) -> bytes:
        await client.hear()
        await client.say("EHLO relay.example")
        client.writer.write(b"MAIL FROM:<a@b.example>\r\n")
        return await client.reader.readexactly(len(b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"))

    assert talk(FakeMx(temper.TWO_REPLIES), script) == b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"


def test_pipelined_commands_are_answered_in_order() -> None:
    mx = FakeMx(temper.PARTIAL)

    async def script(client: Client) -> list[str]:
        await client.hear()
        await client.say("EHLO relay.example")
        client.writer.write(
            b"MAIL FROM:<a@b.example>\r\nRCPT TO:<aino@g.example>\r\nRCPT TO:<unknown@g.example>\r\nDATA\r\n"
        )
        replies = [await client.hear() for _ in range(4)]
        client.writer.write(b"Hello\r\n.\r\nQUIT\r\n")
        return [*replies, await client.hear(), await client.hear()]

    assert [reply[:3] for reply in talk(mx, script)] == ["250", "250", "550", "354", "250", "221"]


def test_temper_changes_in_the_middle_of_a_connection() -> None:
    mx = FakeMx(temper.FULL)

    async def script(client: Client) -> list[str]:
        await client.hear()
        await client.say("EHLO relay.example")
        await client.say("MAIL FROM:<a@b.example>")
        first = await client.say("RCPT TO:<a@g.example>")
        mx.temper = ACCEPTS
        return [first, await client.say("RCPT TO:<a@g.example>")]

    assert codes(talk(mx, script)) == ["552 5.2.2", "250 2.1.5"]


def test_silent_server_ends_at_once_when_it_is_closed() -> None:
    async def scene() -> bytes:
        async with FakeMx(temper.SILENT) as mx:
            reader, writer = await asyncio.open_connection(mx.address.host, mx.port)
            await until(lambda: mx.connection_count > 0)
        try:
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    assert asyncio.run(scene()) == b""


def test_stopped_server_refuses_connections_and_starts_again_on_its_port() -> None:
    async def scene() -> tuple[int, int]:
        async with FakeMx() as mx:
            port = mx.port
            await connected(mx, whole)
            await mx.stop()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(mx.address.host, port)
            await mx.start()
            await connected(mx, whole)
            assert mx.port == port
            return len(await mx.wait_received(2)), mx.connection_count

    assert asyncio.run(scene()) == (2, 2)


def test_ledger_holds_the_message_before_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "arrived.jsonl"
    mx = FakeMx(ledger=path, is_keeping_content=False)
    content = b"Message-ID: <7@ledger.example>\r\n\r\nHello\r\n"

    async def script(client: Client) -> list[dict[str, object]]:
        await client.hear()
        await client.say("EHLO relay.example")
        await client.send("a@g.example", content=content)
        return [json.loads(line) for line in path.read_text().splitlines()]

    [entry] = talk(mx, script)

    digest = hashlib.sha256(content).hexdigest()
    assert entry == {"id": "<7@ledger.example>", "to": ["a@g.example"], "sha256": digest, "answered": True}
    assert (mx.received[0].content, mx.received[0].sha256) == (b"", digest)


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("RCPT TO:<a@g.example>", "503"),
        ("DATA", "554"),
        ("", "500"),
        ("FROBNICATE", "500"),
        ("RSET", "250"),
        ("NOOP", "250"),
        ("HELO relay", "250"),
    ],
)
def test_command_out_of_order_or_unknown_is_answered_and_the_session_goes_on(line: str, want: str) -> None:
    async def script(client: Client) -> tuple[str, str]:
        await client.hear()
        return await client.say(line), await client.say("NOOP")

    assert [reply[:3] for reply in talk(FakeMx(), script)] == [want, "250"]


def test_multi_line_answer_keeps_its_lines() -> None:
    async def script(client: Client) -> str:
        await client.hear()
        return await client.say("MAIL FROM:<a@b.example>")

    text = "550-5.7.1 Not today\n550 5.7.1 {host} is closed"
    assert talk(FakeMx(at(Step.MAIL, text)), script) == "550-5.7.1 Not today\n550 5.7.1 mx.example is closed"
