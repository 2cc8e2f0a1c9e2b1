"""Send one mail again: a form that says beforehand what will happen, and the sending itself.

A block beats a resend: the form says so and the try is logged, but nothing is sent. After it the person is back where
they came from (`next`), or on the page of the new delivery, which turns to Delivered by itself. The token of the form
makes a double click harmless; whoever goes back and presses again has a new token, and is asked to tick that they mean
it while the first copy is only minutes old.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.responses import Response
from starlette.routing import Route

from dashboard import mail_links, one_mail
from dashboard.access import Role
from dashboard.desk import Desk, local_path, with_params
from dashboard.guard import at
from dashboard.marking import N_
from relay import actions
from relay.actions import Answer, Plan, Telling
from relay.address import address_key, validate
from relay.errors import Refused
from relay.model import Delivery, Suppression
from relay.status import FAILED, OPEN, Status
from relay.store import spool
from relay.store.protocols import Tx
from relay.wording import say

_RECENT = timedelta(minutes=10)
_CAME_TO_NOTHING = FAILED | {Status.SUPPRESSED, Status.CANCELLED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One address that a mail can be sent to."""

    key: str  #: current | same | me
    address: str
    block: Suppression | None = None  #: why nothing would be sent there

    @property
    def blocked(self) -> str:
        """Say why; "" = it would be sent."""
        return actions.describe(self.block) if self.block is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What can be chosen in the form."""

    told: Telling
    forms: tuple[str, ...]  #: full | plain; none: the content is gone
    targets: tuple[Target, ...]
    is_too_late: bool
    recent: Delivery | None  #: was sent again only minutes ago


def choices_of(tx: Tx, desk: Desk) -> Choices | None:
    """Say in which forms and where to the mail of the address can be sent."""
    told = one_mail.tell(tx, desk)
    if told is None:
        return None
    message, delivery = told.found.message, told.delivery
    current = told.case.corrected or delivery.address
    wanted = {"current": current}
    if address_key(current) != address_key(delivery.address):
        wanted["same"] = delivery.address
    if _is_address(desk.person.name):
        wanted["me"] = desk.person.name
    return Choices(
        told=told,
        forms=actions.possible_forms(tx, message),
        targets=tuple(_target(tx, desk, key, address) for key, address in wanted.items()),
        recent=_recent(told.copies, now=desk.now),
        is_too_late=message.expires_at is not None and message.expires_at <= desk.now,
    )


def _recent(copies: Iterable[Delivery], *, now: datetime) -> Delivery | None:
    fresh = [one for one in copies if one.created_at > now - _RECENT and one.status not in _CAME_TO_NOTHING]
    return fresh[-1] if fresh else None


def _target(tx: Tx, desk: Desk, key: str, address: str) -> Target:
    return Target(key=key, address=address, block=actions.block_on(tx, address, now=desk.now))


def _is_address(text: str) -> bool:
    try:
        validate(text, is_smtputf8=True)
    except Refused:
        return False
    return "@" in text


async def ask(desk: Desk) -> Response:
    """Show the form."""
    return await _form(desk, form=desk.asked("form"), to=desk.asked("to", "current"), back=desk.asked("next"))


async def _form(
    desk: Desk, *, form: str, to: str, back: str, other: str = "", problems: list[tuple[str, str]] | None = None
) -> Response:
    choices = await desk.read(lambda tx: choices_of(tx, desk))
    if choices is None:
        return await desk.missing()
    keys = {one.key for one in choices.targets} | {"other"}
    return await desk.page(
        "message_resend.html",
        status=422 if problems else 200,
        choices=choices,
        told=choices.told,
        message=choices.told.found.message,
        delivery=choices.told.delivery,
        form="plain" if form == "plain" and "plain" in choices.forms else "full",
        to=to if to in keys else "current",
        other=other,
        back=local_path(back, ""),
        problems=problems or [],
        links=mail_links,
    )


async def send(desk: Desk) -> Response:
    """Send it."""
    told = await one_mail.told_of(desk)
    if told is None:
        return await desk.missing()
    form = "plain" if await desk.field("form") == "plain" else "full"
    to, other, back = await desk.field("to", "current"), await desk.field("other"), await desk.field("next")
    address = {"same": told.delivery.address, "other": other, "me": desk.person.name}.get(to)
    try:
        if to == "me" and not _is_address(desk.person.name):
            address = None
        plan = await desk.read(lambda tx: _plan(tx, desk, told, to=address, form=form))
    except Refused:
        wrong = desk.tongue.text(N_("Type the address as name@example.com."))
        return await _form(desk, form=form, to=to, back=back, other=other, problems=[("other", wrong)])
    is_meant = bool(await desk.field("again"))
    shown = with_params(mail_links.mail_page(told.delivery.id), {"copy": "last"})

    def work(tx: Tx) -> Answer:
        if not isinstance(plan, Plan):
            return plan
        earlier = None if is_meant else _same(tx, plan, now=desk.now)
        return actions.resend(tx, plan) if earlier is None else _not_again(earlier)

    note = f"{form} to {address}" if address else form
    return await desk.do("resend", work, back=local_path(back, shown), on=told.delivery.id, kind="message", note=note)


def _same(tx: Tx, plan: Plan, *, now: datetime) -> Delivery | None:
    """Find a copy of minutes ago that has gone where this one would go."""
    copy = plan.copies[0][0]
    wanted = (copy.resend_of, address_key(copy.address), copy.form)
    family = spool.deliveries_of(tx, plan.message.id)
    same = [one for one in family if (one.resend_of, address_key(one.address), one.form) == wanted]
    return _recent([one for one in same if one.status not in OPEN], now=now)


def _not_again(earlier: Delivery) -> Answer:
    sentence = say(
        "It was sent again a moment ago to {address}, so nothing was sent. Tick that you mean it.",
        address=earlier.address,
    )
    return Answer(key="recent", sentence=sentence, is_done=False)


def _plan(tx: Tx, desk: Desk, told: Telling, *, to: str | None, form: str) -> Plan | Answer:
    hostname, by = desk.config.node.hostname, desk.person.name
    return actions.plan_resend(tx, told.delivery.id, by=by, now=desk.now, hostname=hostname, to=to, form=form)


ROUTES: list[Route] = [
    at("/m/{id}/resend", ask, need=Role.SUPPORT),
    at("/m/{id}/resend", send, need=Role.SUPPORT, methods=["POST"]),
]
