"""The to-do list as pages show it: notices of one state with whose they are and what their mail was about, by urgency.

One statement for a page, whatever its length; a page begins behind the last notice of the page before. Only notices
about mail of the apps that a person may see are found, counted or offered as filters.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relay.status import Status
from relay.store import notices
from relay.store.notice_filters import Listing, Place, notice_count, notice_facets, notice_page
from relay.store.notices import Notice
from relay.store.protocols import Row, Tx

__all__ = ["Entry", "Facets", "Listing", "Place", "count", "facets", "page"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the list."""

    notice: Notice
    place: Place
    name: str
    phone: str | None
    customer: str | None
    error_count: int
    status: Status | None  #: of the mail that is the proof; None when that is no longer kept
    booking: str | None
    subject: str
    event_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """What a list can be filtered by."""

    causes: tuple[str, ...]
    apps: tuple[str, ...]
    people: tuple[str, ...]


def page(tx: Tx, listing: Listing, *, now: datetime) -> list[Entry]:
    """List notices: open ones by urgency, others as they were closed, the newest first."""
    return [_entry(row) for row in tx.compose(*notice_page(listing, now=now))]


def count(tx: Tx, listing: Listing, *, most: int = 1000) -> int:
    """Count notices, no further than `most`."""
    return int(tx.compose(*notice_count(listing, most=most))[0]["count"])


def facets(tx: Tx, listing: Listing) -> Facets:
    """Say which causes, apps and people the notices of a list have."""
    found = tx.compose(*notice_facets(listing))
    return Facets(
        causes=tuple(sorted({row["cause"] for row in found})),
        apps=tuple(sorted({row["app"] for row in found})),
        people=tuple(sorted({row["assigned"] for row in found if row["assigned"]})),
    )


def _entry(row: Row) -> Entry:
    return Entry(
        notice=notices.notice_of(row),
        place=Place(rank=row["urgency"], at=row["placed_at"], id=row["id"]),
        name=row["name"] or row["to_name"] or "",
        phone=row["phone"],
        customer=row["customer"],
        error_count=row["error_count"] or 0,
        status=Status(row["status"]) if row["status"] else None,
        booking=row["booking"],
        subject=row["subject"] or "",
        event_at=row["event_at"],
    )
