"""Real clients against the intake: what they send arrives whole."""

from __future__ import annotations

import shutil
import smtplib
import subprocess
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.smtp.harness import config, in_thread, run, running


def _need(program: str) -> str:
    found = shutil.which(program, path="/usr/bin:/usr/sbin:/usr/local/bin:/bin:/sbin")
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def _call(command: list[str], *, text: str = "") -> None:
    done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")


def test_smtplib_sends_a_message_in_utf8(tmp_path: Path) -> None:
    def send(port: int) -> None:
        message = EmailMessage()
        message["From"] = "Päivi <desk@hotel.example>"
        message["To"] = "Jürgen <jürgen@example.com>"
        message["Subject"] = "Vahvistus ä"
        message.set_content("Hyvää päivää\n.\n..\n", cte="8bit")
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
            client.send_message(message)

    async def main() -> None:
        async with running() as intake:
            await in_thread(send, intake.port())
            submission = intake.acceptor.accepted[0]
            assert submission.message.is_smtputf8
            assert submission.message.subject == "Vahvistus ä"
            assert submission.deliveries[0].address == "jürgen@example.com"
            assert submission.deliveries[0].name == "Jürgen"
            assert submission.content.endswith("\r\n\r\nHyvää päivää\r\n.\r\n..\r\n".encode())

    run(main())


@pytest.mark.parametrize("is_pipelining", [False, True])
def test_swaks(is_pipelining: bool) -> None:
    program = _need("swaks")

    async def main() -> None:
        async with running() as intake:
            more = ["--pipeline"] if is_pipelining else []
            await in_thread(
                _call,
                [program, "-s", f"127.0.0.1:{intake.port()}", "-t", "a@example.com,b@example.com",
                 "-f", "desk@hotel.example", "--header", "X-Waybill-Booking: BK-7", "--body", "Hello", *more],
            )  # fmt: skip
            submission = intake.acceptor.accepted[0]
            assert [delivery.address for delivery in submission.deliveries] == ["a@example.com", "b@example.com"]
            assert submission.message.booking == "BK-7"
            assert b"X-Waybill" not in submission.content
            assert submission.message.repairs == ("private_headers_removed",)

    run(main())


def test_swaks_with_login(tmp_path: Path) -> None:
    program = _need("swaks")
    secret = tmp_path / "password"
    secret.write_text("plain words\n")
    settings = config(
        tmp_path,
        listener=[{"address": "127.0.0.1:0", "auth_without_tls": True}],
        app=[{"name": "shop", "username": "shop", "password_file": str(secret)}],
    )

    async def main() -> None:
        async with running(settings) as intake:
            await in_thread(
                _call,
                [program, "-s", f"127.0.0.1:{intake.port()}", "-t", "a@example.com", "-f", "desk@hotel.example",
                 "-a", "LOGIN", "-au", "shop", "-ap", "plain words"],
            )  # fmt: skip
            assert intake.acceptor.accepted[0].message.auth_user == "shop"

    run(main())


def test_msmtp() -> None:
    program = _need("msmtp")

    async def main() -> None:
        async with running() as intake:
            await in_thread(
                lambda port: _call(
                    [program, "--host=127.0.0.1", f"--port={port}", "--from=desk@hotel.example", "--tls=off",
                     "--auth=off", "a@example.com"],
                    text="To: a@example.com\nBcc: hidden@example.com\nSubject: x\n\n.dot\n",
                ),
                intake.port(),
            )  # fmt: skip
            submission = intake.acceptor.accepted[0]
            assert b"hidden" not in submission.content
            assert submission.content.endswith(b"\r\n\r\n.dot\r\n")

    run(main())


def test_smtp_source_with_many_sessions() -> None:
    program = _need("smtp-source")

    async def main() -> None:
        async with running() as intake:
            await in_thread(
                _call,
                [program, "-s", "5", "-m", "40", "-l", "4096", "-f", "desk@hotel.example", "-t", "a@example.com",
                 f"127.0.0.1:{intake.port()}"],
            )  # fmt: skip
            assert len(intake.acceptor.accepted) == 40

    run(main())


PHP_SOCKET = r"""<?php
// The way a thousand old shops send mail: one socket, replies read line by line, the body with bare LF.
$s = fsockopen("127.0.0.1", (int)$argv[1], $n, $e, 10);
function say($s, $line) {
    if ($line !== null) fputs($s, $line);
    do { $r = fgets($s, 515); } while ($r[3] == "-");
    return $r;
}
say($s, null);
say($s, "HELO web01\r\n");
say($s, "MAIL FROM: <www-data@localhost>\r\n");
say($s, "RCPT TO: <a@example.com>\r\n");
say($s, "DATA\r\n");
$r = say($s, "From: Shop <www-data@localhost>\nTo: a@example.com\nSubject: Tilaus BK-00042 \xe4\n\n" .
    "<p>" . str_repeat("long line ", 200) . "</p>\n\r\n.\r\n");
fputs($s, "QUIT\r\n");
echo $r;
exit(substr($r, 0, 3) == "250" ? 0 : 1);
"""

PHP_MAIL = r"""<?php
$headers = "From: shop@hotel.example\r\nBcc: b@example.com";
exit(mail("a@example.com", "Order BK-00043", "Hello\n.\nBye\n", $headers) ? 0 : 1);
"""


def test_php_with_a_socket(tmp_path: Path) -> None:
    program = _need("php")
    script = tmp_path / "send.php"
    script.write_text(PHP_SOCKET)
    settings = config(
        app=[
            {
                "name": "shop",
                "networks": ["127.0.0.0/8"],
                "default_from": "shop@hotel.example",
                "booking_pattern": "BK-#####",
            }
        ]
    )

    async def main() -> None:
        async with running(settings) as intake:
            await in_thread(_call, [program, str(script), str(intake.port())])
            submission = intake.acceptor.accepted[0]
            message = submission.message
            assert (message.mail_from, message.header_from) == ("shop@hotel.example", "shop@hotel.example")
            assert (message.subject, message.booking) == ("Tilaus BK-00042 ä", "BK-00042")
            assert max(map(len, submission.content.split(b"\r\n"))) <= 998
            assert {"bare_lf", "space_before_path", "sender_replaced", "long_lines_wrapped", "header_encoded"} <= set(
                message.repairs
            )

    run(main())


def test_php_mail_through_msmtp(tmp_path: Path) -> None:
    program, sendmail = _need("php"), _need("msmtp")
    script = tmp_path / "mail.php"
    script.write_text(PHP_MAIL)

    async def main() -> None:
        async with running() as intake:
            path = (
                f"{sendmail} --host=127.0.0.1 --port={intake.port()} --from=shop@hotel.example --tls=off --auth=off -t"
            )
            await in_thread(_call, [program, "-d", f"sendmail_path={path}", str(script)])
            submission = intake.acceptor.accepted[0]
            assert {delivery.address for delivery in submission.deliveries} == {"a@example.com", "b@example.com"}
            assert submission.content.rstrip().endswith(b"\r\n\r\nHello\r\n.\r\nBye")
            assert b"Bcc" not in submission.content

    run(main())
