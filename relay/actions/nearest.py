"""What comes nearest to a question that the log has no answer to: a slip of the pen, or a refusal at the door.

"No entry at all" means that nothing was ever handed to us (mission 002.5). Somebody has to find out why, and this is
what the log can add: addresses and bookings that look alike, what intake refused, and since when there is a log.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from relay.actions.customers import has_mail_of
from relay.address import address_key
from relay.model import Refusal
from relay.store import addresses, bookings, log, refusals
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


def nearest(tx: Tx, question: str, *, apps: Collection[str] | None = None) -> Nearest:
    """Gather what is near to an address, booking or customer without mail; `apps`: what is of others stays hidden."""
    question = question.strip()
    first_at = log.first_at(tx)
    if not question:
        return Nearest(first_at=first_at)
    if "@" in question:
        alike = addresses.similar(tx, address_key(question))
        refused = refused_for(tx, question, apps=apps)
        return Nearest(
            refusals=tuple(refused),
            addresses=tuple(one for one in alike if has_mail_of(tx, [one], apps)),
            first_at=first_at,
        )
    near = [one for one in log.search(tx, log.Query(words=(question,), limit=_ROWS)) if apps is None or one.app in apps]
    named = [one.booking for one in near if one.booking] + bookings.similar(tx, question, apps=apps)
    found = [row.refusal for row in refusals.search(tx, words=(question,), limit=_ROWS)]
    return Nearest(
        refusals=tuple(one for one in found if apps is None or one.app in apps)[:_SHOWN],
        addresses=tuple(dict.fromkeys(one.to for one in near if not one.booking))[:_SHOWN],
        bookings=tuple(dict.fromkeys(named))[:_SHOWN],
        first_at=first_at,
    )


def refused_for(
    tx: Tx, address: str, *, since: datetime | None = None, apps: Collection[str] | None = None
) -> list[Refusal]:
    """Find what intake refused for exactly this address; a refusal may name several."""
    key = address_key(address)
    found = [row.refusal for row in refusals.search(tx, to=address, since=since, limit=_ROWS)]
    fitting = [one for one in found if key in map(address_key, (one.rcpt_to or "").split(", "))]
    return [one for one in fitting if apps is None or one.app in apps][:_SHOWN]
