"""Reading old answers by today's rules: deliveries, counters and blocks follow, and a second run changes nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from relay import actions
from relay.model import (
    Attempt,
    Blame,
    Category,
    DeliveryId,
    Disposition,
    Outcome,
    Reply,
    ReplyClass,
    Stage,
    Suppression,
)
from relay.settings import Suppressions
from relay.status import Status
from relay.store import addresses, events, log, notices, spool, suppressions
from relay.store.engine import EngineStore
from relay.store.failures import STATUSES
from tests.store.making import HOUR, MINUTE, NOW, accept

SETTINGS = Suppressions(max_errors=2)
GUEST = "guest@example.com"

#: How an older version misread these answers.
DEAD = Outcome(
    reply_class=ReplyClass.HARD,
    category=Category.INVALID_ADDRESS,
    blame=Blame.RECIPIENT,
    rule="old.dead",
    suppress=True,
)
FULL = Outcome(
    reply_class=ReplyClass.SOFT, category=Category.MAILBOX_FULL, blame=Blame.RECIPIENT, rule="old.full", suppress=False
)
OUR_FAULT = "Service unavailable, client host [192.0.2.1] blocked using a block list"
UNKNOWN_USER = "<guest@example.com>: Recipient address rejected: User unknown in local recipient table"


def fail(
    store: EngineStore,
    text: str,
    *,
    read_as: Outcome,
    status: Status,
    address: str = GUEST,
    at: datetime = NOW,
    code: int | None = 550,
    enhanced: str | None = None,
    reply: str | None = None,
) -> DeliveryId:
    """Let a delivery end with this answer, read as some older version did."""
    (delivery,) = accept(store, address, at=at).deliveries
    answer = Reply(stage=Stage.RCPT, code=code, enhanced=enhanced, text=text, host="mx.example.com")
    attempt = Attempt(
        delivery_id=delivery.id,
        number=1,
        started_at=at,
        took=timedelta(seconds=1),
        reply=answer,
        mx="mx.example.com",
        outcome=read_as,
    )
    ended = Disposition(
        delivery_id=delivery.id,
        status=status,
        attempts=1,
        at=at,
        attempt_rows=(attempt,),
        outcome=read_as,
        reply=replace(answer, text=reply or text),
    )
    store.write_now(lambda tx: spool.record(tx, ended, settings=SETTINGS))
    return delivery.id


def arrive(store: EngineStore, *, at: datetime) -> None:
    (delivery,) = accept(store, GUEST, at=at).deliveries
    ended = Disposition(delivery_id=delivery.id, status=Status.DELIVERED, attempts=1, at=at)
    store.write_now(lambda tx: spool.record(tx, ended, settings=SETTINGS))


def replay(
    store: EngineStore, *, since: datetime | None = None, settings: Suppressions = SETTINGS
) -> list[actions.Reclassified]:
    """Run the whole of it, a page of two at a time, after a dry run that says the same."""
    place: actions.Place | None = actions.Place()
    found: dict[str, list[actions.Change]] = {}
    while place is not None:
        page = store.read_now(
            lambda tx, place=place: actions.changed_readings(tx, place=place, since=since, limit=2)  # type: ignore[misc]
        )
        for change in page.changes:
            found.setdefault(change.past.address_key, []).append(change)
        place = page.next
    now = NOW + 12 * HOUR
    foreseen = store.read_now(
        lambda tx: [actions.foresee(tx, key, changes, now=now, settings=settings) for key, changes in found.items()]
    )
    done = store.write_now(lambda tx: actions.reclassify(tx, found, by="alice", now=now, settings=settings))
    assert done == foreseen
    return done


def blocks_on(store: EngineStore) -> list[str]:
    found = store.read_now(lambda tx: suppressions.active_on(tx, GUEST, scope="address", now=NOW + 24 * HOUR))
    return [one.reason for one in found]


def count_of(store: EngineStore) -> int:
    known = store.read_now(lambda tx: addresses.get(tx, GUEST))
    return known.error_count if known else 0


def status_of(store: EngineStore, delivery: DeliveryId) -> tuple[Status, Category | None]:
    found = store.read_now(lambda tx: log.find(tx, delivery))
    assert found is not None
    one = next(each for each in found.deliveries if each.id == delivery)
    return one.status, one.category


def test_a_good_address_is_freed_and_its_error_no_longer_counts(store: EngineStore) -> None:
    delivery = fail(store, OUR_FAULT, read_as=DEAD, status=Status.INVALID, enhanced="5.7.1")
    assert (blocks_on(store), count_of(store)) == (["invalid_address"], 1)
    (done,) = replay(store)
    assert (done.effect.by, done.effect.lifts, done.effect.block_reason) == (-1, True, None)
    assert status_of(store, delivery) == (Status.SOFT_BOUNCED, Category.REPUTATION_BLOCK)
    assert (blocks_on(store), count_of(store)) == ([], 0)
    known = store.read_now(lambda tx: addresses.get(tx, GUEST))
    assert known is not None
    assert known.last_category is Category.REPUTATION_BLOCK
    (event,) = store.read_now(lambda tx: events.of_address(tx, GUEST))
    assert (event.kind, event.by, event.delivery_id) == ("reclassify", "alice", delivery)
    assert event.text.endswith("invalid_address → reputation_block; error counter 1 → 0; unblocked")


def test_a_second_run_changes_nothing(store: EngineStore) -> None:
    fail(store, OUR_FAULT, read_as=DEAD, status=Status.INVALID, enhanced="5.7.1")
    fail(store, UNKNOWN_USER, read_as=FULL, status=Status.SOFT_BOUNCED, enhanced="5.1.1", address="b@example.com")
    assert len(replay(store)) == 2
    assert replay(store) == []
    assert len(store.read_now(lambda tx: events.of_address(tx, GUEST))) == 1


def test_a_dead_address_that_was_missed_is_blocked(store: EngineStore) -> None:
    delivery = fail(store, UNKNOWN_USER, read_as=FULL, status=Status.SOFT_BOUNCED, enhanced="5.1.1")
    assert blocks_on(store) == []
    (done,) = replay(store)
    assert done.effect.by == 0
    assert status_of(store, delivery) == (Status.INVALID, Category.INVALID_ADDRESS)
    assert blocks_on(store) == ["invalid_address"]


def test_no_block_is_made_where_mail_arrived_since(store: EngineStore) -> None:
    fail(store, UNKNOWN_USER, read_as=FULL, status=Status.SOFT_BOUNCED, enhanced="5.1.1")
    arrive(store, at=NOW + HOUR)
    (done,) = replay(store)
    assert done.effect.block_reason is None
    assert blocks_on(store) == []


def test_no_block_is_made_against_the_word_of_a_person(store: EngineStore) -> None:
    fail(store, UNKNOWN_USER, read_as=DEAD, status=Status.INVALID, enhanced="5.1.1")
    unblock = suppressions.unblock
    store.write_now(lambda tx: unblock(tx, GUEST, scope="address", now=NOW + HOUR, by="bob"))
    (done,) = replay(store)  # only the rule has another name now
    assert (done.effect.by, done.effect.block_reason) == (0, None)
    assert blocks_on(store) == []


def test_the_counter_follows_its_errors_and_the_block_the_counter(store: EngineStore) -> None:
    for minute in range(3):
        fail(
            store,
            OUR_FAULT if minute else "mailbox is full",
            read_as=FULL,
            status=Status.SOFT_BOUNCED,
            at=NOW + minute * MINUTE,
            enhanced="5.7.1" if minute else "5.2.2",
        )
    assert (blocks_on(store), count_of(store)) == (["errors"], 3)
    (done,) = replay(store)
    assert (done.count_before, done.count_after, done.effect.lifts) == (3, 1, True)
    assert (blocks_on(store), count_of(store)) == ([], 1)


def test_errors_that_count_now_can_block(store: EngineStore) -> None:
    ours = replace(FULL, category=Category.REPUTATION_BLOCK, blame=Blame.US)
    for minute in range(3):
        fail(
            store,
            "mailbox is full",
            read_as=ours,
            status=Status.SOFT_BOUNCED,
            at=NOW + minute * MINUTE,
            code=552,
            enhanced="5.2.2",
        )
    assert (blocks_on(store), count_of(store)) == ([], 0)
    (done,) = replay(store)
    assert (done.effect.by, done.effect.block_reason) == (3, "errors")
    assert (blocks_on(store), count_of(store)) == (["errors"], 3)


def test_what_counts_depends_on_the_setting(store: EngineStore) -> None:
    fail(store, OUR_FAULT, read_as=FULL, status=Status.SOFT_BOUNCED, enhanced="5.7.1")
    (done,) = replay(store, settings=Suppressions(count_our_faults=True))
    assert (done.effect.by, count_of(store)) == (0, 1)


def test_what_ended_before_the_reset_changes_no_counter(store: EngineStore) -> None:
    fail(store, OUR_FAULT, read_as=DEAD, status=Status.INVALID, enhanced="5.7.1")
    store.write_now(lambda tx: addresses.reset(tx, GUEST, now=NOW + MINUTE, by="bob"))
    fail(store, "mailbox is full", read_as=FULL, status=Status.SOFT_BOUNCED, at=NOW + HOUR, code=552, enhanced="5.2.2")
    (done,) = replay(store)
    assert done.effect.by == 0
    assert count_of(store) == 1


def test_an_error_that_was_taken_back_is_not_taken_back_again(store: EngineStore) -> None:
    fail(store, OUR_FAULT, read_as=DEAD, status=Status.INVALID, enhanced="5.7.1")
    fail(store, "mailbox is full", read_as=FULL, status=Status.SOFT_BOUNCED, at=NOW + MINUTE, enhanced="5.2.2")
    chosen = actions.Undoing(since=NOW, rule="old.dead")
    (planned,) = store.read_now(lambda tx: actions.plan_undo(tx, chosen, settings=SETTINGS))
    blocks = [planned.block]
    store.write_now(lambda tx: actions.undo(tx, chosen, blocks, by="bob", now=NOW + HOUR, settings=SETTINGS))
    assert count_of(store) == 1
    replay(store)
    assert count_of(store) == 1


def test_blocks_by_hand_stay(store: EngineStore) -> None:
    fail(store, OUR_FAULT, read_as=DEAD, status=Status.INVALID, enhanced="5.7.1")
    by_hand = Suppression(id=0, scope="address", value=GUEST, reason="manual", source="manual", since_at=NOW)
    store.write_now(lambda tx: suppressions.block(tx, by_hand))
    replay(store)
    assert blocks_on(store) == ["manual"]


def test_only_what_failed_since_a_time_is_read(store: EngineStore) -> None:
    fail(store, OUR_FAULT, read_as=DEAD, status=Status.INVALID, enhanced="5.7.1")
    assert replay(store, since=NOW + MINUTE) == []


def test_readings_that_are_not_of_an_answer_stay(store: EngineStore) -> None:
    for rule in ("nxdomain_doubted", "internal_error", "retries_used_up"):
        fail(store, UNKNOWN_USER, read_as=replace(FULL, rule=rule), status=Status.SOFT_BOUNCED, enhanced="5.1.1")
    fail(store, UNKNOWN_USER, read_as=FULL, status=Status.SOFT_BOUNCED, reply="a report that came by mail said so")
    assert replay(store) == []


def test_what_changed_meanwhile_is_left_alone(store: EngineStore) -> None:
    delivery = fail(store, OUR_FAULT, read_as=DEAD, status=Status.INVALID, enhanced="5.7.1")
    place = actions.Place(status=STATUSES.index(Status.INVALID))
    page = store.read_now(lambda tx: actions.changed_readings(tx, place=place))
    replay(store)
    changes = {GUEST: page.changes}
    again = store.write_now(lambda tx: actions.reclassify(tx, changes, by="bob", now=NOW, settings=SETTINGS))
    assert again == []
    assert status_of(store, delivery) == (Status.SOFT_BOUNCED, Category.REPUTATION_BLOCK)


def test_what_a_smarthost_rejected_stays_rejected(store: EngineStore) -> None:
    delivery = fail(store, UNKNOWN_USER, read_as=FULL, status=Status.REJECTED, enhanced="5.1.1")
    (done,) = replay(store)
    assert (done.effect.by, done.effect.block_reason) == (0, None)
    assert status_of(store, delivery) == (Status.REJECTED, Category.INVALID_ADDRESS)
    assert blocks_on(store) == []


def causes(store: EngineStore) -> list[tuple[str, str, int]]:
    found = store.read_now(lambda tx: notices.search(tx, with_closed=True))
    return sorted((one.cause, one.state.value, one.count) for one in found)


def test_a_notice_follows_what_its_failures_mean_now(store: EngineStore) -> None:
    for hours in range(2):
        fail(store, UNKNOWN_USER, read_as=FULL, status=Status.SOFT_BOUNCED, at=NOW + hours * HOUR, enhanced="5.1.1")
    assert causes(store) == [("mailbox-full", "open", 2)]
    replay(store)
    assert causes(store) == [("mailbox-full", "resolved", 2), ("no-mailbox", "open", 2)]
    assert not replay(store)


def test_a_notice_ends_when_the_failure_was_our_own(store: EngineStore) -> None:
    fail(store, OUR_FAULT, read_as=DEAD, status=Status.INVALID, enhanced="5.7.1")
    assert causes(store) == [("no-mailbox", "open", 1)]
    replay(store)
    assert causes(store) == [("no-mailbox", "resolved", 1)]


def test_a_notice_stays_while_one_of_its_failures_is_not_read_again(store: EngineStore) -> None:
    given_up = replace(FULL, rule="retries_used_up")
    fail(store, "mailbox is full", read_as=given_up, status=Status.SOFT_BOUNCED, code=552)
    fail(store, UNKNOWN_USER, read_as=FULL, status=Status.SOFT_BOUNCED, at=NOW + HOUR, enhanced="5.1.1")
    replay(store)
    assert causes(store) == [("mailbox-full", "open", 2)]


def test_a_notice_is_split_where_its_failures_mean_different_things_now(store: EngineStore) -> None:
    fail(store, "mailbox is full", read_as=FULL, status=Status.SOFT_BOUNCED, code=552)
    fail(store, UNKNOWN_USER, read_as=FULL, status=Status.SOFT_BOUNCED, at=NOW + HOUR, enhanced="5.1.1")
    replay(store)
    assert causes(store) == [("mailbox-full", "open", 1), ("no-mailbox", "open", 1)]
