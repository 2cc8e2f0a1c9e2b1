"""The audit log: who did what, and when."""

from __future__ import annotations

from starlette.routing import Route

ROUTES: list[Route] = []
