"""Compose SELECT text for searches of notices; see filters.py."""

# ruff: noqa: S608 - one of the files where SQL may be put together (see filters.py)

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from relay.store.conditions import Where, contains
from relay.store.protocols import Value
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
