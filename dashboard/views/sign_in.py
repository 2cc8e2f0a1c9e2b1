"""Sign in and out, and the one-time links that let somebody in.

A wrong name, a wrong password and a disabled account get one answer after the same time. The address to go to after
signing in is one of ours or Home. Whoever comes by a link chooses a password there; the first account is made so.
"""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.routing import Route

from dashboard.access import cookie_name
from dashboard.desk import Desk, local_path
from dashboard.gate import actor
from dashboard.guard import at
from relay.accounts import fault_of_name, fault_of_password
from relay.actions import accounts
from relay.actions.accounts import SignIn, State
from relay.store.invitations import Purpose

#: scrypt takes 16 MiB and 50 ms each: two at a time, whoever knocks.
CHECKING = asyncio.Semaphore(2)


async def form(desk: Desk) -> Response:
    """Show the form; whoever is signed in already goes on."""
    goes_to = local_path(desk.asked("next") or "/")
    if desk.is_signed_in:
        return desk.go(goes_to)
    return await show(desk, goes_to=goes_to)


async def enter(desk: Desk) -> Response:
    """Check name and password, and ask for the code where there is a second step."""
    name, password = await desk.field("name"), await desk.secret("password")
    goes_to = local_path(await desk.field("next") or "/")
    seen = await desk.read(lambda tx: accounts.look(tx, name, ip=desk.ip, now=desk.now))
    async with CHECKING:
        is_right = await asyncio.to_thread(accounts.verify, seen, password)
    result = await desk.store.write(
        lambda tx: accounts.settle(tx, seen, is_right=is_right, agent=_agent(desk), now=desk.now)
    )
    return await _entered(desk, result, goes_to=goes_to, name=name)


async def give_code(desk: Desk) -> Response:
    """Check the code of the second step."""
    ticket, code = await desk.secret("ticket"), await desk.field("code")
    goes_to = local_path(await desk.field("next") or "/")
    result = await desk.store.write(
        lambda tx: accounts.second_step(tx, ticket, code, ip=desk.ip, agent=_agent(desk), now=desk.now)
    )
    if result.state is State.WRONG:
        return await desk.page("sign_in_code.html", status=422, ticket=ticket, goes_to=goes_to, is_wrong=True)
    return await _entered(desk, result, goes_to=goes_to, name="")


async def _entered(desk: Desk, result: SignIn, *, goes_to: str, name: str) -> Response:
    if result.state is State.OK:
        return let_in(desk, result.token, goes_to)
    if result.state is State.NEEDS_TOTP:
        return await desk.page("sign_in_code.html", ticket=result.ticket, goes_to=goes_to, is_wrong=False)
    status = 429 if result.state is State.THROTTLED else 422
    return await show(desk, goes_to=goes_to, status=status, state=result.state.value, name=name)


async def show(desk: Desk, *, goes_to: str, status: int = 200, state: str = "", name: str = "") -> Response:
    """Show the form, with what came of the last try, and the way to the house's provider where there is one."""
    oidc = desk.config.dashboard.oidc if desk.request.app.state.provider is not None else None
    label = oidc.label if oidc is not None else ""
    return await desk.page("sign_in.html", status=status, goes_to=goes_to, state=state, name=name, label=label)


def let_in(desk: Desk, token: str, goes_to: str) -> Response:
    """Give the browser its session, and send it on."""
    answer = desk.go(goes_to)
    is_https = desk.request.app.state.is_https
    answer.set_cookie(cookie_name(is_https=is_https), token, path="/", httponly=True, secure=is_https, samesite="lax")
    return answer


async def leave(desk: Desk) -> Response:
    """End this session."""
    name = cookie_name(is_https=desk.request.app.state.is_https)
    token = desk.request.cookies.get(name, "")
    if desk.is_signed_in:
        who = actor(desk.person.name, desk.ip)
        await desk.store.write(lambda tx: accounts.sign_out(tx, token, actor=who, now=desk.now))
    answer = desk.go("/sign-in")
    answer.headers["Clear-Site-Data"] = '"cache"'  # what the back button would still show
    answer.delete_cookie(name, path="/", httponly=True, secure=desk.request.app.state.is_https, samesite="lax")
    return answer


async def link(desk: Desk) -> Response:
    """Show what a one-time link is for; looking does not use it up, since mail scanners look too."""
    token = desk.request.path_params["token"]
    found = await desk.read(lambda tx: accounts.invited(tx, token, now=desk.now))
    if found is None:
        return await desk.page("sign_in_link.html", status=410, found=None, problems=[], name="")
    return await desk.page("sign_in_link.html", found=found, problems=[], name="")


async def use_link(desk: Desk) -> Response:
    """Take the password that was chosen, and sign in."""
    token = desk.request.path_params["token"]
    found = await desk.read(lambda tx: accounts.invited(tx, token, now=desk.now))
    if found is None:
        return await desk.page("sign_in_link.html", status=410, found=None, problems=[], name="")
    is_demo = found.purpose is Purpose.DEMO
    name = found.account.name if found.account is not None else await desk.field("name")
    password = await desk.secret("password")
    problems = [] if is_demo else _faults(desk, name, password, is_new=found.account is None)
    if problems:
        return await desk.page("sign_in_link.html", status=422, found=found, problems=problems, name=name)
    made = "" if is_demo else await asyncio.to_thread(accounts.make_hash, password)
    result = await desk.store.write(
        lambda tx: accounts.use_invitation(
            tx, token, ip=desk.ip, agent=_agent(desk), now=desk.now, password_hash=made, name=name
        )
    )
    return await _entered(desk, result, goes_to="/", name=name)


def _faults(desk: Desk, name: str, password: str, *, is_new: bool) -> list[tuple[str, str]]:
    """Say what is wrong with what was chosen, field by field."""
    found = [("name", fault_of_name(name) if is_new else None), ("password", fault_of_password(password, name=name))]
    return [(field, desk.tongue.told(fault)) for field, fault in found if fault]


def _agent(desk: Desk) -> str:
    return desk.request.headers.get("user-agent", "")


ROUTES: list[Route] = [
    at("/sign-in", form, need=None),
    at("/sign-in", enter, need=None, methods=["POST"]),
    at("/sign-in/code", give_code, need=None, methods=["POST"]),
    at("/sign-out", leave, need=None, methods=["POST"]),
    at("/link/{token}", link, need=None),
    at("/link/{token}", use_link, need=None, methods=["POST"]),
]
