"""What the page of the log shows: its rows, pills and chips, prepared from what the store found.

A row says first whether they got it, then why not. Numbers are capped ("10,000+"); where the time for searching ran
out they are left away, since a wrong number is worse than none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from dashboard import labels
from dashboard.box import Chip as BoxChip
from dashboard.box import Problem
from dashboard.days import days
from dashboard.log_asked import LogAsked
from dashboard.marking import N_
from dashboard.tongue import Tongue
from dashboard.trail import Pager, Trail
from relay.model import Category
from relay.status import FAILED, Group, Status
from relay.store.log import Count, Counts, LogRow
from relay.store.log_query import Query

#: Rows on a page.
PAGE = 50

_LONGEST_WAY_BACK = 150

#: What the chips and the filter form call the operators of the box.
OPERATORS = {
    "to": N_("Recipient"),
    "from": N_("Sender"),
    "name": N_("Name"),
    "subject": N_("Subject"),
    "booking": N_("Booking"),
    "customer": N_("Customer number"),
    "tag": N_("Kind"),
    "status": N_("Status"),
    "reason": N_("Reason"),
    "app": N_("App"),
    "domain": N_("Domain"),
    "code": N_("Code of the answer"),
    "after": N_("From day"),
    "before": N_("To day"),
    "on": N_("On"),
    "is": N_("Only"),
    "has": N_("With"),
}
SPAN_WORDS = {
    "24h": N_("Last 24 hours"),
    "7d": N_("Last 7 days"),
    "30d": N_("Last 30 days"),
    "today": N_("Today"),
    "yesterday": N_("Yesterday"),
}
MARKS = {
    "resent": N_("Sent again by a person"),
    "opened": N_("Opened"),
    "clicked": N_("Link clicked"),
    "spam": N_("Marked as spam"),
    "auto_reply": N_("Automatic reply"),
    "archived": N_("Archived"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of the table."""

    row: LogRow
    why: str  #: why it has not arrived, in the reader's language
    marks: tuple[str, ...]  #: keys of labels.MARK
    last_at: datetime
    next_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pill:
    """A group of statuses as a link, with how many there are; "" when nobody knows."""

    title: str
    number: str
    url: str
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """One thing that was asked for, with the page that is left when it is taken away."""

    name: str
    value: str
    is_out: bool  #: it is what must not be there
    is_ignored: bool
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPage:
    """All that the template shows above and in the table."""

    lines: tuple[Line, ...]
    pills: tuple[Pill, ...]
    chips: tuple[Chip, ...]
    problems: tuple[str, ...]
    pager: Pager
    here: str  #: this very page, for the way back to it; "" when that would be too long to stand in every row
    is_first: bool
    total: str  #: how many there are, as far as is known
    total_number: int | None  #: None: more than anybody can act on at once, or unknown
    archived: int  #: rows of this page from the archive
    newest: int | None  #: the place of the newest row, to ask what came since


def lines(rows: Sequence[LogRow], query: Query, *, tongue: Tongue) -> tuple[Line, ...]:
    """Prepare the rows."""
    return tuple(_line(row, query, tongue) for row in rows)


def _line(row: LogRow, query: Query, tongue: Tongue) -> Line:
    marks = [mark for mark in row.marks if mark in labels.MARK]
    if row.held:
        marks.insert(0, "held")
    if row.accepted_at < query.archive_ends:
        marks.append("archived")
    return Line(
        row=row,
        why=why(row, tongue),
        marks=tuple(marks),
        last_at=last_at(row),
        next_at=row.next_at if row.status is Status.DEFERRED and not row.held else None,
    )


def last_at(row: LogRow) -> datetime:
    """When something last happened to it, as far as its row knows."""
    return row.ended_at or row.delivered_at or row.created_at


def why(row: LogRow, tongue: Tongue) -> str:
    """Say in a few words why something has not arrived; "" when it has, or when the status says it all."""
    if row.category is None or (row.category is Category.INVALID_ADDRESS and row.status is Status.INVALID):
        return ""
    is_told = row.status in FAILED or row.status is Status.DEFERRED
    return tongue.text(labels.reason(row.category)) if is_told else ""


