"""Mail that comes back: return paths on the wire, a real bounce of Postfix, complaints, and what the desk then reads.

Setup: a relay with a listener for apps and one for returned mail; a FakeMx that takes everything; a Postfix that takes
       mail for somebody whom it does not know after all, and knows the way to our return paths; the mailbox that
       bounces are sent on to.
Test:  app -> relay -> their server -> what it brings back -> `waybill log`, `show`, `why` and `reports`.
"""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest

from relay.demo.connections import free_port
from relay.demo.temper import GREYLISTS
from relay.settings import HostPort
from relay.status import OPEN
from tests.support.asking import Asking, wait_for
from tests.support.peers import ACCEPTS, Background, FakeDns, FakeMx, Records
from tests.support.postfix import CLEAR, GONE, Postfix
from tests.support.postfix import DOMAIN as POSTFIX_DOMAIN
from tests.support.process import Node, config_file, running

RETURNED = "bounce.relay.example"
FEEDBACK = "fbl@relay.example"
OLD_MAILBOX = "returns@hotel.example"


@dataclass(frozen=True, slots=True)
class World:
    """The relay and the servers around it."""

    node: Node
    smtp: HostPort
    returned: HostPort
    guests: FakeMx
    hotel: FakeMx
    ask: Asking

    def send(self, *recipients: str, sender: str = "desk@hotel.example", subject: str = "Booking BK-10427") -> str:
        """Hand in a message; return the id of the 250."""
        message = EmailMessage()
        message["From"] = "Hotel <desk@hotel.example>"
        message["To"] = ", ".join(recipients)
        message["Subject"] = subject
        message.set_content("See you soon.\n")
        with smtplib.SMTP(self.smtp.host, self.smtp.port, timeout=20) as client:
            client.ehlo()
            client.mail(sender, ["SMTPUTF8"] if not "".join(recipients).isascii() else [])
            for recipient in recipients:
                client.rcpt(recipient)
            code, text = client.data(message.as_bytes(policy=SMTP.clone(utf8=not "".join(recipients).isascii())))
        assert code == 250, text
        return text.decode().rsplit(" ", 1)[1]

    def ended(self, message_id: str) -> list[dict[str, Any]]:
        """Wait until every recipient of the message has ended; give the log's rows."""

        def look() -> list[dict[str, Any]] | None:
            rows = [row for row in self.ask.log("--limit", "500") if row["message"] == message_id]
            return rows if rows and all(row["status"] not in OPEN for row in rows) else None

        return wait_for(look, timeout=60, otherwise=self.node.log_tail)

    def delivered(self, address: str, **values: Any) -> tuple[str, str]:
        """Send a mail and let it arrive; give its id and its return path."""
        message_id = self.send(address, **values)
        assert [row["status"] for row in self.ended(message_id)] == ["delivered"]
        (path,) = [mail.mail_from for mail in self.guests.received if address in mail.recipients]
        return message_id, path

    def bring(self, path: str, raw: bytes, *, sender: str = "") -> tuple[int, str]:
        """Bring a mail to the listener for returned mail, as a stranger's server does; give the last answer."""
        with smtplib.SMTP(self.returned.host, self.returned.port, timeout=20) as client:
            client.ehlo()
            client.mail(sender)
            code, text = client.rcpt(path)
            if code == 250:
                code, text = client.data(raw)
            return code, text.decode()

    def one(self, message_id: str) -> dict[str, Any]:
        """The only row of a message in the log."""
        (row,) = [row for row in self.ask.log("--limit", "500") if row["message"] == message_id]
        return row

    def reports(self, *arguments: str) -> list[dict[str, Any]]:
        """Run `reports ... --json`."""
        return [json.loads(line) for line in self.ask.run("reports", *arguments, "--json").out.splitlines()]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        there = stack.enter_context(Background())
        returned = HostPort("127.0.0.1", free_port())
        postfix = stack.enter_context(Postfix(returns=(RETURNED, returned)))
        guests = there.enter(FakeMx(ACCEPTS, host="127.0.7.1", port=postfix.port, hostname="mx.guests.example"))
        hotel = there.enter(FakeMx(ACCEPTS, host="127.0.7.2", port=postfix.port, hostname="mx.hotel.example"))
        zone = {
            "guests.example": Records(mx=((10, "mx.guests.example"),)),
            "mx.guests.example": Records(a=("127.0.7.1",)),
            "hotel.example": Records(mx=((10, "mx.hotel.example"),)),
            "mx.hotel.example": Records(a=("127.0.7.2",)),
            POSTFIX_DOMAIN: Records(mx=((10, f"mx.{POSTFIX_DOMAIN}"),)),
            f"mx.{POSTFIX_DOMAIN}": Records(a=(CLEAR.ip,)),
        }
        dns = there.enter(FakeDns(zone))
        smtp = HostPort("127.0.0.1", free_port())
        config = config_file(
            tmp_path_factory.mktemp("relay"),
            mx_port=postfix.port,
            dns=dns.address,
            smtp=smtp,
            more={
                "listener": [{"address": str(smtp)}, {"address": str(returned), "kind": "returned"}],
                "returned": {"domain": RETURNED, "complaints": [FEEDBACK], "forward": OLD_MAILBOX},
            },
        )
        node = stack.enter_context(running(config))
        yield World(node, smtp, returned, guests, hotel, Asking(config.path))


