"""What a booking desk does with the mail of its guests, from the app's SMTP to the guest's server and back to the desk.

Setup: name server and mail servers on loopback, each guest with a temper of their own; one relay for the whole file.
Test:  app -> SMTP -> relay -> MX; `why`, `log`, `show`, `resend`, `correct`, `redirect` at the command line.

One relay serves all tests, so each has guests and bookings of its own. Addresses of exmaple.example do not exist.
"""

from __future__ import annotations

import contextlib
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from itertools import count
from typing import Any

import pytest

from relay.status import OPEN
from relay.store.sqlite import connect
from tests.support.asking import Asking, Ran, wait_for
from tests.support.peers import ACCEPTS, Background, FakeDns, FakeMx, Received, Records, Step, at
from tests.support.process import ConfigFile, config_file, running

_NUMBERS = count(1)
_STARTED = datetime.now(UTC)
PENDING = {status.value for status in OPEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A running relay, the guests' servers, and the command line."""

    config: ConfigFile
    asking: Asking
    servers: dict[str, FakeMx]

    def send(self, to: str, *, booking: str | None = None, kind: str = "confirmation", **headers: str) -> str:
        """Hand in a mail with a formatted and a plain form, as the booking app does; give its id."""
        mail = EmailMessage(policy=default.clone(linesep="\r\n"))
        mail["From"], mail["To"], mail["Subject"] = "Harbour Hotel <desk@hotel.example>", to, f"Your {kind}"
        mail["Reply-To"] = "frontdesk@hotel.example"
        if booking:
            mail["X-Waybill-Booking"] = booking
        mail["X-Waybill-Tag"] = kind
        for name, value in headers.items():
            mail[name.replace("_", "-")] = value
        mail.set_content("Plain words.\n")
        mail.add_alternative("<p>Formatted words.</p>\n", subtype="html")
        with smtplib.SMTP(self.config.smtp.host, self.config.smtp.port) as client:
            client.ehlo()
            client.mail("desk@hotel.example")
            client.rcpt(to)
            code, answer = client.data(mail.as_bytes())
        assert code == 250, answer
        return answer.decode().rpartition(" ")[2]

    def run(self, *arguments: str) -> Ran:
        return self.asking.run(*arguments)

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        return self.asking.log(*arguments)

    def ended(self, wanted: str) -> dict[str, Any]:
        """Wait until the newest delivery of an id has ended."""

        def look() -> dict[str, Any] | None:
            row = self.rows(wanted)[0]
            return row if row["status"] not in PENDING else None

        return wait_for(look, otherwise=lambda: self.rows(wanted))

    def made(self, got: Ran) -> dict[str, Any]:
        """Wait for the end of the one delivery that a resend made."""
        assert got.code == 0, got.err
        return self.ended(next(line.strip() for line in got.out.splitlines() if line.startswith("  ")))

    def got(self, to: str) -> list[Received]:
        """What the guest's server took for an address."""
        server = self.servers[to.rpartition("@")[2]]
        return [mail for mail in server.received if to in mail.recipients]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("history")
    tempers = {
        "guest.example": ACCEPTS,
        "exmaple.example": at(Step.RCPT, "550 5.1.1 no such user here"),
        "full.example": at(Step.RCPT, "552 5.2.2 mailbox full"),
        "slow.example": at(Step.RCPT, "451 4.7.1 greylisted, come back later"),
    }
    with Background() as world, contextlib.ExitStack() as stack:
        servers: dict[str, FakeMx] = {}
        zone: dict[str, Records] = {}
        for number, (domain, temper) in enumerate(tempers.items(), start=1):
            host, port = f"127.0.6.{number}", next(iter(servers.values())).port if servers else 0
            servers[domain] = world.enter(FakeMx(temper, host=host, port=port))
            zone |= {domain: Records(mx=((10, f"mx.{domain}"),)), f"mx.{domain}": Records(a=(host,))}
        dns = world.enter(FakeDns(zone))
        port = next(iter(servers.values())).port
        app = {"name": "desk", "networks": ["127.0.0.0/8"], "from_domains": ["hotel.example"]}
        config = config_file(folder, mx_port=port, dns=dns.address, retry=("1h",), give_up_after="2d", apps=[app])
        stack.enter_context(running(config))
        yield Desk(config=config, asking=Asking(config.path), servers=servers)


def guest(domain: str = "guest.example") -> str:
    return f"guest{next(_NUMBERS)}@{domain}"


def booking() -> str:
    return f"HX-{next(_NUMBERS):05}"


# 000: notices and corrected addresses


def test_m000_1_m002_1_a_booking_leads_to_its_mail(desk: Desk) -> None:
    to, number = guest(), booking()
    message = desk.send(to, booking=number)
    desk.ended(message)
    assert [row["message"] for row in desk.rows("--booking", number.lower().replace("-", " "))] == [message]
    assert desk.asking.why(number)["deliveries"][0]["message"] == message


def test_m000_3_m000_5_m000_6_a_wrong_address_is_named_explained_and_mended(desk: Desk) -> None:
    wrong, right, number = guest("exmaple.example"), guest(), booking()
    message = desk.send(wrong, booking=number)
    assert desk.ended(message)["status"] == "invalid"
    told = desk.asking.why(number)
    assert (told["answer"], told["who"]) == ("not_delivered", "customer")
    assert f"there is no mailbox {wrong}" in told["happened"]
    assert "correct it, resend" in told["next_step"]
    assert wrong in desk.run("notices", "list", wrong).out
    assert desk.run("correct", wrong, right).code == 0
    wait_for(lambda: desk.got(right) or None)
    assert wait_for(lambda: a if (a := desk.asking.why(number))["answer"] == "delivered" else None)
    assert f"To: {right}" in desk.got(right)[0].content.decode()
    wait_for(lambda: True if not desk.run("notices", "list", wrong, "--json").out else None)  # nothing is left to do
    later = desk.made(desk.run("resend", message))
    assert (later["to"], later["status"]) == (right, "delivered")


def test_m000_7_the_app_may_send_the_new_address_itself_later(desk: Desk) -> None:
    wrong, right, number = guest("exmaple.example"), guest(), booking()
    desk.ended(desk.send(wrong, booking=number, X_Waybill_Customer="K-501"))
    desk.run("correct", wrong, right)
    desk.ended(desk.send(right, booking=number, kind="reminder", X_Waybill_Customer="K-501"))
    for question in (number, "K-501", wrong, right):
        told = desk.asking.why(question)
        assert {row["to"] for row in told["deliveries"]} == {wrong, right}, question
        assert len(told["deliveries"]) == 3


def test_m000_8_further_mail_to_the_same_address_is_not_sent_and_is_seen_so(desk: Desk) -> None:
    wrong = guest("exmaple.example")
    desk.ended(desk.send(wrong))
    before = desk.servers["exmaple.example"].connection_count
    second = desk.ended(desk.send(wrong, kind="reminder"))
    assert second["status"] == "suppressed"
    assert [row["status"] for row in desk.rows("--to", wrong)] == ["suppressed", "invalid"]
    assert desk.servers["exmaple.example"].connection_count == before


def test_m000_9_the_phone_number_that_the_app_gave_is_shown(desk: Desk) -> None:
    wrong, number = guest("exmaple.example"), booking()
    desk.ended(desk.send(wrong, booking=number, X_Waybill_Phone="+358 40 7654321"))
    assert "+358 40 7654321" in desk.asking.why(number)["next_step"]


def test_m000_11_m002_8_everything_to_escalate_comes_in_one_action(desk: Desk) -> None:
    wrong, number = guest("exmaple.example"), booking()
    message = desk.send(wrong, booking=number)
    desk.ended(message)
    package = desk.run("show", message, "--package").out
    for part in (number, wrong, "Time of the booking:", "550 5.1.1 no such user here", "mx.exmaple.example", " UTC"):
        assert part in package, part
    report = desk.run("show", message, "--report").out
    assert number not in report
    assert "relay.test.example" in report


# 001: find, read, resend


def test_m001_3_a_customers_history_shows_everything(desk: Desk) -> None:
    to = guest()
    sent = [desk.send(to, kind=kind) for kind in ("confirmation", "reminder", "cancellation")]
    for message in sent:
        desk.ended(message)
    rows = desk.asking.why(to)["deliveries"]
    assert [row["message"] for row in rows] == sent[::-1]
    assert [row["kind"] for row in rows] == ["cancellation", "reminder", "confirmation"]


def test_m001_4_m001_5_m001_7_m001_8_both_forms_are_resent_and_the_first_date_stays(desk: Desk) -> None:
    to = guest()
    message = desk.send(to)
    first = desk.ended(message)
    assert desk.asking.show(message)["forms"] == ["full", "plain"]
    assert desk.made(desk.run("resend", message, "--plain"))["status"] == "delivered"
    assert desk.made(desk.run("resend", message))["status"] == "delivered"
    whole, plain, again = (message_from_bytes(mail.content, policy=default) for mail in desk.got(to))
    assert whole.get_content_type() == again.get_content_type() == "multipart/alternative"
    assert (plain.get_content_type(), plain.get_content().strip()) == ("text/plain", "Plain words.")
    assert len({mail["Message-ID"] for mail in (whole, plain, again)}) == 3
    assert plain["Reply-To"] == "frontdesk@hotel.example"
    assert [row for row in desk.rows(message) if row["id"] == first["id"]] == [first]
    assert {row["accepted_at"] for row in desk.rows(message)} == {first["accepted_at"]}


def test_m001_9_m001_10_what_is_over_a_month_old_is_archived_and_can_be_resent(desk: Desk) -> None:
    to, fresh = guest(), guest()
    message, new = desk.send(to), desk.send(fresh)
    first = desk.ended(message)
    _grow_old(desk.config, message)
    assert desk.made(desk.run("resend", message, "--plain"))["status"] == "delivered"
    assert [row["to"] for row in desk.rows("--archive", "only")] == [to, to]
    without = desk.rows("--archive", "without", "--limit", "1000")
    assert message not in {row["message"] for row in without}
    assert new in {row["message"] for row in without}
    assert {message, new} <= {row["message"] for row in desk.rows("--limit", "1000")}
    assert message_from_bytes(desk.got(to)[1].content).get_content_type() == "text/plain"
    (kept,) = [row for row in desk.rows(message) if row["id"] == first["id"]]
    assert kept["accepted_at"] < (_STARTED - timedelta(days=31)).isoformat()


def _grow_old(config: ConfigFile, message: str) -> None:
    """Let two months pass for one message."""
    then = round((_STARTED - timedelta(days=62)).timestamp() * 1_000_000)
    with contextlib.closing(connect(config.data_dir / "waybill.db")) as database:
        database.execute("UPDATE message SET accepted_at = ? WHERE id = ?", (then, message))
        database.execute("UPDATE delivery SET created_at = ? WHERE message_id = ?", (then, message))


def test_m001_11_a_blocked_address_gets_nothing_even_by_hand(desk: Desk) -> None:
    to = guest()
    message = desk.send(to)
    desk.ended(message)
    desk.run("block", to, "--note", "moved abroad")
    got = desk.run("resend", message)
    assert got.code == 1
    assert f"Not sent: {to} is blocked" in got.err
    assert "moved abroad" in got.err
    row = desk.rows(message)[0]
    assert (row["status"], row["attempts"]) == ("suppressed", 0)
    story = desk.asking.show(message)["events"]
    assert [event["kind"] for event in story] == ["resend", "suppressed"]
    assert "moved abroad" in story[1]["text"]
    assert len(desk.got(to)) == 1


def test_m001_14_after_unblocking_mail_flows_again(desk: Desk) -> None:
    to = guest()
    message = desk.send(to)
    desk.ended(message)
    desk.run("block", to)
    assert desk.run("resend", message).code == 1
    assert desk.asking.why(to)["answer"] == "blocked"
    desk.run("unblock", to)
    assert desk.made(desk.run("resend", message))["status"] == "delivered"
    assert desk.asking.why(to)["answer"] == "delivered"
    assert len(desk.got(to)) == 2


def test_m001_15_a_resend_can_go_to_another_address(desk: Desk) -> None:
    to, other = guest("full.example"), guest()
    message = desk.send(to)
    assert desk.ended(message)["status"] == "soft_bounced"
    assert desk.made(desk.run("resend", message, "--to", other))["to"] == other
    assert len(desk.got(other)) == 1


def test_a_double_submit_is_sent_once(desk: Desk) -> None:
    to = guest("slow.example")
    message = desk.send(to)
    wait_for(lambda: row if (row := desk.rows(message)[0])["status"] == "deferred" else None)
    first, second = desk.run("resend", message), desk.run("resend", message)
    assert (first.code, second.code) == (0, 0)
    assert first.out.split()[-1] == second.out.split()[-1]
    assert "Already queued" in second.out
    assert len(desk.rows(message)) == 2


# 002: the booking's event log


def test_m002_2_m002_6_one_time_line_gathers_every_mail_of_a_booking_by_kind(desk: Desk) -> None:
    to, other, number = guest(), guest("full.example"), booking()
    for kind, address in (("confirmation", to), ("reminder", to), ("cancellation", other)):
        desk.ended(desk.send(address, booking=number, kind=kind))
    lines = desk.run("log", "--booking", number).out.splitlines()
    assert "KIND" in lines[0]
    assert [line.split()[2] for line in lines[1:]] == ["cancellation", "reminder", "confirmation"]
    told = desk.run("why", number).out
    assert told.index("cancellation ") < told.index("reminder ") < told.index("confirmation ")
    assert {row["app"] for row in desk.rows("--booking", number)} == {"desk"}


def test_m002_3_m002_4_only_an_acknowledged_mail_is_called_delivered(desk: Desk) -> None:
    number = booking()
    stands = {}
    for domain in ("guest.example", "exmaple.example", "full.example", "slow.example"):
        message = desk.send(guest(domain), booking=number)
        wait_for(lambda message=message: row if (row := desk.rows(message)[0])["attempts"] else None)  # type: ignore[misc]
        stands[domain] = desk.rows(message)[0]["status"]
    assert stands == {
        "guest.example": "delivered",
        "exmaple.example": "invalid",
        "full.example": "soft_bounced",
        "slow.example": "deferred",
    }
    listed = [line for line in desk.run("why", number).out.splitlines() if "  confirmation  " in line]
    assert len(listed) == 4
    assert [("delivered: their server confirmed it" in line) for line in listed] == [False, False, False, True]


def test_m002_5_nothing_handed_to_us_is_an_answer_of_its_own(desk: Desk) -> None:
    known = guest()
    desk.ended(desk.send(known))
    like = known.replace("guest", "gest", 1)
    got = desk.run("why", like)
    told = desk.asking.why(like)
    assert (got.code, told["answer"], told["deliveries"]) == (1, "no_record", [])
    assert f"Did you mean {known}?" in told["proof"]
    for check in ("settings", "switched on", "address", "version"):
        assert check in told["next_step"], check


def test_m002_5_what_was_refused_at_the_door_is_told(desk: Desk) -> None:
    to = guest()
    with smtplib.SMTP(desk.config.smtp.host, desk.config.smtp.port) as client:
        client.ehlo()
        client.mail("desk@hotel.example")
        client.rcpt(to)
        code, _ = client.data("From: stranger@elsewhere.example\r\n\r\nHello\r\n")
    assert code == 550

    def look() -> list[str] | None:
        return [line for line in desk.asking.why(to)["proof"] if "refused at the door" in line] or None

    (line,) = wait_for(look)
    assert "550" in line
    assert desk.asking.why(to)["answer"] == "no_record"


def test_m002_7_the_log_says_when_it_began(desk: Desk) -> None:
    desk.ended(desk.send(guest()))
    (began,) = [line for line in desk.asking.why("HX-OLD-1")["proof"] if line.startswith("The log begins on ")]
    assert "what was sent before that is not in it" in began


# Redirects


def test_new_mail_follows_a_redirect_until_it_ends(desk: Desk) -> None:
    old, new = guest(), guest()
    assert desk.run("redirect", old, new, "--until", "1h").code == 0
    moved = desk.ended(desk.send(old))
    assert (moved["to"], moved["intended"], moved["status"]) == (new, old, "delivered")
    assert f"To: {old}" in desk.got(new)[0].content.decode()  # the mail itself is as the app made it
    assert desk.got(old) == []
    assert f"(meant for {old})" in desk.asking.why(old)["sentence"]
    assert desk.run("redirect", "end", old).code == 0
    assert desk.ended(desk.send(old))["to"] == old
    assert len(desk.got(old)) == 1
