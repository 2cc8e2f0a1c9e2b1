"""Counts over a span of time, cheap also where there are very many deliveries.

Policy. A span with few deliveries is counted anew at every look. In a longer one only its ends are: what lies between
is kept in cells of three hours. A cell is counted again the sooner the younger it is, since what is long over hardly
changes; at most two cells at one look, the stalest first. So the numbers of a large span may lag behind by a tenth of
the age of what they count, and a look stays short. The process counts all cells once when it starts, and keeps them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby

from relay.errors import StoreError
from relay.store import tallies
from relay.store.protocols import Store, Tx
from relay.store.tallies import Tally

log = logging.getLogger(__name__)

_CELL = timedelta(hours=3)
_DAYS = 30
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Up to so many deliveries a count takes no time that anybody notices.
FEW = 20_000

_AT_A_LOOK = 2
#: A cell is counted again once its count is as old as this part of its age.
_STALE = 0.1

_MOST_CELLS = 2000
_WEEK = timedelta(days=7)

_Scope = tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Cell:
    """What was counted of one cell, and when."""

    tally: Tally
    counted_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sum:
    """What some cells add up to; it holds as long as they are the same objects."""

    cells: tuple[_Cell, ...]
    tally: Tally


class Counts:
    """Counts, and remembers what it counted; one per process."""

    def __init__(self, *, few: int = FEW) -> None:
        self._few = few
        self._cells: dict[tuple[_Scope, datetime], _Cell] = {}
        self._sums: dict[tuple[_Scope, int], _Sum] = {}

    def of(
        self, tx: Tx, *, since: datetime, now: datetime, apps: Sequence[str] | None = None, has_detail: bool = True
    ) -> Tally:
        """Count the deliveries made since a time, of these apps or of all.

        Without `has_detail` only the slices can be relied on.
        """
        scope = None if apps is None else tuple(sorted(apps))
        until = now + _CELL  # a clock that runs ahead hides no mail
        first, last = _floor(since) + _CELL, _floor(now) - _CELL

        def fresh(begin: datetime, end: datetime) -> Tally:
            return tallies.count(tx, since=begin, until=end, apps=scope, has_detail=has_detail)

        if first >= last or tallies.size(tx, since=since) <= self._few:
            return fresh(since, until)
        begins = [first + number * _CELL for number in range((last - first) // _CELL)]
        self._refresh(tx, scope, begins, now)
        return tallies.added([fresh(since, first), self._sum(scope, begins), fresh(last, until)])

    async def warm(self, store: Store, *, now: datetime) -> None:
        """Count the days of the longest span one by one, so that nobody waits for it."""
        for days in range(1, _DAYS + 1):
            try:
                await store.read(partial(self.of, since=now - timedelta(days=days), now=now))
            except StoreError as error:  # whoever looks counts then
                log.debug("event=not_warmed error=%s", error)
                return

    def _sum(self, scope: _Scope, begins: Sequence[datetime]) -> Tally:
        """Add cells up, week by week, so that only the weeks with a new cell are added again."""
        parts = []
        for number, week in groupby(begins, lambda begin: (begin - _EPOCH) // _WEEK):
            cells = tuple(self._cells[scope, begin] for begin in week)
            kept = self._sums.get((scope, number))
            if kept is None or kept.cells != cells:
                kept = _Sum(cells=cells, tally=tallies.added(cell.tally for cell in cells))
                self._sums[scope, number] = kept
            parts.append(kept.tally)
        return tallies.added(parts)

    def _refresh(self, tx: Tx, scope: _Scope, begins: Sequence[datetime], now: datetime) -> None:
        known = {begin: self._cells.get((scope, begin)) for begin in begins}
        missing = [begin for begin, cell in known.items() if cell is None]
        stale = sorted(
            ((now - cell.counted_at) / (now - begin), begin) for begin, cell in known.items() if cell is not None
        )
        again = [begin for staleness, begin in reversed(stale) if staleness > _STALE][:_AT_A_LOOK]
        if len(self._cells) + len(missing) > _MOST_CELLS:
            self._cells = {key: cell for key, cell in self._cells.items() if key[0] == scope and key[1] in known}
            self._sums.clear()
        for begin in (*missing, *again):
            tally = tallies.count(tx, since=begin, until=begin + _CELL, apps=scope)
            self._cells[scope, begin] = _Cell(tally=tally, counted_at=now)


def _floor(when: datetime) -> datetime:
    return when - (when - _EPOCH) % _CELL
