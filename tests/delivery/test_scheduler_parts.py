"""The small parts of delivery: contents in memory, dead hosts, routing, and recording when the store is in trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from relay.delivery import recorder as recording
from relay.delivery.contents import SMALL_BYTES, Contents
from relay.delivery.contract import Host, HostResult, Route
from relay.delivery.desk import Away, Batch
from relay.delivery.hosts import DeadHosts
from relay.delivery.recorder import Recorder
from relay.delivery.routing import MAX_LOOKUPS, Routed, Routing
from relay.delivery.transaction import NO_RECIPIENT, ContentKey
from relay.errors import IllegalTransition, StoreBusy
from relay.model import Claimed, DeliveryId, Disposition, MessageId, Stage
from relay.status import Status
from tests.delivery.fake_sites import START, refusal, submission


def key(name: str) -> ContentKey:
    return ContentKey(MessageId(name), None)


class Shelf:
    """A store of contents that counts its reads."""

    def __init__(self, **contents: bytes) -> None:
        self.contents = {key(name): content for name, content in contents.items()}
        self.reads: list[list[str]] = []
        self.gate: asyncio.Event | None = None

    async def load(self, keys: Sequence[ContentKey]) -> Mapping[ContentKey, bytes | None]:
        self.reads.append([each.message_id for each in keys])
        if self.gate is not None:
            await self.gate.wait()
        return {each: self.contents.get(each) for each in keys}


def test_small_contents_are_read_together_and_once() -> None:
    async def scene() -> None:
        shelf = Shelf(a=b"aa", b=b"bb")
        contents = Contents(shelf.load)
        for name in "ab":
            contents.pin(key(name))
        await contents.fetch_ahead([(key("a"), 2), (key("b"), 2), (key("big"), SMALL_BYTES + 1)])
        assert await contents.get(key("a"), size=2) == b"aa"
        assert shelf.reads == [["a", "b"]]
        contents.unpin(key("a"))
        assert contents.used_bytes == 2

    asyncio.run(scene())


def test_several_who_need_a_large_content_share_one_read() -> None:
    async def scene() -> None:
        shelf = Shelf(big=b"x" * 100)
        shelf.gate = asyncio.Event()
        contents = Contents(shelf.load)
        for _ in range(3):
            contents.pin(key("big"))
        async with asyncio.TaskGroup() as tasks:
            got = [tasks.create_task(contents.get(key("big"), size=100)) for _ in range(3)]
            await asyncio.sleep(0)
            shelf.gate.set()
        assert [task.result() for task in got] == [b"x" * 100] * 3
        assert shelf.reads == [["big"]]
        for _ in range(3):
            assert contents.used_bytes == 100
            contents.unpin(key("big"))
        assert contents.used_bytes == 0

    asyncio.run(scene())


def test_large_contents_wait_for_memory_and_one_larger_than_all_of_it_goes_alone() -> None:
    async def scene() -> None:
        shelf = Shelf(a=b"a" * 80, b=b"b" * 80, huge=b"h" * 500)
        contents = Contents(shelf.load, budget_bytes=100)
        for name in ("a", "b", "huge"):
            contents.pin(key(name))
        await contents.get(key("a"), size=80)
        async with asyncio.TaskGroup() as tasks:
            second = tasks.create_task(contents.get(key("b"), size=80))
            await asyncio.sleep(0.01)
            assert not second.done()
            contents.unpin(key("a"))
        contents.unpin(key("b"))
        assert await contents.get(key("huge"), size=500) == b"h" * 500

    asyncio.run(scene())


def test_a_content_that_is_gone_is_none() -> None:
    async def scene() -> None:
        contents = Contents(Shelf().load)
        contents.pin(key("a"))
        assert await contents.get(key("a"), size=10) is None
        assert contents.used_bytes == 0

    asyncio.run(scene())


HOSTS = tuple(Host(name=f"mx{n}", ip=f"192.0.2.{n}", port=25) for n in range(2))


def failure(host: Host, *, code: int | None = None) -> HostResult:
    return HostResult(
        host=host,
        started_at=START,
        took=timedelta(seconds=30),
        replies={NO_RECIPIENT: refusal(code, stage=Stage.CONNECT, text="timed out")},
        is_host_failure=True,
    )


def test_a_silent_host_is_remembered_for_a_minute_and_a_busy_one_is_not() -> None:
    dead = DeadHosts(timedelta(hours=1))
    dead.note(failure(HOSTS[0]), mono=0)
    dead.note(failure(HOSTS[1], code=421), mono=0)
    assert list(dead.candidates(HOSTS, mono=59)) == [HOSTS[1]]
    assert list(dead.candidates(HOSTS, mono=61)) == list(HOSTS)


def test_a_remembered_failure_says_that_it_was_not_tried_again() -> None:
    dead = DeadHosts(timedelta(minutes=1))
    for host in HOSTS:
        dead.note(failure(host), mono=0)
    results = dead.recall(HOSTS, now=START)
    assert [result.replies[NO_RECIPIENT].text for result in results] == ["not tried again so soon: timed out"] * 2
    assert all(result.is_host_failure and result.took == timedelta(0) for result in results)
    dead.forget(HOSTS[0])
    assert list(dead.candidates(HOSTS, mono=1)) == [HOSTS[0]]


def claims(*domains: str, attempts: int = 0) -> list[Claimed]:
    given = submission([f"anna@{domain}" for domain in domains], attempts=attempts)
    return [Claimed(delivery=delivery, message=given.message) for delivery in given.deliveries]


class GatedRouter:
    """Answers a domain when its gate opens."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}

    async def route(self, *, domain: str, app: str) -> Route:
        self.asked.append(domain)
        if domain.startswith("broken"):
            raise RuntimeError("a fault of ours")
        if domain in self.gates:
            await self.gates[domain].wait()
        return Route(site=domain)


