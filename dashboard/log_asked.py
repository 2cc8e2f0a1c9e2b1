"""What the page of the log is asked: the search box, the filter form and the links of other pages, as one text.

Every control says the same as an operator of the box, so all of it becomes terms (dashboard.box) and the page has one
text that names it: what the box shows, what the chips take apart and what the links of the page carry on. Only the
last hours, the order and the way through the pages stand beside it: they are no terms. `list` in an address says that
rows are wanted, even where one clear term would lead straight to a page. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from urllib.parse import urlencode

from dashboard import box
from dashboard.box import Asked, Term
from dashboard.days import days, midnight
from relay.store.log_query import Query

SPANS = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "30d": timedelta(days=30)}
DAYS = ("today", "yesterday")

#: The controls that hold one value of an operator each: name in the form -> operator.
CONTROLS = {
    "to": "to",
    "name": "name",
    "subject": "subject",
    "from": "from",
    "booking": "booking",
    "customer": "customer",
    "app": "app",
    "domain": "domain",
    "reason": "reason",
    "kind": "tag",
    "code": "code",
    "mark": "is",
    "status": "status",
}
_CONTROL_OF = {operator: name for name, operator in CONTROLS.items()}
_DAY_CONTROLS = {"after": "from_day", "before": "to_day"}
_ANY_DAY = date(2000, 6, 15)

#: Operators that say who or what is looked for; the others narrow where.
_LOOKED_FOR = frozenset({"", "to", "name", "subject", "booking", "customer"})
_ARCHIVED = {"only": Term("is", "archived"), "without": Term("is", "archived", is_negated=True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAsked:
    """All that was asked of the log."""

    asked: Asked  #: the box and the controls together
    since: str = ""  #: a key of SPANS, one of DAYS, or "": whenever
    is_oldest_first: bool = False
    is_list: bool = False  #: rows are wanted, no page of one mail or booking
    is_refused: bool = False  #: what was refused at the door, and nothing else

    @property
    def text(self) -> str:
        return self.asked.text

    @property
    def is_everything(self) -> bool:
        return not self.asked.terms and not self.since

    @property
    def is_words_only(self) -> bool:
        """Tell whether only somebody or something is looked for, and nothing narrows where."""
        terms = self.asked.terms
        is_plain = all(term.operator in _LOOKED_FOR and not term.is_negated for term in terms)
        return bool(terms) and not self.since and is_plain

    @property
    def looked_for(self) -> str:
        """Who or what is looked for, in the words of whoever asked."""
        terms = [term for term in self.asked.terms if term.operator in _LOOKED_FOR and not term.is_negated]
        return " ".join(term.value for term in terms)

    def wants_status(self, word: str) -> bool:
        return word in self.asked.values("status")

    def params(self, **changed: str) -> dict[str, str]:
        """The parameters that name this page, with some of them changed; what is empty is left out."""
        kept = {
            "q": self.text,
            "since": self.since,
            "order": "oldest" if self.is_oldest_first else "",
            "refused": "1" if self.is_refused else "",
            "list": "1",
        }
        return {name: value for name, value in (kept | changed).items() if value}

    def url(self, path: str = "/log", **changed: str) -> str:
        """The address of this page, or of one beside it."""
        return f"{path}?{urlencode(self.params(**changed))}"

    def without(self, operator: str) -> str:
        """The text without the terms of one operator."""
        return box.text_of(term for term in self.asked.terms if term.operator != operator or term.is_negated)

    def query(self, *, apps: Sequence[str] | None, now: datetime, zone: tzinfo, limit: int) -> Query:
        """Make the query of the log, in the scope of whoever asks."""
        query = box.as_query(self.asked, apps=apps, now=now, zone=zone, limit=limit)
        since, until = _span(self.since, now=now, zone=zone)
        starts = [moment for moment in (query.since, since) if moment is not None]
        ends = [moment for moment in (query.until, until) if moment is not None]
        return replace(
            query,
            since=max(starts, default=None),
            until=min(ends, default=None),
            oldest_first=self.is_oldest_first,
        )


def read(given: Mapping[str, str]) -> LogAsked:
    """Read the parameters of an address or a form."""
    typed = box.parse(given.get("q", ""))
    status = given.get("status", "").strip()
    kept = [term for term in typed.terms if not status or term.operator != "status" or term.is_negated]
    terms = list(dict.fromkeys([*kept, *_controls(given), *_dates(given)]))
    asked = typed if terms == list(typed.terms) else box.parse(box.text_of(terms))
    since = given.get("since", "")
    return LogAsked(
        asked=asked,
        since=since if since in SPANS or since in DAYS else "",
        is_oldest_first=given.get("order") == "oldest",
        is_list=bool(given.get("list") or status or since or given.get("before")),
        is_refused=given.get("refused") == "1",
    )


def _controls(given: Mapping[str, str]) -> Iterable[Term]:
    for name, operator in CONTROLS.items():
        value = " ".join(given.get(name, "").replace('"', " ").split())
        if operator == "domain":
            yield from (Term(operator, one) for one in value.replace(",", " ").split())
        elif value:
            yield Term(operator, value)
    if sender := given.get("sender", "").strip():
        yield Term("app", sender)
    if archived := _ARCHIVED.get(given.get("archived", "")):
        yield archived


def _dates(given: Mapping[str, str]) -> Iterable[Term]:
    """The two days of a range; the last one is in it, so `before` names the day behind it."""
    if given.get("since", "range") not in ("", "range"):
        return
    if first := given.get("from_day", "").strip():
        yield Term("after", first)
    if last := given.get("to_day", "").strip():
        span = days(last, today=_ANY_DAY) if _is_fixed(last) else None
        yield Term("before", str(span[1]) if span else last)


def _span(since: str, *, now: datetime, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    if since in SPANS:
        return now - SPANS[since], None
    found = days(since, today=now.astimezone(zone).date()) if since in DAYS else None
    return (midnight(found[0], zone), midnight(found[1], zone)) if found else (None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What stands in the controls of the filter form, and the text of the terms that have no control."""

    values: Mapping[str, str]
    rest: str


