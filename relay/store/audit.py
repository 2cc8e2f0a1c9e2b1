"""The audit log: who did what, when, from where, on what. Rows are added and never changed.

Only two things take from it: retention, when a row is older than the log is kept, and the erasing of a person, which
blanks what names the person and leaves the row. Whoever changes something adds the entry in the same transaction, so
that there is no change without its row. A note or a text never holds a password, a token or what a mail says.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from relay.store import audit_filters
from relay.store.protocols import Row, Tx

_TEXT = 2000


class Via(StrEnum):
    """How somebody came in."""

    PAGE = "page"
    CLI = "cli"
    API = "api"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who does something, and how."""

    by: str  #: an account's name, or the user at the command line
    via: Via
    ip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that was done."""

    at: datetime
    actor: Actor
    action: str  #: a stable word
    object_kind: str = ""  #: account | token | message | delivery | address | …
    object: str = ""  #: its id, name or address
    text: str = ""
    note: str = ""  #: what the person wrote about it


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """An entry with its place in the order, for paging."""

    seq: int
    entry: Entry


def add(tx: Tx, entry: Entry) -> None:
    """Write one entry."""
    tx.run(
        "audit.insert",
        {
            "at": entry.at,
            "by": entry.actor.by,
            "via": entry.actor.via.value,
            "ip": entry.actor.ip,
            "action": entry.action,
            "object_kind": entry.object_kind,
            "object": entry.object,
            "text": entry.text[:_TEXT],
            "note": entry.note[:_TEXT],
        },
    )


def search(
    tx: Tx,
    *,
    by: str | None = None,
    action: str | None = None,
    words: Iterable[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[AuditRow]:
    """List entries, newest first; words are part of the object, the text or the note.

    `by` and `action` are whole words; `before` is the seq of the last one of the page before.
    """
    sql, params = audit_filters.audit_search(
        by=by, action=action, words=list(words), since=since, until=until, before=before, limit=limit
    )
    return [_row(row) for row in tx.compose(sql, params)]


def actions(tx: Tx) -> list[str]:
    """Every action that stands in the log."""
    return [row["action"] for row in tx.rows("audit.actions")]


def _row(row: Row) -> AuditRow:
    entry = Entry(
        at=row["at"],
        actor=Actor(by=row["by"], via=Via(row["via"]), ip=row["ip"]),
        action=row["action"],
        object_kind=row["object_kind"],
        object=row["object"],
        text=row["text"],
        note=row["note"],
    )
    return AuditRow(seq=row["seq"], entry=entry)
