"""May the relay open a connection to this address? One table, one function.

Policy: a recipient's DNS must never make the relay talk to its own network (SSRF) or to itself (a loop). Refused are
loopback, private, shared (CGNAT), link-local, multicast, unspecified, documentation and reserved addresses, the same
inside an IPv6 form that carries an IPv4 address (mapped, compatible, 6to4, NAT64, Teredo), and this machine's own
addresses. `delivery.allow_private_addresses` allows them all, as a route or smarthost named in the configuration does
for its own host. Nothing ever allows the address **and** port of one of our own listeners: that is ourselves.
The check is made on the very address that is then connected, after resolution, so DNS cannot change in between.

Pure: no I/O. What is an own address is asked of a container that the caller passes.
RFC 1918, 3927, 4193, 4291, 5737, 6052, 6598, 6890, 3849; enhanced codes 5.4.4 and 5.4.6 of RFC 3463.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from relay.model import Reply, Stage
from relay.settings import HostPort

Address = IPv4Address | IPv6Address

#: Networks a recipient's DNS may not lead to, with the words that are shown.
_REFUSED = tuple(
    (ip_network(network), words)
    for network, words in (
        ("0.0.0.0/8", "an unspecified address"),
        ("10.0.0.0/8", "a private address"),
        ("100.64.0.0/10", "a shared carrier address"),
        ("127.0.0.0/8", "a loopback address"),
        ("169.254.0.0/16", "a link-local address"),
        ("172.16.0.0/12", "a private address"),
        ("192.0.0.0/24", "a reserved address"),
        ("192.0.2.0/24", "a documentation address"),
        ("192.31.196.0/24", "a reserved address"),
        ("192.52.193.0/24", "a reserved address"),
        ("192.88.99.0/24", "a 6to4 relay address"),
        ("192.168.0.0/16", "a private address"),
        ("192.175.48.0/24", "a reserved address"),
        ("198.18.0.0/15", "a benchmarking address"),
        ("198.51.100.0/24", "a documentation address"),
        ("203.0.113.0/24", "a documentation address"),
        ("224.0.0.0/4", "a multicast address"),
        ("240.0.0.0/4", "a reserved address"),
        ("::/128", "an unspecified address"),
        ("::1/128", "a loopback address"),
        ("100::/64", "a discard-only address"),
        ("2001::/23", "a reserved address"),
        ("2001:db8::/32", "a documentation address"),
        ("3fff::/20", "a documentation address"),
        ("5f00::/16", "a reserved address"),
        ("fc00::/7", "a private address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a private address"),
        ("ff00::/8", "a multicast address"),
    )
)

_MAPPED = ip_network("::ffff:0:0/96")
_TRANSLATED = ip_network("::ffff:0:0:0/96")  # RFC 2765, still routed by some translators
_COMPATIBLE = ip_network("::/96")
_NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
_6TO4 = ip_network("2002::/16")
_TEREDO = ip_network("2001::/32")


def may_connect(
    ip: str,
    port: int,
    *,
    allow_private: bool,
    own_listeners: Iterable[HostPort],
    own_addresses: Container[str],
) -> Reply | None:
    """Return None when the relay may connect there, else the refusal to record (5.4.4, or 5.4.6 for ourselves)."""
    try:
        address = ip_address(ip)
    except ValueError:
        return _refusal("5.4.4", f'"{ip}" is not an IP address')
    forms = (address, *_carried(address))
    if any(_is_listener(form, port, own_listeners, own_addresses) for form in forms):
        return _refusal("5.4.6", f"mail loop: {ip} port {port} is this relay itself")
    if allow_private:
        return None
    for form in forms:
        words = _words(form)
        if words:
            return _refusal("5.4.4", f"not connecting to {ip}: it is {words}")
        if str(form) in own_addresses:
            return _refusal("5.4.6", f"mail loop: {ip} is an address of this machine")
    return None


def is_private(ip: str) -> bool:
    """Tell whether an address belongs to a network that is never reached through the internet."""
    address = ip_address(ip)
    return any(_words(form) for form in (address, *_carried(address)))


@lru_cache(maxsize=4096)
def _words(address: Address) -> str:
    for network, words in _REFUSED:
        if address.version == network.version and address in network:
            return words
    return ""


def _carried(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses hidden in an IPv6 address: packets may end up there."""
    if isinstance(address, IPv4Address):
        return ()
    value = int(address)
    if address in _6TO4:
        return (IPv4Address(value >> 80 & 0xFFFFFFFF),)
    if address in _TEREDO:
        return (IPv4Address(~value & 0xFFFFFFFF), IPv4Address(value >> 64 & 0xFFFFFFFF))
    is_low = address in _MAPPED or address in _TRANSLATED or any(address in network for network in _NAT64)
    if is_low or (address in _COMPATIBLE and value > 1):
        return (IPv4Address(value & 0xFFFFFFFF),)
    return ()


def _is_listener(address: Address, port: int, own_listeners: Iterable[HostPort], own_addresses: Container[str]) -> bool:
    is_local = address.is_loopback or address.is_unspecified or str(address) in own_addresses
    for listener in own_listeners:
        if listener.port != port:
            continue
        if listener.host == "localhost":
            if address.is_loopback:
                return True
            continue
        try:
            bound = ip_address(listener.host)
        except ValueError:
            continue
        # Connecting to 0.0.0.0 reaches 127.0.0.1; a listener on 0.0.0.0 or :: has every address of the machine.
        if address == bound or (is_local and bound.is_unspecified) or (address.is_unspecified and bound.is_loopback):
            return True
    return False


def _refusal(enhanced: str, text: str) -> Reply:
    return Reply(stage=Stage.CONNECT, code=550, enhanced=enhanced, text=text)
