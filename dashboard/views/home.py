"""Home: is everything working, and what waits for me?

The page begins with one sentence. The support desk sees numbers and what needs it; operators also see the chart, the
domains, the reasons and the machine. While no mail of an app has arrived yet, four steps show the way there.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from dashboard import first_steps
from dashboard.access import Role
from dashboard.causes import cause
from dashboard.charts import bars, share, swatch
from dashboard.desk import Desk
from dashboard.first_steps import APP_LINES, Steps
from dashboard.fragments import fragment
from dashboard.guard import at
from dashboard.overview import KIND_WORDS, SPAN_WORDS, SPANS, Overview, gather, log_address
from dashboard.todo_list import is_wrong_address
from dashboard.wellbeing import Disk, disk_of
from relay import actions
from relay.store import notice_list
from relay.store.notice_list import Entry, Listing
from relay.store.protocols import Tx

#: So many to-dos stand on the first page.
_TO_DO = 5

#: What the templates draw and say with.
_DRAWING: dict[str, Any] = {
    "bars": bars,
    "swatch": swatch,
    "share": share,
    "kind_words": KIND_WORDS,
    "span_words": SPAN_WORDS,
    "log_address": log_address,
    "cause": cause,
    "is_wrong_address": is_wrong_address,
    "app_lines": APP_LINES,
}


async def home(desk: Desk) -> Response:
    """Show the first page."""
    disk = disk_of(desk.config)

    def unit(tx: Tx) -> tuple[Overview, list[Entry], int, Steps]:
        listing = Listing(apps=desk.apps, limit=_TO_DO)
        needed = notice_list.page(tx, listing, now=desk.now)
        return _overview(desk, tx, disk), needed, notice_list.count(tx, listing), first_steps.look(tx, desk.config)

    found, needed, count, steps = await desk.read(unit)
    return await desk.page("home.html", found=found, needed=needed, needed_count=count, steps=steps, **_DRAWING)


async def live(desk: Desk) -> Response:
    """Show the state and the numbers anew."""
    disk = disk_of(desk.config)
    found = await desk.read(lambda tx: _overview(desk, tx, disk))
    return await fragment(desk, "_home_live.html", found=found, **_DRAWING)


async def steps(desk: Desk) -> Response:
    """Show the first steps anew."""
    found = await desk.read(lambda tx: first_steps.look(tx, desk.config))
    return await fragment(desk, "_home_steps.html", steps=found, **_DRAWING)


async def send_test(desk: Desk) -> Response:
    """Send a test email."""
    address = await desk.field("address")
    hostname = desk.config.node.hostname
    return await desk.do(
        "send_test",
        lambda tx: actions.send_test(tx, address, hostname=hostname, now=desk.now),
        back="/",
        on=address,
        kind="address",
    )


def _overview(desk: Desk, tx: Tx, disk: Disk | None) -> Overview:
    asked = desk.asked("span")
    return gather(
        tx,
        span=asked if asked in SPANS else "24h",
        counts=desk.request.app.state.counts,
        tongue=desk.tongue,
        disk=disk,
        now=desk.now,
        apps=desk.apps,
        is_operator=desk.may("operator"),
    )


ROUTES: list[Route] = [
    at("/", home),
    at("/home/live", live),
    at("/home/steps", steps),
    at("/home/test", send_test, need=Role.OPERATOR, methods=["POST"]),
]
