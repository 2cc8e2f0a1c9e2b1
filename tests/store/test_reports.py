"""Returned mail in the store: whose it is, what it does, and that it does it once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from relay import actions
from relay.classify.explain import explain_delivery
from relay.classify.report import Report, ReportedRecipient, ReportKind
from relay.model import Category, Delivery, DeliveryId, ReplyClass, Submission, Suppression, new_id
from relay.settings import Suppressions
from relay.status import Status
from relay.store import addresses, content, events, log, reports, spool, suppressions
from relay.store.engine import EngineStore
from relay.store.reports import ReturnedMail, Taken
from relay.store.verify import verify
from tests.store.making import HOUR, MINUTE, NOW, accept, disposition, submission

GUEST = "guest@example.com"
SETTINGS = Suppressions()
RAW = b"Subject: Undelivered Mail Returned to Sender\r\n\r\nNo such user here.\r\n"


def failed(
    address: str | None = GUEST,
    *,
    reply: str = "550 5.1.1 no such user",
    reply_class: ReplyClass = ReplyClass.HARD,
    category: Category = Category.INVALID_ADDRESS,
    original: str | None = None,
) -> ReportedRecipient:
    return ReportedRecipient(
        address=address,
        original=original,
        reply_class=reply_class,
        category=category,
        rule="test-rule",
        status="5.1.1",
        action="failed",
        reply=reply,
    )


def bounce(*recipients: ReportedRecipient) -> Report:
    return Report(kind=ReportKind.BOUNCE, recipients=recipients or (failed(),), text="No such user here.")


def of_kind(kind: ReportKind, **values: Any) -> Report:
    return Report(kind=kind, recipients=(ReportedRecipient(address=GUEST),), text="Hello.", **values)


def returned(
    report: Report, delivery: Delivery | None, *, raw: bytes = RAW, minutes: int = 10, forward: Submission | None = None
) -> ReturnedMail:
    delivery_id = delivery.id if delivery else None
    return ReturnedMail(
        id=new_id(),
        at=NOW + minutes * MINUTE,
        digest=hashlib.sha256(raw + (delivery_id or "").encode()).hexdigest(),
        report=report,
        packed=content.pack(raw),
        delivery_id=delivery_id,
        subject="Undelivered Mail Returned to Sender",
        since=NOW - timedelta(days=60),
        forward=forward,
    )


def take(store: EngineStore, mail: ReturnedMail, settings: Suppressions = SETTINGS) -> Taken:
    return store.write_now(lambda tx: reports.take(tx, mail, settings=settings))


def delivered(store: EngineStore, *recipients: str, status: Status = Status.DELIVERED, **values: Any) -> Delivery:
    """Accept a mail and record that a server took it; give its first delivery."""
    made = accept(store, *recipients, **values)
    for each in made.deliveries:
        store.write_now(lambda tx, each=each: spool.record(tx, disposition(each.id, status)))  # type: ignore[misc]
    return now(store, made.deliveries[0].id)


def now(store: EngineStore, delivery_id: DeliveryId) -> Delivery:
    found = store.read_now(lambda tx: log.find(tx, delivery_id))
    assert found is not None
    return next(one for one in found.deliveries if one.id == delivery_id)


def event_kinds(store: EngineStore, delivery: Delivery) -> list[str]:
    return [one.kind for one in store.read_now(lambda tx: events.of_message(tx, delivery.message_id))]


def errors(store: EngineStore, address: str = GUEST) -> int:
    record = store.read_now(lambda tx: addresses.get(tx, address))
    return record.error_count if record else 0


def blocks(store: EngineStore, address: str = GUEST) -> list[Suppression]:
    return store.read_now(lambda tx: suppressions.active_on(tx, address, scope="address", now=NOW + HOUR))


def test_a_bounce_moves_a_delivered_mail_and_counts_and_blocks(store: EngineStore) -> None:
    delivery = delivered(store)
    taken = take(store, returned(bounce(), delivery))
    after = now(store, delivery.id)
    assert (taken.is_new, taken.status, taken.found_by) == (True, Status.INVALID, "token")
    assert (after.status, after.category, after.rule) == (Status.INVALID, Category.INVALID_ADDRESS, "test-rule")
    assert (after.code, after.enhanced, after.reply) == (550, "5.1.1", "no such user")
    assert after.delivered_at == delivery.delivered_at  # it was accepted once, and that stays true
    assert after.ended_at == NOW + 10 * MINUTE
    assert after.attempts == delivery.attempts
    assert errors(store) == 1
    assert [block.reason for block in blocks(store)] == ["invalid_address"]
    assert "returned" in event_kinds(store, delivery)
    assert explain_delivery(after).entry == "returned-late"


def test_a_bounce_ends_what_a_smarthost_had_taken(store: EngineStore) -> None:
    delivery = delivered(store, status=Status.SENT)
    take(store, returned(bounce(failed(reply="")), delivery))
    after = now(store, delivery.id)
    assert (after.status, after.enhanced, after.reply) == (Status.INVALID, "5.1.1", "No such user here.")
    assert explain_delivery(after).entry == "no-mailbox"


@pytest.mark.parametrize(
    ("category", "reply_class", "status"),
    [
        (Category.INVALID_ADDRESS, ReplyClass.HARD, Status.INVALID),
        (Category.INVALID_DOMAIN, ReplyClass.HARD, Status.HARD_BOUNCED),
        (Category.MAILBOX_FULL, ReplyClass.SOFT, Status.SOFT_BOUNCED),
        (Category.NETWORK, ReplyClass.SOFT, Status.SOFT_BOUNCED),
    ],
)
def test_a_bounce_ends_in_the_status_of_a_live_answer(
    store: EngineStore, category: Category, reply_class: ReplyClass, status: Status
) -> None:
    delivery = delivered(store)
    take(store, returned(bounce(failed(category=category, reply_class=reply_class)), delivery))
    assert now(store, delivery.id).status is status


def test_our_own_fault_counts_against_nobody(store: EngineStore) -> None:
    delivery = delivered(store)
    report = bounce(failed(category=Category.REPUTATION_BLOCK, reply_class=ReplyClass.SOFT))
    take(store, returned(report, delivery))
    assert now(store, delivery.id).status is Status.SOFT_BOUNCED
    assert errors(store) == 0


def test_the_same_mail_twice_counts_once(store: EngineStore) -> None:
    delivery = delivered(store)
    first = take(store, returned(bounce(failed(category=Category.MAILBOX_FULL, reply_class=ReplyClass.SOFT)), delivery))
    again = take(store, returned(bounce(failed(category=Category.MAILBOX_FULL, reply_class=ReplyClass.SOFT)), delivery))
    assert (first.is_new, again.is_new) == (True, False)
    assert errors(store) == 1
    assert event_kinds(store, delivery).count("returned") == 1
    assert len(store.read_now(lambda tx: reports.get(tx, delivery.id))) == 1


def test_the_same_mail_brought_to_two_processes_counts_once(open_one: Callable[[], EngineStore]) -> None:
    stores = [open_one(), open_one()]
    delivery = delivered(stores[0])
    with ThreadPoolExecutor(2) as together:
        taken = list(together.map(lambda one: take(one, returned(bounce(), delivery)), stores))
    assert sorted(one.is_new for one in taken) == [False, True]
    assert errors(stores[0]) == 1


def test_a_second_bounce_of_one_delivery_is_only_noted(store: EngineStore) -> None:
    delivery = delivered(store)
    take(store, returned(bounce(), delivery))
    taken = take(store, returned(bounce(), delivery, raw=RAW + b"Again.\r\n", minutes=20))
    assert (taken.is_new, taken.status) == (True, Status.INVALID)
    assert errors(store) == 1
    assert event_kinds(store, delivery).count("returned") == 2
    assert now(store, delivery.id).ended_at == NOW + 10 * MINUTE


@pytest.mark.parametrize("status", [Status.DEFERRED, Status.SOFT_BOUNCED, Status.INVALID, Status.SUPPRESSED])
def test_a_bounce_of_what_has_not_arrived_changes_nothing(store: EngineStore, status: Status) -> None:
    delivery = delivered(store, status=status)
    before = (now(store, delivery.id), errors(store), len(blocks(store)))
    taken = take(store, returned(bounce(), delivery))
    assert taken.is_read
    assert (now(store, delivery.id), errors(store), len(blocks(store))) == before
    assert event_kinds(store, delivery)[-1] == "returned"


def test_a_bounce_about_the_address_it_was_forwarded_to_counts_and_does_not_block(store: EngineStore) -> None:
    delivery = delivered(store)
    take(store, returned(bounce(failed("private@elsewhere.example", original=GUEST)), delivery))
    assert now(store, delivery.id).status is Status.INVALID
    assert errors(store) == 1
    assert errors(store, "private@elsewhere.example") == 0
    assert blocks(store) == []


def test_of_several_reported_recipients_ours_is_read(store: EngineStore) -> None:
    delivery = delivered(store)
    other = failed("other@example.com", category=Category.MAILBOX_FULL, reply_class=ReplyClass.SOFT)
    report = bounce(other, failed(), ReportedRecipient(address=GUEST, action="delivered"))
    take(store, returned(report, delivery))
    assert now(store, delivery.id).category is Category.INVALID_ADDRESS


def test_a_bounce_older_than_what_a_person_found_out_does_not_block_again(store: EngineStore) -> None:
    """The customer said that the address is right and it was let go; a bounce of mail from before tells nothing new."""
    old, new = delivered(store), delivered(store, at=NOW)
    store.write_now(lambda tx: addresses.reset(tx, GUEST, now=NOW + MINUTE, by="eve"))
    take(store, returned(bounce(), old))
    assert (errors(store), blocks(store)) == (1, [])
    late = disposition(new.id, at=NOW + 2 * MINUTE)
    newer = accept(store, GUEST, at=NOW + 2 * MINUTE)
    store.write_now(lambda tx: spool.record(tx, replace(late, delivery_id=newer.deliveries[0].id, attempt_rows=())))
    take(store, returned(bounce(), newer.deliveries[0], raw=b"another"))
    assert (errors(store), len(blocks(store))) == (2, 1)


def test_a_bounce_after_a_block_by_hand_leaves_it_alone(store: EngineStore) -> None:
    delivery = delivered(store)
    store.write_now(lambda tx: actions.block(tx, GUEST, by="eve", now=NOW + MINUTE, note="asked us to"))
    take(store, returned(bounce(), delivery))
    store.write_now(lambda tx: addresses.reset(tx, GUEST, now=NOW + HOUR, by="eve"))
    assert [(block.source, block.note) for block in blocks(store)] == [("manual", "asked us to")]


def test_the_thirteenth_late_bounce_blocks(store: EngineStore) -> None:
    soft = failed(category=Category.MAILBOX_FULL, reply_class=ReplyClass.SOFT)
    for number in range(13):
        assert blocks(store) == []
        take(store, returned(bounce(soft), delivered(store), raw=str(number).encode()))
    assert (errors(store), [block.reason for block in blocks(store)]) == (13, ["errors"])


def test_a_complaint_marks_and_blocks_and_leaves_the_status(store: EngineStore) -> None:
    delivery = delivered(store)
    taken = take(store, returned(of_kind(ReportKind.COMPLAINT, feedback_type="abuse"), delivery))
    after = now(store, delivery.id)
    assert (taken.status, after.status, after.marks) == (Status.DELIVERED, Status.DELIVERED, ("spam",))
    assert [(block.reason, block.source) for block in blocks(store)] == [("complaint", "complaint")]
    assert errors(store) == 0
    assert explain_delivery(after).entry == "complaint"
    store.write_now(lambda tx: addresses.reset(tx, GUEST, now=NOW + HOUR, by="eve"))
    assert len(blocks(store)) == 1


def test_not_spam_is_noted_and_nothing_else(store: EngineStore) -> None:
    delivery = delivered(store)
    taken = take(store, returned(Report(kind=ReportKind.NONE, feedback_type="not-spam"), delivery))
    assert taken.is_read
    assert (now(store, delivery.id).marks, blocks(store)) == ((), [])
    assert event_kinds(store, delivery)[-1] == "not_spam"


@pytest.mark.parametrize(
    ("kind", "event"),
    [(ReportKind.AUTO_REPLY, "auto_reply"), (ReportKind.DELAY, "delayed"), (ReportKind.DELIVERED, "receipt")],
)
def test_what_is_no_bounce_counts_against_nobody(store: EngineStore, kind: ReportKind, event: str) -> None:
    delivery = delivered(store)
    take(store, returned(of_kind(kind), delivery))
    after = now(store, delivery.id)
    assert (after.status, errors(store), blocks(store)) == (Status.DELIVERED, 0, [])
    assert after.marks == (("auto_reply",) if kind is ReportKind.AUTO_REPLY else ())
    assert event_kinds(store, delivery)[-1] == event


def test_a_success_report_ends_the_wait_for_a_smarthost(store: EngineStore) -> None:
    delivery = delivered(store, status=Status.SENT)
    take(store, returned(of_kind(ReportKind.DELIVERED), delivery))
    after = now(store, delivery.id)
    assert (after.status, after.delivered_at) == (Status.DELIVERED, NOW + 10 * MINUTE)
    assert after.reply == delivery.reply


def test_marks_are_kept_beside_each_other(store: EngineStore) -> None:
    delivery = delivered(store)
    for number, kind in enumerate([ReportKind.AUTO_REPLY, ReportKind.COMPLAINT, ReportKind.AUTO_REPLY]):
        take(store, returned(of_kind(kind), delivery, raw=str(number).encode()))
    assert now(store, delivery.id).marks == ("auto_reply", "spam")


def test_what_nobody_understands_waits_for_a_person(store: EngineStore) -> None:
    delivery = delivered(store)
    mail = returned(of_kind(ReportKind.NONE), delivery)
    assert not take(store, mail).is_read
    (row,) = store.read_now(reports.unread)
    assert (row.id, row.delivery_id, row.kind) == (mail.id, delivery.id, ReportKind.NONE)
    assert store.read_now(lambda tx: content.load(tx, delivery.message_id, delivery_id=DeliveryId(mail.id))) == RAW
    assert store.write_now(lambda tx: reports.close(tx, mail.id))
    assert not store.write_now(lambda tx: reports.close(tx, mail.id))
    assert store.read_now(reports.unread) == []


# -- found by Message-ID


def complaint(message_id: str = "<one@hotel.example>", *recipients: str) -> Report:
    named = tuple(ReportedRecipient(address=address) for address in recipients)
    return Report(kind=ReportKind.COMPLAINT, recipients=named, original_message_id=message_id, feedback_type="abuse")


def test_a_complaint_finds_its_mail_by_message_id_and_recipient(store: EngineStore) -> None:
    first = delivered(store, "anna@example.com", "bert@example.com", message_id="<one@hotel.example>")
    taken = take(store, returned(complaint("<one@hotel.example>", "Bert@Example.com"), None))
    assert (taken.found_by, taken.is_read, taken.address) == ("message_id", True, "bert@example.com")
    assert blocks(store, "anna@example.com") == []
    assert len(blocks(store, "bert@example.com")) == 1
    assert now(store, first.id).marks == ()


def test_a_complaint_that_names_nobody_finds_the_only_recipient(store: EngineStore) -> None:
    delivered(store, GUEST, message_id="<one@hotel.example>")
    assert take(store, returned(complaint(), None)).address == GUEST


@pytest.mark.parametrize(
    "report",
    [
        complaint(),  # several recipients, none named
        complaint("<one@hotel.example>", "carl@example.com"),
        complaint("<other@hotel.example>", "anna@example.com"),
        complaint("", "anna@example.com"),
    ],
)
def test_a_complaint_about_nobody_of_ours_waits_for_a_person(store: EngineStore, report: Report) -> None:
    delivered(store, "anna@example.com", "bert@example.com", message_id="<one@hotel.example>")
    taken = take(store, returned(report, None))
    assert (taken.found_by, taken.is_read) == ("", False)
    assert len(store.read_now(reports.unread)) == 1
    assert blocks(store, "anna@example.com") == []


def test_a_bounce_without_a_token_changes_nothing(store: EngineStore) -> None:
    """Anybody who ever got the mail knows its Message-ID; that must not be enough to have an address blocked."""
    delivery = delivered(store, GUEST, message_id="<one@hotel.example>")
    report = replace(bounce(), original_message_id="<one@hotel.example>", original_recipients=(GUEST,))
    taken = take(store, returned(report, None))
    assert (taken.found_by, taken.is_read, taken.status) == ("message_id", False, Status.DELIVERED)
    assert (errors(store), blocks(store)) == (0, [])
    assert event_kinds(store, delivery)[-1] == "unread_report"


# -- what is kept, and what is sent on


@pytest.mark.parametrize(("store_content", "is_kept"), [("all", True), ("until_ended", False), ("none", False)])
def test_the_content_of_a_report_is_kept_as_the_app_wants_it(
    store: EngineStore, store_content: str, is_kept: bool
) -> None:
    delivery = delivered(store, store_content=store_content)
    mail = returned(bounce(), delivery)
    take(store, mail)
    kept = store.read_now(lambda tx: content.load(tx, delivery.message_id, delivery_id=DeliveryId(mail.id)))
    assert (kept == RAW) is is_kept
    assert store.read_now(lambda tx: reports.get(tx, delivery.message_id))[0].reply == "550 5.1.1 no such user"


def test_a_store_with_reports_has_no_faults(store: EngineStore) -> None:
    take(store, returned(bounce(), delivered(store)))
    take(store, returned(of_kind(ReportKind.NONE), None))
    assert store.read_now(verify) == []


def test_only_a_read_bounce_is_sent_on_and_only_once(store: EngineStore) -> None:
    delivery = delivered(store)
    copies = [submission("desk@hotel.example", app="returned") for _ in range(4)]
    taken = [
        take(store, returned(of_kind(ReportKind.NONE), delivery, raw=b"0", forward=copies[0])),
        take(store, returned(of_kind(ReportKind.AUTO_REPLY), delivery, raw=b"1", forward=copies[1])),
        take(store, returned(bounce(), delivery, forward=copies[2])),
        take(store, returned(bounce(), delivery, forward=copies[3])),
    ]
    assert [one.is_forwarded for one in taken] == [False, False, True, False]
    found = [store.read_now(lambda tx, copy=copy: log.find(tx, copy.message.id)) for copy in copies]  # type: ignore[misc]
    assert [one is not None for one in found] == [False, False, True, False]


def test_nothing_is_known_of_a_delivery_that_is_not_there(store: EngineStore) -> None:
    assert store.read_now(lambda tx: reports.known(tx, DeliveryId(new_id()))) is None


def test_how_much_came_back_is_known(store: EngineStore) -> None:
    delivery = delivered(store)
    for number in range(3):
        take(store, returned(of_kind(ReportKind.AUTO_REPLY), delivery, raw=str(number).encode()))
    found = store.read_now(lambda tx: reports.known(tx, delivery.id))
    assert found is not None
    assert (found.report_count, found.created_at) == (3, NOW)
