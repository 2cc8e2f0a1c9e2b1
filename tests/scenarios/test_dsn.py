"""Senders who ask are told by mail: what arrives in their mailbox, what a server that offers DSN is asked to tell.

Setup: a relay with an app that asks for itself, one that is set to `dsn = "failure"` and one set to `dsn = "none"`; a
       server without DSN that knows only some people, one with DSN, and the server of the apps' own mailboxes; return
       paths of our own, with the listener that takes what comes back to them.
Test:  app -> relay -> their server -> relay -> the sender's mailbox.
"""

from __future__ import annotations

import email.policy
import json
import smtplib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from email.message import EmailMessage
from typing import Any, cast

import pytest

from relay.classify.report import ReportKind, read_report
from relay.demo.connections import free_port
from relay.demo.mx import Received
from relay.demo.temper import PARTIAL
from relay.settings import HostPort
from tests.support.asking import Asking, wait_for
from tests.support.peers import ACCEPTS, Background, FakeDns, FakeMx, Records
from tests.support.process import Node, config_file, running

RETURNED = "bounce.relay.example"
OLD_SERVER = replace(PARTIAL, extensions=("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"))


@dataclass(frozen=True, slots=True)
class World:
    """The relay and the servers around it."""

    node: Node
    ports: dict[str, HostPort]  #: by app; of the listener for returned mail under "returned"
    old: FakeMx
    modern: FakeMx
    hotel: FakeMx
    ask: Asking

    def send(
        self,
        *recipients: tuple[str, str],
        mail: str = "",
        sender: str = "desk@hotel.example",
        app: str = "desk",
        header: str = "",
    ) -> str:
        """Hand in a message for recipients, each with its parameters; return the id of the 250."""
        at = self.ports[app]
        with smtplib.SMTP(at.host, at.port, timeout=20) as client:
            client.ehlo("app.test")
            assert "dsn" in client.esmtp_features
            assert client.docmd(f"MAIL FROM:<{sender}> {mail}".rstrip())[0] == 250
            for address, parameters in recipients:
                assert client.docmd(f"RCPT TO:<{address}> {parameters}".rstrip())[0] == 250
            text = f"From: Desk <desk@hotel.example>\r\nSubject: Booking BK-1\r\n{header}\r\nSee you soon.\r\n"
            code, said = client.data(text.encode())
        assert code == 250, said
        return said.decode().rsplit(" ", 1)[1]

    def ended(self, message_id: str, *statuses: str) -> None:
        """Wait until the deliveries of a message stand so."""
        wait_for(
            lambda: sorted(row["status"] for row in self.rows(message_id)) == sorted(statuses) or None,
            timeout=60,
            otherwise=lambda: f"{self.rows(message_id)}\n{self.node.log_tail()}",
        )

    def rows(self, message_id: str) -> list[dict[str, Any]]:
        """The rows of a message in the log."""
        return [row for row in self.ask.log("--limit", "500") if row["message"] == message_id]

    def told_about(self, message_id: str) -> list[str]:
        """The notifications about a message, by their ids."""
        events = [event["text"] for event in self.ask.show(message_id)["events"] if event["kind"] == "dsn"]
        return sorted({text.rpartition("(message ")[2].rstrip(")") for text in events})

    def arrived(self, message_id: str) -> Received:
        """Wait for the one notification about a message to arrive at its sender."""
        (told,) = wait_for(lambda: self.told_about(message_id) or None, timeout=60, otherwise=self.node.log_tail)
        return wait_for(lambda: self.mails(told) or None, timeout=60, otherwise=self.node.log_tail)[0]

    def mails(self, told: str) -> list[Received]:
        """What arrived of a notification."""
        return [mail for mail in self.hotel.received if f"Message-ID: <{told}@".encode() in mail.content]

    def bring(self, path: str, raw: bytes) -> None:
        """Bring a mail to the listener for returned mail."""
        at = self.ports["returned"]
        with smtplib.SMTP(at.host, at.port, timeout=20) as client:
            client.ehlo()
            client.mail("")
            assert client.rcpt(path)[0] == 250
            assert client.data(raw)[0] == 250


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        there = stack.enter_context(Background())
        old = there.enter(FakeMx(OLD_SERVER, host="127.0.8.1", hostname="mx.old.example"))
        modern = there.enter(FakeMx(ACCEPTS, host="127.0.8.2", port=old.port, hostname="mx.modern.example"))
        hotel = there.enter(FakeMx(ACCEPTS, host="127.0.8.3", port=old.port, hostname="mx.hotel.example"))
        zone = {}
        for number, name in enumerate(("old", "modern", "hotel"), 1):
            zone[f"{name}.example"] = Records(mx=((10, f"mx.{name}.example"),))
            zone[f"mx.{name}.example"] = Records(a=(f"127.0.8.{number}",))
        dns = there.enter(FakeDns(zone))
        ports = {name: HostPort("127.0.0.1", free_port()) for name in ("desk", "shop", "quiet", "returned")}
        every = {"networks": ["127.0.0.0/8"]}
        apps = [
            {"name": "desk", "listeners": [str(ports["desk"])], **every},
            {"name": "shop", "listeners": [str(ports["shop"])], "dsn": "failure", **every},
            {"name": "quiet", "listeners": [str(ports["quiet"])], "dsn": "none", **every},
        ]
        config = config_file(
            tmp_path_factory.mktemp("relay"),
            mx_port=old.port,
            dns=dns.address,
            smtp=ports["desk"],
            apps=apps,
            retry=["30s"],
            more={
                "listener": [
                    *({"address": str(ports[name])} for name in ("desk", "shop", "quiet")),
                    {"address": str(ports["returned"]), "kind": "returned"},
                ],
                "delivery": {"delay_notice_after": "1s"},
                "returned": {"domain": RETURNED},
            },
        )
        node = stack.enter_context(running(config))
        yield World(node, ports, old, modern, hotel, Asking(config.path))


