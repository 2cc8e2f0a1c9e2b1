"""How far each site's back-off has come, so that a restart does not forget it; and when a domain last took mail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relay.model import Category
from relay.store.protocols import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRow:
    """The back-off of one site."""

    key: str  #: the MX set, or host:port of a route
    step: int  #: 0 = healthy
    updated_at: datetime
    until_at: datetime | None = None  #: no attempt before
    category: Category | None = None
    reply: str | None = None


def load(tx: Tx) -> list[SiteRow]:
    """Read all back-offs."""
    return [
        SiteRow(
            key=row["key"],
            step=row["step"],
            until_at=row["until_at"],
            category=Category(row["category"]) if row["category"] else None,
            reply=row["reply"],
            updated_at=row["updated_at"],
        )
        for row in tx.rows("sites.list")
    ]


def keys(tx: Tx) -> set[str]:
    """Name the sites that are stored as backing off."""
    return {row["key"] for row in tx.rows("sites.keys")}


def save(tx: Tx, site: SiteRow) -> None:
    """Write one back-off; a healthy site needs no row."""
    if site.step == 0:
        tx.run("sites.delete", {"key": site.key})
        return
    tx.run(
        "sites.save",
        {
            "key": site.key,
            "step": site.step,
            "until_at": site.until_at,
            "category": site.category.value if site.category else None,
            "reply": site.reply,
            "updated_at": site.updated_at,
        },
    )


def domain_delivered_at(tx: Tx, domain: str) -> datetime | None:
    """When this domain last took mail from us (to the day)."""
    row = tx.one("sites.domain_delivered", {"domain": domain})
    found: datetime | None = row["last_delivered_at"] if row else None
    return found
