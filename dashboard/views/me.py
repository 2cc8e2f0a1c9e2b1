"""One's own account: language, clock, looks, keys, password, and the second step."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from zoneinfo import available_timezones

import segno
from starlette.responses import Response
from starlette.routing import Route

from dashboard.desk import Desk
from dashboard.gate import actor
from dashboard.guard import at
from dashboard.tongue import LANGUAGES
from dashboard.views.sign_in import CHECKING, let_in
from relay import totp
from relay.accounts import Account, fault_of_password
from relay.actions import Answer, accounts
from relay.actions.accounts import State
from relay.store import accounts as kept
from relay.store.protocols import Tx
from relay.wording import say


async def show(desk: Desk) -> Response:
    """Show what can be set."""
    return await _show(desk, problems=[])


async def _show(desk: Desk, *, problems: list[tuple[str, str]], status: int = 200) -> Response:
    account = await desk.read(lambda tx: kept.get(tx, desk.person.id))
    if account is None:
        return await desk.missing()
    return await desk.page("me.html", status=status, account=account, zones=_zones(), problems=problems)


async def prefer(desk: Desk) -> Response:
    """Keep language, clock, looks and keys."""
    language, zone, theme = await desk.field("language"), await desk.field("zone"), await desk.field("theme")
    keys_off, is_compact = await desk.field("keys") != "yes", await desk.field("rows") == "compact"

    def work(tx: Tx) -> Answer:
        account = kept.get(tx, desk.person.id)
        assert account is not None  # somebody is signed in with it
        wanted = replace(
            account,
            language=language if language in LANGUAGES else "",
            zone=zone if zone in available_timezones() else "",
            theme=theme if theme in {"light", "dark"} else "",
            keys_off=keys_off,
            is_compact=is_compact,
        )
        accounts.prefer(tx, wanted, actor=actor(account.name, desk.ip), now=desk.now)
        return Answer(key="done", sentence=say("Kept."))

    return await desk.do("change_preferences", work, back="/me", is_noted=True)


async def change_password(desk: Desk) -> Response:
    """Set another password, once the old one was given; every other session ends."""
    old, new = await desk.secret("old"), await desk.secret("new")
    fault = fault_of_password(new, name=desk.person.name)
    problems = [("new", desk.tongue.told(fault))] if fault else []
    state = await _confirmed(desk, old)
    if state is not State.OK:
        problems.insert(0, ("old", _said(desk, state)))
    if problems:
        return await _show(desk, problems=problems, status=422)
    made = await asyncio.to_thread(accounts.make_hash, new)
    who, agent = actor(desk.person.name, desk.ip), desk.request.headers.get("user-agent", "")

    def work(tx: Tx) -> str:
        account = kept.get(tx, desk.person.id)
        assert account is not None  # somebody is signed in with it
        accounts.set_password(tx, account.name, password_hash=made, actor=who, now=desk.now)
        return accounts.begin_session(tx, account, ip=desk.ip, agent=agent, now=desk.now)

    return let_in(desk, await desk.store.write(work), "/me")


async def start_step(desk: Desk) -> Response:
    """Begin the second step: show the picture that the telephone reads."""
    account = await desk.read(lambda tx: kept.get(tx, desk.person.id))
    if account is None:
        return await desk.missing()
    if (state := await _confirmed(desk, await desk.secret("old"))) is not State.OK:
        return await _show(desk, problems=[("step", _said(desk, state))], status=422)
    secret = await desk.store.write(lambda tx: accounts.start_totp(tx, account))
    if secret is None:
        return desk.go("/me")
    return await _show_step(desk, account, secret)


async def _show_step(desk: Desk, account: Account, secret: str, *, wrong: str = "", status: int = 200) -> Response:
    uri = totp.uri(secret, account=account.name, issuer=f"Waybill {desk.config.node.hostname}".strip())
    return await desk.page("me_step.html", status=status, secret=secret, uri=uri, picture=_picture(uri), wrong=wrong)


async def confirm_step(desk: Desk) -> Response:
    """Switch the second step on with the first code."""
    code = await desk.field("code")
    account = await desk.read(lambda tx: kept.get(tx, desk.person.id))
    if account is None:
        return await desk.missing()
    who = actor(account.name, desk.ip)
    answer = await desk.store.write(lambda tx: accounts.confirm_totp(tx, account, code, actor=who, now=desk.now))
    if answer.key == "wrong" and account.totp_secret is not None:
        return await _show_step(desk, account, account.totp_secret, wrong=desk.tongue.told(answer.sentence), status=422)
    return desk.go("/me")


async def remove_step(desk: Desk) -> Response:
    """Take the second step off, once the password was given."""
    if (state := await _confirmed(desk, await desk.secret("old"))) is not State.OK:
        return await _show(desk, problems=[("step", _said(desk, state))], status=422)
    who = actor(desk.person.name, desk.ip)
    return await desk.do(
        "remove_second_step",
        lambda tx: accounts.remove_totp(tx, desk.person.name, actor=who, now=desk.now),
        back="/me",
        is_noted=True,
    )


async def sign_out_everywhere(desk: Desk) -> Response:
    """End all sessions, this one too."""
    who = actor(desk.person.name, desk.ip)
    await desk.store.write(lambda tx: accounts.sign_out_everywhere(tx, who.by, actor=who, now=desk.now))
    return desk.go("/sign-in")


async def _confirmed(desk: Desk, password: str) -> State:
    """Ask again for the password of whoever is signed in: the browser may stand open on the counter."""
    seen = await desk.read(lambda tx: accounts.look(tx, desk.person.name, ip=desk.ip, now=desk.now))
    async with CHECKING:
        is_right = await asyncio.to_thread(accounts.verify, seen, password)
    return await desk.store.write(lambda tx: accounts.confirm(tx, seen, is_right=is_right, now=desk.now))


def _said(desk: Desk, state: State) -> str:
    _ = desk.tongue.text
    if state is State.THROTTLED:
        return _("Too many wrong passwords. Wait a quarter of an hour.")
    return _("The password is wrong.")


def _picture(uri: str) -> str:
    """Draw the QR code as SVG."""
    out = io.BytesIO()
    segno.make(uri, error="m").save(out, kind="svg", scale=4, border=4, xmldecl=False, light="#fff", nl=False)
    return out.getvalue().decode()


def _zones() -> list[str]:
    return sorted(
        zone for zone in available_timezones() if "/" in zone and not zone.startswith(("Etc/", "posix", "right"))
    )


ROUTES: list[Route] = [
    at("/me", show),
    at("/me", prefer, methods=["POST"]),
    at("/me/password", change_password, methods=["POST"]),
    at("/me/step", start_step, methods=["POST"]),
    at("/me/step/confirm", confirm_step, methods=["POST"]),
    at("/me/step/remove", remove_step, methods=["POST"]),
    at("/me/sign-out", sign_out_everywhere, methods=["POST"]),
]
