"""What the log knows of one booking beside its deliveries: its time, where its number was found, what kinds are usual.

A booking is known by its number alone, in any spelling (text.reference_key). Read only.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from relay.store.protocols import Tx, Value
from relay.store.text import reference_key

#: Mail that "usual" is judged by: the newest so many messages of all apps.
_NEWEST = 2000
_ENOUGH = 5  #: bookings before anything is called usual


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What one mail of a booking says of it."""

    message: str
    app: str
    event_at: datetime | None
    phone: str | None
    customer: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the number was found in one mail."""

    message: str
    value: str  #: as written there
    source: str  #: header | esp_header | schema_org | icalendar | pattern | thread | subject | person
    rule: str


def about(tx: Tx, booking: str) -> list[About]:
    """What the mails of a booking say of it, the newest first."""
    found = tx.rows("bookings.messages", {"booking": reference_key(booking)})
    return [
        About(message=row["id"], **{name: row[name] for name in ("app", "event_at", "phone", "customer")})
        for row in found
    ]


def places(tx: Tx, booking: str) -> list[Place]:
    """Where the number of a booking was found, the newest mail first."""
    found = tx.rows("bookings.found", {"booking": reference_key(booking)})
    return [
        Place(message=row["message_id"], **{name: row[name] for name in ("value", "source", "rule")}) for row in found
    ]


def usual_kinds(tx: Tx, app: str) -> list[str]:
    """The kinds of mail that at least every second booking of an app gets; nothing where there are few bookings."""
    params: dict[str, Value] = {"app": app, "newest": _NEWEST}
    bookings = tx.rows("bookings.bookings_of_app", params)[0]["bookings"]
    if bookings < _ENOUGH:
        return []
    found = tx.rows("bookings.kinds", params)
    return sorted(row["kind"] for row in found if row["kind"] and row["bookings"] * 2 >= bookings)


def similar(tx: Tx, booking: str, *, apps: Collection[str] | None = None, limit: int = 5) -> list[str]:
    """Bookings with mail whose number looks like a slip of this one, the closest first."""
    key = reference_key(booking)
    start = key[: max(len(key) // 2, 2)]
    if len(key) < 4:
        return []
    high = start[:-1] + chr(ord(start[-1]) + 1)
    rows = tx.rows("bookings.beginning_with", {"low": start, "high": high})
    known = {row["value_key"]: row["value"] for row in rows if apps is None or row["app"] in apps}
    near = difflib.get_close_matches(key, [one for one in known if one != key], n=limit, cutoff=0.8)
    return [known[one] for one in near]
