"""Compose SELECT text for searches of the block list; see filters.py."""

# ruff: noqa: S608 - one of the files where SQL may be put together (see filters.py)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.model import Category
from relay.store.conditions import Where, contains
from relay.store.protocols import Value
from relay.store.text import fold, like_pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockQuery:
    """What `waybill suppressions list` and the pages look for; every part given must fit."""

    words: str = ""  #: part of address, domain, reason, note or who
    reason: str | None = None
    source: str | None = None
    since: datetime | None = None  #: blocked from this time on
    app: str | None = None  #: what holds for this app alone
    apps: tuple[str, ...] | None = None  #: the scope of whoever asks: what concerns these apps' mail; None: all
    with_lifted: bool = False  #: also what was lifted or has ended
    before: int | None = None  #: id of the last one of the page before
    limit: int = 50


def suppression_search(query: BlockQuery, *, now: datetime) -> tuple[str, dict[str, Value]]:
    """List blocks, newest first."""
    where = Where(params={"limit": query.limit})
    words, with_lifted, before = query.words, query.with_lifted, query.before
    if query.reason:
        where.add("reason = :reason", reason=query.reason)
    if query.source:
        where.add("source = :source", source=query.source)
    if query.since is not None:
        where.add("since_at >= :since", since=query.since)
    if query.app:
        where.add("app = :app", app=query.app)
    if query.apps is not None:
        _add_scope(where, query.apps)
    if words:
        where.add(
            contains("(value || ' ' || reason || ' ' || note || ' ' || by)", "words", words),
            words=like_pattern(fold(words)),
        )
    if not with_lifted:
        where.add("lifted_at IS NULL AND (until_at IS NULL OR until_at > :now)", now=now)
    if before is not None:
        where.add("id < :before", before=before)
    return f"SELECT * FROM suppression {where.text()} ORDER BY id DESC LIMIT :limit", where.params


def _add_scope(where: Where, apps: tuple[str, ...]) -> None:
    """What holds for these apps: their own blocks, those of whole domains, and of addresses that they write to."""
    names = {f"scope{number}": app for number, app in enumerate(apps)}
    listed = ", ".join(f":{name}" for name in names) or "NULL"
    where.add(
        f"(app IN ({listed}) OR (app IS NULL AND (scope = 'domain' OR EXISTS (SELECT 1 FROM delivery d "
        f"JOIN message m ON m.id = d.message_id WHERE d.address_key = suppression.value AND m.app IN ({listed})))))",
        **names,
    )


#: More than this is not counted.
MOST_HELD = 1000


def held_back(ids: Sequence[int]) -> tuple[str, dict[str, Value]]:
    """Count what blocks kept back since they were set, up to MOST_HELD each."""
    listed = ", ".join(str(int(each)) for each in ids)
    parts = []
    for scope, column in (("address", "address_key"), ("domain", "domain")):
        # Only blocked mail ends as suppressed; the few of a whole domain have an index of their own.
        parts.append(
            f"SELECT s.id, (SELECT COUNT(*) FROM (SELECT 1 FROM delivery d WHERE d.{column} = s.value "
            "AND d.status = 'suppressed' "
            f"AND d.ended_at >= s.since_at LIMIT {MOST_HELD}) AS kept) AS held "
            f"FROM suppression s WHERE s.id IN ({listed}) AND s.scope = '{scope}'"
        )
    return " UNION ALL ".join(parts), {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Undoing:
    """Which automatic blocks are to be undone; every part given must fit."""

    since: datetime
    until: datetime | None = None
    rule: str | None = None  #: that read the answer which led to the block
    category: Category | None = None
    domain: str | None = None  #: of the addresses, as A-label


def automatic_blocks(chosen: Undoing, *, after: int, limit: int) -> tuple[str, dict[str, Value]]:
    """List the automatic blocks of a selection that still stand, oldest first."""
    where = Where(params={"limit": limit})
    where.add("lifted_at IS NULL AND source = 'automatic'")
    where.add("since_at >= :since AND id > :after", since=chosen.since, after=after)
    if chosen.until is not None:
        where.add("since_at < :until", until=chosen.until)
    if chosen.rule:
        where.add("rule = :rule", rule=chosen.rule)
    if chosen.category:
        where.add("category = :category", category=chosen.category.value)
    if chosen.domain:
        where.add("value LIKE :domain ESCAPE '\\'", domain=like_pattern("@" + chosen.domain).removesuffix("%"))
    return f"SELECT * FROM suppression {where.text()} ORDER BY id LIMIT :limit", where.params
