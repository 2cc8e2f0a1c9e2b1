"""Recording a result: status, attempts, counters, blocks and content change together or not at all."""

from __future__ import annotations

import pytest

from relay.errors import IllegalTransition
from relay.model import Blame, Category, Delivery, DeliveryId, Message, ReplyClass
from relay.settings import Suppressions
from relay.status import OPEN, Status
from relay.store import addresses, log, queue, sites, spool, suppressions
from relay.store.engine import EngineStore
from relay.store.queue import Selection
from relay.store.record import Recorded
from tests.store.making import HOUR, MINUTE, NOW, accept, claim, disposition, outcome, reply

KEY = "guest@example.com"
INVALID = outcome(suppress=True)
FULL = outcome(Category.MAILBOX_FULL, reply_class=ReplyClass.SOFT)
OURS = outcome(Category.REPUTATION_BLOCK, blame=Blame.US, reply_class=ReplyClass.SOFT)


def record(store: EngineStore, delivery: DeliveryId, status: Status, **kwargs: object) -> Recorded:
    made = disposition(delivery, status, **kwargs)  # type: ignore[arg-type]
    done = store.write_now(lambda tx: spool.record(tx, made, owner="one"))
    assert done is not None
    return done


def read(store: EngineStore, delivery: DeliveryId) -> Delivery:
    found = store.read_now(lambda tx: log.find(tx, delivery))
    assert found is not None
    return next(each for each in found.deliveries if each.id == delivery)


def one(store: EngineStore, **kwargs: object) -> tuple[Message, DeliveryId]:
    made = accept(store, **kwargs)
    claim(store)
    return made.message, made.deliveries[0].id


@pytest.mark.parametrize(
    ("status", "reading"),
    [
        (Status.DELIVERED, None),
        (Status.SENT, None),
        (Status.DEFERRED, FULL),
        (Status.SOFT_BOUNCED, FULL),
        (Status.HARD_BOUNCED, outcome(Category.MAILBOX_DISABLED)),
        (Status.INVALID, INVALID),
        (Status.REJECTED, OURS),
        (Status.SUPPRESSED, None),
    ],
)
def test_every_disposition_is_kept_whole(store: EngineStore, status: Status, reading: object) -> None:
    _, delivery = one(store)
    said = reply(550 if reading else 250, "one\ntwo", enhanced="5.1.1")
    record(store, delivery, status, reading=reading, said=said)
    got = read(store, delivery)
    assert got.status is status
    assert (got.code, got.enhanced, got.reply, got.mx) == (said.code, "5.1.1", "one\ntwo", "mx.example.com")
    assert got.category is (reading.category if reading else None)  # type: ignore[attr-defined]
    assert (got.next_at is not None) is (status in OPEN)
    assert (got.ended_at is None) is (status in OPEN)
    assert (got.delivered_at is not None) is (status is Status.DELIVERED)
    assert got.lease_owner is None
    found = store.read_now(lambda tx: log.find(tx, delivery))
    assert found is not None
    (tried,) = found.attempts_of(delivery)
    assert (tried.number, tried.reply.text, tried.took.total_seconds(), tried.timings) == (
        1,
        "one\ntwo",
        1.5,
        {"mail": 0.1},
    )
    assert (tried.outcome is not None) is (reading is not None)


def test_an_illegal_step_raises_and_nothing_happens(store: EngineStore) -> None:
    _, delivery = one(store)
    record(store, delivery, Status.DELIVERED)
    made = disposition(delivery, Status.DEFERRED)
    with pytest.raises(IllegalTransition):
        store.write_now(lambda tx: spool.record(tx, made))
    found = store.read_now(lambda tx: log.find(tx, delivery))
    assert found is not None
    assert found.deliveries[0].status is Status.DELIVERED
    assert len(found.attempts) == 1


def test_a_result_for_nothing_is_none(store: EngineStore) -> None:
    made = disposition(DeliveryId("nothing"))
    assert store.write_now(lambda tx: spool.record(tx, made, owner="one")) is None


def test_a_bounce_that_comes_back_moves_a_delivered_one_and_keeps_its_date(store: EngineStore) -> None:
    _, delivery = one(store)
    record(store, delivery, Status.DELIVERED)
    made = disposition(delivery, Status.INVALID, at=NOW + HOUR, reading=INVALID)
    done = store.write_now(lambda tx: spool.record(tx, made))
    assert done is not None
    assert done.block is not None
    got = read(store, delivery)
    assert (got.status, got.delivered_at) == (Status.INVALID, NOW)


