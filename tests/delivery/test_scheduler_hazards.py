"""What could leave a delivery stuck, starve others, or take the process down: each was seen to happen once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from relay.delivery import claiming
from relay.delivery.contract import Host, HostResult, Route
from relay.delivery.hosts import DeadHosts
from relay.delivery.routing import MAX_WAITING
from relay.delivery.transaction import NO_RECIPIENT
from relay.errors import StoreBusy
from relay.model import Outcome, Reply, Stage, Suppression
from relay.status import Status
from relay.store import suppressions
from relay.store.engine import EngineStore
from relay.store.open import open_store
from tests.delivery.fake_sites import START, Clock, World, read_by_word, refusal, submission
from tests.delivery.running import Running, config, due_at, play, started

SILENCE = refusal(None, stage=Stage.CONNECT, text="network timed out")
OURS = refusal(550, stage=Stage.CONNECT, enhanced="5.4.4", text="network not connecting to 10.0.0.1")


def world(*domains: str) -> World:
    made = World(Clock())
    for domain in domains:
        made.serve(f"{domain}.example", f"mx.{domain}")
    return made


def waits_for_site(running: Running, address: str) -> bool:
    sql = "SELECT COUNT(*) FROM delivery WHERE waits_for_site = 1 AND lease_owner IS NULL AND address = :address"
    return running.count(sql, address=address) == 1


def test_a_pause_of_ours_is_not_taken_for_a_slow_site(tmp_path: Path) -> None:
    made = world("guest")
    gate = made.host("mx.guest").gate = asyncio.Event()
    count = claiming.BUDGET // 4 + 100

    async def scene(running: Running) -> None:
        await running.accept_all(submission([f"{number}@guest.example"], at=START) for number in range(count))
        await running.until(lambda: running.scheduler.in_memory == count)
        running.scheduler.store_failed()  # as a restart of the database does
        running.clock.advance(10)
        running.scheduler._pool.relieve(running.scheduler._sites)
        running.scheduler.store_works()
        running.scheduler._pool.relieve(running.scheduler._sites)
        gate.set()
        await running.until_ended()

    play(tmp_path, scene, world=made)


@pytest.mark.parametrize("attempts", [0, 1])
def test_many_mails_for_a_domain_whose_look_up_hangs_delay_no_other(tmp_path: Path, attempts: int) -> None:
    made = world("hung", "guest")
    gate = made.route_gates["hung.example"] = asyncio.Event()
    count = claiming.BUDGET // 2 + 100

    async def scene(running: Running) -> None:
        await running.accept_all(submission([f"{n}@hung.example"], attempts=attempts) for n in range(count))
        await running.until(lambda: running.scheduler.in_memory >= MAX_WAITING)
        await running.accept_all([submission(["1@guest.example"], attempts=attempts)])
        await running.until(lambda: "1@guest.example" in made.taken)
        assert running.scheduler.in_memory > 0  # some go on waiting for the answer
        gate.set()
        running.advance(60)
        await running.until(lambda: len(made.taken) == count + 1)

    play(tmp_path, scene, world=made)
    assert len(set(made.taken)) == count + 1
    assert made.lookups.count("hung.example") < 10


def test_a_domain_that_hangs_leaves_room_for_one_that_is_merely_slow(tmp_path: Path) -> None:
    made = world("hung", "slow")
    gates = {name: asyncio.Event() for name in ("hung", "slow")}
    made.route_gates.update({f"{name}.example": gate for name, gate in gates.items()})

    async def scene(running: Running) -> None:
        await running.accept_all(submission([f"{n}@hung.example"]) for n in range(MAX_WAITING + 50))
        await running.until(lambda: running.scheduler.in_memory == MAX_WAITING, what="the look-up is called slow")
        await running.accept("1@slow.example")
        await running.until(lambda: len(running.scheduler._routing._slow) == 2, what="so is the other")
        gates["slow"].set()
        await running.until(lambda: made.taken == ["1@slow.example"], what="no time has passed")
        gates["hung"].set()
        running.advance(60)
        await running.until_ended()

    play(tmp_path, scene, world=made)


def test_a_mail_put_back_while_its_site_begins_to_back_off_is_not_stuck(tmp_path: Path) -> None:
    made = world("guest")
    host = made.host("mx.guest")
    gate = host.gate = asyncio.Event()
    blocked = refusal(550, stage=Stage.RCPT, enhanced="5.7.1", text="reputation_block")
    host.replies = lambda e: {"blocked@guest.example": blocked}

    async def scene(running: Running) -> None:
        await running.accept("open@guest.example")
        await running.until(lambda: made.open_sessions == 1)
        await running.accept("blocked@guest.example")
        await running.until(lambda: made.open_sessions == 2)
        host.connect_gate = asyncio.Event()
        await running.accept("late@guest.example")
        await running.until(lambda: len(made.connects) == 3)
        gate.set()
        await running.until(lambda: running.count("SELECT COUNT(*) FROM site") == 1)
        host.connect = refusal(421, stage=Stage.CONNECT, text="rate_limited too many connections")
        host.connect_gate.set()
        await running.until(lambda: waits_for_site(running, "late@guest.example"), what="it waits for its site")
        await running.until_idle()

    play(tmp_path, scene, world=made, settings=config(delivery={"site": {"idle": "1h"}}))


def test_an_idle_connection_gives_way_to_a_site_that_already_waits(tmp_path: Path) -> None:
    made = world("one", "two")
    gate = made.host("mx.one").gate = asyncio.Event()

    async def scene(running: Running) -> None:
        await running.accept("1@one.example")
        await running.until(lambda: made.open_sessions == 1)
        await running.accept("1@two.example")
        await running.until(lambda: "two.example" in made.lookups)
        gate.set()
        await running.until_ended()

    settings = config(delivery={"max_connections": 1, "site": {"idle": "1h"}})
    assert play(tmp_path, scene, world=made, settings=settings).taken == ["1@one.example", "1@two.example"]


@pytest.mark.parametrize("is_nxdomain", [False, True])
def test_a_route_that_makes_our_own_code_fail_is_held_and_others_go_on(tmp_path: Path, is_nxdomain: bool) -> None:
    made = world("guest")
    no = Reply(stage=Stage.DNS, code=550, enhanced="5.1.2", text="poison")
    made.routes["poison.example"] = Route(site="", failure=no, is_nxdomain=is_nxdomain)

    def classify(reply: Reply, *, sender: str = "", recipient: str = "") -> Outcome:
        if reply.text == "poison":
            raise RecursionError("too deep")
        return read_by_word(reply)

    async def scene(running: Running) -> None:
        await running.accept("anna@poison.example", "1@guest.example")
        for number in range(2):
            await running.until_tried("anna@poison.example", times=number + 1)
            await running.advance_to_retry("anna@poison.example")
        await running.until(lambda: running.deliveries()["anna@poison.example"].held is not None)
        await running.accept("2@guest.example")
        await running.until(lambda: made.taken == ["1@guest.example", "2@guest.example"])

    play(tmp_path, scene, world=made, classify=classify)


def test_what_we_ourselves_refuse_to_connect_to_is_no_trouble_of_the_site(tmp_path: Path) -> None:
    made = world("loop")
    made.host("mx.loop").connect = OURS
    made.host("mx.loop").is_asked = False

    async def scene(running: Running) -> None:
        for number in range(3):
            await running.accept(f"{number}@loop.example")
            await running.until_ended()
        assert set(running.statuses().values()) == {Status.SOFT_BOUNCED}
        assert running.count("SELECT COUNT(*) FROM site") == 0

    play(tmp_path, scene, world=made)


def test_a_mail_sent_away_is_back_when_its_time_is_up(tmp_path: Path) -> None:
    made = world("dead")
    made.host("mx.dead").connect = SILENCE
    settings = config(delivery={"retry": ["1h"], "give_up_after": "40m"})

    async def scene(running: Running) -> None:
        await running.accept("1@dead.example")
        await running.until_tried("1@dead.example")
        await running.accept("2@dead.example")
        await running.until(lambda: waits_for_site(running, "2@dead.example"))
        assert due_at(running, "2@dead.example") == START + timedelta(minutes=40)
        await running.advance_to_retry("2@dead.example")
        await running.until_ended()

    play(tmp_path, scene, world=made, settings=settings)


def test_a_block_found_at_the_last_moment_is_logged_with_its_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = world("guest")
    gate = made.host("mx.guest").gate = asyncio.Event()
    block = Suppression(id=0, scope="address", value="anna@guest.example", reason="manual", since_at=START)

    async def scene(running: Running) -> None:
        await running.accept("first@guest.example")
        await running.until(lambda: made.open_sessions == 1)
        await running.accept("anna@guest.example")
        await running.until(lambda: len(made.lookups) == 2)
        await running.store.write(lambda tx: suppressions.block(tx, block))
        made.clock.advance(6)
        gate.set()
        await running.until(lambda: running.statuses()["anna@guest.example"] is Status.SUPPRESSED)
        await running.until_idle()

    with caplog.at_level(logging.INFO, "waybill.mail"):
        play(tmp_path, scene, world=made, settings=config(delivery={"site": {"connections": 1}}))
    assert [line for line in caplog.messages if line.startswith("suppressed ") and "reason=manual" in line]


def test_a_block_made_while_a_domain_is_looked_up_holds(tmp_path: Path) -> None:
    made = world("guest")
    gate = made.route_gates["guest.example"] = asyncio.Event()
    block = Suppression(id=0, scope="address", value="anna@guest.example", reason="manual", since_at=START)

    async def scene(running: Running) -> None:
        await running.accept("anna@guest.example")
        await running.until(lambda: len(made.lookups) == 1)
        await running.store.write(lambda tx: suppressions.block(tx, block))
        made.clock.advance(6)
        gate.set()
        await running.until_ended()
        assert running.statuses()["anna@guest.example"] is Status.SUPPRESSED

    assert play(tmp_path, scene, world=made).taken == []


def test_the_classifier_is_told_who_wrote_to_whom(tmp_path: Path) -> None:
    made = world("guest")
    told: list[tuple[str, str, str]] = []

    def classify(reply: Reply, *, sender: str = "", recipient: str = "") -> Outcome:
        told.append((reply.text, sender, recipient))
        return read_by_word(reply)

    made.host("mx.guest").replies = lambda e: {d.address: refusal(550, text="policy") for d in e.deliveries}
    gone = Reply(stage=Stage.DNS, code=None, enhanced="4.4.3", text="dns_failure")
    made.routes["gone.example"] = Route(site="", failure=gone)

    async def scene(running: Running) -> None:
        await running.accept("anna@guest.example", "desk@hotel.example@guest.example", "otto@gone.example")
        await running.until_tried("otto@gone.example")
        await running.until_tried("anna@guest.example")

    play(tmp_path, scene, world=made, classify=classify)
    assert ("policy", "desk@hotel.example", "anna@guest.example") in told
    assert ("dns_failure", "desk@hotel.example", "otto@gone.example") in told
    assert len([text for text, _, _ in told if text == "policy"]) == 1  # one answer to all is read once


class Unreadable:
    """A store that can be written, and read only when the test lets it."""

    def __init__(self, store: EngineStore) -> None:
        self._store = store
        self.is_failing = True

    async def read(self, unit: Callable[[Any], Any]) -> Any:
        if self.is_failing:
            raise StoreBusy("the disk does not answer")
        return await self._store.read(unit)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_a_store_that_cannot_be_read_makes_no_storm_of_connections(tmp_path: Path) -> None:
    made = world("guest")

    async def scene() -> None:
        with contextlib.closing(open_store(f"sqlite:{tmp_path / 'waybill.db'}", tmp_path)) as real:
            store = Unreadable(real)
            async with started(cast("EngineStore", store), made) as running:
                await running.accept("anna@guest.example")
                sql = "SELECT COUNT(*) FROM delivery WHERE lease_owner IS NULL AND next_at > created_at"
                await running.until(lambda: running.count(sql) == 1)
                running.scheduler.wake()
                store.is_failing = False
                running.advance(6)
                await running.until_ended()
                delivery = running.deliveries()["anna@guest.example"]
                assert (delivery.status, delivery.attempts) == (Status.DELIVERED, 1)

    asyncio.run(scene())
    assert len(made.connects) == 2


def failed(name: str, ip: str) -> HostResult:
    host = Host(name=name, ip=ip, port=25)
    replies = {NO_RECIPIENT: SILENCE}
    return HostResult(host=host, started_at=START, took=timedelta(0), replies=replies, is_host_failure=True)


def test_a_dead_host_is_tried_again_by_one_and_not_by_all_at_once() -> None:
    dead = DeadHosts(timedelta(seconds=60))
    first, second = failed("mx1.guest", "192.0.2.1"), failed("mx2.guest", "192.0.2.2")
    hosts = [first.host, second.host]
    dead.note(first, mono=0.0)
    assert dead.candidates(hosts, mono=59.0) == [second.host]
    assert dead.candidates(hosts, mono=61.0) == hosts
    dead.begin(first.host, mono=61.0)
    assert dead.candidates(hosts, mono=61.0) == [second.host]
    assert dead.candidates([first.host], mono=61.0) == [first.host]  # there is no other
    dead.begin(second.host, mono=61.0)
    assert dead.candidates(hosts, mono=61.0) == [second.host]  # it has done nothing wrong
    dead.forget(first.host)
    assert dead.candidates(hosts, mono=61.0) == hosts
