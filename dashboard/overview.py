"""What the first page shows: the state, the numbers of a span of time, the chart, the domains and the reasons.

Every number is a link to the log that shows what it counts. Views call `gather` inside one read of the store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from babel.dates import format_skeleton

from dashboard import charts, labels
from dashboard.charts import Bar
from dashboard.counts import Counts
from dashboard.marking import N_
from dashboard.tongue import Tongue
from dashboard.wellbeing import Disk, Trouble, troubles
from relay.status import FAILED, Status
from relay.store import nodes, queue, tallies
from relay.store.nodes import NodeRow
from relay.store.protocols import Tx
from relay.store.queue import Totals
from relay.store.stats import Rate
from relay.store.tallies import LastError, Tally

#: The spans of time one can choose, by the word in the address.
SPANS = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}

SPAN_WORDS = {"24h": N_("24 hours"), "7d": N_("7 days"), "30d": N_("30 days")}

#: Kind of count -> what it is called; the keys are those of charts.KINDS and of the log's groups.
KIND_WORDS = {
    "delivered": N_("delivered"),
    "pending": N_("delayed or waiting"),
    "not_delivered": N_("not delivered"),
    "blocked": N_("blocked"),
}

_KIND_OF: dict[Status, str] = {
    Status.DELIVERED: "delivered",
    Status.SUPPRESSED: "blocked",
    **dict.fromkeys((Status.QUEUED, Status.DEFERRED, Status.SENT), "pending"),
    **dict.fromkeys(FAILED, "not_delivered"),
}

_DOMAINS = 10
_REASONS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """One number with the log behind it."""

    kind: str
    count: int
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainLine:
    """How one domain took our mail."""

    domain: str
    total: int
    delivered: int
    share: float | None  #: delivered of what ended
    pending: int
    failed: int
    last: LastError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All that the first page counts."""

    span: str
    troubles: list[Trouble]
    last_delivered_at: datetime | None
    numbers: list[Number]
    bars: list[Bar]
    domains: list[DomainLine]
    reasons: list[tuple[str, str, int]]  #: key, words, count
    queue: Totals | None  #: for operators
    disk: Disk | None
    nodes: list[NodeRow]  #: the processes of a store that several machines share

    @property
    def total(self) -> int:
        return sum(number.count for number in self.numbers)


def gather(
    tx: Tx,
    *,
    span: str,
    counts: Counts,
    tongue: Tongue,
    disk: Disk | None,
    now: datetime,
    apps: Sequence[str] | None,
    is_operator: bool,
) -> Overview:
    """Read what the page shows."""
    tally = counts.of(tx, since=now - SPANS[span], now=now, apps=apps, has_detail=is_operator)
    day = tally if span == "24h" else counts.of(tx, since=now - SPANS["24h"], now=now, apps=apps, has_detail=False)
    errors = tallies.last_errors(tx, apps=apps) if is_operator else {}
    return Overview(
        span=span,
        troubles=troubles(tx, tongue=tongue, disk=disk, rate=rate_of(day), now=now, apps=apps),
        last_delivered_at=tallies.last_delivered_at(tx),
        numbers=_numbers(tally, span),
        bars=_bars(tally, span=span, tongue=tongue, now=now) if is_operator else [],
        domains=_domains(tally, errors),
        reasons=_reasons(tally),
        queue=queue.totals(tx) if is_operator else None,
        disk=disk,
        nodes=nodes.living(tx, now=now) if is_operator else [],
    )


def log_address(span: str, **asked: str) -> str:
    """Give the address of the log that shows what a number counts."""
    return f"/log?{urlencode({**asked, 'since': span})}"


def rate_of(tally: Tally) -> Rate:
    """Say how much of what ended was delivered."""
    statuses = tally.statuses
    return Rate(delivered=statuses[Status.DELIVERED], failed=sum(statuses[one] for one in FAILED))


def _numbers(tally: Tally, span: str) -> list[Number]:
    found = _by_kind(tally.statuses)
    return [Number(kind=kind, count=found[kind], address=log_address(span, status=kind)) for kind in charts.KINDS]


def _by_kind(statuses: Counter[Status]) -> Counter[str]:
    found: Counter[str] = Counter()
    for status, count in statuses.items():
        if status in _KIND_OF:  # what a person cancelled is in none
            found[_KIND_OF[status]] += count
    return found


def _bars(tally: Tally, *, span: str, tongue: Tongue, now: datetime) -> list[Bar]:
    is_hourly = span == "24h"
    begins = list((_hours if is_hourly else _days)(now - SPANS[span], now, tongue))
    found: dict[datetime, Counter[str]] = {begin: Counter() for begin in begins}
    for begin, statuses in tally.slices.items():
        bar = _hour_of(begin, tongue) if is_hourly else _day_of(begin, tongue)
        if bar in found:
            found[bar].update(_by_kind(statuses))
    return [
        Bar(title=_title(begin, is_hourly, tongue), counts=tuple(found[begin][kind] for kind in charts.KINDS))
        for begin in begins
    ]


def _hours(since: datetime, now: datetime, tongue: Tongue) -> Iterable[datetime]:
    begin = _hour_of(since, tongue)
    while begin <= now:
        yield begin
        begin += timedelta(hours=1)


def _days(since: datetime, now: datetime, tongue: Tongue) -> Iterable[datetime]:
    day, last = tongue.local(since).date(), tongue.local(now).date()
    while day <= last:
        yield _midnight(day, tongue)
        day += timedelta(days=1)


def _hour_of(when: datetime, tongue: Tongue) -> datetime:
    """Give the beginning of the reader's hour; zones are not whole hours apart."""
    local = tongue.local(when)
    into = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return when.astimezone(UTC) - into


def _day_of(when: datetime, tongue: Tongue) -> datetime:
    return _midnight(tongue.local(when).date(), tongue)


def _midnight(day: date, tongue: Tongue) -> datetime:
    return datetime.combine(day, time(), tongue.zone).astimezone(UTC)


def _title(begin: datetime, is_hourly: bool, tongue: Tongue) -> str:
    if is_hourly:
        return tongue.clock(begin)[:5]
    return format_skeleton("MMMd", tongue.local(begin).date(), locale=tongue.locale)


def _domains(tally: Tally, errors: dict[str, LastError]) -> list[DomainLine]:
    busiest = sorted(tally.domains.items(), key=lambda entry: (-entry[1].total(), entry[0]))[:_DOMAINS]
    return [_domain(domain, _by_kind(statuses), statuses.total(), errors) for domain, statuses in busiest]


def _domain(domain: str, kinds: Counter[str], total: int, errors: dict[str, LastError]) -> DomainLine:
    ended = kinds["delivered"] + kinds["not_delivered"]
    return DomainLine(
        domain=domain,
        total=total,
        delivered=kinds["delivered"],
        share=kinds["delivered"] / ended if ended else None,
        pending=kinds["pending"],
        failed=kinds["not_delivered"],
        last=errors.get(domain),
    )


def _reasons(tally: Tally) -> list[tuple[str, str, int]]:
    return [(key.value, labels.reason(key), count) for key, count in tally.reasons.most_common(_REASONS)]
