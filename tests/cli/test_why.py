"""`why`: the answer, whom it is about, and what it says when there is nothing."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from relay.model import Reference
from relay.status import Status
from tests.cli.desk import Desk

BACKENDS = ("postgres", "sqlite")

KEYS = ["answer", "sentence", "next_step", "who", "title", "happened", "proof", "deliveries"]

ENDS = [
    ("250 2.0.0 queued as 7", Status.DELIVERED, "delivered", "customer"),
    ("550 5.1.1 no such user", Status.INVALID, "not_delivered", "customer"),
    ("552 5.2.2 mailbox full", Status.SOFT_BOUNCED, "not_delivered", "customer"),
    ("451 4.7.1 greylisted, try later", Status.DEFERRED, "pending", "wait"),
    ("250 2.0.0 ok", Status.SENT, "pending", "wait"),
    ("554 5.7.1 our IP is listed", Status.REJECTED, "not_delivered", "admin"),
]


@pytest.mark.parametrize(("reply", "status", "verdict", "who"), ENDS, ids=[row[1] for row in ENDS])
def test_each_end_has_its_answer(desk: Desk, reply: str, status: Status, verdict: str, who: str) -> None:
    message, (delivery,) = desk.accept("Anna@example.com")
    desk.answer(delivery, reply, status=status, next_in=timedelta(minutes=5) if status is Status.DEFERRED else None)
    for question in ("anna@example.com", "bk10042", message.id, delivery.id):
        got = desk.run("why", question, "--json")
        answer = got.one()
        assert got.code == 0
        assert list(answer) == KEYS
        assert (answer["answer"], answer["who"]) == (verdict, who), question
        assert [one["id"] for one in answer["deliveries"]] == [delivery.id]
        assert answer["sentence"].startswith("Confirmation for BK-10042 to Anna@example.com")


def test_delivered_names_server_time_and_reply(desk: Desk) -> None:
    _, (delivery,) = desk.accept("anna@example.com")
    desk.answer(delivery, "250 2.0.0 queued as 7", status=Status.DELIVERED)
    sentence = desk.run("why", "anna@example.com", "--json").one()["sentence"]
    assert "was accepted by mx1.example.com at " in sentence
    assert sentence.endswith("reply 250 2.0.0 queued as 7.")


def test_text_has_title_what_happened_proof_and_next_step_in_this_order(desk: Desk) -> None:
    _, (delivery,) = desk.accept("anna@example.com")
    desk.answer(delivery, "550 5.1.1 no such user", status=Status.INVALID)
    got = desk.run("why", "anna@example.com")
    places = [got.out.index(part) for part in ("Not delivered", "What happened:", "Proof:", "Next step:")]
    assert places == sorted(places)
    assert "mx1.example.com [192.0.2.1] answered 550 5.1.1 no such user" in got.out


def test_the_command_that_lists_all_deliveries_can_be_copied(desk: Desk) -> None:
    desk.accept("anna@example.com")
    desk.accept("anna@example.com")
    last = desk.run("why", "anna@example.com").out.splitlines()[-1]
    assert last == "2 deliveries in all; to list them: waybill log anna@example.com"
    assert len(desk.run("log", "anna@example.com", "--json").lines()) == 2


def test_only_the_whole_address_is_meant(desk: Desk) -> None:
    desk.accept("joanna@example.com")
    assert desk.run("why", "anna@example.com", "--json").one()["answer"] == "no_record"


def test_the_newest_mail_to_an_address_speaks_for_it(desk: Desk) -> None:
    _, (first,) = desk.accept("anna@example.com")
    desk.answer(first, "552 5.2.2 mailbox full", status=Status.SOFT_BOUNCED)
    _, (second,) = desk.accept("anna@example.com")
    desk.answer(second, "250 ok", status=Status.DELIVERED)
    answer = desk.run("why", "anna@example.com", "--json").one()
    assert answer["answer"] == "delivered"
    assert [one["id"] for one in answer["deliveries"]] == [second.id, first.id]


def test_a_copy_to_the_hotel_does_not_hide_what_the_guest_did_not_get(desk: Desk) -> None:
    _, (guest,) = desk.accept("anna@example.com")
    desk.answer(guest, "550 5.1.1 no such user", status=Status.INVALID)
    _, (copy,) = desk.accept("desk@hotel.example")
    desk.answer(copy, "250 ok", status=Status.DELIVERED)
    answer = desk.run("why", "BK-10042", "--json").one()
    assert answer["answer"] == "not_delivered"
    assert "anna@example.com" in answer["sentence"]


def test_a_resend_to_the_corrected_address_answers_for_the_booking(desk: Desk) -> None:
    message, (guest,) = desk.accept("ana@example.com")
    desk.answer(guest, "550 5.1.1 no such user", status=Status.INVALID)
    made = desk.run("resend", guest.id, "--to", "anna@example.com", "--json").one()["deliveries"]
    for question in ("BK-10042", message.id):
        answer = desk.run("why", question, "--json").one()
        assert answer["answer"] == "pending"
        assert answer["deliveries"][0]["id"] == made[0]
    assert desk.run("why", guest.id, "--json").one()["answer"] == "not_delivered"


def test_a_blocked_address_is_answered_with_who_blocked_it(desk: Desk) -> None:
    _, (delivery,) = desk.accept("anna@example.com")
    desk.run("block", "anna@example.com", "--note", "asked us to stop")
    desk.run("resend", delivery.id)
    answer = desk.run("why", "anna@example.com", "--json").one()
    assert answer["answer"] == "blocked"
    assert "asked us to stop" in answer["happened"]
    assert answer["who"] == "you"


def test_a_cancelled_mail_is_answered_with_who_cancelled_it(desk: Desk) -> None:
    _, (delivery,) = desk.accept("anna@example.com")
    desk.run("cancel", delivery.id)
    answer = desk.run("why", delivery.id, "--json").one()
    assert answer["answer"] == "not_delivered"
    assert " stopped this email on " in answer["happened"]


def test_no_record_names_what_comes_nearest_and_exits_1(desk: Desk) -> None:
    _, (delivery,) = desk.accept("anna@example.com")
    desk.answer(delivery, "250 ok", status=Status.DELIVERED)
    desk.refuse(to="anne@example.com")
    got = desk.run("why", "anne@example.com", "--json")
    answer = got.one()
    assert got.code == 1
    assert (answer["answer"], answer["deliveries"]) == ("no_record", [])
    assert "Did you mean anna@example.com?" in answer["proof"]
    assert any("sender not allowed" in line for line in answer["proof"])
    near = desk.run("why", "10042", "--json").one()
    assert "Did you mean BK-10042?" in near["proof"]


def test_no_record_in_an_empty_store(desk: Desk) -> None:
    got = desk.run("why", "anna@example.com")
    assert got.code == 1
    assert "We never received this email" in got.out
    assert "The log is empty." in got.out


def test_a_pause_is_the_answer_before_it_holds_anything(desk: Desk) -> None:
    _, (delivery,) = desk.accept("anna@example.com")
    desk.run("queue", "pause", "--app", "shop")
    assert desk.run("why", delivery.id, "--json").one()["title"] == "Not yet: waiting to be sent"
    desk.run("queue", "pause", "--domain", "example.com", "--note", "their move is on")
    _, (later,) = desk.accept("anna@example.com")
    for one in (delivery, later):
        answer = desk.run("why", one.id, "--json").one()
        assert (answer["answer"], answer["who"]) == ("pending", "admin")
        assert "Reason: “their move is on”." in answer["happened"]


def test_a_customer_number_leads_to_everything_sent_to_them(desk: Desk) -> None:
    number = Reference(kind="customer", value="K-501", source="header")
    desk.accept("anna@example.com", booking="BK-1", references=(number,))
    desk.accept("anna@work.example", booking="BK-2", references=(number,))
    desk.accept("bob@example.com", booking="BK-3")
    answer = desk.run("why", "k 501", "--json").one()
    assert {one["to"] for one in answer["deliveries"]} == {"anna@example.com", "anna@work.example"}


def test_every_mail_is_listed_with_its_kind_and_where_it_stands(desk: Desk) -> None:
    _, (first,) = desk.accept("anna@example.com")
    desk.answer(first, "250 ok", status=Status.DELIVERED)
    _, (second,) = desk.accept("anna@example.com", kind="reminder")
    desk.answer(second, "552 5.2.2 full", status=Status.SOFT_BOUNCED)
    desk.run("resend", first.id, "--plain")
    lines = [line for line in desk.run("why", "BK-10042").out.splitlines() if re.match(r"\d{4}-", line)]
    assert [" ".join(line.split()[2:-2]) for line in lines] == [
        "confirmation (sent again) anna@example.com not yet: waiting to be",
        "reminder anna@example.com not",
        "confirmation anna@example.com delivered: their server confirmed",
    ]


def test_m002_7_the_beginning_of_the_log_is_told_for_what_is_older(desk: Desk) -> None:
    desk.accept("anna@example.com")
    got = desk.run("why", "BK-9")
    assert got.code == 1
    assert f"The log begins on {desk.now:%Y-%m-%d}: what was sent before that is not in it." in got.out


@pytest.mark.parametrize(
    ("question", "answer"), [("BK-10427", "delivered"), ("bk-10427", "delivered"), ("BK-1042", "no_record")]
)
def test_a_number_in_the_subject_is_found_without_a_booking_pattern(desk: Desk, question: str, answer: str) -> None:
    """The README's first mail: "never handed to us" would be wrong."""
    _, (delivery,) = desk.accept("guest@example.com", subject="Booking BK-10427", booking=None)
    desk.answer(delivery, "250 2.0.0 ok", status=Status.DELIVERED)
    assert desk.run("why", question, "--json").one()["answer"] == answer
