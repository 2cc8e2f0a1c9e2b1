"""Mail that is only worth delivering until a time: tried harder before it, never begun after it, told of in between.

Setup: name server and one mail server on loopback; a relay whose store already holds mail from before it started: one
       that may still come in time, two whose time was over while the relay stood still.
Test:  app -> SMTP -> relay -> MX; `show`, `why`, `notices`, `resend`, `queue` at the command line.

The server asks everybody called later… to come back; the retry ladder is one second, then an hour.
"""

from __future__ import annotations

import contextlib
import json
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from relay.model import Submission
from relay.status import OPEN, Status
from relay.store import open_store, spool
from tests.store.making import submission
from tests.support.asking import Asking, wait_for
from tests.support.peers import ACCEPTS, Background, FakeDns, FakeMx, Records, Temper
from tests.support.process import ConfigFile, config_file, running

HOUR = timedelta(hours=1)
PENDING = {status.value for status in OPEN}
PATIENT = Temper(name="has no time for some", people=(("later*", "451 4.3.0 <{rcpt}>: please try again later"),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hotel:
    """A running relay, the guests' server, and the command line."""

    config: ConfigFile
    asking: Asking
    mx: FakeMx
    start: datetime  #: of the appointment of later.anna

    def send(self, to: str, *, start: str = "", **fields: str) -> str:
        """Hand in a mail; give the id of its message."""
        mail = EmailMessage(policy=SMTP)
        mail["From"], mail["To"], mail["Subject"] = "desk@hotel.example", to, "Your table"
        for name, value in fields.items():
            mail[name.replace("_", "-")] = value
        mail.set_content("See you.\n")
        if start:
            node = {"@type": "FoodEstablishmentReservation", "reservationNumber": "BK-1", "startTime": start}
            text = f'<p>See you.</p><script type="application/ld+json">{json.dumps(node)}</script>'
            mail.add_alternative(text, subtype="html")
        with smtplib.SMTP(self.config.smtp.host, self.config.smtp.port) as client:
            client.ehlo()
            client.mail("desk@hotel.example")
            client.rcpt(to)
            _, answer = client.data(mail.as_bytes())
        return answer.decode().rpartition(" ")[2]

    def ended(self, to: str) -> dict[str, Any]:
        """Wait until the mail to an address has ended; give its row of the log."""

        def look() -> dict[str, Any] | None:
            found = self.asking.log("--to", to)
            return found[-1] if found and found[-1]["status"] not in PENDING else None

        return wait_for(look, otherwise=lambda: self.asking.log("--to", to))

    def notices(self, *words: str) -> list[dict[str, Any]]:
        lines = self.asking.run("notices", "list", "--all", "--json", *words).out.splitlines()
        return [json.loads(line) for line in lines]

    def was_asked_for(self, to: str) -> bool:
        return any(to in line for _, line in self.mx.commands)


def from_before(to: str, *, accepted_at: datetime, expires_at: datetime, is_event: bool, attempts: int) -> Submission:
    made = submission(to, at=accepted_at, subject="Your table tomorrow", booking="BK-7", phone="+358 40 7")
    message = replace(made.message, expires_at=expires_at, event_at=expires_at if is_event else None, kind="reminder")
    status = Status.DEFERRED if attempts else Status.QUEUED
    delivery = replace(made.deliveries[0], status=status, attempts=attempts, next_at=accepted_at)
    return replace(made, message=message, deliveries=(delivery,))


@pytest.fixture(scope="module")
def hotel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hotel]:
    folder: Path = tmp_path_factory.mktemp("deadlines")
    now = datetime.now(UTC).replace(microsecond=0)
    start = now + HOUR
    with open_store("sqlite:data/waybill.db", folder) as store:
        for made in (
            from_before(
                "later.anna@guest.example", accepted_at=now - 9 * HOUR, expires_at=start, is_event=True, attempts=0
            ),
            from_before(
                "new@guest.example", accepted_at=now - 9 * HOUR, expires_at=now - HOUR, is_event=True, attempts=0
            ),
            from_before("old@guest.example", accepted_at=now - 9 * HOUR, expires_at=now, is_event=False, attempts=4),
        ):
            store.write_now(lambda tx, made=made: spool.accept(tx, made))  # type: ignore[misc]
    with Background() as world, contextlib.ExitStack() as stack:
        mx = world.enter(FakeMx(PATIENT, host="127.0.6.9"))
        zone = {"guest.example": Records(mx=((10, "mx.guest.example"),)), "mx.guest.example": Records(a=("127.0.6.9",))}
        dns = world.enter(FakeDns(zone))
        config = config_file(folder, mx_port=mx.port, dns=dns.address, retry=("1s", "1h"), give_up_after="2d")
        stack.enter_context(running(config))
        yield Hotel(config=config, asking=Asking(config.path), mx=mx, start=start)


@pytest.mark.parametrize("to", ["new@guest.example", "old@guest.example"])
def test_what_became_too_late_while_the_relay_stood_still_is_never_begun(hotel: Hotel, to: str) -> None:
    row = hotel.ended(to)
    assert (row["status"], row["category"], row["next_at"]) == ("soft_bounced", "expired", None)
    assert not hotel.was_asked_for(to)
    (one,) = hotel.notices(to)
    assert (one["cause"], one["state"], one["title"]) == ("too-late", "open", "Not delivered: its time was over")
    assert one["bookings"] == ["BK-7"]
    assert one["next_step"] == "Phone the customer if they still need to know. Phone: +358 40 7."


def test_the_words_tell_an_appointment_from_another_deadline(hotel: Hotel) -> None:
    for to in ("new@guest.example", "old@guest.example"):
        hotel.ended(to)
    assert "The appointment was at" in hotel.asking.why("new@guest.example")["happened"]
    assert "The email was only wanted until" in hotel.asking.why("old@guest.example")["happened"]
    assert any("deadline" in line for line in hotel.asking.why("new@guest.example")["proof"])


def test_it_cannot_be_sent_again_by_hand(hotel: Hotel) -> None:
    row = hotel.ended("new@guest.example")
    ran = hotel.asking.run("resend", row["id"], "--to", "new2@guest.example")
    assert ran.code == 1
    assert "Not sent again: the appointment was at" in ran.out + ran.err
    assert len(hotel.asking.log("--to", "new")) == 1


def test_the_desk_is_told_before_and_no_more_once_it_arrived_in_time(hotel: Hotel) -> None:
    one = wait_for(lambda: next(iter(hotel.notices("later.anna")), None))
    assert (one["cause"], one["state"]) == ("too-late", "open")
    assert one["title"] == "Not yet: it may come too late"
    assert one["happened"].startswith("The appointment is at ")
    assert (one["bookings"], one["phone"]) == (["BK-7"], "+358 40 7")
    (row,) = wait_for(lambda: [row for row in hotel.asking.log("--to", "later.anna") if row["attempts"]] or None)
    assert row["status"] == "deferred"
    assert datetime.fromisoformat(row["expires_at"]) == hotel.start
    shown = hotel.asking.show(row["message"])
    assert "deadline" in {event["kind"] for event in shown["events"]}
    assert "deadline" in hotel.asking.run("show", row["message"]).out
    hotel.mx.temper = ACCEPTS
    try:
        assert hotel.asking.run("queue", "flush", "--domain", "guest.example").code == 0
        assert hotel.ended("later.anna@guest.example")["status"] == "delivered"
    finally:
        hotel.mx.temper = PATIENT
    (after,) = hotel.notices("later.anna")
    assert (after["state"], after["by"]) == ("resolved", None)


@pytest.mark.parametrize(
    ("kind", "hours", "has_deadline"),
    [("reminder", 48, True), ("confirmation", 48, False), ("reminder", -2, False), ("receipt", -2, False)],
)
def test_the_start_of_the_event_is_the_deadline_of_reminders_alone(
    hotel: Hotel, kind: str, hours: int, has_deadline: bool
) -> None:
    at = (datetime.now(UTC) + hours * HOUR).replace(microsecond=0)
    shown = hotel.asking.show(hotel.send("eva@guest.example", start=at.isoformat(), X_Waybill_Tag=kind))
    assert datetime.fromisoformat(shown["event_at"]) == at
    assert (shown["expires_at"] == shown["event_at"]) is has_deadline
    assert shown["expires_at"] is None or has_deadline


def test_a_header_gives_the_deadline_and_tries_come_in_time(hotel: Hotel) -> None:
    """The second step of the ladder is an hour, the mail has seconds."""
    end = (datetime.now(UTC) + timedelta(seconds=8)).replace(microsecond=0)
    hotel.send("later.ben@guest.example", X_Waybill_Expires=format_datetime(end))
    row = hotel.ended("later.ben@guest.example")
    assert (row["status"], row["category"], row["code"]) == ("soft_bounced", "expired", 451)
    assert row["attempts"] > 2
    tried = hotel.asking.show(row["id"])["deliveries"][0]["tries"]
    assert all(datetime.fromisoformat(each["started_at"]) < end for each in tried)
    assert {each["category"] for each in tried} == {"system_error"}
    why = hotel.asking.why("later.ben@guest.example")
    assert "Reason: a fault on their server." in why["happened"]


def test_what_a_pause_kept_until_too_late_is_not_begun_when_it_ends(hotel: Hotel) -> None:
    assert hotel.asking.run("queue", "pause", "--domain", "guest.example").code == 0
    try:
        end = datetime.now(UTC) + timedelta(seconds=2)
        hotel.send("kim@guest.example", X_Waybill_Expires=end.isoformat())
        wait_for(lambda: datetime.now(UTC) > end or None)
        assert hotel.asking.log("--to", "kim@guest.example")[0]["status"] == "queued"
    finally:
        hotel.asking.run("queue", "resume", "--domain", "guest.example")
    row = hotel.ended("kim@guest.example")
    assert (row["status"], row["category"]) == ("soft_bounced", "expired")
    assert not hotel.was_asked_for("kim@guest.example")


def test_the_field_for_us_does_not_reach_the_guest(hotel: Hotel) -> None:
    end = datetime.now(UTC) + HOUR
    hotel.send("olga@guest.example", X_Waybill_Expires=end.isoformat())
    assert hotel.ended("olga@guest.example")["status"] == "delivered"
    (mail,) = [each for each in hotel.mx.received if "olga@guest.example" in each.recipients]
    assert b"X-Waybill" not in mail.content
