"""A scheduler on a real store and a fake world, for the length of one test."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from relay.delivery.fate import Classify
from relay.delivery.scheduler import Scheduler
from relay.delivery.steering import Detours, Steering
from relay.model import Delivery, Submission
from relay.settings import Config
from relay.status import OPEN, Status
from relay.store import rows, spool
from relay.store.engine import EngineStore
from relay.store.open import open_store
from relay.store.protocols import Row
from tests.delivery.fake_sites import Clock, World, read_by_word, submission

LADDER = ["1m", "5m", "15m"]


def config(**sections: Any) -> Config:
    delivery = {"retry": LADDER, "give_up_after": "1d", **sections.pop("delivery", {})}
    return Config.model_validate({"delivery": delivery, **sections})


class Running:
    """What a test does to a running scheduler, and sees of it."""

    def __init__(self, store: EngineStore, world: World, scheduler: Scheduler) -> None:
        self.store = store
        self.world = world
        self.clock = world.clock
        self.scheduler = scheduler

    async def accept(self, *addresses: str, **more: Any) -> Submission:
        """Accept one message and nudge."""
        given = submission(addresses, **{"at": self.clock.now(), **more})
        await self.accept_all([given])
        return given

    async def accept_all(self, given: Iterable[Submission]) -> None:
        def unit(tx: Any) -> None:
            for each in given:
                spool.accept(tx, each)

        await self.store.write(unit)
        self.scheduler.wake()

    def deliveries(self) -> dict[str, Delivery]:
        """All deliveries by address, in the order of acceptance."""
        found = self.store.read_now(lambda tx: tx.compose("SELECT * FROM delivery ORDER BY seq", {}))
        return {row["address"]: rows.delivery(row) for row in found}

    def statuses(self) -> dict[str, Status]:
        return {address: delivery.status for address, delivery in self.deliveries().items()}

    def attempts(self, address: str) -> list[Row]:
        """The attempt rows of one address, oldest first."""
        sql = "SELECT a.* FROM attempt a JOIN delivery d ON d.id = a.delivery_id WHERE d.address = :to ORDER BY a.seq"
        return self.store.read_now(lambda tx: list(tx.compose(sql, {"to": address})))

    def count(self, sql: str, **values: str) -> int:
        found = self.store.read_now(lambda tx: tx.compose(sql, values))
        return int(next(iter(found[0].values())))

    async def until(self, condition: Callable[[], bool], *, what: str = "") -> None:
        """Wait until it holds; the limit only ends a test that has failed."""
        try:
            async with asyncio.timeout(15):
                while not condition():  # noqa: ASYNC110 - the store tells nobody
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"never happened: {what or condition}; {self.statuses()}") from None

    async def until_ended(self) -> None:
        """Wait until no delivery is open."""
        await self.until(lambda: not any(s in OPEN for s in self.statuses().values()), what="all deliveries ended")

    async def until_tried(self, address: str, *, times: int = 1) -> Delivery:
        """Wait until the delivery was tried so often and its result recorded."""
        await self.until(lambda: self.deliveries()[address].attempts >= times, what=f"{times} tries of {address}")
        return self.deliveries()[address]

    async def until_idle(self) -> None:
        """Wait until the scheduler holds nothing in memory."""
        await self.until(lambda: self.scheduler.in_memory == 0, what="nothing in memory")

    def advance(self, seconds: float) -> None:
        """Let time pass and let the scheduler see it."""
        self.clock.advance(seconds)
        self.scheduler.wake()

    async def advance_to_retry(self, address: str) -> None:
        """Let time pass until the delivery is due."""
        await self.until_idle()
        due = self.deliveries()[address].next_at
        assert due is not None
        self.advance(max(0.0, (due - self.clock.now()).total_seconds()) + 0.001)


def play(
    tmp_path: Path,
    scene: Callable[[Running], Awaitable[None]],
    *,
    world: World | None = None,
    settings: Config | None = None,
    before: Callable[[EngineStore], None] | None = None,
    classify: Classify = read_by_word,
    owner: str = "node-1",
    is_alone: bool = True,
    grace: timedelta = timedelta(seconds=2),
) -> World:
    """Run one scene on a running scheduler and stop it in order."""
    world = world or World(Clock())

    async def run() -> None:
        with contextlib.closing(open_store(f"sqlite:{tmp_path / 'waybill.db'}", tmp_path)) as store:
            if before is not None:
                before(store)
            async with started(
                store, world, settings=settings, classify=classify, owner=owner, is_alone=is_alone, grace=grace
            ) as running:
                await scene(running)

    asyncio.run(run())
    return world


@contextlib.asynccontextmanager
async def started(
    store: EngineStore,
    world: World,
    *,
    settings: Config | None = None,
    classify: Classify = read_by_word,
    owner: str = "node-1",
    is_alone: bool = True,
    grace: timedelta = timedelta(seconds=2),
) -> AsyncIterator[Running]:
    """Run a scheduler until the block ends, then stop it in order."""
    steering = Steering()
    scheduler = Scheduler(
        store,
        Detours(world, steering, clock=world.clock.now),
        connector=world,
        classify=classify,
        config=settings or config(),
        clock=world.clock.now,
        random=lambda: 0.5,
        owner=owner,
        is_alone=is_alone,
        monotonic=world.clock.monotonic,
        settle_seconds=0.0,
        steering=steering,
    )
    task = asyncio.create_task(scheduler.run())
    try:
        await scheduler.wait_started()
        yield Running(store, world, scheduler)
    finally:
        await scheduler.stop(grace)
        await task


def due_at(running: Running, address: str) -> datetime:
    found = running.deliveries()[address].next_at
    assert found is not None
    return found
