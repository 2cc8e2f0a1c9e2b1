"""One customer: correspondence, errors, blocks; and the search that finds them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from starlette.responses import Response
from starlette.routing import Route

from dashboard.access import Role
from dashboard.customer_page import (
    customer_of,
    needs_operator,
    own_blocks,
    prepare_history,
    read_history,
    wanted,
)
from dashboard.desk import Desk, with_params
from dashboard.fragments import fragment
from dashboard.guard import at
from dashboard.labels import GROUP
from dashboard.naming import customer_ids
from dashboard.nothing import nothing
from dashboard.saying import Saying
from dashboard.trail import Trail
from dashboard.views import customer_data
from relay import actions
from relay.actions import AddressCard, Answer, CustomerCard
from relay.address import address_key
from relay.classify.explain import render
from relay.store import log
from relay.store.protocols import Tx

_LONGEST_NOTE = 500


async def search(desk: Desk) -> Response:
    """Find customers by name, address, number, phone or booking."""
    text = desk.asked("q")[:200]
    ids = await customer_ids(desk)
    if not text:
        return await desk.page("customers.html", text="", found=[], ids=ids, nothing=None)
    found = await desk.read(lambda tx: actions.find_customers(tx, text, now=desk.now, apps=desk.apps))
    box = None
    if not found:
        near = await desk.read(lambda tx: actions.nearest(tx, text, apps=desk.apps))
        box = nothing(text, near, tongue=desk.tongue, ids=ids)
    return await desk.page("customers.html", text=text, found=found, ids=ids, nothing=box)


async def of(desk: Desk) -> Response:
    """Go from a delivery to the customer it was for."""
    wanted_id = str(desk.request.path_params["delivery_id"])
    found = await desk.read(lambda tx: log.find(tx, wanted_id))
    if found is None or not desk.sees(found.message.app):
        return await desk.missing()
    chosen = next((one for one in found.deliveries if one.id == found.delivery_id), found.deliveries[0])
    ids = await customer_ids(desk)
    page = f"/customers/{ids.of(address_key(chosen.intended or chosen.address))}"
    return desk.go(with_params(page, dict(desk.request.query_params)))


async def show(desk: Desk) -> Response:
    """Show a customer with their correspondence."""
    card = await customer_of(desk, await customer_ids(desk))
    return await desk.missing() if card is None else await _page(desk, card)


async def _page(
    desk: Desk, card: CustomerCard, *, status: int = 200, problems: list[tuple[str, str]] | None = None, **typed: Any
) -> Response:
    asked, trail = wanted(desk), Trail.read(desk.asked("before"))
    found, forms = await desk.read(
        lambda tx: read_history(tx, card, asked, now=desk.now, apps=desk.apps, before=trail.before)
    )
    history = prepare_history(found, forms, desk.tongue)
    here = _here(desk)
    kept = {name: value for name, value in asked.params.items() if value}
    return await desk.page(
        "customer.html",
        status=status,
        card=card,
        history=history,
        asked=asked,
        groups=GROUP,
        pager=trail.links(here, asked.params, history.older),
        here=here,
        live=f"{here}/rows?{urlencode(kept | {'before': str(_below(trail, history.top))})}",
        limit=desk.config.suppression.max_errors,
        said=lambda explanation: render(explanation, tongue=Saying(desk.tongue)),
        needs_operator=needs_operator,
        own_blocks=own_blocks,
        problems=problems or [],
        typed=typed,
    )


def _below(trail: Trail, top: int) -> int:
    return min(top + 1, trail.before or top + 1)


async def live(desk: Desk) -> Response:
    """Show the rows of the correspondence anew while something is pending."""
    card = await customer_of(desk, await customer_ids(desk))
    if card is None:
        return await desk.missing()
    asked = wanted(desk)
    found, forms = await desk.read(
        lambda tx: read_history(tx, card, asked, now=desk.now, apps=desk.apps, before=desk.number("before"))
    )
    history = prepare_history(found, forms, desk.tongue)
    here = _here(desk)
    kept = {name: value for name, value in asked.params.items() if value}
    live_url = f"{here}/rows?{urlencode(kept | {'before': desk.asked('before')})}"
    return await fragment(desk, "_customer_rows.html", history=history, asked=asked, live=live_url)


async def block(desk: Desk) -> Response:
    """Block or unblock one address of the customer; nothing changes without the tick (mission 001.13)."""
    card = await customer_of(desk, await customer_ids(desk))
    chosen = await _chosen(desk, card)
    if card is None or chosen is None:
        return await desk.missing()
    number = card.cards.index(chosen)
    act, note = await desk.field("act"), (await desk.field("note"))[:_LONGEST_NOTE]
    problems = _wrong(desk, chosen, act=act, note=note, is_ticked=bool(await desk.field("confirm")), number=number)
    if problems:
        return await _page(desk, card, status=422, problems=problems, number=number, note=note)
    work = _unblock if act == "unblock" else _block
    return await desk.do(
        act, lambda tx: work(tx, desk, chosen.address, note), back=_here(desk), on=chosen.address, kind="address",
        note=note,
    )  # fmt: skip


def _wrong(
    desk: Desk, card: AddressCard, *, act: str, note: str, is_ticked: bool, number: int
) -> list[tuple[str, str]]:
    """Say what keeps the form from being carried out."""
    _ = desk.tongue.text
    found = []
    if act not in {"block", "unblock"}:
        found.append((f"confirm-{number}", _("Choose whether to block or to unblock.")))
    if not is_ticked:
        found.append((f"confirm-{number}", _("Tick “Confirm action”: without it nothing is changed.")))
    if desk.config.dashboard.require_note and not note:
        found.append((f"note-{number}", _("Write a note: why is it blocked or unblocked?")))
    if act == "unblock" and needs_operator(card) and not desk.may("operator"):
        found.append((f"confirm-{number}", _("This customer marked our email as spam. Only an operator may unblock.")))
    if act == "unblock" and any(one.app and not desk.sees(one.app) for one in card.blocks):
        found.append((f"confirm-{number}", _("It is blocked for other programs too. Ask somebody who sees them all.")))
    return found


def _block(tx: Tx, desk: Desk, address: str, note: str) -> Answer:
    """Block for everybody, or for the apps that this person has."""
    by, now = desk.person.name, desk.now
    if desk.apps is None:
        return actions.block(tx, address, by=by, now=now, note=note)
    done = [actions.block(tx, address, by=by, now=now, note=note, app=app) for app in desk.apps]
    return next((one for one in done if one.key == "done"), done[0])


def _unblock(tx: Tx, desk: Desk, address: str, note: str) -> Answer:
    return actions.unblock(tx, address, by=desk.person.name, now=desk.now, note=note)


async def reset(desk: Desk) -> Response:
    """Set the error counter of one address to zero: the bin (mission 003.11)."""
    card = await customer_of(desk, await customer_ids(desk))
    chosen = await _chosen(desk, card)
    if chosen is None:
        return await desk.missing()
    by, now = desk.person.name, desk.now
    return await desk.do(
        "reset", lambda tx: actions.reset(tx, chosen.address, by=by, now=now), back=_here(desk), on=chosen.address,
        kind="address",
    )  # fmt: skip


async def end_redirect(desk: Desk) -> Response:
    """Let new mail for one address go there again."""
    card = await customer_of(desk, await customer_ids(desk))
    chosen = await _chosen(desk, card)
    if chosen is None:
        return await desk.missing()
    by, now = desk.person.name, desk.now
    return await desk.do(
        "redirect_end", lambda tx: actions.end_redirect(tx, chosen.address, by=by, now=now), back=_here(desk),
        on=chosen.address, kind="address",
    )  # fmt: skip


async def _chosen(desk: Desk, card: CustomerCard | None) -> AddressCard | None:
    """Give the address that a form is about; None when it is none of this customer's."""
    if card is None:
        return None
    address = address_key(await desk.field("address", card.address))
    return next((one for one in card.cards if one.address == address), None)


def _here(desk: Desk) -> str:
    return f"/customers/{quote(str(desk.request.path_params['id']), safe='')}"


ROUTES: list[Route] = [
    at("/customers", search),
    at("/customers/of/{delivery_id}", of),
    *customer_data.ROUTES,
    at("/customers/{id}/rows", live),
    at("/customers/{id}/block", block, need=Role.SUPPORT, methods=["POST"]),
    at("/customers/{id}/reset", reset, need=Role.SUPPORT, methods=["POST"]),
    at("/customers/{id}/redirect/end", end_redirect, need=Role.SUPPORT, methods=["POST"]),
    at("/customers/{id}", show),
]
