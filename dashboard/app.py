"""The web application: its routes in one list, and how it is put together.

Pages are made on the server, work without JavaScript and load nothing from another host. A view reads the store once
and fills a template; a change goes through relay.actions, the same functions that the command line calls.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Route

from dashboard.access import Gate
from dashboard.checking import Checker
from dashboard.counts import Counts
from dashboard.desk import Audit, Tools
from dashboard.guard import Headers, not_found
from dashboard.rendering import environment
from dashboard.single_sign_on import provider_of
from dashboard.tongue import LANGUAGES, Tongue
from dashboard.views import (
    audit,
    blocked,
    bookings,
    content,
    customers,
    domains,
    health,
    help_pages,
    home,
    incidents,
    legacy,
    log,
    me,
    messages,
    people,
    queue,
    senders,
    settings,
    sign_in,
    sign_in_outside,
    todo,
)
from relay.settings import Config
from relay.store.protocols import Store

#: Every address there is, with the least role it needs (`route.need`); views/ has one module per noun.
ROUTES: list[Route] = [
    *health.ROUTES,
    *sign_in.ROUTES,
    *sign_in_outside.ROUTES,
    *home.ROUTES,
    *log.ROUTES,
    *messages.ROUTES,
    *content.ROUTES,
    *bookings.ROUTES,
    *customers.ROUTES,
    *todo.ROUTES,
    *incidents.ROUTES,
    *blocked.ROUTES,
    *queue.ROUTES,
    *domains.ROUTES,
    *senders.ROUTES,
    *people.ROUTES,
    *me.ROUTES,
    *settings.ROUTES,
    *audit.ROUTES,
    *help_pages.ROUTES,
    *legacy.ROUTES,
]

#: The most a form may send; a route that takes files says so itself.
_BODY_BYTES = 64 * 1024


def build(config: Config, store: Store, *, gate: Gate, audit: Audit, nudge: Callable[[], None]) -> Starlette:
    """Make the application for one configuration and one open store."""
    is_https = config.dashboard.is_https
    app = Starlette(
        routes=ROUTES,
        middleware=[
            Middleware(Headers, is_https=is_https),
            Middleware(TrustedHostMiddleware, allowed_hosts=config.dashboard.hosts),
        ],
        exception_handlers={404: not_found},
        max_body_size=_BODY_BYTES,
    )
    app.state.gate = gate
    app.state.is_https = is_https
    app.state.checker = Checker()
    app.state.provider = provider_of(config)
    app.state.counts = Counts()
    app.state.tools = Tools(config=config, store=store, nudge=nudge, audit=audit)
    return app


def warm() -> None:
    """Read what the first reader would wait for: templates and catalogues; under a second."""
    for name in environment().list_templates():
        environment().get_template(name)
    for code in LANGUAGES:
        Tongue(code).text("Home")
