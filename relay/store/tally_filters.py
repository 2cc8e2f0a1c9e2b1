"""Compose SELECT text that counts deliveries between two times; see filters.py."""

# ruff: noqa: S608 - one of the files where SQL may be put together (see filters.py)

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from relay.store.conditions import Where
from relay.store.protocols import Value

#: Seconds of a slice. All time zones are whole quarters of an hour apart, so slices fit the hours of every one.
SLICE_S = 900

#: What was reported as spam arrived, but counts as blocked: nothing more goes there.
_STATUS = "CASE WHEN d.marks LIKE '%spam%' THEN 'suppressed' ELSE d.status END"

_SLICE = {
    "sqlite": f"d.created_at / {SLICE_S * 1_000_000}",
    "postgres": f"CAST(FLOOR(EXTRACT(EPOCH FROM d.created_at) / {SLICE_S}) AS BIGINT)",
}


def by_slice(
    dialect: str, *, since: datetime, until: datetime, apps: Sequence[str] | None
) -> tuple[str, dict[str, Value]]:
    """Count by slice of time and status."""
    source, where = _source(since=since, until=until, apps=apps)
    sql = (
        f"SELECT {_SLICE[dialect]} AS slice, {_STATUS} AS status, COUNT(*) AS count FROM {source} {where.text()} "
        f"GROUP BY {_SLICE[dialect]}, {_STATUS}"
    )
    return sql, where.params


def by_domain(*, since: datetime, until: datetime, apps: Sequence[str] | None) -> tuple[str, dict[str, Value]]:
    """Count by domain, status and reason."""
    source, where = _source(since=since, until=until, apps=apps)
    sql = (
        f"SELECT d.domain, d.status, d.category, COUNT(*) AS count FROM {source} {where.text()} "
        "GROUP BY d.domain, d.status, d.category"
    )
    return sql, where.params


def _source(*, since: datetime, until: datetime, apps: Sequence[str] | None) -> tuple[str, Where]:
    where = Where(params={"since_at": since, "until_at": until})
    where.add("d.created_at >= :since_at AND d.created_at < :until_at AND (d.dsn IS NULL OR d.dsn <> 'report')")
    if apps is None:
        return "delivery d", where
    add_apps(where, "m.app", apps)
    return "delivery d JOIN message m ON m.id = d.message_id", where


def add_apps(where: Where, column: str, apps: Sequence[str]) -> None:
    """Let only rows of these apps through; of none, no row."""
    names = [f"app{number}" for number in range(len(apps))]
    listed = ", ".join(f":{name}" for name in names) or "NULL"
    where.add(f"{column} IN ({listed})", **dict(zip(names, apps, strict=True)))
