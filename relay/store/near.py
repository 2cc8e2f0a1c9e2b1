"""What comes nearest to an address that the log does not have, for "nothing was handed to us".

Similar are addresses that we did send to and that are at most two letters off, or have the same part before the @.
With a scope (`apps`) nothing of other apps is told, not even that they have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from relay.address import address_key
from relay.model import Refusal
from relay.store import addresses, log, refusals
from relay.store.log_query import Query
from relay.store.protocols import Tx

_SIMILAR = 5
_REFUSALS = 5
_ROWS = 200  #: more than anyone reads, few enough to be quick


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
