"""Bad input on the wire: each line of the table is what an honest, broken or hostile client may send.

The numbers are those of the project's list of bad input (B01 …).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import time
from pathlib import Path

import pytest

from tests.smtp.harness import LOOPBACK_APP, config, queued_id, run, running

HEADER = b"From: desk@hotel.example\r\nSubject: x\r\n\r\n"

#: id, commands sent one by one, the start of the last reply
DIALOGS = [
    ("B05 bare LF ends a command", [b"EHLO a\n", b"NOOP\n"], "250 2.0.0"),
    ("B06 control characters in a verb", [b"NO\rOP\x1b[31m\r\n"], "500 5.5.2 command not recognised"),
    ("B06 control characters after a verb", [b"NOOP \x1b[31m\r\n"], "501 5.5.4 control characters in the command"),
    ("B07 NUL in the recipient", [b"EHLO a", b"MAIL FROM:<a@h.example>", b"RCPT TO:<a\0b@y>"], "501 5.1.3"),
    ("B07 VT in the recipient", [b"EHLO a", b"MAIL FROM:<a@h.example>", b"RCPT TO:<a\x0bb@y>"], "501 5.1.3"),
    ("B07 TAB in the recipient", [b"EHLO a", b"MAIL FROM:<a@h.example>", b"RCPT TO:<a\tb@y>"], "501 5.1.3"),
    ("B07 control in the sender", [b"EHLO a", b"MAIL FROM:<a\x01@h.example>"], "501 5.1.7"),
    ("B08 empty recipient", [b"EHLO a", b"MAIL FROM:<a@h.example>", b"RCPT TO:<>"], "501 5.1.3"),
    ("B09 recipient without domain", [b"EHLO a", b"MAIL FROM:<a@h.example>", b"RCPT TO:<b>"], "501 5.1.3"),
    ("B10 bare postmaster", [b"EHLO a", b"MAIL FROM:<a@h.example>", b"RCPT TO:<postmaster>"], "550 5.1.1"),
    ("B11 local part of 65", [b"EHLO a", b"MAIL FROM:<a@h.example>", b"RCPT TO:<" + b"x" * 65 + b"@y>"], "501 5.1.3"),
    ("B11 path of 257", [b"EHLO a", b"MAIL FROM:<a@h.example>", b"RCPT TO:<a@" + b"b." * 126 + b"c>"], "501 5.1.3"),
    ("B12 literal", [b"EHLO a", b"MAIL FROM:<a@h.example>", b"RCPT TO:<b@[127.0.0.1]>"], "550 5.1.2"),
    ("B13 source route", [b"EHLO a", b"MAIL FROM:<a@h.example>", b"RCPT TO:<@r1,@r2:b@y>"], "501 5.1.3"),
    ("B14 two recipients in one path", [b"EHLO a", b"MAIL FROM:<a@h.example>", b"RCPT TO:<b@y,c@z>"], "501 5.1.3"),
    ("B14 comment", [b"EHLO a", b"MAIL FROM:<a@h.example>", b"RCPT TO:<b (c)@y>"], "501 5.1.3"),
    ("B15 double dot", [b"EHLO a", b"MAIL FROM:<a@h.example>", b"RCPT TO:<b@x..y>"], "501 5.1.3"),
    ("B16 8-bit without SMTPUTF8", [b"EHLO a", "MAIL FROM:<ä@h.example>".encode()], "553 5.6.7"),
    ("B18 invalid UTF-8", [b"EHLO a", b"MAIL FROM:<\xe4@h.example>"], "501 5.1.7"),
    ("B18 the session lives on", [b"\xff\xfe\r\n", b"NOOP"], "250 2.0.0"),
    ("B19 long command", [b"NOOP " + b"x" * 600], "500 5.5.6"),
    ("B22 SIZE too large", [b"EHLO a", b"MAIL FROM:<a@h.example> SIZE=999999999"], "552 5.3.4"),
    ("B22 SIZE negative", [b"EHLO a", b"MAIL FROM:<a@h.example> SIZE=-5"], "501 5.5.4"),
    ("B22 SIZE no number", [b"EHLO a", b"MAIL FROM:<a@h.example> SIZE=abc"], "501 5.5.4"),
    ("B23 unknown parameter", [b"EHLO a", b"MAIL FROM:<a@h.example> FOO=1"], "555 5.5.4"),
    ("B23 BINARYMIME", [b"EHLO a", b"MAIL FROM:<a@h.example> BODY=BINARYMIME"], "501 5.5.4"),
    ("B23 BDAT", [b"EHLO a", b"BDAT 10 LAST"], "500 5.5.1"),
    ("B24 RET and ENVID", [b"EHLO a", b"MAIL FROM:<a@h.example> RET=HDRS ENVID=QQ+2B1"], "250 2.1.0"),
    ("B24 bad RET", [b"EHLO a", b"MAIL FROM:<a@h.example> RET=ALL"], "501 5.5.4"),
    ("B25 MAIL before a greeting", [b"MAIL FROM:<a@h.example>"], "503 5.5.1"),
    ("B25 RCPT before MAIL", [b"EHLO a", b"RCPT TO:<b@y>"], "503 5.5.1"),
    ("B25 nested MAIL", [b"EHLO a", b"MAIL FROM:<a@h.example>", b"MAIL FROM:<a@h.example>"], "503 5.5.1"),
    ("B25 DATA without MAIL", [b"EHLO a", b"DATA"], "503 5.5.1"),
    ("B25 DATA after no RCPT", [b"EHLO a", b"MAIL FROM:<a@h.example>", b"DATA"], "554 5.5.0"),
    ("B28 GET", [b"GET / HTTP/1.1"], "554 5.5.0"),
    ("B28 POST", [b"POST /x HTTP/1.0"], "554 5.5.0"),
    ("B28 SSH banner", [b"SSH-2.0-OpenSSH_9.2"], "554 5.5.0"),
    ("B28 TLS hello", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], "554 5.5.0"),
    ("B30 empty EHLO", [b"EHLO"], "501 5.5.4"),
    ("B30 EHLO with ESC", [b"EHLO a\x1bb"], "501 5.5.4"),
    ("B30 EHLO of 400 characters", [b"EHLO " + b"a" * 400], "501 5.5.4"),
    ("B30 EHLO with a space", [b"EHLO My PC"], "250-"),
    ("B30 HELO only", [b"HELO a", b"MAIL FROM:<a@h.example>"], "250 2.1.0"),
    ("B37 AUTH without logins", [b"EHLO a", b"AUTH PLAIN AGEAYg=="], "538 5.7.11"),
    ("B38 STARTTLS not offered", [b"EHLO a", b"STARTTLS"], "502 5.5.1"),
    ("B39 null sender", [b"EHLO a", b"MAIL FROM:<>"], "250 2.1.0"),
    ("B39 MAILER-DAEMON without domain", [b"EHLO a", b"MAIL FROM:<MAILER-DAEMON>"], "501 5.1.7"),
    ("path without brackets", [b"EHLO a", b"MAIL FROM:a@h.example"], "250 2.1.0"),
    ("space before the path", [b"EHLO a", b"mail from : <a@h.example>"], "250 2.1.0"),
    ("no FROM", [b"EHLO a", b"MAIL <a@h.example>"], "501 5.5.4"),
    ("VRFY tells nothing", [b"EHLO a", b"VRFY root"], "252 2.5.2"),
    ("EXPN", [b"EHLO a", b"EXPN staff"], "502 5.5.1"),
]


@pytest.mark.parametrize(("lines", "want"), [row[1:] for row in DIALOGS], ids=[row[0] for row in DIALOGS])
def test_answer_to_bad_input(lines: list[bytes], want: str) -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            got = ""
            for line in lines:
                got = await client.ask(line)
            assert got.startswith(want), got
            assert not set(got) & {chr(c) for c in range(32) if c != 10}
            assert intake.acceptor.accepted == []

    run(main())


@pytest.mark.parametrize(
    "hello", [b"GET / HTTP/1.1\r\nHost: x\r\nMAIL FROM:<a@b>\r\n\r\n", b"\x16\x03\x01\x00\x05abcde"]
)
def test_b28_stranger_hears_one_reply_and_is_gone(hello: bytes) -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            await client.send(hello)
            got = await client.rest()
            assert got == "554 5.5.0 this is a mail server\r\n"

    run(main())


LOOK_ALIKES = [
    b"\n.\n", b"\r.\r", b"\r.\n", b"\n.\r", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r\n.\r", b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n",
]  # fmt: skip
SECOND = b"MAIL FROM:<evil@h.example>\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nFrom: e@h.example\r\n\r\nevil"


@pytest.mark.parametrize("look_alike", LOOK_ALIKES, ids=[repr(row) for row in LOOK_ALIKES])
@pytest.mark.parametrize("policy", ["normalize", "reject"])
def test_b01_only_crlf_dot_crlf_ends_a_mail(look_alike: bytes, policy: str) -> None:
    """A second mail hidden behind a look-alike stays part of the first one's content."""

    async def main() -> None:
        settings = config(listener=[{"address": "127.0.0.1:0", "bare_newline": policy}])
        async with running(settings) as intake:
            client = await intake.client()
            got = await client.mail(HEADER + b"first" + look_alike + SECOND)
            if b"\0" in look_alike:
                assert got.startswith("550 5.6.0")
            elif policy == "reject":
                assert got.startswith("550 5.6.11")
            else:
                queued_id(got)
            assert (await client.ask("NOOP")).startswith("250")
            senders = [submission.message.mail_from for submission in intake.acceptor.accepted]
            assert senders in ([], ["desk@hotel.example"])
            for submission in intake.acceptor.accepted:
                assert b"MAIL FROM:<evil@h.example>" in submission.content
                bare = submission.content.replace(b"\r\n", b"")
                assert b"\r" not in bare
                assert b"\n" not in bare

    run(main())


