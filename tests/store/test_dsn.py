"""What senders are to be told: planned with the result, told once, and kept from everything that counts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from relay import dsn_rules
from relay.classify.report import Report, ReportedRecipient, ReportKind
from relay.dsn_rules import Action
from relay.dsn_sending import Teller, submission
from relay.model import Delivery, DeliveryId, Message, Submission, new_id
from relay.status import FAILED, Status
from relay.store import addresses, content, dsn, incidents, log, notices, reports, retention, spool, stats
from relay.store.dsn import Matter, NotSettled
from relay.store.engine import EngineStore
from relay.store.protocols import Tx
from relay.store.reports import ReturnedMail
from tests.store.making import HOUR, MINUTE, NOW, claim, disposition, outcome, reply
from tests.store.making import submission as made_of

TELLER = Teller(hostname="relay.example.com", delay_after=4 * HOUR, give_up_after=120 * HOUR, modes={})
INVALID = outcome(suppress=True)


def accept(
    store: EngineStore,
    *recipients: str,
    dsn: str | None = "failure",
    mail_from: str = "alice@hotel.example",
    **values: str,
) -> Submission:
    """Store a submission whose sender is to be told this."""
    made = made_of(*recipients, **values)  # type: ignore[arg-type]
    made = replace(
        made,
        message=replace(made.message, mail_from=mail_from, ret="FULL"),
        deliveries=tuple(replace(one, dsn=dsn) for one in made.deliveries),
    )
    store.write_now(lambda tx: spool.accept(tx, made))
    claim(store)
    return made


def end(store: EngineStore, delivery: DeliveryId, status: Status, *, is_passed_on: bool = False) -> None:
    """Record how an attempt ended."""
    is_failure = status in FAILED
    said = reply(550, "no such user", enhanced="5.1.1") if is_failure else reply()
    result = disposition(delivery, status, said=said, reading=INVALID if is_failure else None)
    result = replace(result, is_dsn_passed_on=is_passed_on)
    store.write_now(lambda tx: spool.record(tx, result, owner="one"))


def waiting(store: EngineStore) -> list[Matter]:
    return store.read_now(lambda tx: dsn.waiting(tx, now=NOW, limit=10))


def late(store: EngineStore, *, now: datetime) -> list[Matter]:
    return store.read_now(lambda tx: dsn.late(tx, before=now - 4 * HOUR, now=now, limit=10))


def tell(store: EngineStore, matter: Matter) -> Submission:
    notification = submission(matter, TELLER, now=NOW)
    store.write_now(lambda tx: dsn.settle(tx, matter, notification, now=NOW))
    return notification


def of(store: EngineStore, an_id: str) -> tuple[Message, Delivery]:
    found = store.read_now(lambda tx: log.find(tx, an_id))
    assert found is not None
    return found.message, found.deliveries[0]


def test_nothing_is_planned_when_nothing_was_asked(store: EngineStore) -> None:
    made = accept(store, dsn=None)
    end(store, made.deliveries[0].id, Status.INVALID)
    assert waiting(store) == []


def test_a_failure_is_told_once_with_what_the_server_said(store: EngineStore) -> None:
    made = accept(store)
    end(store, made.deliveries[0].id, Status.INVALID)
    (matter,) = waiting(store)
    assert (matter.action, matter.content) == (Action.FAILED, made.content)
    told = tell(store, matter)
    assert b"550 5.1.1 no such user" in told.content
    message, delivery = of(store, told.message.id)
    assert (message.app, message.mail_from, message.kind) == ("hotel", "", "dsn")
    assert (delivery.address, delivery.status, delivery.dsn) == ("alice@hotel.example", Status.QUEUED, dsn_rules.ITSELF)
    assert waiting(store) == []
    events = store.read_now(lambda tx: log.find(tx, made.message.id))
    assert events is not None
    assert [event.kind for event in events.events] == ["dsn"]
    assert told.message.id in events.events[0].text


def test_recipients_that_failed_together_are_told_of_together(store: EngineStore) -> None:
    made = accept(store, "one@example.com", "two@example.com", "three@example.com")
    first, second, third = (one.id for one in made.deliveries)
    end(store, first, Status.INVALID)
    end(store, third, Status.DELIVERED)
    end(store, second, Status.INVALID)
    (matter,) = waiting(store)
    assert [told.delivery.address for told in matter.told] == ["one@example.com", "two@example.com"]


@pytest.mark.parametrize(("is_passed_on", "want"), [(False, [Action.RELAYED]), (True, [])])
def test_success_is_told_by_us_where_the_next_server_does_not(
    store: EngineStore, is_passed_on: bool, want: list[Action]
) -> None:
    made = accept(store, dsn="failure success")
    end(store, made.deliveries[0].id, Status.DELIVERED, is_passed_on=is_passed_on)
    assert [matter.action for matter in waiting(store)] == want


def test_of_two_that_tell_at_the_same_time_one_is_first_and_the_other_stores_nothing(store: EngineStore) -> None:
    made = accept(store)
    end(store, made.deliveries[0].id, Status.INVALID)
    (matter,) = waiting(store)
    tell(store, matter)
    with pytest.raises(NotSettled):
        tell(store, matter)
    assert len(claim(store)) == 1


def test_a_crash_while_it_is_told_loses_and_doubles_nothing(store: EngineStore) -> None:
    made = accept(store)
    end(store, made.deliveries[0].id, Status.INVALID)
    (matter,) = waiting(store)
    notification = submission(matter, TELLER, now=NOW)

    def unit(tx: Tx) -> None:
        dsn.settle(tx, matter, notification, now=NOW)
        raise KeyError("the power fails here")

    with pytest.raises(KeyError):
        store.write_now(unit)
    assert claim(store) == []
    assert len(waiting(store)) == 1


def test_a_failure_that_comes_back_later_is_told_then(store: EngineStore) -> None:
    made = accept(store)
    delivery = made.deliveries[0].id
    end(store, delivery, Status.DELIVERED)
    assert waiting(store) == []
    came_back = disposition(delivery, Status.INVALID, said=reply(550, "gone", enhanced="5.1.1"), reading=INVALID)
    store.write_now(lambda tx: spool.record(tx, replace(came_back, attempt_rows=())))
    assert [matter.action for matter in waiting(store)] == [Action.FAILED]


@pytest.mark.parametrize(
    ("asked", "kind", "action", "want"),
    [
        ("delay success", ReportKind.DELAY, "delayed", [Action.DELAYED]),
        ("delay success", ReportKind.DELIVERED, "delivered", [Action.DELIVERED]),
        ("delay success", ReportKind.DELIVERED, "relayed", [Action.RELAYED]),
        ("delay", ReportKind.DELIVERED, "delivered", []),
        ("success", ReportKind.DELAY, "delayed", []),
        (None, ReportKind.DELAY, "delayed", []),
    ],
)
def test_what_another_server_reports_is_passed_on_once_where_it_was_asked(
    store: EngineStore, asked: str | None, kind: ReportKind, action: str, want: list[Action]
) -> None:
    delivery = accept(store, dsn=asked).deliveries[0].id
    end(store, delivery, Status.DELIVERED, is_passed_on=True)
    report = Report(kind=kind, recipients=(ReportedRecipient(address="guest@example.com", action=action),))

    def come_back(number: int) -> None:
        mail = ReturnedMail(
            id=new_id(),
            at=NOW + number * MINUTE,
            digest=str(number),
            report=report,
            packed=content.pack(b"Subject: x\r\n\r\n"),
            delivery_id=delivery,
            subject="",
            since=NOW,
        )
        store.write_now(lambda tx: reports.take(tx, mail))

    come_back(1)
    assert [matter.action for matter in waiting(store)] == want
    for matter in waiting(store):
        tell(store, matter)
    if kind is ReportKind.DELAY:
        come_back(2)
        assert waiting(store) == []


# -- what takes long


def test_a_delay_is_told_once_after_its_time(store: EngineStore) -> None:
    made = accept(store, dsn="delay failure")
    later = disposition(
        made.deliveries[0].id, Status.DEFERRED, said=reply(450, "later"), reading=outcome(), next_at=NOW + 5 * HOUR
    )
    store.write_now(lambda tx: spool.record(tx, later, owner="one"))
    assert late(store, now=NOW + 4 * HOUR - MINUTE) == []
    (matter,) = late(store, now=NOW + 4 * HOUR)
    assert (matter.action, matter.is_still_waiting) == (Action.DELAYED, True)
    assert b"Will-Retry-Until: Fri, 6 Mar 2026 12:00:00 +0000" in tell(store, matter).content
    assert late(store, now=NOW + 9 * HOUR) == []
    assert of(store, made.deliveries[0].id)[1].dsn == "failure"


def test_a_mail_that_was_never_tried_is_late_as_well(store: EngineStore) -> None:
    accept(store, dsn="delay")
    assert len(late(store, now=NOW + 5 * HOUR)) == 1


def test_what_ended_before_it_was_told_is_not_late(store: EngineStore) -> None:
    made = accept(store, dsn="delay failure")
    (matter,) = late(store, now=NOW + 5 * HOUR)
    end(store, made.deliveries[0].id, Status.DELIVERED)
    with pytest.raises(NotSettled):
        tell(store, matter)
    assert late(store, now=NOW + 5 * HOUR) == []
    assert claim(store) == []


# -- what a notification is kept from


def test_a_notification_that_fails_counts_blocks_and_tells_nobody(store: EngineStore) -> None:
    made = accept(store)
    end(store, made.deliveries[0].id, Status.INVALID)
    told = tell(store, waiting(store)[0])
    claim(store)
    before = store.read_now(lambda tx: stats.by_status(tx, since=NOW - HOUR))
    end(store, told.deliveries[0].id, Status.INVALID)
    assert of(store, told.message.id)[1].status is Status.INVALID
    assert waiting(store) == []
    key = "alice@hotel.example"
    assert store.read_now(lambda tx: addresses.get(tx, key)) is None
    assert store.read_now(lambda tx: notices.search(tx, address=key)) == []
    assert store.read_now(incidents.every) == []
    assert store.read_now(lambda tx: stats.by_status(tx, since=NOW - HOUR)) == before
    assert before[Status.INVALID] == 1
    assert store.read_now(lambda tx: stats.by_app(tx, since=NOW - HOUR)) == {"hotel": 1}


# -- contents


def test_a_content_that_is_kept_until_the_end_is_kept_until_that_was_told(store: EngineStore) -> None:
    made = accept(store, store_content="until_ended")
    end(store, made.deliveries[0].id, Status.INVALID)
    assert store.read_now(lambda tx: content.is_kept(tx, made.message.id))
    told = tell(store, waiting(store)[0])
    assert b"See you." in told.content
    assert not store.read_now(lambda tx: content.is_kept(tx, made.message.id))


def test_a_notification_that_cannot_be_written_is_given_up_and_noted(store: EngineStore) -> None:
    made = accept(store)
    end(store, made.deliveries[0].id, Status.INVALID)
    (matter,) = waiting(store)
    store.write_now(lambda tx: dsn.give_up(tx, matter, now=NOW))
    assert waiting(store) == []
    found = store.read_now(lambda tx: log.find(tx, made.message.id))
    assert found is not None
    assert [event.text for event in found.events] == ["Its sender could not be told: failed"]


def test_a_message_that_is_forgotten_takes_along_what_was_to_be_told(store: EngineStore) -> None:
    made = accept(store)
    end(store, made.deliveries[0].id, Status.INVALID)
    store.write_now(lambda tx: retention.drop_message(tx, made.message.id))
    assert waiting(store) == []
    assert store.read_now(lambda tx: tx.compose("SELECT COUNT(*) AS n FROM dsn_due", {}))[0]["n"] == 0


def test_that_it_was_passed_on_is_told_also_when_the_answer_took_long(store: EngineStore) -> None:
    one = accept(store, dsn="success").deliveries[0].id
    claim(store)
    store.write_now(lambda tx: spool.mark_sent(tx, owner="one", ids=[one]))
    store.write_now(lambda tx: spool.record(tx, disposition(one), owner="one"))
    assert [matter.action for matter in waiting(store)] == [Action.RELAYED]
