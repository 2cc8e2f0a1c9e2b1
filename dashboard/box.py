"""The one search box: from what a person typed to a query of the log, and back to text; pure.

Words must all be found; quotes keep words together; `-` leaves out. An operator before a colon says where to look:

    to: from: name: subject:    part of the recipient, the sender, the recipient's name, the subject
    booking: customer: tag:     the whole booking, customer number, kind of mail
    status: reason: app: domain: code:    one of these; several of one operator mean any of them
    after: before: on:          days in the zone of whoever asks; `after` has its day in it, `before` has not
    is:                         archived, resent, opened, clicked, spam, auto-reply

A date is 2026-11-07, 7.11.2026, 7/11/2026 (the day first), 2026-11, today, yesterday or 7d (seven days ago). What is
no operator of ours is a word, so that anything can be pasted. What cannot be understood becomes a Problem, a sentence
for the person, and is left out of the query; nothing here raises for what somebody typed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from enum import StrEnum

from dashboard.days import days, midnight
from dashboard.marking import N_
from relay.address import split, to_a_label
from relay.model import Category
from relay.status import Group, Status
from relay.store.log_query import Query

__all__ = ["Asked", "Chip", "Direct", "Found", "Problem", "Term", "as_query", "direct", "parse", "text_of"]

_ALIASES = {"kind": "tag", "category": "reason"}
_PARTS = frozenset({"to", "from", "name", "subject"})  #: may be asked several times, and all must fit
_SINGLE = frozenset({"booking", "customer", "tag", "code"})
_DATES = frozenset({"before", "after", "on"})
_ANY = frozenset({"status", "reason", "app", "domain"})
_OPERATORS = _PARTS | _SINGLE | _DATES | _ANY | {"is", "has"}
_NEGATABLE = frozenset({"", "status", "app", "domain", "is"})

_OPERATOR = re.compile(rf"({'|'.join(sorted(_OPERATORS | _ALIASES.keys()))}):(?=\S)", re.IGNORECASE)
_BARE = re.compile(r"\S+")
_QUOTES = str.maketrans({"\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00ab": '"', "\u00bb": '"'})

_MOST_TERMS = 12
_LONGEST = 1000  #: letters of all terms together
_LONGEST_TYPED = 20_000

_ID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}", re.IGNORECASE)
_MESSAGE_ID = re.compile(r"<[^<>\s]+@[^<>\s]+>")
_NUMBER = re.compile(r"(?=.*\d)[^@<>]{3,40}")

_CODE = re.compile(r"[2-5](?:\d\d|xx|yz)?", re.IGNORECASE)

#: What `is:` may say.
_MARKS = ("opened", "clicked", "spam", "auto_reply")
_IS = frozenset({"archived", "resent", *_MARKS})


@dataclass(frozen=True, slots=True)
class Term:
    """One thing asked for; a word has no operator."""

    operator: str
    value: str
    is_negated: bool = False

    @property
    def text(self) -> str:
        """As it is typed."""
        must_quote = " " in self.value or (
            not self.operator and (self.value.startswith("-") or _OPERATOR.match(self.value) is not None)
        )
        value = f'"{self.value}"' if must_quote else self.value
        return f"{'-' if self.is_negated else ''}{self.operator}{':' if self.operator else ''}{value}"


@dataclass(frozen=True, slots=True)
class Chip:
    """A term as it is shown, with what is left of the text when it is taken away."""

    term: Term
    without: str
    is_ignored: bool = False  #: there is a problem with it


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that was not understood; `sentence` is a template, so that it can be translated."""

    sentence: str
    value: str

    @property
    def text(self) -> str:
        return self.sentence.replace("{value}", self.value)


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody typed, understood."""

    terms: tuple[Term, ...] = ()
    ignored: frozenset[int] = frozenset()  #: the places of terms with a problem
    problems: tuple[Problem, ...] = ()

    @property
    def text(self) -> str:
        """Back to text: parsed again it is the same."""
        return text_of(self.terms)

    @property
    def chips(self) -> tuple[Chip, ...]:
        return tuple(
            Chip(term, text_of((*self.terms[:place], *self.terms[place + 1 :])), place in self.ignored)
            for place, term in enumerate(self.terms)
        )

    def values(self, operator: str, *, is_negated: bool = False) -> tuple[str, ...]:
        """What is asked with one operator, without what has a problem."""
        return tuple(
            term.value
            for place, term in enumerate(self.terms)
            if (term.operator, term.is_negated) == (operator, is_negated) and place not in self.ignored
        )


class Direct(StrEnum):
    """What one clear term may be the name of."""

    ID = "id"
    MESSAGE_ID = "message_id"
    ADDRESS = "address"
    BOOKING = "booking"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class Found:
    """Where to look first, and with what."""

    kind: Direct
    value: str


@dataclass(slots=True)
class _Reading:
    """What has been read so far."""

    terms: list[Term] = field(default_factory=list)
    ignored: set[int] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


def parse(typed: str) -> Asked:
    """Read what somebody typed."""
    reading = _Reading()
    length = 0
    for term in _terms(_clean(typed[:_LONGEST_TYPED])):
        length += len(term.text) + 1
        if len(reading.terms) == _MOST_TERMS or length > _LONGEST:
            too_much = N_("That is too much to look for at once. We left out “{value}”.")
            reading.problems.append(Problem(too_much, term.value))
            break
        sentence = _fault(term) or _repeated(term, reading)
        if sentence:
            reading.problems.append(Problem(sentence, term.value))
            reading.ignored.add(len(reading.terms))
        reading.terms.append(term)
    return Asked(tuple(reading.terms), frozenset(reading.ignored), tuple(reading.problems))


def text_of(terms: Iterable[Term]) -> str:
    """Write terms as they are typed."""
    return " ".join(term.text for term in terms)


def as_query(
    asked: Asked, *, apps: Sequence[str] | None, now: datetime, zone: tzinfo, limit: int = 50, before: int | None = None
) -> Query:
    """Make the query of the log, in the scope of whoever asks (`apps`; None: of all apps)."""
    scope = _scope(asked.values("app"), apps)
    status, groups, fits_nothing = _statuses(asked)
    since, until = _period(asked, now=now, zone=zone)
    code = next(iter(asked.values("code")), None)
    marks = [_word(value) for value in asked.values("is")]
    return Query(
        words=asked.values(""),
        without=asked.values("", is_negated=True),
        to=asked.values("to"),
        sender=asked.values("from"),
        name=asked.values("name"),
        subject=asked.values("subject"),
        booking=next(iter(asked.values("booking")), None),
        customer=next(iter(asked.values("customer")), None),
        kind=next(iter(asked.values("tag")), None),
        code=int(code[0] if not code.isdigit() else code) if code else None,
        status=status,
        groups=groups,
        not_status=tuple(s for s in map(_status, asked.values("status", is_negated=True)) if isinstance(s, Status)),
        category=tuple(Category(_word(value)) for value in asked.values("reason")),
        apps=() if fits_nothing else scope,
        not_app=asked.values("app", is_negated=True),
        domain=_domains(asked.values("domain")),
        not_domain=_domains(asked.values("domain", is_negated=True)),
        marks=tuple(mark for mark in dict.fromkeys(marks) if mark in _MARKS),
        archived=_yes_or_no(asked, "archived"),
        is_resent=_yes_or_no(asked, "resent"),
        since=since,
        until=until,
        now=now,
        before=before,
        limit=limit,
    )


def direct(asked: Asked) -> Found | None:
    """Tell what the only thing asked for may be the name of; whether it is one, a look into the store decides."""
    if not asked.terms or asked.problems or any(term.is_negated for term in asked.terms):
        return None
    if len(asked.terms) == 1 and asked.terms[0].operator in ("booking", "customer"):
        return Found(Direct(asked.terms[0].operator), asked.terms[0].value)
    if any(term.operator and not (term.operator == "to" and len(asked.terms) == 1) for term in asked.terms):
        return None
    value = " ".join(term.value for term in asked.terms)
    if _ID.fullmatch(value):
        return Found(Direct.ID, value.upper())
    if _MESSAGE_ID.fullmatch(value):
        return Found(Direct.MESSAGE_ID, value)
    local, domain = split(value)
    if local and " " not in value and "." in domain and to_a_label(domain):
        return Found(Direct.ADDRESS, value)
    return Found(Direct.BOOKING, value) if _NUMBER.fullmatch(value) and not asked.terms[0].operator else None


def _clean(typed: str) -> str:
    """Take out what cannot be seen, and make all quotes one."""
    kinds = ((letter, unicodedata.category(letter)) for letter in typed)
    seen = "".join(" " if kind == "Cc" else letter for letter, kind in kinds if kind not in ("Cf", "Cs"))
    return unicodedata.normalize("NFC", seen).translate(_QUOTES)


def _terms(typed: str) -> Iterable[Term]:
    place = 0
    while place < len(typed):
        if typed[place].isspace():
            place += 1
            continue
        is_negated = typed[place] == "-" and not typed[place + 1 : place + 2].isspace() and place + 1 < len(typed)
        place += is_negated
        match = _OPERATOR.match(typed, place)
        place = match.end() if match else place
        operator = match[1].lower() if match else ""
        if typed[place] == '"':
            end = typed.find('"', place + 1)
            value = " ".join(typed[place + 1 : end if end >= 0 else None].split())
            place = end + 1 if end >= 0 else len(typed)
        else:
            bare = _BARE.match(typed, place)
            value = bare[0] if bare else typed[place]
            place += len(value)
            if value.startswith("-"):  # written back it stands in quotes, which no other quotes may end
                value = value.replace('"', "")
        if value:
            yield Term(_ALIASES.get(operator, operator), value, is_negated)


def _fault(term: Term) -> str | None:
    """Say what is wrong with a term, as a sentence with {value} in it; None when nothing is."""
    if term.is_negated and (term.operator not in _NEGATABLE or (_word(term.value) in _MARKS and term.operator == "is")):
        return N_(
            "Only words, status:, app:, domain:, is:archived and is:resent can be left out with a minus: “{value}”."
        )
    if term.operator == "status" and _status(term.value) is None:
        return N_("“{value}” is not a status.")
    if term.operator == "reason" and _word(term.value) not in list(Category):
        return N_("“{value}” is not a reason.")
    if term.operator == "domain" and not _domains((term.value,)):
        return N_("“{value}” is not a domain, as in example.com.")
    if term.operator == "code" and not _CODE.fullmatch(term.value):
        return N_("“{value}” is not a code: it has three digits, or is 4 or 5 for all that begin so.")
    if term.operator in _DATES and days(term.value, today=date(2000, 6, 15)) is None:
        return N_("“{value}” is not a date we can read. Write it as 2026-11-07, 7.11.2026, today or 7d.")
    if term.operator == "is" and _word(term.value) not in _IS:
        return N_("We do not know is:{value}.")
    if term.operator == "has":
        return N_("We cannot look for mail that has “{value}”.")
    return None


def _repeated(term: Term, reading: _Reading) -> str | None:
    before = [one.operator for place, one in enumerate(reading.terms) if place not in reading.ignored]
    if term.operator in _SINGLE and term.operator in before:
        return f"Only one {term.operator}: can be looked for at a time; we left out “{{value}}”."
    return None


def _word(value: str) -> str:
    """A word of ours, however people put it together."""
    return value.lower().replace("-", "_").replace(" ", "_")


def _status(value: str) -> Status | Group | None:
    """A group where both have the name: what people mean by "delivered" is what they see as green."""
    word = _word(value)
    if word in list(Group):
        return Group(word)
    return Status(word) if word in list(Status) else None


def _statuses(asked: Asked) -> tuple[tuple[Status, ...], tuple[Group, ...], bool]:
    """Statuses and groups asked for, and whether they rule each other out."""
    wanted = [_status(value) for value in asked.values("status")]
    status = tuple(one for one in wanted if isinstance(one, Status))
    groups = [one for one in wanted if isinstance(one, Group)]
    out = [one for one in map(_status, asked.values("status", is_negated=True)) if isinstance(one, Group)]
    if out and not wanted:
        groups = list(Group)
    left = tuple(group for group in groups if group not in out)
    return status, left, bool(groups) and not left and not status


def _scope(asked: Sequence[str], apps: Sequence[str] | None) -> tuple[str, ...] | None:
    if not asked:
        return None if apps is None else tuple(apps)
    return tuple(name for name in dict.fromkeys(asked) if apps is None or name in apps)


def _domains(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(found for found in (to_a_label(value.removeprefix("@").rstrip(".")) for value in values) if found)


def _yes_or_no(asked: Asked, word: str) -> bool | None:
    if word in map(_word, asked.values("is")):
        return True
    return False if word in map(_word, asked.values("is", is_negated=True)) else None


def _period(asked: Asked, *, now: datetime, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    """From when and until when: all dates together; midnights of the zone, whatever its clocks did that day."""
    today = now.astimezone(zone).date()
    spans = {name: [days(value, today=today) for value in asked.values(name)] for name in _DATES}
    since = [span[0] for name in ("after", "on") for span in spans[name] if span]
    until = [span[0] for span in spans["before"] if span] + [span[1] for span in spans["on"] if span]
    return (
        midnight(max(since), zone) if since else None,
        midnight(min(until), zone) if until else None,
    )
