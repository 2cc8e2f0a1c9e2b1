"""The block list as a whole: take it out, bring another system's in, undo what was blocked by mistake.

A list that is brought in is shown first and blocked only after that; between the two it lies, packed, in the form
itself, so that no node has to remember it. Larger lists than _MOST_BYTES are for the command line.
"""

from __future__ import annotations

import asyncio
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from starlette.datastructures import UploadFile
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from dashboard.access import Role
from dashboard.blocks import SOURCES
from dashboard.dates import moment
from dashboard.desk import Desk
from dashboard.guard import at
from dashboard.labels import BLOCK
from relay import actions
from relay.actions import Answer, ImportTally, Undoing, Undone
from relay.address import to_a_label
from relay.model import Category, Suppression
from relay.store import suppressions
from relay.store.protocols import Tx
from relay.store.suppressions import BlockQuery
from relay.wording import say

_MOST_BYTES = 4_000_000
_BODY_BYTES = 6_000_000
_PAGE = 1000
_UNDO_PAGE = 200
_UNDO_MOST = 5000  #: addresses that one click undoes


def asked_for(desk: Desk, *, before: int | None = None, limit: int = _PAGE) -> BlockQuery:
    """Read which blocks are asked for."""
    reason, source = desk.asked("reason"), desk.asked("source")
    return BlockQuery(
        words=desk.asked("q")[:200].removeprefix("@"),
        reason=reason if reason in BLOCK else None,
        source=source if source in SOURCES else None,
        app=desk.asked("app")[:100] or None,
        apps=desk.apps,
        with_lifted=desk.asked("ended") == "yes",
        before=before,
        limit=limit,
    )


async def export(desk: Desk) -> Response:
    """Give the list as a table for spreadsheets, as far as this person sees it."""
    query = asked_for(desk)
    await desk.note_reading("export", on="suppressions", kind="list")
    headers = {"Content-Disposition": 'attachment; filename="blocked-addresses.csv"'}
    return StreamingResponse(
        actions.export_blocks(_blocks(desk, query)), media_type="text/csv; charset=utf-8", headers=headers
    )


def _blocks(desk: Desk, query: BlockQuery) -> Iterator[Suppression]:
    """Read page by page; runs in a thread of its own."""
    while True:
        rows = desk.store.read_now(lambda tx, query=query: suppressions.search(tx, query, now=desk.now))  # type: ignore[misc]
        yield from (row.suppression for row in rows)
        if len(rows) < query.limit:
            return
        query = replace(query, before=rows[-1].suppression.id)


async def import_form(desk: Desk) -> Response:
    """Ask for a list."""
    if desk.apps is not None:
        return await desk.missing()
    return await _import_page(desk)


async def _import_page(desk: Desk, problem: str = "") -> Response:
    apps = [one.name for one in desk.config.app]
    problems = [("file", problem)] if problem else []
    return await desk.page("blocked_import.html", status=422 if problem else 200, problems=problems, apps=apps)


async def import_preview(desk: Desk) -> Response:
    """Say what a list would block, and change nothing."""
    if desk.apps is not None:
        return await desk.missing()
    _ = desk.tongue.text
    name, content = await _file(desk)
    if not content.strip():
        return await _import_page(desk, _("Choose a file with addresses in it."))
    if len(content) > _MOST_BYTES:
        return await _import_page(desk, _("That list is too long for this page. Your admin can import it."))
    app = await desk.field("app")
    found = await _run(desk, content, name=name, app=app, is_dry_run=True)
    if isinstance(found, Answer):
        return await _import_page(desk, desk.tongue.told(found.sentence))
    packed = urlsafe_b64encode(zlib.compress(content, 9)).decode()
    return await desk.page("blocked_import_preview.html", tally=found, name=name, app=app, packed=packed)


async def _file(desk: Desk) -> tuple[str, bytes]:
    given = (await desk.form()).get("file")
    if not isinstance(given, UploadFile):
        return "", b""
    content = await given.read()
    await given.close()
    return (given.filename or "list")[:100], content


