"""Blocked addresses and domains: who gets nothing, why, and how that is changed."""

from __future__ import annotations

from datetime import datetime

from starlette.responses import Response
from starlette.routing import Route

from dashboard.access import Role
from dashboard.blocks import SOURCES
from dashboard.dates import end_of_day
from dashboard.desk import Desk
from dashboard.guard import at
from dashboard.labels import BLOCK
from dashboard.naming import customer_ids
from dashboard.trail import Trail
from dashboard.views import block_lists
from relay import actions
from relay.actions import Answer
from relay.errors import Refused
from relay.model import Suppression
from relay.store import suppressions
from relay.store.protocols import Tx
from relay.store.suppressions import BlockQuery, Listing

_PAGE = 50
_LONGEST_NOTE = 500

Problems = list[tuple[str, str]]


async def show(desk: Desk) -> Response:
    """List what is blocked."""
    trail = Trail.read(desk.asked("before"))
    query = block_lists.asked_for(desk, before=trail.before, limit=_PAGE + 1)
    rows, held = await desk.read(lambda tx: _rows(tx, query, desk.now))
    older = rows[_PAGE - 1].suppression.id if len(rows) > _PAGE else None
    params = {name: desk.asked(name) for name in ("q", "reason", "source", "app", "ended")}
    return await desk.page(
        "blocked.html",
        rows=rows[:_PAGE],
        held=held,
        params=params,
        is_narrowed=any(params.values()),
        reasons=BLOCK,
        sources=SOURCES,
        apps=[one.name for one in desk.config.app if desk.sees(one.name)],
        pager=trail.links("/suppressions", params, older),
        limit=desk.config.suppression.max_errors,
        at_once=desk.config.suppression.block_invalid_at_once,
    )


def _rows(tx: Tx, query: BlockQuery, now: datetime) -> tuple[list[Listing], dict[int, int]]:
    rows = suppressions.search(tx, query, now=now)
    return rows, suppressions.held_back(tx, [one.suppression.id for one in rows])


async def show_one(desk: Desk) -> Response:
    """Show one block, and what can be done about it."""
    found = await _found(desk)
    return await desk.missing() if found is None else await _one(desk, found)


async def _one(
    desk: Desk, found: Listing, *, status: int = 200, problems: Problems | None = None, note: str = "", until: str = ""
) -> Response:
    block = found.suppression
    held = await desk.read(lambda tx: suppressions.held_back(tx, [block.id]))
    ids = await customer_ids(desk)
    return await desk.page(
        "blocked_one.html",
        status=status,
        found=found,
        block=block,
        is_over=found.lifted_at is not None or (block.until_at is not None and block.until_at <= desk.now),
        held=held.get(block.id, 0),
        may_change=_may_change(desk, block),
        needs_operator=await _needs_operator(desk, block),
        customer=f"/customers/{ids.of(block.value)}" if block.scope == "address" else "",
        problems=problems or [],
        note=note,
        until=until,
    )


async def unblock(desk: Desk) -> Response:
    """Lift what stands on this address or domain; nothing changes without the tick."""
    found = await _changeable(desk)
    if found is None:
        return await desk.missing()
    block, note = found.suppression, await _note(desk)
    problems = await _unconfirmed(desk, note)
    if await _needs_operator(desk, block):
        problems.append(("confirm", desk.tongue.text("Only an operator may unblock who marked our email as spam.")))
    if problems:
        return await _one(desk, found, status=422, problems=problems, note=note)
    target = _target(block)
    return await desk.do(
        "unblock",
        lambda tx: actions.unblock(tx, target, by=desk.person.name, now=desk.now, note=note, app=block.app),
        back=f"/suppressions/{block.id}",
        on=target,
        kind="address",
        note=note,
    )


async def extend(desk: Desk) -> Response:
    """Let a block end on another day, or never."""
    found = await _changeable(desk)
    if found is None:
        return await desk.missing()
    block, note, typed = found.suppression, await _note(desk), await desk.field("until")
    until = end_of_day(typed, desk.tongue.zone) if typed else None
    if typed and (until is None or until <= desk.now):
        problem = desk.tongue.text("Give a day to come, or leave it empty to block until somebody unblocks.")
        return await _one(desk, found, status=422, problems=[("until", problem)], until=typed)
    return await desk.do(
        "extend",
        lambda tx: actions.extend(tx, block.id, until=until, by=desk.person.name, now=desk.now, note=note),
        back=f"/suppressions/{block.id}",
        on=_target(block),
        kind="address",
        note=note,
    )


