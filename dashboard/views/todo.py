"""To do: what did not reach a customer and somebody can do something about, one line for an address and a cause.

Closing changes nothing but the list, and can be undone for some minutes. Correcting an address sends again what did not
arrive; the notice ends by itself once that is delivered. People who see the mail of some apps alone find, count and
change only notices about that.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from dashboard import notice_page, todo_list
from dashboard.access import Role
from dashboard.causes import cause
from dashboard.counts import Counts
from dashboard.desk import Desk, local_path, with_params
from dashboard.fragments import fragment
from dashboard.guard import at
from dashboard.links import booking_url, customer_url, mail_url
from dashboard.marking import N_
from dashboard.notice_page import REDIRECT_DAYS, Shown, Typed
from dashboard.todo_list import MOST, TABS, Page
from dashboard.wellbeing import Trouble, incident_text
from relay import actions
from relay.actions import Answer, Wanted
from relay.status import Status
from relay.store import incidents
from relay.store.protocols import Tx

_LINKS = {"customer_url": customer_url, "booking_url": booking_url, "mail_url": mail_url}

_DRAWING: dict[str, Any] = {"tabs": TABS, "most": MOST, "cause": cause, "problem": todo_list.problem, **_LINKS}

#: More than a page has, and few enough for an address.
_MOST_IDS = 200

_WEEK = timedelta(days=7)


async def show_list(desk: Desk) -> Response:
    """Show one page of the list."""
    return await _list(desk)


async def _list(desk: Desk, *, status: int = 200, problems: list[tuple[str, str]] | None = None) -> Response:
    asked = todo_list.asked_of(desk.request.query_params)
    undoable = Wanted(ids=_numbers(desk.asked("undo")), apps=desk.apps)

    def unit(tx: Tx) -> tuple[Page, list[Trouble], tuple[int, ...], int]:
        page = todo_list.read(tx, asked, person=desk.person.name, apps=desk.apps, now=desk.now)
        again = actions.just_closed(tx, undoable, by=desk.person.name, now=desk.now) if undoable.ids else []
        arrived = _arrived(desk, tx) if not page.entries else 0
        return page, _incidents(desk, tx), tuple(one.id for one in again), arrived

    page, gathered, undo, arrived = await desk.read(unit)
    here = asked.address(after=asked.after)
    return await desk.page(
        "todo.html",
        status=status,
        page=page,
        incidents=gathered,
        undo=undo,
        arrived=arrived,
        here=here,
        problems=problems or [],
        is_wrong_address=todo_list.is_wrong_address,
        **_DRAWING,
    )


def _arrived(desk: Desk, tx: Tx) -> int:
    """Count what arrived in a week: the proof that an empty list is good news."""
    counts: Counts = desk.request.app.state.counts
    found = counts.of(tx, since=desk.now - _WEEK, now=desk.now, apps=desk.apps, has_detail=False)
    return found.statuses[Status.DELIVERED]


def _incidents(desk: Desk, tx: Tx) -> list[Trouble]:
    """Say in a line each what the admin sees to, so that nobody works it off mail by mail."""
    found = []
    for one in incidents.every(tx, limit=20):
        if actions.concerns(tx, one, desk.apps):
            many = desk.tongue.plural("{count} email", "{count} emails", one.count)
            text = desk.tongue.text(N_("{what} {emails}, your admin is informed."))
            emails = many.format(count=desk.tongue.number(one.count))
            shown = text.format(what=incident_text(one, desk.tongue), emails=emails)
            found.append(Trouble(text=shown, address=f"/incidents/{one.id}"))
    return found


async def show_notice(desk: Desk) -> Response:
    """Show one notice with the form that corrects its address."""
    found = await _read(desk)
    return await desk.missing() if found is None else await _notice(desk, found, _untouched(desk))


async def _read(desk: Desk) -> Shown | None:
    wanted = _number(desk.request.path_params["id"])
    if wanted is None:
        return None
    return await desk.read(
        lambda tx: notice_page.read(tx, wanted, apps=desk.apps, person=desk.person.name, tongue=desk.tongue)
    )


def _untouched(desk: Desk) -> Typed:
    until = desk.tongue.local(desk.now + timedelta(days=REDIRECT_DAYS)).date()
    return Typed(until=until.isoformat())


async def _notice(desk: Desk, found: Shown, typed: Typed, *, problems: list[tuple[str, str]] | None = None) -> Response:
    status = 422 if problems else 200
    return await desk.page("notice.html", status=status, found=found, typed=typed, problems=problems or [], **_DRAWING)


async def mails(desk: Desk) -> Response:
    """Show anew what became of the mails of a notice."""
    found = await _read(desk)
    return await desk.missing() if found is None else await fragment(desk, "_notice_live.html", found=found, **_LINKS)


async def correct(desk: Desk) -> Response:
    """Correct the address of a notice, send again what did not arrive, redirect what is to come."""
    found = await _read(desk)
    if found is None:
        return await desk.missing()
    form = await desk.form()
    typed = notice_page.typed_of({name: value for name, value in form.items() if isinstance(value, str)})
    notice, hostname = found.card.notice, desk.config.node.hostname
    fix, problems = notice_page.checked(typed, old=notice.shown, tongue=desk.tongue, now=desk.now, apps=desk.apps)
    if fix is None:
        return await _notice(desk, found, typed, problems=problems)
    return await desk.do(
        "correct",
        lambda tx: actions.fix_address(tx, fix, by=desk.person.name, now=desk.now, hostname=hostname),
        back=f"/todo/{notice.id}",
        on=notice.address,
        kind="address",
        note=f"to {fix.new}",
    )


Work = Callable[[Tx, Wanted], Answer]


async def _change(desk: Desk, action: str, work: Work, *, note: str = "", can_undo: bool = False) -> Response:
    """Change the notices that are ticked."""
    ids = _numbers(",".join(await desk.fields("ids")))
    back = local_path(await desk.field("back"), "/todo")
    if not ids:
        text = desk.tongue.text(N_("Tick the to-dos that are meant first."))
        return await _list(desk, status=422, problems=[("ids", text)])
    wanted = Wanted(ids=ids, apps=desk.apps)
    if can_undo:
        back = with_params(back, {"undo": ",".join(map(str, ids))})
    return await desk.do(
        action,
        lambda tx: work(tx, wanted),
        back=back,
        on=", ".join(map(str, ids)),
        kind="notice",
        note=note,
    )


async def resolve(desk: Desk) -> Response:
    """Mark as dealt with."""
    by, note = desk.person.name, await _note(desk)
    return await _change(
        desk,
        "notice_resolve",
        lambda tx, wanted: actions.resolve_notices(tx, wanted, by=by, now=desk.now, note=note),
        note=note,
        can_undo=True,
    )


async def clear(desk: Desk) -> Response:
    """Take off the list without anything being fixed."""
    by, note = desk.person.name, await _note(desk)
    return await _change(
        desk,
        "notice_clear",
        lambda tx, wanted: actions.clear_notices(tx, wanted, by=by, now=desk.now, note=note),
        note=note,
        can_undo=True,
    )


async def reopen(desk: Desk) -> Response:
    """Open again."""
    by = desk.person.name
    return await _change(
        desk, "notice_reopen", lambda tx, wanted: actions.reopen_notices(tx, wanted, by=by, now=desk.now)
    )


async def undo(desk: Desk) -> Response:
    """Undo what this person closed a moment ago."""
    by = desk.person.name
    return await _change(desk, "notice_undo", lambda tx, wanted: actions.undo_closing(tx, wanted, by=by, now=desk.now))


async def assign(desk: Desk) -> Response:
    """Give to a person, or to nobody."""
    by, to = desk.person.name, await desk.field("to")
    known = await desk.read(lambda tx: todo_list.people(tx, by))
    if to and to not in known:
        text = desk.tongue.text(N_("There is nobody of that name."))
        return await _list(desk, status=422, problems=[("to", text)])
    return await _change(
        desk,
        "notice_assign",
        lambda tx, wanted: actions.assign_notices(tx, wanted, to=to or None, by=by, now=desk.now),
        note=to,
    )


async def annotate(desk: Desk) -> Response:
    """Put a note beside it."""
    by, note = desk.person.name, await _note(desk)
    return await _change(
        desk,
        "notice_note",
        lambda tx, wanted: actions.note_notices(tx, wanted, note=note, by=by, now=desk.now),
        note=note,
    )


async def _note(desk: Desk) -> str:
    return " ".join((await desk.field("note")).split())[:500]


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _numbers(text: str) -> tuple[int, ...]:
    found = (_number(part.strip()) for part in text.split(",")[:_MOST_IDS])
    return tuple(dict.fromkeys(one for one in found if one is not None))


_POST = ["POST"]

ROUTES: list[Route] = [
    at("/todo", show_list),
    at("/todo/resolve", resolve, need=Role.SUPPORT, methods=_POST),
    at("/todo/clear", clear, need=Role.SUPPORT, methods=_POST),
    at("/todo/reopen", reopen, need=Role.SUPPORT, methods=_POST),
    at("/todo/undo", undo, need=Role.SUPPORT, methods=_POST),
    at("/todo/assign", assign, need=Role.SUPPORT, methods=_POST),
    at("/todo/note", annotate, need=Role.SUPPORT, methods=_POST),
    at("/todo/{id}", show_notice),
    at("/todo/{id}/mails", mails),
    at("/todo/{id}/correct", correct, need=Role.SUPPORT, methods=_POST),
]
