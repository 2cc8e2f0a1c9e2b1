"""Shaping in a running scheduler: fairness, orders of people, refused IPv6, connections that must not be shared."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from relay.delivery.contract import Host, Protection, Route, TlsMode
from relay.delivery.dane import Tlsa
from relay.delivery.desk import Away, Batch, Desk
from relay.model import Stage
from relay.settings import IncidentSettings, Suppressions
from relay.status import Status
from relay.store import pauses, spool, steering
from relay.store.engine import EngineStore
from relay.store.open import open_store
from relay.store.steering import Steer, SteerKind
from tests.delivery.fake_sites import Clock, World, refusal, submission
from tests.delivery.running import Running, config, play

ONE_CONNECTION = {"site": {"connections": 1}}
NO_IPV6 = refusal(550, stage=Stage.DATA, enhanced="5.7.1", text="this message does not meet IPv6 sending guidelines")


def world(*domains: str) -> World:
    made = World(Clock())
    for domain in domains or ("guest",):
        made.serve(f"{domain}.example", f"mx.{domain}")
    return made


def served(made: World) -> list[str]:
    """Addresses in the order in which the hosts saw them."""
    return [address for _, addresses in made.transactions for address in addresses]


async def order(running: Running, kind: SteerKind, scope: str, value: str, target: str, *, hours: int = 1) -> None:
    """Give an order that every process will hear of, and let it."""
    now = running.clock.now()
    steer = Steer(
        kind=kind,
        scope=scope,
        value=value,
        target=target,
        reason="",
        by="sari",
        since_at=now,
        until_at=now + timedelta(hours=hours),
    )
    await running.store.write(lambda tx: steering.begin(tx, steer))
    await running.scheduler.heed_orders()


# -- fairness


def test_one_apps_burst_does_not_starve_another_at_the_same_site(tmp_path: Path) -> None:
    made = world()
    made.serve("other.example", "mx.guest")
    made.host("mx.guest").gate = gate = asyncio.Event()

    async def scene(running: Running) -> None:
        await running.accept_all(submission([f"{n}@guest.example"], app="shop") for n in range(150))
        await running.until(lambda: running.scheduler.in_memory == 150, what="the burst in memory")
        await running.accept("anna@other.example", app="hotel")
        await running.until(lambda: "other.example" in made.lookups, what="the other at the same site")
        gate.set()
        await running.until_ended()

    play(tmp_path, scene, world=made, settings=config(delivery=ONE_CONNECTION))
    assert served(made).index("anna@other.example") <= 2
    assert len(made.taken) == 151


def test_new_mail_is_tried_while_a_backlog_of_another_app_waits(tmp_path: Path) -> None:
    made = world()
    made.serve("other.example", "mx.guest")
    made.host("mx.guest").gate = gate = asyncio.Event()

    async def scene(running: Running) -> None:
        await running.accept_all(submission([f"{n}@guest.example"], app="shop", attempts=1) for n in range(150))
        await running.until(lambda: running.scheduler.in_memory == 150, what="the backlog in memory")
        await running.accept("anna@other.example", app="hotel")
        await running.until(lambda: "other.example" in made.lookups, what="the other at the same site")
        gate.set()
        await running.until_ended()

    play(tmp_path, scene, world=made, settings=config(delivery=ONE_CONNECTION))
    assert served(made).index("anna@other.example") <= 2


# -- orders of people


def test_an_ordered_rate_holds_for_all_mail_of_the_app_until_it_is_over(tmp_path: Path) -> None:
    made = world("guest", "other")

    async def scene(running: Running) -> None:
        await order(running, SteerKind.SLOW, "app", "shop", "2/1m")
        await running.accept_all(
            submission([f"{n}@{domain}.example"], app="shop") for n in range(3) for domain in ("guest", "other")
        )
        await running.accept("anna@guest.example", app="hotel")
        await running.until(lambda: len(made.taken) == 3, what="two of the shop's and the hotel's")
        await running.accept("bob@guest.example", app="hotel")
        await running.until(lambda: "bob@guest.example" in made.taken)
        assert len(made.taken) == 4
        running.advance(3601)
        await running.scheduler.heed_orders()
        await running.until_ended()

    play(tmp_path, scene, world=made)
    assert len(made.taken) == 8


def test_a_detour_takes_the_mail_of_its_domain_and_calls_it_sent(tmp_path: Path) -> None:
    made = world("guest", "other")
    made.serve("detour.example", "relay.elsewhere")

    async def scene(running: Running) -> None:
        await order(running, SteerKind.REROUTE, "domain", "guest.example", "relay.elsewhere:2525")
        await running.accept("anna@guest.example")
        await running.accept("bob@other.example")
        await running.until_ended()
        assert running.statuses() == {"anna@guest.example": Status.SENT, "bob@other.example": Status.DELIVERED}
        assert [row["mx"] for row in running.attempts("anna@guest.example")] == ["relay.elsewhere"]
        running.advance(3601)
        await running.accept("carl@guest.example")
        await running.until_ended()
        assert running.statuses()["carl@guest.example"] is Status.DELIVERED

    play(tmp_path, scene, world=made)


@pytest.mark.parametrize(
    ("scope", "value", "takes_it"),
    [
        ("all", "", True),
        ("app", "hotel", True),
        ("app", "shop", False),
        ("site", "mx.guest", True),
        ("site", "mx.other", False),
        ("domain", "other.example", False),
    ],
)
def test_a_detour_is_taken_by_what_it_is_ordered_for(tmp_path: Path, scope: str, value: str, takes_it: bool) -> None:
    made = world()
    made.serve("detour.example", "relay.elsewhere")

    async def scene(running: Running) -> None:
        await order(running, SteerKind.REROUTE, scope, value, "relay.elsewhere:25")
        await running.accept("anna@guest.example")
        await running.until_ended()

    play(tmp_path, scene, world=made)
    assert made.connects == ["relay.elsewhere" if takes_it else "mx.guest"]
    assert bool(made.lookups) is not (takes_it and scope != "site"), "a detour of all mail works while DNS does not"


def test_what_waits_in_memory_takes_a_detour_that_is_ordered_meanwhile(tmp_path: Path) -> None:
    made = world()
    made.serve("detour.example", "relay.elsewhere")
    made.host("mx.guest").gate = gate = asyncio.Event()

    async def scene(running: Running) -> None:
        await running.accept_all(submission([f"{n}@guest.example"]) for n in range(5))
        await running.until(lambda: len(made.transactions) == 1 and running.scheduler.in_memory == 5)
        await order(running, SteerKind.REROUTE, "domain", "guest.example", "relay.elsewhere:25")
        await running.until(lambda: len(made.taken) == 4, what="the four that had not begun")
        gate.set()
        await running.until_ended()

    play(tmp_path, scene, world=made, settings=config(delivery=ONE_CONNECTION))
    assert [host for host, _ in made.transactions] == ["mx.guest"] + ["relay.elsewhere"] * 4


def test_an_order_of_before_the_start_holds_for_the_first_mail(tmp_path: Path) -> None:
    made = world()
    made.serve("detour.example", "relay.elsewhere")

    async def give(running: Running) -> None:
        await order(running, SteerKind.REROUTE, "all", "", "relay.elsewhere:25")
        await running.accept("anna@guest.example", next_at=running.clock.now() + timedelta(seconds=30))

    async def see(running: Running) -> None:
        running.advance(31)
        await running.until_ended()

    play(tmp_path, give, world=made)
    play(tmp_path, see, world=made)
    assert made.connects == ["relay.elsewhere"]


def test_new_mail_for_a_paused_site_is_held_until_it_is_resumed(tmp_path: Path) -> None:
    made = world("guest", "other")

    async def scene(running: Running) -> None:
        now = running.clock.now()
        await running.store.write(
            lambda tx: pauses.pause(tx, scope="site", value="mx.guest", reason="moving", by="sari", now=now)
        )
        await running.scheduler.heed_orders()
        await running.accept("anna@guest.example")
        await running.accept("bob@other.example")
        await running.until(lambda: running.deliveries()["anna@guest.example"].held == "paused: moving")
        await running.until(lambda: made.taken == ["bob@other.example"])
        await running.store.write(lambda tx: pauses.resume(tx, scope="site", value="mx.guest", now=now))
        await running.scheduler.heed_orders()
        running.scheduler.wake()
        await running.until_ended()

    play(tmp_path, scene, world=made)
    assert made.taken == ["bob@other.example", "anna@guest.example"]


def test_a_pause_also_stops_what_waits_in_memory(tmp_path: Path) -> None:
    made = world()
    made.host("mx.guest").gate = gate = asyncio.Event()

    async def scene(running: Running) -> None:
        await running.accept_all(submission([f"{n}@guest.example"]) for n in range(5))
        await running.until(lambda: len(made.transactions) == 1 and running.scheduler.in_memory == 5)
        now = running.clock.now()
        await running.store.write(
            lambda tx: pauses.pause(tx, scope="app", value="hotel", reason="wrong prices", by="sari", now=now)
        )
        await running.scheduler.heed_orders()
        gate.set()
        await running.until(lambda: sum(each.held is not None for each in running.deliveries().values()) == 4)
        await running.until_idle()

    play(tmp_path, scene, world=made, settings=config(delivery=ONE_CONNECTION))
    assert len(made.taken) == 1


def test_an_order_that_cannot_be_read_stops_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = world()

    async def scene(running: Running) -> None:
        await order(running, SteerKind.SLOW, "all", "", "as fast as you can")
        await running.accept("anna@guest.example")
        await running.until_ended()

    play(tmp_path, scene, world=made)
    assert "the orders in the store cannot be read" in caplog.text


def test_a_host_that_takes_no_ipv6_and_is_dead_over_ipv4_is_followed_by_the_next(tmp_path: Path) -> None:
    made = world("guest", "second")
    dual(made)
    second = replace(made.routes["second.example"].hosts[0], preference=20)
    first = made.routes["guest.example"].hosts
    made.routes["guest.example"] = Route(site="mx.guest,mx.second", hosts=(*first, second))
    made.host("mx.guest").no_ipv4 = True

    async def scene(running: Running) -> None:
        await running.accept("anna@guest.example")
        await running.until_ended()

    play(tmp_path, scene, world=made)
    assert made.connects == ["mx.guest", "mx.guest", "mx.second"]
    assert made.taken == ["anna@guest.example"]


@pytest.mark.parametrize("is_resumed", [False, True])
def test_a_pause_that_was_resumed_a_moment_ago_holds_nothing(tmp_path: Path, is_resumed: bool) -> None:
    now = Clock().now()

    async def scene(store: EngineStore) -> str | None:
        desk = Desk(
            store,
            owner="node-1",
            lease=timedelta(minutes=1),
            blocking=Suppressions(),
            incident=IncidentSettings(),
        )
        given = submission(["anna@guest.example"])
        await store.write(lambda tx: spool.accept(tx, given))
        made = await store.write(
            lambda tx: pauses.pause(tx, scope="site", value="mx.guest", reason="moving", by="sari", now=now)
        )
        (claim,) = (await desk.claim(now, fresh=1, due=0)).fresh
        if is_resumed:
            await store.write(lambda tx: pauses.resume(tx, scope="site", value="mx.guest", now=now))
        away = Away(ids=(claim.delivery.id,), next_at=now, pause=made)
        await desk.record(Batch(away=[away]), now=now)
        (row,) = store.read_now(lambda tx: tx.compose("SELECT held, lease_owner FROM delivery", {}))
        assert row["lease_owner"] is None
        return None if row["held"] is None else str(row["held"])

    with contextlib.closing(open_store(f"sqlite:{tmp_path / 'waybill.db'}", tmp_path)) as store:
        held = asyncio.run(scene(store))
    assert held == (None if is_resumed else "paused: moving")


# -- IPv6


def dual(made: World, *, ipv4: bool = True) -> None:
    hosts = [Host(name="mx.guest", ip="2001:db8::25", port=25)]
    hosts += [Host(name="mx.guest", ip="192.0.2.25", port=25)] if ipv4 else []
    made.routes["guest.example"] = Route(site="mx.guest", hosts=tuple(hosts))
    made.host("mx.guest").no_ipv6 = NO_IPV6


def test_mail_that_is_refused_for_ipv6_goes_over_ipv4_in_the_same_attempt_and_the_next_at_once(tmp_path: Path) -> None:
    made = world()
    dual(made)

    async def scene(running: Running) -> None:
        await running.accept("anna@guest.example")
        await running.until_ended()
        await running.accept("bob@guest.example")
        await running.until_ended()
        rows = running.attempts("anna@guest.example")
        assert [(row["ip"], row["code"], row["number"]) for row in rows] == [
            ("2001:db8::25", 550, 1),
            ("192.0.2.25", 250, 1),
        ]
        assert [row["ip"] for row in running.attempts("bob@guest.example")] == ["192.0.2.25"]
        assert set(running.statuses().values()) == {Status.DELIVERED}

    play(tmp_path, scene, world=made)


def test_a_connection_in_use_that_begins_to_refuse_ipv6_is_left_for_ipv4(tmp_path: Path) -> None:
    made = world()
    dual(made)
    made.host("mx.guest").no_ipv6 = None

    async def scene(running: Running) -> None:
        await running.accept("anna@guest.example")
        await running.until_ended()
        made.host("mx.guest").no_ipv6 = NO_IPV6
        await running.accept("bob@guest.example")
        await running.until_ended()
        assert [row["ip"] for row in running.attempts("bob@guest.example")] == ["2001:db8::25", "192.0.2.25"]

    play(tmp_path, scene, world=made)
    assert made.taken == ["anna@guest.example", "bob@guest.example"]


def test_a_host_that_refuses_ipv6_and_has_nothing_else_has_the_last_word(tmp_path: Path) -> None:
    made = world()
    dual(made, ipv4=False)

    async def scene(running: Running) -> None:
        await running.accept("anna@guest.example")
        await running.until_ended()
        assert running.statuses()["anna@guest.example"] is Status.SOFT_BOUNCED

    play(tmp_path, scene, world=made)
    assert made.connects == ["mx.guest"]


# -- connections that must not be shared


def test_a_connection_opened_without_a_check_never_carries_mail_that_needs_one(tmp_path: Path) -> None:
    made = world("guest", "signed")
    open_host = made.routes["guest.example"].hosts[0]
    record = Tlsa(usage=3, selector=1, matching=1, data=b"x" * 32)
    strict = Protection(mode=TlsMode.DANE, because="its TLSA records", tlsa=(record,), names=("mx.guest",))
    made.routes["signed.example"] = Route(site="mx.guest", hosts=(replace(open_host, protection=strict),))

    async def scene(running: Running) -> None:
        for address in ("anna@guest.example", "bob@signed.example", "carl@signed.example", "dora@guest.example"):
            await running.accept(address)
            await running.until_ended()

    play(tmp_path, scene, world=made, settings=config(delivery=ONE_CONNECTION))
    assert len(made.taken) == 4
    assert len(made.connects) == 3, "Bob's and Carl's mail shares one, Anna's and Dora's must not be it"


def test_a_source_address_we_do_not_have_says_nothing_about_the_server(tmp_path: Path) -> None:
    made = world()
    made.host("mx.guest").connect = refusal(None, stage=Stage.CONNECT, text="cannot send from 192.0.2.99")
    made.host("mx.guest").is_asked = False

    async def scene(running: Running) -> None:
        await running.accept("anna@guest.example")
        await running.until_tried("anna@guest.example")
        await running.until_idle()
        assert running.count("SELECT COUNT(*) FROM site") == 0
        made.host("mx.guest").connect = None
        await running.accept("bob@guest.example")
        await running.until(lambda: made.taken == ["bob@guest.example"])

    play(tmp_path, scene, world=made)
