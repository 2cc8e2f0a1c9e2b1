"""Notifications to senders: who is told what, and a mail that people, programs and our own reader understand."""

from __future__ import annotations

import email
import email.policy
import quopri
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay import dsn
from relay.classify.report import ReportKind, read_report
from relay.dsn import Notification, Recipient, compose
from relay.dsn_rules import ITSELF, Action, due, is_answer, to_tell, without_delay
from relay.dsn_sending import Teller, submission
from relay.headers import parse_block
from relay.model import Attempt, Category, Delivery, DeliveryId, Message, MessageId, Reply, Stage, Suppression
from relay.status import Status
from relay.store.dsn import Matter, Told

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ORIGINAL = b"From: Hotel <desk@hotel.example>\r\nSubject: Booking BK-1\r\n\r\nSee you soon.\r\n"

GUEST = Recipient(
    address="guest@example.net",
    words=("There is no such mailbox.", "Ask the customer for another address."),
    orcpt="rfc822;Guest+2Bbooking@example.net",
    status="5.1.1",
    code=550,
    reply="no such user here",
    remote="mx.example.net",
    last_attempt_at=NOW,
    log_id="01KD",
)
FAILED = Notification(
    id="01KAAAAAAAAAAAAAAAAAAAAAAA",
    at=NOW,
    hostname="relay.example.com",
    to="desk@hotel.example",
    action=Action.FAILED,
    recipients=(GUEST,),
    arrived_at=NOW - timedelta(hours=1),
    subject="Booking BK-1",
    message_id="<one@hotel.example>",
    envid="QQ+2B1",
    original=ORIGINAL,
)


def parsed(raw: bytes) -> EmailMessage:
    """Read it as Python's parser does, which must find nothing wrong, and no line is longer than RFC 5322 allows."""
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert re.search(rb"(?<!\r)\n|\r(?!\n)", raw) is None
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    parts = [mail] if b"message/global" in raw else mail.walk()  # Python does not decode those before it reads them
    assert not [defect for part in parts for defect in part.defects]
    return mail


def groups(mail: EmailMessage) -> list[dict[str, str]]:
    """Give the fields for programs, one group for the mail and one for each recipient."""
    _, status, *_ = mail.iter_parts()
    payload = cast("list[EmailMessage]", status.get_payload())
    return [{name: str(value) for name, value in group.items()} for group in payload if group.items()]


def fields_of(raw: bytes) -> list[dict[str, str]]:
    """The same, read by hand: what Python makes of an international part is no list of fields."""
    part = raw.split(b"\r\n--=_")[2]
    head, _, body = part.partition(b"\r\n\r\n")
    if b"quoted-printable" in head:
        body = quopri.decodestring(body)
    unfolded = re.sub(r"\r\n (?=\S)", " ", body.decode().replace("\r\n", "\n").replace("\n", "\r\n"))
    found = [[line for line in group.split("\r\n") if line] for group in unfolded.split("\r\n\r\n")]
    return [dict(line.split(": ", 1) for line in group) for group in found if group]


# -- who is told what


@pytest.mark.parametrize(
    ("notify", "setting", "want"),
    [
        (None, "asked", None),
        ("NEVER", "asked", None),
        ("SUCCESS,FAILURE,DELAY", "asked", "delay failure success"),
        ("FAILURE", "asked", "failure"),
        (None, "failure", "failure"),
        (None, "delay", "delay failure"),
        ("SUCCESS", "delay", "success"),
        ("NEVER", "delay", None),
        ("SUCCESS,FAILURE", "none", None),
        (None, "none", None),
    ],
)
def test_a_sender_is_told_what_was_asked_or_what_its_app_is_set_to(
    notify: str | None, setting: str, want: str | None
) -> None:
    assert to_tell(notify=notify, setting=setting, mail_from="desk@hotel.example", is_answer=False) == want


def test_nobody_is_told_about_the_null_sender_or_an_answer() -> None:
    assert to_tell(notify="FAILURE", setting="delay", mail_from="", is_answer=False) is None
    assert to_tell(notify="FAILURE", setting="delay", mail_from="desk@hotel.example", is_answer=True) is None


