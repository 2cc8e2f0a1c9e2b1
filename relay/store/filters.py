"""Compose SELECT text for searches: the one place where SQL is put together in Python.

Only fixed fragments of this file are joined; every value is bound. Pages go by key (newest first, "older than the last
one seen"), nothing counts all rows.
"""

# ruff: noqa: S608 - this is the file where SQL may be put together

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from relay.address import address_key
from relay.model import DeliveryId
from relay.status import Status
from relay.store.protocols import Value
from relay.store.text import fold, like_pattern, reference_key

#: All that words are looked for in; the search index is filled with the same text.
WORDS = """(
  d.address || '
' || d.address_key || '
' || COALESCE(d.intended, '') || '
' || d.name || '
' || d.id || '
' || m.id || '
' || m.subject || '
' || m.header_from || '
' || m.from_name || '
' || m.message_id || '
' || COALESCE(m.booking, '') || '
' || COALESCE(m.customer, '') || '
' || COALESCE(m.phone, '') || '
' || COALESCE((SELECT group_concat(r.value, '
') FROM reference r WHERE r.message_id = m.id AND r.kind IN ('booking', 'customer', 'phone', 'name')), '')
)"""

_TO = """(
  d.address || '
' || d.address_key || '
' || COALESCE(d.intended, '') || '
' || d.name
)"""

_LOG_COLUMNS = """SELECT
  d.seq, d.id, d.message_id AS message, m.accepted_at, m.app, d.address, d.name, m.header_from, m.subject, m.booking,
  m.customer, m.kind, d.status, d.category, d.blame, d.rule, d.attempts, d.mx, d.code, d.enhanced, d.reply,
  CASE WHEN d.lease_owner IS NULL THEN d.next_at END AS next_at, d.held,
  d.marks, d.created_at, d.delivered_at, d.ended_at, d.resend_of, d.form, d.intended, d.is_unknown,
  m.duplicate_of, m.size
"""

_MESSAGE = "JOIN message m ON m.id = d.message_id"

