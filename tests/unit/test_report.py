"""Returned mail with parts made for machines: delivery status notifications, feedback reports, JSON."""

from __future__ import annotations

import json

import pytest

from relay.classify.report import Report, ReportedRecipient, ReportKind, read_report
from relay.model import Category, ReplyClass

ORIGINAL = (
    "Return-Path: <b+7f3k@bounce.relay.example>\nReceived: from app by mx (envelope-from <desk@relay.example>)\n"
    "Message-ID: <booking-1@relay.example>\nFrom: Hotel <desk@relay.example>\nTo: Guest <old@hotel.example>\n"
    "Subject: Your booking\n\nHello\n"
)


def notification(*groups: str, text: str = "Your message could not be delivered.", original: str = ORIGINAL) -> bytes:
    """Build a delivery status notification."""
    status = "Reporting-MTA: dns; mx.hotel.example\n\n" + "\n\n".join(groups) + "\n"
    return (
        "From: Mail Delivery System <MAILER-DAEMON@mx.hotel.example>\nTo: b+7f3k@bounce.relay.example\n"
        "Subject: Undelivered Mail Returned to Sender\nAuto-Submitted: auto-replied\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="x"\n\n'
        f"--x\nContent-Type: text/plain\n\n{text}\n"
        f"--x\nContent-Type: message/delivery-status\n\n{status}\n"
        f"--x\nContent-Type: message/rfc822\n\n{original}\n--x--\n"
    ).encode()


def one(report: Report) -> ReportedRecipient:
    assert len(report.recipients) == 1
    return report.recipients[0]


def test_m000_a_failure_is_read_from_the_part_for_machines() -> None:
    report = read_report(
        notification(
            "Final-Recipient: rfc822; guest@hotel.example\nAction: failed\nStatus: 5.1.1\n"
            "Diagnostic-Code: smtp; 550-5.1.1 no such user\n 550 5.1.1 here"
        )
    )
    assert report.kind is ReportKind.BOUNCE
    recipient = one(report)
    assert (recipient.address, recipient.status, recipient.action) == ("guest@hotel.example", "5.1.1", "failed")
    assert (recipient.reply_class, recipient.category) == (ReplyClass.HARD, Category.INVALID_ADDRESS)
    assert recipient.reply.startswith("550-5.1.1 no such user")


def test_the_returned_header_helps_to_find_our_delivery_and_names_no_failed_recipient() -> None:
    report = read_report(notification("Final-Recipient: rfc822; guest@hotel.example\nAction: failed\nStatus: 5.1.1"))
    assert report.original_message_id == "<booking-1@relay.example>"
    assert report.original_recipients == ("old@hotel.example",)
    assert report.return_token_candidates == ("b+7f3k", "desk")
    assert [recipient.address for recipient in report.recipients] == ["guest@hotel.example"]


@pytest.mark.parametrize(
    ("action", "status", "kind"),
    [
        ("failed", "5.0.0", "bounce"),
        ("Failed (permanent)", "5.0.0", "bounce"),
        ("delayed", "4.4.1", "delay"),
        ("delayed", "5.0.0", "delay"),
        ("delivered", "2.0.0", "delivered"),
        ("relayed", "2.1.9", "delivered"),
        ("expanded", "2.1.10", "delivered"),
        ("", "5.1.1", "bounce"),
        ("", "4.4.1", "delay"),
        ("", "2.1.5", "delivered"),
    ],
)
def test_the_action_decides_the_kind_and_the_status_where_it_is_missing(action: str, status: str, kind: str) -> None:
    group = f"Final-Recipient: rfc822; guest@hotel.example\nStatus: {status}\n"
    report = read_report(notification(group + (f"Action: {action}" if action else "")))
    assert report.kind == kind
    assert (report.recipients[0].reply_class is not None) == (kind in ("bounce", "delay"))


