"""One customer: correspondence, errors, blocks, corrections."""

from __future__ import annotations

from starlette.routing import Route

ROUTES: list[Route] = []
