"""Whether DNS says that a domain takes mail: a doubt counts as no."""

from __future__ import annotations

import asyncio
import time

import pytest

from relay.delivery.mail_service import takes_mail
from relay.delivery.resolver import Resolver
from tests.support.peers import NULL_MX, FakeDns, Fault, Records

ZONE = {
    "guest.example": Records(mx=((10, "mx.guest.example"),)),
    "null.example": NULL_MX,
    "web.example": Records(a=("192.0.2.1",)),
    "broken.example": Records(fault=Fault.SERVFAIL),
}


@pytest.mark.parametrize(
    ("domain", "want"),
    [
        ("guest.example", True),
        ("GUEST.example", True),
        ("null.example", False),
        ("web.example", False),
        ("gone.example", False),
        ("broken.example", False),
        ("not a domain", False),
        ("", False),
    ],
)
def test_only_a_domain_with_mail_servers_takes_mail(domain: str, want: bool) -> None:
    async def ask() -> bool:
        async with FakeDns(ZONE) as server:
            resolver = Resolver([server.address], timeout=1.0, lifetime=2.0, clock=time.monotonic)
            try:
                return await takes_mail(resolver, domain)
            finally:
                await resolver.close()

    assert asyncio.run(ask()) is want
