"""All mail of one booking: did it arrive, what is missing, and sending again what did not arrive."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response
from starlette.routing import Route

from dashboard.access import Role
from dashboard.booking_page import prepare
from dashboard.desk import Desk, with_params
from dashboard.fragments import fragment
from dashboard.guard import at
from dashboard.links import booking_in_app, booking_url
from dashboard.naming import customer_ids
from dashboard.nothing import nothing
from dashboard.views.legacy import is_signed
from relay import actions
from relay.actions import Answer, BookingCard, Plan
from relay.booking_links import Shows
from relay.store import log
from relay.store.protocols import Tx
from relay.wording import say


async def show(desk: Desk) -> Response:
    """Show a booking, or the box that says that nothing was handed to us."""
    number = _number(desk)
    card = await _card(desk)
    ids = await customer_ids(desk)
    if card is None:
        near = await desk.read(lambda tx: actions.nearest(tx, number, apps=desk.apps))
        box = nothing(number, near, tongue=desk.tongue, ids=ids, is_booking=True)
        return await desk.page("booking_nothing.html", number=number, nothing=box, query=number)
    page = prepare(card, tongue=desk.tongue, ids=ids, now=desk.now)
    return await desk.page(
        "booking.html", page=page, sender=desk.asked("sender"), urls=_addresses(desk), in_apps=_in_apps(desk, card)
    )


async def live(desk: Desk) -> Response:
    """Show the part that changes while mail is on its way."""
    card = await _card(desk)
    if card is None:
        return await desk.missing()
    page = prepare(card, tongue=desk.tongue, ids=await customer_ids(desk), now=desk.now)
    return await fragment(desk, "_booking_live.html", page=page, urls=_addresses(desk))


async def preview(desk: Desk) -> Response:
    """Show what sending all undelivered mail again would do."""
    card = await _card(desk)
    if card is None:
        return await desk.missing()
    return await _preview(desk, card)


async def _preview(desk: Desk, card: BookingCard, *, status: int = 200, is_empty: bool = False) -> Response:
    hostname = desk.config.node.hostname
    found = await desk.read(
        lambda tx: actions.plan_booking_resend(tx, card, by=desk.person.name, now=desk.now, hostname=hostname)
    )
    page = prepare(card, tongue=desk.tongue, ids=await customer_ids(desk), now=desk.now)
    what = {line.mail.seq: line.what for line in page.lines}
    return await desk.page(
        "booking_resend.html",
        status=status,
        page=page,
        found=found,
        what=what,
        is_empty=is_empty,
        urls=_addresses(desk),
    )


async def resend(desk: Desk) -> Response:
    """Send the ticked mails of the booking again."""
    card = await _card(desk)
    if card is None:
        return await desk.missing()
    ticked = set(await desk.fields("id"))
    # What was sent again a moment ago is no longer undelivered: a form that comes twice must find its mails yet.
    chosen = [one for mail in card.mails for one in mail.ids if one in ticked][: actions.MOST_AT_ONCE]
    if not chosen:
        return await _preview(desk, card, status=422, is_empty=True)
    plans = [await desk.read(lambda tx, wanted=one: _plan(tx, desk, wanted)) for one in chosen]  # type: ignore[misc]
    return await desk.do(
        "resend_booking", lambda tx: _resend(tx, plans), back=_here(desk), on=card.number, kind="booking"
    )


def _plan(tx: Tx, desk: Desk, wanted: str) -> Plan | Answer:
    hostname = desk.config.node.hostname
    return actions.plan_resend(tx, wanted, by=desk.person.name, now=desk.now, hostname=hostname)


def _resend(tx: Tx, plans: Sequence[Plan | Answer]) -> Answer:
    """Send each mail again; one that cannot be sent stops none of the others."""
    done = [one if isinstance(one, Answer) else actions.resend(tx, one) for one in plans]
    failed = [one.sentence for one in done if not one.is_done]
    count = sum(one.count for one in done if one.is_done)
    return Answer(
        key="partly" if failed else "done",
        sentence=" ".join([say("Queued again: {count}.", count=count), *dict.fromkeys(failed)]),
        is_done=not failed,
        count=count,
        deliveries=tuple(made for one in done for made in one.deliveries),
    )


async def package(desk: Desk) -> Response:
    """Hand over everything about the booking in one file, for whoever takes the case over (mission 002.8)."""
    card = await _card(desk)
    if card is None:
        return await desk.missing()
    config = desk.config
    names = {source.address: source.hostname for source in config.delivery.source_addresses}
    ourselves = actions.Ourselves(hostname=config.node.hostname, names=names)
    wanted = [mail for mail in card.mails if not mail.is_received] or list(card.mails)
    await desk.note_reading("escalate", on=card.number, kind="booking")
    texts = []
    for mail in wanted:
        found = await desk.read(
            lambda tx, wanted=mail.newest.id: actions.papers(  # type: ignore[misc]
                tx, wanted, now=desk.now, give_up_after=config.delivery.give_up_after, ourselves=ourselves
            )
        )
        texts += [one.package for one in found]
    head = f"Booking {card.number}\n{config.dashboard.url}{booking_url(card.number)}\n\n"
    headers = {"Content-Disposition": 'attachment; filename="booking.txt"'}
    return Response(
        head + ("\n" + "=" * 72 + "\n\n").join(texts), media_type="text/plain; charset=utf-8", headers=headers
    )


async def opened(desk: Desk) -> Response:
    """Show one app's mail for the booking to whoever has a signed link: read-only, no way to anything else."""
    if not await is_signed(desk, Shows.BOOKING):
        return await desk.missing()
    number = _number(desk)
    card = await _card_of(desk, number, (desk.asked("app"),))
    ids = await customer_ids(desk)
    if card is None:
        first_at = await desk.read(log.first_at)
        box = nothing(number, actions.Nearest(first_at=first_at), tongue=desk.tongue, ids=ids, is_booking=True)
        return await desk.page("booking_open.html", number=number, nothing=box, page=None)
    page = prepare(card, tongue=desk.tongue, ids=ids, now=desk.now)
    return await desk.page("booking_open.html", number=card.number, nothing=None, page=page)