def page(
    asked: LogAsked,
    rows: Sequence[LogRow],
    query: Query,
    counts: Counts | None,
    *,
    trail: Trail,
    tongue: Tongue,
) -> LogPage:
    """Put the page together; `rows` may hold one more than a page, which says that there is another."""
    shown = rows[:PAGE]
    older = shown[-1].seq if len(rows) > PAGE else None
    total = _total(asked, counts)
    if total is None and trail.before is None and older is None and counts is not None:
        total = Count(number=len(shown))
    here = asked.url(**({"before": ".".join(map(str, trail.keys))} if trail.keys else {}))
    return LogPage(
        lines=lines(shown, query, tongue=tongue),
        pills=_pills(asked, counts, tongue),
        chips=_chips(asked, query, tongue),
        problems=tuple(_sentence(problem, tongue) for problem in asked.asked.problems),
        pager=trail.links("/log", asked.params(), older),
        here=here if len(here) <= _LONGEST_WAY_BACK else "",
        is_first=trail.before is None,
        total=number(total, tongue),
        total_number=total.number if total and not total.is_more else None,
        archived=sum(row.accepted_at < query.archive_ends for row in shown),
        newest=max((row.seq for row in shown), default=None),
    )


def number(count: Count | None, tongue: Tongue) -> str:
    """Write a count that may be "at least"; "" when nothing is known."""
    if count is None or (count.is_more and not count.number):  # "at least none" says nothing
        return ""
    return tongue.number(count.number) + ("+" if count.is_more else "")


def _total(asked: LogAsked, counts: Counts | None) -> Count | None:
    """How many fit: of the groups asked for, or of all; unknown for exact statuses, which nobody counted."""
    if counts is None:
        return None
    wanted = asked.asked.values("status")
    if any(word not in list(Group) for word in wanted) or asked.asked.values("status", is_negated=True):
        return None
    found = [count for group, count in counts.items() if not wanted or group.value in wanted]
    return Count(number=sum(one.number for one in found), is_more=any(one.is_more for one in found))


def _pills(asked: LogAsked, counts: Counts | None, tongue: Tongue) -> tuple[Pill, ...]:
    plain = asked.without("status")
    wanted = asked.asked.values("status")
    everything = Count(
        number=sum(count.number for count in counts.values()), is_more=any(count.is_more for count in counts.values())
    ) if counts is not None else None  # fmt: skip
    found = [
        Pill(
            title=tongue.text(N_("All")),
            number=number(everything, tongue),
            url=asked.url(q=plain),
            is_current=not wanted,
        )
    ]
    for group in Group:
        text = f"{plain} status:{group.value}".strip()
        count = counts[group] if counts is not None else None
        found.append(
            Pill(
                title=tongue.text(labels.GROUP[labels.Group(group.value)].title),
                number=number(count, tongue),
                url=asked.url(q=text),
                is_current=wanted == (group.value,),
            )
        )
    return tuple(found)


def _chips(asked: LogAsked, query: Query, tongue: Tongue) -> tuple[Chip, ...]:
    chips = [
        Chip(
            name=tongue.text(OPERATORS.get(chip.term.operator, "")),
            value=_value(chip, query, tongue),
            is_out=chip.term.is_negated,
            is_ignored=chip.is_ignored,
            url=asked.url(q=chip.without),
        )
        for chip in asked.asked.chips
    ]
    if asked.since:
        word = tongue.text(SPAN_WORDS[asked.since])
        chips.append(Chip(name="", value=word, is_out=False, is_ignored=False, url=asked.url(since="")))
    return tuple(chips)


def _value(chip: BoxChip, query: Query, tongue: Tongue) -> str:
    """Say what a term asks for in words; a date as the day it was read as."""
    term, word = chip.term, chip.term.value.lower().replace("-", "_").replace(" ", "_")
    match term.operator:
        case "status" if word in list(labels.Group):
            return tongue.text(labels.GROUP[labels.Group(word)].title)
        case "status" if word in list(Status):
            return tongue.text(labels.STATUS[Status(word)].title)
        case "reason" if word in list(Category):
            return tongue.text(labels.reason(Category(word)))
        case "is" if word in MARKS:
            return tongue.text(MARKS[word])
        case "tag":
            return tongue.text(labels.kind(term.value))
        case "after" | "before" | "on" if not chip.is_ignored:
            return _day(term.operator, term.value, query, tongue)
    return term.value


def _day(operator: str, value: str, query: Query, tongue: Tongue) -> str:
    found = days(value, today=tongue.local(query.now).date()) if query.now else None
    if found is None:
        return value
    first, behind = found
    last = behind - timedelta(days=1)
    if operator == "before":
        return _written(first - timedelta(days=1), tongue)
    is_one_day = operator == "after" or first == last
    return _written(first, tongue) if is_one_day else f"{_written(first, tongue)} – {_written(last, tongue)}"


def _written(day: date, tongue: Tongue) -> str:
    return tongue.day(datetime(day.year, day.month, day.day, 12, tzinfo=tongue.zone))


def _sentence(problem: Problem, tongue: Tongue) -> str:
    return tongue.text(problem.sentence).replace("{value}", problem.value)
