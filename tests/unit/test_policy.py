"""Which app a client is, what it may send from, and the limits it has."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from relay.errors import Refused
from relay.intake.auth import Failures
from relay.intake.limits import Connections, Memory, Rates
from relay.intake.policy import Policy, find_ties, is_unreal_sender
from relay.passwords import hash_password, verify_password
from relay.settings import Config, HostPort, Rate, is_password_hash

ONE, OTHER = HostPort("127.0.0.1", 2525), HostPort("127.0.0.1", 2526)
HASH = hash_password("x")


def _config(*apps: dict[str, Any]) -> Config:
    return Config.model_validate({"app": list(apps), "listener": [{"address": str(ONE)}, {"address": str(OTHER)}]})


def _chosen(config: Config, *, ip: str, sender: str, listener: HostPort = ONE, user: str | None = None) -> str:
    policy = Policy(config)
    candidates = policy.candidates(listener=listener, client_ip=ip, auth_user=user)
    try:
        return policy.choose(candidates, sender=sender).name
    except Refused as refused:
        return f"{refused.code} {refused.reason}"


def _app(name: str, networks: list[str], **more: Any) -> dict[str, Any]:
    return {"name": name, "networks": networks, **more}


WIDE = _app("wide", ["10.0.0.0/8"])
NARROW = _app("narrow", ["10.1.0.0/16"])
A = _app("a", ["10.2.0.0/16"], from_domains=["a.example"])
B = _app("b", ["10.2.0.0/16"], from_domains=["B.example"])
REST = _app("rest", ["10.2.0.0/16"])
BOUND = _app("bound", ["10.2.0.0/16"], listeners=[str(OTHER)])
USER = {"name": "user", "username": "u", "password_hash": HASH}
USER_AT_HOME = {"name": "home", "username": "h", "password_hash": HASH, "networks": ["10.9.0.0/16"]}
FIXED = _app("fixed", ["10.3.0.0/16"], from_domains=["a.example"], default_from="desk@a.example")


@pytest.mark.parametrize(
    ("apps", "ip", "sender", "want"),
    [
        pytest.param([WIDE, NARROW], "10.1.2.3", "x@y.example", "narrow", id="smallest network wins"),
        pytest.param([WIDE, NARROW], "10.5.2.3", "x@y.example", "wide", id="the other network"),
        pytest.param([WIDE], "192.0.2.1", "x@y.example", "550 unknown_client", id="unknown client"),
        pytest.param([WIDE], "::ffff:10.0.0.1", "x@y.example", "wide", id="v4 mapped into v6"),
        pytest.param([A, B], "10.2.0.1", "x@a.example", "a", id="by sender domain, one"),
        pytest.param([A, B], "10.2.0.1", "x@B.EXAMPLE", "b", id="by sender domain, other"),
        pytest.param([A, B], "10.2.0.1", "x@c.example", "550 sender_not_allowed", id="no app for this domain"),
        pytest.param([A, B], "10.2.0.1", "x@sub.a.example", "550 sender_not_allowed", id="subdomains are others"),
        pytest.param([A, B], "10.2.0.1", "", "a", id="null sender"),
        pytest.param([A, REST], "10.2.0.1", "x@c.example", "rest", id="domain app gives way"),
        pytest.param([REST, A], "10.2.0.1", "x@a.example", "a", id="domain app wins, order does not matter"),
        pytest.param([A, WIDE], "10.2.0.1", "x@c.example", "wide", id="wider network takes what is left"),
        pytest.param([BOUND, A], "10.2.0.1", "x@a.example", "a", id="bound app is not on this listener"),
        pytest.param([USER], "10.2.0.1", "x@a.example", "550 unknown_client", id="user app without login"),
        pytest.param([FIXED], "10.3.0.1", "www-data@localhost", "fixed", id="default_from takes unreal senders"),
        pytest.param([FIXED], "10.3.0.1", "www-data", "fixed", id="default_from takes bare names"),
        pytest.param([FIXED], "10.3.0.1", "x@b.example", "550 sender_not_allowed", id="but no real other domain"),
        pytest.param([], "127.0.0.1", "x@y.example", "local", id="no apps: loopback"),
        pytest.param([], "::1", "x@y.example", "local", id="no apps: v6 loopback"),
        pytest.param([], "10.0.0.1", "x@y.example", "550 unknown_client", id="no apps: nobody else"),
    ],
)
def test_app_is_chosen(apps: list[dict[str, Any]], ip: str, sender: str, want: str) -> None:
    assert _chosen(_config(*apps), ip=ip, sender=sender) == want


def test_listener_decides_before_the_domain() -> None:
    assert _chosen(_config(BOUND, A), ip="10.2.0.1", sender="x@a.example", listener=OTHER) == "bound"


@pytest.mark.parametrize(
    ("user", "ip", "want"),
    [
        ("u", "192.0.2.1", "user"),
        ("h", "10.9.0.1", "home"),
        ("h", "192.0.2.1", "550 unknown_client"),
        ("nobody", "10.0.0.1", "550 unknown_client"),
    ],
)
def test_login_decides_before_everything(user: str, ip: str, want: str) -> None:
    assert _chosen(_config(WIDE, USER, USER_AT_HOME), ip=ip, sender="x@y.example", user=user) == want


@pytest.mark.parametrize(
    ("one", "other", "is_tie"),
    [
        ({}, {}, True),
        ({"from_domains": ["a.example"]}, {"from_domains": ["a.example", "b.example"]}, True),
        ({"from_domains": ["a.example"]}, {"from_domains": ["b.example"]}, False),
        ({"from_domains": ["a.example"]}, {}, False),
        ({"listeners": [str(ONE)]}, {"listeners": [str(OTHER)]}, False),
        ({"listeners": [str(ONE)]}, {"listeners": [str(ONE), str(OTHER)]}, True),
        ({"listeners": [str(ONE)]}, {}, False),
        ({"networks": ["10.1.0.0/16"]}, {}, False),
        ({"username": "u", "password_hash": HASH}, {}, False),
    ],
)
def test_tie_is_named(one: dict[str, Any], other: dict[str, Any], is_tie: bool) -> None:
    config = _config(
        {"name": "one", "networks": ["10.0.0.0/8"], **one}, {"name": "two", "networks": ["10.0.0.0/8"], **other}
    )
    ties = find_ties(config)
    assert len(ties) == is_tie
    assert all('"one"' in tie and '"two"' in tie for tie in ties)


@pytest.mark.parametrize(
    ("address", "is_unreal"),
    [
        ("www-data@localhost", True),
        ("root", True),
        ("a@web1", True),
        ("a@web1.local", True),
        ("a@localhost.localdomain", True),
        ("a@[10.0.0.1]", True),
        ("a@hotel.example", False),
    ],
)
def test_unreal_senders_are_told_apart(address: str, is_unreal: bool) -> None:
    assert is_unreal_sender(address) == is_unreal


def test_connections_are_counted_by_the_smallest_network() -> None:
    policy = Policy(_config({**WIDE, "limits": {"connections": 7}}, {**NARROW, "limits": {"connections": 3}}))
    assert policy.connection_limit("10.1.0.9") == ("10.1.0.0/16", 3)
    assert policy.connection_limit("10.7.0.9") == ("10.0.0.0/8", 7)
    assert policy.connection_limit("192.0.2.5") == ("192.0.2.5", 100)


def test_bucket_lets_a_burst_through_and_then_the_rate() -> None:
    rates = Rates()
    rate = Rate(3, timedelta(seconds=30))
    assert [rates.take("a", rate, now=0.0) for _ in range(4)] == [True, True, True, False]
    assert [rates.take("a", rate, now=at) for at in (9.0, 10.5, 11.0, 21.0)] == [False, True, False, True]
    assert rates.take("b", rate, now=0.0)
    assert all(rates.take("c", None, now=0.0) for _ in range(100))


def test_clock_that_runs_backwards_gives_nothing_away() -> None:
    rates = Rates()
    rate = Rate(1, timedelta(seconds=10))
    assert [rates.take("a", rate, now=at) for at in (100.0, 50.0, 59.0, 61.0)] == [True, False, False, True]


def test_connections_come_and_go() -> None:
    connections = Connections(total=3)
    assert connections.enter("a", limit=2)
    assert connections.enter("a", limit=2)
    assert not connections.enter("a", limit=2)
    assert connections.enter("b", limit=2)
    assert connections.is_full()
    connections.leave("a")
    assert not connections.is_full()
    assert connections.enter("a", limit=2)


def test_memory_is_given_in_order_and_comes_back_when_a_waiter_is_cancelled() -> None:
    async def main() -> None:
        memory = Memory(100)
        assert await memory.reserve(500) == 100
        first = asyncio.ensure_future(memory.reserve(60))
        second = asyncio.ensure_future(memory.reserve(60))
        third = asyncio.ensure_future(memory.reserve(10))
        await asyncio.sleep(0)
        assert not memory.grow(1)
        memory.release(100)
        await asyncio.sleep(0)
        assert (first.done(), second.done(), third.done()) == (True, False, False)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        memory.release(60)
        assert await third == 10
        memory.release(10)
        assert memory.used == 0

    asyncio.run(main())


def test_cancel_in_the_moment_of_the_grant_gives_the_memory_back() -> None:
    async def main() -> None:
        memory = Memory(10)
        await memory.reserve(10)
        waiting = asyncio.ensure_future(memory.reserve(10))
        await asyncio.sleep(0)
        memory.release(10)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert memory.used == 0

    asyncio.run(main())


def test_hash_checks_its_own_password_only() -> None:
    assert is_password_hash(HASH)
    assert verify_password(b"x", HASH)
    assert not verify_password(b"y", HASH)
    assert hash_password("x") != HASH


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "$scrypt$",
        "$scrypt$ln=30,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$2b$12$abc",
    ],
)
def test_what_is_no_hash_is_told(text: str) -> None:
    assert not is_password_hash(text)


def test_failures_are_forgotten_after_ten_minutes_and_slow_the_next_answer() -> None:
    failures = Failures(limit=3)
    delays = [failures.record("a", now=at) for at in (0.0, 1.0, 2.0)]
    assert delays == sorted(delays)
    assert delays[0] > 0
    assert failures.is_blocked("a", now=3.0)
    assert not failures.is_blocked("b", now=3.0)
    assert not failures.is_blocked("a", now=601.0)
