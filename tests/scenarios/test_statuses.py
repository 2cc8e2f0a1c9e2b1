"""Every status a mail can have, brought about by a real server and read from the command line (mission 003 and 004).

Setup: one relay, one scripted server whose people answer in every way, one domain that does not exist; a mail service
       that one of two apps sends through.
Test:  smtplib -> relay -> the servers' answers -> `waybill log`, `show` and `why`.
"""

from __future__ import annotations

import smtplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from tests.support.peers import ACCEPTS, NULL_MX, Background, FakeDns, FakeMx, Records, Step, at, wait_until
from tests.support.process import ConfigFile, Node, config_file, running

#: Part before the @ -> what the server says to RCPT.
PEOPLE = (
    ("full", "552 5.2.2 <{rcpt}>: mailbox is full, quota exceeded"),
    ("nobody", "550 5.1.1 <{rcpt}>: no such user here"),
    ("closed", "550 5.2.1 <{rcpt}>: this account has been disabled"),
    ("later", "451 4.3.0 <{rcpt}>: try again later"),
    ("big", "552 5.3.4 <{rcpt}>: message size exceeds fixed limit"),
)
OPEN = {"queued", "deferred"}
LETTERS = "letters.example"  #: the app that sends from there sends through a mail service


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One relay with its recipients' server."""

    node: Node
    config: ConfigFile
    mx: FakeMx
    service: FakeMx  #: the mail service that the app "letters" sends through

    def send(
        self,
        to: str,
        *,
        booking: str = "BK-1",
        kind: str = "Confirmation",
        domain: str = "hotel.example",
        **headers: str,
    ) -> None:
        mail = EmailMessage()
        for name, value in {
            "From": f"Harbour Hotel <desk@{domain}>",
            "Reply-To": "Front Desk <front@hotel.example>",
        }.items():
            mail[name] = value
        mail["To"], mail["Subject"] = to, f"{kind} {booking}"
        mail["X-Waybill-Booking"] = booking
        for name, value in headers.items():
            mail[name.replace("_", "-")] = value
        mail.set_content("See you soon.\n")
        with smtplib.SMTP(self.config.smtp.host, self.config.smtp.port, timeout=20) as smtp:
            smtp.send_message(mail)

    def row(
        self,
        to: str,
        *,
        until: Callable[[str], bool] = lambda status: status not in OPEN,
        booking: str | None = None,
    ) -> dict[str, Any]:
        def fitting() -> list[dict[str, Any]]:
            return [row for row in self.rows(to) if until(row["status"]) and booking in (None, row["booking"])]

        wait_until(lambda: bool(fitting()), timeout=30, what=self.node.log_tail)
        return fitting()[0]

    def rows(self, to: str) -> list[dict[str, Any]]:
        return [row for row in self.node.log_rows("--to", to) if row["to"] == to]

    def why(self, question: str) -> str:
        return self.node.ask("why", question).stdout


@contextmanager
def world(folder: Path) -> Iterator[World]:
    temper = replace(ACCEPTS, people=PEOPLE)
    with Background() as peers:
        mx = peers.enter(FakeMx(temper, host="127.0.4.1"))
        spam = peers.enter(
            FakeMx(
                replace(ACCEPTS, replies={Step.FINAL: "554 5.7.1 Message rejected as spam by content filter"}),
                host="127.0.4.2",
                port=mx.port,
            )
        )
        assert spam.port == mx.port
        zone = {
            "guest.example": Records(mx=((10, "mx.guest.example"),)),
            "mx.guest.example": Records(a=("127.0.4.1",)),
            "strict.example": Records(mx=((10, "mx.strict.example"),)),
            "mx.strict.example": Records(a=("127.0.4.2",)),
            "nomail.example": NULL_MX,
        }
        dns = peers.enter(FakeDns(zone))
        service = peers.enter(FakeMx(ACCEPTS, host="127.0.4.3"))
        apps = [
            {"name": name, "networks": ["127.0.0.0/8"], "from_domains": [domain]}
            for name, domain in (("desk", "hotel.example"), ("letters", LETTERS))
        ]
        route = {"app": "letters", "host": "127.0.4.3", "port": service.port, "tls": "none"}
        config = config_file(
            folder,
            mx_port=mx.port,
            dns=dns.address,
            retry=("1h",),
            give_up_after="2d",
            apps=apps,
            more={"route": [route]},
        )
        with running(config) as node:
            yield World(node=node, config=config, mx=mx, service=service)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("statuses")) as made:
        yield made


