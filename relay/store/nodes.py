"""Which processes are alive on a shared store, by their own word: a row each, renewed every few seconds.

Times here are the store's clock, not the callers', so that a machine with a wrong clock neither looks dead nor buries
others. A process silent for too long is buried: its row goes, and what it had leased is taken over at once. Burying
is not killing: a process that was only cut off learns by its next `beat` that it was buried.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from relay.store.protocols import Row, Tx, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """What a process says of itself."""

    owner: str  #: the name its leases bear; never used twice
    node: str  #: host name of its machine
    role: str  #: delivery | intake
    version: str
    sources: str = ""  #: addresses it sends from, joined by spaces; "" = as the machine routes


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """One process as the store knows it."""

    member: Member
    started_at: datetime
    seen_at: datetime
    at: datetime  #: the store's clock at the look

    @property
    def silent(self) -> timedelta:
        return self.at - self.seen_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """The answer to one beat."""

    at: datetime  #: the store's clock
    is_new: bool  #: the store did not know this process (any more)


def beat(tx: Tx, member: Member, *, now: datetime) -> Beat:
    """Say that this process lives; `now` counts only where the store has no clock of its own."""
    known = tx.one("nodes.beat", {"owner": member.owner, "now": now})
    if known is not None:
        return Beat(at=known["seen_at"], is_new=False)
    params: dict[str, Value] = {
        "owner": member.owner,
        "node": member.node,
        "role": member.role,
        "version": member.version,
        "sources": member.sources,
        "now": now,
    }
    return Beat(at=tx.rows("nodes.join", params)[0]["seen_at"], is_new=True)


def bury(tx: Tx, *, silent_since: datetime) -> list[str]:
    """Remove the processes that were last heard before this; return their owner names."""
    return [str(row["owner"]) for row in tx.rows("nodes.bury", {"dead_at": silent_since})]


def leave(tx: Tx, owner: str) -> int:
    """Take out a process that stops in order."""
    return tx.run("nodes.leave", {"owner": owner})


def living(tx: Tx, *, now: datetime) -> list[NodeRow]:
    """All processes the store knows, by machine and role."""
    return [_row(row) for row in tx.rows("nodes.list", {"now": now})]


def owners(rows: Iterable[NodeRow], *, role: str) -> tuple[str, ...]:
    """The owner names of one role, in order."""
    return tuple(sorted(row.member.owner for row in rows if row.member.role == role))


def _row(row: Row) -> NodeRow:
    return NodeRow(
        member=Member(
            owner=row["owner"], node=row["node"], role=row["role"], version=row["version"], sources=row["sources"]
        ),
        started_at=row["started_at"],
        seen_at=row["seen_at"],
        at=row["looked_at"],
    )
