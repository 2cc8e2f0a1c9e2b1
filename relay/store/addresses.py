"""What is known about recipient addresses: error counter, last error, last success, name, phone, customer number.

Addresses are looked up by relay.address.address_key. The counter is raised by record.py alone; `reset` is the bin: it
sets the counter to 0 and lifts automatic blocks, never a block by hand or from a complaint.
A person may say that a customer is reached at another address now: `correct` keeps that, `corrected_to` follows it.
"""

from __future__ import annotations

import difflib
from datetime import datetime

from relay.address import address_key, split
from relay.model import AddressRecord, Event, Suppression
from relay.store import events, rows, suppressions
from relay.store.protocols import Tx, Value
from relay.store.text import distance
from relay.wording import say

_CANDIDATES = 1000
_LOOK_CLOSER = 50
_NEAR = 0.75  #: how alike difflib must find two addresses before their letters are counted
_SLIPS = 2
_CORRECTIONS = 50  #: more than anybody ever had addresses


def get(tx: Tx, address_key: str) -> AddressRecord | None:
    """What is known about an address; None when nothing was ever tried there."""
    row = tx.one("addresses.get", {"address": address_key})
    return rows.address(row) if row else None


def reset(tx: Tx, address_key: str, *, now: datetime, by: str, note: str = "") -> list[Suppression]:
    """Count from zero again and lift the automatic blocks; return the blocks that were lifted."""
    tx.run("addresses.reset", {"address": address_key, "now": now})
    lifted = suppressions.unblock(
        tx, address_key, scope="address", now=now, by=by, note=note or say("counter reset"), automatic_only=True
    )
    text = say("Error counter reset[; {count} automatic block lifted]", count=len(lifted) or "")
    events.add(
        tx, Event(at=now, kind="reset", text=f"{text}. {note}" if note else f"{text}.", address=address_key, by=by)
    )
    return lifted


def correct(tx: Tx, old: str, new: str, *, now: datetime) -> None:
    """Remember that the customer of the old address is reached at the new one from now on."""
    # The new one is current by what a person just said, so it points nowhere: no chain of these can be a circle.
    tx.run("addresses.forget_correction", {"address": address_key(new)})
    names: dict[str, Value] = {"address": address_key(old), "shown": old}
    tx.run("addresses.correct", {**names, "corrected_to": new, "corrected_to_key": address_key(new), "now": now})


def corrected_to(tx: Tx, address: str) -> str | None:
    """Give the current address of the customer of this one, over any number of corrections; None: it is this."""
    key, found = address_key(address), None
    for _ in range(_CORRECTIONS):
        row = tx.one("addresses.get", {"address": key})
        if row is None or row["corrected_to"] is None:
            break
        found = str(row["corrected_to"])
        key = address_key(found)
    return found


def earlier(tx: Tx, address: str) -> list[str]:
    """Give the addresses that were corrected to this one, directly or over others."""
    found = [address_key(address)]
    for key in found:  # grows while it is walked
        rows_to_it = tx.rows("addresses.corrected_from", {"address": key})
        found += [row["address"] for row in rows_to_it if row["address"] not in found]
        if len(found) > _CORRECTIONS:
            break
    return found[1:]


def similar(tx: Tx, address_key: str, *, limit: int = 5) -> list[str]:
    """Known addresses that this one may be a slip of, the closest first, then those with the same part before the @.

    At most two letters differ, and never the first: that one is hardly ever wrong.
    """
    local, domain = split(address_key)
    namesakes = _beginning_with(tx, f"{local}@") if domain else []
    candidates = _around(tx, address_key)
    near = difflib.get_close_matches(address_key, candidates, n=_LOOK_CLOSER, cutoff=_NEAR)
    slips = sorted((count, each) for each in near if (count := distance(each, address_key)) <= _SLIPS)
    found = dict.fromkeys((*(each for _, each in slips), *namesakes))
    return [each for each in found if each != address_key][:limit]


def _around(tx: Tx, address_key: str) -> list[str]:
    """Known addresses that begin alike; where too many do, those that do so for longer."""
    found: list[str] = []
    for length in (1, 3, 5, 7):
        if length > len(address_key):
            break
        found = _beginning_with(tx, address_key[:length])
        if len(found) < _CANDIDATES:
            break
    return found


def _beginning_with(tx: Tx, start: str) -> list[str]:
    rows = tx.rows("addresses.beginning_with", {"low": start, "high": _after(start), "limit": _CANDIDATES})
    return [row["address"] for row in rows]


def _after(prefix: str) -> str:
    """The first text that sorts behind all that begin with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
