"""site.py, sites.py and meters.py: limits, back-off, room, and the configured exceptions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from relay.delivery.contract import Host, Route
from relay.delivery.meters import RateWindow, Throughput
from relay.delivery.site import MIN_ROOM, Site
from relay.delivery.sites import Sites
from relay.delivery.transaction import Transaction, content_key
from relay.model import Category, Claimed
from relay.settings import Rate, SiteLimits, SiteOverride
from relay.store.sites import SiteRow
from tests.delivery.fake_sites import START, submission

LADDER = [timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=1)]
ROUTE = Route(site="mx.guest", hosts=(Host(name="mx.guest", ip="192.0.2.1", port=25),))


def transaction(*, is_fresh: bool = True, recipients: int = 1) -> Transaction:
    given = submission([f"{n}@guest.example" for n in range(recipients)])
    claims = [Claimed(delivery=delivery, message=given.message) for delivery in given.deliveries]
    return Transaction(claims=claims, route=ROUTE, content_key=content_key(claims[0]), is_fresh=is_fresh)


def site(**limits: object) -> Site:
    return Site("mx.guest", SiteLimits.model_validate(limits))


def take(of: Site, at: float = 0.0) -> Transaction:
    of.queue(transaction())
    taken = of.take(START + timedelta(seconds=at), mono=at)
    assert taken is not None
    return taken


def fail(of: Site, taken: Transaction, at: float = 0.0) -> bool:
    of.ended(taken)
    return of.failed(
        taken,
        START + timedelta(seconds=at),
        mono=at,
        category=Category.NETWORK,
        reply="no answer",
        ladder=LADDER,
        random=lambda: 0.5,
    )


def test_trouble_climbs_the_ladder_one_probe_at_a_time_and_success_starts_anew() -> None:
    made = site()
    at = 0.0
    for wait in (60, 300, 3600, 3600):
        assert fail(made, take(made, at), at)
        made.queue(transaction())
        assert made.take(START + timedelta(seconds=at + wait - 1), mono=at + wait - 1) is None
        made.drain()
        at += wait
    probe = take(made, at)
    assert probe.is_probe
    made.queue(transaction())
    assert made.take(START + timedelta(seconds=at), mono=at) is None
    made.ended(probe)
    assert made.succeeded(probe, mono=at)
    assert made.step == 0
    assert fail(made, take(made, at), at)
    assert made.until_at == START + timedelta(seconds=at + 60)


def test_results_of_one_wave_of_trouble_are_one_step() -> None:
    made = site()
    wave = [take(made) for _ in range(5)]
    assert [fail(made, taken) for taken in wave[:4]] == [True, False, False, False]
    assert not made.succeeded(wave[4], mono=0)  # begun before the trouble: no sign of health
    assert made.step == 1


def test_concurrency_is_back_to_full_within_20_deliveries() -> None:
    for connections in (1, 7, 20, 100):
        made = site(connections=connections)
        fail(made, take(made))
        made.answered(60)
        for number in range(20):
            taken = take(made, 60)
            made.ended(taken)
            made.succeeded(taken, mono=60)
            made.workers = number
        made.workers = connections - 1
        assert made.may_connect(60)
        made.workers = connections
        assert not made.may_connect(60)


def test_an_unknown_site_is_looked_at_with_one_connection() -> None:
    made = site()
    assert made.may_connect(0)
    made.workers = made.connecting = 1
    assert not made.may_connect(0)
    made.connecting = 0
    made.answered(0)
    made.connecting = 1
    assert made.may_connect(59)
    assert not made.may_connect(61)


def test_a_refused_connection_lowers_the_limit_for_a_minute() -> None:
    made = site(connections=10)
    made.answered(0)
    made.sessions = made.workers = 3
    made.shrink(0)
    assert not made.may_connect(0)
    made.succeeded(take(made, 30), mono=30)
    assert not made.may_connect(30)
    made.succeeded(take(made, 61), mono=61)
    assert made.may_connect(61)


def test_first_tries_and_retries_take_turns() -> None:
    made = site()
    for is_fresh in (True, True, True, False, False):
        made.queue(transaction(is_fresh=is_fresh))
    taken = [made.take(START, mono=0) for _ in range(5)]
    assert [each.is_fresh for each in taken if each] == [True, False, True, False, True]


def test_retries_wait_when_their_share_of_connections_is_used() -> None:
    made = site()
    made.queue(transaction(is_fresh=False))
    assert made.take(START, mono=0, is_due_allowed=False) is None
    assert made.take(START, mono=0) is not None


def test_a_rate_is_kept_in_every_window() -> None:
    window = RateWindow(Rate(3, timedelta(seconds=10)))
    sent = []
    at = 0.0
    while at < 60:
        if window.wait(at) <= 0:
            window.spend(at)
            sent.append(at)
        at += 0.5
    assert len(sent) == 18
    assert all(later - earlier >= 10 for earlier, later in zip(sent, sent[3:], strict=False))


def test_throughput_forgets_after_five_seconds() -> None:
    meter = Throughput()
    for second in range(10):
        meter.add(10, second + 0.9)
    assert meter.total(9.9) == 50
    assert meter.total(12.0) == 20
    assert meter.total(100.0) == 0


def test_room_follows_the_pace_once_it_is_known() -> None:
    made = site()
    made.add_load(5000, mono=0)
    assert made.has_room(1)  # nobody knows yet how fast it is
    assert not made.has_room(3)
    made.completed(2600, mono=3)
    assert made.has_room(3)
    assert not made.has_room(9)


def test_what_waits_beyond_the_room_is_taken_out_newest_retries_first() -> None:
    made = site()
    waiting = [transaction(is_fresh=number < 40) for number in range(80)]
    for each in waiting:
        made.queue(each)
        made.add_load(1, mono=0)
    assert made.trim(1) == []
    assert made.trim(3) == waiting[:49:-1]
    assert made.queued == MIN_ROOM


def test_deliveries_sent_away_from_a_slow_site_are_spread() -> None:
    made = site()
    waits = [made.away_for(START, mono=0, ladder=LADDER).total_seconds() for _ in range(1000)]
    assert waits[0] == 1
    assert waits == sorted(waits)
    assert waits[-1] == 60


def test_deliveries_wait_for_the_step_or_for_the_probe_at_most_one_step() -> None:
    made = site()
    fail(made, take(made))
    assert made.away_for(START + timedelta(seconds=20), mono=20, ladder=LADDER) == timedelta(seconds=40)
    take(made, 60)
    assert made.away_for(START + timedelta(seconds=61), mono=61, ladder=LADDER) == LADDER[0]


def test_a_back_off_that_somebody_removed_from_the_store_is_probed_at_once() -> None:
    made = site()
    fail(made, take(made))
    assert not made.is_pardoned({"mx.guest"}, now=START, mono=10)
    assert not made.is_pardoned(set(), now=START, mono=4)  # perhaps not stored yet
    assert made.is_pardoned(set(), now=START, mono=10)
    assert not made.is_backing_off(START)
    assert take(made).is_probe


def override(**values: object) -> SiteOverride:
    return SiteOverride.model_validate(values)


@pytest.mark.parametrize(
    ("match", "key", "connections"),
    [
        ("mx.guest", "mx.guest", 3),
        ("MX.GUEST.", "mx.guest", 3),
        ("*.guest", "mx.guest", 3),
        ("guest.example", "mx.guest guest.example", 3),
        ("*.example", "mx.guest *.example", 3),
        ("other.example", "mx.guest", 20),
        ("uest.example", "mx.guest", 20),
        ("*.uest.example", "mx.guest", 20),
    ],
)
def test_an_override_matches_a_host_or_a_domain(match: str, key: str, connections: int) -> None:
    found = Sites(SiteLimits(), [override(match=match, connections=3)]).of(ROUTE, domain="guest.example")
    assert (found.key, found.limits.connections) == (key, connections)
    assert found.limits.messages_per_connection == 100


def test_a_stored_back_off_is_met_again_and_a_quiet_site_forgotten() -> None:
    sites = Sites(SiteLimits(), [])
    until = START + timedelta(minutes=5)
    sites.load([SiteRow(key="mx.guest", step=2, until_at=until, category=Category.NETWORK, updated_at=START)])
    found = sites.of(ROUTE, domain="guest.example")
    assert found.is_backing_off(START)
    sites.forget_quiet()
    assert sites.of(ROUTE, domain="guest.example") is found
    assert found.record(START).step == 2
    quiet = sites.of(Route(site="mx.other"), domain="other.example")
    sites.forget_quiet()
    assert sites.of(Route(site="mx.other"), domain="other.example") is not quiet
