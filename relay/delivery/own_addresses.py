"""Which addresses are this machine's own, and which one it would send from.

Asks the kernel instead of listing interfaces: an address is ours when a datagram socket can be bound to it, and the
source of a connection is what the routing table says. No packet is sent. Answers are kept for a minute, because
addresses come and go while the relay runs.

Several nodes have one configuration: each sends from those of its `source_addresses` that it has, and says at start
which those are. A node that has none of them keeps to the configuration all the same, so that its connections fail in
so many words, instead of leaving from an address that no SPF record names.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Container, Sequence

from relay.settings import SourceAddress

logger = logging.getLogger(__name__)

_KEEP_SECONDS = 60.0
_KEEP_COUNT = 4096

#: An address that no machine has (RFC 5737): when it can be bound, binding proves nothing (ip_nonlocal_bind).
_NOBODY = "192.0.2.1"

#: Not a neighbour, so the routing table answers with the way out (RFC 3849); nothing is sent there.
_FAR_AWAY = "2001:db8:ffff::1"


class OwnAddresses(Container[str]):
    """A container that holds every IP address of this machine."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._is_telling = not _can_bind(_NOBODY)
        self._known: dict[str, tuple[float, bool]] = {}

    def __contains__(self, ip: object) -> bool:
        if not isinstance(ip, str) or not self._is_telling:
            return False
        now = self._clock()
        known = self._known.get(ip)
        if known is not None and now < known[0]:
            return known[1]
        if len(self._known) >= _KEEP_COUNT:
            self._known.clear()
        answer = _can_bind(ip)
        self._known[ip] = (now + _KEEP_SECONDS, answer)
        return answer

    def has(self, ip: str) -> bool:
        """Tell whether a configured address may be used: it is ours, or we cannot tell (ip_nonlocal_bind)."""
        return not self._is_telling or ip in self


def usable(sources: Sequence[SourceAddress], own_addresses: Container[str]) -> list[SourceAddress]:
    """Give those that this machine has; all of them when it has none, or cannot tell."""
    return [source for source in sources if source.address in own_addresses] or list(sources)


def tell_sources(sources: Sequence[SourceAddress], own_addresses: OwnAddresses) -> list[str]:
    """Log which of the configured addresses this machine has; give those."""
    had = [source.address for source in sources if own_addresses.has(source.address)]
    others = [source.address for source in sources if source.address not in had]
    if not had and others:
        text = "this machine has none of delivery.source_addresses, so its connections will fail"
        logger.error("event=no_source_address addresses=%s text=%r", ",".join(others), text)
    elif others:
        logger.warning(
            "event=source_addresses uses=%s not_here=%s text=%r",
            ",".join(had),
            ",".join(others),
            "the rest belongs to other nodes, or is missing on this machine",
        )
    return had


def ipv6_source() -> str | None:
    """Return the IPv6 address a connection to the internet would come from, None when there is no way out."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.connect((_FAR_AWAY, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None


def _can_bind(ip: str) -> bool:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((ip, 0))
    except OSError:
        return False
    return True
