"""Dividing a site's limits: every process computes its part alone, and together they keep to the whole."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from relay.delivery.contract import Host, Route
from relay.delivery.share import Share
from relay.delivery.sites import Sites
from relay.settings import Rate, SiteLimits, SiteOverride

MINUTE = timedelta(minutes=1)

names = st.lists(st.text("abc123/-", min_size=1, max_size=12), min_size=1, max_size=12, unique=True)


@given(owners=names, connections=st.integers(1, 50), count=st.none() | st.integers(1, 50), key=st.text(max_size=20))
def test_all_parts_together_are_the_whole(owners: list[str], connections: int, count: int | None, key: str) -> None:
    rate = Rate(count=count, per=MINUTE) if count else None
    whole = SiteLimits(connections=connections, rate=rate)
    parts = [Share(owner=owner, owners=owners).of(whole, key=key) for owner in owners]
    assert sum(part.connections for part in parts) == connections
    working = [part for part in parts if part.connections]
    assert max(part.connections for part in working) - min(part.connections for part in working) <= 1
    if count:
        assert all(part.rate is not None and part.rate.count >= 1 for part in working)
        assert sum(part.rate.count for part in working if part.rate) == count
        assert {part.rate.per for part in working if part.rate} == {MINUTE}


def test_the_order_of_the_names_does_not_matter() -> None:
    limits = SiteLimits(connections=3)
    one = Share(owner="a", owners=("a", "b")).of(limits, key="mx.example")
    assert one == Share(owner="a", owners=("b", "a")).of(limits, key="mx.example")


def test_small_limits_of_different_sites_do_not_all_fall_to_one() -> None:
    limits = SiteLimits(connections=1)
    share = Share(owner="a", owners=("a", "b"))
    given_to_a = sum(share.of(limits, key=f"mx{number}.example").connections for number in range(100))
    assert 25 < given_to_a < 75


def test_an_exception_for_one_site_keeps_its_rate_and_is_divided_like_any_other() -> None:
    override = SiteOverride(match="mx.example", rate=Rate(count=10, per=MINUTE))
    sites = Sites(SiteLimits(connections=4), [override])
    sites.divide(Share(owner="a", owners=("a", "b")))
    host = Host(name="mx.example", ip="192.0.2.1", port=25)
    site = sites.of(Route(site="mx.example", hosts=(host,)), domain="guest.example")
    assert (site.limits.connections, site.limits.rate) == (2, Rate(count=5, per=MINUTE))


def test_alone_or_unknown_a_process_keeps_the_whole() -> None:
    limits = SiteLimits(connections=7)
    assert Share().of(limits, key="x") is limits
    assert Share(owner="a", owners=("a",)).of(limits, key="x") is limits
    assert Share(owner="a", owners=("b", "c")).of(limits, key="x") is limits
