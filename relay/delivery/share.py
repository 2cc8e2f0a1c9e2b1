"""What one of several delivery processes may use of a site's limits, so that all together keep to them; pure.

Connections and rate are divided evenly; what is left over goes to the first in an order that each site has for itself,
so that every process computes the same and small limits do not all fall to one. Where there are more processes than
connections, some get none: they give the site's deliveries back for the others.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from relay.settings import Rate, SiteLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Who shares; nobody but us until told otherwise."""

    owner: str = ""
    owners: Sequence[str] = ("",)

    def of(self, limits: SiteLimits, *, key: str) -> SiteLimits:
        """Our part of a site's limits."""
        if len(self.owners) <= 1 or self.owner not in self.owners:
            return limits
        order = sorted(self.owners, key=lambda owner: (zlib.crc32(f"{key} {owner}".encode()), owner))
        rank = order.index(self.owner)
        sharers = min(len(order), limits.connections, limits.rate.count if limits.rate else limits.connections)
        if rank >= sharers:
            return limits.model_copy(update={"connections": 0})
        rate = limits.rate and Rate(count=_part(limits.rate.count, rank, of=sharers), per=limits.rate.per)
        return limits.model_copy(update={"connections": _part(limits.connections, rank, of=sharers), "rate": rate})


def _part(whole: int, rank: int, *, of: int) -> int:
    each, left = divmod(whole, of)
    return each + (rank < left)
