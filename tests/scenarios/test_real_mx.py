"""Servers that nobody here wrote stand in for the recipients' MX: Postfix, and its smtp-sink failing at every command.

Setup: our name server -> MX records -> Postfix behind three addresses (clear, TLS offered, TLS demanded), and one
       smtp-sink for each way to fail; a real relay that finds them by the name server named in its [dns] section.
Test:  one message to each -> `waybill log`, `show` and `why` tell what the server did, and the mailbox agrees.
"""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest

from relay.demo.connections import free_port
from relay.settings import HostPort
from relay.status import OPEN
from tests.support.asking import Asking, wait_for
from tests.support.peers import Background, FakeDns, Records
from tests.support.postfix import (
    CLEAR,
    DEMANDS_TLS,
    DOMAIN,
    DOORS,
    GREYLISTED,
    OFFERS_TLS,
    SIZE_LIMIT,
    STRICT_DOMAIN,
    Door,
    Postfix,
)
from tests.support.process import Node, config_file, running
from tests.support.sinks import Sink
from tests.support.tools import need

BODY = "Dear guest,\n.\n.. the dots above stay\nKiitos ja tervetuloa: äö\n"


@dataclass(frozen=True, slots=True)
class Relay:
    """A running relay and where it takes mail."""

    node: Node
    smtp: HostPort

    def send(self, *recipients: str, subject: str = "Booking BK-10427", body: str = BODY) -> str:
        """Hand in a message; return the id of the 250."""
        message = EmailMessage()
        message["From"] = "Hotel <desk@hotel.example>"
        message["To"] = ", ".join(recipients)
        message["Subject"] = subject
        message.set_content(body, cte="8bit")
        with smtplib.SMTP(self.smtp.host, self.smtp.port, timeout=20) as client:
            client.ehlo()
            client.mail("desk@hotel.example", ["BODY=8BITMIME"])
            for recipient in recipients:
                client.rcpt(recipient)
            code, text = client.data(message.as_bytes(policy=SMTP))
        assert code == 250, text
        return text.decode().rsplit(" ", 1)[1]

    def ended(self, *message_ids: str) -> dict[str, dict[str, Any]]:
        """Wait until every recipient of the messages has ended; give the log's rows by address."""

        def look() -> dict[str, dict[str, Any]] | None:
            rows = [row for row in self.ask.log("--limit", "500") if row["message"] in message_ids]
            has_all = {row["message"] for row in rows} == set(message_ids)
            return (
                {row["to"]: row for row in rows} if has_all and all(row["status"] not in OPEN for row in rows) else None
            )

        return wait_for(look, timeout=60, otherwise=self.node.log_tail)

    @property
    def ask(self) -> Asking:
        return Asking(self.node.config)


#: Options of smtp-sink -> the end of a message sent there: status, category, code of the last answer, and what its
#: text says. -r refuses for now, -f for good, -q hangs up, -Q says 421 and hangs up.
FAILURES: dict[tuple[str, ...], tuple[str, str | None, int | None, str]] = {
    ("-r", "connect"): ("soft_bounced", "protocol_error", 450, "command failed"),
    ("-r", "ehlo"): ("soft_bounced", "protocol_error", 450, "command failed"),
    ("-r", "mail"): ("soft_bounced", "protocol_error", 450, "command failed"),
    ("-r", "rcpt"): ("soft_bounced", "protocol_error", 450, "command failed"),
    ("-r", "data"): ("soft_bounced", "protocol_error", 450, "command failed"),
    ("-r", "."): ("soft_bounced", "protocol_error", 450, "command failed"),
    ("-f", "connect"): ("soft_bounced", "protocol_error", 500, "command failed"),
    ("-f", "ehlo"): ("delivered", None, 250, "Ok"),
    ("-f", "ehlo helo"): ("soft_bounced", "protocol_error", 500, "command failed"),
    ("-f", "mail"): ("soft_bounced", "protocol_error", 500, "command failed"),
    ("-f", "rcpt"): ("soft_bounced", "protocol_error", 500, "command failed"),
    ("-f", "data"): ("soft_bounced", "protocol_error", 500, "command failed"),
    ("-f", "."): ("soft_bounced", "protocol_error", 500, "command failed"),
    ("-q", "connect"): ("soft_bounced", "network", None, "greeting"),
    ("-q", "ehlo"): ("soft_bounced", "network", None, "EHLO"),
    ("-q", "mail"): ("soft_bounced", "network", None, "MAIL"),
    ("-q", "rcpt"): ("soft_bounced", "network", None, "RCPT"),
    ("-q", "data"): ("soft_bounced", "network", None, "content"),
    ("-q", "."): ("soft_bounced", "network", None, "whether it was accepted is unknown"),
    ("-q", "quit"): ("delivered", None, 250, "Ok"),
    ("-Q", "connect"): ("soft_bounced", "network", 421, "closing"),
    ("-Q", "rcpt"): ("soft_bounced", "network", 421, "closing"),
    ("-Q", "."): ("soft_bounced", "network", 421, "closing"),
    ("-e",): ("delivered", None, 250, "Ok"),
    ("-p",): ("delivered", None, 250, "Ok"),
    ("-8",): ("delivered", None, 250, "Ok"),
    ("-E",): ("delivered", None, 250, "Ok"),
}

