"""Taking responsibility: when 250 is said, what is said otherwise, and what becomes of a mail whose client vanishes."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.errors import StoreError, StoreFull
from relay.status import Status
from tests.smtp.harness import LOOPBACK_APP, MemoryAcceptor, config, queued_id, run, running

MAIL = b"From: Desk <desk@hotel.example>\r\nTo: Guest <guest@example.com>\r\nSubject: BK-1\r\n\r\nHello\r\n"


def test_250_names_the_message_and_comes_after_the_commit() -> None:
    async def main() -> None:
        acceptor = MemoryAcceptor(gate=asyncio.Event())
        assert acceptor.gate is not None
        async with running(acceptor=acceptor) as intake:
            client = await intake.client()
            await client.envelope()
            await client.ask("DATA")
            await client.send(MAIL + b".\r\n")
            await acceptor.entered.wait()
            answer = asyncio.ensure_future(client.reply())
            await asyncio.sleep(0)
            assert not answer.done()
            acceptor.gate.set()
            message_id = queued_id(await answer)
            submission = acceptor.accepted[0]
            assert submission.message.id == message_id
            assert [delivery.message_id for delivery in submission.deliveries] == [message_id]

    run(main())


def test_what_is_committed_says_who_what_and_where() -> None:
    async def main() -> None:
        async with running(
            config(app=[{**LOOPBACK_APP, "booking_pattern": "BK-#", "kinds": {"BK": "other"}}])
        ) as intake:
            client = await intake.client()
            await client.ask("EHLO app.test")
            await client.ask("MAIL FROM:<desk@hotel.example> RET=HDRS ENVID=abc BODY=8BITMIME")
            await client.ask("RCPT TO:<Guest@Example.com> NOTIFY=FAILURE,DELAY ORCPT=rfc822;Guest@Example.com")
            await client.ask("DATA")
            await client.send(MAIL + b".\r\n")
            queued_id(await client.reply())
            submission = intake.acceptor.accepted[0]
            message, delivery = submission.message, submission.deliveries[0]
            assert (message.app, message.mail_from, message.header_from, message.from_name) == (
                "desk", "desk@hotel.example", "desk@hotel.example", "Desk",
            )  # fmt: skip
            assert (message.subject, message.booking, message.kind) == ("BK-1", "BK-1", "other")
            assert (message.ret, message.envid, message.client_ip, message.helo) == (
                "HDRS", "abc", "127.0.0.1", "app.test",
            )  # fmt: skip
            assert message.size == len(submission.content)
            assert datetime.now(UTC) - message.accepted_at < timedelta(minutes=1)
            assert (delivery.address, delivery.domain, delivery.name) == ("Guest@Example.com", "example.com", "Guest")
            assert (delivery.notify, delivery.orcpt) == ("FAILURE,DELAY", "rfc822;Guest@Example.com")
            assert (delivery.status, delivery.next_at, delivery.held) == (Status.QUEUED, message.accepted_at, None)
            assert submission.content.startswith(b"Received: by relay.test with ESMTP id " + message.id.encode())
            assert b"127.0.0.1" not in submission.content
            assert b"app.test" not in submission.content

    run(main())


@pytest.mark.parametrize(
    ("error", "want"),
    [
        (StoreFull("no space"), "452 4.3.1"),
        (StoreError("disk I/O error"), "451 4.3.0"),
        (RuntimeError("secret internals"), "451 4.3.0"),
    ],
)
def test_trouble_in_the_store_is_temporary_and_tells_no_secrets(error: Exception, want: str) -> None:
    async def main() -> None:
        acceptor = MemoryAcceptor(error=error)
        async with running(acceptor=acceptor) as intake:
            client = await intake.client()
            got = await client.mail(MAIL)
            assert got.startswith(want)
            assert str(error) not in got
            acceptor.error = None
            queued_id(await client.mail(MAIL))
            assert intake.reception.memory.used == 0

    run(main())


def test_unhealthy_store_and_full_disk_refuse_at_mail() -> None:
    async def main() -> None:
        acceptor = MemoryAcceptor(is_healthy=False)
        free = 10
        async with running(acceptor=acceptor, free_space=lambda: free) as intake:
            client = await intake.client()
            await client.ask("EHLO a")
            assert (await client.ask("MAIL FROM:<a@h.example>")).startswith("451 4.3.0")
            acceptor.is_healthy = True
            assert (await client.ask("MAIL FROM:<a@h.example>")).startswith("452 4.3.1")
            free = intake.reception.config.intake.min_free_space + 1000
            assert intake.reception.memory.take(1001)  # a mail that others are sending, and that is not on disk yet
            assert (await client.ask("MAIL FROM:<a@h.example>")).startswith("452 4.3.1")
            intake.reception.memory.release(1001)
            assert (await client.ask("MAIL FROM:<a@h.example>")).startswith("250")
            assert (await client.ask("RSET")).startswith("250")
            free = 10**12
            assert (await client.ask("MAIL FROM:<a@h.example>")).startswith("250")

    run(main())


def test_half_closed_client_gets_its_mail_taken_and_answered() -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.connect()
            await client.send(
                b"EHLO a\r\nMAIL FROM:<a@h.example>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n" + MAIL + b".\r\nQUIT\r\n"
            )
            client.writer.write_eof()
            got = (await client.rest()).splitlines()
            queued_id(got[-2])
            assert got[-1].startswith("221")
            assert len(intake.acceptor.accepted) == 1

    run(main())


@pytest.mark.parametrize("how", ["reset", "close"])
def test_client_that_vanishes_after_the_dot_does_not_lose_the_mail(how: str) -> None:
    async def main() -> None:
        acceptor = MemoryAcceptor(gate=asyncio.Event())
        assert acceptor.gate is not None
        async with running(acceptor=acceptor) as intake:
            client = await intake.client()
            await client.envelope()
            await client.ask("DATA")
            await client.send(MAIL + b".\r\n")
            await acceptor.entered.wait()
            if how == "reset":
                sock: socket.socket = client.writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await client.close()
            other = await intake.client()
            await other.ask("NOOP")
            acceptor.gate.set()
            await asyncio.gather(*intake.reception.commits)
            assert len(acceptor.accepted) == 1
            assert intake.reception.memory.used == 0

    run(main())


@pytest.mark.parametrize(
    "content",
    [b"From: a@h.example\r\nSubj", MAIL, MAIL + b".", MAIL + b".\r", b""],
    ids=["mid header", "no dot", "dot", "dot CR", "nothing"],
)
def test_mail_without_its_end_is_thrown_away(content: bytes) -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            await client.envelope()
            await client.ask("DATA")
            await client.send(content)
            client.writer.write_eof()
            assert await client.rest() == ""
            assert intake.acceptor.accepted == []
            assert intake.reception.memory.used == 0

    run(main())


def test_quit_and_rset_in_the_header_are_content() -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            queued_id(await client.mail(b"From: a@h.example\r\nRSET\r\nQUIT\r\n"))
            assert intake.acceptor.accepted[0].content.endswith(b"From: a@h.example\r\n\r\nRSET\r\nQUIT\r\n\r\n")

    run(main())


SESSION = (
    b"EHLO a\r\nMAIL FROM:<a@h.example> SIZE=100\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<>\r\nDATA\r\n"
    b"From: a@h.example\r\nSubject: one\r\n\r\n..dot\r\n.\nbare\r\n.\r\n"
    b"NOOP\r\nMAIL FROM:<a@h.example>\r\nRCPT TO:<c@example.com>\r\nDATA\r\n.\r\nRSET\r\nQUIT\r\n"
)
CODES = ["220", "250", "250", "250", "501", "354", "250", "250", "250", "250", "354", "250", "250", "221"]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(cuts=st.lists(st.integers(1, len(SESSION) - 1), max_size=12))
def test_a_pipelined_session_gives_the_same_however_it_is_cut(cuts: list[int]) -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.connect()
            edges = [0, *sorted(cuts), len(SESSION)]
            for start, end in itertools.pairwise(edges):
                client.writer.write(SESSION[start:end])
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            lines = (await client.rest()).splitlines()
            assert [line[:3] for line in lines if line[3:4] == " "] == CODES
            first, second = intake.acceptor.accepted
            assert first.content.endswith(b"Subject: one\r\n\r\n.dot\r\n.\r\nbare\r\n")
            assert [delivery.address for delivery in second.deliveries] == ["c@example.com"]

    run(main())


def test_memory_is_shared_and_a_mail_that_does_not_fit_comes_again() -> None:
    async def main() -> None:
        async with running(config(intake={"memory": "300KiB"})) as intake:
            big, small = await intake.client(), await intake.client()
            await big.envelope()
            assert (await big.ask("DATA")).startswith("354")
            await small.envelope()
            await small.send(b"DATA\r\n")
            waiting = asyncio.ensure_future(small.reply())
            await big.send(MAIL + b"x" * 70 + (b"y" * 76 + b"\r\n") * 5000 + b".\r\n")
            assert (await big.reply()).startswith("452 4.3.1")
            assert (await waiting).startswith("354")
            await small.send(MAIL + b".\r\n")
            queued_id(await small.reply())
            assert intake.reception.memory.used == 0

    run(main())


def test_silent_client_hears_421_before_it_is_cut() -> None:
    async def main() -> None:
        async with running(config(intake={"timeout": "100ms"})) as intake:
            client = await intake.client()
            assert (await client.rest()).startswith("421 4.4.2")

    run(main())


def test_a_byte_now_and_then_does_not_hold_a_content_open() -> None:
    async def main() -> None:
        async with running(config(intake={"timeout": "300ms"})) as intake:
            client = await intake.client()
            await client.envelope()
            await client.ask("DATA")

            async def drip() -> None:
                while not client.writer.is_closing():
                    client.writer.write(b"x")
                    await asyncio.sleep(0.02)

            dripping = asyncio.create_task(drip())
            assert (await client.rest()).startswith("421 4.4.2")
            dripping.cancel()
            assert intake.acceptor.accepted == []

    run(main())


def test_stop_lets_a_mail_on_its_way_end_and_sends_the_others_off() -> None:
    async def main() -> None:
        async with running() as intake:
            idle, busy = await intake.client(), await intake.client()
            await idle.ask("EHLO a")
            await busy.envelope()
            await busy.ask("DATA")
            stopping = asyncio.create_task(intake.listeners.stop(10))
            assert (await idle.rest()).startswith("421 4.3.2")
            await busy.send(MAIL + b".\r\nNOOP\r\n")
            queued_id(await busy.reply())
            assert (await busy.rest()).startswith("421 4.3.2")
            await stopping
            assert len(intake.acceptor.accepted) == 1

    run(main())


def test_stop_cuts_a_client_that_never_ends() -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            await client.envelope()
            await client.ask("DATA")
            await intake.listeners.stop(0.05)
            assert await client.rest() == ""
            assert intake.reception.memory.used == 0

    run(main())


def test_connections_are_limited_by_network_and_in_all() -> None:
    async def main() -> None:
        settings = config(
            intake={"max_connections": 3},
            app=[{**LOOPBACK_APP, "limits": {"connections": 2}}],
        )
        async with running(settings) as intake:
            first = await intake.client()
            await intake.client()
            third = await intake.connect()
            assert (await third.rest()).startswith("421 4.7.0")
            await first.ask("QUIT")
            assert await first.rest() == ""
            fourth = await intake.connect()
            assert (await fourth.reply()).startswith("220")
            assert intake.reception.connections.count == 2

    run(main())


def test_rate_of_an_app_is_limited() -> None:
    async def main() -> None:
        async with running(config(app=[{**LOOPBACK_APP, "limits": {"rate": "2/1h"}}])) as intake:
            client = await intake.client()
            queued_id(await client.mail(MAIL))
            queued_id(await client.mail(MAIL))
            assert (await client.ask("MAIL FROM:<a@h.example>")).startswith("451 4.7.0")
            assert intake.acceptor.refused[-1].reason == "rate_limited"

    run(main())


def test_hold_and_redirect_keep_real_guests_safe() -> None:
    async def main() -> None:
        settings = config(
            app=[
                {**LOOPBACK_APP, "name": "held", "mode": "hold", "from_domains": ["held.example"]},
                {**LOOPBACK_APP, "name": "sent", "mode": "redirect:me@test.example", "from_domains": ["red.example"]},
            ]
        )
        async with running(settings) as intake:
            client = await intake.client()
            for sender in ("a@held.example", "a@red.example"):
                await client.envelope(sender=sender)
                await client.ask("RCPT TO:<other@example.com>")
                await client.ask("DATA")
                await client.send(b"From: " + sender.encode() + b"\r\n\r\n.\r\n")
                queued_id(await client.reply())
            held, redirected = (submission.deliveries for submission in intake.acceptor.accepted)
            assert [delivery.held for delivery in held] == ["hold: app is in hold mode"] * 2
            assert [(d.address, d.domain, d.intended) for d in redirected] == [
                ("me@test.example", "test.example", "guest@example.com"),
                ("me@test.example", "test.example", "other@example.com"),
            ]

    run(main())


def test_default_from_replaces_a_sender_that_cannot_be_right() -> None:
    async def main() -> None:
        settings = config(
            app=[{**LOOPBACK_APP, "default_from": "desk@hotel.example", "from_domains": ["hotel.example"]}]
        )
        async with running(settings) as intake:
            client = await intake.client()
            await client.ask("EHLO a")
            for sender in (b"<www-data@localhost>", b"<www-data>", b"<x@web01.local>"):
                assert (await client.ask(b"MAIL FROM:" + sender)).startswith("250")
                await client.ask("RCPT TO:<guest@example.com>")
                await client.ask("DATA")
                await client.send(b"From: Web <www-data@localhost>\r\nSubject: x\r\n\r\n.\r\n")
                queued_id(await client.reply())
                submission = intake.acceptor.accepted[-1]
                assert submission.message.mail_from == submission.message.header_from == "desk@hotel.example"
                assert submission.message.from_name == "Web"
                assert {"sender_replaced", "from_replaced"} <= set(submission.message.repairs)
                assert b'From: "Web" <desk@hotel.example>\r\n' in submission.content
            assert (await client.ask("MAIL FROM:<x@other.example>")).startswith("550 5.7.1")

    run(main())


def test_from_header_outside_the_apps_domains_is_refused() -> None:
    async def main() -> None:
        async with running(config(app=[{**LOOPBACK_APP, "from_domains": ["hotel.example"]}])) as intake:
            client = await intake.client()
            await client.envelope()
            await client.ask("DATA")
            await client.send(b"From: a@bank.example\r\n\r\n.\r\n")
            assert (await client.reply()).startswith("550 5.7.1")
            assert intake.acceptor.refused[-1].stage == "data"
            assert intake.acceptor.refused[-1].app == "desk"

    run(main())


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"Subject: x\n\none\n..two\n...three\n", b"one\r\n.two\r\n..three\r\n"),  # smtplib, given bytes with LF
        (b"Subject: x\n\none\n..two\n.three\n", b"one\r\n..two\r\n.three\r\n"),  # doubles no dots after LF
        (b"Subject: x\r\n\r\none\r\n...two\r\n", b"one\r\n..two\r\n"),
    ],
)
def test_dots_doubled_after_a_bare_lf_are_undone(sent: bytes, kept: bytes) -> None:
    async def main() -> None:
        async with running(config()) as intake:
            client = await intake.client()
            queued_id(await client.mail(sent + b"\r\n"))
            assert kept in intake.acceptor.accepted[0].content

    run(main())


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (b"a@hotel.example", "250"),
        (b"Harbour Hotel, Helsinki <a@hotel.example>", "250"),  # an old app's unquoted comma hides no address
        (b'"Desk @ Harbour" <a@hotel.example>', "250"),
        (b"b@evil.example, a@hotel.example", "550"),
        (b"b @evil.example, a@hotel.example", "550"),
        (b'"b"@evil.example, a@hotel.example', "550"),
        (b"b@evil.example\\, a@hotel.example", "550"),
    ],
)
def test_no_address_hides_in_the_from_header_by_being_hard_to_read(value: bytes, want: str) -> None:
    async def main() -> None:
        async with running(config(app=[{**LOOPBACK_APP, "from_domains": ["hotel.example"]}])) as intake:
            client = await intake.client()
            assert (await client.mail(b"From: " + value + b"\r\nSubject: x\r\n\r\nHi\r\n"))[:3] == want

    run(main())


def test_a_second_from_header_is_checked_also_when_the_first_was_replaced() -> None:
    async def main() -> None:
        app = {**LOOPBACK_APP, "from_domains": ["hotel.example"], "default_from": "desk@hotel.example"}
        async with running(config(app=[app])) as intake:
            client = await intake.client()
            content = b"From: www-data@localhost\r\nFrom: ceo@bank.example\r\nSubject: x\r\n\r\nHi\r\n"
            assert (await client.mail(content)).startswith("550 5.7.1")
            queued_id(await client.mail(content.replace(b"ceo@bank.example", b"web@hotel.example")))

    run(main())


def test_with_the_null_sender_the_from_header_decides_the_app() -> None:
    async def main() -> None:
        settings = config(
            app=[
                {**LOOPBACK_APP, "name": "one", "from_domains": ["one.example"]},
                {**LOOPBACK_APP, "name": "two", "from_domains": ["two.example"]},
            ]
        )
        async with running(settings) as intake:
            client = await intake.client()
            for sender, want in ((b"a@two.example", "250"), (b"a@three.example", "550 5.7.1")):
                await client.envelope(sender="")
                await client.ask("DATA")
                await client.send(b"From: " + sender + b"\r\n\r\n.\r\n")
                assert (await client.reply()).startswith(want)
            assert [submission.message.app for submission in intake.acceptor.accepted] == ["two"]

    run(main())
