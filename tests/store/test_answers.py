"""`why` over a real store: whom it finds, and that what it says is true."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from relay.actions import Inquiry, why
from relay.model import Blame, Category, DeliveryId, Refusal, ReplyClass
from relay.status import Status
from relay.store import log, queue, refusals, spool
from relay.store.protocols import Store
from tests.store.making import HOUR, MINUTE, NOW, accept, claim, disposition, outcome, reply, submission

FULL = outcome(Category.MAILBOX_FULL, blame=Blame.RECIPIENT, reply_class=ReplyClass.SOFT)


def ask(store: Store, question: str, *, now: datetime = NOW + HOUR) -> Inquiry:
    return store.read_now(lambda tx: why(tx, question, now=now, give_up_after=timedelta(days=5)))


def fail(store: Store, delivery: DeliveryId, *, at: datetime = NOW) -> None:
    """End a delivery because the mailbox is full."""
    end = disposition(
        delivery, Status.SOFT_BOUNCED, at=at, said=reply(552, "mailbox full", enhanced="5.2.2"), reading=FULL
    )
    store.write_now(lambda tx: spool.record(tx, end))


def refuse(store: Store, to: str, *, at: datetime = NOW) -> None:
    refusal = Refusal(
        at=at, listener="l", client_ip="192.0.2.7", stage="data", code=552, enhanced="5.3.4",
        text="at most 100 bytes are taken", reason="too_large", app="hotel", mail_from="a@hotel.example", rcpt_to=to,
    )  # fmt: skip
    store.write_now(lambda tx: refusals.add(tx, refusal))


def test_an_address_is_found_behind_many_that_contain_it(store: Store) -> None:
    wanted = accept(store, "anna@example.com")
    store.write_now(lambda tx: [spool.accept(tx, submission(f"jo{number}anna@example.com")) for number in range(250)])
    found = ask(store, "Anna@example.com")
    assert [row.id for row in found.rows] == [wanted.deliveries[0].id]


@pytest.mark.parametrize("question", ["@", "", " ", "@example.com", "%", "BK-"])
def test_a_question_about_nobody_finds_nobody(store: Store, question: str) -> None:
    accept(store, "anna@example.com", booking="BK-10042")
    assert ask(store, question).rows == ()


def test_a_redirected_mail_is_found_by_the_guest_it_was_meant_for(store: Store) -> None:
    made = submission("test@hotel.example")
    (delivery,) = made.deliveries
    made = replace(made, deliveries=(replace(delivery, intended="Anna@example.com"),))
    store.write_now(lambda tx: spool.accept(tx, made))
    assert [row.id for row in ask(store, "anna@example.com").rows] == [delivery.id]


def test_what_is_being_tried_has_no_next_try(store: Store) -> None:
    made = accept(store, "anna@example.com")
    (claimed,) = claim(store)
    found = ask(store, "anna@example.com")
    assert any("being tried now" in line for line in found.why.proof)
    assert not any("next try" in line for line in found.why.proof), "the end of a lease is not when it is tried next"
    assert found.rows[0].as_json()["next_at"] is None
    (domain,) = store.read_now(queue.overview)
    assert (domain.sending, domain.next_at) == (1, None)
    later = disposition(claimed.delivery.id, Status.DEFERRED, next_at=NOW + 5 * MINUTE)
    store.write_now(lambda tx: spool.record(tx, later, owner="one"))
    assert any(line.endswith("next try") for line in ask(store, made.message.id).why.proof)


def test_a_block_after_errors_names_their_number_and_claims_nothing_else(store: Store) -> None:
    for number in range(13):
        fail(store, accept(store, "anna@example.com").deliveries[0].id, at=NOW + number * MINUTE)
    stopped = accept(store, "anna@example.com", at=NOW + HOUR)
    end = disposition(stopped.deliveries[0].id, Status.SUPPRESSED, at=NOW + HOUR, said=reply(None, "blocked"))
    store.write_now(lambda tx: spool.record(tx, end))
    found = ask(store, "anna@example.com", now=NOW + 2 * HOUR)
    assert found.why.verdict == "blocked"
    assert "after 13 errors" in found.why.happened
    assert "does not exist" not in found.why.happened


def test_a_block_for_an_unknown_address_counts_no_tries_as_errors(store: Store) -> None:
    waiting = accept(store, "anna@example.com").deliveries[0].id
    tried = disposition(waiting, Status.DEFERRED, attempts=3, said=reply(452, "full", enhanced="4.2.2"), reading=FULL)
    store.write_now(lambda tx: spool.record(tx, tried))
    gone = disposition(
        accept(store, "anna@example.com").deliveries[0].id,
        Status.INVALID,
        said=reply(550, "no such user", enhanced="5.1.1"),
        reading=outcome(suppress=True),
    )
    store.write_now(lambda tx: spool.record(tx, gone))
    stopped = disposition(waiting, Status.SUPPRESSED, attempts=3, said=reply(None, "blocked"))
    store.write_now(lambda tx: spool.record(tx, stopped))
    happened = ask(store, waiting).why.happened
    assert "errors" not in happened
    assert happened.startswith("example.com said that anna@example.com does not exist")


@pytest.mark.parametrize("is_unknown", [False, True])
def test_a_lost_answer_is_not_called_unreachable(store: Store, is_unknown: bool) -> None:
    delivery = accept(store, "anna@example.com").deliveries[0].id
    silence = outcome(Category.NETWORK, blame=Blame.THEIR_SERVER, reply_class=ReplyClass.DEFERRED)
    tried = disposition(
        delivery, Status.DEFERRED, said=reply(None, "the server closed the connection"), reading=silence
    )
    tried = replace(tried, is_unknown=is_unknown)
    store.write_now(lambda tx: spool.record(tx, tried))
    happened = ask(store, delivery).why.happened
    assert ("We could not reach example.com" in happened) is not is_unknown
    assert ("may have it already" in happened) is is_unknown


def test_a_refusal_is_told_to_those_it_was_for_and_to_nobody_else(store: Store) -> None:
    refuse(store, "Anna@example.com, bob@example.com")
    for question, is_told in (("anna@example.com", True), ("bob@example.com", True), ("ob@example.com", False)):
        found = ask(store, question).why
        assert found.verdict == "no_record"
        assert any("refused at the door" in line for line in found.proof) is is_told
        assert ("something was refused" in found.sentence) is is_told


def test_a_newer_mail_that_was_refused_stands_in_the_proof(store: Store) -> None:
    refuse(store, "anna@example.com", at=NOW - HOUR)
    arrived = disposition(accept(store, "anna@example.com").deliveries[0].id)
    store.write_now(lambda tx: spool.record(tx, arrived))
    assert not any("refused at the door" in line for line in ask(store, "anna@example.com").why.proof)
    refuse(store, "anna@example.com", at=NOW + MINUTE)
    found = ask(store, "anna@example.com").why
    assert found.verdict == "delivered"
    assert any("refused at the door" in line for line in found.proof)


def test_the_log_finds_exactly_one_address(store: Store) -> None:
    accept(store, "anna@example.com", "joanna@example.com")
    (row,) = store.read_now(lambda tx: log.search(tx, log.Query(address="ANNA@example.com")))
    assert row.to == "anna@example.com"
