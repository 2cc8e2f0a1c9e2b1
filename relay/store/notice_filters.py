"""Compose SELECT text for searches of notices; see filters.py."""

# ruff: noqa: S608 - one of the files where SQL may be put together (see filters.py)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.store.conditions import Where, contains
from relay.store.protocols import Value
from relay.store.tally_filters import add_apps
from relay.store.text import fold, like_pattern

_NOTICE_WORDS = """(
  n.shown || '
' || n.address || '
' || n.cause || '
' || n.app || '
' || n.note || '
' || COALESCE(n.assigned, '') || '
' || COALESCE(n.suggestion, '') || '
' || COALESCE(a.name, '') || '
' || COALESCE(a.phone, '') || '
' || COALESCE(a.customer, '') || '
' || COALESCE(m.booking, '') || '
' || COALESCE(m.subject, '')
)"""


_MAIL = "LEFT JOIN delivery d ON d.id = n.delivery_id LEFT JOIN message m ON m.id = d.message_id"

#: The lanes of open notices in the order of their urgency, each along an index of its own: (by what, which).
#: What the desk sees first: mail for something that is still to come, the nearest first; then what waits longest.
_LANES = (
    ("n.event_at", "n.event_at >= :now_at"),
    ("n.opened_at", "(n.event_at IS NULL OR n.event_at < :now_at)"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a notice stands in its list: what a page's last one hands to the next page."""

    rank: int
    at: datetime
    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Which notices are listed; every part given must fit."""

    state: str = "open"  #: open | resolved | cleared
    assigned: str | None = None  #: to this person
    cause: str | None = None
    app: str | None = None
    apps: tuple[str, ...] | None = None  #: only notices about mail of these apps exist; None: of all
    after: Place | None = None
    limit: int = 50


def notice_page(listing: Listing, *, now: datetime) -> tuple[str, dict[str, Value]]:
    """List notices with whose they are and what their mail was about: open ones by urgency, others newest first."""
    params: dict[str, Value] = {"limit": listing.limit}
    if listing.state == "open":
        params |= {"now_at": now}
        lanes, order = [], "urgency, placed_at, n.id"
        first = listing.after.rank if listing.after is not None else 0
        for rank, (at, fits) in enumerate(_LANES[first:], start=first):
            where = _listed(listing)
            where.add(fits)
            lanes.append(_lane(where, rank, at, after=listing.after, is_rising=True))
            params |= where.params
    else:
        where, order = _listed(listing), "placed_at DESC, n.id DESC"
        lanes = [_lane(where, 0, "n.closed_at", after=listing.after, is_rising=False)]
        params |= where.params
    # First the page, then all about it.
    sql = (
        "SELECT n.*, a.name, a.phone, a.customer, a.error_count, d.name AS to_name, d.status, m.booking, m.subject"
        f" FROM (SELECT * FROM ({' UNION ALL '.join(lanes)}) AS n ORDER BY {order} LIMIT :limit) AS n"
        f" LEFT JOIN address a ON a.address = n.address {_MAIL} ORDER BY {order}"
    )
    return sql, params


def _lane(where: Where, rank: int, at: str, *, after: Place | None, is_rising: bool) -> str:
    """The first notices of one lane, those up to `after` left out."""
    if after is not None and after.rank == rank:
        sign = ">" if is_rising else "<"
        where.add(f"({at}, n.id) {sign} (:after_at, :after_id)", after_at=after.at, after_id=after.id)
    way = "" if is_rising else " DESC"
    inner = f"SELECT n.*, {rank} AS urgency, {at} AS placed_at FROM notice n {where.text()}"
    return f"SELECT * FROM ({inner} ORDER BY {at}{way}, n.id{way} LIMIT :limit) AS lane{rank}"


def notice_count(listing: Listing, *, most: int) -> tuple[str, dict[str, Value]]:
    """Count notices, no further than `most`."""
    where = _listed(listing)
    where.params |= {"limit": most}
    return f"SELECT COUNT(*) AS count FROM (SELECT 1 FROM notice n {where.text()} LIMIT :limit) AS few", where.params


def notice_facets(listing: Listing) -> tuple[str, dict[str, Value]]:
    """Say which causes, apps and people the notices of a list have."""
    where = _listed(listing)
    return f"SELECT DISTINCT n.cause, n.app, n.assigned FROM notice n {where.text()} LIMIT 500", where.params


def _listed(listing: Listing) -> Where:
    where = Where()
    # Spelled, so that the index of open notices is used for them.
    where.add("n.state = 'open'" if listing.state == "open" else "n.state = :state")
    if listing.state != "open":
        where.params |= {"state": listing.state}
    for column in ("assigned", "cause", "app"):
        value: str | None = getattr(listing, column)
        if value is not None:
            where.add(f"n.{column} = :{column}", **{column: value})
    if listing.apps is not None:
        # Other names than the one app that may be asked for beside them.
        add_apps(where, "n.app", listing.apps)
    return where


def notice_search(
    *,
    words: Sequence[str],
    address: str | None,
    cause: str | None,
    with_closed: bool,
    before: tuple[datetime, int] | None,
    limit: int,
) -> tuple[str, dict[str, Value]]:
    """List notices with what is known about their person and their mail."""
    where = Where(params={"limit": limit})
    for number, word in enumerate(words):
        where.add(contains(_NOTICE_WORDS, f"word{number}", word), **{f"word{number}": like_pattern(fold(word))})
    if address is not None:
        where.add("n.address = :address", address=address)
    if cause is not None:
        where.add("n.cause = :cause", cause=cause)
    if not with_closed:
        where.add("n.state = 'open'")
    if before is not None:
        where.add("(n.last_at, n.id) < (:before_at, :before_id)", before_at=before[0], before_id=before[1])
    sql = (
        "SELECT n.* FROM notice n LEFT JOIN address a ON a.address = n.address"
        " LEFT JOIN delivery d ON d.id = n.delivery_id LEFT JOIN message m ON m.id = d.message_id"
        f" {where.text()} ORDER BY n.last_at DESC, n.id DESC LIMIT :limit"
    )
    return sql, where.params
