"""MTA-STS policies that were fetched, so that a restart or another node needs not fetch them again (RFC 8461 3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from relay.store.protocols import Row, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPolicy:
    """One domain's policy, as plain values."""

    domain: str
    id: str
    mode: str
    mx: tuple[str, ...]
    max_age: timedelta
    fetched_at: datetime


def save(tx: Tx, policy: StoredPolicy) -> None:
    """Remember a policy in the place of the one before."""
    tx.run(
        "sts.save",
        {
            "domain": policy.domain,
            "id": policy.id,
            "mode": policy.mode,
            "mx": " ".join(policy.mx),
            "max_age_s": int(policy.max_age.total_seconds()),
            "fetched_at": policy.fetched_at,
            "expires_at": policy.fetched_at + policy.max_age,
        },
    )


def load(tx: Tx, domain: str) -> StoredPolicy | None:
    """The remembered policy of a domain, expired or not."""
    row = tx.one("sts.load", {"domain": domain})
    return _policy(row) if row else None


def stale(tx: Tx, *, fetched_before: datetime, limit: int) -> list[StoredPolicy]:
    """Policies to fetch anew."""
    return [_policy(row) for row in tx.rows("sts.stale", {"fetched_before": fetched_before, "limit": limit})]


def drop_expired(tx: Tx, *, now: datetime) -> int:
    """Forget what no longer holds."""
    return tx.run("sts.drop_expired", {"now": now})


def _policy(row: Row) -> StoredPolicy:
    return StoredPolicy(
        domain=row["domain"],
        id=row["id"],
        mode=row["mode"],
        mx=tuple(row["mx"].split()),
        max_age=timedelta(seconds=row["max_age_s"]),
        fetched_at=row["fetched_at"],
    )
