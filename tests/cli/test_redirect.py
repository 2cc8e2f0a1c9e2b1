"""`redirect`: what it does, what it refuses, and what the log says of redirected mail."""

from __future__ import annotations

import re

import pytest

from relay.status import Status
from tests.cli.desk import Desk

OLD, NEW = "anna@example.com", "anna.berg@example.org"


def test_new_mail_goes_there_and_is_found_under_both(desk: Desk) -> None:
    desk.accept(OLD, booking="BK-1")
    got = desk.run("redirect", OLD, NEW, "--until", "7d", "--note", "on holiday")
    assert got.code == 0
    assert got.out.startswith(f"New mail for {OLD} goes to {NEW} until 20")
    _, (moved,) = desk.accept(OLD, booking="BK-2")
    newest, before = desk.run("log", "--json").lines()
    assert (newest["id"], newest["to"], newest["intended"]) == (moved.id, NEW, OLD)
    assert (before["to"], before["intended"]) == (OLD, None)
    assert f"{NEW} (for " in desk.run("log").out
    for question in (OLD, NEW, "BK-2"):
        answer = desk.run("why", question, "--json").one()
        assert f"to {NEW} (meant for {OLD})" in answer["sentence"], question
        assert any(f"Meant for {OLD}, redirected to {NEW} (on holiday), by " in line for line in answer["proof"])
    assert len(desk.run("why", OLD, "--json").one()["deliveries"]) == 2
    assert re.search(f"^meant for: +{OLD}$", desk.run("show", moved.id).out, re.MULTILINE)


def test_it_is_listed_and_ended(desk: Desk) -> None:
    assert desk.run("redirect", "list").out == "No mail is redirected.\n"
    desk.run("redirect", OLD, NEW)
    one = desk.run("redirect", "list", "--json").one()
    assert (one["old"], one["new"], one["active"], one["ended_at"]) == (OLD, NEW, True, None)
    assert re.match(r"\d{4}-", one["until"])
    assert desk.run("redirect", "end", OLD.upper()).code == 0
    assert desk.run("redirect", "list", "--json").out == ""
    ended = desk.run("redirect", "list", "--all", "--json").one()
    assert (ended["active"], ended["ended_by"] is not None) == (False, True)
    got = desk.run("redirect", "end", OLD)
    assert (got.code, got.err) == (1, f"{OLD} is not redirected.\n")
    _, (delivery,) = desk.accept(OLD)
    assert desk.run("log", "--json").one()["id"] == delivery.id
    assert desk.run("log", "--json").one()["to"] == OLD


@pytest.mark.parametrize(
    ("given", "asked", "said"),
    [
        ([], (OLD, OLD.upper()), "are the same address"),
        ([(OLD, NEW)], (OLD, "c@example.net"), f"{OLD} is redirected to {NEW} already; end that first"),
        ([(NEW, "c@example.net")], (OLD, NEW), f"redirect {OLD} to c@example.net instead"),
        ([(NEW, OLD)], (OLD, NEW), "that would be a circle"),
        ([(OLD, NEW)], (NEW, "c@example.net"), f"{OLD} is redirected to {NEW}; end that first"),
    ],
    ids=["itself", "second", "chain", "circle", "chain from below"],
)
def test_chains_and_circles_are_refused(
    desk: Desk, given: list[tuple[str, str]], asked: tuple[str, str], said: str
) -> None:
    for pair in given:
        assert desk.run("redirect", *pair).code == 0
    got = desk.run("redirect", *asked)
    assert (got.code, got.out) == (1, "")
    assert said in got.err
    assert len(desk.run("redirect", "list", "--json").lines()) == len(given)


def test_the_same_again_changes_its_end(desk: Desk) -> None:
    desk.run("redirect", OLD, NEW, "--until", "1d")
    first = desk.run("redirect", "list", "--json").one()
    assert "(changed)" in desk.run("redirect", OLD, NEW, "--until", "9d").out
    second = desk.run("redirect", "list", "--json").one()
    assert second["until"] > first["until"]


def test_a_blocked_new_address_is_told(desk: Desk) -> None:
    desk.run("block", "@example.org")
    got = desk.run("redirect", OLD, NEW)
    assert got.code == 0
    assert f"But {NEW} is blocked (all of example.org, " in got.out


def test_a_block_on_the_old_address_does_not_stop_what_goes_elsewhere(desk: Desk) -> None:
    desk.run("block", OLD)
    desk.run("redirect", OLD, NEW)
    _, (moved,) = desk.accept(OLD)
    assert desk.run("why", moved.id, "--json").one()["answer"] == "pending"
    desk.answer(moved, "250 ok", status=Status.DELIVERED)
    assert desk.run("why", OLD, "--json").one()["answer"] == "delivered"


@pytest.mark.parametrize(
    "arguments",
    [
        ("nobody", NEW),
        (OLD, "nobody"),
        (OLD,),
        (OLD, NEW, "--until", "2020-01-01"),
        (OLD, NEW, "--until", "some day"),
        ("end", "nobody"),
    ],
)
def test_what_is_no_address_or_no_time_to_come_is_wrong_use(desk: Desk, arguments: tuple[str, ...]) -> None:
    got = desk.run("redirect", *arguments)
    assert (got.code, got.out) == (2, "")