def dsn(address: str, *, reply: str = "550 5.1.1 no such user", status: str = "5.1.1", original: str = "") -> bytes:
    """A delivery status notification as a server writes it."""
    was = f"Original-Recipient: rfc822; {original}\r\n" if original else ""
    return (
        "From: MAILER-DAEMON@mx.guests.example\r\nSubject: Undelivered Mail\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\n\r\nIt could not be delivered.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.guests.example\r\n\r\n"
        f"{was}Final-Recipient: rfc822; {address}\r\nAction: failed\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp; {reply}\r\n\r\n--b--\r\n"
    ).encode()


def arf(original: bytes, *, feedback: str = "abuse") -> bytes:
    """A complaint as feedback loops send it."""
    head = (
        "From: fbl@provider.example\r\nSubject: complaint\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
        "--b\r\n\r\nThis is an email abuse report.\r\n"
        f"--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: {feedback}\r\nVersion: 1\r\n"
        "User-Agent: Provider/1\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
    )
    return head.encode() + original + b"\r\n--b--\r\n"


def test_each_recipient_has_a_transaction_and_a_return_path_of_its_own(world: World) -> None:
    message_id = world.send("one@guests.example", "two@guests.example")
    world.ended(message_id)
    mails = [
        mail for mail in world.guests.received if set(mail.recipients) & {"one@guests.example", "two@guests.example"}
    ]
    assert sorted(len(mail.recipients) for mail in mails) == [1, 1]
    paths = {mail.mail_from for mail in mails}
    assert len(paths) == 2
    assert all(path.endswith(f"@{RETURNED}") and len(path.partition("@")[0]) <= 64 for path in paths)
    assert all(b"From: Hotel <desk@hotel.example>\r\n" in mail.content for mail in mails)  # people see the old sender


def test_the_null_sender_stays_null_and_shares_its_transaction(world: World) -> None:
    world.ended(world.send("null1@guests.example", "null2@guests.example", sender=""))
    (mail,) = [mail for mail in world.guests.received if "null1@guests.example" in mail.recipients]
    assert (mail.mail_from, len(mail.recipients)) == ("", 2)


def test_a_retry_has_the_return_path_of_the_first_try(world: World) -> None:
    """Greylisting goes by the sender: another one would be deferred for ever."""
    world.guests.temper = GREYLISTS
    (row,) = world.ended(world.send("grey@guests.example"))
    world.guests.temper = ACCEPTS
    assert (row["status"], row["attempts"]) == ("delivered", 2)


