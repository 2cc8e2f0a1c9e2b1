"""The to-do list as its address asks for it: tab, filters, place in the list; and what the page shows of it.

The address holds everything, so that a view of the list can be shared and the back button works.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from dashboard.causes import MAY_BE_LATE, cause
from dashboard.marking import N_
from relay import actions
from relay.status import OPEN
from relay.store import accounts, notice_list
from relay.store.notice_list import Entry, Facets, Listing, Place
from relay.store.protocols import Tx

#: The tabs, by the word in the address.
TABS = {"open": N_("Still open"), "mine": N_("Mine"), "resolved": N_("Resolved"), "cleared": N_("Cleared")}

PAGE = 50

#: No tab counts further.
MOST = 1000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the address of the page asks for."""

    tab: str = "open"
    cause: str = ""
    app: str = ""
    assigned: str = ""
    after: str = ""

    @property
    def has_filter(self) -> bool:
        return bool(self.cause or self.app or self.assigned)

    def address(self, **changed: str) -> str:
        """Give the address of the list with something else asked for; the place in it is forgotten."""
        asked = {name: getattr(self, name) for name in ("tab", "cause", "app", "assigned")} | changed
        given = {name: value for name, value in asked.items() if value and (name, value) != ("tab", "open")}
        return f"/todo?{urlencode(given)}" if given else "/todo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of the list."""

    asked: Asked
    entries: list[Entry]
    counts: Mapping[str, int]  #: by tab, no further than MOST
    facets: Facets
    people: tuple[str, ...]  #: who can be given something to do
    more: str  #: address of the next page; "" on the last


def asked_of(params: Mapping[str, str]) -> Asked:
    """Read the address; what is no word of it is left out."""
    tab = params.get("tab", "open")
    names = ("cause", "app", "assigned", "after")
    given = {name: params.get(name, "").strip()[:200] for name in names}
    given = {name: value for name, value in given.items() if value.isprintable()}
    return Asked(tab=tab if tab in TABS else "open", **given)


def read(tx: Tx, asked: Asked, *, person: str, apps: tuple[str, ...] | None, now: datetime) -> Page:
    """Read one page of the list."""
    listing = _listing(asked, person=person, apps=apps)
    entries = notice_list.page(tx, replace(listing, after=_place(asked.after), limit=PAGE + 1), now=now)
    has_more = len(entries) > PAGE
    entries = entries[:PAGE]
    return Page(
        asked=asked,
        entries=entries,
        counts={tab: notice_list.count(tx, _tab(tab, person, apps), most=MOST) for tab in TABS},
        facets=notice_list.facets(tx, _tab(asked.tab, person, apps)),
        people=people(tx, person),
        more=asked.address(after=_written(entries[-1].place)) if has_more else "",
    )


def people(tx: Tx, person: str) -> tuple[str, ...]:
    """Name those who can be given something to do, the one who asks first."""
    others = (one.name for one in accounts.every(tx) if one.disabled_at is None)
    return tuple(dict.fromkeys((person, *sorted(others))))


def is_wrong_address(entry: Entry) -> bool:
    """Tell whether correcting the address is the way out."""
    return actions.is_wrong_address(entry.notice)


def problem(entry: Entry) -> str:
    """Say in a few words what is the matter."""
    if entry.notice.cause == "too-late" and entry.status in OPEN:
        return MAY_BE_LATE
    return cause(entry.notice.cause)


def _tab(tab: str, person: str, apps: tuple[str, ...] | None) -> Listing:
    if tab == "mine":
        return Listing(assigned=person, apps=apps)
    return Listing(state=tab, apps=apps)


def _listing(asked: Asked, *, person: str, apps: tuple[str, ...] | None) -> Listing:
    listing = _tab(asked.tab, person, apps)
    assigned = listing.assigned or asked.assigned or None
    return replace(listing, cause=asked.cause or None, app=asked.app or None, assigned=assigned)


def _written(place: Place) -> str:
    return f"{place.rank}.{(place.at - _EPOCH) // timedelta(microseconds=1)}.{place.id}"


def _place(text: str) -> Place | None:
    """Read a place; None for what is none."""
    parts = text.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 17 for part in parts):
        return None
    rank, micros, identity = map(int, parts)
    try:
        at = _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return None
    return Place(rank=min(rank, 1), at=at, id=identity)
