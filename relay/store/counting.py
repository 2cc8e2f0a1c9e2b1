"""Count what a search finds, by group, without ever counting the whole log.

First the newest rows that fit are looked at, up to the cap: when that is all there are, the numbers are exact. When
there are more, each group is counted along its own index, again up to the cap; among words, where no index has the
statuses in order, the numbers of the newest rows stand as "so many at least". So is what a time limit cut short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from relay.errors import StoreSlow
from relay.status import Group, Status, group_of
from relay.store import filters
from relay.store.log_query import Query
from relay.store.protocols import Tx
from relay.store.searching import by_archive, pieces, statements
from relay.store.text import grams_query

#: More than anybody compares; "10,000+" says as much.
CAP = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many: exactly, or at least."""

    number: int
    is_more: bool = False


Counts = Mapping[Group, Count]


def counts(tx: Tx, query: Query, *, cap: int = CAP) -> Counts:
    """Count what fits by group, whatever statuses the query itself asks for."""
    everything = replace(query, status=(), groups=(), not_status=(), before=None, since_seq=None, oldest_first=False)
    found = dict.fromkeys(Group, 0)
    try:
        is_all = _count_newest(tx, everything, cap, found)
        if is_all or grams_query(query.needles()) is not None:
            return _counts(found, is_more=not is_all)
        is_full = {group: _count_group(tx, everything, group, cap, found) for group in Group}
    except StoreSlow:
        return _counts(found, is_more=True)
    return {group: Count(number=number, is_more=is_full[group]) for group, number in found.items()}


def _counts(found: Mapping[Group, int], *, is_more: bool) -> Counts:
    return {group: Count(number=number, is_more=is_more) for group, number in found.items()}


def _count_newest(tx: Tx, query: Query, cap: int, found: dict[Group, int]) -> bool:
    """Count the newest rows into `found`; tell whether these are all."""
    left = cap
    for piece in pieces(tx, query):
        for group, number in _counted(tx, replace(query, limit=left + 1), piece).items():
            found[group] += number
        left = cap - sum(found.values())
        if left < 0:
            return False
    return True


def _count_group(tx: Tx, query: Query, group: Group, cap: int, found: dict[Group, int]) -> bool:
    """Count one group into `found`; tell whether there are more than the cap."""
    number = sum(_counted(tx, replace(query, groups=(group,), limit=cap + 1), None).values())
    found[group] = min(number, cap)
    return number > cap


def _counted(tx: Tx, query: Query, within: filters.Bounds) -> dict[Group, int]:
    numbers: dict[Group, int] = {}
    for part in by_archive(query):
        for statement in statements(tx, part, within):
            for row in tx.compose(*filters.counted(statement)):
                group = group_of(Status(row["status"]), is_spam=bool(row["is_spam"]))
                numbers[group] = numbers.get(group, 0) + row["count"]
    return numbers
