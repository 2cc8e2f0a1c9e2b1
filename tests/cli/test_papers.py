"""`show --report`, `--package`, `--for-customer`: what is handed on, and what must not be in it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from relay.classify import classify
from relay.model import Attempt, DeliveryId, Disposition, Reply, Stage
from relay.status import Status
from relay.store import spool
from tests.cli.desk import Desk

CONFIG = '[[delivery.source_addresses]]\naddress = "192.0.2.25"\nhostname = "out1.relay.example.org"\n'
EVENT = datetime(2026, 3, 14, 19, 0, tzinfo=UTC)


@pytest.fixture
def ours(desk: Desk) -> Desk:
    desk.config.write_text(desk.config.read_text("utf-8") + CONFIG, "utf-8")
    return desk


def failed(desk: Desk) -> DeliveryId:
    """One mail that was delayed, then refused in two lines."""
    _, (delivery,) = desk.accept(
        "ana@exmaple.com", subject="Your table", customer="K-77", phone="+358 40 123", event_at=EVENT
    )
    desk.answer(delivery, "451 4.7.1 greylisted", status=Status.DEFERRED, next_in=timedelta(minutes=5))
    desk.now += timedelta(minutes=5)
    said = Reply(
        stage=Stage.RCPT, code=550, enhanced="5.1.1", text="no such user\nsee https://help.example", host="mx2"
    )
    tried = Attempt(
        delivery_id=delivery.id, number=2, started_at=desk.now, took=timedelta(seconds=0.5), reply=said,
        mx="mx2.exmaple.com", ip="192.0.2.1", source="192.0.2.25", tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
        conversation="C: RCPT\n",
    )  # fmt: skip
    ended = Disposition(
        delivery_id=delivery.id, status=Status.INVALID, attempts=2, at=desk.now, attempt_rows=(tried,), reply=said,
        outcome=classify(said), mx="mx2.exmaple.com",
    )  # fmt: skip
    with desk.store() as store:
        store.write_now(lambda tx: spool.record(tx, ended))
    return delivery.id


def test_m000_11_the_technical_report_has_all_that_their_it_needs(ours: Desk) -> None:
    delivery_id = failed(ours)
    out = ours.run("show", delivery_id, "--report").out
    message = ours.run("show", delivery_id, "--json").one()
    for part in (
        "all times are UTC",
        delivery_id,
        message["message"],
        message["message_id"],
        "ana@exmaple.com",
        "desk@hotel.example",
        "out1.relay.example.org [192.0.2.25]",
        "mx2.exmaple.com [192.0.2.1]",
        "TLSv1.3 TLS_AES_256_GCM_SHA384",
        "451 4.7.1 greylisted",
    ):
        assert part in out, part
    first, second = re.findall(r"^ .*(550 5\.1\.1 .*)$", out, re.MULTILINE)
    assert (first, second) == ("550 5.1.1 no such user", "550 5.1.1 see https://help.example")
    assert len(re.findall(r"^Try \d, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", out, re.MULTILINE)) == 2


def test_the_technical_report_holds_nothing_of_the_content_or_the_booking(ours: Desk) -> None:
    out = ours.run("show", failed(ours), "--report").out
    for secret in ("Your table", "BK-10042", "K-77", "+358", "Welcome", "Anna Berg", "hotel,"):
        assert secret not in out, secret


def test_m002_8_the_package_has_answer_booking_time_address_and_the_report(ours: Desk) -> None:
    delivery_id = failed(ours)
    ours.run("correct", "ana@exmaple.com", "anna@example.com")
    out = ours.run("show", delivery_id, "--package").out
    assert out.startswith("Confirmation for BK-10042: Not delivered")
    for line in (
        r"Booking: +BK-10042",
        r"Time of the booking: +2026-03-14 19:00:00 UTC",
        r"Customer: +K-77",
        r"Phone: +\+358 40 123",
        r"Should have gone to: +ana@exmaple\.com",
        r"Corrected since to: +anna@example\.com",
        r"Stands: +not delivered: no such address",
        r"  .* UTC  try 2 at mx2\.exmaple\.com: 550 5\.1\.1 no such user",
        r"  .* UTC  sent again to anna@example\.com: not yet: waiting to be sent",
        r"Technical report",
    ):
        assert re.search(f"^{line}", out, re.MULTILINE), line
    assert ours.run("show", delivery_id, "--report").out.strip() in out


def test_the_customer_is_told_in_plain_words(ours: Desk) -> None:
    delivery_id = failed(ours)
    ours.run("block", "ana@exmaple.com", "--note", "rude on the phone")
    out = ours.run("show", delivery_id, "--for-customer").out
    assert "ana@exmaple.com" in out
    assert "rude" not in out
    assert not re.search(r"\b(?:SMTP|MX|550|hotel|BK-)", out)


def test_of_a_message_each_recipient_has_its_own(desk: Desk) -> None:
    message, (first, second) = desk.accept("anna@example.com", "bob@example.com")
    desk.answer(first, "250 ok", status=Status.DELIVERED)
    desk.answer(second, "552 5.2.2 mailbox full", status=Status.SOFT_BOUNCED)
    desk.run("resend", second.id)
    out = desk.run("show", message.id, "--report").out
    assert re.findall(r"^Recipient: +(\S+)", out, re.MULTILINE) == ["anna@example.com", "bob@example.com"]


def test_what_a_server_said_cannot_steer_the_terminal(desk: Desk) -> None:
    _, (delivery,) = desk.accept("anna@example.com")
    desk.answer(delivery, "550 5.1.1 no \x1b]0;title\x07 user", status=Status.INVALID)
    for option in ("--report", "--package", "--for-customer"):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", desk.run("show", delivery.id, option).out)


def test_one_paper_at_a_time_and_none_for_an_unknown_id(desk: Desk) -> None:
    desk.run("migrate")
    assert desk.run("show", "X", "--report", "--json").code == 2
    got = desk.run("show", "X", "--report")
    assert (got.code, got.out) == (1, "")
