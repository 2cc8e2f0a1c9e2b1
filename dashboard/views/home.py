"""Home: is everything working, and what waits for me?"""

from __future__ import annotations

from starlette.routing import Route

ROUTES: list[Route] = []
