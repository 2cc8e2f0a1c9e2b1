"""A customer's data: correct the address, hand the data out, erase it."""

from __future__ import annotations

from starlette.routing import Route

ROUTES: list[Route] = []