def test_m000_4_a_server_that_takes_a_mail_and_bounces_it_later_leaves_it_not_delivered(world: World) -> None:
    """Postfix says 250, finds nobody, and brings the bounce to our return path by itself."""
    message_id = world.send(f"{GONE}@{POSTFIX_DOMAIN}", subject="Booking BK-20001")

    def returned() -> dict[str, Any] | None:
        rows = [row for row in world.ask.log("--to", GONE) if row["message"] == message_id]
        return rows[0] if rows and rows[0]["status"] not in {*OPEN, "delivered"} else None

    row = wait_for(returned, timeout=60, otherwise=world.node.log_tail)
    assert (row["status"], row["category"], row["attempts"]) == ("invalid", "invalid_address", 1)
    shown = world.ask.show(message_id)
    assert shown["deliveries"][0]["delivered_at"] < shown["deliveries"][0]["ended_at"]
    assert "returned" in [event["kind"] for event in shown["events"]]
    why = world.ask.why(message_id)
    assert why["answer"] == "not_delivered"
    assert "returned later" in why["sentence"]
    (report,) = world.reports("show", message_id)
    assert (report["kind"], report["read"], report["found_by"]) == ("bounce", True, "token")
    notices = [json.loads(line) for line in world.ask.run("notices", "list", "--json").out.splitlines()]
    assert f"{GONE}@{POSTFIX_DOMAIN}" in [notice["address"] for notice in notices]


def test_a_read_bounce_is_also_sent_to_the_mailbox_that_used_to_get_it(world: World) -> None:
    _, path = world.delivered("copy@guests.example")
    before = len(world.hotel.received)
    raw = dsn("copy@guests.example")
    assert world.bring(path, raw)[0] == 250
    wait_for(lambda: len(world.hotel.received) > before or None, otherwise=world.node.log_tail)
    copy = world.hotel.received[-1]
    assert (copy.mail_from, copy.recipients) == ("", (OLD_MAILBOX,))
    assert copy.content.endswith(raw)
    assert world.bring(path, copy.content)[0] == 554  # a mailbox that redirects to us makes no circle


def test_m003_7_a_late_bounce_counts_once_and_the_address_shows_it(world: World) -> None:
    _, path = world.delivered("full@guests.example")
    raw = dsn("full@guests.example", reply="552 5.2.2 mailbox is full", status="5.2.2")
    assert [world.bring(path, raw)[0] for _ in range(2)] == [250, 250]
    assert world.bring(path, raw + b"Another one.\r\n")[0] == 250
    known = json.loads(world.ask.run("address", "full@guests.example", "--json").out)
    assert (known["error_count"], known["last_category"], known["blocked"]) == (1, "mailbox_full", False)


def test_m001_11_a_late_bounce_blocks_and_the_next_mail_is_not_sent(world: World) -> None:
    first, path = world.delivered("nobody@guests.example")
    assert world.bring(path.upper(), dsn("nobody@guests.example"))[0] == 250
    assert world.one(first)["status"] == "invalid"
    (row,) = world.ended(world.send("nobody@guests.example"))
    assert (row["status"], row["attempts"]) == ("suppressed", 0)


def test_m004_8_a_complaint_marks_the_mail_and_blocks_the_address(world: World) -> None:
    first, path = world.delivered("angry@guests.example")
    (mail,) = [mail for mail in world.guests.received if "angry@guests.example" in mail.recipients]
    original = f"Return-Path: <{path}>\r\n".encode() + mail.content
    assert world.bring(FEEDBACK, arf(original), sender="fbl@provider.example")[0] == 250
    row = world.one(first)
    assert (row["status"], row["marks"]) == ("delivered", ["spam"])
    (next_row,) = world.ended(world.send("angry@guests.example"))
    assert next_row["status"] == "suppressed"
    listed = world.ask.run("notices", "list", "angry@guests.example").out
    assert "Marked as spam by the recipient" in listed
    assert "to correct" not in listed, "another address is no answer to a complaint"
    assert any("The recipient marked it as spam (abuse)" in line for line in world.ask.why(first)["proof"])