@pytest.mark.parametrize(
    ("header", "want"),
    [
        (b"Auto-Submitted: auto-replied (vacation)\r\n", True),
        (b"Content-Type: multipart/report;\r\n report-type=delivery-status; boundary=b\r\n", True),
        (b"Auto-Submitted: auto-generated\r\n", False),
        (b"Auto-Submitted: no\r\n", False),
        (b"Subject: multipart/report\r\n", False),
    ],
)
def test_reports_and_automatic_answers_are_known_and_generated_booking_mail_is_neither(
    header: bytes, want: bool
) -> None:
    assert is_answer(parse_block(header + b"\r\nx\r\n")) is want


@pytest.mark.parametrize(
    ("asked", "old", "new", "is_passed_on", "want"),
    [
        ("failure", Status.QUEUED, Status.INVALID, False, Action.FAILED),
        ("failure", Status.DEFERRED, Status.SOFT_BOUNCED, False, Action.FAILED),
        ("failure", Status.QUEUED, Status.REJECTED, False, Action.FAILED),
        ("failure", Status.QUEUED, Status.SUPPRESSED, False, Action.FAILED),
        ("failure", Status.DELIVERED, Status.HARD_BOUNCED, False, Action.FAILED),  # it came back
        ("failure", Status.SOFT_BOUNCED, Status.INVALID, False, None),  # read again by newer rules
        ("failure", Status.QUEUED, Status.DEFERRED, False, None),
        ("failure", Status.QUEUED, Status.CANCELLED, False, None),
        ("failure", Status.QUEUED, Status.DELIVERED, False, None),
        ("success", Status.QUEUED, Status.INVALID, False, None),
        ("failure success", Status.QUEUED, Status.DELIVERED, False, Action.RELAYED),
        ("success", Status.DEFERRED, Status.SENT, False, Action.RELAYED),
        ("success", Status.QUEUED, Status.DELIVERED, True, None),  # the next server tells it
        ("success", Status.SENT, Status.DELIVERED, False, None),  # was told when it left
        (None, Status.QUEUED, Status.INVALID, False, None),
        (ITSELF, Status.QUEUED, Status.INVALID, False, None),
        (ITSELF, Status.QUEUED, Status.DELIVERED, False, None),
    ],
)
def test_each_end_is_told_once_and_only_to_who_asked(
    asked: str | None, old: Status, new: Status, is_passed_on: bool, want: Action | None
) -> None:
    assert due(asked, old=old, new=new, is_passed_on=is_passed_on) is want


def test_a_delay_that_was_told_is_not_told_again() -> None:
    assert without_delay("delay failure success") == "failure success"
    assert without_delay("delay") is None


# -- what it looks like


def test_a_failure_says_everything_that_programs_look_for() -> None:
    mail = parsed(compose(FAILED))
    assert mail["Auto-Submitted"] == "auto-replied"
    assert (mail["From"], mail["To"]) == ("Mail delivery <MAILER-DAEMON@relay.example.com>", "desk@hotel.example")
    assert mail["In-Reply-To"] == "<one@hotel.example>"
    assert mail.get_content_type() == "multipart/report"
    assert mail["Content-Type"].params["report-type"] == "delivery-status"
    kinds = [part.get_content_type() for part in mail.iter_parts()]
    assert kinds == ["text/plain", "message/delivery-status", "text/rfc822-headers"]
    whole, guest = groups(mail)
    assert whole == {
        "Original-Envelope-Id": "QQ+1",
        "Reporting-MTA": "dns; relay.example.com",
        "Arrival-Date": "Sun, 1 Mar 2026 11:00:00 +0000",
    }
    assert guest == {
        "Original-Recipient": "rfc822; Guest+booking@example.net",
        "Final-Recipient": "rfc822; guest@example.net",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.example.net",
        "Diagnostic-Code": "smtp; 550 5.1.1 no such user here",
        "Last-Attempt-Date": "Sun, 1 Mar 2026 12:00:00 +0000",
        "Final-Log-ID": "01KD",
    }


def test_the_text_says_what_happened_and_what_to_do() -> None:
    text, *_ = parsed(compose(FAILED)).iter_parts()
    words = text.get_content()
    for part in ("could not be delivered", "<guest@example.net>", "There is no such mailbox.", "550 5.1.1 no such"):
        assert part in words


def test_our_own_reader_takes_it_for_the_bounce_it_is() -> None:
    report = read_report(compose(FAILED))
    assert report.kind is ReportKind.BOUNCE
    (one,) = report.recipients
    assert (one.address, one.category, one.status) == ("guest@example.net", Category.INVALID_ADDRESS, "5.1.1")


