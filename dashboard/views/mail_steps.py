"""What is done to one mail with one button: try now, hold, release, cancel, to-do, booking."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from starlette.responses import Response
from starlette.routing import Route

from dashboard import mail_links, one_mail
from dashboard.access import Role
from dashboard.desk import Desk, View, local_path
from dashboard.guard import at
from relay import actions
from relay.actions import Answer, Wanted
from relay.model import DeliveryId
from relay.store.protocols import Tx
from relay.store.queue import Selection
from relay.wording import say

#: Changes one delivery: (tx, its id, who, when).
_Change = Callable[[Tx, DeliveryId, str, datetime], Answer]


def _flush(tx: Tx, delivery: DeliveryId, by: str, now: datetime) -> Answer:
    return actions.flush(tx, Selection(ids=(delivery,)), by=by, now=now)


def _hold(tx: Tx, delivery: DeliveryId, by: str, now: datetime) -> Answer:
    return actions.hold(tx, Selection(ids=(delivery,)), by=by, now=now)


def _release(tx: Tx, delivery: DeliveryId, by: str, now: datetime) -> Answer:
    return actions.release(tx, Selection(ids=(delivery,)), by=by, now=now)


def _cancel(tx: Tx, delivery: DeliveryId, by: str, now: datetime) -> Answer:
    return actions.cancel(tx, delivery, by=by, now=now)


def _step(action: str, change: _Change) -> View:
    """Make the view that does one thing to the delivery of the address."""

    async def view(desk: Desk) -> Response:
        told = await one_mail.told_of(desk)
        if told is None:
            return await desk.missing()
        delivery, by, now = told.delivery.id, desk.person.name, desk.now
        back = local_path(await desk.field("next"), mail_links.mail_page(delivery))
        return await desk.do(action, lambda tx: change(tx, delivery, by, now), back=back, on=delivery, kind="message")

    return view


async def dealt_with(desk: Desk) -> Response:
    """Resolve the open to-dos of the address, as far as the person sees their apps."""
    sheet = await one_mail.sheet_of(desk)
    if sheet is None:
        return await desk.missing()
    delivery, note = sheet.told.delivery, await desk.field("note")
    back = local_path(await desk.field("next"), mail_links.mail_page(delivery.id))

    def work(tx: Tx) -> Answer:
        if not sheet.notices:
            return Answer(key="nothing_open", sentence=say("There is nothing to do for this address."), is_done=False)
        wanted = Wanted(ids=sheet.notices)
        return actions.resolve_notices(tx, wanted, by=desk.person.name, now=desk.now, note=note[:500])

    return await desk.do("dealt-with", work, back=back, on=delivery.address, kind="address", note=note[:500])


async def to_do(desk: Desk) -> Response:
    """Put the mail on the list of what has to be seen to."""
    told = await one_mail.told_of(desk)
    if told is None:
        return await desk.missing()
    delivery = told.delivery
    back = local_path(await desk.field("next"), mail_links.mail_page(delivery.id))

    def work(tx: Tx) -> Answer:
        return actions.add_notice(tx, told, by=desk.person.name, now=desk.now)

    return await desk.do("to-do", work, back=back, on=delivery.address, kind="address")


async def booking(desk: Desk) -> Response:
    """Say which booking the mail belongs to."""
    told = await one_mail.told_of(desk)
    if told is None:
        return await desk.missing()
    delivery, number = told.delivery.id, await desk.field("booking")

    def work(tx: Tx) -> Answer:
        return actions.set_booking(tx, delivery, number, by=desk.person.name, now=desk.now)

    back = local_path(await desk.field("next"), mail_links.mail_page(delivery))
    return await desk.do("booking", work, back=back, on=delivery, kind="message", note=number[:200])


ROUTES: list[Route] = [
    at("/m/{id}/try", _step("try-mail", _flush), need=Role.OPERATOR, methods=["POST"]),
    at("/m/{id}/hold", _step("hold-mail", _hold), need=Role.OPERATOR, methods=["POST"]),
    at("/m/{id}/release", _step("release", _release), need=Role.OPERATOR, methods=["POST"]),
    at("/m/{id}/cancel", _step("cancel", _cancel), need=Role.OPERATOR, methods=["POST"]),
    at("/m/{id}/dealt-with", dealt_with, need=Role.SUPPORT, methods=["POST"]),
    at("/m/{id}/to-do", to_do, need=Role.SUPPORT, methods=["POST"]),
    at("/m/{id}/booking", booking, need=Role.SUPPORT, methods=["POST"]),
]