async def import_(desk: Desk) -> Response:
    """Block what the list names; what is blocked already stays as it is."""
    if desk.apps is not None:
        return await desk.missing()
    content = _unpacked(await desk.field("packed"))
    token = await desk.field("token")
    if not content or not 16 <= len(token) <= 64:
        return await _import_page(desk, desk.tongue.text("Choose a file with addresses in it."))
    name, app = (await desk.field("name"))[:100], await desk.field("app")
    found = await _run(desk, content, name=name, app=app, is_dry_run=False)
    if isinstance(found, Answer):
        return await _import_page(desk, desk.tongue.told(found.sentence))
    sentence = say(
        "{added} blocked, {known} were blocked already, {bad} lines could not be read.",
        added=found.added,
        known=found.known,
        bad=found.bad,
    )
    answer = Answer(key="done", sentence=sentence, count=found.added)
    return await desk.do("import", lambda tx: answer, back="/suppressions", on=name, kind="list", note=sentence)


async def _run(desk: Desk, content: bytes, *, name: str, app: str, is_dry_run: bool) -> ImportTally | Answer:
    known = frozenset(one.name for one in desk.config.app)
    tally = ImportTally(by=desk.person.name, name=name, is_dry_run=is_dry_run, apps=known)
    only = app if app in known else None
    return await asyncio.to_thread(
        actions.import_list, desk.store, content, tally, now=lambda: datetime.now(UTC), app=only
    )


def _unpacked(text: str) -> bytes:
    """Take a list out of its form again; nothing that was not put in by us grows beyond what we take."""
    try:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(urlsafe_b64decode(text.encode()), _MOST_BYTES)
    except (Error, ValueError, zlib.error):
        return b""
    return content if unpacker.eof else b""


