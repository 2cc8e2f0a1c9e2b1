"""The scenes that are played, each small for the tests and whole for `make simulation`.

The mail goes to one provider with most of the guests, one whose rate is limited by configuration, a slow one that bears
three connections, one that greylists, and many small servers, some of them dead. Providers bear exactly what the
configuration allows us, so that whatever is too much shows as a refusal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from heapq import merge
from operator import attrgetter
from random import Random
from typing import Any

from bench.simulation.play import Scene
from bench.simulation.providers import Outage, Provider
from bench.simulation.traffic import DAY, Addresses, Handed, daily, evenly

HOUR = 3600.0
SIX_HOURS = 6 * HOUR

#: What the configuration allows us at the provider with a rate.
RATE = (60, 60.0)
SETTINGS: dict[str, Any] = {
    "site": [
        {"match": "*.paced.example", "connections": 5, "rate": "60/1m"},
        {"match": "*.slow.example", "connections": 3},
    ]
}
CONNECTIONS = 20  #: the default for every other site

_MANY = tuple(f"many{number}.example" for number in range(3))


def many(outage: Outage | None = None) -> Provider:
    """The provider with most of the guests."""
    return Provider(name="many.example", domains=_MANY, bears_connections=CONNECTIONS, full_share=0.01, outage=outage)


PACED = Provider(
    name="paced.example",
    domains=("paced.example",),
    bears_connections=5,
    bears_rate=RATE,
)
SLOW = Provider(name="slow.example", domains=("slow.example",), bears_connections=3, answer_seconds=3.0)
GREY = Provider(name="grey.example", domains=("grey.example",), bears_connections=CONNECTIONS, is_greylisting=True)


def small(count: int) -> list[Provider]:
    """Servers of one domain each."""
    names = [f"small{number}.example" for number in range(count)]
    return [Provider(name=name, domains=(name,), hosts=1, bears_connections=CONNECTIONS) for name in names]


def dead(count: int) -> list[Provider]:
    """Servers that never answer."""
    away = Outage(begin=0.0, end=float("inf"))
    names = [f"dead{number}.example" for number in range(count)]
    return [Provider(name=name, domains=(name,), hosts=1, outage=away) for name in names]


def limits(provider: Provider) -> int:
    """Return the connections that the configuration allows us."""
    return {"paced.example": 5, "slow.example": 3}.get(provider.name, CONNECTIONS)


def _shares(big: Provider, others: Sequence[Provider], dead_ones: Sequence[Provider]) -> list[tuple[Provider, float]]:
    shares = [(big, 45.0), (PACED, 20.0), (SLOW, 3.0), (GREY, 3.0)]
    shares += [(provider, 28.0 / len(others)) for provider in others]
    return shares + [(provider, 1.0 / len(dead_ones)) for provider in dead_ones]


def outage_of_one(
    *, messages: int, days: float, begin: float, lasts: float, away: float = SIX_HOURS, seed: int = 1
) -> Scene:
    """Let the provider with most of the guests be away for hours."""
    big = many(Outage(begin=begin, end=begin + away))
    return _ordinary("outage of one provider", big, messages=messages, days=days, lasts=lasts, seed=seed)


def outage_of_ours(
    *, messages: int, days: float, begin: float, lasts: float, away: float = SIX_HOURS, seed: int = 2
) -> Scene:
    """Let our own network be away for hours."""
    scene = _ordinary("outage of our network", many(), messages=messages, days=days, lasts=lasts, seed=seed)
    return replace(scene, network_outage=Outage(begin=begin, end=begin + away))


def _ordinary(name: str, big: Provider, *, messages: int, days: float, lasts: float, seed: int) -> Scene:
    random = Random(seed)
    others, dead_ones = small(100), dead(3)
    addresses = Addresses(random, _shares(big, others, dead_ones))
    moments = daily(random, messages=messages, seconds=days * DAY)
    return Scene(
        name=name,
        providers=[big, PACED, SLOW, GREY, *others, *dead_ones],
        traffic=[Handed(at, "booking", addresses.draw()) for at in moments],
        lasts=lasts,
        settings=SETTINGS,
        seed=seed,
    )


def paced(*, messages: int, seconds: float, lasts: float, seed: int = 5) -> Scene:
    """Hand in more for the provider with a rate than the rate lets go."""
    random = Random(seed)
    addresses = Addresses(random, [(PACED, 1.0)])
    moments = evenly(random, messages=messages, seconds=seconds)
    return Scene(
        name="more than the rate",
        providers=[PACED],
        traffic=[Handed(at, "booking", addresses.draw()) for at in moments],
        lasts=lasts,
        settings=SETTINGS,
        seed=seed,
    )


def backlog(*, deferred: int, messages: int, lasts: float, dead_hosts: int, seed: int = 3) -> Scene:
    """Hand in new mail while a backlog is due, all of it at the first second: most for dead servers."""
    random = Random(seed)
    big, others, dead_ones = many(), small(100), dead(dead_hosts)
    addresses = Addresses(random, _shares(big, others, dead_ones[:1])[:-1])
    waiting = Addresses(random, [(big, 10.0), (GREY, 10.0), *((one, 80.0 / len(dead_ones)) for one in dead_ones)])
    moments = evenly(random, messages=messages, seconds=0.9 * lasts)
    return Scene(
        name="backlog",
        providers=[big, PACED, SLOW, GREY, *others, *dead_ones],
        traffic=[Handed(at, "booking", addresses.draw()) for at in moments],
        lasts=lasts,
        waiting=[(Handed(-HOUR, "booking", waiting.draw()), 0.0) for _ in range(deferred)],
        settings=SETTINGS,
        seed=seed,
    )


def hung(
    *, messages: int, others: int, lasts: float, is_dns: bool, within: float | None = None, seed: int = 6
) -> Scene:
    """Hand in very much at once for a domain whose look-up hangs, or whose server does, and other mail meanwhile."""
    random = Random(seed)
    away = None if is_dns else Outage(begin=0.0, end=float("inf"))
    bad = Provider(name="bad.example", domains=("bad.example",), outage=away, lookup_seconds=60.0 if is_dns else None)
    good = [many(), *small(30)]
    addresses = Addresses(random, [(provider, 1.0) for provider in good])
    moments = evenly(random, messages=others, seconds=within or 0.8 * lasts, begin=0.5)
    return Scene(
        name="hung look-up" if is_dns else "hung server",
        providers=[bad, *good],
        traffic=[
            *(Handed(0.0, "booking", f"guest{number}@bad.example") for number in range(messages)),
            *(Handed(at, "booking", addresses.draw()) for at in moments),
        ],
        lasts=lasts,
        settings=SETTINGS,
        seed=seed,
    )


def burst(*, messages: int, others: int, seconds: float, lasts: float, answer: float = 0.35, seed: int = 4) -> Scene:
    """Let one app hand in very much at once, to the same providers that another app writes to."""
    random = Random(seed)
    big, little = replace(many(), answer_seconds=answer), small(100)
    addresses = Addresses(random, [(big, 70.0), *((provider, 30.0 / len(little)) for provider in little)])
    loud = (Handed(at, "newsletter", addresses.draw()) for at in evenly(random, messages=messages, seconds=seconds))
    moments = evenly(random, messages=others, seconds=lasts)
    quiet = (Handed(at, "booking", addresses.draw()) for at in moments)
    return Scene(
        name="burst of one app",
        providers=[big, *little],
        traffic=list(merge(loud, quiet, key=attrgetter("at"))),
        lasts=lasts,
        settings=SETTINGS,
        seed=seed,
    )
