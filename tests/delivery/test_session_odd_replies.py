"""Every odd answer, at every stage, gives the right reply: refusals count, silence and nonsense have no code."""

from __future__ import annotations

import asyncio

import pytest

from relay.delivery.contract import HostResult
from relay.model import Stage
from tests.delivery.peer import EHLO, EHLO_PLAIN, Say, Script, serving
from tests.delivery.sending import IMPATIENT, envelope, only_reply, open_session, send

EHLOS = pytest.mark.parametrize("ehlo", [EHLO, EHLO_PLAIN], ids=["pipelined", "one by one"])
STAGES = {
    "greeting": Stage.CONNECT,
    "EHLO": Stage.EHLO,
    "MAIL": Stage.MAIL,
    "RCPT": Stage.RCPT,
    "DATA": Stage.DATA,
    "content": Stage.DATA,
}


def run(script: Script) -> HostResult:
    async def scenario() -> HostResult:
        async with serving(script) as peer:
            return await send(peer.port, timeouts=IMPATIENT)

    return asyncio.run(scenario())


def with_ehlo(script: dict[str, Say], ehlo: bytes) -> dict[str, Say]:
    return {"EHLO": Say(ehlo), **script}


@EHLOS
@pytest.mark.parametrize("at", STAGES)
@pytest.mark.parametrize("then", ["go on", "stall", "close"])
@pytest.mark.parametrize("code", [421, 450, 554])
def test_a_refusal_counts_whatever_follows_it(at: str, then: str, code: int, ehlo: bytes) -> None:
    if at == "EHLO":
        # 5yz to EHLO means "try HELO"; the answer to that is the one that counts.
        script = {"EHLO": Say(b"502 5.5.1 what?\r\n"), "HELO": Say(b"%d 4.7.0 no\r\n" % code, then)}
    else:
        script = with_ehlo({at: Say(b"%d 4.7.0 no\r\n" % code, then)}, ehlo)
    result = run(script)
    reply = only_reply(result)
    got = (reply.code, reply.enhanced, reply.text, reply.stage, reply.host, result.is_unknown)
    assert got == (code, "4.7.0", "no", STAGES[at], "mx.test", False)
    assert result.is_host_failure == (at in {"greeting", "EHLO"})


@EHLOS
@pytest.mark.parametrize("at", STAGES)
def test_a_tarpit_that_drips_its_answer_is_left_when_the_time_of_that_answer_is_over(at: str, ehlo: bytes) -> None:
    """The time is for the whole answer: a byte now and then does not prolong it."""
    result = run({**with_ehlo({}, ehlo), at: Say(b"", "drip")})
    reply = only_reply(result)
    assert (reply.code, reply.stage, result.is_unknown) == (None, STAGES[at], at == "content")
    assert "no answer within 0.4 s" in reply.text


@EHLOS
@pytest.mark.parametrize("at", STAGES)
@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Say(b"", "stall"), "no answer within 0.4 s"),
        (Say(b"", "close"), "closed the connection"),
        (Say(b"", "reset"), "connection"),
        (Say(b"HTTP/1.1 400 Bad Request\r\n"), 'is not SMTP: "HTTP/1.1 400 Bad Request"'),
        (Say(b"SSH-2.0-OpenSSH_9.2\r\n"), "is not SMTP"),
        (Say(b"\x80\xff\x00\x1b\r\n"), "is not SMTP"),
        (Say(b"2500 ok\r\n"), "is not SMTP"),
        (Say(b"\r\n"), "is not SMTP"),
        (Say(b"999 ok\r\n"), "is not SMTP"),
        (Say(b"25", "close"), "closed the connection"),
        (Say(b"250 ok but no line end", "close"), "closed the connection"),
        (Say(b"250-" + b"x" * 100_000 + b"\r\n"), "longer than 32 KiB"),
        (Say(b"250-more\r\n" * 10_000), "longer than 32 KiB"),
    ],
    ids=lambda value: repr(value.data[:12] + value.then.encode()) if isinstance(value, Say) else "",
)
def test_what_is_no_answer_has_no_code(at: str, said: Say, words: str, ehlo: bytes) -> None:
    script = with_ehlo({}, ehlo)
    script[at] = Say(said.data, "stall" if said.then == "go on" else said.then)
    result = run(script)
    reply = only_reply(result)
    assert (reply.code, reply.stage) == (None, STAGES[at])
    assert words in reply.text
    assert reply.enhanced in {"4.4.2", "4.5.0"}
    assert result.is_unknown == (at == "content")
    assert not result.conversation.endswith("\n")
    assert reply.text.isprintable()