def test_a_complaint_without_a_return_path_is_found_by_message_id(world: World) -> None:
    first, _ = world.delivered("quiet@guests.example")
    (mail,) = [mail for mail in world.guests.received if "quiet@guests.example" in mail.recipients]
    assert world.bring(FEEDBACK, arf(mail.content), sender="fbl@provider.example")[0] == 250
    assert world.one(first)["marks"] == ["spam"]
    (report,) = world.reports("show", first)
    assert report["found_by"] == "message_id"


def test_an_automatic_answer_is_no_bounce(world: World) -> None:
    first, path = world.delivered("away@guests.example")
    answer = (
        b"From: away@guests.example\r\nSubject: Out of office\r\nAuto-Submitted: auto-replied\r\n\r\nBack in May.\r\n"
    )
    assert world.bring(path, answer, sender="away@guests.example")[0] == 250
    row = world.one(first)
    assert (row["status"], row["marks"]) == ("delivered", ["auto_reply"])


def test_a_forwarded_mail_counts_for_the_one_we_wrote_to_and_does_not_block(world: World) -> None:
    first, path = world.delivered("alias@guests.example")
    assert world.bring(path, dsn("private@elsewhere.example", original="alias@guests.example"))[0] == 250
    assert world.one(first)["status"] == "invalid"
    known = json.loads(world.ask.run("address", "alias@guests.example", "--json").out)
    assert (known["error_count"], known["blocked"]) == (1, False)
    assert world.ask.run("address", "private@elsewhere.example").code == 1


def test_a_sender_that_was_rewritten_on_the_way_is_known(world: World) -> None:
    for number, rewrite in enumerate(("prvs=1234abcdef={}", "SRS0=AbCd=XY=" + RETURNED + "={}")):
        first, path = world.delivered(f"rewritten{number}@guests.example")
        assert world.bring(rewrite.format(path), dsn(f"rewritten{number}@guests.example"))[0] == 250
        assert world.one(first)["status"] == "invalid"


def test_a_recipient_with_an_international_name_comes_back_too(world: World) -> None:
    first, path = world.delivered("jürgen@guests.example")
    assert path.isascii()
    assert world.bring(path, dsn("jürgen@guests.example"))[0] == 250
    assert world.one(first)["status"] == "invalid"


def test_what_is_forged_is_refused_in_the_session_and_changes_nothing(world: World) -> None:
    first, path = world.delivered("safe@guests.example")
    local = path.partition("@")[0]
    forged = local[:-4] + "".join("a" if letter != "a" else "b" for letter in local[-4:])
    for address in (f"{forged}@{RETURNED}", f"{local}@hotel.example", "safe@guests.example", f"desk@{RETURNED}"):
        assert world.bring(address, dsn("safe@guests.example"))[0] == 550, address
    assert world.one(first)["status"] == "delivered"
    wait_for(lambda: f"{forged}@" in world.ask.run("log", "--refused", "--json").out or None)


def test_what_nobody_understands_waits_for_a_person(world: World) -> None:
    first, path = world.delivered("odd@guests.example")
    assert world.bring(path, b"Subject: hello\r\n\r\nWhat is this about?\r\n", sender="odd@guests.example")[0] == 250
    assert world.one(first)["status"] == "delivered"
    (waiting,) = world.reports("list")
    assert waiting["message"] == first
    assert "What is this about?" in world.ask.run("reports", "show", waiting["id"], "--raw").out
    assert world.ask.run("reports", "close", waiting["id"], "--note", "a question").code == 0
    assert world.reports("list") == []
    assert any("a question" in event["text"] for event in world.ask.show(first)["events"])


def test_the_store_is_whole_after_all_that(world: World) -> None:
    assert world.ask.run("verify").code == 0
