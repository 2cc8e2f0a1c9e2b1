"""One mail: the answer, what happened, what can be done."""

from __future__ import annotations

from starlette.routing import Route

ROUTES: list[Route] = []