@pytest.mark.parametrize(
    ("fields", "address", "original"),
    [
        ("Final-Recipient: rfc822; a@x.example", "a@x.example", None),
        ("Final-Recipient: RFC822;<a@x.example>", "a@x.example", None),
        ("Final-Recipient: LOCAL;<a\\@x.example>", "a@x.example", None),
        ("Final-Recipient: a@x.example (expanded from: list)", "a@x.example", None),
        ("Final-Recipient: rfc822; A@x.example\nOriginal-Recipient: rfc822;a@x.example", "A@x.example", None),
        ("Final-Recipient: rfc822; b@y.example\nOriginal-Recipient: rfc822;a@x.example", "b@y.example", "a@x.example"),
        ("Final-Recipient: rfc822; a@x.example\nX-Actual-Recipient: RFC822; |/bin/procmail", "a@x.example", None),
        ("Final-Recipient: rfc822;/var/mail/a\nOriginal-Recipient: rfc822;a@x.example", "a@x.example", None),
        ("Final-Recipient: x400;/C=DE/S=GUEST/\nOriginal-Recipient: rfc822;a@x.example", "a@x.example", None),
        ("Final-Recipient: rfc822; a+tag@x.example", "a+tag@x.example", None),
        ("Original-Recipient: rfc822;a+2Btag@x.example", "a+tag@x.example", None),
        ("Final-Recipient: utf-8; müller@x.example", "müller@x.example", None),
    ],
)
def test_a_recipient_is_read_in_every_form(fields: str, address: str, original: str | None) -> None:
    recipient = one(read_report(notification(f"{fields}\nAction: failed\nStatus: 5.1.1")))
    assert (recipient.address, recipient.original) == (address, original)


def test_each_recipient_has_a_reason_of_its_own() -> None:
    report = read_report(
        notification(
            "Final-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 5.2.2\n"
            "Diagnostic-Code: smtp; 552 5.2.2 full",
            "Final-Recipient: rfc822; b@x.example\nAction: failed\nStatus: 5.1.1\n"
            "Diagnostic-Code: smtp; 550 no such user",
            "Final-Recipient: rfc822; c@x.example\nAction: delayed\nStatus: 4.4.1",
        )
    )
    assert report.kind is ReportKind.BOUNCE
    read = [(recipient.address, recipient.reply_class, recipient.category) for recipient in report.recipients]
    assert read[0] == ("a@x.example", ReplyClass.SOFT, Category.MAILBOX_FULL)
    assert read[1] == ("b@x.example", ReplyClass.HARD, Category.INVALID_ADDRESS)
    assert read[2][1] is ReplyClass.DEFERRED


def test_giving_up_after_temporary_refusals_is_soft() -> None:
    group = (
        "Final-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 4.2.2\n"
        "Diagnostic-Code: smtp; 452 4.2.2 mailbox full"
    )
    recipient = one(read_report(notification(group)))
    assert (recipient.reply_class, recipient.category) == (ReplyClass.SOFT, Category.MAILBOX_FULL)


def test_a_temporary_reply_never_makes_a_report_hard() -> None:
    group = (
        "Final-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 4.1.1\n"
        "Diagnostic-Code: smtp; 450 4.1.1 user unknown"
    )
    assert one(read_report(notification(group))).reply_class is ReplyClass.SOFT


def test_where_the_machine_part_gives_no_reason_the_words_do() -> None:
    group = "Final-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 5.0.0"
    text = "The following address failed:\n\n<a@x.example>: user unknown\n"
    assert one(read_report(notification(group, text=text))).category is Category.INVALID_ADDRESS


def test_a_status_part_that_was_flattened_into_the_text_is_read() -> None:
    raw = (
        "From: MAILER-DAEMON@mx.hotel.example\nSubject: Returned mail\n"
        "Content-Type: multipart/report; boundary=lost\n\n"
        "Could not be delivered.\n\nReporting-MTA: dns; mx\n\nFinal-Recipient: RFC822; <a@x.example>\nAction: failed\n"
        "Status: 5.1.1\n\nReceived: from y by z\nMessage-Id: <1@x>\nTo: other@y.example\n"
    )
    report = read_report(raw.encode())
    assert (report.kind, one(report).address) == (ReportKind.BOUNCE, "a@x.example")


def test_a_report_attached_as_the_only_content_is_read() -> None:
    inner = notification("Final-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 5.1.1").decode()
    raw = (
        "From: postmaster@gate.example\nSubject: Delivery Status Notification\n"
        "Content-Type: multipart/mixed; boundary=o\n\n"
        f"--o\nContent-Type: message/rfc822\n\n{inner}\n--o--\n"
    )
    assert one(read_report(raw.encode())).address == "a@x.example"


def test_a_report_that_a_person_forwards_is_nobodys_bounce() -> None:
    inner = notification("Final-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 5.1.1").decode()
    raw = (
        "From: Guest <guest@hotel.example>\nSubject: Fwd: what is this\nContent-Type: multipart/mixed; boundary=o\n\n"
        f"--o\nContent-Type: text/plain\n\nLook at this\n--o\nContent-Type: message/rfc822\n\n{inner}\n--o--\n"
    )
    assert read_report(raw.encode()).kind is ReportKind.NONE


