"""Help: every status and every reason in words."""

from __future__ import annotations

from starlette.routing import Route

ROUTES: list[Route] = []
