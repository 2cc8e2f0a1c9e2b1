"""Compose SELECT text for searches of what intake refused; see filters.py."""

# ruff: noqa: S608 - one of the files where SQL may be put together (see filters.py)

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from relay.store.conditions import Where, contains
from relay.store.protocols import Value
from relay.store.text import fold, like_pattern

_REFUSAL_WORDS = """(
  client_ip || '
' || helo || '
' || COALESCE(auth_user, '') || '
' || COALESCE(mail_from, '') || '
' || COALESCE(rcpt_to, '') || '
' || text || '
' || reason || '
' || COALESCE(app, '')
)"""


def refusal_search(
    *,
    words: Sequence[str],
    to: str | None,
    app: str | None,
    apps: Sequence[str] | None,
    since: datetime | None,
    until: datetime | None,
    before: int | None,
    after: int | None,
    up_to: int | None,
    limit: int,
) -> tuple[str, dict[str, Value]]:
    """Search what intake refused."""
    where = Where(params={"limit": limit})
    for number, word in enumerate(words):
        where.add(contains(_REFUSAL_WORDS, f"word{number}", word), **{f"word{number}": like_pattern(fold(word))})
    if to:
        where.add(contains("COALESCE(rcpt_to, '')", "to", to), to=like_pattern(fold(to)))
    if app:
        where.add("app = :app", app=app)
    if apps is not None:
        where.add_any("app", "scope", apps)
    if since is not None:
        where.add("at >= :since", since=since)
    if until is not None:
        where.add("at < :until", until=until)
    if before is not None:
        where.add("seq < :before", before=before)
    if after is not None:
        where.add("seq > :after", after=after)
    if up_to is not None:
        where.add("seq <= :up_to", up_to=up_to)
    return f"SELECT * FROM refusal {where.text()} ORDER BY seq DESC LIMIT :limit", where.params
