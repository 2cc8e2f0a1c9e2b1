"""Play the whole simulation, print its figures as a table, and draw docs/simulation.svg; `make simulation` runs it.

It ends with an error when anything happened that should not have.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bench.simulation import scenes
from bench.simulation.picture import Line, Panel, draw
from bench.simulation.play import COMMIT_SECONDS, Played, Scene, play
from bench.simulation.providers import Outage
from bench.simulation.reading import all_faults, back_at, drained_after, most_connects, percentile, probes, waits
from bench.simulation.scenes import CONNECTIONS, HOUR
from bench.simulation.traffic import DAY

PICTURE = Path("docs/simulation.svg")
BIG = "many.example"
QUIET = "booking"  #: the app whose mail is promised to be tried soon

#: The longest first: as many are played at a time as there are cores.
WHOLE: tuple[Callable[[], Scene], ...] = (
    lambda: scenes.outage_of_one(messages=21_000, days=7, begin=DAY + 9 * HOUR, lasts=7 * DAY),
    lambda: scenes.outage_of_ours(messages=3_000, days=1, begin=9 * HOUR, lasts=1.25 * DAY),
    lambda: scenes.backlog(deferred=100_000, messages=600, lasts=600, dead_hosts=2000),
    lambda: scenes.burst(messages=20_000, others=300, seconds=60, lasts=600),
)


def main() -> int:
    """Play everything; 1 when something is wrong."""
    with ProcessPoolExecutor() as processes:
        played = list(processes.map(_play, range(len(WHOLE))))
    print(table(played))
    PICTURE.write_text(picture(played[0], played[1]), encoding="utf-8")
    faults = [f"{one.scene.name}: {fault}" for one in played for fault in all_faults(one, app=QUIET)]
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def _play(number: int) -> Played:
    logging.disable(logging.CRITICAL)
    return play(WHOLE[number]())


def table(played: Iterable[Played]) -> str:
    """Return the figures as Markdown."""
    lines = [
        "| scene | virtual time | messages | first try of new mail, s: p50 / p95 / most "
        "| most connections at one provider (allowed) | refused for being too much | most in memory | real time |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in played:
        waited = waits(one, app=QUIET)
        sights = one.internet.sights
        most = max(scenes.limits(each) for each in one.scene.providers)
        cells = [
            one.scene.name,
            _span(one.scene.lasts),
            f"{len(one.scene.traffic) + len(one.scene.waiting):,}",
            " / ".join(f"{percentile(waited, share):.2f}" for share in (0.5, 0.95, 1.0)),
            f"{max(sight.most_open for sight in sights.values())} ({most})",
            str(sum(sight.refused for sight in sights.values())),
            f"{one.in_memory:,}",
            f"{one.real_seconds:.0f} s",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", *(line for one in played for line in _recovery(one))]
    units = sorted(took for one in played for took in one.units)
    cost = f"A write to the store took {percentile(units, 0.5) * 1000:.1f} ms (95 of 100 less than"
    lines += [f"{cost} {percentile(units, 0.95) * 1000:.1f} ms); on the virtual clock {COMMIT_SECONDS * 1000:g} ms."]
    return "\n".join(lines)


def _span(seconds: float) -> str:
    return f"{seconds / HOUR:g} h" if seconds >= HOUR else f"{seconds / 60:g} min"


def _recovery(played: Played) -> Iterable[str]:
    """Say how it went after an outage."""
    big = played.scene.providers[0]
    outage, back, drained = _outage(played), back_at(played, BIG), drained_after(played, BIG)
    if outage is None or back is None or drained is None:
        return
    yield (
        f"{played.scene.name}: {BIG} was asked {probes(played, big)} times during its outage of "
        f"{(outage.end - outage.begin) / HOUR:g} hours, found to be there {(back - outage.end) / 60:.0f} minutes "
        f"after it was, and all that had waited was tried {drained:.0f} s later; "
        f"at most {most_connects(played)} connections were begun in any second, over all providers."
    )


def _outage(played: Played) -> Outage | None:
    return played.scene.providers[0].outage or played.scene.network_outage


def picture(one: Played, ours: Played) -> str:
    """Draw the outage of a provider, the first seconds after it, and our own outage."""
    return draw([_week(one), _ramp(one), _network(ours)], title="Two outages on a virtual clock")


def _week(played: Played) -> Panel:
    outage = _outage(played)
    domains = set(played.scene.providers[0].domains)
    handed = [each.at for each in played.scene.traffic if each.address.rpartition("@")[2] in domains]
    taken = [at for at, name, _ in played.internet.taken if name == BIG]
    return Panel(
        title="Mail to one provider, messages by the hour",
        x_label="days",
        ticks=7,
        lines=[
            Line(name="handed in", points=_by_hour(handed, played.scene.lasts), is_step=True),
            Line(name="taken by the provider", points=_by_hour(taken, played.scene.lasts), is_step=True),
        ],
        shaded=(outage.begin / DAY, outage.end / DAY, "away") if outage else None,
    )


def _by_hour(moments: Iterable[float], lasts: float) -> list[tuple[float, float]]:
    counts = Counter(int(moment // HOUR) for moment in moments)
    return [(hour / 24, counts[hour]) for hour in range(int(lasts // HOUR) + 1)]


def _ramp(played: Played) -> Panel:
    back = back_at(played, BIG) or 0.0
    levels = [
        (moment - back, float(count))
        for moment, count in played.internet.sights[BIG].levels
        if -2.0 <= moment - back <= 30.0
    ]
    return Panel(
        title="Connections to it when it is back: one asks, then more with each success",
        x_label="seconds after its first answer",
        ticks=8,
        lines=[Line(name="connections", points=[(-2.0, 0.0), *levels, (30.0, levels[-1][1])], is_step=True)],
        limit=(CONNECTIONS, "allowed"),
    )


def _network(played: Played) -> Panel:
    outage = _outage(played)
    counts = Counter(int(moment // 300) for sight in played.internet.sights.values() for moment, _ in sight.connects)
    spans = range(int(played.scene.lasts // 300) + 1)
    return Panel(
        title=f"Our own network away: connections begun to {len(played.scene.providers)} providers, by five minutes",
        x_label="hours",
        ticks=8,
        lines=[Line(name="connections begun", points=[(each / 12, counts[each]) for each in spans], is_step=True)],
        shaded=(outage.begin / HOUR, outage.end / HOUR, "away") if outage else None,
    )


if __name__ == "__main__":
    sys.exit(main())
