"""A delivery process whose machine's clock is wrong, beside others on one PostgreSQL: it goes by the store's time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.postgres_server import PostgresServer
from relay.delivery.scheduler import LEASE, Scheduler
from relay.status import Status
from relay.store import nodes, spool
from relay.store.engine import EngineStore
from relay.store.nodes import Member
from relay.store.open import open_store
from tests.delivery.fake_sites import Clock, World, read_by_word, submission
from tests.delivery.running import Running, config

OFF = timedelta(seconds=90)  #: more than a lease
ME = Member(owner="one/1", node="one", role="delivery", version="1")
OTHER = Member(owner="two/1", node="two", role="delivery", version="1")


def utc_now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def store(postgres: PostgresServer) -> Iterator[EngineStore]:
    with postgres.schema("clocks") as url, contextlib.closing(open_store(url, Path())) as opened:
        yield opened


def play(store: EngineStore, scene: Callable[[Running], Awaitable[None]], *, world: World, off: timedelta) -> None:
    """Run one scene on a scheduler whose machine's clock is off."""

    async def run() -> None:
        scheduler = Scheduler(
            store,
            world,
            connector=world,
            classify=read_by_word,
            config=config(),
            clock=lambda: utc_now() + off,
            random=lambda: 0.5,
            owner=ME.owner,
            member=ME,
            settle_seconds=0.0,
        )
        task = asyncio.create_task(scheduler.run())
        try:
            await scheduler.wait_started()
            await scene(Running(store, world, scheduler))
        finally:
            await scheduler.stop(timedelta(seconds=2))
            await task

    asyncio.run(run())


@pytest.mark.parametrize("off", [OFF, -OFF], ids=["ahead", "behind"])
def test_leases_are_taken_by_the_stores_time(store: EngineStore, off: timedelta) -> None:
    world = World(Clock())
    world.serve("guest.example", "mx.guest")

    async def scene(running: Running) -> None:
        gate = world.host("mx.guest").gate = asyncio.Event()
        await running.accept("anna@guest.example", at=utc_now())
        await running.until(lambda: world.open_sessions == 1)
        until_at = running.deliveries()["anna@guest.example"].next_at
        assert until_at is not None
        assert timedelta(0) < until_at - utc_now() <= LEASE + timedelta(seconds=5)
        gate.set()
        await running.until_ended()

    play(store, scene, world=world, off=off)


def test_a_clock_ahead_takes_nothing_from_others(store: EngineStore) -> None:
    world = World(Clock())
    world.serve("guest.example", "mx.guest")

    def other(tx: object) -> None:
        spool.accept(tx, submission(["anna@guest.example"], at=utc_now()))  # type: ignore[arg-type]
        nodes.beat(tx, OTHER, now=utc_now())  # type: ignore[arg-type]
        spool.claim(tx, owner=OTHER.owner, now=utc_now(), lease=LEASE, limit=10, fresh=True)  # type: ignore[arg-type]

    store.write_now(other)

    async def scene(running: Running) -> None:
        store.write_now(lambda tx: nodes.leave(tx, OTHER.owner))  # so that this one need not wait to join
        await running.scheduler._keep_leases()
        anna = running.deliveries()["anna@guest.example"]
        assert (anna.lease_owner, anna.is_unknown, anna.status) == (OTHER.owner, False, Status.QUEUED)

    play(store, scene, world=world, off=OFF)