#: Statuses that the partial index delivery_by_status leaves out.
_COMMON = frozenset({Status.QUEUED, Status.DELIVERED, Status.SENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What `waybill log` and the pages look for; every part given must fit."""

    words: tuple[
        str, ...
    ] = ()  #: each a part of address, name, subject, booking, customer, phone, id, Message-ID, From
    to: str | None = None  #: part of the recipient's address (also the intended one) or name
    address: str | None = None  #: the whole address, in any case of letters
    booking: str | None = None  #: the whole booking, spelled in any way
    status: tuple[Status, ...] = ()  #: any of these
    app: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None  #: `seq` of the last row of the page before
    limit: int = 50

    def needles(self) -> list[str]:
        """The folded texts that a fitting row must contain somewhere."""
        found = [fold(word) for word in self.words if word]
        if self.to:
            found.append(_needle(self.to))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Open deliveries chosen by a person: all of what is given must fit; nothing given means everything open."""

    ids: tuple[DeliveryId, ...] = ()
    domain: str | None = None
    app: str | None = None
    site: str | None = None  #: host or site key last tried
    address: str | None = None


@dataclass(slots=True)
class _Where:
    """Conditions joined by AND, with their values."""

    conditions: list[str] = field(default_factory=list)
    params: dict[str, Value] = field(default_factory=dict)

    def add(self, condition: str, **params: Value) -> None:
        self.conditions.append(condition)
        self.params.update(params)

    def text(self) -> str:
        return "WHERE " + "\n  AND ".join(self.conditions) if self.conditions else ""


def log_plain(query: Query, *, after: int = 0, bounds: tuple[int, int] | None = None) -> tuple[str, dict[str, Value]]:
    """Search the log row by row, only rows above `after`, within `bounds` of seq."""
    where = _log_where(query, seq="d.seq", bounds=bounds)
    if after:
        where.add("d.seq > :after", after=after)
    sql = f"{_LOG_COLUMNS} FROM delivery d {_MESSAGE} {where.text()} ORDER BY d.seq DESC LIMIT :limit"
    return sql, where.params


def log_indexed(
    query: Query, *, grams: str, up_to: int, bounds: tuple[int, int] | None = None
) -> tuple[str, dict[str, Value]]:
    """Search the indexed part of the log: the index proposes rows in order, the words decide."""
    where = _log_where(query, seq="search.rowid", bounds=bounds)
    where.add("search MATCH :grams AND search.rowid <= :up_to", grams=grams, up_to=up_to)
    sql = (
        f"{_LOG_COLUMNS} FROM search CROSS JOIN delivery d ON d.seq = search.rowid {_MESSAGE} "
        f"{where.text()} ORDER BY search.rowid DESC LIMIT :limit"
    )
    return sql, where.params


def log_pending(query: Query, *, bounds: tuple[int, int] | None = None) -> tuple[str, dict[str, Value]]:
    """Search the part of the log that the index does not hold yet (PostgreSQL)."""
    where = _log_where(query, seq="d.seq", bounds=bounds)
    sql = (
        f"{_LOG_COLUMNS} FROM search_pending p JOIN delivery d ON d.seq = p.seq {_MESSAGE} {where.text()} "
        "ORDER BY d.seq DESC LIMIT :limit"
    )
    return sql, where.params


def log_trigrams(
    query: Query, *, needles: Sequence[str], bounds: tuple[int, int] | None = None
) -> tuple[str, dict[str, Value]]:
    """Search the indexed part of the log (PostgreSQL): the index proposes rows, the words decide."""
    where = _log_where(query, seq="s.seq", bounds=bounds)
    for number, needle in enumerate(needles):
        where.add(f"s.words LIKE :needle{number} ESCAPE '\\'", **{f"needle{number}": like_pattern(needle)})
    sql = (
        f"{_LOG_COLUMNS} FROM search s JOIN delivery d ON d.seq = s.seq {_MESSAGE} {where.text()} "
        "ORDER BY s.seq DESC LIMIT :limit"
    )
    return sql, where.params


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


def unindexed(*, after: int, limit: int) -> tuple[str, dict[str, Value]]:
    """The next rows for the search index, with their words."""
    sql = (
        f"SELECT d.seq, fold({WORDS}) AS words FROM delivery d JOIN message m ON m.id = d.message_id "
        "WHERE d.seq > :after ORDER BY d.seq LIMIT :limit"
    )
    return sql, {"after": after, "limit": limit}


def _log_where(query: Query, *, seq: str, bounds: tuple[int, int] | None) -> _Where:
    where = _Where(params={"limit": query.limit})
    for number, word in enumerate(word for word in query.words if word):
        where.add(_contains(WORDS, f"word{number}", word), **{f"word{number}": like_pattern(fold(word))})
    if query.to:
        where.add(_contains(_TO, "to", _needle(query.to)), to=like_pattern(_needle(query.to)))
    if query.address is not None:
        where.add("d.address_key = :address", address=address_key(query.address))
    if query.booking:
        where.add(
            "d.message_id IN (SELECT message_id FROM reference WHERE value_key = :booking AND kind = 'booking')",
            booking=reference_key(query.booking),
        )
    if query.status:
        _add_status(where, query.status)
    if query.app:
        where.add("m.app = :app", app=query.app)
    if query.since is not None:
        where.add("d.created_at >= :since", since=query.since)
    if query.until is not None:
        where.add("d.created_at < :until", until=query.until)
    if bounds is not None:
        where.add(f"{seq} BETWEEN :low AND :high", low=bounds[0], high=bounds[1])
    if query.before is not None:
        where.add(f"{seq} < :before", before=query.before)
    return where


def _add_status(where: _Where, statuses: Sequence[Status]) -> None:
    names = []
    for number, status in enumerate(statuses):
        names.append(f":status{number}")
        where.params[f"status{number}"] = status.value
    where.add(f"d.status IN ({', '.join(names)})")
    if not _COMMON.intersection(statuses):
        # Said again in the index's own words, without which SQLite would not use it.
        where.add("d.status NOT IN ('queued', 'delivered', 'sent')")
    if set(statuses) == {Status.QUEUED}:
        where.add("d.next_at IS NOT NULL")


def _contains(text: str, param: str, word: str) -> str:
    """Say that a text contains the word, in any case of letters."""
    # LIKE knows the case of ASCII letters by itself; folding is only called, row by row, where it makes a difference.
    return f"{text} LIKE :{param} ESCAPE '\\'" if word.isascii() else f"fold({text}) LIKE :{param} ESCAPE '\\'"


def _needle(to: str) -> str:
    """An address is looked for in the form that is compared, a part of one as it is."""
    return address_key(to) if "@" in to and not to.isascii() else fold(to)


def selection(chosen: Selection, *, locks: bool = False) -> tuple[str, dict[str, Value]]:
    """The open deliveries of a selection; `locks` keeps others from changing them meanwhile (PostgreSQL)."""
    where = _Where()
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


def refusal_search(
    *,
    words: Sequence[str],
    to: str | None,
    app: str | None,
    since: datetime | None,
    until: datetime | None,
    before: int | None,
    after: int | None,
    limit: int,
) -> tuple[str, dict[str, Value]]:
    """Search what intake refused."""
    where = _Where(params={"limit": limit})
    for number, word in enumerate(words):
        where.add(_contains(_REFUSAL_WORDS, f"word{number}", word), **{f"word{number}": like_pattern(fold(word))})
    if to:
        where.add(_contains("COALESCE(rcpt_to, '')", "to", to), to=like_pattern(fold(to)))
    if app:
        where.add("app = :app", app=app)
    if since is not None:
        where.add("at >= :since", since=since)
    if until is not None:
        where.add("at < :until", until=until)
    if before is not None:
        where.add("seq < :before", before=before)
    if after is not None:
        where.add("seq > :after", after=after)
    return f"SELECT * FROM refusal {where.text()} ORDER BY seq DESC LIMIT :limit", where.params


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


def suppression_search(
    *, words: str, now: datetime, with_lifted: bool, before: int | None, limit: int
) -> tuple[str, dict[str, Value]]:
    """List blocks."""
    where = _Where(params={"limit": limit})
    if words:
        where.add(
            _contains("(value || ' ' || reason || ' ' || note || ' ' || by)", "words", words),
            words=like_pattern(fold(words)),
        )
    if not with_lifted:
        where.add("lifted_at IS NULL AND (until_at IS NULL OR until_at > :now)", now=now)
    if before is not None:
        where.add("id < :before", before=before)
    return f"SELECT * FROM suppression {where.text()} ORDER BY id DESC LIMIT :limit", where.params