@EHLOS
@pytest.mark.parametrize(
    ("at", "code"),
    [
        ("greeting", 250),
        ("greeting", 354),
        ("EHLO", 354),
        ("MAIL", 354),
        ("RCPT", 354),
        ("DATA", 250),
        ("content", 354),
    ],
)
def test_a_code_of_the_wrong_kind_is_never_a_yes(at: str, code: int, ehlo: bytes) -> None:
    result = run({**with_ehlo({}, ehlo), at: Say(b"%d surprise\r\n" % code, "stall")})
    reply = only_reply(result)
    assert (reply.code, reply.enhanced, reply.stage) == (None, "4.5.0", STAGES[at])
    assert f'"{code} surprise"' in reply.text
    assert result.is_unknown == (at == "content")


@EHLOS
@pytest.mark.parametrize(
    ("said", "want"),
    [
        (b"550 5.1.1 no such user\n", (550, "5.1.1", "no such user")),
        (b"550-5.1.1 no such\r\n550 5.1.1 user\r\n", (550, "5.1.1", "no such\nuser")),
        (b"550-5.1.1 no such\r\n551 user\r\n", (551, "5.1.1", "no such\nuser")),
        (b"550\r\n", (550, None, "")),
        (b"550 \r\n", (550, None, "")),
        (b"550no blank\r\n", (550, None, "no blank")),
        (b"550 #5.1.0 Address rejected\r\n", (550, "5.1.0", "Address rejected")),
        (b"550 5.1.1: unknown\r\n", (550, "5.1.1", "unknown")),
        (b"550 5.1.1\r\n", (550, "5.1.1", "")),
        (b"550 15.1.1 is no code\r\n", (550, None, "15.1.1 is no code")),
        ("550 5.2.2 boîte pleine\r\n".encode(), (550, "5.2.2", "boîte pleine")),
        ("550 5.2.2 boîte pleine\r\n".encode("latin-1"), (550, "5.2.2", "boîte pleine")),
        (b"550 5.7.1 a\x00b\x1b[31mc\td\r\n", (550, "5.7.1", "a\ufffdb\ufffd[31mc d")),
    ],
    ids=repr,
)
def test_the_text_of_a_refusal_is_kept_clean(said: bytes, want: tuple[int, str | None, str], ehlo: bytes) -> None:
    reply = only_reply(run({**with_ehlo({}, ehlo), "RCPT": Say(said)}))
    assert (reply.code, reply.enhanced, reply.text) == want


@pytest.mark.parametrize(
    "said",
    [
        b"550-5.7.1 spam\r\n" * 700_000,
        b"550 5.7.1 spam " + b"x" * 10_000_000,
        b"550 5.7.1 spam and no line end",
        b"550-5.7.1 spam\r\n550",
    ],
    ids=["endless lines", "endless line", "no line end", "no last line"],
)
@pytest.mark.parametrize("then", ["stall", "close"])
def test_a_refusal_that_never_ends_is_still_a_refusal(said: bytes, then: str) -> None:
    reply = only_reply(run({"content": Say(said, then)}))
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert reply.text.startswith("spam")
    assert len(reply.text.encode()) <= 4096


@EHLOS
def test_two_answers_at_once_are_never_taken_for_two_commands(ehlo: bytes) -> None:
    async def scenario() -> None:
        async with serving({"EHLO": Say(ehlo), "content": Say(b"250 2.0.0 taken\r\n250 2.0.0 junk\r\n")}) as peer:
            session = await open_session(peer.port)
            assert only_reply(await session.deliver(envelope())).text == "taken"
            assert not session.is_usable
            again = only_reply(await session.deliver(envelope()))
            assert again.code is None
            assert "250 2.0.0 junk" in again.text
            assert len(peer.contents) == 1
            await session.quit()

    asyncio.run(scenario())


def test_a_doubled_answer_cannot_make_a_refused_recipient_look_accepted() -> None:
    script = {
        "RCPT TO:<anna@guest.example>": Say(b"250 2.1.5 ok\r\n250 2.1.5 ok\r\n"),
        "RCPT TO:<bert@guest.example>": Say(b"550 5.1.1 unknown\r\n"),
    }

    async def scenario() -> tuple[HostResult, int]:
        async with serving(script) as peer:
            result = await send(peer.port, envelope("anna@guest.example", "bert@guest.example"), timeouts=IMPATIENT)
            return result, len(peer.contents)

    result, _ = asyncio.run(scenario())
    assert not any(reply.is_positive for reply in result.replies.values())


def test_503_after_an_accepted_mail_is_the_recipients_reply() -> None:
    reply = only_reply(run({"RCPT": Say(b"503 5.5.1 need MAIL\r\n")}))
    assert (reply.code, reply.stage) == (503, Stage.RCPT)
