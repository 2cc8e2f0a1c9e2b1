"""Failed sign-ins of the last quarter of an hour, so that guessing is slow.

At most five for one account from one client, and thirty from one client whatever the accounts; then that client waits,
and nobody else: a stranger's guesses never lock a person out. What comes by way of a provider is counted by itself, so
that one in trouble never keeps out the local accounts that are there for it. Both are hashed, because what is typed
into the field for the name is sometimes the password. A client with IPv6 is its /64, which one customer has whole.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from relay.accounts import name_key
from relay.store.protocols import Tx

WINDOW = timedelta(minutes=15)
PER_ACCOUNT = 5
PER_CLIENT = 30


def is_throttled(tx: Tx, name: str, *, ip: str, now: datetime) -> bool:
    """Tell whether this client has to wait before it may try this account again."""
    here, client = _keys(name, ip)
    return _is_full(tx, here, PER_ACCOUNT, now) or _is_full(tx, client, PER_CLIENT, now)


def is_outside_throttled(tx: Tx, *, ip: str, now: datetime) -> bool:
    """Tell whether this client has to wait before it may bring another answer of the provider."""
    return _is_full(tx, _outside(ip), PER_CLIENT, now)


def fail_outside(tx: Tx, *, ip: str, now: datetime) -> None:
    """Count an answer of the provider that let nobody in; local accounts are as free as before."""
    tx.run("sign_ins.insert", {"key": _outside(ip), "at": now})


def fail(tx: Tx, name: str, *, ip: str, now: datetime) -> None:
    """Count a failure."""
    tx.many("sign_ins.insert", [{"key": key, "at": now} for key in _keys(name, ip)])


def client_of(ip: str) -> str:
    """Who counts as one client: an IPv4 address, or a /64 of IPv6; anything else as it stands."""
    try:
        found = ip_address(ip)
    except ValueError:
        return ip
    if not isinstance(found, IPv6Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ip_network((int(found) >> 64 << 64, 64)))


def _is_full(tx: Tx, key: str, limit: int, now: datetime) -> bool:
    row = tx.one("sign_ins.count", {"key": key, "since": now - WINDOW, "limit": limit})
    return row is not None and row["n"] >= limit


def _keys(name: str, ip: str) -> tuple[str, str]:
    client = client_of(ip)
    return _hashed(f"account {name_key(name)} {client}"), _hashed(f"client {client}")


def _outside(ip: str) -> str:
    return _hashed(f"outside {client_of(ip)}")


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
