"""Send one mail again: a form that says beforehand what will happen, and the sending itself.

A block beats a resend: the form says so and the try is logged, but nothing is sent. After it the person is back where
they came from (`next`), or on the page of the new delivery, which turns to Delivered by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

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
from relay.store.protocols import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One address that a mail can be sent to."""

    key: str  #: current | same | me
    address: str
    blocked: str = ""  #: why nothing would be sent there; "" = it would


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What can be chosen in the form."""

    told: Telling
    forms: tuple[str, ...]  #: full | plain; none: the content is gone
    targets: tuple[Target, ...]
    is_too_late: bool


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
        is_too_late=message.expires_at is not None and message.expires_at <= desk.now,
    )


def _target(tx: Tx, desk: Desk, key: str, address: str) -> Target:
    blocked = actions.block_on(tx, address, now=desk.now)
    return Target(key=key, address=address, blocked=actions.describe(blocked) if blocked else "")


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
    shown = with_params(mail_links.mail_page(told.delivery.id), {"copy": "last"})

    def work(tx: Tx) -> Answer:
        return actions.resend(tx, plan) if isinstance(plan, Plan) else plan

    note = f"{form} to {address}" if address else form
    return await desk.do("resend", work, back=local_path(back, shown), on=told.delivery.id, kind="message", note=note)


def _plan(tx: Tx, desk: Desk, told: Telling, *, to: str | None, form: str) -> Plan | Answer:
    hostname, by = desk.config.node.hostname, desk.person.name
    return actions.plan_resend(tx, told.delivery.id, by=by, now=desk.now, hostname=hostname, to=to, form=form)


ROUTES: list[Route] = [
    at("/m/{id}/resend", ask, need=Role.SUPPORT),
    at("/m/{id}/resend", send, need=Role.SUPPORT, methods=["POST"]),
]
