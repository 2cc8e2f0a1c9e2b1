"""The block list: which addresses and domains get nothing.

A block is on one normalised address or one whole domain, for all apps or one, for ever or until a time. It is lifted,
never deleted, so that its history can be shown. Blocking twice for the same reason keeps the first block.
Automatic blocks are written by record.py through `block`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from relay.model import DeliveryId, Suppression
from relay.store import filters, rows
from relay.store.protocols import Row, Tx, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One row of the block list, with its end if it has one."""

    suppression: Suppression
    lifted_at: datetime | None
    lifted_by: str | None
    lifted_note: str | None


def block(tx: Tx, suppression: Suppression) -> Suppression | None:
    """Add a block (its `id` is given by the store); None when the same one (source, app) is active already."""
    found = active_on(tx, suppression.value, scope=suppression.scope, now=suppression.since_at)
    if any(
        other.app == suppression.app and other.source == suppression.source and other.until_at is None
        for other in found
    ):
        return None
    return rows.suppression(tx.rows("suppressions.insert", rows.suppression_params(suppression))[0])


def unblock(
    tx: Tx, value: str, *, scope: str, now: datetime, by: str, note: str = "", automatic_only: bool = False
) -> list[Suppression]:
    """Lift the active blocks on exactly this address or domain; return them."""
    lifted = tx.rows(
        "suppressions.lift",
        {"value": value, "scope": scope, "now": now, "by": by, "note": note, "automatic_only": int(automatic_only)},
    )
    return [rows.suppression(row) for row in lifted]


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


def search(
    tx: Tx, *, words: str = "", now: datetime, with_lifted: bool = False, before: int | None = None, limit: int = 50
) -> list[Listing]:
    """List blocks, newest first; `before` is the id of the last one of the page before."""
    sql, params = filters.suppression_search(words=words, now=now, with_lifted=with_lifted, before=before, limit=limit)
    return [_listing(row) for row in tx.compose(sql, params)]


def _listing(row: Row) -> Listing:
    return Listing(
        suppression=rows.suppression(row),
        lifted_at=row["lifted_at"],
        lifted_by=row["lifted_by"],
        lifted_note=row["lifted_note"],
    )
