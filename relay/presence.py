"""Say on a shared store that this process lives, for `waybill nodes`; nothing else hangs on it.

For processes that hold no leases. All they hear is the store's time, so that mail is due at once wherever it came in.
Delivery has more to say and to hear: delivery/membership.py.
"""

from __future__ import annotations

import asyncio
import logging

from relay.clock import StoreClock
from relay.errors import StoreError
from relay.store import nodes
from relay.store.nodes import Member
from relay.store.protocols import Store

logger = logging.getLogger(__name__)

_EVERY = 5.0  #: seconds


async def keep_present(store: Store, member: Member, *, clock: StoreClock, every: float = _EVERY) -> None:
    """Beat until cancelled, then take the row out."""
    try:
        while True:
            try:
                asked = clock.machine()
                beat = await store.write(lambda tx: nodes.beat(tx, member, now=clock()))
                clock.heard(beat.at, asked=asked)
            except StoreError as error:
                logger.debug("beat not heard: %s", error)
            await asyncio.sleep(every)
    finally:
        try:
            await store.write(lambda tx: nodes.leave(tx, member.owner))
        except StoreError as error:
            logger.debug("left without a word: %s", error)