def test_b02_b03_bare_newlines_are_mended_and_named() -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            queued_id(await client.mail(b"From: a@h.example\nSubject: x\n\nline\rone\nline two"))
            submission = intake.acceptor.accepted[0]
            assert submission.content.endswith(b"Subject: x\r\n\r\nline one\r\nline two\r\n")
            assert {"bare_lf", "bare_cr"} <= set(submission.message.repairs)

    run(main())


def test_b04_dot_before_a_bare_lf_is_content() -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            queued_id(await client.mail(HEADER + b"one\r\n.\ntwo\r\n..\r\n...three"))
            assert intake.acceptor.accepted[0].content.endswith(b"one\r\n.\r\ntwo\r\n.\r\n..three\r\n")

    run(main())


def test_b05_reject_mode_refuses_a_command_that_ends_in_bare_lf() -> None:
    async def main() -> None:
        async with running(config(listener=[{"address": "127.0.0.1:0", "bare_newline": "reject"}])) as intake:
            client = await intake.client()
            assert (await client.ask(b"EHLO a\n")).startswith("500 5.5.2")

    run(main())


def test_legacy_listener_takes_lf_only_clients() -> None:
    async def main() -> None:
        async with running(config(listener=[{"address": "127.0.0.1:0", "bare_newline": "legacy"}])) as intake:
            client = await intake.client()
            for command in (b"HELO a\n", b"MAIL FROM:<a@h.example>\n", b"RCPT TO:<b@example.com>\n"):
                assert (await client.ask(command)).startswith("250")
            await client.ask(b"DATA\n")
            await client.send(b"From: a@h.example\nSubject: x\n\n..dot\ntext\n.\nQUIT\n")
            queued_id(await client.reply())
            assert (await client.reply()).startswith("221")
            assert intake.acceptor.accepted[0].content.endswith(b"\r\n\r\n.dot\r\ntext\r\n")

    run(main())


