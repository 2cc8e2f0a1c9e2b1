"""The conditions of a search of the log, from a Query; fixed fragments only, every value bound (see filters.py).

Lanes. "The newest 50 that failed or were blocked" is no order that one index has: SQLite would read all of them and
sort. So a query for several statuses, reasons or domains is read in lanes, one statement for each value along an index
that has the rows in order, and the lanes are merged. What another index must not be chosen for is compared as
`column || ''`, which no index serves.
"""

# ruff: noqa: S608 - one of the files where SQL may be put together (see filters.py)

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from relay.address import address_key
from relay.status import GROUPS, Group, Status
from relay.store.conditions import Where
from relay.store.log_query import Query
from relay.store.protocols import Value
from relay.store.text import reference_key

#: All that words are looked for in; the search index is filled with the same text. Every field stands on its own line,
#: and what begins the first line begins the second too, so that "begins a field" is "stands behind a line end".
WORDS = """(
  d.address || '
' || d.address_key || '
' || COALESCE(d.intended, '') || '
' || d.name || '
' || d.id || '
' || m.id || '
' || m.subject || '
' || m.header_from || '
' || m.from_name || '
' || m.message_id || '
' || COALESCE(m.booking, '') || '
' || COALESCE(m.customer, '') || '
' || COALESCE(m.phone, '') || '
' || COALESCE((SELECT group_concat(r.value, '
') FROM reference r WHERE r.message_id = m.id AND r.kind IN ('booking', 'customer', 'phone', 'name')), '')
)"""

_TO = """(
  d.address || '
' || d.address_key || '
' || COALESCE(d.intended, '') || '
' || d.name
)"""

_NAME = """('
' || d.name)"""

_SUBJECT = """('
' || m.subject)"""

_FROM = """('
' || m.header_from || '
' || m.from_name)"""

#: Statuses that the partial index delivery_by_status leaves out.
_COMMON = frozenset({Status.QUEUED, Status.DELIVERED, Status.SENT})
_RARE = tuple(status for status in Status if status not in _COMMON)

#: What has not ended is little beside the whole log, and one index has all of it.
_OPEN = "SELECT o.seq FROM delivery o WHERE o.domain >= '' AND o.next_at IS NOT NULL"

#: So little that looking it up is cheaper than looking at the marks of each row.
_REPORTED = "SELECT r.seq FROM delivery r WHERE r.marks LIKE '%spam%'"

_SPAM = "d.marks LIKE '%spam%'"


@dataclass(frozen=True, slots=True)
class Lane:
    """One value of the part of a query that is read value by value."""

    part: str  #: status | category | domain | code
    condition: str
    params: tuple[tuple[str, Value], ...] = ()


def lanes(query: Query) -> list[Lane]:
    """Say in which ways a query without long words is best read, each along one index; [] when in one go."""
    if query.has_key:
        return []
    if statuses := _status_conditions(query, is_led=True):
        return [Lane("status", condition) for condition in statuses]
    if query.category:
        return [Lane("category", "d.category = :category", (("category", each.value),)) for each in query.category]
    if len(query.domain) > 1:
        return [Lane("domain", "d.domain = :domain", (("domain", each),)) for each in query.domain]
    if query.code is not None and not query.domain and str(query.code)[0] in "45":
        # What was refused last is in none of the common statuses.
        return [Lane("code", _one_status(status, is_led=True)) for status in _RARE]
    return []


def domain_lane(query: Query) -> Lane:
    """The way to read a query for one small domain: all its mail is less than all that failed."""
    return Lane("domain", "d.domain = :domain", (("domain", query.domain[0]),))


def log_where(query: Query, *, seq: str, bounds: tuple[int, int] | None, lane: Lane | None = None) -> Where:
    """All conditions of a query but its place among the pages, which is in the bounds; with a lane, what lies in it."""
    where = Where(params={"limit": query.limit})
    if lane is not None:
        where.add(lane.condition, **dict(lane.params))
    _add_texts(where, query)
    _add_keys(where, query)
    part = lane.part if lane is not None else ""
    tail = " || ''" if lane is not None or query.has_key else ""
    _add_fate(where, query, part=part, tail=tail)
    _add_origin(where, query, part=part, tail=tail)
    _add_times(where, query)
    if bounds is not None:
        where.add(f"{seq} BETWEEN :low AND :high", low=bounds[0], high=bounds[1])
    return where


def _add_texts(where: Where, query: Query) -> None:
    for number, word in enumerate(query.words):
        where.add_part(WORDS, f"word{number}", word)
    for number, word in enumerate(query.without):
        where.add_part(WORDS, f"without{number}", word, is_negated=True)
    for number, part in enumerate(query.to_parts):
        where.add_part(_TO, f"to{number}", part)
    for text, name, parts in (
        (_NAME, "name", query.name),
        (_SUBJECT, "subject", query.subject),
        (_FROM, "sender", query.sender),
    ):
        for number, part in enumerate(parts):
            where.add_part(text, f"{name}{number}", part)


