"""A part of a page that is fetched again and again: nothing is sent when nothing changed."""

from __future__ import annotations

import hashlib

from starlette.responses import Response

from dashboard.desk import Desk


def as_fragment(desk: Desk, part: Response) -> Response:
    """Answer with the part and its tag, or that it is as it was."""
    tag = f'"{hashlib.sha256(bytes(part.body)).hexdigest()[:20]}"'
    if desk.request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    part.headers["ETag"] = tag
    return part
