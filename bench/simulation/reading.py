"""What a played scene shows: the figures, and in words whatever should not have happened.

A promise is looked at from the outside, in what the providers saw: their connections and messages, when a new mail was
first tried, how often a host that was away was asked. Each `…_faults` function returns a sentence for each fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from bench.simulation.play import Played
from bench.simulation.providers import CONNECT_TIMEOUT, First, Outage, Provider
from bench.simulation.scenes import PACED, RATE, limits

#: New mail is first tried within this, for 95 of 100.
PROMISED_SECONDS = 2.0
#: The first step of the retry ladder, shortened by as much as jitter may.
_SHORTEST_STEP = 54.0
#: Connections that a host is asked for in six hours at most: the ladder has 1, 5, 15, 60, 240 minutes.
_MOST_PROBES = 7
#: New connections in a second, over all sites together, when everybody is back at once.
_MOST_IN_A_SECOND = 50


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value that this share of all does not exceed."""
    found = sorted(values)
    if not found:
        raise ValueError("no values")
    return found[min(len(found) - 1, int(len(found) * share))]


def waits(played: Played, *, app: str | None = None) -> list[float]:
    """Return how long new mail waited for its first try, without what was for a provider that was away."""
    return [
        first.waited
        for first in played.internet.firsts
        if (app is None or first.app == app) and not _is_for_absent(played, first)
    ]


def _is_for_absent(played: Played, first: First) -> bool:
    """Tell whether mail was handed in while its provider was away, or not known yet to be back."""
    outage = outage_of(played, first.provider)
    if outage is None or first.accepted < outage.begin:
        return False
    back = back_at(played, first.provider)
    return back is None or first.accepted < back


def outage_of(played: Played, name: str) -> Outage | None:
    """Return when nobody answered at a provider, by its fault or ours."""
    provider = next(each for each in played.scene.providers if each.name == name)
    return provider.outage or played.scene.network_outage


def back_at(played: Played, name: str) -> float | None:
    """Return when we first got through to a provider after its outage."""
    outage = outage_of(played, name)
    if outage is None:
        return None
    return next((moment for moment in played.internet.sights[name].opened if moment >= outage.end), None)


def limit_faults(played: Played) -> Iterator[str]:
    """Name providers that saw more of us than the configuration allows."""
    for provider in played.scene.providers:
        sight = played.internet.sights[provider.name]
        if sight.most_open > limits(provider):
            yield f"{provider.name} saw {sight.most_open} connections, {limits(provider)} are allowed"
        if sight.refused:
            yield f"{provider.name} refused {sight.refused} times"
        if provider.name == PACED.name and (most := sight.most_within(RATE[1])) > RATE[0]:
            yield f"{provider.name} saw {most} messages within {RATE[1]:g} s, {RATE[0]} are allowed"


def late_faults(played: Played, *, app: str | None = None) -> Iterator[str]:
    """Tell when new mail waited too long for its first try."""
    found = percentile(waits(played, app=app), 0.95)
    if found > PROMISED_SECONDS:
        yield f"the first try of new mail waited {found:.1f} s (95 of 100 less), {PROMISED_SECONDS:g} s are promised"


def probe_faults(played: Played) -> Iterator[str]:
    """Name hosts that were asked again too soon, or too often, while they were away."""
    for provider in played.scene.providers:
        for host, moments in _probes(played, provider).items():
            gaps = [later - earlier for earlier, later in pairwise(moments)]
            if gaps and min(gaps) < _SHORTEST_STEP:
                yield f"{host} was asked again after {min(gaps):.1f} s while it was away"
            if provider.outage is not None and provider.outage.end < played.scene.lasts and len(moments) > _MOST_PROBES:
                yield f"{host} was asked {len(moments)} times while it was away"


def _probes(played: Played, provider: Provider) -> dict[str, list[float]]:
    """Return when each host was asked while it was away; what had begun before the first answer failed is one."""
    outage = outage_of(played, provider.name)
    if outage is None:
        return {}
    found: dict[str, list[float]] = {}
    for moment, host in played.internet.sights[provider.name].connects:
        if not outage.has(moment):
            continue
        moments = found.setdefault(host, [])
        is_same = len(moments) == 1 and moment - moments[0] <= CONNECT_TIMEOUT / 2
        if not is_same:
            moments.append(moment)
    return found


def probes(played: Played, provider: Provider) -> int:
    """Return how often the most asked host of a provider was asked while it was away."""
    return max((len(moments) for moments in _probes(played, provider).values()), default=0)


def herd_faults(played: Played) -> Iterator[str]:
    """Tell when more than one connection went to a provider before the first had shown that it is back."""
    for provider in played.scene.providers:
        back = back_at(played, provider.name)
        if back is None:
            continue
        sight = played.internet.sights[provider.name]
        shown = next((moment for moment in sight.answered if moment >= back), None)
        outage = outage_of(played, provider.name)
        if shown is None or outage is None:
            continue
        asked = Counter(host for moment, host in sight.connects if outage.end <= moment < shown)
        if any(count > 1 for count in asked.values()):
            yield f"{provider.name} got {dict(asked)} connections before it had answered a message"
    if played.scene.network_outage is not None and (most := most_connects(played)) > _MOST_IN_A_SECOND:
        yield f"{most} connections were begun within one second"


def most_connects(played: Played) -> int:
    """Return the most connections begun within a second of the clock, over all providers."""
    sights = played.internet.sights.values()
    seconds = Counter(int(moment) for sight in sights for moment, _ in sight.connects)
    return max(seconds.values(), default=0)


def lost_faults(played: Played) -> Iterator[str]:
    """Name what is missing, came twice, or still waits although its provider is there."""
    handed = len(played.scene.traffic) + len(played.scene.waiting)
    if (kept := sum(played.statuses.values())) != handed:
        yield f"{handed} deliveries were handed in, {kept} are in the log"
    taken = [key for _, _, key in played.internet.taken]
    if len(taken) != len(set(taken)):
        yield f"{len(taken) - len(set(taken))} deliveries were taken twice"
    if played.statuses.get("delivered", 0) != len(taken):
        yield f"{len(taken)} were taken, {played.statuses.get('delivered', 0)} are shown as delivered"
    away = {each for provider in played.scene.providers if _is_gone(played, provider) for each in provider.domains}
    waiting = {domain: count for domain, count in played.left.items() if domain not in away}
    if waiting:
        yield f"still waiting at the end: {waiting}"


def _is_gone(played: Played, provider: Provider) -> bool:
    return provider.outage is not None and provider.outage.end > played.scene.lasts


def drained_after(played: Played, name: str) -> float | None:
    """Return the seconds between when a provider was back and the first try of all that had waited for it."""
    back = back_at(played, name)
    tried = [
        first.tried for first in played.internet.firsts if first.provider == name and back and first.accepted < back
    ]
    return None if back is None or not tried else max(0.0, max(tried) - back)


def all_faults(played: Played, *, app: str | None = None) -> Sequence[str]:
    """Return everything that should not have happened; `app`: whose mail was promised to be tried soon."""
    return [
        *limit_faults(played),
        *late_faults(played, app=app),
        *probe_faults(played),
        *herd_faults(played),
        *lost_faults(played),
    ]
