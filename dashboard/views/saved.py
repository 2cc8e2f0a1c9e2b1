"""Saved views: the filters of the log under a name, for everybody who may see that mail.

A view is a link to the log; opening it asks the log anew, in the scope of whoever opens it. It is saved from the log
page and seen to on a page of its own, by whoever saved it or an admin.
"""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from dashboard import log_asked, log_page
from dashboard.access import Role
from dashboard.desk import Desk
from dashboard.guard import at
from dashboard.log_asked import LogAsked
from relay import actions
from relay.actions import Answer, Owner
from relay.store.protocols import Tx
from relay.store.saved_views import SavedView

_PAGE = "/log/views"


def asked_of(view: SavedView) -> LogAsked:
    """Give what a view asks of the log."""
    order = "oldest" if view.is_oldest_first else ""
    return log_asked.read({"q": view.text, "since": view.span, "order": order, "list": "1"})


async def links(desk: Desk) -> dict[str, str]:
    """Name the views there are for this person with the addresses they lead to."""
    views = await desk.read(lambda tx: actions.list_views(tx, apps=desk.apps))
    return {view.name: asked_of(view).url() for view in views}


async def show(desk: Desk) -> Response:
    """List the views, and let people see to their own."""
    views = await desk.read(lambda tx: actions.list_views(tx, apps=desk.apps))
    return await desk.page(
        "log_views.html",
        views=[(view, asked_of(view)) for view in views],
        owner=_owner(desk),
        spans=log_page.SPAN_WORDS,
        longest=actions.LONGEST_NAME,
    )


async def save(desk: Desk) -> Response:
    """Keep what the log was asked."""
    asked = log_asked.read({name: await desk.field(name) for name in ("q", "since", "order")})
    name = " ".join((await desk.field("name_of_view")).split())
    wanted = SavedView(
        name=name,
        text=asked.text,
        span=asked.since,
        is_oldest_first=asked.is_oldest_first,
        apps=tuple(dict.fromkeys((*asked.asked.values("app"), *asked.asked.values("app", is_negated=True)))),
        by=desk.person.name,
        saved_at=desk.now,
    )
    return await desk.do(
        "save_view",
        lambda tx: actions.save_view(tx, wanted),
        back=asked.url(),
        on=name[:200],
        kind="view",
        note=asked.text,
    )


async def rename(desk: Desk) -> Response:
    """Give a view another name."""
    name = " ".join((await desk.field("name")).split())

    def work(tx: Tx) -> Answer:
        return actions.rename_view(tx, _id(desk), name, owner=_owner(desk))

    return await desk.do("rename_view", work, back=_PAGE, on=await _name(desk), kind="view", note=name[:200])


async def delete(desk: Desk) -> Response:
    """Delete a view."""

    def work(tx: Tx) -> Answer:
        return actions.delete_view(tx, _id(desk), owner=_owner(desk))

    return await desk.do("delete_view", work, back=_PAGE, on=await _name(desk), kind="view")


def _owner(desk: Desk) -> Owner:
    return Owner(by=desk.person.name, is_admin=desk.may("admin"), apps=desk.apps)


def _id(desk: Desk) -> int:
    text: str = desk.request.path_params["id"]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


async def _name(desk: Desk) -> str:
    """Give the name that the audit log knows the view by; its number when this person sees no such view."""
    views = await desk.read(lambda tx: actions.list_views(tx, apps=desk.apps))
    return next((view.name for view in views if view.id == _id(desk)), str(_id(desk)))


ROUTES: list[Route] = [
    at("/log/views", show, need=Role.SUPPORT),
    at("/log/views", save, need=Role.SUPPORT, methods=["POST"]),
    at("/log/views/{id}/rename", rename, need=Role.SUPPORT, methods=["POST"]),
    at("/log/views/{id}/delete", delete, need=Role.SUPPORT, methods=["POST"]),
]