def fields(mail: Received) -> tuple[EmailMessage, list[dict[str, str]]]:
    """Read a notification as a program does."""
    parsed = email.message_from_bytes(mail.content, policy=email.policy.default)
    status = next(part for part in parsed.iter_parts() if part.get_content_type() == "message/delivery-status")
    groups = cast("list[EmailMessage]", status.get_payload())
    return parsed, [{name: str(value) for name, value in group.items()} for group in groups if group.items()]


def test_a_failure_and_a_success_are_told_as_the_client_asked(world: World) -> None:
    sent = world.send(
        ("unknown@old.example", "NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;Un+2Bknown@old.example"),
        ("unknown2@old.example", "NOTIFY=NEVER"),
        ("unknown3@old.example", ""),
        mail="RET=FULL ENVID=QQ+2B314",
    )
    world.ended(sent, "invalid", "invalid", "invalid")
    mail = world.arrived(sent)
    assert (mail.mail_from, mail.recipients) == ("", ("desk@hotel.example",))
    assert [len(world.mails(told)) for told in world.told_about(sent)] == [1]
    parsed, (whole, *guests) = fields(mail)
    assert parsed["Auto-Submitted"] == "auto-replied"
    assert (whole["Original-Envelope-Id"], whole["Reporting-MTA"]) == ("QQ+314", "dns; relay.test.example")
    (guest,) = guests
    assert guest["Original-Recipient"] == "rfc822; Un+known@old.example"
    assert guest["Final-Recipient"] == "rfc822; unknown@old.example"
    assert (guest["Action"], guest["Status"]) == ("failed", "5.1.1")
    assert guest["Remote-MTA"] == "dns; mx.old.example"
    assert "550 5.1.1 <unknown@old.example>: no such user here" in guest["Diagnostic-Code"]
    assert b"See you soon." in mail.content  # RET=FULL
    assert read_report(mail.content).kind is ReportKind.BOUNCE
    relayed = world.send(("guest@old.example", "NOTIFY=SUCCESS"), mail="RET=HDRS")
    mail = world.arrived(relayed)
    _, (_, guest) = fields(mail)
    assert (guest["Action"], guest["Status"][0], guest["Remote-MTA"]) == ("relayed", "2", "dns; mx.old.example")
    assert b"See you soon." not in mail.content


