"""What waits to be sent, and how to steer it."""

from __future__ import annotations

from starlette.routing import Route

ROUTES: list[Route] = []
