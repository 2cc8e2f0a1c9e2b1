"""A customer's data: correct the address, hand the data out, erase it.

Correcting has two steps on one page: what would be sent again is shown before it is done. Handing out and erasing are
an admin's, and only of one who sees the mail of all apps; what an erased person was called stands nowhere afterwards,
so the audit log names none either.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from urllib.parse import quote

from starlette.responses import Response
from starlette.routing import Route

from dashboard.access import Role
from dashboard.customer_page import customer_of
from dashboard.dates import day_field, end_of_day
from dashboard.desk import Desk
from dashboard.guard import at
from dashboard.naming import customer_ids
from relay import actions
from relay.actions import Answer, Correction, CustomerCard
from relay.address import address_key
from relay.errors import Refused
from relay.store import scrub
from relay.store.protocols import Tx
from relay.wording import say

_DAYS = 30
_MOST_DAYS = 400

Problems = list[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What the form of a correction says."""

    old: str
    new: str
    resend: bool
    days: str
    redirect: bool
    until: str


async def correct_form(desk: Desk) -> Response:
    """Ask for the right address."""
    card = await customer_of(desk, await customer_ids(desk))
    if card is None:
        return await desk.missing()
    until = day_field(desk.now + timedelta(days=_DAYS), desk.tongue.zone)
    return await _correct_page(
        desk, card, Typed(old=card.address, new="", resend=True, days=str(_DAYS), redirect=True, until=until)
    )


async def _correct_page(
    desk: Desk, card: CustomerCard, typed: Typed, *, problems: Problems | None = None, found: Correction | None = None
) -> Response:
    return await desk.page(
        "customer_correct.html",
        status=422 if problems else 200,
        card=card,
        typed=typed,
        problems=problems or [],
        found=found,
        until=end_of_day(typed.until, desk.tongue.zone),
        here=_here(desk),
    )


async def correct(desk: Desk) -> Response:
    """Show what a correction would do; and do it, when that was seen."""
    card = await customer_of(desk, await customer_ids(desk))
    if card is None:
        return await desk.missing()
    typed = Typed(
        old=address_key(await desk.field("old", card.address)),
        new=await desk.field("new"),
        resend=bool(await desk.field("resend")),
        days=await desk.field("days", str(_DAYS)),
        redirect=bool(await desk.field("redirect")),
        until=await desk.field("until"),
    )
    if typed.old not in card.addresses:
        return await desk.missing()
    found, problems = await _plan(desk, typed)
    if found is None or problems:
        return await _correct_page(desk, card, typed, problems=problems)
    if not await desk.field("seen"):
        return await _correct_page(desk, card, typed, found=found)
    return await _carry_out(desk, typed, found)


async def _plan(desk: Desk, typed: Typed) -> tuple[Correction | None, Problems]:
    """Read the form and list what it leads to; or say what is wrong with it."""
    _ = desk.tongue.text
    problems: Problems = []
    days = int(typed.days) if typed.days.isascii() and typed.days.isdigit() and len(typed.days) < 4 else 0
    if typed.resend and not 1 <= days <= _MOST_DAYS:
        problems.append(("days", _("Give a number of days between 1 and 400.")))
    if typed.redirect and not _is_ahead(desk, typed.until):
        problems.append(("until", _("Give a day to come.")))
    since = desk.now - timedelta(days=days) if typed.resend else desk.now
    try:
        found = await desk.read(lambda tx: actions.plan_correction(tx, typed.old, typed.new, now=desk.now, since=since))
    except Refused as refused:
        return None, [
            ("new", _("That is not an email address: %(why)s.") % {"why": desk.tongue.told(refused.text)}),
            *problems,
        ]
    if isinstance(found, Answer):
        return None, [("new", desk.tongue.told(found.sentence)), *problems]
    return found, problems


def _is_ahead(desk: Desk, day: str) -> bool:
    until = end_of_day(day, desk.tongue.zone)
    return until is not None and until > desk.now


async def _carry_out(desk: Desk, typed: Typed, found: Correction) -> Response:
    """Send again what did not arrive, then remember the address. Mail by mail, and never twice: see actions.correct."""
    token = await desk.field("token")
    sent = 0
    if 16 <= len(token) <= 64:
        for row in found.chosen if desk.apps is None else [one for one in found.chosen if desk.sees(one.app)]:
            sent += await _send(desk, row.id, found)
    until = end_of_day(typed.until, desk.tongue.zone) if typed.redirect else None
    return await desk.do(
        "correct",
        lambda tx: _remember(tx, desk, found, sent=sent, until=until),
        back=_here(desk),
        on=found.old,
        kind="address",
        note=f"to {found.new}",
    )


