"""The limits of the big mailbox providers (sites.toml), as caps of what the configuration gives every site."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from relay.delivery.site_keys import is_below
from relay.settings import SiteLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider."""

    name: str
    hosts: tuple[str, ...]  #: MX hosts, or "*.example.com"
    connections: int
    messages_per_connection: int
    published: bool  #: the provider itself gives the figures
    source: str  #: where they come from

    def serves(self, hosts: Iterable[str]) -> bool:
        """Tell whether any of these MX hosts is the provider's."""
        return any(is_below(pattern, host) for host in hosts for pattern in self.hosts)

    def cap(self, limits: SiteLimits) -> SiteLimits:
        """Keep to what the provider takes where that is less."""
        return limits.model_copy(
            update={
                "connections": min(limits.connections, self.connections),
                "messages_per_connection": min(limits.messages_per_connection, self.messages_per_connection),
            }
        )


@cache
def load_providers() -> Sequence[Provider]:
    """Read sites.toml; the same objects every time."""
    text = files("relay.delivery").joinpath("sites.toml").read_text(encoding="utf-8")
    return tuple(Provider(**{**each, "hosts": tuple(each["hosts"])}) for each in tomllib.loads(text)["provider"])