@pytest.mark.parametrize(
    ("action", "status", "want", "kind"),
    [
        (Action.DELAYED, "4.2.2", "4.2.2", ReportKind.DELAY),
        (Action.DELAYED, "5.2.2", "4.0.0", ReportKind.DELAY),  # a delay is never final
        (Action.DELAYED, None, "4.0.0", ReportKind.DELAY),
        (Action.RELAYED, "2.0.0", "2.0.0", ReportKind.DELIVERED),
        (Action.DELIVERED, None, "2.0.0", ReportKind.DELIVERED),
        (Action.FAILED, "4.4.1", "4.4.1", ReportKind.BOUNCE),  # temporary to the end
        (Action.FAILED, "2.0.0", "5.0.0", ReportKind.BOUNCE),
        (Action.FAILED, "5.1.1.1", "5.0.0", ReportKind.BOUNCE),
    ],
)
def test_the_status_fits_the_action(action: Action, status: str | None, want: str, kind: ReportKind) -> None:
    one = replace(GUEST, status=status, code=None, reply="", retry_until=NOW + timedelta(days=5))
    raw = compose(replace(FAILED, action=action, recipients=(one,)))
    (_, guest) = groups(parsed(raw))
    assert (guest["Action"], guest["Status"]) == (action.value, want)
    assert ("Will-Retry-Until" in guest) is (action is Action.DELAYED)
    assert "Remote-MTA" not in guest
    assert read_report(raw).kind is kind


def test_several_recipients_stand_in_one_mail() -> None:
    other = replace(GUEST, address="other@example.net", orcpt=None, code=None, status="4.4.1", reply="no answer at all")
    mail = parsed(compose(replace(FAILED, recipients=(GUEST, other))))
    (_, first, second) = groups(mail)
    assert first["Final-Recipient"] == "rfc822; guest@example.net"
    assert "Original-Recipient" not in second
    assert second["Diagnostic-Code"] == "X-Waybill; no answer at all"


# -- what comes back


@pytest.mark.parametrize(
    ("action", "is_full", "original", "want"),
    [
        (Action.FAILED, True, ORIGINAL, "message/rfc822"),
        (Action.FAILED, False, ORIGINAL, "text/rfc822-headers"),
        (Action.FAILED, True, ORIGINAL + b"x" * 70 + b"\r\n" * dsn.FULL_UP_TO, "text/rfc822-headers"),
        (Action.DELAYED, True, ORIGINAL, "text/rfc822-headers"),
        (Action.RELAYED, True, ORIGINAL, "text/rfc822-headers"),
    ],
)
def test_the_whole_mail_comes_back_when_it_failed_was_asked_for_and_is_not_large(
    action: Action, is_full: bool, original: bytes, want: str
) -> None:
    raw = compose(replace(FAILED, action=action, is_full_wanted=is_full, original=original))
    _, _, returned = parsed(raw).iter_parts()
    assert returned.get_content_type() == want
    assert (b"See you soon." in raw) is (want == "message/rfc822")
    assert b"Subject: Booking BK-1" in raw


def test_without_a_content_two_parts_are_enough() -> None:
    assert len(list(parsed(compose(replace(FAILED, original=None))).iter_parts())) == 2


def test_a_header_in_8_bit_comes_back_in_7_bit_and_a_whole_mail_as_it_was() -> None:
    original = ORIGINAL.replace(b"soon", "später".encode()).replace(b"Booking", "Bögn".encode("latin-1"))
    assert compose(replace(FAILED, original=original)).isascii()
    raw = compose(replace(FAILED, original=original, is_full_wanted=True))
    assert original in raw
    assert parsed(raw)["Content-Transfer-Encoding"] == "8bit"


def test_a_long_header_is_cut_at_a_line() -> None:
    original = b"Subject: x\r\n" + b"X-Long: " + b"y" * 70_000 + b"\r\nX-Last: z\r\n\r\nbody\r\n"
    raw = compose(replace(FAILED, original=original))
    assert b"Subject: x\r\n" in raw
    assert b"X-L" not in raw.partition(b"text/rfc822-headers")[2]


# -- international mail


