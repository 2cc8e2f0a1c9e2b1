"""Play one scene: a scheduler on a store, an internet, and the apps that hand in mail."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from bench.simulation.inline_store import InlineStore
from bench.simulation.providers import Internet, Outage, Provider
from bench.simulation.traffic import PACKED, Handed, Submissions
from bench.simulation.virtual import START, now, run, seconds
from relay.classify import classify
from relay.delivery.scheduler import Scheduler
from relay.settings import Config
from relay.store import spool
from relay.store.protocols import Tx

#: What a commit costs on the virtual clock; see docs/scaling.md for what it costs on a machine.
COMMIT_SECONDS = 0.005
_WATCH_SECONDS = 5.0
_POLL_SECONDS = 10.0  #: nobody else commits here, and we nudge
_LEFT = """
SELECT domain AS name, COUNT(*) AS n FROM delivery
WHERE next_at IS NOT NULL AND COALESCE(category, '') NOT IN ('mailbox_full', 'greylisted') GROUP BY 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All that one run is given."""

    name: str
    providers: Sequence[Provider]
    traffic: Sequence[Handed]  #: in order
    lasts: float  #: seconds
    waiting: Sequence[tuple[Handed, float]] = ()  #: deferred before the start, with the second they are due
    network_outage: Outage | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What one run showed."""

    scene: Scene
    internet: Internet
    statuses: dict[str, int]  #: deliveries by status at the end
    left: dict[str, int]  #: deliveries that still wait, by domain; without full mailboxes and greylisted guests
    in_memory: int  #: the most deliveries in memory at a time, looked at every few seconds
    real_seconds: float
    units: Sequence[float]  #: real seconds of each unit that wrote


def play(scene: Scene) -> Played:
    """Run a scene from START until its time is over."""
    internet = Internet(providers=scene.providers, random=Random(scene.seed), network_outage=scene.network_outage)
    begun = time.perf_counter()
    most = [0]
    with (
        tempfile.TemporaryDirectory(prefix="simulation-") as folder,
        InlineStore(Path(folder) / "waybill.db", commit_seconds=COMMIT_SECONDS) as store,
    ):
        submissions = Submissions()
        _lay_up(store, submissions, scene.waiting)
        run(lambda: _run_scene(scene, store, internet, submissions=submissions, most=most))
        return Played(
            scene=scene,
            internet=internet,
            statuses=_counts(store, "SELECT status AS name, COUNT(*) AS n FROM delivery GROUP BY 1"),
            left=_counts(store, _LEFT),
            in_memory=most[0],
            real_seconds=time.perf_counter() - begun,
            units=store.took,
        )


def _counts(store: InlineStore, sql: str) -> dict[str, int]:
    found = store.read_now(lambda tx: tx.compose(sql, {}))
    return {row["name"]: row["n"] for row in found}


def _lay_up(store: InlineStore, submissions: Submissions, waiting: Iterable[tuple[Handed, float]]) -> None:
    """Store the backlog in one commit."""

    def unit(tx: Tx) -> None:
        for handed, due in waiting:
            submission = submissions.make(handed, attempts=3, next_at=START + timedelta(seconds=due))
            spool.accept(tx, submission, packed=PACKED)

    store.write_now(unit)


async def _run_scene(
    scene: Scene, store: InlineStore, internet: Internet, *, submissions: Submissions, most: list[int]
) -> None:
    scheduler = Scheduler(
        store,
        internet,
        connector=internet,
        classify=classify,
        config=Config.model_validate(scene.settings),
        clock=now,
        random=Random(scene.seed + 1).random,
        owner="simulation",
        is_alone=True,
        monotonic=seconds,
        poll_seconds=_POLL_SECONDS,
    )
    running = asyncio.create_task(scheduler.run())
    await scheduler.wait_started()
    watching = asyncio.create_task(_watch(lambda: scheduler.in_memory, most))
    await _hand_in(scene.traffic, store, scheduler, submissions=submissions)
    await asyncio.sleep(max(0.0, scene.lasts - seconds()))
    watching.cancel()
    await scheduler.stop(timedelta(seconds=5))
    await running


async def _hand_in(
    traffic: Iterable[Handed], store: InlineStore, scheduler: Scheduler, *, submissions: Submissions
) -> None:
    for handed in traffic:
        wait = handed.at - seconds()
        if wait > 0:
            await asyncio.sleep(wait)
        store.write_now(partial(spool.accept, submission=submissions.make(handed), packed=PACKED))
        scheduler.wake()


async def _watch(look: Callable[[], int], most: list[int]) -> None:
    while True:
        most[0] = max(most[0], look())
        await asyncio.sleep(_WATCH_SECONDS)
