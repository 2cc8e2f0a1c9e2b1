"""Reports in free text, in the forms that mail programs are known to use; the texts are our own."""

from __future__ import annotations

import pytest

from relay.classify.report import ReportKind, read_report
from relay.model import Category, ReplyClass
from tests.unit.report_samples import AUTO_REPLIES, BOUNCES, DELAYS, OTHERS, TRAPS, Sample


def name_of(sample: Sample) -> str:
    return sample.name


@pytest.mark.parametrize("sample", BOUNCES, ids=name_of)
def test_a_bounce_is_read_with_recipient_and_reason(sample: Sample) -> None:
    report = read_report(sample.raw)
    assert report.kind is ReportKind.BOUNCE
    assert [recipient.address for recipient in report.recipients] == [sample.address]
    assert report.recipients[0].action == "failed"
    assert report.recipients[0].reply_class in (ReplyClass.HARD, ReplyClass.SOFT)
    if sample.category:
        assert report.recipients[0].category in sample.category.split("|"), report.recipients[0]


@pytest.mark.parametrize("sample", DELAYS, ids=name_of)
def test_a_notice_of_delay_is_no_bounce(sample: Sample) -> None:
    report = read_report(sample.raw)
    assert report.kind is ReportKind.DELAY
    assert [recipient.address for recipient in report.recipients] == [sample.address]
    assert report.recipients[0].reply_class is ReplyClass.DEFERRED


@pytest.mark.parametrize("sample", AUTO_REPLIES, ids=name_of)
def test_an_automatic_answer_is_no_bounce(sample: Sample) -> None:
    report = read_report(sample.raw)
    assert report.kind is ReportKind.AUTO_REPLY
    assert report.recipients == ()


@pytest.mark.parametrize(("kind", "sample"), TRAPS, ids=lambda value: getattr(value, "name", ""))
def test_words_of_failure_alone_make_no_bounce(kind: str, sample: Sample) -> None:
    assert read_report(sample.raw).kind == kind


@pytest.mark.parametrize("sample", OTHERS, ids=name_of)
def test_what_is_no_report_says_nothing(sample: Sample) -> None:
    report = read_report(sample.raw)
    assert report.kind is ReportKind.NONE
    assert report.recipients == ()


def test_recipients_of_one_report_each_have_their_own_reason() -> None:
    body = (
        "Hi. This is the qmail-send program at q.example.\nI'm afraid I wasn't able to deliver your message to the "
        "following addresses.\n\n<a@hotel.example>:\n192.0.2.1 does not like recipient.\nRemote host said: 552 5.2.2 "
        "mailbox full\nGiving up on 192.0.2.1.\n\n<b@other.example>:\nSorry, I couldn't find any host named "
        "other.example. (#5.1.2)\n\n--- Below this line is a copy of the message.\n\nReturn-Path: <x@relay.example>\n"
    )
    sample = Sample(name="qmail", sender="MAILER-DAEMON@q.example", subject="failure notice", body=body)
    read = [(one.address, one.reply_class, one.category) for one in read_report(sample.raw).recipients]
    assert read == [
        ("a@hotel.example", ReplyClass.SOFT, Category.MAILBOX_FULL),
        ("b@other.example", ReplyClass.HARD, Category.INVALID_DOMAIN),
    ]


def test_an_address_before_forwarding_is_kept_apart() -> None:
    body = (
        "   ----- The following addresses had permanent fatal errors -----\n<guest@away.example>\n"
        "    (expanded from: <guest@hotel.example>)\n\n   ----- Transcript of session follows -----\n"
        "550 5.1.1 <guest@away.example>... User unknown\n"
    )
    sample = Sample(name="forwarded", sender="MAILER-DAEMON@hotel.example", subject="Returned mail", body=body)
    (recipient,) = read_report(sample.raw).recipients
    assert (recipient.address, recipient.original) == ("guest@away.example", "guest@hotel.example")


def test_a_server_may_list_its_own_mailboxes_without_their_domain() -> None:
    body = "Your mail to the following recipients could not be delivered:\n\n\tguest\n"
    sample = Sample(name="local", sender="MAILER-DAEMON@hotel.example", subject="Mail Delivery Problem", body=body)
    assert [one.address for one in read_report(sample.raw).recipients] == ["guest@hotel.example"]


@pytest.mark.parametrize("sample", BOUNCES, ids=name_of)
def test_no_address_of_the_returned_mail_is_taken(sample: Sample) -> None:
    addresses = {one.address for one in read_report(sample.raw).recipients}
    assert addresses.isdisjoint({"other@elsewhere.example", "help@relay.example", "desk@relay.example"})


def test_what_follows_the_announcement_of_the_returned_mail_is_not_read() -> None:
    body = (
        "Your message to <guest@hotel.example> could not be delivered: mailbox full.\n\n"
        "----- Original message -----\n\n"
        "Dear guest,\nthese people do not exist:\n\n<other@elsewhere.example>: 550 5.1.1 user unknown\n"
    )
    sample = Sample(name="quoted", sender="MAILER-DAEMON@hotel.example", subject="Delivery failure", body=body)
    (recipient,) = read_report(sample.raw).recipients
    assert (recipient.address, recipient.category) == ("guest@hotel.example", Category.MAILBOX_FULL)