def test_b19_endless_line_costs_no_memory_and_the_session_lives() -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            for _ in range(64):
                await client.send(b"x" * 65_536)
            await client.send(b"\r\n")
            assert (await client.reply()).startswith("500 5.5.6")
            assert (await client.ask("NOOP")).startswith("250")

    run(main())


def _reset_peak() -> int:
    """Forget the highest memory use so far, and give the present one in KiB."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status_kib("VmRSS")


def _status_kib(name: str) -> int:
    line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith(name))
    return int(line.split()[1])


def test_b21_two_mebibytes_of_empty_lines_cost_a_few_times_their_weight() -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            queued_id(await client.mail(HEADER + b"x"))
            before = _reset_peak()
            await client.envelope()
            await client.ask("DATA")
            started = time.process_time()
            for _ in range(32):
                await client.send(b"\r\n" * 32_768)
            await client.send(b"\r\n.\r\n")
            queued_id(await client.reply())
            assert intake.acceptor.accepted[1].message.size > 2 * 1024 * 1024
            assert _status_kib("VmHWM") - before < 40 * 1024
            assert time.process_time() - started < 3

    run(main())


def test_b22_a_lie_about_the_size_is_refused_after_the_dot_and_nothing_is_kept() -> None:
    async def main() -> None:
        settings = config(app=[{**LOOPBACK_APP, "limits": {"size": "100KiB"}}])
        async with running(settings) as intake:
            client = await intake.client()
            await client.ask("EHLO a")
            await client.ask("MAIL FROM:<a@h.example> SIZE=10")
            await client.ask("RCPT TO:<b@example.com>")
            await client.ask("DATA")
            await client.send(HEADER + b"0123456789abcdef\r\n" * 100_000 + b".\r\nNOOP\r\n")
            assert (await client.reply()).startswith("552 5.3.4")
            assert (await client.reply()).startswith("250")
            assert intake.acceptor.accepted == []
            assert intake.reception.memory.used == 0
            assert [refusal.reason for refusal in intake.acceptor.refused] == ["too_large"]

    run(main())


def test_b26_after_a_refused_mail_nothing_of_it_is_left() -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            assert (await client.mail(HEADER + b"NUL\0")).startswith("550 5.6.0")
            assert (await client.ask("RCPT TO:<b@example.com>")).startswith("503")
            assert (await client.ask("DATA")).startswith("503")
            assert await client.rest() == ""

    run(main())


def test_b27_one_recipient_too_many_is_asked_to_come_again() -> None:
    async def main() -> None:
        async with running(config(app=[{**LOOPBACK_APP, "limits": {"recipients": 3}}])) as intake:
            client = await intake.client()
            await client.envelope()
            assert (await client.ask("RCPT TO:<b@example.com>")).startswith("250")
            assert (await client.ask("RCPT TO:<B@Example.com>")).startswith("250")
            assert (await client.ask("RCPT TO:<c@example.com>")).startswith("250")
            assert (await client.ask("RCPT TO:<d@example.com>")).startswith("452 4.5.3")
            await client.ask("DATA")
            await client.send(HEADER + b".\r\n")
            queued_id(await client.reply())
            addresses = [delivery.address for delivery in intake.acceptor.accepted[0].deliveries]
            assert addresses == ["guest@example.com", "b@example.com", "c@example.com"]

    run(main())


@pytest.mark.parametrize(
    ("before", "want"),
    [
        ("EHLO a\r\nMAIL FROM:<a@h.example>\r\nRCPT TO:<>\r\n", "554 5.5.0"),
        ("EHLO a\r\nMAIL FROM:<a..b@h.example>\r\nRCPT TO:<b@example.com>\r\n", "503 5.5.1"),
        ("EHLO a\r\n", "503 5.5.1"),
    ],
    ids=["recipient refused", "sender refused", "no transaction"],
)
def test_b29_content_behind_a_refused_data_never_runs_as_commands(before: str, want: str) -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            await client.send(before.encode() + b"DATA\r\n" + SECOND + b"\r\n.\r\nQUIT\r\n")
            got = (await client.rest()).splitlines()
            assert got[-1].startswith(want), got
            assert intake.acceptor.accepted == []

    run(main())


def test_b29_holds_when_the_content_comes_later() -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            await client.ask("EHLO a")
            await client.ask("MAIL FROM:<a@h.example>")
            await client.ask("RCPT TO:<>")
            assert (await client.ask("DATA")).startswith("554")
            assert await client.rest() == ""

    run(main())


@pytest.mark.parametrize(
    ("content", "repairs"),
    [
        (b"", {"date_added", "message_id_added", "from_added"}),
        (b"just text", {"header_added", "from_added"}),
        (b"Subject: x\r\n\r\nno from", {"from_added"}),
        (b"From: a@h.example\r\nSubject: header only", {"date_added"}),
        (b"\r\nFrom: a@h.example\r\n\r\nblank first", {"blank_line_removed"}),
        (b"From someone Mon Jan 1\r\nFrom: a@h.example\r\n\r\nmbox", {"mbox_line_removed"}),
    ],
)
def test_b31_incomplete_mail_is_completed(content: bytes, repairs: set[str]) -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            queued_id(await client.mail(content))
            message = intake.acceptor.accepted[0].message
            assert repairs <= set(message.repairs)
            assert message.header_from
            assert message.message_id.startswith("<")

    run(main())


def test_b40_a_mail_that_goes_in_circles_is_refused() -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            got = await client.mail(b"Received: by x.example; now\r\n" * 101 + HEADER)
            assert got.startswith("554 5.4.6")
            got = await client.mail(b"Received: by relay.test with ESMTP id 1; now\r\n" * 3 + HEADER)
            assert got.startswith("554 5.4.6")
            queued_id(await client.mail(b"Received: by relay.test with ESMTP id 1; now\r\n" * 2 + HEADER))

    run(main())


def test_ten_bad_commands_end_the_connection() -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            await client.send(b"FOO\r\n" * 50)
            got = (await client.rest()).splitlines()
            assert len(got) == 11
            assert got[-1].startswith("421 4.7.0")

    run(main())


def test_noop_does_not_hold_a_connection_for_ever() -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            await client.send(b"NOOP\r\n" * 400)
            got = (await client.rest()).splitlines()
            assert len(got) == 201
            assert got[-1].startswith("421 4.7.0")

    run(main())


def test_refusals_are_kept_with_who_and_what() -> None:
    async def main() -> None:
        async with running(config(app=[{**LOOPBACK_APP, "from_domains": ["hotel.example"]}])) as intake:
            client = await intake.client()
            await client.ask("EHLO app.test")
            assert (await client.ask("MAIL FROM:<x@other.example>")).startswith("550 5.7.1")
            await client.ask("MAIL FROM:<x@hotel.example>")
            await client.ask("RCPT TO:<nobody>")
            first, second = intake.acceptor.refused
            assert (first.stage, first.code, first.reason, first.mail_from) == (
                "mail", 550, "sender_not_allowed", "x@other.example",
            )  # fmt: skip
            assert (second.stage, second.app, second.mail_from, second.rcpt_to, second.helo) == (
                "rcpt", "desk", "x@hotel.example", "nobody", "app.test",
            )  # fmt: skip

    run(main())


def test_a_mail_refused_for_its_content_names_its_recipients() -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            await client.envelope(to="anna@example.com")
            await client.ask("RCPT TO:<Bob@example.com>")
            await client.ask("DATA")
            assert (await client.ask(HEADER + b"NUL\0\r\n.")).startswith("550 5.6.0")
            assert intake.acceptor.refused[-1].rcpt_to == "anna@example.com, Bob@example.com"

    run(main())


def test_recipients_behind_a_refused_sender_are_named() -> None:
    async def main() -> None:
        async with running(config(app=[{**LOOPBACK_APP, "from_domains": ["hotel.example"]}])) as intake:
            client = await intake.client()
            await client.ask("EHLO app.test")
            await client.send(b"MAIL FROM:<x@other.example>\r\nRCPT TO:<anna@example.com>\r\n")
            assert [(await client.reply())[:3] for _ in range(2)] == ["550", "503"]
            assert intake.acceptor.refused[-1].rcpt_to == "anna@example.com"

    run(main())


def test_a_client_that_was_gone_before_we_looked_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with running() as intake:
            for _ in range(5):
                with socket.create_connection(("127.0.0.1", intake.port())) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client = await intake.client()
            assert (await client.ask("QUIT")).startswith("221")
            assert intake.acceptor.refused == []
            assert intake.reception.connections.count <= 1

    run(main())
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_flood_of_pipelined_commands_is_answered_without_a_deadlock() -> None:
    async def main() -> None:
        async with running(config(app=[{**LOOPBACK_APP, "limits": {"recipients": 20_000}}])) as intake:
            client = await intake.client()
            await client.ask("EHLO a")
            commands = b"MAIL FROM:<a@h.example>\r\n" + b"".join(
                b"RCPT TO:<guest%d@example.com>\r\n" % number for number in range(10_000)
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(client.send(commands + b"DATA\r\n"))
                replies = [await client.reply() for _ in range(10_002)]
            assert replies[-1].startswith("354")
            await client.send(HEADER + b".\r\n")
            queued_id(await client.reply())
            assert len(intake.acceptor.accepted[0].deliveries) == 10_000

    run(main())


def test_endless_refused_recipients_end_the_connection() -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            await client.send(b"EHLO a\r\nMAIL FROM:<a@h.example>\r\n" + b"RCPT TO:<nobody>\r\n" * 2000)
            got = (await client.rest()).splitlines()
            assert got[-1].startswith("421 4.7.0")
            assert sum(line.startswith("501") for line in got) == 1000

    run(main())


RELAY_FORMS = [
    b"b@other.example", b"b%other.example@relay.test", b"b%other.example@[127.0.0.1]", b'"b@other.example"',
    b'"b%other.example"', b"b@other.example@relay.test", b'"b@other.example"@relay.test', b"other.example!b",
    b"@relay.test:b@other.example", b"b@other.example@[127.0.0.1]", b'b"other.example', b"b@[IPv6:::1]",
]  # fmt: skip


@pytest.mark.parametrize("apps", [[{"name": "far", "networks": ["192.0.2.0/24"]}]], ids=["other network"])
def test_a01_stranger_can_send_nothing_in_any_form(apps: list[dict[str, object]]) -> None:
    async def main() -> None:
        async with running(config(app=apps)) as intake:
            for sender in (b"<>", b"<a@relay.test>", b"<a@[127.0.0.1]>", b"<a@other.example>"):
                client = await intake.client()
                await client.ask("EHLO a")
                assert (await client.ask(b"MAIL FROM:" + sender)).startswith("550 5.7.1")
                for form in RELAY_FORMS[:8]:
                    assert (await client.ask(b"RCPT TO:<" + form + b">")).startswith("503")
            assert intake.acceptor.accepted == []

    run(main())


@pytest.mark.parametrize("form", RELAY_FORMS, ids=[repr(form) for form in RELAY_FORMS])
def test_a01_friend_reaches_the_rightmost_domain_or_nothing(form: bytes) -> None:
    async def main() -> None:
        async with running() as intake:
            client = await intake.client()
            await client.ask("EHLO a")
            await client.ask("MAIL FROM:<a@h.example>")
            got = await client.ask(b"RCPT TO:<" + form + b">")
            if got.startswith("250"):
                await client.ask("DATA")
                await client.send(HEADER + b".\r\n")
                queued_id(await client.reply())
                delivery = intake.acceptor.accepted[0].deliveries[0]
                assert delivery.address.encode() == form
                assert form.decode().lower().endswith("@" + delivery.domain)
            else:
                assert got[:3] in {"501", "550"}

    run(main())