def _number(desk: Desk) -> str:
    return str(desk.request.path_params["ref"]).strip()[:200]


def _here(desk: Desk, part: str = "") -> str:
    """Name this page, or a part of it, with what narrows it."""
    sender = desk.asked("sender")
    return with_params(booking_url(_number(desk)) + part, {"sender": sender} if sender else {})


def _addresses(desk: Desk) -> dict[str, str]:
    return {
        "here": _here(desk),
        "live": _here(desk, "/rows"),
        "resend_all": _here(desk, "/resend"),
        "package": _here(desk, "/package"),
    }


def _in_apps(desk: Desk, card: BookingCard) -> dict[str, str]:
    """Where the booking is in the pages of the apps that sent its mail."""
    found = {app.name: booking_in_app(app.booking_url, card.number) for app in desk.config.app if app.name in card.apps}
    return {name: url for name, url in found.items() if url}


async def _card(desk: Desk) -> BookingCard | None:
    """Read the booking as far as this person sees it."""
    number, sender = _number(desk), desk.asked("sender")
    if sender and not desk.sees(sender):
        return None
    return await _card_of(desk, number, (sender,) if sender else desk.apps)


async def _card_of(desk: Desk, number: str, apps: tuple[str, ...] | None) -> BookingCard | None:
    settings, zone = desk.config.delivery, desk.tongue.zone
    return await desk.read(
        lambda tx: actions.booking_card(
            tx, number, now=desk.now, give_up_after=settings.give_up_after, apps=apps, zone=zone
        )
    )


ROUTES: list[Route] = [
    at("/bookings/{ref:path}/rows", live),
    at("/bookings/{ref:path}/package", package, need=Role.SUPPORT),
    at("/bookings/{ref:path}/resend", preview, need=Role.SUPPORT),
    at("/bookings/{ref:path}/resend", resend, need=Role.SUPPORT, methods=["POST"]),
    at("/bookings/{ref:path}", show),
    at("/open/bookings/{ref:path}", opened, need=None),
]
