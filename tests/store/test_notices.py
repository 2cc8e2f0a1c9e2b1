"""Notices in the store: raised, joined, ended and opened again in the transaction that records a result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from relay import actions
from relay.address import address_key
from relay.classify.report import Report, ReportKind
from relay.model import Blame, Category, Delivery, DeliveryId, Reference, ReplyClass, Suppression, new_id
from relay.notices import State
from relay.settings import Suppressions
from relay.status import Status
from relay.store import addresses, content, log, notices, reports, spool, suppressions
from relay.store.engine import EngineStore
from relay.store.notices import Notice
from relay.store.reports import ReturnedMail
from relay.suggesting import guesses, proven_guess, suggest_missing
from tests.store.making import HOUR, MINUTE, NOW, accept, claim, disposition, outcome, reply

KEY = "guest@example.com"
INVALID = outcome(suppress=True)
GONE_DOMAIN = outcome(Category.INVALID_DOMAIN)
FULL = outcome(Category.MAILBOX_FULL, reply_class=ReplyClass.SOFT)
BIG = outcome(Category.MESSAGE_TOO_LARGE, blame=Blame.MESSAGE, reply_class=ReplyClass.SOFT)
OURS = outcome(Category.REPUTATION_BLOCK, blame=Blame.US, reply_class=ReplyClass.SOFT)
REFUSED = reply(550, "no", enhanced="5.0.0")


def send(store: EngineStore, address: str = KEY, **kwargs: object) -> DeliveryId:
    made = accept(store, address, **kwargs)
    claim(store)
    return made.deliveries[0].id


def end(store: EngineStore, delivery: DeliveryId, status: Status, reading: object = None, at: object = NOW) -> None:
    said = reply() if reading is None else REFUSED
    made = disposition(delivery, status, reading=reading, said=said, at=at)  # type: ignore[arg-type]
    store.write_now(lambda tx: spool.record(tx, made))


def fail(store: EngineStore, address: str = KEY, reading: object = INVALID, **kwargs: object) -> DeliveryId:
    at = kwargs.get("at", NOW)
    delivery = send(store, address, **kwargs)
    status = Status.INVALID if reading is INVALID else Status.SOFT_BOUNCED
    end(store, delivery, status, reading, at)
    return delivery


def resend(store: EngineStore, original: DeliveryId, to: str, *, at: object = NOW + HOUR) -> DeliveryId:
    found = store.read_now(lambda tx: log.find(tx, original))
    assert found is not None
    copy = Delivery(
        id=DeliveryId(new_id()),
        message_id=found.message.id,
        address=to,
        domain=to.partition("@")[2],
        status=Status.QUEUED,
        created_at=NOW,
        next_at=NOW,
        resend_of=original,
    )
    store.write_now(lambda tx: spool.add_delivery(tx, copy))
    return copy.id


def every(store: EngineStore, *words: str, with_closed: bool = True) -> list[Notice]:
    return store.read_now(lambda tx: notices.search(tx, words=words, with_closed=with_closed))


def only(store: EngineStore) -> Notice:
    (one,) = every(store)
    return one


def close(store: EngineStore, state: State = State.CLEARED) -> None:
    one = only(store)
    assert store.write_now(lambda tx: notices.close(tx, one.id, state=state, at=NOW, by="sari", note="x"))


def test_a_failure_makes_a_notice_with_its_proof(store: EngineStore) -> None:
    delivery = fail(store, "Guest@Example.com")
    one = only(store)
    assert (one.address, one.shown, one.cause, one.state) == (KEY, "Guest@Example.com", "no-mailbox", State.OPEN)
    assert (one.count, one.opened_at, one.last_at, one.delivery_id, one.app) == (1, NOW, NOW, delivery, "hotel")
    assert (one.assigned, one.by, one.note, one.suggestion, one.closed_at) == (None, "", "", None, None)


@pytest.mark.parametrize(
    ("status", "reading"),
    [
        (Status.DELIVERED, None),
        (Status.SENT, None),
        (Status.DEFERRED, INVALID),
        (Status.DEFERRED, FULL),
        (Status.SOFT_BOUNCED, OURS),
    ],
)
def test_m000_4_what_is_tried_delivered_or_our_fault_makes_none(
    store: EngineStore, status: Status, reading: object
) -> None:
    end(store, send(store), status, reading)
    assert every(store) == []


def test_failures_of_one_address_and_cause_are_one_notice(store: EngineStore) -> None:
    fail(store, reading=FULL)
    second = fail(store, "GUEST@example.com", FULL, at=NOW + HOUR)
    fail(store, "other@example.com", FULL)
    fail(store, reading=BIG)
    found = {(one.address, one.cause): one for one in every(store)}
    assert set(found) == {(KEY, "mailbox-full"), ("other@example.com", "mailbox-full"), (KEY, "too-big")}
    one = found[KEY, "mailbox-full"]
    assert (one.count, one.opened_at, one.last_at, one.delivery_id) == (2, NOW, NOW + HOUR, second)


def test_failures_of_one_batch_are_one_notice_and_heal_in_order(store: EngineStore) -> None:
    ids = [send(store) for _ in range(3)]
    made = [
        disposition(ids[0], Status.SOFT_BOUNCED, reading=FULL, said=REFUSED),
        disposition(ids[1], Status.SOFT_BOUNCED, reading=FULL, said=REFUSED),
        disposition(ids[2], Status.DELIVERED, at=NOW + MINUTE),
    ]
    store.write_now(lambda tx: spool.record_all(tx, made))
    assert (only(store).count, only(store).state) == (2, State.RESOLVED)


def test_the_same_result_twice_counts_once(store: EngineStore) -> None:
    delivery = send(store)
    made = disposition(delivery, Status.INVALID, reading=INVALID, said=REFUSED)
    for _ in range(2):
        store.write_now(lambda tx: spool.record(tx, made, owner="one"))
    assert only(store).count == 1


@pytest.mark.parametrize("state", [State.CLEARED, State.RESOLVED])
def test_a_new_failure_opens_a_closed_notice_again(store: EngineStore, state: State) -> None:
    fail(store, reading=FULL)
    store.write_now(lambda tx: notices.assign(tx, only_id(tx), to="sari"))
    close(store, state)
    second = fail(store, reading=FULL, at=NOW + HOUR)
    one = only(store)
    assert (one.state, one.count, one.opened_at, one.delivery_id) == (State.OPEN, 1, NOW + HOUR, second)
    assert (one.assigned, one.by, one.note, one.closed_at) == (None, "", "", None)


def only_id(tx: object) -> int:
    return notices.search(tx)[0].id  # type: ignore[arg-type]


def test_m000_10_clearing_changes_neither_block_counter_nor_log(store: EngineStore) -> None:
    delivery = fail(store)
    before = store.read_now(lambda tx: (addresses.get(tx, KEY), log.find(tx, delivery), blocks(tx)))
    close(store)
    assert store.read_now(lambda tx: (addresses.get(tx, KEY), log.find(tx, delivery), blocks(tx))) == before
    assert every(store, with_closed=False) == []


def blocks(tx: object) -> list[Suppression]:
    return suppressions.active_on(tx, KEY, scope="address", now=NOW)  # type: ignore[arg-type]


def test_closing_twice_closes_once_and_reopening_undoes_it(store: EngineStore) -> None:
    fail(store)
    close(store)
    one = only(store)
    again = store.write_now(lambda tx: notices.close(tx, one.id, state=State.RESOLVED, at=NOW, by="bob", note=""))
    assert (again, only(store).by, only(store).state) == (False, "sari", State.CLEARED)
    assert store.write_now(lambda tx: notices.reopen(tx, one.id))
    assert not store.write_now(lambda tx: notices.reopen(tx, one.id))
    assert (only(store).state, only(store).by, only(store).count) == (State.OPEN, "", 1)


# Mail that is held back by a block.


def suppress(store: EngineStore, **kwargs: object) -> DeliveryId:
    delivery = send(store, **kwargs)  # type: ignore[arg-type]
    made = replace(disposition(delivery, Status.SUPPRESSED, at=NOW + HOUR), attempt_rows=())
    store.write_now(lambda tx: spool.record(tx, made))
    return delivery


def test_m000_8_further_mail_to_a_blocked_address_joins_its_notice_and_keeps_the_proof(store: EngineStore) -> None:
    first = fail(store, booking="B-1")
    second = suppress(store, booking="B-2")
    one = only(store)
    assert (one.cause, one.count, one.delivery_id, one.last_at) == ("no-mailbox", 2, first, NOW + HOUR)
    assert [mail.id for mail in store.read_now(lambda tx: notices.mails_of(tx, one))] == [second, first]
    close(store)
    suppress(store)
    assert (only(store).state, only(store).count, only(store).delivery_id) == (State.OPEN, 1, first)


def test_mail_held_back_joins_what_a_rule_named_more_nearly(store: EngineStore) -> None:
    delivery = send(store)
    end(store, delivery, Status.INVALID, replace(INVALID, entry="bad-address"))
    suppress(store)
    assert (only(store).cause, only(store).count) == ("bad-address", 2)


@pytest.mark.parametrize(
    ("reason", "source", "want"),
    [
        ("errors", "automatic", ["blocked-auto"]),
        ("complaint", "complaint", ["complaint"]),
        ("manual", "manual", []),
    ],
)
def test_the_notice_of_a_block(store: EngineStore, reason: str, source: str, want: list[str]) -> None:
    block = Suppression(id=0, scope="address", value=KEY, reason=reason, source=source, since_at=NOW)
    store.write_now(lambda tx: suppressions.block(tx, block))
    suppress(store)
    assert [one.cause for one in every(store)] == want


# What ends by itself.


def test_a_notice_ends_by_itself_when_the_address_takes_mail(store: EngineStore) -> None:
    fail(store, reading=FULL)
    end(store, send(store), Status.DELIVERED, at=NOW + HOUR)
    one = only(store)
    assert (one.state, one.by, one.closed_at) == (State.RESOLVED, "", NOW + HOUR)
    assert "took mail" in one.note


def test_mail_to_another_address_ends_nothing(store: EngineStore) -> None:
    fail(store, reading=FULL)
    end(store, send(store, "other@example.com"), Status.DELIVERED, at=NOW + HOUR)
    assert only(store).state is State.OPEN


def test_a_mail_that_was_too_large_is_not_made_up_for_by_another(store: EngineStore) -> None:
    delivery = fail(store, reading=BIG)
    end(store, send(store), Status.DELIVERED, at=NOW + HOUR)
    assert only(store).state is State.OPEN
    end(store, resend(store, delivery, KEY), Status.DELIVERED, at=NOW + HOUR)
    assert only(store).state is State.RESOLVED


def test_of_two_mails_that_were_too_large_one_copy_ends_nothing(store: EngineStore) -> None:
    fail(store, reading=BIG)
    second = fail(store, reading=BIG)
    end(store, resend(store, second, KEY), Status.DELIVERED, at=NOW + HOUR)
    assert only(store).state is State.OPEN


def test_mail_that_arrived_before_the_failure_ends_nothing(store: EngineStore) -> None:
    earlier = send(store)
    fail(store, reading=FULL, at=NOW + HOUR)
    end(store, earlier, Status.DELIVERED, at=NOW)
    assert only(store).state is State.OPEN


def test_a_server_that_takes_mail_and_returns_it_proves_nothing_by_taking_more(store: EngineStore) -> None:
    delivery = send(store)
    end(store, delivery, Status.DELIVERED)
    end(store, delivery, Status.INVALID, INVALID, NOW + MINUTE)
    assert (only(store).state, only(store).cause) == (State.OPEN, "no-mailbox")
    end(store, send(store), Status.DELIVERED, at=NOW + HOUR)
    assert only(store).state is State.OPEN


def test_a_complaint_is_not_ended_by_mail(store: EngineStore) -> None:
    delivery = send(store)
    end(store, delivery, Status.DELIVERED)
    store.write_now(
        lambda tx: notices.raise_notice(
            tx, KEY, cause="complaint", shown=KEY, delivery_id=delivery, app="hotel", at=NOW
        )
    )
    end(store, send(store), Status.DELIVERED, at=NOW + HOUR)
    assert only(store).state is State.OPEN


def test_m000_6_a_copy_to_the_corrected_address_ends_the_notice_of_the_old_one(store: EngineStore) -> None:
    first, _ = fail(store), suppress(store)
    store.write_now(lambda tx: addresses.correct(tx, KEY, "New@example.com", now=NOW))
    end(store, resend(store, first, "new@example.com"), Status.DELIVERED, at=NOW + HOUR)
    one = only(store)
    assert (one.state, one.by) == (State.RESOLVED, "")
    assert "new@example.com" in one.note


def test_a_copy_elsewhere_ends_the_notice_only_once_nothing_is_missing(store: EngineStore) -> None:
    first, second = fail(store), suppress(store)
    end(store, resend(store, first, "new@example.com"), Status.DELIVERED, at=NOW + HOUR)
    assert only(store).state is State.OPEN
    end(store, resend(store, second, "new@example.com"), Status.DELIVERED, at=NOW + HOUR)
    assert only(store).state is State.RESOLVED


def test_a_complaint_that_comes_by_mail_is_a_notice(store: EngineStore) -> None:
    delivery = send(store)
    end(store, delivery, Status.DELIVERED)
    report = Report(kind=ReportKind.COMPLAINT, feedback_type="abuse")
    mail = ReturnedMail(
        id=new_id(),
        at=NOW + HOUR,
        digest="d",
        report=report,
        packed=content.pack(b"x"),
        delivery_id=delivery,
        since=NOW - HOUR,
    )
    store.write_now(lambda tx: reports.take(tx, mail, settings=Suppressions()))
    one = only(store)
    assert (one.address, one.cause, one.delivery_id, one.app) == (KEY, "complaint", delivery, "hotel")
    assert [mail.id for mail in store.read_now(lambda tx: notices.mails_of(tx, one))] == [delivery]


# Finding.


def test_notices_are_found_by_any_word_about_them_and_paged(store: EngineStore) -> None:
    fail(store, "anna@example.com", phone="+358 40 1", customer="C-7", booking="BK-1", name="Anna Ääninen")
    fail(store, "bob@example.com", FULL, at=NOW + HOUR)
    for words in (["ANNA@"], ["ääni"], ["+358 40"], ["c-7"], ["bk-1"], ["no-mail"], ["anna", "C-7"]):
        assert [one.address for one in every(store, *words)] == ["anna@example.com"], words
    assert every(store, "anna", "bob") == []
    assert every(store, "%") == []
    first = store.read_now(lambda tx: notices.search(tx, limit=1))
    assert [one.address for one in first] == ["bob@example.com"]
    rest = store.read_now(lambda tx: notices.search(tx, before=first[0].id))
    assert [one.address for one in rest] == ["anna@example.com"]
    assert [one.address for one in store.read_now(lambda tx: notices.search(tx, cause="mailbox-full"))] == [
        "bob@example.com"
    ]


def test_what_is_known_about_the_person_and_the_proof_is_there(store: EngineStore) -> None:
    delivery = fail(store, phone="+358 40 1", customer="C-7", name="Anna")
    one = only(store)
    person = store.read_now(lambda tx: notices.person_of(tx, one.address))
    assert (person.name, person.phone, person.customer) == ("Anna", "+358 40 1", "C-7")
    proof = store.read_now(lambda tx: notices.proof_of(tx, one))
    assert proof is not None
    assert (proof[0].id, proof[0].reply) == (delivery, "no")
    gone = replace(one, delivery_id=DeliveryId("gone"))
    assert store.read_now(lambda tx: notices.proof_of(tx, gone)) is None


# Suggestions.


def deliver(store: EngineStore, address: str, **kwargs: object) -> None:
    end(store, send(store, address, **kwargs), Status.DELIVERED, at=NOW)


def look(store: EngineStore, takes: Callable[[str], bool], *, at: object = NOW) -> int:
    async def asks(domain: str) -> bool:
        return takes(domain)

    ask: Callable[[str], Awaitable[bool]] = asks
    return asyncio.run(suggest_missing(store, ask, now=at))  # type: ignore[arg-type]


def test_a_domain_that_took_our_mail_is_suggested_without_asking_dns(store: EngineStore) -> None:
    deliver(store, "anna@gmail.com")
    fail(store, "Sari@gmial.com", GONE_DOMAIN)
    one = only(store)
    assert store.read_now(lambda tx: proven_guess(tx, one)) == "Sari@gmail.com"
    assert look(store, lambda _: pytest.fail("nobody was to be asked")) == 1
    assert only(store).suggestion == "Sari@gmail.com"


@pytest.mark.parametrize(("takes", "want"), [(True, "sari@gmail.com"), (False, None)])
def test_a_provider_is_suggested_when_dns_says_that_it_takes_mail(
    store: EngineStore, takes: bool, want: str | None
) -> None:
    fail(store, "sari@gmial.com", GONE_DOMAIN)
    assert store.read_now(lambda tx: proven_guess(tx, notices.search(tx)[0])) is None
    look(store, lambda domain: takes and domain == "gmail.com")
    assert only(store).suggestion == want


def test_it_is_looked_for_again_after_an_hour_and_not_before(store: EngineStore) -> None:
    fail(store, "sari@gmial.com", GONE_DOMAIN)
    assert look(store, lambda _: False) == 0
    assert look(store, lambda _: True, at=NOW + MINUTE) == 0
    assert look(store, lambda _: True, at=NOW + 2 * HOUR) == 1


def test_a_full_mailbox_is_no_typing_mistake(store: EngineStore) -> None:
    fail(store, "sari@gmial.com", FULL)
    assert look(store, lambda _: True) == 0


def test_an_address_that_was_itself_wrong_is_not_suggested(store: EngineStore) -> None:
    deliver(store, "anna@gmail.com")
    fail(store, "sari@gmail.com")
    fail(store, "sari@gmial.com", GONE_DOMAIN)
    one = next(each for each in every(store) if each.address == "sari@gmial.com")
    assert store.read_now(lambda tx: guesses(tx, one)) == []


def references(booking: str, customer: str | None = None) -> tuple[Reference, ...]:
    found = [Reference(kind="booking", value=booking, source="header")]
    return (*found, *([Reference(kind="customer", value=customer, source="header")] if customer else []))


def test_m000_7_another_address_of_the_same_customer_that_took_mail_is_suggested(store: EngineStore) -> None:
    fail(store, "sari@work.example", references=references("BK-1", "C-7"))
    one = only(store)
    assert store.read_now(lambda tx: guesses(tx, one)) == []
    deliver(store, "sari@home.example", references=references("BK-9", "C-7"))
    deliver(store, "other@home.example", references=references("BK-1"))
    assert store.read_now(lambda tx: proven_guess(tx, one)) == "sari@home.example"


def test_the_hotels_own_copy_and_a_mail_to_many_are_no_suggestion(store: EngineStore) -> None:
    fail(store, "sari@work.example", references=references("BK-1", "C-7"))
    deliver(store, "desk@hotel.example", references=references("BK-1", "C-7"))
    made = accept(store, "sari@club.example", "all@club.example", references=references("BK-1", "C-7"))
    claim(store)
    for each in made.deliveries:
        end(store, each.id, Status.DELIVERED)
    assert store.read_now(lambda tx: guesses(tx, notices.search(tx)[0])) == []


def test_a_notice_of_an_odd_address_gets_an_answer(store: EngineStore) -> None:
    fail(store, '"a b"@päivä.example', GONE_DOMAIN)
    assert only(store).address == address_key('"a b"@päivä.example')
    assert look(store, lambda _: True) == 0


@pytest.mark.parametrize(("others", "phone"), [((), "+358 40 7"), (("hotel@example.com",), None)])
def test_a_notice_before_the_first_try_knows_the_phone_of_the_mail(
    store: EngineStore, others: tuple[str, ...], phone: str | None
) -> None:
    made = accept(store, KEY, *others, phone="+358 40 7", customer="C-7")
    store.write_now(
        lambda tx: notices.raise_notice(
            tx, KEY, cause="too-late", shown=KEY, delivery_id=made.deliveries[0].id, app="hotel", at=NOW
        )
    )
    (one,) = every(store)
    card = store.read_now(lambda tx: actions.show_notice(tx, one.id))
    assert card is not None
    assert card.person.phone == phone
