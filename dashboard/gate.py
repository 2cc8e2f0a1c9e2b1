"""Who a session belongs to, as the store knows it."""

from __future__ import annotations

from datetime import datetime

from dashboard.access import Person


class StoreGate:
    """The gate over the accounts of the store."""

    async def person_of(self, token: str, *, now: datetime) -> Person | None:
        """Give the person of a session that is alive; None for every other text."""
        return None
