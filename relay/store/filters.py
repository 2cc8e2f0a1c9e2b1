"""Compose SELECT text for searches of the log, and for choosing open deliveries.

Only here, in log_where.py, audit_filters.py, block_filters.py, notice_filters.py and refusal_filters.py is SQL put
together in Python. Only fixed fragments are joined; every value is bound (conditions.py). Pages go by key ("older than
the last one seen"), nothing counts all rows.
"""

# ruff: noqa: S608 - one of the files where SQL may be put together

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from relay.address import address_key
from relay.model import DeliveryId
from relay.store.conditions import Where
from relay.store.log_query import Query, month_before
from relay.store.log_where import WORDS, Lane, log_where
from relay.store.protocols import Value
from relay.store.text import SHORT, beginnings, like_pattern

__all__ = ["Query", "Selection", "month_before"]

_LOG_COLUMNS = """SELECT
  d.seq, d.id, d.message_id AS message, m.accepted_at, m.app, d.address, d.name, m.header_from, m.subject, m.booking,
  m.customer, m.kind, d.status, d.category, d.blame, d.rule, d.attempts, d.mx, d.code, d.enhanced, d.reply,
  CASE WHEN d.lease_owner IS NULL THEN d.next_at END AS next_at, d.held,
  d.marks, d.created_at, d.delivered_at, d.ended_at, d.resend_of, d.form, d.intended, d.is_unknown,
  m.duplicate_of, m.size, m.expires_at
"""

#: All that is counted by.
_FATE_COLUMNS = "SELECT d.status, CASE WHEN d.marks LIKE '%spam%' THEN 1 ELSE 0 END AS is_spam"

_MESSAGE = "JOIN message m ON m.id = d.message_id"

