"""AUTH on all three kinds of listener, what it refuses, and the brake on guessing."""

from __future__ import annotations

import asyncio
import base64
import gc
import os
import smtplib
import ssl
from pathlib import Path

import pytest

from relay.passwords import hash_password
from relay.settings import Config
from tests.smtp.harness import Intake, config, in_thread, queued_id, run, running

USER, PASSWORD = "shop@h.example", "s3cret phrase"
HASH = hash_password(PASSWORD)
MAIL = b"From: a@h.example\r\nSubject: x\r\n\r\nHello\r\n"
CLEAR, STARTTLS, IMPLICIT, NO_AUTH = range(4)


def _settings(base: Path, **app: object) -> Config:
    return config(
        base,
        listener=[
            {"address": "127.0.0.1:0", "auth_without_tls": True},
            {"address": "127.0.0.1:0", "tls": "starttls"},
            {"address": "127.0.0.1:0", "tls": "implicit"},
            {"address": "127.0.0.1:0"},
        ],
        app=[{"name": "shop", "username": USER, "password_hash": HASH, **app}],
    )


def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


PLAIN = _b64(f"\0{USER}\0{PASSWORD}")
WRONG = _b64(f"\0{USER}\0guess")
UNKNOWN = _b64(f"\0nobody\0{PASSWORD}")


def _send_with_smtplib(intake: Intake, kind: int, mechanism: str) -> None:
    client: smtplib.SMTP
    if kind == IMPLICIT:
        client = smtplib.SMTP_SSL("127.0.0.1", intake.port(kind), timeout=20, context=_trusting())
    else:
        client = smtplib.SMTP("127.0.0.1", intake.port(kind), timeout=20)
    with client:
        if kind == STARTTLS:
            client.starttls(context=_trusting())
        client.ehlo()
        client.user, client.password = USER, PASSWORD
        assert mechanism in client.esmtp_features["auth"].split()
        client.auth(mechanism, getattr(client, f"auth_{mechanism.lower()}"))
        client.sendmail("a@h.example", ["guest@example.com"], MAIL)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("kind", [CLEAR, STARTTLS, IMPLICIT], ids=["clear", "starttls", "implicit"])
