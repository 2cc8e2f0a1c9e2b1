"""`queue`: what waits, and pause, resume, flush, hold, release, cancel by domain, site and app."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from relay.model import Delivery
from relay.status import Status
from relay.store import log, spool
from tests.cli.desk import Desk

BACKENDS = ("postgres", "sqlite")

KEYS = [
    *("domain", "waiting", "held", "sending", "oldest_at", "next_at"),
    *("attempts", "mx", "code", "enhanced", "reply", "category"),
]


def current(desk: Desk, delivery: Delivery) -> Delivery:
    with desk.store() as store:
        found = store.read_now(lambda tx: log.find(tx, delivery.id))
    assert found is not None
    return next(one for one in found.deliveries if one.id == delivery.id)


def claimable(desk: Desk) -> set[str]:
    now = datetime.now(UTC)
    with desk.store() as store:
        claimed = [
            one
            for fresh in (True, False)
            for one in store.write_now(
                lambda tx, fresh=fresh: spool.claim(  # type: ignore[misc]
                    tx, owner="t", now=now, lease=timedelta(seconds=60), limit=100, fresh=fresh
                )
            )
        ]
        store.write_now(lambda tx: spool.release_owner(tx, owner="t", now=now))
    return {one.delivery.address for one in claimed}


def test_queue_lists_what_waits_by_domain(desk: Desk) -> None:
    desk.accept("anna@example.com", "bob@example.com", "carl@example.net")
    _, (deferred,) = desk.accept("dora@example.net")
    desk.answer(deferred, "451 4.3.0 busy", status=Status.DEFERRED, next_in=timedelta(hours=3))
    first, second = desk.run("queue", "show", "--json").lines()
    assert list(first) == KEYS
    assert {(one["domain"], one["waiting"]) for one in (first, second)} == {("example.com", 2), ("example.net", 2)}
    net = next(one for one in (first, second) if one["domain"] == "example.net")
    assert (net["code"], net["reply"], net["attempts"]) == (451, "busy", 1)
    assert desk.run("queue", "--json").out == desk.run("queue", "show", "--json").out
    assert "mx1.example.com: 451 4.3.0 busy" in desk.run("queue").out


def test_an_empty_queue_says_so(desk: Desk) -> None:
    got = desk.run("queue")
    assert (got.code, got.out) == (0, "Nothing waits to be sent.\n")


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ([], set()),
        (["--domain", "Example.COM"], {"bob@example.net"}),
        (["--app", "shop"], {"anna@example.com"}),
    ],
)
def test_pause_stops_and_resume_frees(desk: Desk, options: list[str], left: set[str]) -> None:
    desk.accept("anna@example.com")
    desk.accept("bob@example.net", app="shop")
    assert desk.run("queue", "pause", *options, "--note", "works").code == 0
    assert claimable(desk) == left
    assert ": works" in desk.run("queue").out
    assert "paused already" in desk.run("queue", "pause", *options).out
    assert desk.run("queue", "resume", *options).code == 0
    assert claimable(desk) == {"anna@example.com", "bob@example.net"}


def test_a_pause_of_a_site_holds_what_was_tried_there(desk: Desk) -> None:
    _, (tried,) = desk.accept("anna@example.com")
    desk.answer(tried, "451 4.3.0 busy", status=Status.DEFERRED, next_in=timedelta(hours=-1))
    desk.accept("bob@example.net")
    desk.run("queue", "pause", "--site", "mx1.example.com")
    assert claimable(desk) == {"bob@example.net"}


def test_a_pause_can_end_by_itself(desk: Desk) -> None:
    desk.accept("anna@example.com")
    assert desk.run("queue", "pause", "--for", "2h").code == 0
    assert " until " in desk.run("queue").out


def test_a_pause_is_on_one_thing(desk: Desk) -> None:
    assert desk.run("queue", "pause", "--domain", "a.example", "--app", "shop").code == 2


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["slow", "--rate", "60/1m"], "Slowed down to 60/1m: everything since"),
        (["slow", "MX1.example.com", "--rate", "5/s"], "Slowed down to 5/1s: site mx1.example.com since"),
        (["slow", "--app", "shop", "--rate", "10/1h"], "Slowed down to 10/1h: app shop since"),
        (["slow", "--rate", "3/1500ms"], "Slowed down to 3/1500ms: everything since"),
        (["reroute", "relay.example.org", "--domain", "Example.COM"], "Rerouted through relay.example.org:25: domain"),
        (["reroute", "192.0.2.9:2525", "--site", "mx1.example.com"], "Rerouted through 192.0.2.9:2525: site mx1."),
        (["reroute", "2001:db8::9", "--app", "shop"], "Rerouted through [2001:db8::9]:25: app shop since"),
        (["reroute", "[2001:db8::9]:587"], "Rerouted through [2001:db8::9]:587: everything since"),
    ],
)
def test_an_order_is_shown_with_who_and_why_and_ends_by_its_own_name(desk: Desk, given: list[str], line: str) -> None:
    got = desk.run("queue", *given, "--note", "their wish", "--until", "2h")
    assert got.code == 0, got.err
    (shown,) = [each for each in desk.run("queue").out.splitlines() if "their wish" in each]
    assert shown.startswith(line)
    assert " until " in shown
    assert " by " in shown
    the_same = [word for word in given if word != "--rate" and not re.match(r"\d+/", word)]
    without_host = [word for word in the_same if not (given[0] == "reroute" and word == given[1])]
    assert desk.run("queue", *without_host, "--end").code == 0
    assert "their wish" not in desk.run("queue").out
    assert desk.run("queue", *without_host, "--end").code == 1


def test_a_detour_makes_due_what_waits_for_it(desk: Desk) -> None:
    _, (com,) = desk.accept("anna@example.com")
    _, (net,) = desk.accept("bob@example.net")
    for delivery in (com, net):
        desk.answer(delivery, "451 4.3.0 busy", status=Status.DEFERRED, next_in=timedelta(hours=3))
    desk.run("queue", "reroute", "relay.example.org", "--domain", "example.com")
    assert claimable(desk) == {"anna@example.com"}


@pytest.mark.parametrize(
    "given",
    [
        ["slow"],
        ["slow", "--rate", "fast"],
        ["slow", "--rate", "60/1m", "--end"],
        ["slow", "mx.a", "--site", "mx.b", "--rate", "60/1m"],
        ["slow", "--domain", "a.example", "--app", "shop", "--rate", "60/1m"],
        ["reroute"],
        ["reroute", ":25"],
        ["reroute", "relay.example.org:port"],
        ["reroute", "relay.example.org", "--end"],
        ["reroute", "relay.example.org", "--until", "2001-01-01"],
    ],
)
def test_an_order_that_makes_no_sense_is_not_given(desk: Desk, given: list[str]) -> None:
    assert desk.run("queue", *given).code == 2
    assert desk.run("queue").out == "Nothing waits to be sent.\n"


def test_flush_makes_due_what_waits(desk: Desk) -> None:
    _, (delivery,) = desk.accept("anna@example.com")
    desk.answer(delivery, "451 4.3.0 busy", status=Status.DEFERRED, next_in=timedelta(hours=3))
    assert claimable(desk) == set()
    got = desk.run("queue", "flush", "--domain", "example.com", "--json").one()
    assert (got["done"], got["count"]) == (True, 1)
    assert claimable(desk) == {"anna@example.com"}


def test_hold_and_release(desk: Desk) -> None:
    _, (first,) = desk.accept("anna@example.com")
    desk.run("queue", "hold", "--domain", "example.com", "--note", "check first")
    _, (second,) = desk.accept("bob@example.com")
    assert current(desk, first).held == "check first"
    assert current(desk, second).held is None
    assert claimable(desk) == {"bob@example.com"}
    assert desk.run("queue", "release", "--app", "other", "--json").one()["count"] == 0
    assert desk.run("queue", "release", "--json").one()["count"] == 1
    assert claimable(desk) == {"anna@example.com", "bob@example.com"}


def test_mail_of_an_app_in_hold_mode_goes_only_when_the_app_is_named(desk: Desk) -> None:
    desk.accept("anna@example.com", held="hold: app is in hold mode")
    desk.accept("bob@example.com")
    desk.run("queue", "hold", "--note", "a bad night")
    for selection in ([], ["--domain", "example.com"]):
        got = desk.run("queue", "release", *selection)
        assert "1 of an app in hold mode stays held" in got.out, "a test system's mail must not reach real guests"
    assert claimable(desk) == {"bob@example.com"}
    assert desk.run("queue", "release", "--app", "hotel", "--json").one()["count"] == 1
    assert claimable(desk) == {"anna@example.com", "bob@example.com"}


def test_cancel_needs_a_selection_and_a_yes(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    _, (first,) = desk.accept("anna@example.com")
    _, (second,) = desk.accept("bob@example.net")
    assert desk.run("queue", "cancel").code == 2
    assert desk.process("queue", "cancel", "--domain", "example.com", given=b"n\n").returncode == 1
    assert current(desk, first).status is Status.QUEUED
    assert desk.run("queue", "cancel", "--domain", "example.com", "--yes").code == 0
    assert current(desk, first).status is Status.CANCELLED
    assert current(desk, second).status is Status.QUEUED