def test_a_notification_that_asks_to_confirm_is_a_challenge() -> None:
    group = (
        "Final-Recipient: rfc822; a@x.example\nAction: failed\nStatus: 5.0.0\n"
        "Diagnostic-Code: smtp; 550 Your server requires confirmation. Visit us"
    )
    report = read_report(notification(group))
    assert (report.kind, report.recipients) == (ReportKind.AUTO_REPLY, ())


def feedback(kind: str, *fields: str) -> bytes:
    """Build a feedback report."""
    return (
        "From: feedback@mailbox.example\nTo: fbl@relay.example\nSubject: FW: Your booking\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="x"\n\n'
        "--x\nContent-Type: text/plain\n\nThis is an abuse report.\n"
        f"--x\nContent-Type: message/feedback-report\n\nFeedback-Type: {kind}\nUser-Agent: Loop/1\nVersion: 1\n"
        + "".join(f"{field}\n" for field in fields)
        + f"\n--x\nContent-Type: message/rfc822\n\n{ORIGINAL}\n--x--\n"
    ).encode()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("abuse", "complaint"),
        ("fraud", "complaint"),
        ("opt-out", "complaint"),
        ("other", "complaint"),
        ("not-spam", "none"),
        ("auth-failure", "none"),
        ("dmarc", "none"),
    ],
)
def test_feedback_is_a_complaint_unless_it_says_the_opposite(kind: str, expected: str) -> None:
    report = read_report(feedback(kind, "Original-Rcpt-To: <guest@hotel.example>"))
    assert (report.kind, report.feedback_type) == (expected, kind)
    assert [recipient.address for recipient in report.recipients] == ["guest@hotel.example"] * (expected == "complaint")


def test_a_complaint_names_several_recipients_or_the_mailbox_it_came_from() -> None:
    several = read_report(feedback("abuse", "Original-Rcpt-To: a@x.example", "Original-Rcpt-To: b@x.example"))
    assert [recipient.address for recipient in several.recipients] == ["a@x.example", "b@x.example"]
    removed = read_report(feedback("abuse", "Original-Mail-From: <b+9z@bounce.relay.example>"))
    assert [recipient.address for recipient in removed.recipients] == ["old@hotel.example"]
    assert "b+9z" in removed.return_token_candidates


def test_the_older_complaint_of_a_large_provider_is_read() -> None:
    raw = (
        "From: staff@hotmail.example\nTo: abuse@relay.example\nSubject: complaint about message from 192.0.2.1\n"
        "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: message/rfc822\n\n"
        f"X-HmXmrOriginalRecipient: guest@hotel.example\n{ORIGINAL}\n--x--\n"
    )
    report = read_report(raw.encode())
    assert (report.kind, one(report).address) == (ReportKind.COMPLAINT, "guest@hotel.example")


@pytest.mark.parametrize(
    ("body", "kind", "address"),
    [
        (
            {
                "notificationType": "Bounce",
                "bounce": {
                    "bounceType": "Permanent",
                    "bouncedRecipients": [
                        {
                            "emailAddress": "a@x.example",
                            "status": "5.1.1",
                            "diagnosticCode": "smtp; 550 5.1.1 user unknown",
                        }
                    ],
                },
            },
            "bounce",
            "a@x.example",
        ),
        (
            {"notificationType": "Complaint", "complaint": {"complainedRecipients": [{"emailAddress": "a@x.example"}]}},
            "complaint",
            "a@x.example",
        ),
        ({"notificationType": "Delivery", "delivery": {"recipients": ["a@x.example"]}}, "delivered", "a@x.example"),
        ({"notificationType": "Bounce", "bounce": {"bouncedRecipients": [5, None, "x"]}}, "none", None),
        ({"notificationType": "Bounce", "bounce": []}, "none", None),
        ({"notificationType": ["Bounce"]}, "none", None),
    ],
)
def test_a_notification_in_json_is_read(body: object, kind: str, address: str | None) -> None:
    raw = f"From: no-reply@sns.example\nSubject: Notification Message\n\n{json.dumps(body)}\n\n--\nStop: https://x\n"
    report = read_report(raw.encode())
    assert report.kind == kind
    assert [recipient.address for recipient in report.recipients] == ([address] if address else [])