def filled(asked: LogAsked) -> Filled:
    """Put terms into the controls; what is there twice, left out with a minus or not understood stays text."""
    terms = asked.asked.terms
    plain = [term for term in terms if not term.is_negated and term not in _ARCHIVED.values()]
    times = [term.operator for term in plain]
    values: dict[str, str] = {}
    rest = []
    for place, term in enumerate(terms):
        control = "" if place in asked.asked.ignored else _control_of(term, times)
        if control:
            value = _day_of(term) or _archived_of(term) or term.value
            values[control] = f"{values[control]} {value}" if control in values else value
        else:
            rest.append(term)
    return Filled(values=values, rest=box.text_of(rest))


def _control_of(term: Term, times: Sequence[str]) -> str:
    """Name the control that can hold a term; "" when none can."""
    if _archived_of(term):
        return "archived"
    if term.is_negated:
        return ""
    if term.operator in _DAY_CONTROLS:
        return _DAY_CONTROLS[term.operator] if _day_of(term) and times.count(term.operator) == 1 else ""
    is_alone = times.count(term.operator) == 1 or term.operator == "domain"
    return _CONTROL_OF.get(term.operator, "") if is_alone else ""


def _archived_of(term: Term) -> str:
    return next((name for name, one in _ARCHIVED.items() if one == term), "")


def _day_of(term: Term) -> str:
    """The day of a date term as a date control writes it; "" when it is none of a fixed day."""
    if term.operator not in _DAY_CONTROLS or not _is_fixed(term.value):
        return ""
    found = days(term.value, today=_ANY_DAY)
    if found is None:
        return ""
    return str(found[0] if term.operator == "after" else found[0] - timedelta(days=1))


def _is_fixed(value: str) -> bool:
    """Tell whether a date names the same day whenever it is read."""
    return value[:1].isdigit() and not value.lower().endswith("d")
