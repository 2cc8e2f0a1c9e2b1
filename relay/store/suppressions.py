"""The block list: which addresses and domains get nothing.

A block is on one normalised address or one whole domain, for all apps or one, for ever or until a time, when it ends
by itself. It is lifted, never deleted, so that its history can be shown. Blocking twice from the same source keeps the
first block, unless the second lasts longer; what other systems knew (`import`) is kept once for each reason.
Automatic blocks are written by record.py through `block`; lists of other systems by `add_all`, many at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.model import DeliveryId, Suppression
from relay.store import block_filters, rows
from relay.store.block_filters import BlockQuery, Undoing
from relay.store.protocols import Row, Tx, Value

__all__ = [
    "BlockQuery",
    "Listing",
    "Undoing",
    "active_for",
    "active_on",
    "add_all",
    "automatic",
    "block",
    "blocked_among",
    "extend",
    "held_back",
    "history",
    "is_covered",
    "lift",
    "listed",
    "page",
    "search",
    "standing_on",
    "unblock",
    "uncovered",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One row of the block list, with its end if it has one."""

    suppression: Suppression
    lifted_at: datetime | None
    lifted_by: str | None
    lifted_note: str | None


def block(tx: Tx, suppression: Suppression) -> Suppression | None:
    """Add a block (its `id` is given by the store); None when one that stands already covers it."""
    if is_covered(suppression, active_on(tx, suppression.value, scope=suppression.scope, now=suppression.since_at)):
        return None
    return rows.suppression(tx.rows("suppressions.insert", rows.suppression_params(suppression))[0])


def is_covered(suppression: Suppression, active: Iterable[Suppression]) -> bool:
    """Tell whether an active block of the same source and app holds as long as this one would."""
    return any(
        (other.scope, other.value) == (suppression.scope, suppression.value)
        and (other.app, other.source) == (suppression.app, suppression.source)
        and (other.source != "import" or other.reason == suppression.reason)
        and _lasts(other, suppression)
        for other in active
    )


def _lasts(standing: Suppression, new: Suppression) -> bool:
    return standing.until_at is None or (new.until_at is not None and new.until_at <= standing.until_at)


def add_all(tx: Tx, found: Sequence[Suppression], *, now: datetime) -> list[Suppression]:
    """Add those of these blocks that nothing covers yet; return the ones added, in order."""
    added = uncovered(tx, found, now=now)
    tx.many("suppressions.add", [rows.suppression_params(one) for one in added])
    return added


def uncovered(tx: Tx, found: Sequence[Suppression], *, now: datetime) -> list[Suppression]:
    """Say which of these blocks are covered neither by one that stands nor by one before them."""
    values = rows.ids_param({one.value for one in found})
    standing: dict[str, list[Suppression]] = {}
    for row in tx.rows("suppressions.active_among", {"values": values, "now": now}):
        standing.setdefault(row["value"], []).append(rows.suppression(row))
    added = []
    for one in found:
        known = standing.setdefault(one.value, [])
        if not is_covered(one, known):
            known.append(one)
            added.append(one)
    return added


def unblock(
    tx: Tx,
    value: str,
    *,
    scope: str,
    now: datetime,
    by: str,
    note: str = "",
    automatic_only: bool = False,
    app: str | None = None,
) -> list[Suppression]:
    """Lift the active blocks on exactly this address or domain (of `app` only, when it is named); return them.

    `automatic_only` spares what a person or a complaint set; bounces that another system knew count as automatic.
    """
    params: dict[str, Value] = {"value": value, "scope": scope, "now": now, "by": by, "note": note}
    chosen: dict[str, Value] = {"automatic_only": int(automatic_only), "any_app": int(app is None), "app": app or ""}
    return [rows.suppression(row) for row in tx.rows("suppressions.lift", params | chosen)]


