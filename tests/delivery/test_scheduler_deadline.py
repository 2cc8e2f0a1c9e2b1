"""Deadlines: nothing of a mail is begun after its time, whatever kept it until then; before that it is tried more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from relay.deadline import RULE
from relay.delivery.contract import Envelope
from relay.model import Blame, Category, Delivery, Reply, Stage, Submission
from relay.status import Status
from relay.store import pauses, queue, spool
from relay.store.engine import EngineStore
from relay.store.open import open_store
from relay.store.protocols import Tx
from tests.delivery.fake_sites import START, Clock, World, refusal, submission
from tests.delivery.running import Running, config, due_at, play, started

ANNA = "anna@guest.example"
HOUR = timedelta(hours=1)


def mail(*addresses: str, expires_at: datetime, at: datetime = START, attempts: int = 0) -> Submission:
    made = submission(addresses or [ANNA], at=at, attempts=attempts)
    return replace(made, message=replace(made.message, expires_at=expires_at))


def world_of(*domains: str) -> World:
    world = World(Clock())
    for domain in domains or ("guest.example",):
        world.serve(domain, f"mx.{domain}")
    return world


def busy(envelope: Envelope) -> dict[str, Reply]:
    said = refusal(450, enhanced="4.2.0", text="greylisted come back")
    return {delivery.address: said for delivery in envelope.deliveries}


def is_waiting(running: Running, address: str) -> bool:
    """Tell whether the delivery was given back to wait for its site."""
    sql = "SELECT COUNT(*) FROM delivery WHERE waits_for_site = 1 AND lease_owner IS NULL AND address = :address"
    return running.count(sql, address=address) == 1


def is_missed(delivery: Delivery) -> bool:
    return (delivery.status, delivery.category, delivery.rule) == (Status.SOFT_BOUNCED, Category.EXPIRED, RULE)


def test_a_mail_with_a_deadline_is_delivered_like_any_other(tmp_path: Path) -> None:
    async def scene(running: Running) -> None:
        await running.accept_all([mail(expires_at=START + HOUR)])
        await running.until_ended()
        assert running.statuses() == {ANNA: Status.DELIVERED}

    play(tmp_path, scene, world=world_of())


def test_tries_come_closer_and_the_last_answer_stays_beside_the_end(tmp_path: Path) -> None:
    world = world_of()
    world.host("mx.guest.example").replies = busy

    async def scene(running: Running) -> None:
        end = START + timedelta(minutes=10)
        await running.accept_all([mail(expires_at=end)])
        tries = 1
        while not is_missed(await running.until_tried(ANNA, times=tries)):
            assert running.clock.now() < due_at(running, ANNA) < end
            await running.advance_to_retry(ANNA)
            tries += 1
        ended = running.deliveries()[ANNA]
        assert tries >= 7  # after 1, 5 and 15 minutes it would have been two before the deadline
        assert (ended.code, ended.enhanced, ended.reply) == (450, "4.2.0", "greylisted come back")
        assert ended.blame is Blame.THEIR_SERVER
        assert ended.ended_at is not None
        assert ended.ended_at < end
        assert {row["category"] for row in running.attempts(ANNA)} == {"greylisted"}

    play(tmp_path, scene, world=world)


@pytest.mark.parametrize("attempts", [0, 3], ids=["new", "retry"])
@pytest.mark.parametrize("is_alone", [True, False], ids=["one process", "several"])
def test_what_is_claimed_after_its_deadline_is_not_begun(tmp_path: Path, attempts: int, is_alone: bool) -> None:
    """The relay stood still from before the deadline until after it."""
    world = world_of()
    world.clock.advance(3601)

    def before(store: EngineStore) -> None:
        late = mail(expires_at=START + HOUR, attempts=attempts)
        store.write_now(lambda tx: spool.accept(tx, late))

    async def scene(running: Running) -> None:
        await running.until_ended()
        ended = running.deliveries()[ANNA]
        assert is_missed(ended)
        assert ended.attempts == attempts
        assert ended.blame is Blame.US
        assert ended.reply == "it was only wanted until 2026-03-01 13:00 UTC"
        assert ended.ended_at == running.clock.now()

    play(tmp_path, scene, world=world, before=before, is_alone=is_alone)
    assert (world.connects, world.lookups) == ([], [])


def test_at_the_very_time_it_is_too_late_and_just_before_it_is_not(tmp_path: Path) -> None:
    world = world_of()

    async def scene(running: Running) -> None:
        now = running.clock.now()
        await running.accept_all(
            [mail(expires_at=now), mail("ben@guest.example", expires_at=now + timedelta(seconds=1))]
        )
        await running.until_ended()
        assert is_missed(running.deliveries()[ANNA])
        assert running.statuses()["ben@guest.example"] is Status.DELIVERED

    play(tmp_path, scene, world=world)
    assert world.taken == ["ben@guest.example"]


Keep = Callable[[Running], None]


def hold(running: Running) -> None:
    chosen = queue.Selection(domain="guest.example")
    running.store.write_now(lambda tx: queue.hold(tx, chosen, reason="", now=running.clock.now(), by="Sari"))


def release(running: Running) -> None:
    chosen = queue.Selection(domain="guest.example")
    running.store.write_now(lambda tx: queue.release(tx, chosen, now=running.clock.now(), by="Sari"))


def pause(running: Running) -> None:
    now = running.clock.now()
    running.store.write_now(
        lambda tx: pauses.pause(tx, scope="domain", value="guest.example", reason="", by="Sari", now=now)
    )


def resume(running: Running) -> None:
    now = running.clock.now()
    running.store.write_now(lambda tx: pauses.resume(tx, scope="domain", value="guest.example", now=now))


@pytest.mark.parametrize(("keep", "let_go"), [(hold, release), (pause, resume)], ids=["hold", "pause"])
def test_what_was_held_or_paused_past_its_deadline_ends_when_it_is_let_go(
    tmp_path: Path, keep: Keep, let_go: Keep
) -> None:
    world = world_of()
    world.host("mx.guest.example").replies = busy

    async def scene(running: Running) -> None:
        await running.accept_all([mail(expires_at=START + HOUR)])
        await running.until_tried(ANNA)
        await running.until_idle()
        keep(running)
        world.host("mx.guest.example").replies = None
        running.advance(2 * 3600)
        let_go(running)
        running.scheduler.wake()
        await running.until_ended()
        assert is_missed(running.deliveries()[ANNA])
        assert running.deliveries()[ANNA].blame is Blame.THEIR_SERVER

    play(tmp_path, scene, world=world)
    assert world.taken == []


def test_a_resend_made_in_time_is_not_begun_after_it(tmp_path: Path) -> None:
    world = world_of()
    world.host("mx.guest.example").replies = busy

    async def scene(running: Running) -> None:
        given = mail(expires_at=START + timedelta(minutes=2))
        await running.accept_all([given])
        await running.until_tried(ANNA)
        await running.until_idle()
        original = running.deliveries()[ANNA]
        copy = replace(
            given.deliveries[0],
            id=type(original.id)("RESEND"),
            address="anna@other.example",
            domain="other.example",
            resend_of=original.id,
            created_at=running.clock.now(),
            next_at=running.clock.now() + timedelta(minutes=3),
        )
        await running.store.write(lambda tx: spool.add_delivery(tx, copy))
        running.advance(181)
        await running.until_ended()
        assert is_missed(running.deliveries()["anna@other.example"])

    world.serve("other.example", "mx.other.example")
    play(tmp_path, scene, world=world)
    assert "mx.other.example" not in world.connects


def test_what_waits_in_memory_for_a_slow_site_is_looked_at_again_before_it_is_begun(tmp_path: Path) -> None:
    world = world_of()
    gate = asyncio.Event()
    host = world.host("mx.guest.example")
    host.gate = gate

    async def scene(running: Running) -> None:
        await running.accept_all([mail("first@guest.example", expires_at=START + 2 * HOUR)])
        await running.until(lambda: len(world.transactions) == 1, what="the first is on the wire")
        await running.accept_all([mail(expires_at=START + HOUR)])
        await running.until(lambda: running.scheduler.in_memory == 2, what="the second waits")
        running.clock.advance(3601)
        gate.set()
        await running.until_ended()
        assert running.statuses()["first@guest.example"] is Status.DELIVERED  # it was begun in time
        assert is_missed(running.deliveries()[ANNA])

    limits = {"delivery": {"site": {"connections": 1}}}
    play(tmp_path, scene, world=world, settings=config(**limits))
    assert world.taken == ["first@guest.example"]


def test_a_connection_that_took_too_long_is_not_used_for_it(tmp_path: Path) -> None:
    world = world_of()
    gate = asyncio.Event()
    world.host("mx.guest.example").connect_gate = gate

    async def scene(running: Running) -> None:
        await running.accept_all([mail(expires_at=START + HOUR)])
        await running.until(lambda: world.connects == ["mx.guest.example"], what="it connects")
        running.clock.advance(3601)
        gate.set()
        await running.until_ended()
        assert is_missed(running.deliveries()[ANNA])
        await running.until(lambda: world.open_sessions == 0, what="the connection is closed")

    play(tmp_path, scene, world=world)
    assert world.transactions == []


def test_the_hosts_that_failed_before_the_time_was_over_stay_on_record(tmp_path: Path) -> None:
    world = World(Clock())
    world.serve("guest.example", "mx1", "mx2")
    gate = asyncio.Event()
    world.host("mx1").connect = refusal(None, stage=Stage.CONNECT, text="network connection refused")
    world.host("mx2").connect_gate = gate

    async def scene(running: Running) -> None:
        await running.accept_all([mail(expires_at=START + HOUR)])
        await running.until(lambda: world.connects == ["mx1", "mx2"], what="the second host is asked")
        running.clock.advance(3601)
        gate.set()
        await running.until_ended()
        ended = running.deliveries()[ANNA]
        assert is_missed(ended)
        assert ended.reply == "network connection refused"
        assert [row["mx"] for row in running.attempts(ANNA)] == ["mx1"]

    play(tmp_path, scene, world=world)
    assert world.transactions == []


def test_a_dead_site_is_probed_sooner_while_mail_with_a_deadline_waits(tmp_path: Path) -> None:
    """The fifth step of back-off would be 4 hours; the appointment is in two."""
    world = world_of()
    host = world.host("mx.guest.example")
    host.connect = refusal(None, stage=Stage.CONNECT, text="network connection refused")

    async def scene(running: Running) -> None:
        await running.accept("ben@guest.example")
        for tries in range(1, 6):
            await running.until_tried("ben@guest.example", times=tries)
            if tries < 5:
                await running.advance_to_retry("ben@guest.example")
        await running.until_idle()
        assert due_at(running, "ben@guest.example") - running.clock.now() == timedelta(hours=4)
        end = running.clock.now() + timedelta(hours=2)
        await running.accept_all([mail(expires_at=end, at=running.clock.now())])
        await running.until(lambda: is_waiting(running, ANNA), what="it was sent away")
        await running.until_idle()
        assert due_at(running, ANNA) - running.clock.now() == timedelta(minutes=40)
        host.connect = None
        await running.advance_to_retry(ANNA)
        await running.until(lambda: running.statuses()[ANNA] is Status.DELIVERED, what="it arrived in time")

    ladder = ["1m", "5m", "15m", "1h", "4h"]
    play(tmp_path, scene, world=world, settings=config(delivery={"retry": ladder}))


def test_a_site_that_stays_dead_ends_it_with_the_sites_reason(tmp_path: Path) -> None:
    world = world_of()
    world.host("mx.guest.example").connect = refusal(None, stage=Stage.CONNECT, text="network connection refused")

    async def scene(running: Running) -> None:
        end = START + timedelta(minutes=30)
        await running.accept("ben@guest.example")
        await running.until_tried("ben@guest.example")
        await running.until_idle()
        await running.accept_all([mail(expires_at=end)])
        while not is_missed(running.deliveries()[ANNA]):
            await running.until_idle()
            if is_missed(running.deliveries()[ANNA]):
                break
            due = due_at(running, ANNA)
            assert due <= end
            running.advance((due - running.clock.now()).total_seconds() + 0.001)
            await running.until(
                lambda due=due: is_missed(running.deliveries()[ANNA]) or due_at(running, ANNA) != due,  # type: ignore[misc]
                what="it was looked at",
            )
        ended = running.deliveries()[ANNA]
        assert ended.blame is Blame.THEIR_SERVER
        assert ended.ended_at is not None
        assert ended.ended_at <= end + timedelta(seconds=1)

    play(tmp_path, scene, world=world)
    assert len(world.connects) < 30


def test_a_blocked_address_is_told_as_blocked_also_after_the_deadline(tmp_path: Path) -> None:
    from relay.model import Suppression
    from relay.store import suppressions

    world = world_of()
    world.clock.advance(3601)

    def before(store: EngineStore) -> None:
        block = Suppression(id=0, scope="address", value=ANNA, reason="manual", since_at=START)
        store.write_now(lambda tx: suppressions.block(tx, block))
        store.write_now(lambda tx: spool.accept(tx, mail(expires_at=START + HOUR)))

    async def scene(running: Running) -> None:
        await running.until_ended()
        assert running.statuses() == {ANNA: Status.SUPPRESSED}

    play(tmp_path, scene, world=world, before=before)


def test_with_several_processes_each_late_mail_ends_once_and_none_is_begun(tmp_path: Path, store_url: str) -> None:
    first, second = world_of(), world_of()
    for world in (first, second):
        world.clock.advance(3601)
    late = [mail(f"late{number}@guest.example", expires_at=START + HOUR, attempts=number % 2) for number in range(40)]
    good = [mail(f"good{number}@guest.example", expires_at=START + 2 * HOUR) for number in range(40)]

    async def run() -> None:
        with open_store(store_url, tmp_path) as one, open_store(store_url, tmp_path) as other:

            def unit(tx: Tx) -> None:
                for made in [*late, *good]:
                    spool.accept(tx, made)

            one.write_now(unit)
            async with (
                started(one, first, owner="node-1", is_alone=False) as running,
                started(other, second, owner="node-2", is_alone=False),
            ):
                await running.until_ended()
                found = running.deliveries()
                assert all(is_missed(found[made.deliveries[0].address]) for made in late)
                assert all(found[made.deliveries[0].address].status is Status.DELIVERED for made in good)
                assert {found[made.deliveries[0].address].attempts for made in late} == {0, 1}

    asyncio.run(run())
    assert sorted(first.taken + second.taken) == sorted(made.deliveries[0].address for made in good)


def test_a_mail_whose_failure_sent_its_site_away_probes_it_in_time_itself(tmp_path: Path) -> None:
    world = world_of()
    host = world.host("mx.guest.example")
    host.connect = refusal(None, stage=Stage.CONNECT, text="network connection refused")

    async def scene(running: Running) -> None:
        await running.accept_all([mail(expires_at=START + timedelta(minutes=90))])
        await running.until_tried(ANNA)
        await running.until_idle()
        assert due_at(running, ANNA) == START + timedelta(minutes=30)
        host.connect = None
        await running.advance_to_retry(ANNA)
        await running.until_ended()
        assert running.statuses() == {ANNA: Status.DELIVERED}

    play(tmp_path, scene, world=world, settings=config(delivery={"retry": ["2h"]}))