def test_unknown_outcome_stays_marked(store: EngineStore) -> None:
    _, delivery = one(store)
    store.write_now(lambda tx: spool.take_over(tx, now=NOW, everyone=True))
    claim(store)
    record(store, delivery, Status.DELIVERED)
    assert read(store, delivery).is_unknown


# The counter: 12 errors still send, the 13th blocks.


def fail_once(store: EngineStore, reading: object = FULL, settings: Suppressions | None = None) -> Recorded:
    _, delivery = one(store)
    made = disposition(delivery, Status.SOFT_BOUNCED, reading=reading)  # type: ignore[arg-type]
    done = store.write_now(lambda tx: spool.record(tx, made, owner="one", settings=settings or Suppressions()))
    assert done is not None
    return done


def blocked(store: EngineStore) -> bool:
    active = suppressions.active_for
    found = store.read_now(lambda tx: active(tx, KEY, domain="example.com", app="hotel", now=NOW + HOUR))
    return found is not None


def count(store: EngineStore) -> int:
    found = store.read_now(lambda tx: addresses.get(tx, KEY))
    return found.error_count if found else 0


def test_twelve_errors_still_send_and_the_thirteenth_blocks(store: EngineStore) -> None:
    for number in range(1, 13):
        assert fail_once(store).block is None
        assert count(store) == number
    assert not blocked(store)
    done = fail_once(store)
    assert done.block is not None
    assert (done.block.reason, done.block.scope, done.block.value, done.block.app) == ("errors", "address", KEY, None)
    assert count(store) == 13
    assert blocked(store)
    accept(store)
    assert [each.blocked is not None for each in claim(store)] == [True]


def test_an_address_that_does_not_exist_is_blocked_at_once_with_the_proof(store: EngineStore) -> None:
    _, delivery = one(store)
    done = record(store, delivery, Status.INVALID, reading=INVALID, said=reply(550, "no such user", enhanced="5.1.1"))
    assert done.block is not None
    assert (done.block.reason, done.block.reply, done.block.delivery_id) == (
        "invalid_address",
        "no such user",
        delivery,
    )
    assert count(store) == 1


@pytest.mark.parametrize(
    ("status", "reading", "settings", "want"),
    [
        (Status.DELIVERED, None, Suppressions(), 0),
        (Status.DEFERRED, FULL, Suppressions(), 0),
        (Status.SUPPRESSED, None, Suppressions(), 0),
        (Status.REJECTED, FULL, Suppressions(), 0),
        (Status.SOFT_BOUNCED, OURS, Suppressions(), 0),
        (Status.SOFT_BOUNCED, OURS, Suppressions(count_our_faults=True), 1),
        (Status.SOFT_BOUNCED, FULL, Suppressions(), 1),
        (Status.HARD_BOUNCED, outcome(Category.MAILBOX_DISABLED), Suppressions(), 1),
    ],
)
def test_what_counts_against_an_address(
    store: EngineStore, status: Status, reading: object, settings: Suppressions, want: int
) -> None:
    _, delivery = one(store)
    made = disposition(delivery, status, reading=reading)  # type: ignore[arg-type]
    store.write_now(lambda tx: spool.record(tx, made, owner="one", settings=settings))
    assert count(store) == want


def test_a_delivered_mail_does_not_reset_the_counter(store: EngineStore) -> None:
    fail_once(store)
    _, delivery = one(store)
    record(store, delivery, Status.DELIVERED)
    assert count(store) == 1


def test_the_bin_resets_the_counter_and_lifts_automatic_blocks_only(store: EngineStore) -> None:
    settings = Suppressions(max_errors=1)
    fail_once(store, settings=settings)
    assert fail_once(store, settings=settings).block is not None
    lifted = store.write_now(lambda tx: addresses.reset(tx, KEY, now=NOW, by="alice"))
    assert [each.reason for each in lifted] == ["errors"]
    assert (count(store), blocked(store)) == (0, False)
    assert fail_once(store, settings=settings).block is None
    assert fail_once(store, settings=settings).block is not None, "new errors count from zero and block again"


