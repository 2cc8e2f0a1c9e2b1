"""actions.tell and add_notice, over either store."""

from __future__ import annotations

from datetime import UTC, timedelta, timezone

from relay import actions
from relay.model import Delivery
from relay.status import Status
from relay.store import notices, spool
from relay.store.engine import EngineStore
from relay.why import Verdict
from tests.store.making import NOW, accept, claim, disposition, outcome, reply

DAY = timedelta(days=1)


def tell(store: EngineStore, wanted: str, *, is_last: bool = False) -> actions.Telling:
    found = store.read_now(lambda tx: actions.tell(tx, wanted, now=NOW, give_up_after=DAY, zone=UTC, is_last=is_last))
    assert found is not None
    return found


def fail(store: EngineStore, delivery: Delivery) -> None:
    claim(store)
    refused = reply(550, "no such user", enhanced="5.1.1")
    ended = disposition(delivery.id, status=Status.INVALID, said=refused, reading=outcome())
    store.write_now(lambda tx: spool.record(tx, ended, owner="one"))


def test_nothing_is_told_of_what_is_not_there(store: EngineStore) -> None:
    assert store.read_now(lambda tx: actions.tell(tx, "X", now=NOW, give_up_after=DAY)) is None


def test_a_message_stands_for_the_recipient_that_went_worst(store: EngineStore) -> None:
    made = accept(store, "anna@example.com", "bo@example.com")
    fail(store, made.deliveries[1])
    told = tell(store, made.message.id)
    assert (told.delivery.address, told.verdict) == ("bo@example.com", Verdict.NOT_DELIVERED)
    assert told.explanation.entry == "no-mailbox"
    assert tell(store, made.deliveries[0].id).verdict is Verdict.PENDING
    assert [one.address for one in told.recipients] == ["anna@example.com", "bo@example.com"]


def test_the_words_are_those_of_why_on_the_clock_that_was_asked_for(store: EngineStore) -> None:
    made = accept(store, "anna@example.com")
    fail(store, made.deliveries[0])
    zone = timezone(timedelta(hours=5, minutes=45))
    told = store.read_now(lambda tx: actions.tell(tx, made.message.id, now=NOW, give_up_after=DAY, zone=zone))
    assert told is not None
    until = told.explanation.params["until"]
    assert getattr(until, "tzinfo", None) is zone


def test_the_newest_copy_is_found_from_any_of_them(store: EngineStore) -> None:
    made = accept(store, "anna@example.com", content=b"Subject: x\r\n\r\nSee you.\r\n")
    (first,) = made.deliveries
    fail(store, first)

    def again(to: str) -> None:
        plan = store.read_now(
            lambda tx: actions.plan_resend(tx, first.id, by="sari", now=NOW, hostname="relay.example", to=to)
        )
        assert isinstance(plan, actions.Plan)
        store.write_now(lambda tx: actions.resend(tx, plan))

    again("b@example.com")
    again("c@example.com")
    told = tell(store, first.id, is_last=True)
    assert told.delivery.address == "c@example.com"
    assert [one.address for one in told.copies] == ["b@example.com", "c@example.com"]
    assert told.first.id == first.id
    assert tell(store, told.copies[0].id, is_last=True).delivery.id == told.delivery.id


def test_a_notice_that_was_closed_is_put_back_once(store: EngineStore) -> None:
    made = accept(store, "anna@example.com")
    fail(store, made.deliveries[0])
    wanted = actions.Wanted(address="anna@example.com")
    store.write_now(lambda tx: actions.clear_notices(tx, wanted, by="sari", now=NOW))
    told = tell(store, made.message.id)
    keys = [store.write_now(lambda tx: actions.add_notice(tx, told, by="sari", now=NOW)).key for _ in range(2)]
    assert keys == ["done", "already"]
    (notice,) = store.read_now(lambda tx: notices.search(tx, address="anna@example.com"))
    assert (notice.cause, notice.delivery_id) == ("no-mailbox", made.deliveries[0].id)


def test_what_nobody_at_the_desk_can_mend_makes_no_notice(store: EngineStore) -> None:
    made = accept(store, "anna@example.com")
    told = tell(store, made.message.id)
    answer = store.write_now(lambda tx: actions.add_notice(tx, told, by="sari", now=NOW))
    assert (answer.key, answer.is_done) == ("no_cause", False)
    assert store.read_now(lambda tx: notices.search(tx)) == []
