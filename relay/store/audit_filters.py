"""Compose SELECT text for searches of the audit log; see filters.py."""

# ruff: noqa: S608 - one of the files where SQL may be put together (see filters.py)

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from relay.store.conditions import Where, contains
from relay.store.protocols import Value
from relay.store.text import fold, like_pattern

_WORDS = """(
  object || '
' || text || '
' || note
)"""


def audit_search(
    *,
    by: str | None,
    action: str | None,
    words: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    before: int | None,
    limit: int,
) -> tuple[str, dict[str, Value]]:
    """Search what people did."""
    where = Where(params={"limit": limit})
    if by:
        where.add("by = :by", by=by)
    if action:
        where.add("action = :action", action=action)
    for number, word in enumerate(words):
        where.add(contains(_WORDS, f"word{number}", word), **{f"word{number}": like_pattern(fold(word))})
    if since is not None:
        where.add("at >= :since", since=since)
    if until is not None:
        where.add("at < :until", until=until)
    if before is not None:
        where.add("seq < :before", before=before)
    return f"SELECT * FROM audit {where.text()} ORDER BY seq DESC LIMIT :limit", where.params
