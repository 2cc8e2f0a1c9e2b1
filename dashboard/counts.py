"""Counts over a span of time, cheap also where there are very many deliveries.

Policy. A span with few deliveries is counted anew at every look. In a longer one only its ends are: what lies between
is kept in cells of six hours, and a cell is counted again the sooner the younger it is, since what is long over hardly
changes; at most two cells at one look, the stalest first. So the numbers of a large span may lag behind by a tenth of
the age of what they count, and a look stays short. The cells live as long as the process.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from relay.store import tallies
from relay.store.protocols import Tx
from relay.store.tallies import Tally

_CELL = timedelta(hours=6)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Up to so many deliveries a count takes no time that anybody notices.
FEW = 20_000

_AT_A_LOOK = 2
_MOST_CELLS = 2000

_Key = tuple[tuple[str, ...] | None, datetime]


class Counts:
    """Counts, and remembers what it counted; one per process."""

    def __init__(self, *, few: int = FEW) -> None:
        self._few = few
        self._cells: dict[_Key, tuple[Tally, datetime]] = {}

    def of(self, tx: Tx, *, since: datetime, now: datetime, apps: Sequence[str] | None = None) -> Tally:
        """Count the deliveries made since a time, of these apps or of all."""
        scope = None if apps is None else tuple(sorted(apps))
        until = now + _CELL  # a clock that runs ahead hides no mail
        first, last = _floor(since) + _CELL, _floor(now) - _CELL
        if first >= last or tallies.size(tx, since=since) <= self._few:
            return tallies.count(tx, since=since, until=until, apps=scope)
        begins = [first + number * _CELL for number in range((last - first) // _CELL)]
        self._refresh(tx, scope, begins, now)
        return tallies.added(
            [
                tallies.count(tx, since=since, until=first, apps=scope),
                *(self._cells[scope, begin][0] for begin in begins),
                tallies.count(tx, since=last, until=until, apps=scope),
            ]
        )

    def _refresh(self, tx: Tx, scope: tuple[str, ...] | None, begins: Sequence[datetime], now: datetime) -> None:
        missing = [begin for begin in begins if (scope, begin) not in self._cells]
        stale = sorted(
            ((now - self._cells[scope, begin][1]) / (now - begin), begin) for begin in begins if begin not in missing
        )
        again = [begin for staleness, begin in reversed(stale) if staleness > 0.1][:_AT_A_LOOK]
        if len(self._cells) + len(missing) > _MOST_CELLS:
            self._cells = {key: cell for key, cell in self._cells.items() if key[0] == scope and key[1] in begins}
        for begin in (*missing, *again):
            tally = tallies.count(tx, since=begin, until=begin + _CELL, apps=scope)
            self._cells[scope, begin] = tally, now


def _floor(when: datetime) -> datetime:
    return when - (when - _EPOCH) % _CELL
