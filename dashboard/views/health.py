"""Is the relay well? For load balancers and monitors: no sign-in, no personal data. And the static files."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dashboard import static
from dashboard.desk import Tools
from dashboard.guard import public
from relay.errors import StoreError
from relay.settings import Config
from relay.store import stats
from relay.store.protocols import Store


async def health(request: Request) -> Response:
    """Say ok, or what is wrong."""
    tools: Tools = request.app.state.tools
    problems = await _problems(tools.config, tools.store)
    body = {"status": "unhealthy" if problems else "ok", "problems": problems}
    return JSONResponse(body, status_code=503 if problems else 200)


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


async def asset(request: Request) -> Response:
    """Serve a style sheet, script or picture; its address changes with its content, so it may be kept for ever."""
    found = static.asset(request.path_params["name"])
    if found is None or found.version != request.path_params["version"]:
        return Response("", status_code=404)
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(found.compressed, media_type=found.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(found.content, media_type=found.media_type, headers=headers)


ROUTES: list[Route] = [
    public("/healthz", health),
    public("/static/{version}/{name}", asset),
]
