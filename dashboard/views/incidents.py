"""Incidents: what is our own fault."""

from __future__ import annotations

from starlette.routing import Route

ROUTES: list[Route] = []
