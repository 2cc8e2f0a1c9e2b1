"""Search the log, and keep the index that searching stands on.

Words go through a trigram index that the delivery process fills when it is idle (`index_pending`), so that accepting
mail stays fast; what is not indexed yet is read row by row. The index only proposes: the words are compared with the
row itself in both parts, so that indexed or not makes no difference to what is found, and a mail is found as soon as
its 250 was said. A query without words is read along the indexes of the log, in lanes (log_where.py).

`search` finds all there is. `page` is for people who wait: in a read with a time limit it goes through the log piece by
piece, the newest first and each piece larger than the last, and when the time is over gives what it has and says so.
After that nothing more can be asked in the same read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from relay.errors import StoreSlow
from relay.store import filters
from relay.store.filters import Bounds, Statement
from relay.store.log_query import Query
from relay.store.log_rows import LogRow, log_rows
from relay.store.log_where import domain_lane, lanes
from relay.store.protocols import Row, Tx
from relay.store.text import grams_query

_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 1, 1, tzinfo=UTC)

_END = 2**62  #: no log gets so far

PIECE = 20_000  #: rows of the log in the first piece
_GROWTH = 4

_QUICKER = 5  #: times, that an entry of an index is read quicker than a row
_LARGE = 20_000  #: deliveries of a domain, from which on its failures are looked for among all failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a search found in the time it had."""

    rows: tuple[LogRow, ...]
    is_partial: bool = False  #: time ran out: what follows behind these rows was not looked at


class Known:
    """What is looked up once for all pieces of a search."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self._bounds: dict[tuple[datetime | None, datetime | None], Bounds] = {}
        self._large: dict[str, bool] = {}
        self._ends: Row | None = None

    def bounds(self, query: Query) -> Bounds:
        """Narrow times to rows of the log, so that a search in the past does not read the present."""
        times = query.since, query.until
        if times == (None, None):
            return None
        if times not in self._bounds:
            since, until = query.since or _FIRST, query.until or _LAST
            if not self._is_worth_it(since, until):
                return None
            row = self._tx.rows("log.time_bounds", {"since": since, "until": until})[0]
            self._bounds[times] = (row["low"], row["high"]) if row["low"] is not None else (1, 0)
        return self._bounds[times]

    def _is_worth_it(self, since: datetime, until: datetime) -> bool:
        """Looking up a time reads the index of all of it, which is quicker than reading the rows of the rest."""
        ends = self.ends
        if ends["first_at"] is None:
            return False
        first, last = ends["first_at"], max(ends["first_at"], ends["last_at"])
        inside = max(timedelta(0), min(until, last) - max(since, first))
        return bool(inside <= _QUICKER * (last - first - inside))

    @property
    def ends(self) -> Row:
        """The first and last row of the log."""
        if self._ends is None:
            self._ends = self._tx.rows("log.ends")[0]
        return self._ends

    def is_large(self, domain: str) -> bool:
        """Tell whether all mail of a domain is much to look through."""
        if domain not in self._large:
            row = self._tx.compose(*filters.is_large(domain, at_least=_LARGE))[0]
            self._large[domain] = bool(row["count"] >= _LARGE)
        return self._large[domain]


def search(tx: Tx, query: Query, *, within: Bounds = None, known: Known | None = None) -> list[LogRow]:
    """List deliveries that fit, newest first unless asked otherwise; only from a part of the log if one is given."""
    known = known or Known(tx)
    found: list[Row] = []
    for part in by_archive(query):
        found += _found(tx, part, within, known)
    return _in_order(log_rows(found), query)


def page(tx: Tx, query: Query, *, piece: int = PIECE) -> Page:
    """List deliveries that fit; what was found so far, when the time of the read is over."""
    found: list[LogRow] = []
    known = Known(tx)
    try:
        for part in pieces(known, query, size=piece):
            found += search(tx, replace(query, limit=query.limit - len(found)), within=part, known=known)
            if len(found) >= query.limit:
                break
    except StoreSlow:
        return Page(rows=tuple(found), is_partial=True)
    return Page(rows=tuple(found))


def pieces(known: Known, query: Query, *, size: int = PIECE) -> Iterator[Bounds]:
    """Cut the log into parts of seq, in the order of the query; a query that an index answers needs no cutting."""
    if query.has_key:
        yield None
        return
    row = known.ends
    low, high = max(row["low"], (query.since_seq or 0) + 1), min(row["high"], (query.before or row["high"] + 1) - 1)
    while low <= high:
        if query.oldest_first:
            yield low, min(low + size - 1, high)
            low += size
        else:
            yield max(high - size + 1, low), high
            high -= size
        size *= _GROWTH


def statements(tx: Tx, query: Query, within: Bounds, known: Known) -> Iterator[Statement]:
    """The statements whose rows together are the answer, no row twice; each gives up to the query's limit, in order."""
    # One pair of bounds in all: of two that SQLite is given it may take the wider one, and read all between them.
    bounds = _narrower(_narrower(known.bounds(query), _page_bounds(query)), within)
    if _is_empty(bounds):
        return
    grams = grams_query(query.needles())
    if grams is None or query.has_key:
        one_by_one = lanes(query)
        if one_by_one and len(query.domain) == 1 and not known.is_large(query.domain[0]):
            one_by_one = [domain_lane(query)]
        for lane in one_by_one:
            yield filters.log_plain(query, bounds=bounds, lane=lane)
        if not one_by_one:
            yield filters.log_plain(query, bounds=bounds)
    elif tx.dialect == "postgres":
        # Any row may be in either part: a lower seq may commit later than a higher one that is indexed already.
        needles = [needle for needle in query.needles() if len(needle) > 1]
        yield filters.log_pending(query, bounds=bounds)
        yield filters.log_trigrams(query, needles=needles, bounds=bounds)
    else:
        indexed = _indexed_to(tx)
        fresh, old = _narrower(bounds, (indexed + 1, _END)), _narrower(bounds, (1, indexed))
        parts = [] if _is_empty(fresh) else [filters.log_plain(query, bounds=fresh)]
        parts += [] if _is_empty(old) else [filters.log_indexed(query, grams=grams, bounds=old)]
        yield from reversed(parts) if query.oldest_first else parts


