"""For old apps: links with a signature, and the badge."""

from __future__ import annotations

from starlette.routing import Route

ROUTES: list[Route] = []
