"""The maker of customers' names in addresses of pages; see relay.customer_ids."""

from __future__ import annotations

from dashboard.desk import Desk
from relay import actions
from relay.actions import CustomerIds


async def customer_ids(desk: Desk) -> CustomerIds:
    """Give the maker of names; the first one who asks makes its secret."""
    found = await desk.read(actions.customer_ids)
    return found if found is not None else await desk.store.write(actions.make_customer_ids)