def test_one_lookup_serves_all_who_wait_for_a_domain_and_a_fault_hits_only_its_own() -> None:
    async def scene() -> None:
        router = GatedRouter()
        found: list[list[Routed]] = []
        failed: list[Claimed] = []
        router.gates["a.example"] = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            routing = Routing(
                router,
                tasks=tasks,
                routed=found.append,
                failed=lambda those, error: failed.extend(those),
                crowded_out=failed.extend,
            )
            first, second = claims("a.example"), claims("a.example", "b.example")
            routing.add([*first, *second, *claims("broken.example")])
            await asyncio.sleep(0.01)
            routing.add(claims("a.example"))
            router.gates["a.example"].set()
        assert sorted(router.asked) == ["a.example", "b.example", "broken.example"]
        assert [len(part) for part in found] == [1, 2, 1]
        assert [claim.delivery.domain for claim in failed] == ["broken.example"]

    asyncio.run(scene())


def test_lookups_for_retries_leave_half_of_all_to_new_mail() -> None:
    async def scene() -> None:
        router = GatedRouter()
        gate = asyncio.Event()
        for number in range(MAX_LOOKUPS + 10):
            router.gates[f"dead{number}.example"] = gate
        found: list[list[Routed]] = []
        async with asyncio.TaskGroup() as tasks:
            routing = Routing(
                router, tasks=tasks, routed=found.append, failed=lambda *_: None, crowded_out=lambda _: None
            )
            for domain in list(router.gates):
                routing.add(claims(domain, attempts=1))
            await asyncio.sleep(0.01)
            assert len(router.asked) == MAX_LOOKUPS // 2
            routing.add(claims("new.example"))
            await asyncio.sleep(0.01)
            assert [part[0].claim.delivery.domain for part in found] == ["new.example"]
            assert len(routing.stop()) == MAX_LOOKUPS + 10

    asyncio.run(scene())


class FaultyDesk:
    """Records into memory, with the faults a test asks for."""

    def __init__(self) -> None:
        self.busy = 0
        self.bad: set[DeliveryId] = set()
        self.recorded: list[DeliveryId] = []
        self.held: list[tuple[DeliveryId, str]] = []
        self.away: list[Away] = []

    async def record(self, batch: Batch, *, now: datetime) -> None:
        if self.busy > 0:
            self.busy -= 1
            raise StoreBusy("locked")
        if any(disposition.delivery_id in self.bad for disposition in batch.dispositions):
            raise IllegalTransition("delivered cannot become queued")
        self.recorded += [disposition.delivery_id for disposition in batch.dispositions]
        self.held += batch.held
        self.away += batch.away


class Listener:
    def __init__(self) -> None:
        self.gone: list[DeliveryId] = []
        self.words: list[str] = []

    def recorded(self, ids: Any) -> None:
        self.gone += ids

    def store_failed(self) -> None:
        self.words.append("failed")

    def store_works(self) -> None:
        self.words.append("works")


def decided(count: int) -> list[tuple[Claimed, Disposition]]:
    found = claims(*(f"{n}.example" for n in range(count)))
    return [
        (claim, Disposition(delivery_id=claim.delivery.id, status=Status.DELIVERED, attempts=1, at=START))
        for claim in found
    ]


def test_a_store_that_cannot_write_now_loses_nothing() -> None:
    async def scene() -> None:
        desk, listener = FaultyDesk(), Listener()
        desk.busy = 1
        recorder = Recorder(desk, owner=listener, clock=lambda: START)  # type: ignore[arg-type]
        ends = decided(3)
        for claim, disposition in ends:
            recorder.decided(claim, disposition)
        recorder.end()
        await recorder.run()
        assert desk.recorded == listener.gone == [claim.delivery.id for claim, _ in ends]
        assert listener.words == ["failed", "works"]

    asyncio.run(scene())


def test_what_cannot_be_recorded_is_held_and_the_others_are_recorded() -> None:
    async def scene() -> None:
        desk, listener = FaultyDesk(), Listener()
        recorder = Recorder(desk, owner=listener, clock=lambda: START)  # type: ignore[arg-type]
        ends = decided(3)
        bad = ends[1][0].delivery.id
        desk.bad.add(bad)
        for claim, disposition in ends:
            recorder.decided(claim, disposition)
        other = claims("away.example")[0].delivery.id
        recorder.away(Away(ids=(other,), next_at=START))
        recorder.end()
        await recorder.run()
        assert desk.recorded == [ends[0][0].delivery.id, ends[2][0].delivery.id]
        assert desk.held == [(bad, recording.UNRECORDABLE)]
        assert [away.ids for away in desk.away] == [(other,)]
        assert sorted(listener.gone) == sorted([*(claim.delivery.id for claim, _ in ends), other])

    asyncio.run(scene())


def test_very_many_results_are_recorded_in_several_commits() -> None:
    async def scene() -> None:
        desk, listener = FaultyDesk(), Listener()
        recorder = Recorder(desk, owner=listener, clock=lambda: START)  # type: ignore[arg-type]
        for claim, disposition in decided(recording.MOST + 1):
            recorder.decided(claim, disposition)
        recorder.end()
        await recorder.run()
        assert len(desk.recorded) == recording.MOST + 1

    asyncio.run(scene())
