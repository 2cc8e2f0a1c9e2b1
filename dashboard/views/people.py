"""Users and the tokens of programs, for admins: make, change, disable, sign out, and links to choose a password."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import quote

from starlette.responses import Response
from starlette.routing import Route

from dashboard.access import Role
from dashboard.desk import Desk
from dashboard.gate import actor
from dashboard.guard import at
from relay.accounts import Account, link_of
from relay.actions import Answer, accounts
from relay.store import accounts as kept
from relay.store import sessions, tokens
from relay.store.audit import Actor
from relay.store.invitations import Purpose
from relay.store.protocols import Tx


async def index(desk: Desk) -> Response:
    """List who may sign in, and which programs have a token."""
    people, programs = await desk.read(lambda tx: (kept.every(tx), tokens.every(tx)))
    return await desk.page("users.html", accounts=people, programs=programs, roles=list(Role), apps=_apps(desk))


async def add(desk: Desk) -> Response:
    """Make an account; its owner chooses a password by a link."""
    name, role = await desk.field("name"), await _role(desk)
    apps, content = await desk.fields("apps"), await desk.field("content") == "yes"
    shown = await desk.field("shown")
    return await desk.do(
        "add_account",
        lambda tx: accounts.create_account(
            tx, name, role=role, shown=shown, apps=apps, may_read_content=content, actor=_actor(desk), now=desk.now
        ),
        back="/users",
        is_noted=True,
    )


async def show(desk: Desk) -> Response:
    """Show one account, with where it is signed in."""
    name = desk.request.path_params["name"]

    def look(tx: Tx) -> tuple[Account | None, Sequence[sessions.Session]]:
        account = kept.named(tx, name)
        return account, sessions.of_account(tx, account.id, now=desk.now) if account is not None else []

    account, places = await desk.read(look)
    if account is None:
        return await desk.missing()
    return await desk.page("user.html", account=account, places=places, roles=list(Role), apps=_apps(desk))


async def change(desk: Desk) -> Response:
    """Give an account another role, other apps, or another name to be shown."""
    name, role = desk.request.path_params["name"], await _role(desk)
    apps, content = await desk.fields("apps"), await desk.field("content") == "yes"
    shown = await desk.field("shown")
    return await _do(
        desk,
        "change_account",
        lambda tx: accounts.change_account(
            tx, name, role=role, shown=shown, apps=apps, may_read_content=content, actor=_actor(desk), now=desk.now
        ),
    )


async def disable(desk: Desk) -> Response:
    """Let nobody sign in to it any more."""
    name = desk.request.path_params["name"]
    work = accounts.disable_account
    return await _do(desk, "disable_account", lambda tx: work(tx, name, actor=_actor(desk), now=desk.now))


async def enable(desk: Desk) -> Response:
    """Let its owner sign in again."""
    name = desk.request.path_params["name"]
    work = accounts.enable_account
    return await _do(desk, "enable_account", lambda tx: work(tx, name, actor=_actor(desk), now=desk.now))


async def sign_out(desk: Desk) -> Response:
    """End all sessions of an account."""
    name = desk.request.path_params["name"]
    work = accounts.sign_out_everywhere
    return await _do(desk, "sign_out_everywhere", lambda tx: work(tx, name, actor=_actor(desk), now=desk.now))


async def remove_step(desk: Desk) -> Response:
    """Take the second step off an account whose telephone was lost."""
    name = desk.request.path_params["name"]
    work = accounts.remove_totp
    return await _do(desk, "remove_second_step", lambda tx: work(tx, name, actor=_actor(desk), now=desk.now))


async def make_link(desk: Desk) -> Response:
    """Make a link by which the owner chooses a password; it is shown this once."""
    name = desk.request.path_params["name"]
    account = await desk.read(lambda tx: kept.named(tx, name))
    if account is None:
        return await desk.missing()
    purpose = Purpose.RESET if account.password_hash else Purpose.WELCOME
    made = None
    if await desk.first_time():
        made = await desk.store.write(
            lambda tx: accounts.make_invitation(tx, name, purpose, actor=_actor(desk), now=desk.now)
        )
    link = link_of(desk.config.dashboard.url, made) if made else ""
    return await desk.page("user_link.html", account=account, link=link, purpose=purpose.value)


async def add_token(desk: Desk) -> Response:
    """Make a token for a program; it is shown this once."""
    name, role, apps = await desk.field("name"), await _role(desk), await desk.fields("apps")
    made: str | Answer = ""
    if await desk.first_time():
        made = await desk.store.write(
            lambda tx: accounts.add_token(tx, name, role=role, apps=apps, actor=_actor(desk), now=desk.now)
        )
    if isinstance(made, Answer):
        return await desk.page("token.html", status=422, name=name, secret="", fault=desk.tongue.told(made.sentence))
    return await desk.page("token.html", name=name, secret=made, fault="")


async def revoke_token(desk: Desk) -> Response:
    """Let a token count no more."""
    name = await desk.field("name")
    work = accounts.revoke_token
    return await desk.do(
        "revoke_token",
        lambda tx: work(tx, name, actor=_actor(desk), now=desk.now),
        back="/users",
        is_noted=True,
    )


def _actor(desk: Desk) -> Actor:
    return actor(desk.person.name, desk.ip)


def _apps(desk: Desk) -> list[str]:
    return [app.name for app in desk.config.app]


async def _role(desk: Desk) -> Role:
    text = await desk.field("role")
    return Role(text) if text in list(Role) else Role.VIEWER


async def _do(desk: Desk, action: str, work: Callable[[Tx], Answer]) -> Response:
    name = desk.request.path_params["name"]
    if await desk.read(lambda tx: kept.named(tx, name)) is None:
        return await desk.missing()
    return await desk.do(action, work, back=f"/users/{quote(name)}", is_noted=True)


ROUTES: list[Route] = [
    at("/users", index, need=Role.ADMIN),
    at("/users", add, need=Role.ADMIN, methods=["POST"]),
    at("/users/{name}", show, need=Role.ADMIN),
    at("/users/{name}", change, need=Role.ADMIN, methods=["POST"]),
    at("/users/{name}/disable", disable, need=Role.ADMIN, methods=["POST"]),
    at("/users/{name}/enable", enable, need=Role.ADMIN, methods=["POST"]),
    at("/users/{name}/sign-out", sign_out, need=Role.ADMIN, methods=["POST"]),
    at("/users/{name}/remove-step", remove_step, need=Role.ADMIN, methods=["POST"]),
    at("/users/{name}/link", make_link, need=Role.ADMIN, methods=["POST"]),
    at("/tokens", add_token, need=Role.ADMIN, methods=["POST"]),
    at("/tokens/revoke", revoke_token, need=Role.ADMIN, methods=["POST"]),
]
