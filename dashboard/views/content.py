"""What stands in a mail: formatted, plain, headers, source, attachments."""

from __future__ import annotations

from starlette.routing import Route

ROUTES: list[Route] = []
