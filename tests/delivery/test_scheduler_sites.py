"""The scheduler and its sites: back-off, probes, limits, and sites that must not slow one another."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from relay.delivery import claiming
from relay.model import Stage
from relay.status import Status
from relay.store import spool
from tests.delivery.fake_sites import START, Clock, World, refusal, submission
from tests.delivery.running import Running, config, due_at, play

SILENCE = refusal(None, stage=Stage.CONNECT, text="network timed out")


def is_waiting(running: Running, address: str) -> bool:
    """Tell whether the delivery was given back to wait for its site."""
    sql = "SELECT COUNT(*) FROM delivery WHERE waits_for_site = 1 AND lease_owner IS NULL AND address = :address"
    return running.count(sql, address=address) == 1


def is_tried(running: Running, address: str) -> bool:
    """Tell whether an attempt at the delivery was recorded."""
    return running.deliveries()[address].attempts > 0


def world(*domains: str) -> World:
    made = World(Clock())
    for domain in domains or ("guest",):
        made.serve(f"{domain}.example", f"mx.{domain}")
    return made


def test_a_dead_site_costs_one_connection_however_many_mails_wait_for_it(tmp_path: Path) -> None:
    made = world("dead")
    made.host("mx.dead").connect = SILENCE

    async def scene(running: Running) -> None:
        await running.accept_all(submission([f"{n}@dead.example"]) for n in range(300))
        waiting = "SELECT COUNT(*) FROM delivery WHERE waits_for_site = 1 AND attempts = 0 AND lease_owner IS NULL"
        await running.until(lambda: running.count(waiting) == 299)
        await running.until_idle()
        assert running.count("SELECT COUNT(*) FROM attempt") == 1
        assert running.count("SELECT step FROM site") == 1

    play(tmp_path, scene, world=made)
    assert made.connects == ["mx.dead"]


def test_one_probe_goes_when_the_step_is_over_and_its_failure_is_the_next_step(tmp_path: Path) -> None:
    made = world("dead")
    made.host("mx.dead").connect = SILENCE

    async def scene(running: Running) -> None:
        await running.accept_all(submission([f"{n}@dead.example"]) for n in range(100))
        await running.until(lambda: running.count("SELECT COUNT(*) FROM attempt") == 1)
        await running.until_idle()
        running.advance(60.1)
        await running.until(lambda: running.count("SELECT COUNT(*) FROM site WHERE step = 2") == 1)
        await running.until_idle()
        assert made.connects == ["mx.dead"] * 2
        await running.accept("new@dead.example")
        await running.until(lambda: is_waiting(running, "new@dead.example"))
        wait = (due_at(running, "new@dead.example") - running.clock.now()).total_seconds()
        assert 0 < wait <= 300  # new mail never waits longer than the current step
        assert made.connects == ["mx.dead"] * 2

    play(tmp_path, scene, world=made)


def test_a_successful_probe_calls_back_all_that_waited(tmp_path: Path) -> None:
    made = world("dead")
    made.host("mx.dead").connect = SILENCE

    async def scene(running: Running) -> None:
        await running.accept_all(submission([f"{n}@dead.example"]) for n in range(120))
        await running.until(lambda: running.count("SELECT COUNT(*) FROM attempt") == 1)
        await running.until_idle()
        made.host("mx.dead").connect = None
        running.advance(60.1)
        await running.until_ended()
        assert running.count("SELECT COUNT(*) FROM site") == 0

    play(tmp_path, scene, world=made)
    assert len(made.taken) == 120
    assert made.most_sessions > 1


def test_a_back_off_outlives_the_process(tmp_path: Path) -> None:
    made = world("dead")
    made.host("mx.dead").connect = SILENCE

    async def first(running: Running) -> None:
        await running.accept("1@dead.example")
        await running.until_tried("1@dead.example")

    async def second(running: Running) -> None:
        await running.accept("2@dead.example")
        await running.until(lambda: due_at(running, "2@dead.example") > running.clock.now())
        assert made.connects == ["mx.dead"]

    play(tmp_path, first, world=made)
    play(tmp_path, second, world=made)


def test_a_removed_back_off_lets_all_that_waited_go(tmp_path: Path) -> None:
    made = world("dead")
    made.host("mx.dead").connect = SILENCE

    async def scene(running: Running) -> None:
        await running.accept_all(submission([f"{n}@dead.example"]) for n in range(10))
        await running.until(lambda: running.count("SELECT COUNT(*) FROM site") == 1)
        await running.until_idle()
        made.host("mx.dead").connect = None
        running.clock.advance(10)
        await running.store.write(lambda tx: tx.run("sites.delete", {"key": "mx.dead"}))
        await running.until(lambda: len(made.taken) == 9)  # all but the one that has had its own try

    play(tmp_path, scene, world=made)


def test_rate_limits_slow_the_site_and_greylisting_does_not(tmp_path: Path) -> None:
    made = world("limited", "grey", "full", "blocked")
    words = {
        "limited": refusal(421, enhanced="4.7.28", stage=Stage.MAIL, text="rate_limited"),
        "blocked": refusal(550, enhanced="5.7.1", text="reputation_block"),
        "grey": refusal(450, enhanced="4.2.0", text="greylisted"),
        "full": refusal(452, enhanced="4.2.2", text="mailbox_full"),
    }
    for name, reply in words.items():
        made.host(f"mx.{name}").replies = lambda e, reply=reply: {d.address: reply for d in e.deliveries}

    async def scene(running: Running) -> None:
        for name in words:
            for address in (f"{number}@{name}.example" for number in range(3)):
                await running.accept(address)
                await running.until(lambda to=address: is_tried(running, to) or is_waiting(running, to))  # type: ignore[misc]
        steps = running.store.read_now(lambda tx: tx.compose("SELECT key, step FROM site ORDER BY key", {}))
        assert [(row["key"], row["step"]) for row in steps] == [("mx.blocked", 1), ("mx.limited", 1)]

    play(tmp_path, scene, world=made)
    tried = [host for host, _ in made.transactions]
    assert {name: tried.count(f"mx.{name}") for name in words} == {"limited": 1, "blocked": 1, "grey": 3, "full": 3}


def test_a_site_that_wants_fewer_connections_gets_fewer_and_loses_no_attempt(tmp_path: Path) -> None:
    made = world("small")
    made.host("mx.small").max_sessions = 3

    async def scene(running: Running) -> None:
        await running.accept_all(submission([f"{n}@small.example"]) for n in range(60))
        await running.until_ended()
        assert running.count("SELECT COUNT(*) FROM attempt") == 60
        assert running.count("SELECT COUNT(*) FROM site") == 0

    play(tmp_path, scene, world=made)
    assert made.most_sessions == 3


def test_the_configured_number_of_connections_is_kept(tmp_path: Path) -> None:
    made = world("guest", "other")
    gate = made.host("mx.guest").gate = asyncio.Event()

    async def scene(running: Running) -> None:
        await running.accept_all(submission([f"{n}@guest.example"]) for n in range(10))
        await running.until(lambda: made.open_sessions == 2)
        await running.accept("1@other.example")
        await running.until(lambda: "1@other.example" in made.taken)
        assert made.most_sessions <= 3
        gate.set()
        await running.until_ended()

    play(tmp_path, scene, world=made, settings=config(site=[{"match": "mx.guest", "connections": 2}]))
    assert made.connects.count("mx.guest") == 2


def test_a_rate_holds_back_what_is_too_much(tmp_path: Path) -> None:
    made = world("guest")

    async def scene(running: Running) -> None:
        await running.accept_all(submission([f"{n}@guest.example"]) for n in range(5))
        await running.until(lambda: len(made.taken) == 2)
        await running.accept("6@guest.example")
        await running.until(lambda: running.scheduler.in_memory == 4)
        assert len(made.taken) == 2

    play(tmp_path, scene, world=made, settings=config(delivery={"site": {"rate": "2/1h"}}))
    assert len(made.taken) == 2


def test_a_hung_domain_does_not_delay_others(tmp_path: Path) -> None:
    made = world("hung", "guest")
    gate = made.route_gates["hung.example"] = asyncio.Event()

    async def scene(running: Running) -> None:
        await running.accept("1@hung.example", "1@guest.example")
        await running.accept("2@guest.example")
        await running.until(lambda: sorted(made.taken) == ["1@guest.example", "2@guest.example"])
        assert running.statuses()["1@hung.example"] is Status.QUEUED
        gate.set()
        await running.until_ended()

    play(tmp_path, scene, world=made)
    assert made.lookups.count("hung.example") == 1


def test_a_hung_site_never_fills_the_memory(tmp_path: Path) -> None:
    made = world("hung", "guest")
    gate = made.host("mx.hung").gate = asyncio.Event()

    async def scene(running: Running) -> None:
        await running.accept_all(submission([f"{n}@hung.example"]) for n in range(claiming.BUDGET))
        await running.until(lambda: running.scheduler.in_memory == claiming.BUDGET // 2)
        running.advance(3.0)  # now it has shown that it is slow
        await running.accept("1@guest.example")
        await running.until(lambda: "1@guest.example" in made.taken)
        room = claiming.BUDGET // 4 + 200
        await running.until(lambda: running.scheduler.in_memory <= room, what="the hung site's mail left memory")
        gate.set()

    play(tmp_path, scene, world=made)


def test_new_mail_is_not_starved_by_a_backlog_of_retries(tmp_path: Path) -> None:
    made = world("hung", "guest")
    made.host("mx.hung").gate = asyncio.Event()
    old = [submission([f"{n}@hung.example"], attempts=1) for n in range(claiming.BUDGET + 500)]
    settings = config(delivery={"max_connections": 4, "site": {"connections": 50}})

    async def scene(running: Running) -> None:
        await running.accept_all(old)
        await running.until(lambda: made.open_sessions == 2)
        assert running.scheduler.in_memory <= claiming.BUDGET // 2
        await running.accept("1@guest.example")
        await running.until(lambda: made.taken == ["1@guest.example"])
        assert made.most_sessions <= 4

    play(tmp_path, scene, world=made, settings=settings)


@pytest.mark.parametrize(("attempts", "most"), [(0, 10), (1, 5)])
def test_mail_for_a_site_that_answers_does_not_wait_for_those_that_hang(
    tmp_path: Path, attempts: int, most: int
) -> None:
    hung = [f"hung{number}" for number in range(40)]
    made = world(*hung, "guest")
    gate = asyncio.Event()
    for name in hung:
        made.host(f"mx.{name}").connect_gate = gate
    settings = config(delivery={"max_connections": 20})

    async def scene(running: Running) -> None:
        await running.accept("0@guest.example")
        await running.until_ended()
        waiting = [submission([f"{n}@{name}.example"], attempts=attempts) for n in range(15) for name in hung]
        await running.accept_all(waiting)
        await running.until(lambda: len(made.connects) >= 1 + most)
        await running.accept_all(submission([f"{n}@guest.example"], attempts=attempts) for n in range(1, 31))
        await running.until(lambda: len(made.taken) == 31)
        assert len([name for name in made.connects if name != "mx.guest"]) == most  # and these still hang
        gate.set()
        await running.until_ended()

    play(tmp_path, scene, world=made, settings=settings)


def test_what_left_memory_for_want_of_an_answer_is_called_back_by_one(tmp_path: Path) -> None:
    made = world("late")
    gate = made.host("mx.late").connect_gate = asyncio.Event()
    count = claiming.BUDGET // 4

    async def scene(running: Running) -> None:
        await running.accept_all(submission([f"{n}@late.example"], attempts=1) for n in range(count))
        waiting = "SELECT COUNT(*) FROM delivery WHERE waits_for_site = 1 AND lease_owner IS NULL"
        await running.until(lambda: running.count(waiting) > count // 2, what="memory is for others")
        gate.set()
        await running.until(lambda: len(made.taken) == count, what="all are taken, without any time passing")

    play(tmp_path, scene, world=made)
    assert len(set(made.taken)) == count


def test_first_tries_and_retries_of_one_site_take_turns(tmp_path: Path) -> None:
    made = world("guest")
    gate = made.host("mx.guest").gate = asyncio.Event()
    settings = config(delivery={"site": {"connections": 1}})

    async def scene(running: Running) -> None:
        await running.accept("0@guest.example")
        await running.until(lambda: made.open_sessions == 1)
        await running.accept_all(submission([f"old{n}@guest.example"], attempts=1) for n in range(3))
        await running.accept_all(submission([f"new{n}@guest.example"]) for n in range(3))
        await running.until(lambda: running.scheduler.in_memory == 7)
        gate.set()
        await running.until_ended()

    play(tmp_path, scene, world=made, settings=settings)
    kinds = [address[:3] for address in made.taken[1:]]
    assert kinds == ["old", "new", "old", "new", "old", "new"]


def test_sites_take_turns_when_all_connections_are_used(tmp_path: Path) -> None:
    made = world("busy", "guest")
    settings = config(delivery={"max_connections": 2, "site": {"connections": 2}})

    async def scene(running: Running) -> None:
        gate = made.host("mx.busy").gate = asyncio.Event()
        await running.accept_all(submission([f"{n}@busy.example"]) for n in range(50))
        await running.until(lambda: made.open_sessions == 2)
        await running.accept("1@guest.example")
        await running.until(lambda: "guest.example" in made.lookups)
        gate.set()
        await running.until_ended()

    play(tmp_path, scene, world=made, settings=settings)
    assert made.taken.index("1@guest.example") < 10
    assert made.most_sessions <= 2


def test_mail_for_a_backing_off_site_ends_when_its_time_is_up(tmp_path: Path) -> None:
    made = world("dead")
    made.host("mx.dead").connect = SILENCE
    settings = config(delivery={"give_up_after": "50s"})

    async def scene(running: Running) -> None:
        await running.accept("1@dead.example")
        await running.until_tried("1@dead.example")
        await running.accept("2@dead.example")
        await running.until(lambda: is_waiting(running, "2@dead.example"))
        running.clock.advance(51)
        running.store.write_now(lambda tx: spool.wake_site(tx, domains=["dead.example"], now=START))
        running.scheduler.wake()
        await running.until(lambda: running.statuses()["2@dead.example"] is Status.SOFT_BOUNCED)
        delivery = running.deliveries()["2@dead.example"]
        assert (delivery.category, delivery.attempts) == ("network", 0)

    play(tmp_path, scene, world=made, settings=settings)
