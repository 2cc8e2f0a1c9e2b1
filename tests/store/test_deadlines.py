"""Deadlines in the store: who has to be told before it is too late, once, and when that notice ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from relay.actions import show_notice
from relay.address import address_key
from relay.deadline import ENTRY, RULE
from relay.deadline_watch import DeadlineWatch
from relay.delivery import fate
from relay.model import APP_HOLD, Category, Claimed, Delivery, DeliveryId, Submission, new_id
from relay.notices import State
from relay.status import Status
from relay.store import deadlines, log, notices, queue, spool
from relay.store.engine import EngineStore
from relay.store.notices import Notice
from tests.store.making import HOUR, MINUTE, NOW, claim, disposition, outcome, reply, submission

KEY = "guest@example.com"
NOTICE = 2 * HOUR


def accept(
    store: EngineStore,
    address: str = KEY,
    *,
    expires_at: datetime | None,
    event_at: datetime | None = None,
    at: datetime = NOW,
    held: str | None = None,
) -> Submission:
    made = submission(address, at=at, held=held, booking="BK-1", phone="+358 40 1")
    made = replace(made, message=replace(made.message, expires_at=expires_at, event_at=event_at))
    store.write_now(lambda tx: spool.accept(tx, made))
    return made


def look(store: EngineStore, now: datetime, *, notice: timedelta = NOTICE) -> None:
    asyncio.run(DeadlineWatch(store, notice=notice).look(now))


def every(store: EngineStore) -> list[Notice]:
    return store.read_now(lambda tx: notices.search(tx, with_closed=True))


def only(store: EngineStore) -> Notice:
    (one,) = every(store)
    return one


def end(store: EngineStore, made: Submission, status: Status, category: Category | None = None) -> None:
    said = reply() if status is Status.DELIVERED else reply(550, "no")
    reading = outcome(category) if category is not None else None
    result = disposition(made.deliveries[0].id, status, reading=reading, said=said, at=NOW + 20 * HOUR)
    store.write_now(lambda tx: spool.record(tx, result))


def miss(store: EngineStore, made: Submission) -> None:
    """Its deadline is over."""
    found = store.read_now(lambda tx: spool.deliveries_of(tx, made.message.id))[0]
    result = fate.missed(Claimed(delivery=found, message=made.message), now=NOW + 20 * HOUR)
    store.write_now(lambda tx: spool.record(tx, result))


@pytest.mark.parametrize(
    ("time_given", "after", "is_told"),
    [
        (48 * HOUR, 46 * HOUR - MINUTE, False),
        (48 * HOUR, 46 * HOUR, True),
        (48 * HOUR, 48 * HOUR - MINUTE, True),
        (48 * HOUR, 48 * HOUR, False),  # too late to warn: it fails now
        (3 * HOUR, 90 * MINUTE - MINUTE, False),  # half of the time, when two hours are more
        (3 * HOUR, 90 * MINUTE, True),
        (timedelta(seconds=10), timedelta(seconds=4), False),
        (timedelta(seconds=10), timedelta(seconds=5), True),
        (None, 48 * HOUR, False),
    ],
)
def test_the_desk_is_told_two_hours_before_or_at_half_of_a_shorter_time(
    store: EngineStore, time_given: timedelta | None, after: timedelta, is_told: bool
) -> None:
    accept(store, expires_at=NOW + time_given if time_given is not None else None)
    look(store, NOW + after)
    assert len(every(store)) == int(is_told)


def test_it_is_told_once_with_an_event_and_the_mail_as_proof(store: EngineStore) -> None:
    made = accept(store, "Guest@Example.com", expires_at=NOW + 24 * HOUR)
    for minutes in (0, 1, 30):
        look(store, NOW + 23 * HOUR + minutes * MINUTE)
    one = only(store)
    assert (one.address, one.shown, one.cause, one.state) == (KEY, "Guest@Example.com", ENTRY, State.OPEN)
    assert (one.count, one.opened_at, one.delivery_id) == (1, NOW + 23 * HOUR, made.deliveries[0].id)
    found = store.read_now(lambda tx: log.find(tx, made.message.id))
    assert found is not None
    said = "Not arrived yet: it was only wanted until 2026-03-02 12:00 UTC; the desk was told"
    assert [(event.kind, event.text) for event in found.events] == [("deadline", said)]


def test_of_two_processes_only_one_tells(store: EngineStore) -> None:
    made = accept(store, expires_at=NOW + HOUR)
    first, second = (
        store.write_now(lambda tx: deadlines.warn(tx, made.deliveries[0].id, now=NOW + 50 * MINUTE)) for _ in "ab"
    )
    assert first is not None
    assert second is None
    assert only(store).count == 1


@pytest.mark.parametrize("notice", [timedelta(0), NOTICE])
def test_zero_tells_nobody_before(store: EngineStore, notice: timedelta) -> None:
    accept(store, expires_at=NOW + 24 * HOUR)
    look(store, NOW + 23 * HOUR, notice=notice)
    assert len(every(store)) == int(bool(notice))


def test_what_waits_for_a_pause_is_told_of_and_what_a_test_app_keeps_is_not(store: EngineStore) -> None:
    accept(store, "paused@example.com", expires_at=NOW + 24 * HOUR, held="paused: for repair")
    accept(store, "test@example.com", expires_at=NOW + 24 * HOUR, held=APP_HOLD)
    look(store, NOW + 23 * HOUR)
    assert only(store).address == "paused@example.com"


@pytest.mark.parametrize("status", [Status.DELIVERED, Status.INVALID, Status.CANCELLED])
def test_what_has_ended_is_not_told_of(store: EngineStore, status: Status) -> None:
    made = accept(store, expires_at=NOW + 24 * HOUR)
    claim(store)
    if status is Status.CANCELLED:
        chosen = queue.Selection(ids=(made.deliveries[0].id,))
        store.write_now(lambda tx: queue.cancel(tx, chosen, now=NOW, by="sari"))
    else:
        end(store, made, status, Category.INVALID_ADDRESS if status is Status.INVALID else None)
    look(store, NOW + 23 * HOUR)
    assert [one.cause for one in every(store)] == (["no-mailbox"] if status is Status.INVALID else [])


def test_words_before_the_deadline_say_that_it_may_come_too_late(store: EngineStore) -> None:
    start = NOW + 24 * HOUR
    accept(store, expires_at=start, event_at=start)
    look(store, NOW + 23 * HOUR)
    card = store.read_now(lambda tx: show_notice(tx, 1))
    assert card is not None
    assert card.words.title == "Not yet: it may come too late"
    assert card.words.happened.startswith("The appointment is at 2 Mar 2026 12:00 UTC, and the email has not arrived.")
    assert card.words.next_step == "Phone the customer now. Phone: +358 40 1."
    assert card.bookings == ("BK-1",)


def test_words_after_it_say_that_its_time_was_over(store: EngineStore) -> None:
    start = NOW + 20 * HOUR
    made = accept(store, expires_at=start, event_at=start)
    claim(store)
    miss(store, made)
    card = store.read_now(lambda tx: show_notice(tx, 1))
    assert card is not None
    assert card.words.title == "Not delivered: its time was over"
    assert card.words.happened.startswith("The appointment was at 2 Mar 2026 08:00 UTC, so we stopped trying.")


def test_the_same_mail_fails_in_the_same_notice(store: EngineStore) -> None:
    made = accept(store, expires_at=NOW + 20 * HOUR)
    look(store, NOW + 19 * HOUR)
    claim(store)
    miss(store, made)
    one = only(store)
    assert (one.cause, one.count, one.state) == (ENTRY, 1, State.OPEN)
    (row,) = store.read_now(lambda tx: log.search(tx, log.Query()))
    assert (row.status, row.category, row.rule) == (Status.SOFT_BOUNCED, Category.EXPIRED, RULE)


def test_a_notice_that_was_seen_to_before_stays_closed_when_its_mail_fails(store: EngineStore) -> None:
    made = accept(store, expires_at=NOW + 20 * HOUR)
    look(store, NOW + 19 * HOUR)
    store.write_now(lambda tx: notices.close(tx, 1, state=State.RESOLVED, at=NOW, by="sari", note="rang"))
    claim(store)
    miss(store, made)
    assert only(store).state is State.RESOLVED


def test_what_fails_before_anybody_was_told_makes_the_notice_itself(store: EngineStore) -> None:
    made = accept(store, expires_at=NOW + 20 * HOUR)
    claim(store)
    miss(store, made)
    assert (only(store).cause, only(store).delivery_id) == (ENTRY, made.deliveries[0].id)


def test_the_notice_ends_when_the_mail_arrives_in_time(store: EngineStore) -> None:
    made = accept(store, expires_at=NOW + 24 * HOUR)
    look(store, NOW + 23 * HOUR)
    claim(store)
    end(store, made, Status.DELIVERED)
    one = only(store)
    assert (one.state, one.by, one.note) == (State.RESOLVED, "", f"{KEY} took it in time")


def test_another_mail_that_arrives_does_not_end_it(store: EngineStore) -> None:
    accept(store, expires_at=NOW + 24 * HOUR)
    look(store, NOW + 23 * HOUR)
    other = accept(store, expires_at=None)
    claim(store)
    end(store, other, Status.DELIVERED)
    assert only(store).state is State.OPEN


def test_of_two_late_mails_the_notice_is_about_the_one_that_has_not_arrived(store: EngineStore) -> None:
    first = accept(store, expires_at=NOW + 24 * HOUR)
    second = accept(store, expires_at=NOW + 24 * HOUR)
    look(store, NOW + 23 * HOUR)
    assert only(store).count == 2
    claim(store)
    end(store, second, Status.DELIVERED)
    one = only(store)
    assert (one.state, one.count, one.delivery_id) == (State.OPEN, 1, first.deliveries[0].id)
    end(store, first, Status.DELIVERED)
    assert only(store).state is State.RESOLVED


def test_another_end_of_a_mail_that_was_told_of_has_its_own_notice_alone(store: EngineStore) -> None:
    made = accept(store, expires_at=NOW + 24 * HOUR)
    look(store, NOW + 23 * HOUR)
    claim(store)
    end(store, made, Status.INVALID, Category.INVALID_ADDRESS)
    states = {one.cause: one.state for one in every(store)}
    assert states == {ENTRY: State.RESOLVED, "no-mailbox": State.OPEN}


def test_a_copy_that_arrives_elsewhere_ends_it(store: EngineStore) -> None:
    made = accept(store, expires_at=NOW + 24 * HOUR)
    claim(store)
    miss(store, made)
    copy = Delivery(
        id=DeliveryId(new_id()),
        message_id=made.message.id,
        address="new@example.com",
        domain="example.com",
        status=Status.QUEUED,
        created_at=NOW,
        next_at=NOW,
        resend_of=made.deliveries[0].id,
    )
    store.write_now(lambda tx: spool.add_delivery(tx, copy))
    claim(store)
    result = disposition(copy.id, Status.DELIVERED, said=reply(), at=NOW + 21 * HOUR)
    store.write_now(lambda tx: spool.record(tx, result))
    assert only(store).state is State.RESOLVED


def test_time_that_was_over_while_we_kept_it_is_no_error_of_the_address(store: EngineStore) -> None:
    made = accept(store, expires_at=NOW + 20 * HOUR)
    claim(store)
    miss(store, made)
    sql = "SELECT error_count FROM address WHERE address = :key"
    (row,) = store.read_now(lambda tx: tx.compose(sql, {"key": address_key(KEY)}))
    assert row["error_count"] == 0
