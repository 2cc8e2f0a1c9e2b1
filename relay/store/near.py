"""What comes nearest to something the log does not have: the facts behind "nothing was handed to us".

Similar are addresses that we did send to and that are at most two letters off, or have the same part before the @; for
anything else, bookings and addresses of mail that has the text somewhere. With them: what intake refused for it, and
since when the log can answer at all. With a scope (`apps`) nothing of other apps is told, not even that they have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.address import address_key
from relay.model import Refusal
from relay.store import addresses, log, refusals
from relay.store.log_query import Query
from relay.store.protocols import Tx

_SIMILAR = 5
_REFUSALS = 5
_ROWS = 200  #: more than anyone reads, few enough to be quick


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMisses:
    """What there is instead."""

    similar: tuple[str, ...]  #: addresses, or bookings and addresses, the closest first
    refusals: tuple[Refusal, ...]  #: newest first
    first_at: datetime | None  #: first day of the log; None: it is empty


def near_misses(tx: Tx, asked: str, *, apps: Sequence[str] | None = None) -> NearMisses:
    """Look for what somebody may have meant."""
    asked = asked.strip()
    if "@" in asked:
        similar = similar_addresses(tx, asked, apps=apps)
        refused = refused_for(tx, asked, apps=apps)
    else:
        similar = _with_text(tx, asked, apps=apps)
        found = refusals.search(tx, words=(asked,), apps=apps, limit=_REFUSALS) if asked else []
        refused = [row.refusal for row in found]
    return NearMisses(similar=tuple(similar), refusals=tuple(refused), first_at=log.first_at(tx))


def similar_addresses(tx: Tx, address: str, *, apps: Sequence[str] | None = None) -> list[str]:
    """Addresses that we sent to and that this one may be a slip of."""
    known = addresses.similar(tx, address_key(address), limit=_SIMILAR if apps is None else 4 * _SIMILAR)
    if apps is not None:
        known = [each for each in known if log.search(tx, Query(address=each, apps=tuple(apps), limit=1))]
    return known[:_SIMILAR]


def refused_for(
    tx: Tx, address: str, *, since: datetime | None = None, apps: Sequence[str] | None = None
) -> list[Refusal]:
    """What intake refused for exactly this address; a refusal may name several."""
    key = address_key(address)
    found = [row.refusal for row in refusals.search(tx, to=address, since=since, apps=apps, limit=_ROWS)]
    return [one for one in found if key in map(address_key, (one.rcpt_to or "").split(", "))][:_REFUSALS]


def _with_text(tx: Tx, text: str, *, apps: Sequence[str] | None) -> list[str]:
    if not text:
        return []
    rows = log.search(tx, Query(words=(text,), apps=None if apps is None else tuple(apps), limit=_ROWS))
    return list(dict.fromkeys(row.booking or row.to for row in rows))[:_SIMILAR]