#: address -> (status, words its answer must have, who acts)
ENDS = {
    "anna@guest.example": ("delivered", ("has the email", "spam"), "customer"),
    "full@guest.example": ("soft_bounced", ("mailbox is full", "another address"), "customer"),
    "nobody@guest.example": ("invalid", ("does not exist", "Ask for the right address"), "customer"),
    "closed@guest.example": ("hard_bounced", ("closed", "Ask for another address"), "customer"),
    "big@guest.example": ("soft_bounced", ("too large", "attachments"), "you"),
    "anna@strict.example": ("soft_bounced", ("spam", "Do not resend unchanged"), "admin"),
    "anna@nomail.example": ("hard_bounced", ("typing mistake", "follows the @"), "customer"),
    "anna@nowhere.example": ("hard_bounced", ("typing mistake", "follows the @"), "customer"),
}


@pytest.mark.parametrize("address", ENDS)
def test_m004_1_every_end_has_a_status_with_explanation_and_resolution(there: World, address: str) -> None:
    status, words, who = ENDS[address]
    there.send(address, booking=f"BK-{len(address)}")
    assert there.row(address)["status"] == status
    said = there.why(address)
    assert all(word in said for word in words), said
    answer = there.node.ask("why", address, "--json").stdout
    assert f'"who": "{who}"' in answer


def test_m004_2_a_server_in_trouble_defers_and_the_mail_is_tried_again(there: World) -> None:
    there.send("later@guest.example")
    row = there.row("later@guest.example", until=lambda status: status == "deferred")
    assert row["next_at"] is not None
    assert row["attempts"] == 1
    assert "Next try" in there.why("later@guest.example")


def test_m004_3_and_4_a_mail_is_queued_until_it_goes_out_and_is_then_delivered(there: World) -> None:
    there.node.ask("queue", "pause", "--domain", "guest.example")
    try:
        there.send("queued@guest.example")
        assert there.rows("queued@guest.example")[0]["status"] == "queued"
        said = there.why("queued@guest.example")
        assert said.startswith("Not yet: sending is paused")
        assert not [mail for mail in there.mx.received if "queued@guest.example" in mail.recipients]
    finally:
        there.node.ask("queue", "resume", "--domain", "guest.example")
    assert there.row("queued@guest.example")["status"] == "delivered"
    assert there.why("queued@guest.example").startswith("Delivered")


def test_m004_10_what_the_mail_service_refuses_is_rejected_until_it_is_resent_by_hand(there: World) -> None:
    there.service.temper = at(Step.MAIL, "550 5.7.1 sender not allowed for this account")
    try:
        there.send("gerd@guest.example", domain=LETTERS)
        row = there.row("gerd@guest.example")
    finally:
        there.service.temper = ACCEPTS
    assert (row["status"], row["next_at"], row["blame"]) == ("rejected", None, "us")
    said = there.why("gerd@guest.example")
    assert said.startswith("Refused before sending")
    assert "Resend after the fix.\nWho can act: your admin" in said
    assert there.node.ask("address", "gerd@guest.example", "--json").stdout.count('"error_count": 0') == 1
    assert there.service.received == []
    assert there.node.ask("resend", row["id"]).returncode == 0
    wait_until(lambda: there.rows("gerd@guest.example")[0]["status"] == "sent", timeout=30, what=there.node.log_tail)


def test_m004_11_a_soft_bounce_blocks_nobody_and_later_mail_is_tried(there: World) -> None:
    for number in range(2):
        there.send("full@guest.example", booking=f"SB-{number}")
        there.row("full@guest.example", booking=f"SB-{number}")
    assert {row["status"] for row in there.rows("full@guest.example")} == {"soft_bounced"}
    tried = [line for _, line in there.mx.commands if line.startswith("RCPT") and "full@guest.example" in line]
    assert len(tried) >= 2
    assert '"blocked": false' in there.node.ask("address", "full@guest.example", "--json").stdout


