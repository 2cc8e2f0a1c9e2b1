"""Which addresses are one customer's, and the secret that their names in addresses of pages are made with.

Joined are addresses that a person corrected, one into the other, and those that one app gave the same customer number;
never addresses of the same name alone. Numbers count within an app: two apps may both have a customer 17.
"""

from __future__ import annotations

from relay.address import address_key
from relay.store import addresses, meta
from relay.store.protocols import Tx
from relay.store.text import reference_key

_SECRET = "customer"

#: More addresses than one person has.
_MOST = 20


def family(tx: Tx, address: str) -> list[str]:
    """Give all addresses of the customer of this one, normalised; the current one first."""
    current = addresses.corrected_to(tx, address)
    found = [address_key(current or address)]
    for key in found:  # grows while it is walked
        known = addresses.get(tx, key)
        more = addresses.earlier(tx, key)
        if known is not None and known.corrected_to:
            more.append(address_key(known.corrected_to))
        if known is not None and known.customer:
            params = {"number": known.customer, "number_key": reference_key(known.customer), "address": key}
            more += [row["address"] for row in tx.rows("customers.of_number", params)]
        found += [one for one in dict.fromkeys(more) if one not in found]
        if len(found) >= _MOST:
            break
    return found[:_MOST]


def known_secret(tx: Tx) -> bytes | None:
    """Give the secret of the names; None until `make_secret` ran once."""
    return meta.known_secret(tx, _SECRET)


def make_secret(tx: Tx) -> bytes:
    """Make the secret of the names, or give the one there is; for Store.write."""
    return meta.secret(tx, _SECRET)
