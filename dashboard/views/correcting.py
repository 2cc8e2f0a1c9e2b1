"""Correct a customer's address, and send to the new one what the old one did not get.

One form and one token for the whole. What must happen once (the correction, the redirect, this mail) is one
transaction; the other mails follow one by one, as `waybill correct` does it: whatever was sent to the new address
before is not sent again, so that a second click or a run that was cut short does no harm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from starlette.responses import Response
from starlette.routing import Route

from dashboard import mail_links, one_mail
from dashboard.access import Role
from dashboard.desk import Desk, local_path, with_params
from dashboard.guard import at
from dashboard.marking import N_
from relay import actions
from relay.actions import Answer, Correction, Plan, Telling
from relay.address import address_key
from relay.errors import Refused
from relay.status import Status
from relay.store.log import LogRow
from relay.store.protocols import Tx
from relay.wording import say

_DAYS = 30
_LONGEST = timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What was filled in."""

    new: str
    is_resent: bool = True
    with_others: bool = True
    is_redirected: bool = False
    until: str = ""
    days: str = str(_DAYS)
    back: str = ""

    @property
    def span(self) -> int:
        """How many days to look back."""
        return min(max(int(self.days), 1), 3660) if self.days.isascii() and self.days.isdigit() else _DAYS


async def ask(desk: Desk) -> Response:
    """Show the form."""
    until = desk.tongue.local(desk.now + timedelta(days=_DAYS)).date().isoformat()
    typed = Typed(new=desk.asked("new"), until=until, back=desk.asked("next"))
    return await _form(desk, typed, [])


async def _form(desk: Desk, typed: Typed, problems: list[tuple[str, str]]) -> Response:
    told = await one_mail.told_of(desk)
    if told is None:
        return await desk.missing()
    if not typed.new and not problems and told.case.suggestion:
        typed = replace(typed, new=told.case.suggestion)
    return await desk.page(
        "message_correct.html",
        status=422 if problems else 200,
        told=told,
        message=told.found.message,
        delivery=told.delivery,
        typed=typed,
        back=local_path(typed.back, ""),
        problems=problems,
        wrong=dict(problems),
        plan=await _preview(desk, told, typed),
        links=mail_links,
    )


async def _preview(desk: Desk, told: Telling, typed: Typed) -> Correction | None:
    """List what would be sent again, when the new address is known."""
    if not typed.new:
        return None
    try:
        plan = await desk.read(lambda tx: _planned(tx, desk, told, typed))
    except Refused:
        return None
    return plan if isinstance(plan, Correction) else None


def _planned(tx: Tx, desk: Desk, told: Telling, typed: Typed) -> Correction | Answer:
    since = desk.now - timedelta(days=typed.span)
    plan = actions.plan_correction(tx, told.delivery.address, typed.new, now=desk.now, since=since)
    if isinstance(plan, Answer):
        return plan
    return replace(plan, chosen=tuple(row for row in plan.chosen if desk.sees(row.app)))


async def send(desk: Desk) -> Response:
    """Correct it."""
    told = await one_mail.told_of(desk)
    if told is None:
        return await desk.missing()
    typed = Typed(
        new=await desk.field("new"),
        is_resent=bool(await desk.field("resend")),
        with_others=bool(await desk.field("others")),
        is_redirected=bool(await desk.field("redirect")),
        until=await desk.field("until"),
        days=await desk.field("days", str(_DAYS)),
        back=await desk.field("next"),
    )
    until = _end_of_day(desk, typed.until)
    if typed.is_redirected and (until is None or not desk.now < until <= desk.now + _LONGEST):
        return await _form(desk, typed, [("until", desk.tongue.text(N_("Choose a day in the coming year.")))])
    try:
        plan = await desk.read(lambda tx: _planned(tx, desk, told, typed))
    except Refused:
        return await _form(desk, typed, [("new", desk.tongue.text(N_("Type the address as name@example.com.")))])
    if isinstance(plan, Answer):
        return await _form(desk, typed, [("new", desk.tongue.told(plan.sentence))])
    return await _carry_out(desk, told, typed, plan, until if typed.is_redirected else None)


