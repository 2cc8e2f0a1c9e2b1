"""The log: find any mail.

One clear term leads straight to where it belongs: an id to its mail, a booking that has mail to its page. Everything
else is a list. A search has two seconds: what was found by then is shown and said to be only that, never "nothing".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from dashboard import box, labels, log_asked, log_page
from dashboard.box import Direct
from dashboard.desk import Desk
from dashboard.fragments import fragment
from dashboard.guard import at
from dashboard.links import booking_url, mail_url
from dashboard.log_asked import LogAsked
from dashboard.log_page import PAGE
from dashboard.naming import customer_ids
from dashboard.nothing import Nothing, at_the_door, nothing
from dashboard.trail import Trail
from dashboard.views import log_bulk, log_export, saved
from relay import actions
from relay.errors import StoreSlow
from relay.model import Category
from relay.status import Status
from relay.store import log, refusals
from relay.store.log import Counts, LogRow, Query
from relay.store.protocols import Tx
from relay.store.refusals import RefusalRow

#: How long a search may take.
LIMIT = timedelta(seconds=2)

#: What was refused at the door, under the mail that we refused later.
_REFUSED = 10

#: New rows that are counted; "100+" says as much.
_NEWS = 100

#: The page of one mail shows so many recipients itself.
_RECIPIENTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What one read gave."""

    rows: tuple[LogRow, ...] = ()
    is_partial: bool = False
    counts: Counts | None = None  #: None: there was no time to count
    refused: tuple[RefusalRow, ...] = ()
    straight: str = ""  #: the page that the only term names


async def show(desk: Desk) -> Response:
    """Show what fits, or go where the only term leads."""
    asked = log_asked.read(desk.request.query_params)
    if asked.is_refused:
        return await _show_refused(desk, asked)
    trail = Trail.read(desk.asked("before"))
    query = _on(asked, _query(desk, asked), trail)
    is_first = trail.before is None
    found = await desk.read(lambda tx: _look(tx, desk, asked, query, is_first=is_first), limit=LIMIT)
    if found.straight:
        return desk.go(found.straight)
    is_nothing = not found.rows and not found.is_partial and asked.is_words_only and is_first
    nothing_box = await _nothing(desk, asked) if is_nothing else None
    page = log_page.page(asked, found.rows, query, found.counts, trail=trail, tongue=desk.tongue)
    return await desk.page(
        "log.html",
        page=page,
        asked=asked,
        is_partial=found.is_partial or (is_nothing and nothing_box is None),
        nothing=nothing_box,
        refused=at_the_door([row.refusal for row in found.refused], desk.tongue),
        views=await saved.links(desk),
        longest_name=actions.LONGEST_NAME,
        news_url=_news_url(asked, page.newest) if is_first and not asked.is_oldest_first else "",
        query=asked.text,
        most=actions.MOST_RESENT,
        **_controls(desk, asked),
    )


async def live(desk: Desk) -> Response:
    """Say how many rows came since; they are shown when somebody asks for them, never pushed under the pointer."""
    asked, newest = log_asked.read(desk.request.query_params), desk.number("after") or 0
    query = replace(_query(desk, asked), since_seq=newest, limit=_NEWS)
    found = await desk.read(lambda tx: log.page(tx, query), limit=LIMIT)
    url = _news_url(asked, newest)
    return await fragment(desk, "_log_news.html", count=len(found.rows), most=_NEWS, news_url=url, here=asked.url())


def _query(desk: Desk, asked: LogAsked) -> Query:
    return asked.query(apps=desk.apps, now=desk.now, zone=desk.tongue.zone, limit=PAGE + 1)


def _on(asked: LogAsked, query: Query, trail: Trail) -> Query:
    """Go on where the page before ended."""
    if trail.before is None:
        return query
    return replace(query, since_seq=trail.before) if asked.is_oldest_first else replace(query, before=trail.before)


def _news_url(asked: LogAsked, newest: int | None) -> str:
    return asked.url("/log/live", after=str(newest)) if newest is not None else ""


