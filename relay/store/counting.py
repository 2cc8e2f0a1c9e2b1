"""Count what a search finds, by group, without ever counting the whole log.

First the newest rows that fit are looked at, up to the cap: when that is all there are, the numbers are exact. When
there are more, each group is counted along its own index, again up to the cap; among words, where no index has the
statuses in order, the numbers of the newest rows stand as "so many at least". So is what a time limit cut short.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from relay.errors import StoreSlow
from relay.status import Group, Status, group_of
from relay.store import filters
from relay.store.log_query import Query
from relay.store.protocols import Tx
from relay.store.searching import Known, by_archive, pieces, statements

#: More than anybody compares; "10,000+" says as much.
CAP = 10_000

#: Among words each row that the index proposes is read and compared.
_CAP_OF_WORDS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many: exactly, or at least."""

    number: int
    is_more: bool = False


Counts = Mapping[Group, Count]


def counts(tx: Tx, query: Query, *, cap: int = CAP) -> Counts:
    """Count what fits by group, whatever statuses the query itself asks for."""
    everything = replace(query, status=(), groups=(), not_status=(), before=None, since_seq=None, oldest_first=False)
    has_words = bool(query.needles())
    counter = _Counter(tx, everything, min(cap, _CAP_OF_WORDS) if has_words else cap)
    try:
        if counter.count_newest():
            return {group: Count(number=number) for group, number in counter.found.items()}
        if not has_words:
            return {group: counter.count(group) for group in Group}
    except StoreSlow:
        pass
    return {group: Count(number=number, is_more=True) for group, number in counter.found.items()}


class _Counter:
    """One count: what was found so far, and what was looked up for it."""

    def __init__(self, tx: Tx, query: Query, cap: int) -> None:
        self._tx = tx
        self._query = query
        self._cap = cap
        self._known = Known(tx)
        self.found = dict.fromkeys(Group, 0)

    def count_newest(self) -> bool:
        """Count the newest rows; tell whether these are all."""
        for piece in pieces(self._known, self._query):
            left = self._cap - sum(self.found.values())
            for statement in self._statements(replace(self._query, limit=left + 1), piece):
                for row in self._tx.compose(*filters.counted_by_fate(statement)):
                    self.found[group_of(Status(row["status"]), is_spam=bool(row["is_spam"]))] += row["count"]
            if sum(self.found.values()) > self._cap:
                return False
        return True

    def count(self, group: Group) -> Count:
        """Count one group along its index; what is most of the log anyway is not counted twice."""
        newest = self.found[group]
        if newest * 2 > self._cap:
            return Count(number=newest, is_more=True)
        query = replace(self._query, groups=(group,), limit=self._cap + 1)
        number = 0
        for statement in self._statements(query, None):
            number += self._tx.compose(*filters.counted(statement))[0]["count"]
        self.found[group] = number
        return Count(number=min(number, self._cap), is_more=number > self._cap)

    def _statements(self, query: Query, within: filters.Bounds) -> Iterator[filters.Statement]:
        for part in by_archive(query):
            yield from statements(self._tx, part, within, self._known)