def _add_keys(where: Where, query: Query) -> None:
    if query.address is not None:
        where.add("d.address_key = :address", address=address_key(query.address))
    for kind, value in (("booking", query.booking), ("customer", query.customer)):
        if value:
            where.add(
                f"d.message_id IN (SELECT message_id FROM reference WHERE value_key = :{kind} AND kind = '{kind}')",
                **{kind: reference_key(value)},
            )
    if query.redirected_from is not None:
        where.add(
            "d.id IN (SELECT e.delivery_id FROM event e WHERE e.address = :asked_for AND e.kind = 'redirected')",
            asked_for=address_key(query.redirected_from),
        )


def _add_fate(where: Where, query: Query, *, part: str, tail: str) -> None:
    """What became of it: status, reason, code, marks."""
    statuses = _status_conditions(query, is_led=False)
    if statuses and part != "status":
        where.add(f"({' OR '.join(statuses)})")
    if query.not_status:
        where.add(f"d.status || '' NOT IN ({_spelled(query.not_status)})")
    if query.category and part != "category":
        where.add_any(f"d.category{tail}", "category", [each.value for each in query.category])
    if query.code is not None and query.code < 10:
        where.add("d.code BETWEEN :code AND :code_to", code=query.code * 100, code_to=query.code * 100 + 99)
    elif query.code is not None:
        where.add("d.code = :code", code=query.code)
    if query.marks:  # in the words of a partial index
        where.add(_SPAM if "spam" in query.marks else "d.marks <> ''")
    for number, mark in enumerate(query.marks):
        where.add(f"' ' || d.marks || ' ' LIKE :mark{number}", **{f"mark{number}": f"% {mark} %"})
    if query.is_resent is not None:
        where.add(f"d.resend_of IS {'NOT ' if query.is_resent else ''}NULL")


def _add_origin(where: Where, query: Query, *, part: str, tail: str) -> None:
    """Whose mail it is, of what kind, and where it goes."""
    if query.app:
        where.add("m.app = :app", app=query.app)
    if query.apps is not None:
        where.add_any("m.app", "scope", query.apps)
    where.add_any("m.app", "not_app", query.not_app, is_negated=True)
    if query.kind:
        where.add("lower(m.kind) = lower(:kind)", kind=query.kind)
    if query.domain and part != "domain":
        where.add_any(f"d.domain{tail}", "domain", query.domain)
    where.add_any("d.domain || ''", "not_domain", query.not_domain, is_negated=True)


def _add_times(where: Where, query: Query) -> None:
    if query.archived is not None:
        _add_archived(where, query)
    if query.since is not None:
        where.add("d.created_at >= :since", since=query.since)
    if query.until is not None:
        where.add("d.created_at < :until", until=query.until)


def _add_archived(where: Where, query: Query) -> None:
    """A message goes into the archive by its own date, with its resends, whenever they were made."""
    if query.archived:
        where.add("m.accepted_at < :archive_ends", archive_ends=query.archive_ends)
        if query.since is not None and query.since >= query.archive_ends:
            # Only a resend can be younger than its message; a partial index knows them.
            where.add(
                "d.seq IN (SELECT r.seq FROM delivery r WHERE r.resend_of IS NOT NULL AND r.created_at >= :since)"
            )
    else:
        where.add("m.accepted_at >= :archive_ends", archive_ends=query.archive_ends)


def _status_conditions(query: Query, *, is_led: bool) -> list[str]:
    """One condition for each status asked for; no row fits two of them."""
    found = [_one_status(status, is_led=is_led) for status in dict.fromkeys(query.status)]
    for group in dict.fromkeys(query.groups):
        wanted = [status for status in Status if status in GROUPS[group] and status not in query.status]
        if group is Group.BLOCKED:
            found += [_one_status(status, is_led=is_led) for status in wanted]
            known = dict.fromkeys((*query.status, *GROUPS[group]))
            found.append(f"({_SPAM} AND d.status || '' NOT IN ({_spelled(known)}))")
        else:
            found += [f"({_one_status(status, is_led=is_led)} AND d.seq NOT IN ({_REPORTED}))" for status in wanted]
    return found


def _one_status(status: Status, *, is_led: bool) -> str:
    """A word of our own, spelled: a partial index is used only where its own words are read in the query."""
    if not is_led:
        return f"d.status || '' = '{status.value}'"
    if status is Status.QUEUED:
        return f"d.status = 'queued' AND d.seq IN ({_OPEN})"
    if status in _COMMON:
        return f"d.status = '{status.value}'"
    return f"d.status = '{status.value}' AND d.status NOT IN ('queued', 'delivered', 'sent')"


def _spelled(statuses: Iterable[Status]) -> str:
    return ", ".join(f"'{status.value}'" for status in statuses)
