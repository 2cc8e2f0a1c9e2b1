"""Ask DNS whether a domain takes mail; for suggestions, so a doubt counts as no. RFC 5321 5.1, RFC 7505."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from relay.address import to_a_label
from relay.delivery.resolver import Resolver, Verdict

if TYPE_CHECKING:
    from dns.rdtypes.ANY.MX import MX


async def takes_mail(resolver: Resolver, domain: str) -> bool:
    """Tell whether the domain names mail servers. One without MX records is taken for a slip."""
    name = to_a_label(domain)
    if name is None:
        return False
    found = await resolver.lookup(name, "MX")
    if found.verdict is not Verdict.FOUND:
        return False
    return any(
        record.exchange.to_text(omit_final_dot=True) not in ("", ".")
        for record in cast("tuple[MX, ...]", found.records)
    )