Bounds = tuple[int, int] | None
Statement = tuple[str, dict[str, Value]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Open deliveries chosen by a person: all of what is given must fit; nothing given means everything open."""

    ids: tuple[DeliveryId, ...] = ()
    domain: str | None = None
    app: str | None = None
    site: str | None = None  #: host or site key last tried
    address: str | None = None


def log_plain(query: Query, *, bounds: Bounds = None, lane: Lane | None = None) -> Statement:
    """Search the log row by row, within `bounds` of seq."""
    where = log_where(query, seq="d.seq", bounds=bounds, lane=lane)
    return _select(query, f"delivery d {_MESSAGE}", where, seq="d.seq")


def log_indexed(query: Query, *, grams: str, bounds: Bounds) -> Statement:
    """Search the indexed part of the log: the index proposes rows in order, the words decide."""
    where = log_where(query, seq="search.rowid", bounds=bounds)
    where.add("search MATCH :grams", grams=grams)
    tables = f"search CROSS JOIN delivery d ON d.seq = search.rowid {_MESSAGE}"
    return _select(query, tables, where, seq="search.rowid")


def log_pending(query: Query, *, bounds: Bounds = None) -> Statement:
    """Search the part of the log that the index does not hold yet (PostgreSQL)."""
    where = log_where(query, seq="d.seq", bounds=bounds)
    return _select(query, f"search_pending p JOIN delivery d ON d.seq = p.seq {_MESSAGE}", where, seq="d.seq")


def log_trigrams(query: Query, *, needles: Sequence[str], bounds: Bounds = None) -> Statement:
    """Search the indexed part of the log (PostgreSQL): the index proposes rows, the words decide."""
    where = log_where(query, seq="s.seq", bounds=bounds)
    for number, needle in enumerate(needles):
        name = f"needle{number}"
        if len(needle) >= SHORT:
            where.add(f"s.words LIKE :{name} ESCAPE '\\'", **{name: like_pattern(needle)})
        else:
            first, inner = beginnings(needle)
            either = f"(s.words LIKE :{name} ESCAPE '\\' OR s.words LIKE :{name}_inner ESCAPE '\\')"
            where.add(either, **{name: first, f"{name}_inner": inner})
    return _select(query, f"search s JOIN delivery d ON d.seq = s.seq {_MESSAGE}", where, seq="s.seq")


def counted(statement: Statement) -> Statement:
    """Count what a search finds, up to its limit, instead of listing it."""
    inner, params = _instead(statement, "SELECT 1")
    return f"SELECT COUNT(*) AS count FROM ({inner}) AS found", params


def counted_by_fate(statement: Statement) -> Statement:
    """Count what a search finds, up to its limit, by what became of it."""
    inner, params = _instead(statement, _FATE_COLUMNS)
    return f"SELECT status, is_spam, COUNT(*) AS count FROM ({inner}) AS found GROUP BY status, is_spam", params


def _instead(statement: Statement, columns: str) -> Statement:
    """Ask for other columns, and for the message only where a condition is about it."""
    sql, params = statement
    sql = sql.replace(_LOG_COLUMNS, f"{columns} ", 1)
    if not re.search(r"\bm\.(?!id = d\.message_id)", sql):
        sql = sql.replace(_MESSAGE, "", 1)
    return sql, params


def is_large(domain: str, *, at_least: int) -> Statement:
    """Ask whether a domain has so many deliveries, without counting more."""
    sql = "SELECT COUNT(*) AS count FROM (SELECT 1 FROM delivery WHERE domain = :domain LIMIT :limit) AS found"
    return sql, {"domain": domain, "limit": at_least}


def _select(query: Query, tables: str, where: Where, *, seq: str) -> Statement:
    order = "ASC" if query.oldest_first else "DESC"
    return f"{_LOG_COLUMNS} FROM {tables} {where.text()} ORDER BY {seq} {order} LIMIT :limit", where.params


def words_of(seqs: Sequence[int]) -> tuple[str, dict[str, Value]]:
    """What the search index holds of these rows (PostgreSQL)."""
    listed = ", ".join(str(int(seq)) for seq in seqs) or "0"
    sql = (
        f"SELECT d.seq, fold({WORDS}) AS words FROM delivery d JOIN message m ON m.id = d.message_id "
        f"WHERE d.seq IN ({listed})"
    )
    return sql, {}


def log_of(seqs: Sequence[int]) -> tuple[str, dict[str, Value]]:
    """The rows with these seqs, oldest first."""
    # Numbers of our own, spelled: the two databases bind lists in different ways.
    listed = ", ".join(str(int(seq)) for seq in seqs) or "0"
    return f"{_LOG_COLUMNS} FROM delivery d {_MESSAGE} WHERE d.seq IN ({listed}) ORDER BY d.seq", {}


def log_of_ids(ids: Sequence[DeliveryId]) -> tuple[str, dict[str, Value]]:
    """The rows of these deliveries, newest first."""
    where = Where()
    where.add_any("d.id", "id", ids)
    return f"{_LOG_COLUMNS} FROM delivery d {_MESSAGE} {where.text()} ORDER BY d.seq DESC", where.params


def unindexed(*, after: int, limit: int) -> tuple[str, dict[str, Value]]:
    """The next rows for the search index, with their words."""
    sql = (
        f"SELECT d.seq, fold({WORDS}) AS words FROM delivery d JOIN message m ON m.id = d.message_id "
        "WHERE d.seq > :after ORDER BY d.seq LIMIT :limit"
    )
    return sql, {"after": after, "limit": limit}


def selection(chosen: Selection, *, locks: bool = False) -> tuple[str, dict[str, Value]]:
    """The open deliveries of a selection; `locks` keeps others from changing them meanwhile (PostgreSQL)."""
    where = Where()
    where.add("d.next_at IS NOT NULL")
    if chosen.ids:
        names = [f":id{number}" for number in range(len(chosen.ids))]
        where.params.update({f"id{number}": each for number, each in enumerate(chosen.ids)})
        where.add(f"(d.id IN ({', '.join(names)}) OR d.message_id IN ({', '.join(names)}))")
    if chosen.domain:
        where.add("d.domain = :domain", domain=chosen.domain)
    if chosen.app:
        where.add("m.app = :app", app=chosen.app)
    if chosen.site:
        where.add("',' || :site || ',' LIKE '%,' || d.mx || ',%'", site=chosen.site)
    if chosen.address:
        where.add("d.address_key = :address", address=address_key(chosen.address))
    sql = (
        "SELECT d.id, d.message_id, d.status, d.held, d.lease_owner, d.address_key, d.mx, m.store_content "
        f"FROM delivery d JOIN message m ON m.id = d.message_id {where.text()} ORDER BY d.seq"
        f"{' FOR UPDATE OF d' if locks else ''}"
    )
    return sql, where.params
