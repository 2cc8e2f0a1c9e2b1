"""How a site is shared and paced: turns between apps, ordered rates, limits of providers, waits that servers ask."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from relay.delivery.contract import Host, Route
from relay.delivery.gates import Gates
from relay.delivery.providers import Provider, load_providers
from relay.delivery.share import Share
from relay.delivery.site import MIN_ROOM, Site
from relay.delivery.site_keys import is_of_site, site_key
from relay.delivery.sites import Sites
from relay.delivery.transaction import Transaction, content_key
from relay.model import Category, Claimed
from relay.settings import SiteLimits, SiteOverride
from relay.store.steering import Steer, SteerKind
from tests.delivery.fake_sites import START, submission

LADDER = [timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=1)]
ROUTE = Route(site="mx.guest", hosts=(Host(name="mx.guest", ip="192.0.2.1", port=25),))


def transaction(app: str = "hotel", *, domain: str = "guest.example", is_fresh: bool = True) -> Transaction:
    given = submission([f"anna@{domain}"], app=app)
    claims = [Claimed(delivery=delivery, message=given.message) for delivery in given.deliveries]
    return Transaction(claims=claims, route=ROUTE, content_key=content_key(claims[0]), is_fresh=is_fresh)


def slow(scope: str, value: str, rate: str) -> Steer:
    return Steer(
        kind=SteerKind.SLOW, scope=scope, value=value, target=rate, reason="", by="sari", since_at=START, until_at=None
    )


def gates(*steers: Steer, owners: tuple[str, ...] = ("",)) -> Gates:
    made = Gates()
    made.change(steers, share=Share(owner=owners[0], owners=owners))
    return made


def site(*, gates: Gates | None = None, **limits: object) -> Site:
    return Site("mx.guest", SiteLimits.model_validate(limits), gates=gates)


def taken(of: Site, count: int, at: float = 0.0) -> list[str]:
    """Take up to so many now; name their apps."""
    found = (of.take(START + timedelta(seconds=at), mono=at) for _ in range(count))
    return [each.message.app for each in found if each is not None]


# -- turns


def test_the_apps_of_a_site_take_turns() -> None:
    made = site()
    for app in ("shop", "shop", "shop", "hotel", "hotel", "spa"):
        made.queue(transaction(app))
    assert taken(made, 6) == ["shop", "hotel", "spa", "shop", "hotel", "shop"]


def test_a_burst_of_one_app_does_not_starve_another() -> None:
    """A site that takes one mail a second gets 1,000 of one app, then one a minute of another: none waits 3 s."""
    made = site()
    for _ in range(1000):
        made.queue(transaction("shop"))
    waits, asked = [], 0.0
    for second in range(600):
        if second % 60 == 0:
            made.queue(transaction("hotel"))
            asked = second
        if taken(made, 1, float(second)) == ["hotel"]:
            waits.append(second - asked)
    assert len(waits) == 10
    assert max(waits) <= 2


def test_an_app_goes_on_alone_when_the_others_have_nothing() -> None:
    made = site()
    for app in ("shop", "hotel", "shop", "shop"):
        made.queue(transaction(app))
    assert taken(made, 4) == ["shop", "hotel", "shop", "shop"]


def test_new_mail_and_retries_take_turns_within_the_turns_of_the_apps() -> None:
    made = site()
    for number in range(6):
        made.queue(transaction("shop" if number % 2 else "hotel", is_fresh=number < 3))
    order = [made.take(START, mono=0) for _ in range(6)]
    assert [each.is_fresh for each in order if each] == [True, False] * 3


def test_what_was_put_back_is_the_very_next() -> None:
    made = site()
    for app in ("shop", "hotel"):
        made.queue(transaction(app))
    first = made.take(START, mono=0)
    assert first is not None
    made.queue(first, is_first=True)
    assert made.take(START, mono=0) is first


def test_an_app_below_its_share_of_the_room_always_finds_some() -> None:
    made = site()
    for _ in range(MIN_ROOM):
        made.queue(transaction("shop"))
        made.add_load(1, mono=0)
    assert not made.has_room(3, app="shop")
    assert made.has_room(3, app="hotel")
    for _ in range(MIN_ROOM // 2):
        made.queue(transaction("hotel"))
        made.add_load(1, mono=0)
    assert not made.has_room(3, app="hotel")


def test_the_app_with_the_most_waiting_gives_up_its_newest_first() -> None:
    made = site()
    for number in range(MIN_ROOM + 20):
        made.queue(transaction("hotel" if number % 7 == 0 else "shop"))
        made.add_load(1, mono=0)
    assert Counter(each.message.app for each in made.trim(3)) == {"shop": 20}


# -- ordered rates


@pytest.mark.parametrize(
    ("scope", "value", "is_slowed"),
    [
        ("all", "", True),
        ("site", "mx.guest", True),
        ("site", "mx.other", False),
        ("domain", "guest.example", True),
        ("domain", "other.example", False),
        ("app", "hotel", True),
        ("app", "shop", False),
    ],
)
def test_an_ordered_rate_is_kept_where_it_was_ordered(scope: str, value: str, is_slowed: bool) -> None:
    made = site(gates=gates(slow(scope, value, "2/10s")))
    for _ in range(20):
        made.queue(transaction())
    sent = [second for second in range(30) for _ in taken(made, 20, float(second))]
    assert sent == ([0, 0, 10, 10, 20, 20] if is_slowed else [0] * 20)


def test_what_is_slowed_down_is_passed_over_and_says_when_it_may_go() -> None:
    made = site(gates=gates(slow("app", "shop", "1/1m")))
    for app in ("shop", "shop", "hotel"):
        made.queue(transaction(app))
    assert taken(made, 3) == ["shop", "hotel"]
    assert made.rate_wait(15) == 45
    assert taken(made, 3, 60) == ["shop"]


def test_a_slowed_domain_does_not_hold_up_the_others_of_its_app() -> None:
    made = site(gates=gates(slow("domain", "slow.example", "1/1m")))
    for domain in ("slow.example", "slow.example", "guest.example", "guest.example"):
        made.queue(transaction(domain=domain))
    assert len(taken(made, 4)) == 3


def test_a_changed_order_counts_what_went_already_and_an_ended_one_holds_nobody() -> None:
    ordered = gates(slow("all", "", "2/1m"))
    made = site(gates=ordered)
    for _ in range(6):
        made.queue(transaction())
    assert len(taken(made, 6)) == 2
    assert ordered.change([slow("all", "", "3/1m")], share=Share())
    assert len(taken(made, 6, 1)) == 1
    assert not ordered.change([slow("all", "", "3/1m")], share=Share())
    assert ordered.change([], share=Share())
    assert len(taken(made, 6, 2)) == 3


@pytest.mark.parametrize(("rate", "most"), [("60/1m", 60), ("7/1m", 7), ("1/1m", 1)])
def test_several_processes_together_keep_to_an_ordered_rate(rate: str, most: int) -> None:
    """Within ten minutes; rates below the number of processes hold on average."""
    owners = ("a", "b", "c")
    sent = 0
    for owner in owners:
        made = site(gates=gates(slow("all", "", rate), owners=(owner, *(each for each in owners if each != owner))))
        for _ in range(700):
            made.queue(transaction())
        sent += sum(len(taken(made, 700, float(second))) for second in range(600))
    assert most * 10 * 0.8 <= sent <= most * 10 + len(owners)


# -- waits that servers ask for


def failed(reply: str, category: Category = Category.RATE_LIMITED) -> Site:
    made = site()
    made.queue(transaction())
    probe = made.take(START, mono=0)
    assert probe is not None
    made.ended(probe)
    made.failed(probe, START, mono=0, category=category, reply=reply, ladder=LADDER, random=lambda: 0.5)
    return made


@pytest.mark.parametrize(
    ("reply", "minutes"),
    [
        ("too many connections", 1),
        ("too many connections, try again in 20 seconds", 1),  # never sooner than the ladder
        ("too many messages, try again in 10 minutes", 10.5),
        ("your address is blocked for 24 hours", 63),  # never longer than its last step
    ],
)
def test_a_site_is_left_alone_as_long_as_its_answer_asks(reply: str, minutes: float) -> None:
    assert failed(reply).until_at == START + timedelta(minutes=minutes)


def test_a_site_that_asked_for_time_is_back_at_full_concurrency_within_20_deliveries() -> None:
    made = failed("too many messages, try again in 10 minutes")
    after = timedelta(minutes=11)
    made.answered(after.total_seconds())
    for number in range(20):
        made.queue(transaction())
        probe = made.take(START + after, mono=after.total_seconds())
        assert probe is not None, number
        made.ended(probe)
        made.succeeded(probe, mono=after.total_seconds())
    made.workers = 19
    assert made.may_connect(after.total_seconds())


# -- providers


def route(*hosts: str, sources: tuple[str, ...] = ()) -> Route:
    made = tuple(Host(name=name, ip="192.0.2.1", port=25, sources=sources) for name in hosts)
    return Route(site=",".join(sorted(hosts)), hosts=made)


@pytest.mark.parametrize(
    ("host", "connections", "messages"),
    [
        ("gmail-smtp-in.l.google.com", 10, 50),
        ("aspmx.l.google.com", 10, 50),
        ("mta7.am0.yahoodns.net", 5, 20),
        ("outlook-com.olc.protection.outlook.com", 10, 50),
        ("guest-example.mail.protection.outlook.com", 5, 50),
        ("smtp-in.orange.fr", 2, 100),
        ("mx1.guest.example", 20, 100),
        ("notgoogle.com", 20, 100),
    ],
)
def test_the_big_providers_get_what_they_take(host: str, connections: int, messages: int) -> None:
    made = Sites(SiteLimits(), [], providers=load_providers()).of(route(host), domain="guest.example")
    assert (made.limits.connections, made.limits.messages_per_connection) == (connections, messages)


def test_every_figure_of_a_provider_has_a_source_and_is_no_more_than_cautious() -> None:
    names = [each.name for each in load_providers()]
    assert len(names) == len(set(names)) >= 8
    for each in load_providers():
        assert len(each.source) > 30, each.name
        assert each.hosts
        assert 1 <= each.connections <= 25
        assert 1 <= each.messages_per_connection <= 100


@pytest.mark.parametrize(
    ("override", "connections", "messages"),
    [({"connections": 40}, 40, 20), ({"messages_per_connection": 7}, 5, 7), ({"rate": "60/1m"}, 5, 20)],
)
def test_the_configuration_wins_over_a_provider_key_by_key(
    override: dict[str, object], connections: int, messages: int
) -> None:
    given = SiteOverride.model_validate({"match": "*.yahoodns.net", **override})
    made = Sites(SiteLimits(), [given], providers=load_providers()).of(route("mta5.yahoodns.net"), domain="x.example")
    assert (made.limits.connections, made.limits.messages_per_connection) == (connections, messages)


def test_a_provider_never_raises_what_the_configuration_gives_every_site() -> None:
    big = Provider(
        name="Big", hosts=("*.big.example",), connections=25, messages_per_connection=100, published=True, source="…"
    )
    made = Sites(SiteLimits(connections=2, messages_per_connection=3), [], providers=[big])
    limits = made.of(route("mx.big.example"), domain="x.example").limits
    assert (limits.connections, limits.messages_per_connection) == (2, 3)


# -- keys


def test_mail_from_chosen_source_addresses_has_a_site_of_its_own() -> None:
    sites = Sites(SiteLimits(), [])
    shared = sites.of(route("mx.guest"), domain="guest.example")
    own = sites.of(route("mx.guest", sources=("192.0.2.25",)), domain="guest.example")
    assert own is not shared
    assert own.key == "mx.guest from=192.0.2.25"
    assert sites.of(route("mx.guest", sources=("192.0.2.25",)), domain="other.example") is own


@pytest.mark.parametrize(
    ("key", "value", "fits"),
    [
        ("mx1.a,mx2.a", "mx1.a,mx2.a", True),
        ("mx1.a,mx2.a", "MX2.a", True),
        ("mx1.a,mx2.a", "mx", False),
        ("mx1.a,mx2.a guest.example from=192.0.2.25", "mx1.a,mx2.a", True),
        ("mx1.a,mx2.a", "mx1.a,mx2.a guest.example", True),
        ("mx1.a,mx2.a", "mx1.a,mx3.a", False),
    ],
)
def test_a_person_names_a_site_by_its_hosts(key: str, value: str, fits: bool) -> None:
    assert is_of_site(key, value) is fits


def test_a_key_says_what_sets_a_site_apart() -> None:
    assert site_key("mx.a") == "mx.a"
    assert site_key("mx.a", pattern="*.example", sources=("192.0.2.1", "2001:db8::1")) == (
        "mx.a *.example from=192.0.2.1,2001:db8::1"
    )


def test_an_order_ends_with_its_time() -> None:
    steer = replace(slow("all", "", "1/1m"), until_at=START + timedelta(hours=1))
    assert [steer.holds(at) for at in (START, START + timedelta(hours=1))] == [True, False]
    assert replace(steer, until_at=None).holds(datetime.max.replace(tzinfo=START.tzinfo))
