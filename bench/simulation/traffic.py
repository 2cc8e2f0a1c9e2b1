"""What apps hand in: when, from which app, to whom; all of it drawn from one seed.

Mail follows the day of a booking business: little at night, most in the late morning and the evening.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, count
from random import Random

from bench.simulation.providers import Provider
from bench.simulation.virtual import START
from relay.model import Delivery, DeliveryId, Message, MessageId, Submission
from relay.status import Status
from relay.store.content import pack

DAY = 86400.0
CONTENT = b"Subject: Your booking\r\n\r\n" + b"We look forward to your stay.\r\n" * 20
PACKED = pack(CONTENT)
#: How much of a day's mail each hour has.
HOURS = (1, 1, 1, 1, 1, 2, 4, 6, 9, 11, 12, 11, 9, 9, 9, 9, 10, 11, 12, 12, 10, 7, 4, 2)
_EDGES = tuple(accumulate(HOURS))
_ADDRESSES = 50_000  #: guests by domain; most write only now and then


@dataclass(frozen=True, slots=True)
class Handed:
    """One message that an app hands in."""

    at: float  #: seconds since the start
    app: str
    address: str


def daily(random: Random, *, messages: int, seconds: float) -> Iterator[float]:
    """Give so many moments within so many seconds, in order, dense where the day is busy."""
    days = max(1, round(seconds / DAY))
    moments: list[float] = []
    while len(moments) < messages:
        hour = bisect(_EDGES, random.random() * _EDGES[-1])
        moment = random.randrange(days) * DAY + (hour + random.random()) * 3600.0
        if moment < seconds:
            moments.append(moment)
    return iter(sorted(moments))


def evenly(random: Random, *, messages: int, seconds: float, begin: float = 0.0) -> Iterator[float]:
    """Give so many moments within so many seconds, in order, at random."""
    return iter(sorted(begin + random.random() * seconds for _ in range(messages)))


class Addresses:
    """Draws recipients: a provider by its share of the mail, one of its domains, a guest."""

    def __init__(self, random: Random, shares: Sequence[tuple[Provider, float]]) -> None:
        self._random = random
        self._providers = [provider for provider, _ in shares]
        self._edges = list(accumulate(share for _, share in shares))

    def draw(self) -> str:
        """Return the next one."""
        provider = self._providers[bisect(self._edges, self._random.random() * self._edges[-1])]
        return f"guest{self._random.randrange(_ADDRESSES)}@{self._random.choice(provider.domains)}"


class Submissions:
    """Makes submissions with ids that are the same in every run."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def make(self, handed: Handed, *, attempts: int = 0, next_at: datetime | None = None) -> Submission:
        """Return what intake would store; `attempts` and `next_at` for one that has been tried before."""
        number = next(self._numbers)
        at = START + timedelta(seconds=handed.at)
        message = Message(
            id=MessageId(f"01MESSAGE{number:017d}"),
            accepted_at=at,
            app=handed.app,
            mail_from=f"desk@{handed.app}.example",
            header_from=f"desk@{handed.app}.example",
            size=len(CONTENT),
        )
        delivery = Delivery(
            id=DeliveryId(f"01DELIVER{number:017d}"),
            message_id=message.id,
            address=handed.address,
            domain=handed.address.rpartition("@")[2],
            status=Status.DEFERRED if attempts else Status.QUEUED,
            created_at=at,
            attempts=attempts,
            next_at=next_at or at,
        )
        return Submission(message=message, content=CONTENT, deliveries=(delivery,))
