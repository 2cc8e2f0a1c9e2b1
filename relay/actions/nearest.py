"""What comes nearest to a question that the log has no answer to: a slip of the pen, or a refusal at the door.

"No entry at all" means that nothing was ever handed to us (mission 002.5). Somebody has to find out why, and this is
what the log can add: addresses and bookings that look alike, what intake refused, and since when there is a log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.model import Refusal
from relay.store import bookings, log, refusals
from relay.store.near import refused_for, similar_addresses
from relay.store.protocols import Tx

_ROWS = 200
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearest:
    """What is near to a question without an answer."""

    refusals: tuple[Refusal, ...] = ()  #: newest first
    addresses: tuple[str, ...] = ()  #: the closest first
    bookings: tuple[str, ...] = ()
    first_at: datetime | None = None  #: when the log begins; None: it is empty

    @property
    def similar(self) -> tuple[str, ...]:
        return (self.bookings + self.addresses)[:_SHOWN]


def nearest(tx: Tx, question: str, *, apps: Sequence[str] | None = None) -> Nearest:
    """Gather what is near to an address, booking or customer without mail; `apps`: what is of others stays hidden."""
    question = question.strip()
    first_at = log.first_at(tx)
    if not question:
        return Nearest(first_at=first_at)
    if "@" in question:
        return Nearest(
            refusals=tuple(refused_for(tx, question, apps=apps)),
            addresses=tuple(similar_addresses(tx, question, apps=apps)),
            first_at=first_at,
        )
    near = log.search(tx, log.Query(words=(question,), apps=tuple(apps) if apps is not None else None, limit=_ROWS))
    named = [one.booking for one in near if one.booking] + bookings.similar(tx, question, apps=apps)
    found = refusals.search(tx, words=(question,), apps=apps, limit=_SHOWN)
    return Nearest(
        refusals=tuple(row.refusal for row in found),
        addresses=tuple(dict.fromkeys(one.to for one in near if not one.booking))[:_SHOWN],
        bookings=tuple(dict.fromkeys(named))[:_SHOWN],
        first_at=first_at,
    )