SINKS = {options: f"sink{number}.example" for number, options in enumerate(FAILURES, start=1)}


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Relay, dict[str, dict[str, Any]]]]:
    """One message to each sink, all ended: the relay, and the log's rows by domain."""
    need("smtp-sink")
    port = free_port()
    with ExitStack() as stack:
        world = stack.enter_context(Background())
        dns = world.enter(FakeDns())
        for number, (options, domain) in enumerate(SINKS.items(), start=1):
            ip = f"127.0.3.{number}"
            stack.enter_context(Sink(ip, port, *options))
            dns.set(f"mx.{domain}", Records(a=(ip,)))
            dns.set(domain, Records(mx=((10, f"mx.{domain}"),)))
        config = config_file(
            tmp_path_factory.mktemp("sinks"), mx_port=port, dns=dns.address, retry=("1s",), give_up_after="3s"
        )
        relay = Relay(stack.enter_context(running(config)), config.smtp)
        rows = relay.ended(*[relay.send(f"aino@{domain}") for domain in SINKS.values()])
        yield relay, {address.partition("@")[2]: row for address, row in rows.items()}


@pytest.mark.parametrize("options", FAILURES, ids=" ".join)
def test_smtp_sink_failing_at_a_command(
    failures: tuple[Relay, dict[str, dict[str, Any]]], options: tuple[str, ...]
) -> None:
    _, rows = failures
    row = rows[SINKS[options]]
    status, category, code, text = FAILURES[options]
    assert (row["status"], row["category"]) == (status, category), row
    # Trouble with the whole site may end a delivery between two tries; that end has no code of its own.
    is_about_site = status != "delivered" and options[1] in ("connect", "ehlo") and options[0] != "-f"
    assert row["code"] in ({code, None} if is_about_site else {code}), row
    assert text in row["reply"]
    assert row["mx"] == f"mx.{SINKS[options]}"
    # An answer for good ends it at once, a passing trouble is tried again.
    is_final = status == "delivered" or options[0] == "-f"
    assert (row["attempts"] == 1) == is_final, row["attempts"]


def test_a_lost_last_answer_is_marked_as_unknown(failures: tuple[Relay, dict[str, dict[str, Any]]]) -> None:
    relay, rows = failures
    (unknown,) = relay.ask.show(rows[SINKS["-q", "."]]["id"])["deliveries"]
    (known,) = relay.ask.show(rows[SINKS["-q", "rcpt"]]["id"])["deliveries"]
    assert (unknown["outcome_unknown"], known["outcome_unknown"]) == (True, False)
    assert {one["stage"] for one in unknown["tries"]} == {"data"}
    assert {one["stage"] for one in known["tries"]} == {"rcpt"}
    assert all("RCPT TO:<aino@" in one["conversation"] for one in known["tries"])


def test_why_says_that_we_gave_up_and_what_the_server_did(
    failures: tuple[Relay, dict[str, dict[str, Any]]],
) -> None:
    relay, _ = failures
    found = relay.ask.why(f"aino@{SINKS['-q', 'connect']}")
    assert (found["answer"], found["title"]) == ("not_delivered", "Not delivered: we stopped trying")
    assert sum("closed the connection while we waited for its greeting" in line for line in found["proof"]) >= 2


@pytest.fixture(scope="module")
def postfix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Relay, Postfix]]:
    """A relay that finds Postfix by DNS: DOMAIN at the door that offers TLS, the others by names of their own."""
    with ExitStack() as stack:
        server = stack.enter_context(Postfix())
        dns = stack.enter_context(Background()).enter(FakeDns())
        for door in DOORS:
            dns.set(host_of(door), Records(a=(door.ip,)))
        dns.set(DOMAIN, Records(mx=((10, host_of(OFFERS_TLS)),)))
        dns.set("not-ours.example", Records(mx=((10, host_of(CLEAR)),)))
        dns.set(STRICT_DOMAIN, Records(mx=((10, host_of(DEMANDS_TLS)),)))
        route = {"domain": "clear-only.example", "host": DEMANDS_TLS.ip, "port": server.port, "tls": "none"}
        config = config_file(
            tmp_path_factory.mktemp("postfix"),
            mx_port=server.port,
            dns=dns.address,
            retry=("1s",),
            give_up_after="30s",
            more={"route": [route]},
        )
        yield Relay(stack.enter_context(running(config)), config.smtp), server


def host_of(door: Door) -> str:
    """Name the MX host of a door."""
    return f"mx-{door.tls}.{DOMAIN}"


