"""The configuration as it is in force."""

from __future__ import annotations

from starlette.routing import Route

ROUTES: list[Route] = []
