"""From an undelivered booking mail to the notice at the desk and back to a delivered one; and what is our own fault.

Setup: name server and mail servers on loopback, gmail.com among them; one relay for the whole file, which finds one
       open notice in its store when it starts.
Test:  app -> SMTP -> relay -> MX; `notices`, `incidents`, `resend`, `correct`, `show` at the command line.

One relay serves all tests, so each has guests of its own. gmial.com and exmaple.example do not exist.
"""

from __future__ import annotations

import contextlib
import json
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest

from relay.model import Category
from relay.status import OPEN, Status
from relay.store import open_store, spool
from tests.store.making import disposition, outcome, reply, submission
from tests.support.asking import Asking, Ran, wait_for
from tests.support.peers import ACCEPTS, Background, FakeDns, FakeMx, Records, Step, Temper, at
from tests.support.process import ConfigFile, config_file, running

PENDING = {status.value for status in OPEN}

GUESTS = Temper(
    name="knows its guests",
    people=(
        ("nobody*", "550 5.1.1 <{rcpt}>: no such user here"),
        ("full*", "552 5.2.2 <{rcpt}>: mailbox is full"),
        ("later*", "450 4.3.0 <{rcpt}>: please try again later"),
    ),
)
UNSIGNED = at(Step.FINAL, "550 5.7.26 Unauthenticated mail from hotel.example is not accepted due to DMARC policy")
SERVERS = {"guest.example": GUESTS, "gmail.com": ACCEPTS, "provider.example": ACCEPTS, "hotmail.com": ACCEPTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A running relay, the guests' servers, and the command line."""

    config: ConfigFile
    asking: Asking
    servers: dict[str, FakeMx]

    def send(self, to: str, *, booking: str = "", customer: str = "", phone: str = "", name: str = "") -> str:
        """Hand in a booking mail; give the id of its message."""
        mail = EmailMessage(policy=SMTP)
        mail["From"], mail["Subject"] = "Harbour Hotel <desk@hotel.example>", "Your booking"
        mail["To"] = f"{name} <{to}>" if name else to
        for field, value in (("Booking", booking), ("Customer", customer), ("Phone", phone)):
            if value:
                mail[f"X-Waybill-{field}"] = value
        mail.set_content("See you.\n")
        with smtplib.SMTP(self.config.smtp.host, self.config.smtp.port) as client:
            client.ehlo()
            client.mail("desk@hotel.example")
            client.rcpt(to)
            _, answer = client.data(mail.as_bytes())
        return answer.decode().rpartition(" ")[2]

    def run(self, *arguments: str) -> Ran:
        return self.asking.run(*arguments)

    def ended(self, message: str) -> dict[str, Any]:
        """Wait until the first delivery of a message has ended; give its row of the log."""

        def look() -> dict[str, Any] | None:
            found = self.asking.log(message)
            return found[-1] if found and found[-1]["status"] not in PENDING else None

        return wait_for(look, otherwise=lambda: self.asking.log(message))

    def fail(self, to: str, **about: str) -> dict[str, Any]:
        row = self.ended(self.send(to, **about))
        assert row["status"] != "delivered", row
        return row

    def notices(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run("notices", "list", "--json", *words).out.splitlines()]

    def notice(self, *words: str) -> dict[str, Any]:
        (one,) = self.notices(*words)
        return one

    def incidents(self) -> dict[str | None, dict[str, Any]]:
        """The open incidents by domain."""
        found = [json.loads(line) for line in self.run("incidents", "list", "--json").out.splitlines()]
        return {one["domain"]: one for one in found}

    def arrived(self, domain: str) -> list[str]:
        return [to for mail in self.servers[domain].received for to in mail.recipients]


def leave_a_notice(folder: Path) -> None:
    """Let a mail to a mistyped domain have failed before the relay starts."""
    with open_store("sqlite:data/waybill.db", folder) as store:
        now = datetime.now(UTC)
        made = submission("anna@hotmial.com", at=now)
        store.write_now(lambda tx: spool.accept(tx, made))
        end = disposition(
            made.deliveries[0].id,
            Status.HARD_BOUNCED,
            at=now,
            reading=outcome(Category.INVALID_DOMAIN),
            said=reply(550, "the domain does not exist"),
        )
        store.write_now(lambda tx: spool.record(tx, end))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("notices")
    servers: dict[str, FakeMx] = {}
    zone: dict[str, Records] = {}
    leave_a_notice(folder)
    with Background() as world, contextlib.ExitStack() as stack:
        for number, (domain, temper) in enumerate(SERVERS.items(), start=1):
            host = f"127.0.6.{number}"
            port = next(iter(servers.values())).port if servers else 0
            servers[domain] = world.enter(FakeMx(temper, host=host, port=port))
            zone[domain] = Records(mx=((10, f"mx.{domain}"),))
            zone[f"mx.{domain}"] = Records(a=(host,))
        dns = world.enter(FakeDns(zone))
        mx_port = servers["guest.example"].port
        config = config_file(folder, mx_port=mx_port, dns=dns.address, retry=("1h",), give_up_after="2d")
        stack.enter_context(running(config))
        yield Desk(config=config, asking=Asking(config.path), servers=servers)


def test_m000_1_2_3_5_9_an_undelivered_booking_mail_is_at_the_desk_by_itself(desk: Desk) -> None:
    row = desk.fail("nobody.sari@guest.example", booking="BK-1", customer="C-1", phone="+358 40 1", name="Sari")
    assert row["status"] == "invalid"
    one = desk.notice("nobody.sari@guest.example")
    assert (one["address"], one["cause"], one["state"]) == ("nobody.sari@guest.example", "no-mailbox", "open")
    assert (one["bookings"], one["customer"], one["phone"], one["name"]) == (["BK-1"], "C-1", "+358 40 1", "Sari")
    assert one["title"] == "Not delivered: address does not exist"
    assert "there is no mailbox nobody.sari@guest.example" in one["happened"]
    assert one["next_step"].startswith("Ask for the right address, correct it, resend. Phone: +358 40 1.")
    assert [each["id"] for each in desk.notices("BK-1")] == [one["id"]]
    shown = desk.run("notices", "list", "BK-1").out
    for part in ("nobody.sari@guest.example", "+358 40 1", "BK-1", "Sari", "waybill correct"):
        assert part in shown


def test_m000_4_a_deferred_and_a_delivered_mail_make_no_notice(desk: Desk) -> None:
    assert desk.ended(desk.send("fine@guest.example"))["status"] == "delivered"
    message = desk.send("later@guest.example")
    wait_for(lambda: [row for row in desk.asking.log(message) if row["status"] == "deferred"] or None)
    assert desk.notices("fine@guest.example") == []
    assert desk.notices("later@guest.example") == []


def test_m000_6_after_the_correction_a_resend_goes_to_the_new_address_and_ends_the_notice(desk: Desk) -> None:
    row = desk.fail("nobody.mika@guest.example", booking="BK-6")
    done = desk.run("correct", "nobody.mika@guest.example", "mika@guest.example")
    assert done.code == 0, done.err
    wait_for(lambda: "mika@guest.example" in desk.arrived("guest.example") or None)
    wait_for(lambda: not desk.notices("nobody.mika") or None, otherwise=lambda: desk.notices("nobody.mika"))
    closed = next(each for each in all_notices(desk) if each["address"] == "nobody.mika@guest.example")
    assert (closed["state"], closed["by"], closed["corrected_to"]) == ("resolved", None, "mika@guest.example")
    again = desk.run("resend", row["id"], "--json")
    assert json.loads(again.out)["done"], again
    wait_for(lambda: desk.arrived("guest.example").count("mika@guest.example") == 2 or None)


def all_notices(desk: Desk) -> list[dict[str, Any]]:
    return [json.loads(line) for line in desk.run("notices", "list", "--all", "--json").out.splitlines()]


def test_m000_7_the_apps_own_correction_keeps_the_history_together(desk: Desk) -> None:
    desk.fail("nobody.olga@guest.example", booking="BK-7", customer="C-7")
    assert desk.ended(desk.send("olga@guest.example", booking="BK-7", customer="C-7"))["status"] == "delivered"
    assert [row["to"] for row in desk.asking.log("--booking", "BK-7")] == [
        "olga@guest.example",
        "nobody.olga@guest.example",
    ]
    one = desk.notice("nobody.olga")
    assert (one["suggestion"], one["state"]) == ("olga@guest.example", "open")


def test_m000_8_further_mail_is_not_delivered_either_and_each_is_seen(desk: Desk) -> None:
    first = desk.fail("nobody.eva@guest.example", booking="BK-8")
    second = desk.fail("nobody.eva@guest.example", booking="BK-9")
    assert (first["status"], second["status"]) == ("invalid", "suppressed")
    one = desk.notice("nobody.eva")
    assert (one["count"], one["bookings"], one["delivery"]) == (2, ["BK-9", "BK-8"], first["id"])
    assert [(mail["id"], mail["status"]) for mail in one["mails"]] == [
        (second["id"], "suppressed"),
        (first["id"], "invalid"),
    ]
    tried = [line for _, line in desk.servers["guest.example"].commands if "nobody.eva" in line]
    assert len(tried) == 1


def test_m000_10_a_cleared_notice_leaves_block_counter_and_log_and_comes_back_with_the_next_failure(desk: Desk) -> None:
    desk.fail("nobody.ivan@guest.example")
    before = desk.run("address", "nobody.ivan@guest.example", "--json").out
    log = desk.asking.log("nobody.ivan")
    one = desk.notice("nobody.ivan")
    assert desk.run("notices", "clear", str(one["id"])).code == 0
    assert desk.notices("nobody.ivan") == []
    assert json.loads(desk.run("address", "nobody.ivan@guest.example", "--json").out)["blocked"]
    assert desk.asking.log("nobody.ivan") == log
    assert counters(desk.run("address", "nobody.ivan@guest.example", "--json").out) == counters(before)
    desk.fail("nobody.ivan@guest.example")
    assert desk.notice("nobody.ivan")["id"] == one["id"]


def counters(text: str) -> tuple[object, ...]:
    known = json.loads(text)
    return known["error_count"], known["blocked"], len(known["blocks"])


def test_m000_11_all_that_is_needed_to_escalate_is_one_command(desk: Desk) -> None:
    row = desk.fail("nobody.kai@guest.example", booking="BK-11")
    assert f"waybill show {row['id']} --package" in desk.run("notices", "list", "nobody.kai").out
    given = desk.run("show", row["id"], "--package").out
    for part in ("nobody.kai@guest.example", "BK-11", "550 5.1.1", "no such user here", "mx.guest.example"):
        assert part in given, part


def test_a_notice_ends_when_the_address_takes_mail_again(desk: Desk) -> None:
    desk.fail("full.nina@guest.example")
    assert desk.notice("full.nina")["cause"] == "mailbox-full"
    desk.servers["guest.example"].temper = ACCEPTS
    try:
        assert desk.ended(desk.send("full.nina@guest.example"))["status"] == "delivered"
    finally:
        desk.servers["guest.example"].temper = GUESTS
    assert desk.notices("full.nina") == []


def test_m000_5_a_mistyped_domain_is_guessed_from_what_took_our_mail(desk: Desk) -> None:
    assert desk.ended(desk.send("anna@gmail.com"))["status"] == "delivered"
    desk.fail("Pia@gmial.com")
    one = desk.notice("gmial.com")
    assert (one["cause"], one["suggestion"]) == ("no-domain", "Pia@gmail.com")
    assert "Did they mean Pia@gmail.com?" in one["next_step"]
    assert "Pia@gmail.com" not in desk.arrived("gmail.com"), "a guess is never applied by itself"


def test_the_relay_looks_for_suggestions_by_itself_and_asks_dns(desk: Desk) -> None:
    found = wait_for(lambda: [one for one in desk.notices("hotmial.com") if one["suggestion"]] or None)
    assert [one["suggestion"] for one in found] == ["anna@hotmail.com"]


def test_our_own_fault_is_an_incident_that_stops_the_domain_and_is_sent_again_in_one_action(desk: Desk) -> None:
    server = desk.servers["provider.example"]
    server.temper = UNSIGNED
    for number in range(6):
        assert desk.fail(f"guest{number}@provider.example")["status"] == "soft_bounced"
    one = desk.incidents()["provider.example"]
    assert (one["state"], one["count"], one["kind"]) == ("paused", 6, "our_fault")
    assert desk.notices("provider.example") == []
    seen = len(server.commands)
    waiting = desk.send("late@provider.example")
    assert desk.asking.why(waiting)["answer"] == "pending"
    for number in range(6):
        assert desk.run("address", f"guest{number}@provider.example", "--json").out.count('"error_count": 0') == 1
    server.temper = ACCEPTS
    assert desk.ended(desk.send("other@guest.example"))["status"] == "delivered"
    assert len(server.commands) == seen, "nothing was tried while the domain was stopped"
    assert "6 would be sent again" in desk.run("incidents", "resend", str(one["id"]), "--dry-run").out
    assert desk.run("incidents", "resend", str(one["id"])).code == 0
    wanted = {f"guest{number}@provider.example" for number in range(6)} | {"late@provider.example"}
    wait_for(lambda: set(desk.arrived("provider.example")) == wanted or None)
    assert len(desk.arrived("provider.example")) == 7
    assert "provider.example" not in desk.incidents()
    assert desk.run("incidents", "resend", str(one["id"])).code == 0
    assert desk.ended(desk.send("last@provider.example"))["status"] == "delivered"
    assert len(desk.arrived("provider.example")) == 8, "a second run sends nothing"


def test_domains_that_vanish_at_once_are_our_resolvers_fault_and_block_nobody(desk: Desk) -> None:
    """The last one: for ten minutes from here on the relay believes no NXDOMAIN."""
    with open_store("sqlite:data/waybill.db", desk.config.path.parent) as store:
        now = datetime.now(UTC)
        store.write_now(lambda tx: tx.run("record.save_domain", {"domain": "known.example", "at": now}))
    message = desk.send("anna@known.example")
    wait_for(lambda: [row for row in desk.asking.log(message) if row["status"] == "deferred"] or None)
    one = desk.incidents()["known.example"]
    assert (one["kind"], one["state"], one["count"]) == ("resolver", "open", 1)
    for number in range(20):
        desk.send(f"anna@gone{number}.example")
    wait_for(lambda: (all_gone(desk) or {}).get("count") == 20 or None, otherwise=lambda: desk.incidents())
    assert desk.notices("gone1") == desk.notices("known.example") == []
    assert desk.asking.log("gone1.example")[0]["category"] == "dns_failure"
    assert desk.run("address", "anna@gone1.example", "--json").out.count('"blocked": false') == 1


def all_gone(desk: Desk) -> dict[str, Any] | None:
    return desk.incidents().get(None)
