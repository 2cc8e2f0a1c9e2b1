"""relay/why.py: which delivery speaks for the whole, the verdict of every status, whole sentences for every state."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from relay.model import (
    APP_HOLD,
    Attempt,
    Blame,
    Category,
    Delivery,
    DeliveryId,
    Event,
    Message,
    MessageId,
    Reply,
    Stage,
    Suppression,
)
from relay.status import OPEN, Status
from relay.why import Candidate, Case, Verdict, answer, customer_text, deciding, standing, verdict_of

NOW = datetime(2026, 11, 21, 16, 20, tzinfo=UTC)

VERDICTS = {
    Status.QUEUED: Verdict.PENDING,
    Status.SENT: Verdict.PENDING,
    Status.DEFERRED: Verdict.PENDING,
    Status.DELIVERED: Verdict.DELIVERED,
    Status.SOFT_BOUNCED: Verdict.NOT_DELIVERED,
    Status.HARD_BOUNCED: Verdict.NOT_DELIVERED,
    Status.INVALID: Verdict.NOT_DELIVERED,
    Status.REJECTED: Verdict.NOT_DELIVERED,
    Status.SUPPRESSED: Verdict.BLOCKED,
    Status.CANCELLED: Verdict.NOT_DELIVERED,
}


def candidate(seq: int, address: str, status: Status, *, resend_of: int | None = None) -> Candidate:
    root = DeliveryId(f"D{resend_of}") if resend_of is not None else None
    return Candidate(seq=seq, id=DeliveryId(f"D{seq}"), address=address, status=status, resend_of=root)


def test_every_status_has_a_verdict() -> None:
    assert {status: verdict_of(status) for status in Status} == VERDICTS


CASES = [
    ("one", [(1, "a@x.example", Status.DELIVERED, None)], 1),
    (
        "newest of one address",
        [(1, "a@x.example", Status.INVALID, None), (2, "A@x.example", Status.DELIVERED, None)],
        2,
    ),
    (
        "worst of two addresses",
        [(1, "a@x.example", Status.INVALID, None), (2, "b@x.example", Status.DELIVERED, None)],
        1,
    ),
    (
        "blocked is worse than pending",
        [(1, "a@x.example", Status.SUPPRESSED, None), (2, "b@x.example", Status.QUEUED, None)],
        1,
    ),
    ("newest of equals", [(1, "a@x.example", Status.INVALID, None), (2, "b@x.example", Status.INVALID, None)], 2),
    (
        "resend to the corrected address",
        [(1, "a@x.example", Status.INVALID, None), (2, "b@x.example", Status.DELIVERED, 1)],
        2,
    ),
    (
        "last of two resends",
        [
            (1, "a@x.example", Status.INVALID, None),
            (2, "b@x.example", Status.INVALID, 1),
            (3, "c@x.example", Status.QUEUED, 1),
        ],
        3,
    ),
    (
        "resend of one recipient leaves the other",
        [
            (1, "a@x.example", Status.INVALID, None),
            (2, "b@x.example", Status.INVALID, None),
            (3, "c@x.example", Status.DELIVERED, 1),
        ],
        2,
    ),
]


@pytest.mark.parametrize(("rows", "want"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_the_deciding_delivery(rows: list[tuple[int, str, Status, int | None]], want: int) -> None:
    candidates = [candidate(seq, address, status, resend_of=root) for seq, address, status, root in rows]
    assert deciding(candidates).seq == want
    assert deciding(candidates[::-1]).seq == want


BLOCKS = (None, "manual", "errors", "invalid_address", "complaint")
HELD = (None, APP_HOLD, "paused: their server is being repaired")
CODES = {Status.DELIVERED: 250, Status.INVALID: 550, Status.HARD_BOUNCED: 550, Status.DEFERRED: 451}


def delivery(status: Status, category: Category | None, **values: object) -> Delivery:
    is_open = status in OPEN
    base = {
        "id": DeliveryId("D1"),
        "message_id": MessageId("M1"),
        "address": "sari@b.example",
        "domain": "b.example",
        "status": status,
        "created_at": NOW,
        "category": category,
        "blame": Blame.RECIPIENT if category else None,
        "attempts": 1,
        "code": CODES.get(status),
        "reply": "their words",
        "next_at": NOW + timedelta(hours=1) if is_open else None,
        "ended_at": None if is_open else NOW + timedelta(hours=2),
        "delivered_at": NOW if status is Status.DELIVERED else None,
    }
    return Delivery(**{**base, **values})  # type: ignore[arg-type]


def case(one: Delivery, *, block: str | None = None, is_lifted: bool = False, corrected: str | None = None) -> Case:
    message = Message(
        id=MessageId("M1"), accepted_at=NOW, app="hotel", mail_from="d@hotel.example", header_from="d@hotel.example",
        subject="Your booking", booking="BK-1", kind="confirmation", size=2000,
    )  # fmt: skip
    said = Reply(stage=Stage.RCPT, code=one.code, enhanced=None, text="their words", host="mx.b.example")
    tried = Attempt(delivery_id=one.id, number=1, started_at=NOW, took=timedelta(seconds=1), reply=said)
    blocked = None
    if block is not None:
        blocked = Suppression(id=1, scope="address", value="sari@b.example", reason=block, since_at=NOW, by="mika")
    events = [Event(at=NOW, kind="cancel", text="Cancelled", delivery_id=one.id, by="mika")]
    if one.intended is not None:
        events.append(Event(at=NOW, kind="redirected", text="Meant for another", delivery_id=one.id, by="mika"))
    return Case(
        message=message,
        delivery=one,
        attempts=(tried,),
        events=tuple(events),
        blocked=blocked,
        lifted_at=NOW + timedelta(hours=3) if is_lifted else None,
        give_up_after=timedelta(days=5),
        error_count=13,
        corrected=corrected,
    )


def states(status: Status) -> list[Case]:
    """Every state that a delivery of this status can be seen in."""
    found = []
    fixed = (None, "anna@b.example")
    for category, block, intended, corrected in itertools.product([None, *Category], BLOCKS, fixed, fixed):
        values = {"intended": intended}
        if status in OPEN:
            several = [delivery(status, category, **values, held=held) for held in HELD]
        elif status in (Status.SOFT_BOUNCED, Status.HARD_BOUNCED, Status.INVALID):
            several = [delivery(status, category, **values, delivered_at=late) for late in (None, NOW)]
        elif status is Status.DELIVERED:
            several = [delivery(status, category, **values, marks=marks) for marks in ((), ("opened",), ("spam",))]
        else:
            several = [delivery(status, category, **values)]
        for one, is_lifted in itertools.product(several, (False, True) if block else (False,)):
            if not is_lifted or status is Status.SUPPRESSED:
                found.append(case(one, block=block, is_lifted=is_lifted, corrected=corrected))
    return found


#: A hole, a value nobody has, two spaces or full stops where a part is missing, an enumeration's own name.
BROKEN = re.compile(r"[{}]|\bNone\b|\bnull\b| {2}|\.\.|\bStatus\.|\bCategory\.|\(\)|“”|\b[a-z]+_[a-z]+\b|\b1 times")


@pytest.mark.parametrize("status", Status)
def test_m004_1_every_state_has_whole_sentences_and_a_next_step(status: Status) -> None:
    for one in states(status):
        told = answer(one)
        texts = [told.title, told.sentence, told.happened, told.next_step, customer_text(one)]
        for text in texts:
            assert text, one
            assert not BROKEN.search(text), (text, one)
            assert text[0].isupper() or text.startswith(("“", "b.example", "mika", "hotel")), text
            assert text[-1] in ".?!" or text == told.title, text
        assert all(not re.search(r"[{}]|\bNone\b", line) for line in told.proof), told.proof
        assert told.who in (None, "customer", "you", "admin", "wait")
        assert (told.verdict is Verdict.DELIVERED) == told.title.startswith(("Delivered", "Marked")) or (
            told.verdict is Verdict.BLOCKED
        )


@pytest.mark.parametrize("status", Status)
def test_m002_4_only_what_was_acknowledged_is_called_delivered(status: Status) -> None:
    for is_returned, is_held in itertools.product((False, True), (False, True)):
        words = standing(status, is_returned=is_returned, is_held=is_held)
        assert words.startswith("delivered") == (status is Status.DELIVERED and not is_returned), words
    for one in states(status):
        if status is not Status.DELIVERED:
            assert not answer(one).title.startswith("Delivered"), one


def test_a_block_stops_what_still_waits_and_is_the_answer() -> None:
    told = answer(case(delivery(Status.DEFERRED, Category.GREYLISTED), block="manual"))
    assert (told.verdict, told.who) == (Verdict.BLOCKED, "you")
    assert told.title == "Not sent: blocked by a person"
    assert not any("next try" in line for line in told.proof)


def test_a_block_that_ended_is_not_to_be_lifted_again() -> None:
    for reason in BLOCKS[1:]:
        told = answer(case(delivery(Status.SUPPRESSED, None), block=reason, is_lifted=True))
        assert "block ended" in told.happened, reason
        assert told.next_step == "Resend it if it is still wanted.", reason


def test_errors_of_the_address_are_not_tries_of_this_mail() -> None:
    told = answer(case(delivery(Status.SOFT_BOUNCED, Category.NETWORK, attempts=3, code=None), block="errors"))
    assert "We tried 3 times over 2 hours." in told.happened
    told = answer(case(delivery(Status.SUPPRESSED, None, attempts=3), block="errors"))
    assert "We stopped sending after 13 errors" in told.happened


def test_m000_6_the_corrected_address_is_the_next_step() -> None:
    told = answer(case(delivery(Status.INVALID, Category.INVALID_ADDRESS), corrected="sari@c.example"))
    assert told.next_step == "Resend it: it goes to sari@c.example."
    assert told.who == "you"


def test_what_goes_to_another_address_says_whom_it_was_meant_for() -> None:
    told = answer(case(delivery(Status.DELIVERED, None, intended="old@b.example", mx="mx.b.example")))
    assert told.sentence.startswith("Confirmation for BK-1 to sari@b.example (meant for old@b.example) was accepted")
    assert "It was meant for old@b.example and goes to sari@b.example instead." in told.happened


def test_what_came_back_after_a_mail_was_accepted_is_proof() -> None:
    delivered = case(delivery(Status.DELIVERED, None, marks=("auto_reply",)))
    later = [
        Event(at=NOW + timedelta(hours=1), kind=kind, text=text, delivery_id=DeliveryId(whose))
        for kind, text, whose in (
            ("auto_reply", "An automatic answer came: Away", "D1"),
            ("complaint", "The recipient marked it as spam", "D2"),
            ("note", "Somebody wrote a note", "D1"),
        )
    ]
    told = answer(replace(delivered, events=tuple(later)))
    assert told.proof[-1] == "2026-11-21 17:20:00 UTC An automatic answer came: Away"
    assert len(told.proof) == 3


def test_the_answer_that_led_to_a_block_is_proof_where_no_try_shows_it() -> None:
    stopped = case(delivery(Status.SUPPRESSED, None), block="invalid_address")
    assert stopped.blocked is not None
    for cause, shown in (("D1", "(invalid address, by mika)"), ("D0", "(invalid address, by mika: no such\tuser)")):
        block = replace(stopped.blocked, delivery_id=DeliveryId(cause), reply="no such\tuser")
        proof = answer(replace(stopped, blocked=block)).proof
        assert any(line.endswith(f"sari@b.example blocked {' '.join(shown.split())}") for line in proof), proof


def test_a_copy_says_its_form_only_where_it_is_another() -> None:
    for form, words in (("full", "sent again by mika"), ("plain", "sent again as plain text by mika")):
        copy = delivery(Status.DELIVERED, None, resend_of=DeliveryId("D0"), form=form, by="mika")
        assert any(line.endswith(words) for line in answer(case(copy)).proof)