def test_a_server_that_offers_dsn_is_asked_to_tell_and_we_do_not(world: World) -> None:
    parameters = "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;guest+2Bone@modern.example"
    sent = world.send(("guest@modern.example", parameters), mail="RET=HDRS ENVID=abc+2B1")
    world.ended(sent, "delivered")
    commands = [line for _, line in world.modern.commands]
    (path,) = [mail.mail_from for mail in world.modern.received if "guest@modern.example" in mail.recipients]
    assert path.endswith(f"@{RETURNED}")
    (asked,) = [line for line in commands if line.startswith(f"MAIL FROM:<{path}>")]
    assert "RET=HDRS ENVID=abc+2B1" in asked
    assert f"RCPT TO:<guest@modern.example> {parameters}" in commands
    # What that server tells comes back to our return path, and its sender hears of it.
    report = (
        "From: MAILER-DAEMON@mx.modern.example\r\nSubject: Delivered\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\n\r\nIt was delivered.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.modern.example\r\n\r\n"
        "Final-Recipient: rfc822; guest@modern.example\r\nAction: delivered\r\nStatus: 2.0.0\r\n\r\n--b--\r\n"
    )
    assert world.told_about(sent) == []
    world.bring(path, report.encode())
    _, (whole, guest) = fields(world.arrived(sent))
    assert whole["Original-Envelope-Id"] == "abc+1"
    assert (guest["Action"], guest["Original-Recipient"]) == ("delivered", "rfc822; guest+one@modern.example")


def test_a_delay_is_told_once_and_the_mail_is_still_tried(world: World) -> None:
    sent = world.send(("later@old.example", "NOTIFY=DELAY"))
    mail = world.arrived(sent)
    _, (_, guest) = fields(mail)
    assert (guest["Action"], guest["Status"]) == ("delayed", "4.3.0")
    assert "Will-Retry-Until" in guest
    assert [row["status"] for row in world.rows(sent)] == ["deferred"]


def test_an_app_that_is_set_to_it_is_told_of_failures_without_asking(world: World) -> None:
    told = world.send(("unknown@old.example", ""), app="shop")
    never = world.send(("unknown4@old.example", "NOTIFY=NEVER"), app="shop")
    asked = world.send(("unknown5@old.example", "NOTIFY=FAILURE"), app="quiet")
    silent = world.send(("unknown6@old.example", ""))
    answer = world.send(("unknown7@old.example", "NOTIFY=FAILURE"), header="Auto-Submitted: auto-replied\r\n")
    nobody = world.send(("unknown8@old.example", "NOTIFY=FAILURE"), sender="")
    for message_id in (never, asked, silent, answer, nobody):
        world.ended(message_id, "invalid")
    last = world.send(("unknown9@old.example", "NOTIFY=FAILURE"))
    world.arrived(last)  # whatever came before it would have been told by now
    assert [world.told_about(each) for each in (never, asked, silent, answer, nobody)] == [[]] * 5
    _, (_, guest) = fields(world.arrived(told))
    assert guest["Diagnostic-Code"].startswith("X-Waybill; the address is blocked")  # by the first test's failure


def test_a_notification_that_bounces_ends_there(world: World) -> None:
    sent = world.send(("unknown10@old.example", "NOTIFY=FAILURE"), sender="unknown.desk@old.example")
    (told,) = wait_for(lambda: world.told_about(sent) or None, otherwise=world.node.log_tail)
    world.ended(told, "invalid")
    (row,) = world.rows(told)
    assert (row["app"], row["kind"], row["booking"]) == ("desk", "dsn", None)
    notices = [json.loads(line) for line in world.ask.run("notices", "list", "--json").out.splitlines()]
    assert "unknown.desk@old.example" not in [notice["address"] for notice in notices]
    last = world.send(("unknown11@old.example", "NOTIFY=FAILURE"))
    world.arrived(last)
    assert world.told_about(told) == []


def test_killed_at_that_moment_it_is_told_once(world: World) -> None:
    sent = [world.send((f"unknown{number}@old.example", "NOTIFY=FAILURE")) for number in range(20, 30)]
    world.ended(sent[0], "invalid")
    world.node.kill()
    world.node.start()
    for message_id in sent:
        world.ended(message_id, "invalid")
        world.arrived(message_id)  # of one notification; a copy of it may come twice, as any mail cut on its way


def test_the_store_is_whole_after_all_that(world: World) -> None:
    assert world.ask.run("verify").code == 0
