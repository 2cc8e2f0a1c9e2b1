"""No recipient's DNS leads the relay to its own network or to itself."""

from __future__ import annotations

import socket

import pytest

from relay.delivery.guard import is_private, may_connect
from relay.delivery.own_addresses import OwnAddresses, ipv6_source, tell_sources, usable
from relay.settings import HostPort, SourceAddress


def verdict(
    ip: str,
    *,
    port: int = 25,
    allow_private: bool = False,
    listeners: tuple[HostPort, ...] = (),
    own: frozenset[str] = frozenset(),
) -> str | None:
    reply = may_connect(ip, port, allow_private=allow_private, own_listeners=listeners, own_addresses=own)
    assert reply is None or reply.code == 550
    return reply.enhanced if reply else None


FORBIDDEN = [
    "127.0.0.1",
    "127.255.255.254",
    "::1",
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "fc00::1",
    "fd12:3456::1",
    "169.254.0.1",
    "169.254.169.254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "100.64.0.1",
    "100.127.255.255",
    "224.0.0.1",
    "239.255.255.255",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:192.168.0.1",
    "::127.0.0.1",
    "::10.0.0.1",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b:1::10.0.0.1",
    "2001:0:1:1:0:0:f5ff:fffe",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "198.18.0.1",
    "192.0.0.1",
    "2001:db8::1",
    "3fff::1",
    "100::1",
]


@pytest.mark.parametrize("ip", FORBIDDEN)
def test_an_address_that_is_not_of_the_internet_is_refused_unless_allowed(ip: str) -> None:
    assert verdict(ip) == "5.4.4"
    assert verdict(ip, allow_private=True) is None
    assert is_private(ip)


@pytest.mark.parametrize(
    "ip",
    [
        "93.184.216.34",
        "172.32.0.1",
        "100.128.0.1",
        "192.167.255.255",
        "2606:2800:220::1",
        "2a00:1450::1",
        "::ffff:93.184.216.34",
        "64:ff9b::5db8:d822",
        "2002:5db8:d822::1",
    ],
)
def test_an_address_of_the_internet_may_be_connected(ip: str) -> None:
    assert verdict(ip) is None
    assert not is_private(ip)


@pytest.mark.parametrize(
    "text", ["", "localhost", "1.2.3", "0x7f000001", "2130706433", "127.1", "[::1]", "127.0.0.1:25"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    assert verdict(text) == "5.4.4"


OWN = frozenset({"93.184.216.34", "10.0.0.5"})


@pytest.mark.parametrize(
    ("ip", "port", "listener", "want"),
    [
        ("127.0.0.1", 2525, "127.0.0.1:2525", "5.4.6"),
        ("127.0.0.1", 2526, "127.0.0.1:2525", None),
        ("127.0.0.2", 2525, "127.0.0.1:2525", None),
        ("127.0.0.2", 2525, "0.0.0.0:2525", "5.4.6"),
        ("::1", 2525, "[::]:2525", "5.4.6"),
        ("10.0.0.5", 2525, "0.0.0.0:2525", "5.4.6"),
        ("10.0.0.6", 2525, "0.0.0.0:2525", None),
        ("127.0.0.9", 2525, "localhost:2525", "5.4.6"),
        ("0.0.0.0", 2525, "127.0.0.1:2525", "5.4.6"),
        ("::ffff:127.0.0.1", 2525, "127.0.0.1:2525", "5.4.6"),
        ("93.184.216.34", 25, "93.184.216.34:25", "5.4.6"),
        ("127.0.0.1", 2525, "mail.example.com:2525", None),
    ],
)
def test_our_own_listener_is_never_connected(ip: str, port: int, listener: str, want: str | None) -> None:
    host, _, at = listener.rpartition(":")
    listeners = (HostPort(host.strip("[]"), int(at)),)
    assert verdict(ip, port=port, allow_private=True, listeners=listeners, own=OWN) == want


def test_this_machines_public_address_is_a_loop_unless_allowed() -> None:
    assert verdict("93.184.216.34", own=OWN) == "5.4.6"
    assert verdict("93.184.216.34", own=OWN, allow_private=True) is None


def test_loopback_is_an_own_address_and_a_documentation_address_is_not() -> None:
    own = OwnAddresses(clock=lambda: 0.0)
    assert "127.0.0.1" in own
    assert "203.0.113.9" not in own
    assert "no address" not in own


def test_an_own_address_is_asked_for_again_after_a_minute() -> None:
    now = [0.0]
    own = OwnAddresses(clock=lambda: now[0])
    assert "127.0.0.1" in own
    now[0] = 59.0
    assert "127.0.0.1" in own
    now[0] = 61.0
    assert "127.0.0.1" in own


@pytest.mark.parametrize(
    ("configured", "had", "level"),
    [
        (["127.0.0.1", "203.0.113.9"], ["127.0.0.1"], "WARNING"),
        (["203.0.113.9"], [], "ERROR"),
        (["127.0.0.1"], ["127.0.0.1"], ""),
        ([], [], ""),
    ],
)
def test_a_node_sends_from_the_configured_addresses_that_it_has(
    configured: list[str], had: list[str], level: str, caplog: pytest.LogCaptureFixture
) -> None:
    own = OwnAddresses(clock=lambda: 0.0)
    sources = [SourceAddress(address=address) for address in configured]
    assert tell_sources(sources, own) == had
    assert [record.levelname for record in caplog.records] == ([level] if level else [])
    assert [source.address for source in usable(sources, own)] == (had or configured), "with none it fails, and says so"


def test_the_ipv6_source_is_an_address_or_nothing() -> None:
    source = ipv6_source()
    assert source is None or socket.inet_pton(socket.AF_INET6, source.partition("%")[0])
