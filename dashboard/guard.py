"""The guard in front of every view: sign-in, role, origin of a change, and what browsers are told about every answer.

A route is made by `at`, which puts the guard around a view and keeps what it asks for on the route, so that a test can
walk the whole list. Faults of the store become a plain page with the right status, never an empty list.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import quote, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.access import SAFE, Gate, Role, cookie_name, is_our_own
from dashboard.desk import Desk, Tools, View
from dashboard.tongue import Tongue, choose, zone_of
from relay.errors import StoreError

log = logging.getLogger(__name__)

#: What every answer says unless it says otherwise itself. Queries hold addresses, so no other site may see them.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def at(
    path: str,
    view: View,
    *,
    need: Role | None = Role.VIEWER,
    methods: Sequence[str] = ("GET",),
    body: int | None = None,
) -> Route:
    """Make a route: who may open it, and with which methods; None = everybody, signed in or not.

    `body` is the most bytes it takes, where that is more than a form has.
    """

    async def guarded(request: Request) -> Response:
        return await _guard(request, view, need)

    route = Route(path, guarded, methods=list(methods), max_body_size=body)
    route.need = need  # type: ignore[attr-defined]
    return route


def public(path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
    """Make a route for machines: no sign-in, no language, no page."""
    route = Route(path, endpoint, methods=["GET"])
    route.need = None  # type: ignore[attr-defined]
    return route


async def _guard(request: Request, view: View, need: Role | None) -> Response:
    gate: Gate = request.app.state.gate
    tools: Tools = request.app.state.tools
    desk = Desk(request, tools, person=None, tongue=_tongue(request, tools, "", ""))
    try:
        token = request.cookies.get(cookie_name(is_https=request.app.state.is_https), "")
        person = await gate.person_of(token, now=desk.now) if token else None
        if person is not None:
            tongue = _tongue(request, tools, person.language, person.zone)
            desk = Desk(request, tools, person=person, tongue=tongue)
        return await _checked(request, view, need, desk)
    except StoreError as error:
        log.warning("event=page_failed path=%s error=%s", quote(request.url.path), error)
        return await Desk(request, tools, person=None, tongue=desk.tongue).page(
            "problem.html", status=503, problem="store"
        )


async def _checked(request: Request, view: View, need: Role | None, desk: Desk) -> Response:
    if request.method not in SAFE and not is_our_own(request.headers):
        return await desk.page("problem.html", status=403, problem="origin")
    if need is not None:
        if not desk.is_signed_in:
            return _to_sign_in(request)
        if not desk.person.role.allows(need):
            return await desk.page("problem.html", status=403, problem="role")
    return await view(desk)


def _to_sign_in(request: Request) -> Response:
    if request.method not in SAFE:  # what was typed is lost either way; the page to go back to is not this address
        return RedirectResponse("/sign-in", status_code=303)
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?{urlencode({'next': wanted})}" if wanted != "/" else "/sign-in", status_code=303)


def _tongue(request: Request, tools: Tools, language: str, zone: str) -> Tongue:
    settings = tools.config.dashboard
    code = choose(language, request.headers.get("accept-language", ""), settings.language)
    return Tongue(code, zone_of(zone or settings.time_zone))


class Headers:
    """Adds what browsers are told to every answer; one that sets a header itself keeps its own."""

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        self._app = app
        self._headers = dict(HEADERS)
        if is_https:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, sending)


async def not_found(request: Request, _: Exception) -> Response:
    """Answer for an address that leads nowhere; whether something is there is told to nobody who is not signed in."""

    async def missing(desk: Desk) -> Response:
        return await desk.missing()

    return await _guard(request, missing, Role.VIEWER)