def _end_of_day(desk: Desk, text: str) -> datetime | None:
    try:
        day = date.fromisoformat(text)
        return datetime.combine(day, time(23, 59, 59), tzinfo=desk.tongue.zone)
    except (ValueError, OverflowError):
        return None


async def _carry_out(desk: Desk, told: Telling, typed: Typed, plan: Correction, until: datetime | None) -> Response:
    own, others = _chosen(told, typed, plan)
    first = await _plan_own(desk, told, plan.new) if typed.is_resent and not _went_there(told, plan.new) else None

    def work(tx: Tx) -> Answer:
        return _all_at_once(tx, desk, plan, first, is_listed=own is not None, until=until, others=len(others))

    shown = with_params(mail_links.mail_page(told.delivery.id), {"copy": "last"})
    back = local_path(typed.back, shown)
    note = f"to {plan.new}"
    answer = await desk.do("correct", work, back=back, on=plan.old, kind="address", note=note)
    if answer.status_code == 303 and others:
        for row in others:
            await _send_one(desk, row, plan)
        desk.nudge()
    return answer


def _chosen(told: Telling, typed: Typed, plan: Correction) -> tuple[LogRow | None, list[LogRow]]:
    """Part the mails to be sent again into this one and the others."""
    root = told.first.id
    own = next((row for row in plan.chosen if root in (row.id, row.resend_of)), None)
    others = [row for row in plan.chosen if row is not own]
    return own, others if typed.with_others else []


def _went_there(told: Telling, new: str) -> bool:
    """Tell whether this mail was sent to the new address before: nobody gets it twice by correcting twice."""
    key = address_key(new)
    return any(address_key(one.address) == key and one.status is not Status.SUPPRESSED for one in told.copies)


async def _plan_own(desk: Desk, told: Telling, new: str) -> Plan | Answer:
    hostname, by = desk.config.node.hostname, desk.person.name
    return await desk.read(
        lambda tx: actions.plan_resend(tx, told.delivery.id, by=by, now=desk.now, hostname=hostname, to=new)
    )


def _all_at_once(
    tx: Tx,
    desk: Desk,
    plan: Correction,
    first: Plan | Answer | None,
    *,
    is_listed: bool,
    until: datetime | None,
    others: int,
) -> Answer:
    by, now = desk.person.name, desk.now
    done = actions.correct(tx, plan, by=by, now=now)
    said, count = [done.sentence], others
    key = "corrected"
    if isinstance(first, Plan):
        sent = actions.catch_up(tx, first, plan, by=by, now=now) if is_listed else actions.resend(tx, first)
        said, count = [*said, sent.sentence], count + sent.count
        key = key if sent.is_done else "in_part"
    elif first is not None:
        said.append(first.sentence)
        key = "in_part"
    if others:
        one = say("1 more that did not arrive is sent again.")
        more = say("{count} more that did not arrive are sent again.", count=others)
        said.append(one if others == 1 else more)
    if until is not None:
        said.append(actions.redirect(tx, plan.old, plan.new, by=by, now=now, until=until).sentence)
        key = "in_part"
    said.append(say("The booking system does not know it: correct the address there too."))
    # What the table of banners has no words for is told in full.
    key = "sent_again" if count and key == "corrected" else key
    return replace(done, sentence=" ".join(said), count=count, key=key)


async def _send_one(desk: Desk, row: LogRow, plan: Correction) -> None:
    hostname, by = desk.config.node.hostname, desk.person.name
    copy = await desk.read(
        lambda tx: actions.plan_resend(tx, row.id, by=by, now=desk.now, hostname=hostname, to=plan.new)
    )
    if isinstance(copy, Plan):
        await desk.store.write(lambda tx: actions.catch_up(tx, copy, plan, by=by, now=desk.now))


ROUTES: list[Route] = [
    at("/m/{id}/correct", ask, need=Role.SUPPORT),
    at("/m/{id}/correct", send, need=Role.SUPPORT, methods=["POST"]),
]