def test_postfix_takes_a_message_and_the_mailbox_holds_its_bytes(postfix: tuple[Relay, Postfix]) -> None:
    relay, server = postfix
    message_id = relay.send(f"aino@{DOMAIN}")
    row = relay.ended(message_id)[f"aino@{DOMAIN}"]
    assert (row["status"], row["code"], row["enhanced"], row["attempts"]) == ("delivered", 250, "2.0.0", 1)
    assert row["mx"] == host_of(OFFERS_TLS)
    (stored,) = server.wait_mailbox("aino")
    raw = relay.ask.run("show", "--raw", message_id).out
    assert stored.endswith(raw.encode().replace(b"\r\n", b"\n"))  # a Maildir has the machine's own line ends
    assert f"id {message_id}" in raw
    assert BODY.replace("\n", "\r\n") in raw
    queue_id = row["reply"].rpartition(" ")[2]
    assert f"(Postfix) with ESMTPS id {queue_id}".encode() in stored
    assert b"Return-Path: <desk@hotel.example>" in stored


def test_starttls_with_a_self_signed_certificate_is_used_and_said(postfix: tuple[Relay, Postfix]) -> None:
    relay, _ = postfix
    message_id = relay.send(f"rupert@{DOMAIN}")
    relay.ended(message_id)
    ((one,),) = [delivery["tries"] for delivery in relay.ask.show(message_id)["deliveries"]]
    assert one["tls"].startswith("TLSv1.3 TLS_")
    assert "not checked" in one["tls_decision"], one["tls_decision"]


def test_postfix_refuses_one_of_three_and_greylists_another(postfix: tuple[Relay, Postfix]) -> None:
    relay, server = postfix
    to = [f"{person}@{DOMAIN}" for person in ("noe", "no.such.guest", GREYLISTED)]
    message_id = relay.send(*to)
    rows = relay.ended(message_id)
    assert [rows[address]["status"] for address in to] == ["delivered", "invalid", "delivered"]
    assert [rows[address]["attempts"] for address in to] == [1, 1, 2]
    assert (rows[to[1]]["code"], rows[to[1]]["enhanced"]) == (550, "5.1.1")
    assert "User unknown in virtual mailbox table" in rows[to[1]]["reply"]
    tries = {one["to"]: one["tries"] for one in relay.ask.show(message_id)["deliveries"]}
    assert [(one["code"], one["category"]) for one in tries[to[2]]] == [(450, "greylisted"), (250, None)]
    assert tries[to[0]][0]["started_at"] == tries[to[1]][0]["started_at"] == tries[to[2]][0]["started_at"]
    assert len(server.wait_mailbox("noe")) == len(server.wait_mailbox(GREYLISTED)) == 1

    why = relay.ask.why(to[1])
    assert (why["answer"], why["title"]) == ("not_delivered", "Not delivered: address does not exist")
    assert any("answered 550 5.1.1" in line for line in why["proof"])

    again = relay.send(to[1])
    assert relay.ended(again)[to[1]]["status"] == "suppressed"
    assert relay.ask.why(to[1])["answer"] == "blocked"


def test_a_message_beyond_the_size_limit_is_known_for_what_it_is(postfix: tuple[Relay, Postfix]) -> None:
    relay, _ = postfix
    message_id = relay.send(f"rupert@{DOMAIN}", body="All about your stay.\n" * (SIZE_LIMIT // 10))
    row = relay.ended(message_id)[f"rupert@{DOMAIN}"]
    assert (row["status"], row["category"], row["blame"]) == ("soft_bounced", "message_too_large", "message")
    assert (row["code"], row["enhanced"], row["attempts"]) == (552, "5.3.4", 1)
    assert relay.ask.why(row["id"])["who"] == "you"


def test_a_domain_postfix_does_not_serve_is_relay_denied(postfix: tuple[Relay, Postfix]) -> None:
    relay, _ = postfix
    row = relay.ended(relay.send("aino@not-ours.example"))["aino@not-ours.example"]
    assert (row["status"], row["category"]) == ("soft_bounced", "relay_denied")
    assert (row["code"], row["mx"]) == (554, host_of(CLEAR))


def test_postfix_that_demands_tls_gets_it(postfix: tuple[Relay, Postfix]) -> None:
    relay, _ = postfix
    row = relay.ended(relay.send(f"aino@{STRICT_DOMAIN}"))[f"aino@{STRICT_DOMAIN}"]
    assert (row["status"], row["mx"]) == ("delivered", host_of(DEMANDS_TLS)), row


def test_a_route_without_tls_learns_that_tls_is_demanded(postfix: tuple[Relay, Postfix]) -> None:
    relay, _ = postfix
    row = relay.ended(relay.send("aino@clear-only.example"))["aino@clear-only.example"]
    assert (row["status"], row["category"], row["blame"]) == ("soft_bounced", "tls_required", "us"), row
    assert (row["code"], row["enhanced"]) == (530, "5.7.0")