def by_archive(query: Query) -> list[Query]:
    """Cut a query for the archive, or for what is not in it, into those whose times say so."""
    if query.archived is None:
        return [query]
    ends = query.archive_ends
    since, until = query.since or _FIRST, query.until or _LAST
    if not query.archived:  # a delivery is never older than its message
        return [replace(query, since=max(since, ends))]
    # The archive is all that was made before its end, and the resends of that since.
    return [replace(query, until=min(until, ends)), replace(query, since=max(since, ends))]


def _found(tx: Tx, query: Query, within: Bounds, known: Known) -> list[Row]:
    """The rows of all statements; on SQLite the index is not asked when what it does not hold was enough."""
    found: list[Row] = []
    is_ordered = tx.dialect == "sqlite" and not query.has_key and grams_query(query.needles()) is not None
    for statement in statements(tx, query, within, known):
        found += tx.compose(*statement)
        if is_ordered and len(found) >= query.limit:
            break
    return found


def _in_order(found: list[LogRow], query: Query) -> list[LogRow]:
    return sorted(found, key=lambda row: row.seq if query.oldest_first else -row.seq)[: query.limit]


def index_pending(tx: Tx, *, limit: int = 200) -> int:
    """Add the next rows of the log to the search index; return how many (0: nothing was left to do)."""
    if tx.dialect == "postgres":
        taken = [row["seq"] for row in tx.rows("search.take_pending", {"limit": limit})]
        if taken:
            found = tx.compose(*filters.words_of(taken))
            tx.many("search.insert", [{"seq": row["seq"], "words": row["words"]} for row in found])
        return len(taken)
    indexed = _indexed_to(tx)
    pending = tx.compose(*filters.unindexed(after=indexed, limit=limit))
    if pending:
        tx.many("search.insert", [{"seq": row["seq"], "words": row["words"]} for row in pending])
        tx.run("search.save_indexed_to", {"seq": pending[-1]["seq"]})
    return len(pending)


def index_again(tx: Tx, seqs: Sequence[int]) -> None:
    """Put rows of the log back into the index that were taken out to be changed; those not reached yet come by turn."""
    if tx.dialect != "postgres":
        indexed = _indexed_to(tx)
        seqs = [seq for seq in seqs if seq <= indexed]
    if seqs:
        found = tx.compose(*filters.words_of(seqs))
        tx.many("search.insert", [{"seq": row["seq"], "words": row["words"]} for row in found])


def _indexed_to(tx: Tx) -> int:
    row = tx.one("search.indexed_to")
    return int(row["seq"]) if row else 0


def _page_bounds(query: Query) -> Bounds:
    if query.before is None and query.since_seq is None:
        return None
    return (query.since_seq or 0) + 1, _END if query.before is None else query.before - 1


def _is_empty(bounds: Bounds) -> bool:
    return bounds is not None and bounds[0] > bounds[1]


def _narrower(one: Bounds, other: Bounds) -> Bounds:
    if one is None or other is None:
        return one or other
    return max(one[0], other[0]), min(one[1], other[1])
