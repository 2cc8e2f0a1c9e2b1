"""Compose SELECT text for searches of the log, and for choosing open deliveries.

Only here, in audit_filters.py, block_filters.py, notice_filters.py and refusal_filters.py is SQL put together in
Python. Only fixed fragments are joined; every value is bound (conditions.py). Pages go by key (newest first, "older
than the last one seen"), nothing counts all rows.
"""

# ruff: noqa: S608 - one of the files where SQL may be put together

from __future__ import annotations

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.address import address_key
from relay.model import DeliveryId
from relay.status import Status
from relay.store.conditions import Where, contains
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
  m.duplicate_of, m.size, m.expires_at
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
    redirected_from: str | None = None  #: the whole address that the app gave, before a redirect changed it
    booking: str | None = None  #: the whole booking, spelled in any way
    customer: str | None = None  #: the whole customer number, spelled in any way
    status: tuple[Status, ...] = ()  #: any of these
    app: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    archived: bool | None = None  #: only the archive, or only what is not in it; then `now` is needed
    now: datetime | None = None
    before: int | None = None  #: `seq` of the last row of the page before
    limit: int = 50

    def needles(self) -> list[str]:
        """The folded texts that a fitting row must contain somewhere."""
        found = [fold(word) for word in self.words if word]
        if self.to:
            found.append(_needle(self.to))
        return found

    @property
    def archive_ends(self) -> datetime:
        """Everything originally accepted before this is the archive."""
        if self.now is None:
            raise ValueError("what is archived depends on the time: give `now`")
        return month_before(self.now)


def month_before(moment: datetime) -> datetime:
    """Go back one calendar month; from a day that month does not have, to its last."""
    year, month = (moment.year, moment.month - 1) if moment.month > 1 else (moment.year - 1, 12)
    return moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Open deliveries chosen by a person: all of what is given must fit; nothing given means everything open."""

    ids: tuple[DeliveryId, ...] = ()
    domain: str | None = None
    app: str | None = None
    site: str | None = None  #: host or site key last tried
    address: str | None = None


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


def _log_where(query: Query, *, seq: str, bounds: tuple[int, int] | None) -> Where:
    where = Where(params={"limit": query.limit})
    for number, word in enumerate(word for word in query.words if word):
        where.add(contains(WORDS, f"word{number}", word), **{f"word{number}": like_pattern(fold(word))})
    if query.to:
        where.add(contains(_TO, "to", _needle(query.to)), to=like_pattern(_needle(query.to)))
    if query.address is not None:
        where.add("d.address_key = :address", address=address_key(query.address))
    if query.booking:
        where.add(
            "d.message_id IN (SELECT message_id FROM reference WHERE value_key = :booking AND kind = 'booking')",
            booking=reference_key(query.booking),
        )
    if query.customer:
        where.add(
            "d.message_id IN (SELECT message_id FROM reference WHERE value_key = :customer AND kind = 'customer')",
            customer=reference_key(query.customer),
        )
    if query.redirected_from is not None:
        where.add(
            "d.id IN (SELECT e.delivery_id FROM event e WHERE e.address = :asked_for AND e.kind = 'redirected')",
            asked_for=address_key(query.redirected_from),
        )
    if query.archived is not None:
        _add_archived(where, query)
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


def _add_archived(where: Where, query: Query) -> None:
    """A message goes into the archive by its own date, with its resends, whenever they were made."""
    if query.archived:
        where.add("m.accepted_at < :archive_ends", archive_ends=query.archive_ends)
        if query.since is not None and query.since >= query.archive_ends:
            # Only a resend can be younger than its message; a partial index knows them.
            where.add(
                "d.seq IN (SELECT r.seq FROM delivery r WHERE r.resend_of IS NOT NULL AND r.created_at >= :since)"
            )
    else:
        where.add("m.accepted_at >= :archive_ends", archive_ends=query.archive_ends)


def _add_status(where: Where, statuses: Sequence[Status]) -> None:
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


def _needle(to: str) -> str:
    """An address is looked for in the form that is compared, a part of one as it is."""
    return address_key(to) if "@" in to and not to.isascii() else fold(to)


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