def test_login_works_on_every_kind_of_listener(kind: int, mechanism: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with running(_settings(tmp_path)) as intake:
            await in_thread(_send_with_smtplib, intake, kind, mechanism)
            submission = intake.acceptor.accepted[0]
            assert (submission.message.app, submission.message.auth_user) == ("shop", USER)
            assert (submission.message.tls is not None) == (kind != CLEAR)
            assert (b"with ESMTPA id" if kind == CLEAR else b"with ESMTPSA id") in submission.content

    run(main())


@pytest.mark.parametrize(
    ("lines", "want"),
    [
        pytest.param([f"AUTH PLAIN {PLAIN}"], "235 2.7.0", id="initial response"),
        pytest.param([f"auth plain {PLAIN}"], "235 2.7.0", id="small letters"),
        pytest.param(["AUTH PLAIN", PLAIN], "235 2.7.0", id="asked for"),
        pytest.param(["AUTH Login", _b64(USER), _b64(PASSWORD)], "235 2.7.0", id="LOGIN"),
        pytest.param([f"AUTH LOGIN {_b64(USER)}", _b64(PASSWORD)], "235 2.7.0", id="LOGIN with the user"),
        pytest.param([f"AUTH PLAIN {WRONG}"], "535 5.7.8", id="wrong password"),
        pytest.param([f"AUTH PLAIN {UNKNOWN}"], "535 5.7.8", id="unknown user"),
        pytest.param(["AUTH PLAIN", "*"], "501 5.7.0", id="given up"),
        pytest.param(["AUTH LOGIN", _b64(USER), "*"], "501 5.7.0", id="LOGIN given up"),
        pytest.param(["AUTH PLAIN !!!"], "501 5.5.2", id="no base 64"),
        pytest.param(["AUTH PLAIN", "x" * 10_240], "501 5.5.2", id="10 KiB"),
        pytest.param(["AUTH PLAIN " + "x" * 13_000], "500 5.5.6", id="13 KiB"),
        pytest.param([f"AUTH PLAIN {_b64('no fields')}"], "501 5.5.2", id="no NUL"),
        pytest.param([f"AUTH PLAIN {_b64('a' + chr(0) * 5)}"], "501 5.5.2", id="too many NUL"),
        pytest.param(["AUTH PLAIN ="], "501 5.5.2", id="empty initial response"),
        pytest.param(["AUTH CRAM-MD5"], "504 5.5.4", id="other mechanism"),
        pytest.param(["AUTH"], "501 5.5.4", id="no mechanism"),
        pytest.param([f"AUTH PLAIN {PLAIN}", f"AUTH PLAIN {PLAIN}"], "503 5.5.1", id="twice"),
        pytest.param(["MAIL FROM:<a@h.example>"], "530 5.7.0", id="mail without login"),
    ],
)
def test_answers_of_auth(lines: list[str], want: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with running(_settings(tmp_path)) as intake:
            client = await intake.client(CLEAR)
            assert "AUTH PLAIN LOGIN" in await client.ask("EHLO a")
            got = ""
            for line in lines:
                got = await client.ask(line)
            assert got.startswith(want), got

    run(main())


def test_passwords_are_not_taken_in_clear_unless_allowed(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(_settings(tmp_path)) as intake:
            for index in (STARTTLS, NO_AUTH):
                client = await intake.client(index)
                assert "AUTH" not in await client.ask("EHLO a")
                assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("538 5.7.11")

    run(main())


def test_fifth_failure_ends_the_connection_and_answers_get_slower(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(_settings(tmp_path)) as intake:
            client = await intake.client(CLEAR)
            await client.ask("EHLO a")
            got = [await client.ask(f"AUTH PLAIN {WRONG}") for _ in range(5)]
            assert [reply[:3] for reply in got] == ["535"] * 4 + ["421"]
            assert await client.rest() == ""
            assert intake.slept == sorted(intake.slept)
            assert intake.slept[0] < intake.slept[-1]
            assert [refusal.auth_user for refusal in intake.acceptor.refused] == [USER] * 5
            assert all(refusal.stage == "auth" for refusal in intake.acceptor.refused)

    run(main())


def test_an_ip_with_too_many_failures_is_turned_away_even_with_the_password(tmp_path: Path) -> None:
    async def main() -> None:
        settings = _settings(tmp_path).model_copy(
            update={"intake": config(intake={"auth_failures": 6}).intake},
        )
        async with running(settings) as intake:
            for _ in range(2):
                client = await intake.client(CLEAR)
                await client.ask("EHLO a")
                for _ in range(3):
                    assert (await client.ask(f"AUTH PLAIN {WRONG}")).startswith("535")
            client = await intake.client(CLEAR)
            await client.ask("EHLO a")
            assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("421 4.7.0")

    run(main())


def test_guesses_on_many_connections_at_once_are_counted_like_any(tmp_path: Path) -> None:
    async def guess(intake: Intake) -> str:
        client = await intake.client(CLEAR)
        await client.ask("EHLO a")
        return (await client.ask(f"AUTH PLAIN {WRONG}"))[:3]

    async def main() -> None:
        settings = _settings(tmp_path).model_copy(update={"intake": config(intake={"auth_failures": 3}).intake})
        async with running(settings) as intake:
            got = await asyncio.gather(*(guess(intake) for _ in range(12)))
            assert sorted(got) == ["421"] * 9 + ["535"] * 3

    run(main())


def test_the_right_password_on_many_connections_at_once_gets_in(tmp_path: Path) -> None:
    async def log_in(intake: Intake) -> str:
        client = await intake.client(CLEAR)
        await client.ask("EHLO a")
        return (await client.ask(f"AUTH PLAIN {PLAIN}"))[:3]

    async def main() -> None:
        settings = _settings(tmp_path).model_copy(update={"intake": config(intake={"auth_failures": 3}).intake})
        async with running(settings) as intake:
            assert await asyncio.gather(*(log_in(intake) for _ in range(12))) == ["235"] * 12

    run(main())


def test_user_with_networks_may_log_in_from_there_only(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(_settings(tmp_path, networks=["192.0.2.0/24"])) as intake:
            client = await intake.client(CLEAR)
            await client.ask("EHLO a")
            assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("535 5.7.8")
        async with running(_settings(tmp_path, networks=["127.0.0.1/32"])) as intake:
            client = await intake.client(CLEAR)
            await client.ask("EHLO a")
            assert (await client.ask("MAIL FROM:<a@h.example>")).startswith("530 5.7.0")
            assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("235")

    run(main())


def test_starttls_forgets_what_was_said_in_clear(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(_settings(tmp_path)) as intake:
            client = await intake.client(STARTTLS)
            assert "STARTTLS" in await client.ask("EHLO a")
            assert (await client.ask("STARTTLS now")).startswith("501")
            # What is sent ahead in clear must not run after the handshake.
            assert (await client.ask("STARTTLS\r\nNOOP\r\n")).startswith("220")
            await client.writer.start_tls(_trusting(), server_hostname="relay.test")
            assert (await client.ask("MAIL FROM:<a@h.example>")).startswith("503")
            assert "STARTTLS" not in await client.ask("EHLO a")
            assert (await client.ask("STARTTLS")).startswith("503")
            assert (await client.ask(f"AUTH PLAIN {PLAIN}")).startswith("235")
            queued_id(await client.mail(MAIL))
            assert (intake.acceptor.accepted[0].message.tls or "").startswith("TLSv1")
            assert (await client.ask("QUIT")).startswith("221")

    run(main())


def test_a_mail_cut_within_tls_is_thrown_away_with_all_it_held(tmp_path: Path) -> None:
    """Twenty clients vanish in the middle of their content, without a word of TLS (no close_notify)."""

    async def main() -> None:
        async with running(_settings(tmp_path)) as intake:
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(20):
                client = await intake.client(STARTTLS)
                await client.ask("EHLO a")
                await client.ask("STARTTLS")
                await client.writer.start_tls(_trusting(), server_hostname="relay.test")
                await client.ask("EHLO a")
                await client.ask(f"AUTH PLAIN {PLAIN}")
                await client.envelope()
                await client.ask("DATA")
                await client.send(b"From: a@h.example\r\nSubj")
                client.writer.transport.abort()
            async with asyncio.timeout(5):
                while len(os.listdir("/proc/self/fd")) > before or intake.reception.sessions:
                    gc.collect()
                    await asyncio.sleep(0.01)
            assert intake.acceptor.accepted == []
            assert intake.reception.memory.used == 0
            assert [path for path in tmp_path.rglob("*") if path.suffix in {".eml", ".tmp", ".part"}] == []

    run(main())


def test_failed_handshake_ends_the_connection_and_is_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with running(_settings(tmp_path)) as intake:
            client = await intake.client(STARTTLS)
            await client.ask("EHLO a")
            await client.ask("STARTTLS")
            await client.send(b"this is no TLS\r\n" * 10)
            await client.rest()
            (refusal,) = intake.acceptor.refused
            assert (refusal.stage, refusal.reason, refusal.helo) == ("starttls", "tls_failed", "a")
            other = await intake.client(STARTTLS)
            assert (await other.ask("NOOP")).startswith("250")

    run(main())
