"""Parts of a page that are fetched again while something is pending; see data-live in static/waybill.js.

A fragment that has not changed is answered 304, without a body.
"""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.responses import Response

from dashboard.desk import Desk


async def fragment(desk: Desk, template: str, /, **context: Any) -> Response:
    """Show a part of a page, or say that it is as it was."""
    return as_fragment(desk, await desk.page(template, **context))


def as_fragment(desk: Desk, part: Response) -> Response:
    """Answer with the part and its tag, or that it is as it was."""
    tag = f'"{hashlib.sha256(bytes(part.body)).hexdigest()[:32]}"'
    if desk.request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    part.headers["ETag"] = tag
    return part