def test_m004_12_what_the_mail_service_took_is_sent_and_never_called_delivered(there: World) -> None:
    there.send("hanna@guest.example", domain=LETTERS)
    row = there.row("hanna@guest.example")
    assert (row["status"], row["next_at"], row["delivered_at"]) == ("sent", None, None)
    assert '"answer": "pending"' in there.node.ask("why", "hanna@guest.example", "--json").stdout
    assert there.why("hanna@guest.example").splitlines()[0] != "Delivered"


def test_m004_12_what_waits_long_for_the_answer_is_sent_and_then_one_of_the_others(there: World) -> None:
    usual = there.mx.temper
    there.mx.temper = replace(usual, delays={Step.FINAL: 8.0})
    try:
        there.send("slow@guest.example")
        row = there.row("slow@guest.example")
        assert (row["status"], row["delivered_at"]) == ("sent", None)
        there.row("slow@guest.example", until=lambda status: status == "delivered")
    finally:
        there.mx.temper = usual


def test_m004_5_and_6_a_hard_bounce_is_not_sent_again_and_invalid_is_told_apart(there: World) -> None:
    for name in ("nobody", "closed"):
        there.send(f"{name}@guest.example", booking=f"HB-{name}")
    nobody, closed = (there.row(f"{name}@guest.example") for name in ("nobody", "closed"))
    assert (nobody["next_at"], closed["next_at"]) == (None, None)
    assert there.node.log_rows("--status", "invalid", "--to", "nobody@guest.example")
    assert not there.node.log_rows("--status", "invalid", "--to", "closed@guest.example")
    assert there.node.log_rows("--status", "hard_bounced", "--to", "closed@guest.example")


def test_m003_3_and_m002_3_delivered_only_after_the_servers_2xx_and_the_spam_folder_is_named(there: World) -> None:
    there.send("berta@guest.example")
    row = there.row("berta@guest.example")
    assert (row["status"], row["code"]) == ("delivered", 250)
    assert any("berta@guest.example" in mail.recipients for mail in there.mx.received)
    said = there.why("berta@guest.example")
    assert "spam folder" in said
    assert "reply 250" in said


def test_m003_4_display_name_and_reply_to_pass_untouched(there: World) -> None:
    there.send("carla@guest.example")
    there.row("carla@guest.example")
    (mail,) = [mail for mail in there.mx.received if "carla@guest.example" in mail.recipients]
    assert b"From: Harbour Hotel <desk@hotel.example>\r\n" in mail.content
    assert b"Reply-To: Front Desk <front@hotel.example>\r\n" in mail.content


def test_m003_1_and_m002_2_all_mail_of_one_booking_with_its_kinds(there: World) -> None:
    for kind in ("Confirmation", "Reminder", "Cancellation"):
        there.send("dora@guest.example", booking="BK-70701", kind=kind, X_Waybill_Tag=kind.lower())
    there.row("dora@guest.example")
    rows = there.node.log_rows("--booking", "bk 70701")
    assert [row["kind"] for row in rows] == ["cancellation", "reminder", "confirmation"]
    assert {row["app"] for row in rows} == {"desk"}


@pytest.mark.parametrize("part", ["erna", "guest.example", "BK-80", "Confirm", "desk@hotel"])
def test_m001_2_any_detail_finds_it(there: World, part: str) -> None:
    if not there.rows("erna@guest.example"):
        there.send("erna@guest.example", booking="BK-80801")
    assert "erna@guest.example" in {row["to"] for row in there.node.log_rows(part, "--limit", "500")}


def test_m003_6_the_overview_counts_all_mail_sent(there: World) -> None:
    there.send("frida@guest.example")
    there.row("frida@guest.example")
    shown = there.node.ask("stats", "--json").stdout
    assert '"delivered": ' in shown
    assert there.node.ask("stats").stdout.startswith("Since ")