@dataclass(slots=True)
class Cause:
    """Blocks of one reason and rule that would be undone."""

    reason: str
    rule: str
    reply: str
    blocks: int = 0
    errors: int = 0
    examples: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What the form of an undo says."""

    since: str
    until: str
    rule: str
    category: str
    domain: str


async def undo_form(desk: Desk) -> Response:
    """Ask which automatic blocks to undo, and show what that would do."""
    if desk.apps is not None:
        return await desk.missing()
    names = ("since", "until", "rule", "category", "domain")
    typed = Selection(**{name: desk.asked(name)[:100] for name in names})
    if not typed.since:
        begin = desk.tongue.local(desk.now - timedelta(days=1))
        return await _undo_page(desk, replace(typed, since=f"{begin:%Y-%m-%dT%H:%M}"))
    chosen = _read(desk, typed)
    if isinstance(chosen, Undoing):
        shown = replace(typed, since=_field(desk, chosen.since), until=_field(desk, chosen.until))
        return await _undo_page(desk, shown, found=await _planned(desk, chosen))
    return await _undo_page(desk, typed, problems=chosen)


def _field(desk: Desk, when: datetime | None) -> str:
    """Write a time as a time field of a browser shows it."""
    return f"{desk.tongue.local(when):%Y-%m-%dT%H:%M}" if when else ""


async def _undo_page(
    desk: Desk, typed: Selection, *, found: list[Undone] | None = None, problems: list[tuple[str, str]] | None = None
) -> Response:
    return await desk.page(
        "blocked_undo.html",
        status=422 if problems else 200,
        typed=typed,
        problems=problems or [],
        is_shown=found is not None,
        total=len(found or []),
        has_more=len(found or []) >= _UNDO_MOST,
        causes=_causes(found or []),
        categories=[one.value for one in Category],
        reasons=BLOCK,
    )


def _causes(found: list[Undone]) -> list[Cause]:
    causes: dict[tuple[str, str], Cause] = {}
    for one in found:
        key = (one.block.reason, one.block.rule or "")
        cause = causes.setdefault(key, Cause(*key, reply=" ".join(one.block.reply.split())))
        cause.blocks += 1
        cause.errors += len(one.taken_back)
        if len(cause.examples) < 3:
            cause.examples.append(one.block.value)
    return sorted(causes.values(), key=lambda one: -one.blocks)


def _read(desk: Desk, typed: Selection) -> Undoing | list[tuple[str, str]]:
    """Read the form; or say what is wrong with it."""
    _ = desk.tongue.text
    since, until = (moment(text, desk.tongue.zone) for text in (typed.since, typed.until))
    domain = to_a_label(typed.domain.removeprefix("@")) if typed.domain else None
    problems = []
    if since is None:
        problems.append(("since", _("Give the time from which on addresses were blocked by mistake.")))
    if typed.until and until is None:
        problems.append(("until", _("Give a time, or leave it empty.")))
    if typed.domain and domain is None:
        problems.append(("domain", _("That is not the name of a domain.")))
    if typed.category and typed.category not in set(Category):
        problems.append(("category", _("Choose one of the list.")))
    if problems or since is None:
        return problems
    category = Category(typed.category) if typed.category else None
    return Undoing(since=since, until=until, rule=typed.rule or None, category=category, domain=domain)


async def _planned(desk: Desk, chosen: Undoing) -> list[Undone]:
    settings, found, after = desk.config.suppression, list[Undone](), 0
    while len(found) < _UNDO_MOST:
        page = await desk.read(
            lambda tx, after=after: actions.plan_undo(  # type: ignore[misc]
                tx, chosen, settings=settings, after=after, limit=_UNDO_PAGE
            )
        )
        found += page
        if len(page) < _UNDO_PAGE:
            break
        after = page[-1].block.id
    return found


async def undo(desk: Desk) -> Response:
    """Undo what the preview showed, some hundred addresses in one transaction."""
    if desk.apps is not None:
        return await desk.missing()
    names = ("since", "until", "rule", "category", "domain")
    typed = Selection(**{name: (await desk.field(name))[:100] for name in names})
    chosen = _read(desk, typed)
    if not isinstance(chosen, Undoing):
        return await _undo_page(desk, typed, problems=chosen)
    _ = desk.tongue.text
    if not await desk.field("confirm"):
        problem = ("confirm", _("Tick “Confirm action”: without it nothing is changed."))
        return await _undo_page(desk, typed, found=await _planned(desk, chosen), problems=[problem])
    blocks = [one.block for one in await _planned(desk, chosen)]
    done = 0
    for start in range(0, len(blocks), _UNDO_PAGE):
        part = blocks[start : start + _UNDO_PAGE]
        done += len(await desk.store.write(lambda tx, part=part: _undo(tx, desk, chosen, part)))  # type: ignore[misc]
    answer = Answer(
        key="done" if done else "not_blocked",
        sentence=say("{count} addresses are no longer blocked.", count=done)
        if done
        else say("No automatic block fits any more."),
        is_done=done > 0,
        count=done,
    )
    note = " ".join(
        f"{name}={value}" for name, value in zip(names, (getattr(typed, one) for one in names), strict=True)
    )
    return await desk.do("undo", lambda tx: answer, back="/suppressions", on="suppressions", kind="list", note=note)


def _undo(tx: Tx, desk: Desk, chosen: Undoing, part: list[Suppression]) -> list[Undone]:
    by, settings = desk.person.name, desk.config.suppression
    return actions.undo(tx, chosen, part, by=by, now=desk.now, settings=settings)


ROUTES: list[Route] = [
    at("/suppressions/export.csv", export, need=Role.SUPPORT),
    at("/suppressions/import", import_form, need=Role.SUPPORT),
    at("/suppressions/import/preview", import_preview, need=Role.SUPPORT, methods=["POST"], body=_BODY_BYTES),
    at("/suppressions/import", import_, need=Role.SUPPORT, methods=["POST"], body=_BODY_BYTES),
    at("/suppressions/undo", undo_form, need=Role.OPERATOR),
    at("/suppressions/undo", undo, need=Role.OPERATOR, methods=["POST"]),
]