async def add_form(desk: Desk) -> Response:
    """Ask whom to block."""
    return await _add_page(desk, {"address": desk.asked("address")}, [])


async def _add_page(desk: Desk, typed: dict[str, str], problems: Problems) -> Response:
    apps = [one.name for one in desk.config.app if desk.sees(one.name)]
    return await desk.page(
        "blocked_add.html", status=422 if problems else 200, typed=typed, problems=problems, apps=apps
    )


async def add(desk: Desk) -> Response:
    """Block an address or a whole domain."""
    typed = {name: await desk.field(name) for name in ("address", "note", "until", "app")}
    problems = await _unconfirmed(desk, typed["note"])
    _ = desk.tongue.text
    try:
        scope, _value = actions.target(typed["address"])
    except Refused as refused:
        scope = ""
        problems.insert(
            0,
            (
                "address",
                _("Give an email address, or @ and a domain: %(why)s.") % {"why": desk.tongue.told(refused.text)},
            ),
        )
    until = end_of_day(typed["until"], desk.tongue.zone) if typed["until"] else None
    if typed["until"] and (until is None or until <= desk.now):
        problems.append(("until", _("Give a day to come, or leave it empty to block until somebody unblocks.")))
    app = typed["app"] or None
    if (app is not None and not desk.sees(app)) or (app is None and desk.apps is not None):
        problems.append(("app", _("Choose one of your programs.")))
    if problems:
        return await _add_page(desk, typed, problems)
    note = typed["note"][:_LONGEST_NOTE]

    def work(tx: Tx) -> Answer:
        return actions.block(tx, typed["address"], by=desk.person.name, now=desk.now, note=note, until=until, app=app)

    return await desk.do("block", work, back="/suppressions", on=typed["address"], kind=scope, note=note)


async def _unconfirmed(desk: Desk, note: str) -> Problems:
    _ = desk.tongue.text
    found = []
    if not await desk.field("confirm"):
        found.append(("confirm", _("Tick “Confirm action”: without it nothing is changed.")))
    if desk.config.dashboard.require_note and not note:
        found.append(("note", _("Write a note: why is it blocked or unblocked?")))
    return found


async def _note(desk: Desk) -> str:
    return (await desk.field("note"))[:_LONGEST_NOTE]


async def _found(desk: Desk) -> Listing | None:
    """Read the block that the address of the page names, if this person sees it."""
    number = int(desk.request.path_params["id"])
    if number >= 2**63:
        return None
    found = await desk.read(lambda tx: suppressions.listed(tx, number))
    if found is None or desk.apps is None:
        return found
    query = BlockQuery(apps=desk.apps, before=number + 1, with_lifted=True, limit=1)
    seen = await desk.read(lambda tx: suppressions.search(tx, query, now=desk.now))
    return found if seen and seen[0].suppression.id == number else None


async def _changeable(desk: Desk) -> Listing | None:
    found = await _found(desk)
    return found if found is not None and _may_change(desk, found.suppression) else None


def _may_change(desk: Desk, block: Suppression) -> bool:
    """Tell whether it is this person's to change: who has some apps alone changes nothing for all the others."""
    if desk.apps is None:
        return True
    return block.app in desk.apps if block.app else block.scope == "address"


async def _needs_operator(desk: Desk, block: Suppression) -> bool:
    if desk.may("operator"):
        return False
    standing = await desk.read(lambda tx: suppressions.active_on(tx, block.value, scope=block.scope, now=desk.now))
    return any(one.reason == "complaint" for one in standing)


def _target(block: Suppression) -> str:
    return f"@{block.value}" if block.scope == "domain" else block.value


ROUTES: list[Route] = [
    at("/suppressions", show),
    at("/suppressions/add", add_form, need=Role.SUPPORT),
    at("/suppressions/add", add, need=Role.SUPPORT, methods=["POST"]),
    *block_lists.ROUTES,
    at("/suppressions/{id:int}", show_one),
    at("/suppressions/{id:int}/unblock", unblock, need=Role.SUPPORT, methods=["POST"]),
    at("/suppressions/{id:int}/extend", extend, need=Role.SUPPORT, methods=["POST"]),
]