async def _send(desk: Desk, wanted: str, found: Correction) -> int:
    by, now, hostname = desk.person.name, desk.now, desk.config.node.hostname
    plan = await desk.read(lambda tx: actions.plan_resend(tx, wanted, by=by, now=now, hostname=hostname, to=found.new))
    if isinstance(plan, Answer):
        return 0
    answer = await desk.store.write(lambda tx: actions.catch_up(tx, plan, found, by=by, now=now))
    return answer.count if answer.is_done else 0


def _remember(tx: Tx, desk: Desk, found: Correction, *, sent: int, until: datetime | None) -> Answer:
    by, now = desk.person.name, desk.now
    answer = actions.correct(tx, found, by=by, now=now)
    said = [answer.sentence, say("Sent again: {count}.", count=sent)]
    if until is not None:
        said.append(actions.redirect(tx, found.old, found.new, by=by, now=now, until=until).sentence)
    said.append(say("The booking system does not know it: correct the address there too."))
    return Answer(key="done", sentence=" ".join(said), count=sent)


async def export(desk: Desk) -> Response:
    """Give all that is known about the person, as one file."""
    card = await _whole(desk)
    if card is None:
        return await desk.missing()
    known = [await desk.read(partial(actions.export_person, text=each)) for each in card.addresses]
    await desk.note_reading("export", on=card.address, kind="address")
    text = json.dumps([one for one in known if one is not None], ensure_ascii=True, indent=2)
    headers = {"Content-Disposition": 'attachment; filename="person.json"'}
    return Response(text + "\n", media_type="application/json", headers=headers)


async def erase_form(desk: Desk) -> Response:
    """Say what erasing takes away, and ask for the address."""
    card = await _whole(desk)
    return await desk.missing() if card is None else await _erase_page(desk, card)


async def _erase_page(desk: Desk, card: CustomerCard, *, problems: Problems | None = None, typed: str = "") -> Response:
    return await desk.page(
        "customer_erase.html",
        status=422 if problems else 200,
        card=card,
        problems=problems or [],
        typed=typed,
        here=_here(desk),
    )


async def erase(desk: Desk) -> Response:
    """Erase the address that was typed, a few mails in one transaction."""
    card = await _whole(desk)
    if card is None:
        return await desk.missing()
    typed, _ = await desk.field("typed"), desk.tongue.text
    if address_key(typed) not in card.addresses:
        return await _erase_page(desk, card, problems=[("typed", _("Type the address exactly as it is."))], typed=typed)
    found = await desk.read(lambda tx: actions.look_for_person(tx, typed))
    if isinstance(found, Answer):
        return await _erase_page(desk, card, problems=[("typed", desk.tongue.told(found.sentence))], typed=typed)
    place: int | None = 0
    while place is not None:
        place = await desk.store.write(partial(actions.erase_some, found=found, start=place))
    by, now = desk.person.name, desk.now
    answer = await desk.do(
        "erase", lambda tx: actions.erase_person(tx, found, by=by, now=now), back="/customers", kind="address"
    )
    await asyncio.to_thread(scrub, desk.config.store.url, desk.config.base_dir)  # else when the store is next idle
    return answer


async def _whole(desk: Desk) -> CustomerCard | None:
    """Give the customer to somebody who sees the mail of all apps."""
    return await customer_of(desk, await customer_ids(desk)) if desk.apps is None else None


def _here(desk: Desk) -> str:
    return f"/customers/{quote(str(desk.request.path_params['id']), safe='')}"


ROUTES: list[Route] = [
    at("/customers/{id}/correct", correct_form, need=Role.SUPPORT),
    at("/customers/{id}/correct", correct, need=Role.SUPPORT, methods=["POST"]),
    at("/customers/{id}/export", export, need=Role.ADMIN),
    at("/customers/{id}/erase", erase_form, need=Role.ADMIN),
    at("/customers/{id}/erase", erase, need=Role.ADMIN, methods=["POST"]),
]
