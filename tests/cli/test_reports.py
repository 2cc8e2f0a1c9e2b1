"""`waybill reports`: what came back, and what of it a person has to read."""

from __future__ import annotations

from datetime import timedelta

from relay.classify.report import Report, ReportedRecipient, ReportKind
from relay.model import Category, Delivery, ReplyClass, new_id
from relay.settings import Suppressions
from relay.status import Status
from relay.store import content, reports
from relay.store.reports import ReturnedMail
from tests.cli.desk import SECOND, Desk

FAILED = ReportedRecipient(
    address="anna@example.com",
    reply_class=ReplyClass.SOFT,
    category=Category.MAILBOX_FULL,
    rule="text.mailbox-full",
    status="5.2.2",
    action="failed",
    reply="552 5.2.2 full \x1b[2J",
)


def bring(
    desk: Desk, delivery: Delivery | None, report: Report, *, raw: bytes = b"Subject: x\r\n\r\n\x1bHello\r\n"
) -> str:
    """Put a returned mail into the store; give the report's id."""
    desk.now += SECOND
    mail = ReturnedMail(
        id=new_id(),
        at=desk.now,
        digest=new_id(),
        report=report,
        packed=content.pack(raw),
        delivery_id=delivery.id if delivery else None,
        mail_from="odd@example.com",
        subject="What is this?",
        since=desk.now - timedelta(days=60),
    )
    with desk.store() as store:
        store.write_now(lambda tx: reports.take(tx, mail, settings=Suppressions()))
    return mail.id


def delivered(desk: Desk) -> Delivery:
    _, (delivery,) = desk.accept("anna@example.com")
    desk.answer(delivery, "250 2.0.0 ok", status=Status.DELIVERED)
    return delivery


def test_only_what_nobody_understood_is_listed(desk: Desk) -> None:
    delivery = delivered(desk)
    bounce = bring(desk, delivery, Report(kind=ReportKind.BOUNCE, recipients=(FAILED,)))
    odd = bring(desk, delivery, Report(kind=ReportKind.NONE, text="Hello"))
    assert [row["id"] for row in desk.run("reports", "list", "--json").lines()] == [odd]
    assert [row["id"] for row in desk.run("reports", "list", "--all", "--json").lines()] == [odd, bounce]
    assert odd in desk.run("reports", "list").out


def test_an_empty_list_is_good_news(desk: Desk) -> None:
    delivered(desk)
    listed = desk.run("reports", "list")
    assert (listed.code, listed.out) == (0, "Nothing waits to be read.\n")
    assert desk.run("reports", "list", "--json").out == ""


def test_a_report_is_shown_by_its_own_id_and_by_its_mail(desk: Desk) -> None:
    delivery = delivered(desk)
    report = bring(desk, delivery, Report(kind=ReportKind.BOUNCE, recipients=(FAILED,)))
    for an_id in (report, delivery.id, delivery.message_id):
        shown = desk.run("reports", "show", an_id, "--json").one()
        assert (shown["id"], shown["kind"], shown["read"]) == (report, "bounce", True)
        assert (shown["category"], shown["status"]) == ("mailbox_full", "5.2.2")
    assert "\x1b" not in desk.run("reports", "show", report).out


def test_the_returned_mail_is_given_byte_for_byte(desk: Desk) -> None:
    report = bring(desk, None, Report(kind=ReportKind.NONE), raw=b"Subject: x\r\n\r\n\xff\x00\r\n")
    assert desk.process("reports", "show", report, "--raw").stdout == b"Subject: x\r\n\r\n\xff\x00\r\n"


def test_what_did_not_come_back_exits_1(desk: Desk) -> None:
    delivery = delivered(desk)
    assert desk.run("reports", "show", delivery.id).code == 1
    assert desk.run("reports", "close", "01M82CWXCCG4SRY2499YARKQ1R").code == 1


def test_a_closed_report_leaves_the_list_and_the_log_says_who(desk: Desk) -> None:
    delivery = delivered(desk)
    report = bring(desk, delivery, Report(kind=ReportKind.NONE))
    assert desk.run("reports", "close", report, "--note", "a question").code == 0
    assert desk.run("reports", "list", "--json").out == ""
    events = desk.run("show", "--json", delivery.id).one()["events"]
    assert [event["by"] != "" for event in events if "a question" in event["text"]] == [True]
    assert "before" in desk.run("reports", "close", report).out


def test_a_delivery_id_closes_nothing(desk: Desk) -> None:
    delivery = delivered(desk)
    bring(desk, delivery, Report(kind=ReportKind.NONE))
    assert desk.run("reports", "close", delivery.id).code == 1
