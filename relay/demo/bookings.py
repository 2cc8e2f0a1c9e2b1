"""What the three businesses of the demo sent in its past, and how each mail fared: a plan, made from a seed.

Policy: believable, not random noise. Guests book through the day as people do, come some days later, and are reminded
the day before; a few cancel. Nearly all mail arrives at once, some after greylisting. What did not arrive lately is a
story with a name (samples/stories.toml): mistyped addresses beside the right one, full and closed mailboxes, a blocked
and an archived guest, a company's policy, a server that blocks us. The same seed and time give the same plan; nothing
is written here, history.py does that.
"""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from importlib.resources import files

from relay.demo.guests import Person, person

DAYS = 35
_GUESTS = 330
_BOOKINGS_A_DAY = (12, 40)  #: at the beginning of the past, and now: the season is coming
_FRESH = timedelta(days=3)
_A_DAY = 20  #: hours
_LEAD = 14  #: days before the past begins, so that its first days have reminders too

#: How many book in each hour of the day, UTC.
_HOURS = (1, 0, 0, 0, 0, 1, 3, 7, 12, 15, 14, 12, 10, 11, 12, 12, 11, 12, 14, 15, 13, 9, 5, 2)

#: Where booking numbers begin, by language group of a business; far above those of the samples that are sent live.
_FIRST_NUMBER = {"hotel": 20411, "salon": 118230, "restaurant": 204106}
APP_OF = {"en": "hotel", "de": "hotel", "fi": "salon", "fr": "restaurant", "nl": "restaurant"}


class Fate(StrEnum):
    """How a mail fares; the server's words stand in history.py."""

    ARRIVES = "arrives"
    GREYLISTED = "greylisted"
    UNREACHABLE_FIRST = "unreachable_first"  #: no connection at first
    NO_DOMAIN = "no_domain"
    NO_MAILBOX = "no_mailbox"
    FULL = "full"
    CLOSED = "closed"
    POLICY = "policy"
    TOO_LARGE = "too_large"
    BLOCKS_US = "blocks_us"
    COMPLAINS = "complains"  #: it arrives, and is marked as spam an hour later
    WAITS = "waits"  #: is still being tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One mail of the past."""

    at: datetime
    to: Person
    kind: str
    number: int  #: of the booking
    begins_at: datetime  #: when the guest comes
    fate: Fate

    @property
    def app(self) -> str:
        """Who sends it."""
        return APP_OF[self.to.language]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Mail that somebody at the desk will look at: to whom, when, and how it fared."""

    fate: Fate
    guest: int
    hours_ago: Sequence[float]
    name: str  #: instead of the guest's
    address: str


#: Domains of the stories that take mail, beside those of the guests.
STORY_DOMAINS = tuple(
    f"{name}.example" for name in ("hagedorn-werke", "petite-boite", "traag", "moorland", "marlow-post")
)

#: What goes wrong elsewhere in the past, in ten thousand.
_COMMON = (
    *((Fate.ARRIVES, 9510), (Fate.GREYLISTED, 150), (Fate.UNREACHABLE_FIRST, 30)),
    *((Fate.NO_MAILBOX, 150), (Fate.NO_DOMAIN, 80), (Fate.FULL, 90), (Fate.CLOSED, 30), (Fate.POLICY, 30)),
)

#: A mistyped address is found out by the first mail of a booking.
_AT_FIRST = frozenset({Fate.NO_MAILBOX, Fate.NO_DOMAIN})
_NOT_FRESH = frozenset(Fate) - {Fate.ARRIVES, Fate.GREYLISTED}


def stories() -> list[Story]:
    """Read the stories."""
    table = tomllib.loads(files("relay.demo").joinpath("samples", "stories.toml").read_text("utf-8"))
    return [Story(**{**entry, "fate": Fate(entry["fate"])}) for entry in table["story"]]


def plan(*, now: datetime, seed: int = 1) -> list[Planned]:
    """Plan all mail of the past, oldest first."""
    pick = random.Random(seed)
    found = [*_told(now), *_booked(pick, now)]
    return sorted(found, key=lambda mail: (mail.at, mail.to.address))


def _booked(pick: random.Random, now: datetime) -> Iterator[Planned]:
    """The daily run: bookings, the reminders of them, and some that are cancelled."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    begins, ends = now - timedelta(days=DAYS), now - timedelta(minutes=4)
    numbers = dict(_FIRST_NUMBER)
    for day in range(-DAYS - _LEAD, 1):
        few, many = _BOOKINGS_A_DAY
        count = max(few, many + (many - few) * day // DAYS)
        times = sorted(midnight + timedelta(days=day) + _time_of_day(pick) for _ in range(count))
        for at in times:
            who = person(int(pick.random() ** 1.6 * _GUESTS))
            app = APP_OF[who.language]
            numbers[app] += pick.choice((1, 1, 2))
            comes_at = _comes_at(pick, at)
            for kind, sent_at in _course(pick, at, comes_at):
                fate = pick.choices([each for each, _ in _COMMON], [weight for _, weight in _COMMON])[0]
                is_fresh = now - sent_at < _FRESH  # the last days tell the stories, and nothing beside them
                if fate in (_NOT_FRESH if is_fresh else _AT_FIRST if kind != "confirmation" else ()):
                    fate = Fate.ARRIVES
                if begins <= sent_at <= ends:
                    to = _mistyped(who, fate)
                    yield Planned(at=sent_at, to=to, kind=kind, number=numbers[app], begins_at=comes_at, fate=fate)


def _mistyped(who: Person, fate: Fate) -> Person:
    """Write the address as a guest in a hurry types it; what follows about the booking goes to the right one."""
    local, _, domain = who.address.partition("@")
    if fate is Fate.NO_MAILBOX:
        return replace(who, address=f"{local[:3]}{local[2:]}@{domain}")
    if fate is Fate.NO_DOMAIN:
        return replace(who, address=f"{local}@{domain[0]}{domain[2:]}")
    return who


def _time_of_day(pick: random.Random) -> timedelta:
    return timedelta(hours=pick.choices(range(24), _HOURS)[0], seconds=pick.randrange(3600))


def _comes_at(pick: random.Random, at: datetime) -> datetime:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + timedelta(days=1 + int(pick.random() ** 2 * 20), hours=pick.randrange(10, 20))


def _course(pick: random.Random, at: datetime, comes_at: datetime) -> Iterator[tuple[str, datetime]]:
    """What is sent about one booking, and when."""
    yield "confirmation", at
    days = (comes_at - at) / timedelta(days=1)
    if days > 2 and pick.random() < 0.08:
        yield "cancellation", at + (comes_at - at) * pick.uniform(0.1, 0.7)
    elif days > 1.2:
        yield (
            "reminder",
            comes_at.replace(hour=8, minute=30) - timedelta(days=1) + timedelta(seconds=pick.randrange(900)),
        )


def _told(now: datetime) -> Iterator[Planned]:
    """The stories."""
    for turn, story in enumerate(stories()):
        who = replace(person(story.guest), name=story.name, address=story.address)
        for count, hours in enumerate(sorted(story.hours_ago, reverse=True)):
            at = now - timedelta(hours=hours)
            if hours > _A_DAY:
                at = at.replace(hour=8 + at.hour // 2)  # nobody books at night
            comes_at = (at + timedelta(days=2)).replace(hour=11 + turn % 9, minute=0, second=0, microsecond=0)
            number = _FIRST_NUMBER[APP_OF[who.language]] + 4000 + 10 * turn + count
            yield Planned(at=at, to=who, kind="confirmation", number=number, begins_at=comes_at, fate=story.fate)
