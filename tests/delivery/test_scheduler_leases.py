"""The scheduler and its leases: dead processes, blocks, cancels, poison, and stopping in order."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from pathlib import Path
from typing import Any

from relay.delivery.contract import Route
from relay.model import Delivery, Outcome, Reply, Stage, Suppression
from relay.status import Status
from relay.store import open_store, rows, spool, suppressions
from relay.store.engine import EngineStore
from tests.delivery.fake_sites import START, Clock, World, read_by_word, refusal, submission
from tests.delivery.running import Running, config, play


def world(*domains: str) -> World:
    made = World(Clock())
    for domain in domains or ("guest",):
        made.serve(f"{domain}.example", f"mx.{domain}")
    return made


def all_deliveries(store: EngineStore) -> list[Delivery]:
    return [rows.delivery(r) for r in store.read_now(lambda tx: tx.compose("SELECT * FROM delivery ORDER BY seq", {}))]


def leased_by_another(store: EngineStore) -> None:
    """A process claimed one delivery and died."""

    def unit(tx: Any) -> None:
        spool.accept(tx, submission(["anna@guest.example"]))
        claimed = spool.claim(tx, owner="node-0", now=START, lease=timedelta(seconds=60), limit=10, fresh=True)
        assert len(claimed) == 1

    store.write_now(unit)


def test_leases_of_a_dead_process_are_taken_over_at_the_start(tmp_path: Path) -> None:
    async def scene(running: Running) -> None:
        await running.until_ended()
        delivery = running.deliveries()["anna@guest.example"]
        assert (delivery.status, delivery.is_unknown) == (Status.DELIVERED, True)
        assert running.count("SELECT COUNT(*) FROM event WHERE kind = 'interrupted'") == 1

    play(tmp_path, scene, world=world(), before=leased_by_another)


def test_a_lease_of_a_living_process_is_left_alone_until_it_runs_out(tmp_path: Path) -> None:
    made = world()

    async def early(running: Running) -> None:
        await running.accept("berta@guest.example")
        await running.until(lambda: made.taken == ["berta@guest.example"])
        assert running.deliveries()["anna@guest.example"].lease_owner == "node-0"

    async def late(running: Running) -> None:
        await running.until_ended()

    play(tmp_path, early, world=made, before=leased_by_another, is_alone=False)
    made.clock.advance(61)
    play(tmp_path, late, world=made, is_alone=False)
    assert made.taken == ["berta@guest.example", "anna@guest.example"]


def block(address: str) -> Suppression:
    return Suppression(id=0, scope="address", value=address, reason="manual", since_at=START, source="manual")


def test_a_block_beats_new_mail_and_retries_already_queued(tmp_path: Path) -> None:
    made = world()
    made.host("mx.guest").replies = lambda e: {d.address: refusal(451, text="greylisted") for d in e.deliveries}

    async def scene(running: Running) -> None:
        await running.accept("anna@guest.example")
        await running.until_tried("anna@guest.example")
        await running.store.write(lambda tx: suppressions.block(tx, block("anna@guest.example")))
        await running.advance_to_retry("anna@guest.example")
        await running.until_ended()
        delivery = running.deliveries()["anna@guest.example"]
        assert (delivery.status, delivery.attempts) == (Status.SUPPRESSED, 1)
        assert delivery.reply is not None
        assert "manual" in delivery.reply

    play(tmp_path, scene, world=made)
    assert len(made.transactions) == 1


def test_a_block_made_while_a_mail_waits_in_memory_holds_too(tmp_path: Path) -> None:
    made = world()
    gate = made.host("mx.guest").gate = asyncio.Event()

    async def scene(running: Running) -> None:
        await running.accept("first@guest.example")
        await running.until(lambda: made.open_sessions == 1)
        await running.accept("anna@guest.example")
        await running.accept("stopped@guest.example")
        await running.until(lambda: running.scheduler.in_memory == 3)
        await running.store.write(lambda tx: suppressions.block(tx, block("anna@guest.example")))
        stopped = running.deliveries()["stopped@guest.example"]
        await running.store.write(
            lambda tx: spool.release(tx, owner="node-1", ids=[stopped.id], next_at=START + timedelta(days=9))
        )
        made.clock.advance(6)
        gate.set()
        await running.until(lambda: running.statuses()["anna@guest.example"] is Status.SUPPRESSED)
        await running.until_idle()

    play(tmp_path, scene, world=made, settings=config(delivery={"site": {"connections": 1}}))
    assert made.taken == ["first@guest.example"]


def test_the_thirteenth_error_blocks_and_the_next_mail_is_suppressed(tmp_path: Path) -> None:
    made = world()
    made.host("mx.guest").replies = lambda e: {d.address: refusal(550, text="policy") for d in e.deliveries}

    async def scene(running: Running) -> None:
        for number in range(14):
            given = await running.accept("anna@guest.example")
            await running.until_ended()
            found = {d.id: d.status for d in all_deliveries(running.store)}
            want = Status.SOFT_BOUNCED if number < 13 else Status.SUPPRESSED
            assert found[given.deliveries[0].id] is want

    play(tmp_path, scene, world=made)
    assert len(made.transactions) == 13


def test_a_poison_message_is_held_and_others_go_on(tmp_path: Path) -> None:
    made = world("guest", "poison")
    made.host("mx.poison").replies = lambda e: {d.address: refusal(550, text="poison") for d in e.deliveries}

    def classify(reply: Reply, *, sender: str = "", recipient: str = "") -> Outcome:
        if reply.text == "poison":
            raise RecursionError("too deep")
        return read_by_word(reply)

    async def scene(running: Running) -> None:
        await running.accept("anna@poison.example")
        for number in range(3):
            await running.until_tried("anna@poison.example", times=number + 1)
            await running.accept(f"{number}@guest.example")
            if number < 2:
                assert running.deliveries()["anna@poison.example"].held is None
                await running.advance_to_retry("anna@poison.example")
        await running.until_idle()
        delivery = running.deliveries()["anna@poison.example"]
        assert delivery.status is Status.DEFERRED
        assert delivery.held is not None
        assert "needs attention" in delivery.held
        row = running.attempts("anna@poison.example")[-1]
        assert (row["category"], row["rule"], row["blame"]) == ("system_error", "internal_error", "us")
        running.advance(86400)
        await running.accept("4@guest.example")
        await running.until(lambda: len(made.taken) == 4)

    play(tmp_path, scene, world=made, classify=classify)
    assert [host for host, _ in made.transactions].count("mx.poison") == 3


def test_a_message_whose_content_is_gone_is_held(tmp_path: Path) -> None:
    made = world()

    def before(store: EngineStore) -> None:
        store.write_now(lambda tx: spool.accept(tx, submission(["anna@guest.example"])))
        store.write_now(lambda tx: tx.compose("DELETE FROM content RETURNING id", {}))

    async def scene(running: Running) -> None:
        await running.until(lambda: running.deliveries()["anna@guest.example"].held is not None)
        delivery = running.deliveries()["anna@guest.example"]
        assert (delivery.status, delivery.attempts, delivery.lease_owner) == (Status.QUEUED, 0, None)
        await running.accept("berta@guest.example")
        await running.until(lambda: made.taken == ["berta@guest.example"])

    play(tmp_path, scene, world=made, before=before)


def test_a_clean_stop_waits_for_open_transactions_and_gives_back_the_rest(tmp_path: Path) -> None:
    made = world()
    gate = made.host("mx.guest").gate = asyncio.Event()

    async def scene(running: Running) -> None:
        await running.accept("open@guest.example")
        await running.until(lambda: made.open_sessions == 1)
        await running.accept("waiting@guest.example")
        await running.until(lambda: running.scheduler.in_memory == 2)
        asyncio.get_running_loop().call_later(0.1, gate.set)

    after: dict[str, Delivery] = {}

    async def whole(running: Running) -> None:
        await scene(running)
        await running.scheduler.stop(timedelta(seconds=5))
        after.update(running.deliveries())

    play(tmp_path, whole, world=made, settings=config(delivery={"site": {"connections": 1}}))
    assert after["open@guest.example"].status is Status.DELIVERED
    waiting = after["waiting@guest.example"]
    assert (waiting.status, waiting.lease_owner, waiting.attempts) == (Status.QUEUED, None, 0)
    assert waiting.is_unknown is False

    async def again(running: Running) -> None:
        await running.until_ended()

    play(tmp_path, again, world=made)
    assert made.taken == ["open@guest.example", "waiting@guest.example"]


def test_what_does_not_end_within_the_grace_is_cut_and_given_back(tmp_path: Path) -> None:
    made = world("guest", "slow", "dns")
    made.host("mx.guest").gate = asyncio.Event()
    made.host("mx.slow").connect_gate = asyncio.Event()
    made.route_gates["dns.example"] = asyncio.Event()

    async def scene(running: Running) -> None:
        await running.accept("talking@guest.example")
        await running.accept("connecting@slow.example")
        await running.accept("asking@dns.example")
        await running.until(lambda: made.open_sessions == 1 and "mx.slow" in made.connects)
        await running.until(lambda: "dns.example" in made.lookups)
        await running.scheduler.stop(timedelta(0))
        for delivery in running.deliveries().values():
            assert (delivery.status, delivery.lease_owner, delivery.attempts) == (Status.QUEUED, None, 0)
            assert delivery.is_unknown is False

    play(tmp_path, scene, world=made)
    assert made.taken == []


def test_nxdomain_is_believed_for_one_domain_and_doubted_for_many(tmp_path: Path) -> None:
    made = World(Clock())
    gone = Reply(stage=Stage.DNS, code=550, enhanced="5.1.2", text="invalid_domain no such domain")
    for number in range(10):
        made.routes[f"gone{number}.example"] = Route(site="", failure=gone, is_nxdomain=True)

    async def scene(running: Running) -> None:
        await running.accept("anna@gone0.example")
        await running.until_ended()
        assert running.statuses() == {"anna@gone0.example": Status.HARD_BOUNCED}
        await running.accept_all(submission([f"anna@gone{n}.example"]) for n in range(1, 10))
        await running.until(lambda: running.count("SELECT COUNT(*) FROM attempt") == 10)
        await running.until_idle()
        doubted = [d for d in running.deliveries().values() if d.category == "dns_failure"]
        assert len(doubted) == 9
        assert {d.status for d in doubted} == {Status.DEFERRED}
        assert running.count("SELECT COUNT(*) FROM suppression") == 1

    play(tmp_path, scene, world=made)


def test_nxdomain_is_doubted_for_a_domain_that_took_mail_lately(tmp_path: Path) -> None:
    made = world()
    gone = Reply(stage=Stage.DNS, code=550, enhanced="5.1.2", text="invalid_domain no such domain")

    async def scene(running: Running) -> None:
        await running.accept("anna@guest.example")
        await running.until_ended()
        made.routes["guest.example"] = Route(site="", failure=gone, is_nxdomain=True)
        running.advance(89 * 86400)
        await running.accept("berta@guest.example")
        delivery = await running.until_tried("berta@guest.example")
        assert (delivery.status, delivery.category) == (Status.DEFERRED, "dns_failure")
        running.advance(2 * 86400)
        await running.accept("carla@guest.example")
        await running.until_tried("carla@guest.example")
        assert running.deliveries()["carla@guest.example"].status is Status.HARD_BOUNCED

    play(tmp_path, scene, world=made)


def test_a_slow_answer_shows_as_sent_until_it_is_there(tmp_path: Path) -> None:
    made = world()
    slow = made.host("mx.guest")
    slow.gate, slow.is_slow = asyncio.Event(), True

    async def scene(running: Running) -> None:
        await running.accept("anna@guest.example")
        await running.until(lambda: running.statuses()["anna@guest.example"] is Status.SENT)
        assert running.scheduler.in_memory == 1
        assert slow.gate is not None
        slow.gate.set()
        await running.until(lambda: running.statuses()["anna@guest.example"] is Status.DELIVERED)
        slow.replies = lambda e: {d.address: refusal(451, text="rate_limited later") for d in e.deliveries}
        slow.gate = asyncio.Event()
        await running.accept("bert@guest.example")
        await running.until(lambda: running.statuses()["bert@guest.example"] is Status.SENT)
        slow.gate.set()
        tried = await running.until_tried("bert@guest.example")
        assert (tried.status, tried.next_at is not None) == (Status.DEFERRED, True)

    play(tmp_path, scene, world=made)


def test_a_smarthost_that_is_slow_has_not_taken_it_yet(tmp_path: Path) -> None:
    made = World(Clock())
    made.serve("guest.example", "smart.example", is_smarthost=True)
    slow = made.host("smart.example")
    slow.gate, slow.is_slow = asyncio.Event(), True

    async def scene(running: Running) -> None:
        await running.accept("anna@guest.example")
        await running.until(lambda: made.transactions != [])
        await running.accept("bert@guest.example")  # whose own commit comes after what the first would have said
        await running.until(lambda: len(made.transactions) == 2)
        assert set(running.statuses().values()) == {Status.QUEUED}
        assert slow.gate is not None
        slow.gate.set()
        await running.until_ended()

    play(tmp_path, scene, world=made)


def test_what_was_awaited_when_the_process_stopped_is_tried_again_and_told(tmp_path: Path) -> None:
    made = world()
    slow = made.host("mx.guest")
    slow.gate, slow.is_slow = asyncio.Event(), True

    async def waiting(running: Running) -> None:
        await running.accept("anna@guest.example")
        await running.until(lambda: running.statuses()["anna@guest.example"] is Status.SENT)

    def died(store: EngineStore) -> None:
        leased_by_another(store)
        (one,) = all_deliveries(store)
        store.write_now(lambda tx: spool.mark_sent(tx, owner="node-0", ids=[one.id]))

    async def again(running: Running) -> None:
        await running.until(lambda: running.statuses()["anna@guest.example"] is Status.DELIVERED)
        assert running.deliveries()["anna@guest.example"].is_unknown

    play(tmp_path / "stopped", waiting, world=made, grace=timedelta(0))
    with_store = open_store(f"sqlite:{tmp_path / 'stopped' / 'waybill.db'}", tmp_path / "stopped")
    with contextlib.closing(with_store) as store:
        assert {one.status for one in all_deliveries(store)} <= {Status.QUEUED, Status.DEFERRED}
    play(tmp_path / "died", again, world=world(), before=died)
