"""Decide which app a client is, and whether its sender may be used. Pure: no socket, no clock, no store.

Who may send. A login decides first: the app with that username, from its networks when it has any. Without a login
the client is an app that has no username, by listener, network and from_domains together: the smallest matching
network wins, then an app bound to listeners over one that takes any, then one bound to from_domains over one that
takes any. Two apps that one client could be with equal right are a tie, which check-config reports and `serve` refuses.

What may be sent from. With from_domains, the envelope sender and every From address must be in one of them. A sender
that cannot be right (no domain, localhost, a name without a dot, a .local machine) becomes the app's default_from where
one is set. The null sender is always allowed.

Without any [[app]] only loopback clients may send, as the built-in app "local": an empty file can never be an open
relay. RFC 5321 3.9 and 7.1, RFC 6409 6.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import combinations

from relay.address import domain_of, to_a_label
from relay.errors import Refused
from relay.settings import App, Config, HostPort, Limits, Network

_LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
_UNREAL_SUFFIXES = (".localdomain", ".local", ".localhost", ".lan", ".internal", ".home", ".invalid")

#: The app every loopback client is when the configuration has none.
LOCAL_APP = App(name="local", networks=list(_LOOPBACK))


def parse_ip(text: str) -> IPv4Address | IPv6Address:
    """Read a client's address; a v4 address mapped into v6 counts as v4, a scope is dropped."""
    ip = ip_address(text.partition("%")[0])
    return ip.ipv4_mapped or ip if isinstance(ip, IPv6Address) else ip


def is_unreal_sender(address: str) -> bool:
    """Tell whether a sender such as www-data@localhost can never receive an answer."""
    domain = domain_of(address)
    return "." not in domain or domain.startswith("[") or domain.endswith(_UNREAL_SUFFIXES)


@dataclass(frozen=True, slots=True)
class _Candidate:
    app: App
    rank: tuple[int, bool, bool]  #: prefix length, has listeners, has from_domains


class Policy:
    """The apps of one configuration, ready to be asked."""

    def __init__(self, config: Config) -> None:
        self._apps = list(config.app) or [LOCAL_APP]
        self._by_user = {app.username: app for app in self._apps if app.username}
        self._domains = {
            app.name: frozenset(to_a_label(domain) or domain for domain in app.from_domains) for app in self._apps
        }
        # A configuration never changes under a Policy, and an old app asks from the same address all day.
        self.candidates = lru_cache(maxsize=4096)(self._candidates)
        self.connection_limit = lru_cache(maxsize=4096)(self._connection_limit)

    @property
    def has_logins(self) -> bool:
        """Tell whether any app has a username, so that offering AUTH makes sense."""
        return bool(self._by_user)

    def _candidates(self, *, listener: HostPort, client_ip: str, auth_user: str | None) -> tuple[App, ...]:
        """Give the apps this client can be, the best right first; which one it is depends on the sender."""
        ip = parse_ip(client_ip)
        if auth_user is not None:
            app = self._by_user.get(auth_user)
            is_allowed = app is not None and (not app.networks or _prefix(app.networks, ip) is not None)
            return (app,) if app is not None and is_allowed and _takes(app, listener) else ()
        found = [
            _Candidate(app, (prefix, bool(app.listeners), bool(app.from_domains)))
            for app in self._apps
            if not app.username and _takes(app, listener) and (prefix := _prefix(app.networks, ip)) is not None
        ]
        found.sort(key=lambda candidate: candidate.rank, reverse=True)
        return tuple(candidate.app for candidate in found)

    def may_log_in(self, username: str, *, listener: HostPort, client_ip: str) -> bool:
        """Tell whether this user may log in here: its networks and listeners hold for logins too."""
        return bool(self.candidates(listener=listener, client_ip=client_ip, auth_user=username))

    def choose(self, candidates: Sequence[App], *, sender: str) -> App:
        """Choose the app by the sender.

        Raises:
            Refused: 550 5.7.1: unknown client, or a sender none of its apps may use.
        """
        if not candidates:
            raise Refused(550, "5.7.1", "relaying denied: this client may not send here", reason="unknown_client")
        for app in candidates:
            if not sender or self.is_allowed(app, sender):
                return app
        for app in candidates:
            if app.default_from and is_unreal_sender(sender):
                return app
        raise Refused(550, "5.7.1", "this sender's domain is not one of from_domains", reason="sender_not_allowed")

    def is_allowed(self, app: App, sender: str) -> bool:
        """Tell whether the app may use this sender as it is."""
        domain = domain_of(sender)
        if app.from_domains:
            return domain in self._domains[app.name]
        return bool(domain) and not (app.default_from and is_unreal_sender(sender))

    def _connection_limit(self, client_ip: str) -> tuple[str, int]:
        """Give what this client's connections are counted under, and how many there may be."""
        ip = parse_ip(client_ip)
        best: tuple[int, str, int] | None = None
        for app in self._apps:
            for network in app.networks:
                if ip.version == network.version and ip in network:
                    limit = app.limits.connections
                    if best is None or (network.prefixlen, limit) > (best[0], best[2]):
                        best = (network.prefixlen, str(network), limit)
        return (best[1], best[2]) if best else (str(ip), Limits().connections)


def _prefix(networks: Iterable[Network], ip: IPv4Address | IPv6Address) -> int | None:
    """Give how specific the best matching network is; v4 and v6 count on one scale of host bits."""
    return max((n.prefixlen - n.max_prefixlen for n in networks if n.version == ip.version and ip in n), default=None)


def _takes(app: App, listener: HostPort) -> bool:
    return not app.listeners or listener in app.listeners


def find_ties(config: Config) -> list[str]:
    """Name every pair of apps that one client could be with equal right, one sentence each."""
    ties = []
    for one, other in combinations([app for app in config.app if not app.username], 2):
        shared = [n for n in one.networks if n in other.networks]
        if shared and _listeners_collide(one, other) and _domains_collide(one, other):
            ties.append(
                f'the apps "{one.name}" and "{other.name}" cannot be told apart: both may send from {shared[0]}; '
                "give them different listeners, from_domains or a username"
            )
    return ties


def _listeners_collide(one: App, other: App) -> bool:
    if not one.listeners or not other.listeners:
        return one.listeners == other.listeners
    return any(address in other.listeners for address in one.listeners)


def _domains_collide(one: App, other: App) -> bool:
    if not one.from_domains or not other.from_domains:
        return one.from_domains == other.from_domains
    return bool({to_a_label(d) for d in one.from_domains} & {to_a_label(d) for d in other.from_domains})
