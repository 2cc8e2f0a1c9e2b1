"""The apps that hand us mail: how each is known, what it may do, and what its mail of late says about it.

They live in config.toml, reviewed and versioned; these pages change nothing and give the lines to paste. A person who
sees the mail of some apps only sees those apps.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from starlette.responses import Response
from starlette.routing import Route

from dashboard.access import Role
from dashboard.app_words import REASONS, REPAIRS
from dashboard.desk import Desk
from dashboard.guard import at
from dashboard.marking import N_
from relay.picture_trial import MAILS, TrialRow, fault_of_picture, try_picture
from relay.settings import App, Config, Listener
from relay.store import apps
from relay.store.apps import EACH, AppUse, Refused

#: How far back refusals are counted.
_DAYS = 7

#: Below this part of mail with a booking, something is wrong with the picture or the app.
COVERAGE_GOOD = 0.8

SECURITY = {"none": N_("none"), "starttls": "STARTTLS", "implicit": "SSL/TLS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRow:
    """One app in the list."""

    app: App
    use: AppUse
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """What to type into the app, for one listener."""

    host: str
    port: int
    security: str  #: a key of SECURITY
    needs_login: bool


async def show(desk: Desk) -> Response:
    """List the apps of the configuration."""
    since = desk.now - timedelta(days=_DAYS)
    recent, refused = await desk.read(lambda tx: (apps.recent(tx), apps.refused(tx, since=since)))
    known = [app for app in desk.config.app if desk.sees(app.name)]
    rows = [AppRow(app=app, use=recent.get(app.name, AppUse()), refused=_count(refused, app.name)) for app in known]
    strangers = [one for one in refused if one.app is None] if desk.apps is None else []
    return await desk.page(
        "senders.html", rows=rows, strangers=strangers, reasons=REASONS, days=_DAYS, good=COVERAGE_GOOD, each=EACH
    )


async def show_one(desk: Desk) -> Response:
    """Show one app, and what a booking picture finds in its mail when one is tried."""
    name = desk.request.path_params["app"]
    app = next((one for one in desk.config.app if one.name == name and desk.sees(name)), None)
    if app is None:
        return await desk.missing()
    picture = desk.asked("picture")
    fault = fault_of_picture(picture) if picture else None
    since = desk.now - timedelta(days=_DAYS)
    use, refused = await desk.read(lambda tx: (apps.of_app(tx, name), apps.refused(tx, since=since)))
    trial: list[TrialRow] = []
    if picture and fault is None:
        trial = await desk.read(lambda tx: try_picture(tx, name, picture))
    return await desk.page(
        "sender.html",
        app=app,
        use=use,
        refused=[one for one in refused if one.app == name],
        doors=_doors(desk.config, app),
        security=SECURITY,
        reasons=REASONS,
        repairs=REPAIRS,
        days=_DAYS,
        good=COVERAGE_GOOD,
        each=EACH,
        picture=picture,
        fault=fault,
        trial=trial,
        tried_on=MAILS,
    )


def _count(refused: list[Refused], app: str) -> int:
    return sum(one.count for one in refused if one.app == app)


def _doors(config: Config, app: App) -> list[Door]:
    """Say where the app may connect."""
    open_to = [one for one in config.listener if one.kind == "submission"]
    if app.listeners:
        open_to = [one for one in open_to if one.address in app.listeners]
    return [_door(config, app, one) for one in open_to]


def _door(config: Config, app: App, listener: Listener) -> Door:
    host = listener.address.host
    return Door(
        host=config.node.hostname if host in {"0.0.0.0", "::"} else host,
        port=listener.address.port,
        security=listener.tls,
        needs_login=app.username is not None,
    )


ROUTES: list[Route] = [
    at("/senders", show, need=Role.ADMIN),
    at("/senders/{app}", show_one, need=Role.ADMIN),
]
