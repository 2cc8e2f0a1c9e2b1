"""A name server for the doctor's tests, and the way to ask it as the doctor does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from relay.delivery.resolver import Resolver
from relay.doctor.answer import Ask
from relay.doctor.names import asker
from tests.support.peers import FakeDns, Fault, Records

T = TypeVar("T")

Zone = Mapping[str, Records]

#: Every way for a name server to give no answer, by name; a hung one ends with the resolver's patience.
FAULTS = {fault.value: Records(fault=fault) for fault in (Fault.SERVFAIL, Fault.REFUSED, Fault.SILENT, Fault.GARBAGE)}
#: Those that answer at once, for tests in which other answers must arrive as well.
QUICK_FAULTS = {name: FAULTS[name] for name in ("servfail", "refused")}

_HUNG = {Fault.SILENT, Fault.GARBAGE}


def txt(*texts: str) -> Records:
    """A name with these TXT records."""
    return Records(txt=texts)


def asking(zone: Zone, run: Callable[[Ask], Awaitable[T]]) -> T:
    """Run what asks DNS against a server with this zone."""

    async def main() -> T:
        async with FakeDns(zone) as server:
            # Where no answer is what the test is about, it need not wait long for it; elsewhere time decides nothing.
            patience = 0.3 if any(records.fault in _HUNG for records in zone.values()) else 10.0
            resolver = Resolver([server.address], timeout=patience, lifetime=patience, clock=time.monotonic)
            try:
                return await run(asker(resolver))
            finally:
                await resolver.close()

    return asyncio.run(main())
