"""Pauses: what must not be sent for a while, by everything, site, domain or app.

A pause holds what is open at once, and what arrives later when it would be claimed; so a claim never returns a paused
delivery. A site is known only after the look-up of its MX hosts: the store holds what was last tried there, and the
scheduler hands back the rest with spool.hold_claimed and `held_text`. The end of a pause (a person, or its time)
frees what it held and makes it due; what another pause covers is then held again by that one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from relay.store.protocols import Row, Tx, Value

SCOPES = ("all", "site", "domain", "app")
_EVER = datetime(9999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """One pause."""

    id: int
    scope: str  #: all | site | domain | app
    value: str  #: site key or host, domain, app; "" for all
    reason: str
    by: str
    since_at: datetime
    until_at: datetime | None = None  #: None: until a person resumes


def held_text(pause: Pause) -> str:
    """What stands beside a delivery that this pause holds."""
    return f"paused: {pause.reason or pause.value or pause.scope}"


def pause(
    tx: Tx, *, scope: str, value: str, reason: str, by: str, now: datetime, until: datetime | None = None
) -> Pause:
    """Begin a pause and hold what it covers.

    Raises:
        ValueError: there is no such scope.
    """
    if scope not in SCOPES:
        raise ValueError(f"a pause is on {', '.join(SCOPES)}; not on {scope}")
    params: dict[str, Value] = {
        "scope": scope,
        "value": value,
        "reason": reason,
        "by": by,
        "since_at": now,
        "until_at": until,
    }
    made = _pause(tx.rows("pauses.insert", params)[0])
    _hold(tx, made, due=_EVER)
    return made


def resume(tx: Tx, *, scope: str, value: str, now: datetime) -> int:
    """End all pauses on exactly this; return how many there were."""
    found = [each for each in every(tx) if each.scope == scope and each.value == value]
    for each in found:
        end(tx, each, now=now)
    return len(found)


def every(tx: Tx) -> list[Pause]:
    """All pauses, oldest first."""
    return [_pause(row) for row in tx.rows("pauses.list")]


def hold_due(tx: Tx, *, now: datetime) -> None:
    """End pauses whose time is over and hold what is due but paused; the first step of every claim."""
    found = every(tx)
    ended = [each for each in found if each.until_at is not None and each.until_at <= now]
    for each in ended:
        end(tx, each, now=now)
    for each in found:
        if each not in ended:
            _hold(tx, each, due=now)


def _hold(tx: Tx, pause: Pause, *, due: datetime) -> int:
    params: dict[str, Value] = {"held": held_text(pause), "due": due}
    if pause.scope == "all":
        return tx.run("pauses.hold_all", params)
    return tx.run(f"pauses.hold_{pause.scope}", {**params, "value": pause.value})


def end(tx: Tx, pause: Pause, *, now: datetime) -> None:
    """End one pause, and no other on the same."""
    tx.run("pauses.delete", {"id": pause.id})
    tx.run("pauses.free", {"held": held_text(pause), "now": now})


def _pause(row: Row) -> Pause:
    return Pause(
        id=row["id"],
        scope=row["scope"],
        value=row["value"],
        reason=row["reason"],
        by=row["by"],
        since_at=row["since_at"],
        until_at=row["until_at"],
    )
