"""What became of the deliveries made between two times: by quarter of an hour, by domain and by reason.

For the numbers and the chart of the first page. A tally is a value that can be kept and added to another, so that what
is long over need not be counted at every look. Notifications to senders are counted nowhere, as in stats.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from relay.model import Category
from relay.status import FAILED, Status
from relay.store import tally_filters
from relay.store.protocols import Tx, Value
from relay.store.tally_filters import SLICE_S

K = TypeVar("K")

#: Of so many domains a tally keeps the counts, the busiest: more than any table shows.
_DOMAINS = 200

#: What is looked through for the last error of a domain.
_NEWEST = 200

#: Statuses that have an answer which says why.
_HAS_REASON = (*sorted(FAILED), Status.DEFERRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts of one span of time."""

    slices: dict[datetime, Counter[Status]] = field(default_factory=dict)  #: by the beginning of each quarter hour
    domains: dict[str, Counter[Status]] = field(default_factory=dict)
    reasons: Counter[Category] = field(default_factory=Counter)

    @property
    def statuses(self) -> Counter[Status]:
        """Count over the whole span."""
        return sum(self.slices.values(), Counter())


@dataclass(frozen=True, slots=True, kw_only=True)
class LastError:
    """Why the newest mail to a domain that did not arrive at once did not."""

    category: Category
    at: datetime | None  #: None: it is still being tried


def count(
    tx: Tx, *, since: datetime, until: datetime, apps: Sequence[str] | None = None, has_detail: bool = True
) -> Tally:
    """Count the deliveries made from `since` up to before `until`, of these apps or of all.

    Without `has_detail` only the slices are counted.
    """
    slices: dict[datetime, Counter[Status]] = {}
    for row in tx.compose(*tally_filters.by_slice(tx.dialect, since=since, until=until, apps=apps)):
        begin = datetime.fromtimestamp(row["slice"] * SLICE_S, UTC)
        slices.setdefault(begin, Counter())[Status(row["status"])] += row["count"]
    domains: dict[str, Counter[Status]] = {}
    reasons: Counter[Category] = Counter()
    if has_detail:
        for row in tx.compose(*tally_filters.by_domain(since=since, until=until, apps=apps)):
            domains.setdefault(row["domain"], Counter())[Status(row["status"])] += row["count"]
            if row["category"] is not None and row["status"] != Status.DELIVERED:
                reasons[Category(row["category"])] += row["count"]
    return Tally(slices=slices, domains=_busiest(domains), reasons=reasons)


def _busiest(domains: dict[str, Counter[Status]]) -> dict[str, Counter[Status]]:
    if len(domains) <= _DOMAINS:
        return domains
    return dict(sorted(domains.items(), key=lambda entry: (-entry[1].total(), entry[0]))[:_DOMAINS])


def added(tallies: Iterable[Tally]) -> Tally:
    """Add tallies; they stay as they are, and what only one of them has is shared with it."""
    slices: dict[datetime, Counter[Status]] = {}
    domains: dict[str, Counter[Status]] = {}
    reasons: Counter[Category] = Counter()
    for one in tallies:
        _add(slices, one.slices)
        _add(domains, one.domains)
        reasons.update(one.reasons)
    return Tally(slices=slices, domains=domains, reasons=reasons)


def _add(sums: dict[K, Counter[Status]], more: dict[K, Counter[Status]]) -> None:
    for key, statuses in more.items():
        sums[key] = sums[key] + statuses if key in sums else statuses


def size(tx: Tx, *, since: datetime) -> int:
    """Say about how many deliveries were made since a time, by the ends of an index alone."""
    first, newest = tx.one("doctor.first_since", {"since": since}), tx.one("doctor.newest")
    return int(newest["seq"] - first["seq"] + 1) if first is not None and newest is not None else 0


def last_errors(tx: Tx, *, apps: Sequence[str] | None = None) -> dict[str, LastError]:
    """Say by domain why the newest of its mail that did not arrive at once did not; only lately failed ones."""
    newest: dict[str, tuple[int, LastError]] = {}
    for status in _HAS_REASON:
        params: dict[str, Value] = {"status": status.value, "limit": _NEWEST}
        for row in tx.rows("stats.last_errors", params):
            if apps is not None and row["app"] not in apps:
                continue
            seq, _ = newest.get(row["domain"], (0, None))
            if row["seq"] > seq:
                newest[row["domain"]] = row["seq"], LastError(category=Category(row["category"]), at=row["ended_at"])
    return {domain: error for domain, (_, error) in newest.items()}


def last_delivered_at(tx: Tx) -> datetime | None:
    """Say when any server last took mail of ours."""
    row = tx.one("stats.last_delivered")
    found: datetime | None = row["last_delivered_at"] if row is not None else None
    return found


def due_since(tx: Tx) -> datetime | None:
    """Say since when new mail is due that nobody has taken to send; None: none is."""
    row = tx.one("stats.due_since")
    found: datetime | None = row["next_at"] if row is not None else None
    return found


def first_apps(tx: Tx) -> list[str]:
    """Name the apps of the first messages that are kept: who handed us anything at all."""
    return [row["app"] for row in tx.rows("stats.first_apps")]