def test_the_last_error_is_kept_in_detail(store: EngineStore) -> None:
    _, delivery = one(store, name="Ann Guest", phone="+33 1", customer="C-7")
    record(store, delivery, Status.SOFT_BOUNCED, reading=FULL, said=reply(552, "over quota"), at=NOW + MINUTE)
    known = store.read_now(lambda tx: addresses.get(tx, KEY))
    assert known is not None
    assert (known.last_error_at, known.last_category, known.last_reply) == (
        NOW + MINUTE,
        Category.MAILBOX_FULL,
        "over quota",
    )
    assert (known.last_delivery_id, known.name, known.phone, known.customer) == (delivery, "Ann Guest", "+33 1", "C-7")


def test_a_phone_number_belongs_to_nobody_when_there_are_several_recipients(store: EngineStore) -> None:
    made = accept(store, KEY, "desk@hotel.example", phone="+33 1")
    claim(store)
    for delivery in made.deliveries:
        record(store, delivery.id, Status.DELIVERED)
    known = store.read_now(lambda tx: addresses.get(tx, "desk@hotel.example"))
    assert known is not None
    assert known.phone is None


def test_successes_of_address_and_domain_are_noted_once_a_day(store: EngineStore) -> None:
    for at, want in [(NOW, NOW), (NOW + 23 * HOUR, NOW), (NOW + 24 * HOUR, NOW + 24 * HOUR)]:
        made = accept(store, at=at)
        claim(store, now=at)
        record(store, made.deliveries[0].id, Status.DELIVERED, at=at)
        known = store.read_now(lambda tx: addresses.get(tx, KEY))
        assert known is not None
        assert known.last_delivered_at == want
        assert store.read_now(lambda tx: sites.domain_delivered_at(tx, "example.com")) == want


# Results that come too late.


def test_what_arrived_although_it_was_cancelled_is_shown_as_delivered(store: EngineStore) -> None:
    _, delivery = one(store)
    store.write_now(lambda tx: queue.cancel(tx, Selection(ids=(delivery,)), now=NOW, by="alice"))
    assert record(store, delivery, Status.DELIVERED).is_applied
    assert read(store, delivery).status is Status.DELIVERED


def test_a_failed_attempt_leaves_a_cancelled_delivery_cancelled_but_is_told(store: EngineStore) -> None:
    _, delivery = one(store)
    store.write_now(lambda tx: queue.cancel(tx, Selection(ids=(delivery,)), now=NOW, by="alice"))
    done = record(store, delivery, Status.DEFERRED, reading=FULL)
    assert (done.is_applied, done.status) == (False, Status.CANCELLED)
    found = store.read_now(lambda tx: log.find(tx, delivery))
    assert found is not None
    assert found.deliveries[0].status is Status.CANCELLED
    assert [each.kind for each in found.events] == ["cancel", "late_result"]
    assert len(found.attempts) == 1


@pytest.mark.parametrize(("status", "is_applied"), [(Status.DELIVERED, True), (Status.DEFERRED, False)])
def test_after_a_take_over_only_an_end_counts(store: EngineStore, status: Status, is_applied: bool) -> None:
    _, delivery = one(store)
    store.write_now(lambda tx: spool.take_over(tx, now=NOW, everyone=True))
    claim(store, owner="two")
    assert record(store, delivery, status).is_applied is is_applied
    assert (read(store, delivery).lease_owner == "two") is not is_applied


# Content of apps that do not want it kept.


@pytest.mark.parametrize(("keep", "is_kept"), [("all", True), ("until_ended", False), ("none", False)])
def test_content_is_dropped_when_the_last_delivery_ended(store: EngineStore, keep: str, is_kept: bool) -> None:
    made = accept(store, "a@example.com", "b@example.org", store_content=keep)
    claim(store)
    load = spool.load_content
    record(store, made.deliveries[0].id, Status.DELIVERED)
    assert store.read_now(lambda tx: load(tx, made.message.id)) is not None, "the other one still needs it"
    record(store, made.deliveries[1].id, Status.DEFERRED, reading=FULL)
    assert store.read_now(lambda tx: load(tx, made.message.id)) is not None
    record(store, made.deliveries[1].id, Status.DELIVERED, attempts=2)
    assert (store.read_now(lambda tx: load(tx, made.message.id)) is not None) is is_kept


def test_cancelling_the_last_delivery_drops_content_too(store: EngineStore) -> None:
    made = accept(store, store_content="until_ended")
    store.write_now(lambda tx: queue.cancel(tx, Selection(), now=NOW, by="alice"))
    assert store.read_now(lambda tx: spool.load_content(tx, made.message.id)) is None
