"""The real scheduler and SQLite store on a virtual clock: the small form of `make simulation`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from bench.simulation import scenes
from bench.simulation.picture import Line, Panel, draw
from bench.simulation.play import Played, Scene, play
from bench.simulation.providers import Outage
from bench.simulation.reading import (
    all_faults,
    back_at,
    drained_after,
    herd_faults,
    late_faults,
    limit_faults,
    lost_faults,
    percentile,
    probe_faults,
    probes,
    waits,
)
from bench.simulation.scenes import HOUR
from bench.simulation.virtual import NothingWillHappen, run, seconds

#: Shorter than in `make simulation`, which has the whole ladder and six hours.
AWAY = 2 * HOUR
LADDER = ["1m", "5m", "15m", "1h"]


@pytest.fixture(scope="module")
def one_away() -> Played:
    scene = scenes.outage_of_one(messages=200, days=3.5 / 24, begin=0.2 * HOUR, lasts=3.8 * HOUR, away=AWAY)
    return play(with_ladder(scene))


@pytest.fixture(scope="module")
def ours_away() -> Played:
    scene = scenes.outage_of_ours(messages=200, days=3.5 / 24, begin=0.2 * HOUR, lasts=3.8 * HOUR, away=AWAY)
    return play(with_ladder(scene))


def with_ladder(scene: Scene) -> Scene:
    return replace(scene, settings={**scenes.SETTINGS, "delivery": {"retry": LADDER}})


def test_virtual_time_jumps_to_the_next_timer_and_never_runs_by_itself() -> None:
    seen = []

    async def scene() -> None:
        await asyncio.sleep(7 * 86400.0)
        seen.append(seconds())
        async with asyncio.timeout(5.0):
            await asyncio.sleep(0)
        seen.append(seconds())

    run(scene)
    assert seen == [7 * 86400.0, 7 * 86400.0]


def test_a_wait_that_nothing_can_end_is_an_error_and_no_hang() -> None:
    async def scene() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(NothingWillHappen):
        run(scene)


def test_other_providers_mail_is_tried_at_once_while_one_is_away_for_hours(one_away: Played) -> None:
    assert all_faults(one_away) == []
    assert percentile(waits(one_away), 0.95) < 1.0


def test_a_provider_that_is_away_is_asked_once_a_step_and_its_mail_follows_when_it_is_back(one_away: Played) -> None:
    big = one_away.scene.providers[0]
    assert 4 <= probes(one_away, big) <= 6
    drained = drained_after(one_away, big.name)
    assert drained is not None
    assert drained < 300.0


def test_when_our_own_network_is_back_there_is_no_herd_and_nothing_is_lost(ours_away: Played) -> None:
    assert all_faults(ours_away) == []
    assert all(back_at(ours_away, provider.name) for provider in ours_away.scene.providers[:4])


def test_a_rate_is_used_to_the_full_and_kept_to() -> None:
    played = play(scenes.paced(messages=200, seconds=10.0, lasts=300.0))
    assert [*limit_faults(played), *lost_faults(played)] == []
    count, window = scenes.RATE
    assert played.internet.sights[scenes.PACED.name].most_within(window) >= count
    assert played.statuses == {"delivered": 200}


def test_new_mail_does_not_wait_for_a_backlog_that_is_due_at_once() -> None:
    played = play(scenes.backlog(deferred=1500, messages=60, lasts=60.0, dead_hosts=30))
    assert all_faults(played) == []
    assert played.in_memory <= 2000
    assert len(waits(played)) == 60


def test_retries_for_living_providers_do_not_wait_for_hundreds_of_dead_ones() -> None:
    """Looking at all dead servers takes minutes; the two living ones need six seconds for what waits for them."""
    played = play(scenes.backlog(deferred=3000, messages=20, lasts=30.0, dead_hosts=600))
    assert all_faults(played) == []


@pytest.mark.parametrize("is_dns", [True, False])
def test_a_thousand_mails_for_a_domain_that_hangs_delay_no_other(is_dns: bool) -> None:
    played = play(scenes.hung(messages=1000, others=300, lasts=40.0, is_dns=is_dns))
    waited = [first.waited for first in played.internet.firsts if first.provider != "bad.example"]
    found = percentile(waited, 0.99)
    print(f"{played.scene.name}: first tries of {len(waited)} other mails, 99 of 100 within {found:.2f} s")
    assert len(waited) == 300
    assert found <= 1.0


def test_a_black_hole_leaves_others_their_throughput() -> None:
    """The time to carry a burst to the others, with and without 1,000 mails for a server that never answers."""
    took = {}
    for messages in (0, 1000):
        played = play(scenes.hung(messages=messages, others=1000, lasts=20.0, is_dns=False, within=1.0))
        taken = [moment for moment, name, _ in played.internet.taken if name != "bad.example"]
        assert len(taken) == 1000
        took[messages] = max(taken)
    print(f"1,000 mails to others took {took[0]:.1f} s, beside a black hole {took[1000]:.1f} s")
    assert took[0] >= 0.9 * took[1000]


def test_thousands_of_mails_ask_a_dead_host_once_a_step() -> None:
    played = play(with_ladder(scenes.hung(messages=3000, others=10, lasts=480.0, is_dns=False)))
    connects = played.internet.sights["bad.example"].connects
    first, second = ([moment for moment, asked in connects if asked == f"mx{n}.bad.example"] for n in (1, 2))
    print(f"3,000 mails: the first host was asked after {first} s, the second after {second} s")
    assert list(probe_faults(played)) == []
    gaps = [later - earlier for earlier, later in pairwise(first)]
    # One minute and five, ±10 %, and half a minute for each host that stays silent before.
    assert [0.9 * step <= gap <= 1.1 * step + 60 for gap, step in zip(gaps, (60, 300), strict=True)] == [True, True]
    assert len(second) <= len(first)
    assert played.statuses == {"deferred": 3, "queued": 2997, "delivered": 10}


def test_the_burst_of_one_app_does_not_keep_another_waiting() -> None:
    played = play(scenes.burst(messages=800, others=40, seconds=10.0, lasts=100.0, answer=1.5))
    assert all_faults(played, app="booking") == []
    assert percentile(waits(played, app="newsletter"), 0.95) > 30.0  # else there was no burst to speak of


def test_the_same_seed_gives_the_same_run() -> None:
    def traces() -> Iterator[object]:
        played = play(scenes.burst(messages=100, others=20, seconds=5.0, lasts=20.0))
        sights = played.internet.sights
        yield played.statuses
        yield played.internet.taken
        yield [(name, sight.connects, sight.levels) for name, sight in sights.items()]

    assert list(traces()) == list(traces())


def test_too_many_connections_too_fast_and_too_late_would_be_found() -> None:
    settings = {"delivery": {"site": {"connections": 30}}}
    scene = replace(scenes.burst(messages=300, others=1, seconds=1.0, lasts=60.0, answer=6.0), settings=settings)
    played = play(scene)
    found = [*limit_faults(played), *late_faults(played)]
    assert any("30 connections, 20 are allowed" in fault for fault in found), found
    assert any("refused" in fault for fault in found), found
    assert any("the first try of new mail waited" in fault for fault in found), found


def test_asking_too_often_a_herd_and_lost_mail_would_be_found(one_away: Played) -> None:
    internet = one_away.internet
    host = "mx1.many.example"
    moment = next(at for at, _ in internet.sights["many.example"].connects if at > 0.5 * HOUR)
    back = back_at(one_away, "many.example")
    assert back is not None
    spoilt = replace(internet.sights["many.example"])
    spoilt.connects = sorted([*spoilt.connects, (moment + 20.0, host), (back - 0.01, host), (back - 0.01, host)])
    sights = {**internet.sights, "many.example": spoilt}
    other = replace(one_away, internet=replace(internet, sights=sights), statuses={"delivered": 1})
    assert any("again after" in fault for fault in probe_faults(other))
    assert any("before it had answered" in fault for fault in herd_faults(other))
    assert any("handed in" in fault for fault in lost_faults(other))


def test_the_picture_is_made_of_its_panels() -> None:
    panel = Panel(
        title="<A> & B",
        x_label="hours",
        lines=[Line(name="messages", points=[(0.0, 0.0), (1.0, 7.0)], is_step=True)],
        shaded=(0.2, 0.4, "away"),
        limit=(5.0, "allowed"),
    )
    svg = draw([panel], title="Title")
    assert "&lt;A&gt; &amp; B" in svg
    assert "H880.0V" in svg
    assert "allowed" in svg


def test_an_outage_lasts_from_its_begin_until_before_its_end() -> None:
    outage = Outage(begin=1.0, end=2.0)
    assert [outage.has(moment) for moment in (0.9, 1.0, 1.9, 2.0)] == [False, True, True, False]
