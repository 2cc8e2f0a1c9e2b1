"""`reclassify`: the tables of a dry run, and the same tables when it is done."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from relay.classify import parse_reply
from relay.model import Attempt, Blame, Category, Disposition, Outcome, ReplyClass, Stage
from relay.status import Status
from relay.store import spool
from tests.cli.desk import SECOND, Desk

OUR_FAULT = "550 5.7.1 Service unavailable, client host [192.0.2.1] blocked using a block list"
OLD = Outcome(
    reply_class=ReplyClass.HARD,
    category=Category.INVALID_ADDRESS,
    blame=Blame.RECIPIENT,
    rule="old.rule",
    suppress=True,
)


def misread(desk: Desk, address: str) -> str:
    """Let an older version have taken an answer about us for a dead address."""
    _, (delivery,) = desk.accept(address)
    desk.now += SECOND
    reply = replace(parse_reply(OUR_FAULT, Stage.RCPT), host="mx1.example.com")
    attempt = Attempt(
        delivery_id=delivery.id, number=1, started_at=desk.now, took=timedelta(seconds=1), reply=reply, outcome=OLD
    )
    ended = Disposition(
        delivery_id=delivery.id,
        status=Status.INVALID,
        attempts=1,
        at=desk.now,
        attempt_rows=(attempt,),
        outcome=OLD,
        reply=reply,
    )
    with desk.store() as store:
        store.write_now(lambda tx: spool.record(tx, ended))
    return str(delivery.id)


def test_a_dry_run_prints_what_will_be_done_and_changes_nothing(desk: Desk) -> None:
    delivery = misread(desk, "anna@example.com")
    misread(desk, "bob@example.com")
    planned = desk.run("reclassify", "--dry-run")
    assert planned.code == 0
    assert desk.run("address", "anna@example.com", "--json").one()["blocked"]
    done = desk.run("reclassify")
    lines = done.out.splitlines()
    assert lines[0].split() == ["COUNT", "WAS", "CATEGORY", "RULE", "IS", "NOW", "CATEGORY", "RULE", "ANSWER"]
    assert lines[1].split()[:6] == ["2", "hard", "invalid_address", "old.rule", "soft", "reputation_block"]
    assert lines[2] == "2 failed deliveries read again, 2 differently."
    assert lines[3] == "Changed 2 deliveries and 2 error counters, unblocked 2 addresses, blocked 0."
    assert planned.out.splitlines()[:3] == lines[:3]
    assert planned.out.splitlines()[3].startswith("Would change 2 deliveries and 2 error counters, unblock 2")
    known = desk.run("address", "anna@example.com", "--json").one()
    assert (known["error_count"], known["blocked"], known["last_category"]) == (0, False, "reputation_block")
    shown = desk.run("show", delivery).out
    assert "soft_bounced" in shown
    assert "Read again by today's rules: invalid_address → reputation_block" in shown
    assert desk.run("verify").code == 0


def test_a_second_run_finds_nothing_different(desk: Desk) -> None:
    misread(desk, "anna@example.com")
    desk.run("reclassify")
    again = desk.run("reclassify")
    assert (again.code, again.out) == (0, "1 failed deliveries read again, 0 differently.\n")


def test_json_has_a_line_for_each_change_and_one_for_the_whole(desk: Desk) -> None:
    delivery = misread(desk, "anna@example.com")
    row, total = desk.run("reclassify", "--json").lines()
    assert (row["count"], row["old"]["rule"], row["new"]["category"]) == (1, "old.rule", "reputation_block")
    assert (row["old"]["class"], row["new"]["class"], row["delivery"]) == ("hard", "soft", delivery)
    assert total == {
        "done": True,
        "seen": 1,
        "passed_over": 0,
        "deliveries": 1,
        "counters": 1,
        "unblocked": ["anna@example.com"],
        "blocked": [],
    }


def test_an_empty_store_and_a_later_time_are_no_fault(desk: Desk) -> None:
    assert desk.run("reclassify").out == "0 failed deliveries read again, 0 differently.\n"
    misread(desk, "anna@example.com")
    assert desk.run("reclassify", "--since", "1m").out == "0 failed deliveries read again, 0 differently.\n"