def test_international_mail_is_told_of_in_its_own_letters_and_in_7_bit() -> None:
    one = replace(GUEST, address="jürgen@gäst.example", orcpt="utf-8;j\\x{FC}rgen@x.example", reply="kein Käufer")
    told = replace(FAILED, is_utf8=True, recipients=(one,), original=ORIGINAL.replace(b"Booking", "Bögn".encode()))
    raw = compose(told)
    assert raw.isascii()
    kinds = [part.get_content_type() for part in parsed(raw).iter_parts()]
    assert kinds == ["text/plain", "message/global-delivery-status", "message/global-headers"]
    (_, guest) = fields_of(raw)
    assert guest["Final-Recipient"] == "utf-8; jürgen@gäst.example"
    assert guest["Original-Recipient"] == "utf-8; j\\x{FC}rgen@x.example"
    assert guest["Diagnostic-Code"] == "smtp; 550 5.1.1 kein Käufer"
    (said,) = read_report(raw).recipients
    assert (said.address, said.category) == ("jürgen@gäst.example", Category.INVALID_ADDRESS)
    full = compose(replace(told, is_full_wanted=True))
    assert full.isascii()
    assert b"Content-Type: message/global\r\n" in full


def test_mail_without_smtputf8_is_told_of_in_ascii() -> None:
    raw = compose(
        replace(FAILED, recipients=(replace(GUEST, address="guest@gäst.example", reply="Käufer \x1b[31m unbekannt"),))
    )
    (_, guest) = groups(parsed(raw))
    assert guest["Final-Recipient"] == "rfc822; guest@xn--gst-qla.example"
    assert guest["Diagnostic-Code"] == "smtp; 550 5.1.1 K?ufer [31m unbekannt"
    raw = compose(replace(FAILED, recipients=(replace(GUEST, address="jürgen@gast.example"),)))
    assert groups(parsed(raw))[1]["Final-Recipient"] == "utf-8; j\\x{FC}rgen@gast.example"


def test_a_sender_with_an_international_domain_is_written_in_ascii() -> None:
    assert parsed(compose(replace(FAILED, to="desk@gäst.example")))["To"] == "desk@xn--gst-qla.example"
    assert "To: <jürgen@gast.example>\r\n".encode() in compose(replace(FAILED, to="jürgen@gast.example"))


# -- what strangers write


@settings(max_examples=150, deadline=None)
@given(reply=st.text(max_size=3000), subject=st.text(max_size=300), orcpt=st.text(max_size=60), is_utf8=st.booleans())
def test_nothing_that_anybody_writes_adds_a_field_or_a_part(
    reply: str, subject: str, orcpt: str, is_utf8: bool
) -> None:
    one = replace(GUEST, reply=reply, orcpt=f"rfc822;{orcpt}")
    raw = compose(replace(FAILED, recipients=(one,), subject=subject, envid=orcpt or None, is_utf8=is_utf8))
    assert raw.isascii()
    assert len(list(parsed(raw).iter_parts())) == 3
    (_, guest) = fields_of(raw)
    assert set(guest) <= {
        *("Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code"),
        *("Last-Attempt-Date", "Final-Log-ID"),
    }
    assert (guest["Final-Recipient"], guest["Action"], guest["Status"]) == (
        *("rfc822; guest@example.net", "failed"),
        "5.1.1",
    )


@pytest.mark.parametrize(
    ("orcpt", "want"),
    [
        ("rfc822;Guest+2Bx+3D@example.net", "rfc822; Guest+x=@example.net"),
        ("RFC822;guest@example.net", "RFC822; guest@example.net"),
        ("rfc822;guest+0D+0AAction:+20x@example.net", "rfc822; guest+0D+0AAction:+20x@example.net"),
        ("x400;/C=FI/", "x400; /C=FI/"),
        ("guest@example.net", None),
    ],
)
def test_the_original_recipient_stands_as_the_client_meant_it(orcpt: str, want: str | None) -> None:
    assert dsn.plain_orcpt(orcpt) == want


# -- the message it becomes

TELLER = Teller(
    hostname="relay.example.com",
    delay_after=timedelta(hours=4),
    give_up_after=timedelta(days=5),
    modes={"test": "redirect:me@test.example", "quiet": "hold"},
)


