"""The web application: for now a health check and a page of numbers, without any personal data.

Until sign-in exists nothing here names a recipient, a subject or a booking, and it listens on loopback by default.
All routes stand in one list. Pages work without JavaScript and load nothing from another host.
"""

from __future__ import annotations

import asyncio
import html
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from relay import __version__
from relay.errors import StoreError
from relay.settings import Config
from relay.status import Status
from relay.store import stats
from relay.store.protocols import Store

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

_STYLE = """
:root{color-scheme:light dark;--bg:#f7f8fa;--surface:#fff;--text:#16202c;--muted:#52606d;--border:#d5dbe2}
@media (prefers-color-scheme:dark){:root{--bg:#11161d;
--surface:#182029;--text:#e6ebf1;--muted:#a3b0be;--border:#2c3845}}
body{margin:0;background:var(--bg);color:var(--text);font:15px/1.45 system-ui,sans-serif}
main{max-width:44rem;margin:2rem auto;padding:0 1rem}
section{background:var(--surface);border:1px solid var(--border);border-radius:6px;padding:1rem 1.25rem;margin:1rem 0}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.35rem 0;border-top:1px solid var(--border)}
td:last-child,th:last-child{text-align:right;font-variant-numeric:tabular-nums}
tr:first-child>*{border-top:0}p.muted,small{color:var(--muted)}code{font-family:ui-monospace,monospace}
"""

#: The words for each status, in the order they are shown.
_LABELS: Mapping[Status, str] = {
    Status.DELIVERED: "Delivered",
    Status.SENT: "Handed to the mail service we send through",
    Status.QUEUED: "Queued",
    Status.DEFERRED: "Delayed, trying again",
    Status.INVALID: "Address does not exist",
    Status.HARD_BOUNCED: "Not delivered",
    Status.SOFT_BOUNCED: "Not delivered (temporary problem, we stopped trying)",
    Status.REJECTED: "Refused before sending",
    Status.SUPPRESSED: "Not sent, blocked",
    Status.CANCELLED: "Cancelled by a person",
}


def build(config: Config, store: Store) -> Starlette:
    """Make the application for one configuration and one open store."""

    async def home(_: Request) -> Response:
        since = datetime.now(UTC) - timedelta(hours=24)
        counts = await store.read(lambda tx: stats.by_status(tx, since=since))
        return HTMLResponse(_page(config, counts), headers=_HEADERS)

    async def health(_: Request) -> Response:
        problems = await _problems(config, store)
        body = {"status": "unhealthy" if problems else "ok", "problems": problems}
        return JSONResponse(body, status_code=503 if problems else 200, headers=_HEADERS)

    return Starlette(routes=[Route("/", home), Route("/healthz", health)])


async def _problems(config: Config, store: Store) -> list[str]:
    found = []
    try:
        await store.read(lambda tx: stats.by_status(tx, since=datetime.now(UTC)))
    except StoreError as error:
        found.append(f"the store cannot be read: {error}")
    if shutil.disk_usage(config.data_dir).free < config.intake.min_free_space:
        found.append("the disk is nearly full: new mail is being refused")
    for listener in config.listener:
        if not await _answers(listener.address.host, listener.address.port):
            found.append(f"nothing listens on {listener.address}")
    return found


async def _answers(host: str, port: int) -> bool:
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    try:
        async with asyncio.timeout(3):
            _, writer = await asyncio.open_connection(target, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _page(config: Config, counts: Mapping[Status, int]) -> str:
    rows = "".join(
        f"<tr><th scope=row>{html.escape(label)}</th><td>{counts.get(status, 0)}</td></tr>"
        for status, label in _LABELS.items()
    )
    listeners = ", ".join(str(listener.address) for listener in config.listener)
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<title>Waybill</title><style>{_STYLE}</style></head><body><main><h1>Waybill</h1>"
        f"<section><h2>Last 24 hours</h2><table>{rows}</table></section>"
        f"<section><h2>Send mail to</h2><p><code>{html.escape(listeners)}</code></p>"
        "<p class=muted>Ask what happened to a mail on the command line: "
        "<code>waybill why ADDRESS</code>, <code>waybill log</code>, <code>waybill show ID</code>.</p></section>"
        f"<small>Waybill {__version__}</small></main></body></html>"
    )
