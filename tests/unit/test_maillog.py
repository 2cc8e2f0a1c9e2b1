"""maillog.py: one line for each thing, and no value that can forge another."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from relay import maillog
from relay.classify.report import Report, ReportKind
from relay.model import (
    Attempt,
    Blame,
    Category,
    Claimed,
    Disposition,
    Outcome,
    Refusal,
    Reply,
    ReplyClass,
    Stage,
    Suppression,
)
from relay.status import Status
from relay.store.content import pack
from relay.store.reports import ReturnedMail, Taken
from tests.delivery.fake_sites import START, submission

GIVEN = submission(["a@b.example"])
CLAIM = Claimed(delivery=GIVEN.deliveries[0], message=GIVEN.message)
REPLY = Reply(stage=Stage.RCPT, code=452, enhanced="4.2.2", text="Mailbox full", host="mx1.b.example")
OUTCOME = Outcome(reply_class=ReplyClass.DEFERRED, category=Category.MAILBOX_FULL, blame=Blame.RECIPIENT, rule="quota")
ROW = Attempt(
    delivery_id=CLAIM.delivery.id,
    number=1,
    started_at=START,
    took=timedelta(seconds=1),
    reply=REPLY,
    mx="mx1.b.example",
    ip="192.0.2.1",
    tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
    outcome=OUTCOME,
)
DEFERRED = Disposition(
    delivery_id=CLAIM.delivery.id,
    status=Status.DEFERRED,
    attempts=1,
    at=START + timedelta(seconds=2.31),
    attempt_rows=(ROW,),
    outcome=OUTCOME,
    reply=REPLY,
    mx="mx1.b.example",
    next_at=START + timedelta(seconds=2.31, minutes=20),
)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="waybill.mail")
    return caplog


def test_an_attempt_is_one_line_with_everything_a_person_needs(log: pytest.LogCaptureFixture) -> None:
    maillog.attempt(CLAIM, DEFERRED)
    assert log.messages == [
        f"attempt id={CLAIM.delivery.id} message={GIVEN.message.id} to=<a@b.example> mx=mx1.b.example[192.0.2.1]"
        " tls=1.3 delay=2.31 dsn=4.2.2 status=deferred category=mailbox_full blame=recipient rule=quota next=20m"
        ' reply="452 4.2.2 Mailbox full"'
    ]
    assert log.records[0].levelno == logging.INFO


def test_a_hostile_reply_or_address_stays_one_line_and_one_value(log: pytest.LogCaptureFixture) -> None:
    text = 'no" status=delivered\r\nattempt id=forged \x1b[31m\x85 café'
    bad = replace(REPLY, text=text)
    claim = replace(CLAIM, delivery=replace(CLAIM.delivery, address='"a b\n"@b.example'))
    maillog.attempt(claim, replace(DEFERRED, reply=bad))
    (line,) = log.messages
    assert line.count("\n") == 0
    assert all(character.isprintable() for character in line)
    assert '\\" status=delivered\\x0d\\nattempt id=forged \\x1b[31m\\x85 café"' in line
    assert 'to="<\\"a b\\n\\"@b.example>"' in line


def test_a_very_long_reply_is_cut(log: pytest.LogCaptureFixture) -> None:
    maillog.attempt(CLAIM, replace(DEFERRED, reply=replace(REPLY, text="x" * 5000)))
    assert len(log.messages[0]) < 800


def test_acceptance_is_one_line_for_each_recipient(log: pytest.LogCaptureFixture) -> None:
    maillog.accepted(replace(GIVEN.message, booking="BK 1", client_ip="10.0.0.1"), ["a@b.example", "c@d.example"])
    assert [line.split(" ")[2] for line in log.messages] == ["to=<a@b.example>", "to=<c@d.example>"]
    assert 'booking="BK 1"' in log.messages[0]
    assert "size=21" in log.messages[0]


def test_refusals_suppressions_expiries_and_sites_have_their_lines(log: pytest.LogCaptureFixture) -> None:
    maillog.refused(
        Refusal(
            at=START,
            listener="127.0.0.1:2525",
            client_ip="10.0.0.1",
            stage="rcpt",
            code=550,
            enhanced="5.7.1",
            text="no",
            reason="sender_not_allowed",
            rcpt_to="a@b.example",
        )
    )
    block = Suppression(id=1, scope="address", value="a@b.example", reason="errors", since_at=START)
    maillog.suppressed(replace(CLAIM, blocked=block))
    maillog.expired(CLAIM, replace(DEFERRED, status=Status.SOFT_BOUNCED, attempt_rows=(), next_at=None))
    maillog.held(CLAIM, "needs attention")
    until = START + timedelta(minutes=5)
    maillog.site_backs_off("mx", step=2, until=until, now=START, category="network", reply="no answer")
    maillog.site_recovered("mx")
    assert [line.split(" ")[0] for line in log.messages] == [
        "refused",
        "suppressed",
        "expired",
        "held",
        "site-backs-off",
        "site-recovered",
    ]
    assert "reason=errors" in log.messages[1]
    assert 'step=2 for=5m category=network reply="no answer"' in log.messages[4]


@pytest.mark.parametrize(
    ("seconds", "want"), [(0, "0s"), (45, "45s"), (60, "1m"), (90, "90s"), (1200, "20m"), (7200, "2h"), (432000, "5d")]
)
def test_spans_are_written_as_a_person_would(seconds: int, want: str) -> None:
    assert maillog.span(timedelta(seconds=seconds)) == want


def test_returned_mail_is_one_line_with_what_it_did(log: pytest.LogCaptureFixture) -> None:
    mail = ReturnedMail(
        id="01RETURNED",
        at=START,
        digest="",
        report=Report(kind=ReportKind.BOUNCE),
        packed=pack(b""),
        delivery_id=CLAIM.delivery.id,
        since=START,
    )
    taken = Taken(
        is_new=True,
        is_read=True,
        found_by="token",
        delivery_id=CLAIM.delivery.id,
        address="a@b.example",
        status=Status.INVALID,
        category=Category.INVALID_ADDRESS,
    )
    maillog.returned(mail, taken)
    maillog.returned(mail, Taken(is_new=False, is_read=False))
    assert [record.getMessage() for record in log.records] == [
        f"returned id=01RETURNED kind=bounce delivery={CLAIM.delivery.id} to=<a@b.example> found=token "
        "status=invalid category=invalid_address",
        "returned id=01RETURNED kind=bounce known=yes read=no",
    ]