def matter(*, app: str = "desk", action: Action = Action.FAILED, is_late: bool = False, **changes: Any) -> Matter:
    message = Message(
        id=MessageId("01KM"), accepted_at=NOW, app=app, mail_from="desk@hotel.example", header_from="", ret="FULL"
    )
    delivery = Delivery(
        id=DeliveryId("01KD"),
        message_id=message.id,
        address="guest@example.net",
        domain="example.net",
        status=Status.INVALID,
        category=Category.INVALID_ADDRESS,
        created_at=NOW,
        code=550,
        enhanced="5.1.1",
        reply="no such user",
        mx="mx.example.net",
    )
    delivery = replace(delivery, **changes)
    said = Reply(stage=Stage.RCPT, code=delivery.code, enhanced=delivery.enhanced, text=delivery.reply or "")
    tried = Attempt(delivery_id=delivery.id, number=1, started_at=NOW, took=timedelta(0), reply=said, ip="192.0.2.1")
    told = Told(delivery=delivery, attempt=tried)
    return Matter(message=message, action=action, told=(told,), content=ORIGINAL, is_still_waiting=is_late)


def test_it_is_a_message_of_the_same_app_from_the_null_sender_and_tells_nobody_of_itself() -> None:
    made = submission(matter(), TELLER, now=NOW)
    (delivery,) = made.deliveries
    assert (made.message.app, made.message.mail_from, made.message.kind) == ("desk", "", "dsn")
    assert made.message.store_content == "until_ended"
    assert (delivery.address, delivery.notify, delivery.dsn) == ("desk@hotel.example", "NEVER", ITSELF)
    assert b"message/rfc822" in made.content


def test_in_a_test_system_it_stays_inside() -> None:
    (redirected,) = submission(matter(app="test"), TELLER, now=NOW).deliveries
    assert (redirected.address, redirected.intended) == ("me@test.example", "desk@hotel.example")
    (held,) = submission(matter(app="quiet"), TELLER, now=NOW).deliveries
    assert held.held is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"reply": "the server takes messages of at most 10 bytes, this one has 20; not sent", "code": 552},
        {"reply": 'mail loop: the server greets with our own name "x"', "enhanced": "5.4.6"},
        {"reply": "nobody answered", "code": None},
    ],
)
def test_no_server_is_named_for_what_it_never_said(changes: dict[str, Any]) -> None:
    (_, guest) = groups(parsed(submission(matter(**changes), TELLER, now=NOW).content))
    assert "Remote-MTA" not in guest
    assert guest["Diagnostic-Code"].startswith("X-Waybill;")


def test_a_blocked_address_is_a_failure_without_an_answer_and_without_the_desks_note() -> None:
    blocked = matter(status=Status.SUPPRESSED, reply="blocked (manual: rude)", code=None, category=None)
    block = Suppression(
        id=1, scope="address", value="", reason="manual", since_at=NOW, source="manual", note="rude", by="Anna"
    )
    blocked = replace(blocked, told=(replace(blocked.told[0], block=block),))
    raw = submission(blocked, TELLER, now=NOW).content
    (_, guest) = groups(parsed(raw))
    assert (guest["Status"], guest["Diagnostic-Code"]) == (
        "5.7.1",
        "X-Waybill; the address is blocked by the sending system",
    )
    assert b"A person blocked this address." in raw
    assert b"rude" not in raw
    assert b"Anna" not in raw


@pytest.mark.parametrize(("held", "want"), [(None, "Fri, 6 Mar 2026 12:00:00 +0000"), ("paused: storm", None)])
def test_a_delay_says_until_when_it_is_tried_as_far_as_that_is_known(held: str | None, want: str | None) -> None:
    late = matter(action=Action.DELAYED, is_late=True, status=Status.DEFERRED, code=450, enhanced="4.2.0", held=held)
    raw = submission(late, TELLER, now=NOW).content
    (_, guest) = groups(parsed(raw))
    assert guest.get("Will-Retry-Until") == want
    assert b"still being tried" in raw.replace(b"\r\n", b" ")


def test_a_delay_that_another_server_reports_does_not_quote_its_earlier_yes() -> None:
    passed_on = matter(action=Action.DELAYED, status=Status.DELIVERED, code=250, enhanced="2.0.0", reply="ok")
    raw = submission(passed_on, TELLER, now=NOW).content
    (_, guest) = groups(parsed(raw))
    assert guest["Status"] == "4.0.0"
    assert "Diagnostic-Code" not in guest
    assert b"has not been able to pass it on" in raw.replace(b"\r\n   ", b"")