def lift(tx: Tx, suppression_id: int, *, now: datetime, by: str, note: str) -> Suppression | None:
    """Lift one block; None when that was done already."""
    row = tx.one("suppressions.lift_one", {"id": suppression_id, "now": now, "by": by, "note": note})
    return rows.suppression(row) if row else None


def extend(tx: Tx, suppression_id: int, *, until: datetime | None) -> Suppression | None:
    """Let a block that stands end at another time, or never; None when it was lifted."""
    row = tx.one("suppressions.extend", {"id": suppression_id, "until": until})
    return rows.suppression(row) if row else None


def listed(tx: Tx, suppression_id: int) -> Listing | None:
    """One block by its id, standing or not."""
    row = tx.one("suppressions.listed", {"id": suppression_id})
    return _listing(row) if row else None


def standing_on(tx: Tx, values: Iterable[str], *, now: datetime) -> set[str]:
    """Which of these addresses (or domains) nothing at all is sent to, by a block of their own."""
    params: dict[str, Value] = {"values": rows.ids_param(values), "now": now}
    found = [rows.suppression(row) for row in tx.rows("suppressions.active_among", params)]
    return {one.value for one in found if one.app is None}


def held_back(tx: Tx, suppression_ids: Iterable[int]) -> dict[int, int]:
    """How many mails each of these blocks kept back since it was set; counted up to block_filters.MOST_HELD."""
    ids = list(suppression_ids)
    return {row["id"]: row["held"] for row in tx.compose(*block_filters.held_back(ids))} if ids else {}


def active_on(tx: Tx, value: str, *, scope: str, now: datetime) -> list[Suppression]:
    """The active blocks on exactly this address or domain, for any app."""
    found = tx.rows("suppressions.active_on", {"value": value, "scope": scope, "now": now})
    return [rows.suppression(row) for row in found]


def active_for(tx: Tx, address_key: str, *, domain: str, app: str, now: datetime) -> Suppression | None:
    """The block that forbids this app to send to this address, the address's own before its domain's."""
    params: dict[str, Value] = {"address": address_key, "domain": domain, "app": app, "now": now}
    row = tx.one("suppressions.active_for", params)
    return rows.suppression(row) if row else None


def blocked_among(tx: Tx, ids: Iterable[DeliveryId], *, now: datetime) -> dict[DeliveryId, Suppression]:
    """Which of these deliveries are blocked at this moment."""
    found = tx.rows("suppressions.among", {"ids": rows.ids_param(ids), "now": now})
    # The first row of a delivery is its strongest block; later ones must not replace it.
    return {DeliveryId(row["blocked_id"]): rows.suppression(row) for row in reversed(found)}


def history(tx: Tx, value: str, *, scope: str) -> list[Listing]:
    """All blocks there ever were on this address or domain, newest first."""
    return [_listing(row) for row in tx.rows("suppressions.history", {"value": value, "scope": scope})]


def search(tx: Tx, query: BlockQuery, *, now: datetime) -> list[Listing]:
    """List blocks, newest first."""
    return [_listing(row) for row in tx.compose(*block_filters.suppression_search(query, now=now))]


def page(tx: Tx, *, after: int, now: datetime, limit: int) -> list[Suppression]:
    """Read the active blocks in the order they were made, from behind the id `after`."""
    found = tx.rows("suppressions.page", {"after": after, "now": now, "limit": limit})
    return [rows.suppression(row) for row in found]


def automatic(tx: Tx, chosen: Undoing, *, after: int, limit: int) -> list[Suppression]:
    """Read the automatic blocks of a selection that still stand, oldest first, from behind the id `after`."""
    return [
        rows.suppression(row) for row in tx.compose(*block_filters.automatic_blocks(chosen, after=after, limit=limit))
    ]


def _listing(row: Row) -> Listing:
    return Listing(
        suppression=rows.suppression(row),
        lifted_at=row["lifted_at"],
        lifted_by=row["lifted_by"],
        lifted_note=row["lifted_note"],
    )
