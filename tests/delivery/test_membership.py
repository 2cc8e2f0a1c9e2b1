"""Living beside other delivery processes: when a process is cut off, when it is back, what it is told."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from relay.clock import StoreClock
from relay.delivery import membership
from relay.delivery.desk import Desk, Pulse
from relay.delivery.membership import Membership
from relay.delivery.share import Share
from relay.delivery.site import Site
from relay.errors import StoreError
from relay.model import Category
from relay.settings import SiteLimits
from relay.store.nodes import Member
from relay.store.sites import SiteRow

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ME = Member(owner="one/1", node="one", role="delivery", version="1")


class FakeDesk(Desk):
    """A store that answers, or does not."""

    def __init__(self) -> None:
        self.is_down = False
        self.is_new = True
        self.at = NOW

    async def beat(self, member: Member, *, now: datetime, patience: timedelta) -> Pulse:
        if self.is_down:
            raise StoreError("gone")
        is_new, self.is_new = self.is_new, False
        return Pulse(at=self.at, is_new=is_new, owners=(member.owner,), taken=0, sites=[])


class Told:
    """Remembers what it heard."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def cut_off(self) -> None:
        self.words.append("cut off")

    def among(self, pulse: Pulse, *, is_back: bool) -> None:
        self.words.append("back" if is_back else "well")


class Scene:
    """One process, its store and its clock."""

    def __init__(self) -> None:
        self.desk, self.told, self.mono = FakeDesk(), Told(), 1000.0
        self.membership = Membership(
            self.desk, ME, owner=self.told, clock=StoreClock(lambda: NOW), monotonic=lambda: self.mono, beat_seconds=0
        )

    def beat(self, *, after: float = 0.0) -> list[str]:
        self.mono += after
        asyncio.run(self.membership.beat())
        return self.told.words


def test_the_first_beat_is_no_return() -> None:
    scene = Scene()
    assert scene.beat() == ["well"]
    assert scene.beat(after=5) == ["well", "well"]


def test_without_an_answer_a_process_stops_long_before_others_bury_it() -> None:
    scene = Scene()
    scene.beat()
    scene.desk.is_down = True
    assert scene.beat(after=membership.FENCE - 1) == ["well"]
    assert scene.beat(after=1) == ["well", "cut off"]
    assert scene.beat(after=1) == ["well", "cut off"], "it is said once"
    worst = membership.BEAT + membership.ANSWER + membership.FENCE
    assert worst < membership.PATIENCE.total_seconds()


def test_one_that_was_cut_off_is_back_with_the_next_answer() -> None:
    scene = Scene()
    scene.beat()
    scene.desk.is_down = True
    scene.beat(after=membership.FENCE)
    scene.desk.is_down = False
    assert scene.beat(after=60)[-1] == "back"
    assert scene.beat(after=5)[-1] == "well"


def test_one_that_was_buried_without_noticing_is_told_so() -> None:
    scene = Scene()
    scene.beat()
    scene.desk.is_new = True
    assert scene.beat(after=5)[-1] == "back"


def test_a_clock_that_is_off_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene()
    scene.desk.at = NOW + timedelta(seconds=9)
    scene.beat()
    scene.beat()
    assert [record.levelname for record in caplog.records if "clock_skew" in record.getMessage()] == ["ERROR"]


# A site that several processes know.


def record(step: int = 1, *, at: datetime = NOW, until: datetime = NOW + timedelta(minutes=1)) -> SiteRow:
    category = Category.RATE_LIMITED
    return SiteRow(key="mx", step=step, until_at=until, category=category, reply="slow down", updated_at=at)


def test_a_back_off_found_elsewhere_is_kept_here_and_probed_later_than_there() -> None:
    site = Site("mx", SiteLimits())
    assert site.adopt(record())
    assert site.is_backing_off(NOW + timedelta(minutes=1)), "who found it probes first"
    assert not site.is_backing_off(NOW + timedelta(minutes=1, seconds=10))
    assert not site.adopt(record()), "it is known by now"


def test_what_is_older_than_our_own_knowledge_changes_nothing() -> None:
    site = Site("mx", SiteLimits())
    site.record(NOW)  # well, as we have just written
    assert not site.adopt(record(at=NOW - timedelta(seconds=1)))
    assert not site.adopt(record(step=0, at=NOW + timedelta(seconds=1)))
    assert site.step == 0


def test_a_smaller_share_holds_at_once_and_a_larger_one_is_used() -> None:
    site = Site("mx", SiteLimits(connections=6))
    whole = site.limits
    site.limit_to(Share(owner="a", owners=("a", "b")).of(whole, key="mx"))
    site.workers, site.connecting = 3, 0
    assert not site.may_connect(0.0)
    site.limit_to(whole)
    assert site.may_connect(0.0)


def test_a_process_without_a_share_neither_connects_nor_probes() -> None:
    site = Site("mx", SiteLimits(connections=1))
    site.limit_to(site.limits.model_copy(update={"connections": 0}))
    assert not site.may_connect(0.0)
    site.adopt(record())
    assert not site.may_connect(0.0)