def _look(tx: Tx, desk: Desk, asked: LogAsked, query: Query, *, is_first: bool) -> Found:
    """Read all that the page shows, on one snapshot."""
    if is_first and (straight := _straight(tx, desk, asked)):
        return Found(straight=straight)
    page = log.page(tx, query)
    if page.is_partial:
        return Found(rows=page.rows, is_partial=True)
    try:
        wants_refused = is_first and asked.wants_status("rejected")
        refused = _refused(tx, asked, query, limit=_REFUSED) if wants_refused else ()
        return Found(rows=page.rows, counts=log.counts(tx, query), refused=refused)
    except StoreSlow:
        return Found(rows=page.rows)


def _straight(tx: Tx, desk: Desk, asked: LogAsked) -> str:
    """Give the address of the page that the only term names; "" when it names none, or when rows are wanted."""
    found = box.direct(asked.asked)
    if found is None or asked.is_list or asked.is_oldest_first or asked.since:
        return ""
    try:
        match found.kind:
            case Direct.ID:
                return _mail_of(tx, desk, found.value)
            case Direct.MESSAGE_ID:
                rows = log.search(tx, Query(words=(found.value,), apps=desk.apps, limit=2))
                return mail_url(rows[0].id) if len(rows) == 1 else ""
            case Direct.BOOKING:
                rows = log.search(tx, Query(booking=found.value, apps=desk.apps, limit=1))
                return booking_url(found.value) if rows else ""
    except StoreSlow:
        pass
    return ""


def _mail_of(tx: Tx, desk: Desk, wanted: str) -> str:
    """A message to more people than its page shows is a list."""
    found = log.find(tx, wanted)
    if found is None or not desk.sees(found.message.app):
        return ""
    is_short = found.delivery_id is not None or len(found.deliveries) <= _RECIPIENTS
    return mail_url(found.delivery_id or found.message.id) if is_short else ""


async def _nothing(desk: Desk, asked: LogAsked) -> Nothing | None:
    """Prepare the box "we have no email for this"; None when there was no time to look around."""
    question = asked.looked_for
    found = box.direct(asked.asked)
    is_booking = found is not None and found.kind is Direct.BOOKING
    try:
        near = await desk.read(lambda tx: actions.nearest(tx, question, apps=desk.apps), limit=LIMIT)
    except StoreSlow:
        return None
    return nothing(question, near, tongue=desk.tongue, ids=await customer_ids(desk), is_booking=is_booking)


# -- what was refused at the door


async def _show_refused(desk: Desk, asked: LogAsked) -> Response:
    trail = Trail.read(desk.asked("before"))
    query = replace(_query(desk, asked), before=trail.before)
    rows = await desk.read(lambda tx: _refused(tx, asked, query, limit=PAGE + 1))
    older = rows[PAGE - 1].seq if len(rows) > PAGE else None
    return await desk.page(
        "log_refused.html",
        refused=at_the_door([row.refusal for row in rows[:PAGE]], desk.tongue),
        pager=trail.links("/log", asked.params(), older),
        asked=asked,
        query=asked.text,
    )


def _refused(tx: Tx, asked: LogAsked, query: Query, *, limit: int) -> tuple[RefusalRow, ...]:
    """List refusals by what of the question they can answer: words, recipient, app and time."""
    words = (*query.words, *query.sender, *query.name)
    to = " ".join(asked.asked.values("to")) or None
    found = refusals.search(
        tx, words=words, to=to, apps=query.apps, since=query.since, until=query.until, before=query.before, limit=limit
    )
    return tuple(found)


def _controls(desk: Desk, asked: LogAsked) -> dict[str, Any]:
    """What the filter form shows."""
    statuses: dict[str, str] = {status.value: labels.STATUS[status].title for status in Status}
    groups = {group.value: label.title for group, label in labels.GROUP.items()}
    return {
        "filled": log_asked.filled(asked),
        "spans": log_page.SPAN_WORDS,
        "marks": {key: word for key, word in log_page.MARKS.items() if key != "archived"},
        "statuses": statuses | groups,
        "reasons": {category.value: labels.reason(category) for category in Category},
        "kinds": labels.KIND,
        "apps": {app.name: app.name for app in desk.config.app if desk.sees(app.name)},
    }


ROUTES: list[Route] = [
    at("/log", show),
    at("/log/live", live),
    *log_export.ROUTES,
    *log_bulk.ROUTES,
    *saved.ROUTES,
]
