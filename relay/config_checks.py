"""Check what no single section can see: ties between sections of the configuration. Pure.

Each fault is a place in the file and one sentence. Two apps that one client could be (a tie) are found by the intake's
own policy, so that the check and the choice at run time can never differ.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address

from relay.address import address_key, domain_of
from relay.config_faults import Fault
from relay.intake.policy import find_ties
from relay.settings import App, Config, HostPort, Listener, Network, is_private_host
from relay.toml_lines import Location

_HOSTNAME = re.compile(r"(?=.{1,253}$)(?!-)[A-Za-z0-9_-]{1,63}(?:\.(?!-)[A-Za-z0-9_-]{1,63})*")


def cross_check(config: Config) -> list[Fault]:
    """Find every fault that lies between sections."""
    return [
        *_node_faults(config),
        *_address_faults(config),
        *_app_faults(config),
        *_proxy_faults(config),
        *_returned_faults(config),
        *_delivery_faults(config),
        *_oidc_faults(config),
        *_route_faults(config),
        *(((("app",), tie)) for tie in find_ties(config)),
    ]


def _node_faults(config: Config) -> Iterator[Fault]:
    if not _HOSTNAME.fullmatch(config.node.hostname):
        yield ("node", "hostname"), f'"{config.node.hostname}" is no host name; write one such as "relay.example.com"'
    if not re.fullmatch(r"sqlite:.+|postgres(ql)?://.+", config.store.url):
        yield (
            ("store", "url"),
            'write "sqlite:PATH", for example "sqlite:data/waybill.db", or "postgresql://USER@HOST/DATABASE"',
        )


def _address_faults(config: Config) -> Iterator[Fault]:
    taken: list[tuple[HostPort, str]] = []
    places: list[tuple[Location, HostPort]] = [
        (("listener", index, "address"), listener.address) for index, listener in enumerate(config.listener)
    ]
    places.append((("dashboard", "address"), config.dashboard.address))
    for path, address in places:
        for other, name in taken:
            if _overlap(address, other):
                yield path, f"{address} is already taken by {name}"
                break
        taken.append((address, ".".join(str(p + 1) if isinstance(p, int) else p for p in path[:-1])))


def _overlap(one: HostPort, other: HostPort) -> bool:
    if one.port != other.port or one.port == 0:  # port 0: the system picks a free one
        return False
    return one.host == other.host or {one.host, other.host} & {"0.0.0.0", "::"} != set()


def _app_faults(config: Config) -> Iterator[Fault]:
    yield from _repeated("app", "name", [app.name for app in config.app])
    yield from _repeated("app", "username", [app.username for app in config.app])
    known = {listener.address for listener in config.listener}
    for index, app in enumerate(config.app):
        for number, address in enumerate(app.listeners):
            if address not in known:
                yield ("app", index, "listeners", number), f"no [[listener]] has the address {address}"
        if app.default_from is not None and not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", app.default_from):
            yield ("app", index, "default_from"), 'write an address such as "desk@example.com"'
        if app.password_hash and app.password_file:
            yield ("app", index, "password_file"), "write password_hash or password_file, not both"
        yield from _pattern_faults(app, index)
        yield from _open_relay_faults(app, index, _listeners_of(app, config.listener))


def _pattern_faults(app: App, index: int) -> Iterator[Fault]:
    for number, pattern in enumerate(app.booking_pattern):
        path: Location = ("app", index, "booking_pattern", number)
        if not pattern.startswith("re:"):
            if not pattern.strip():
                yield path, 'write a picture such as "BK-#####"'
            continue
        try:
            re.compile(pattern.removeprefix("re:"))
        except re.error as error:
            yield path, f"this regular expression cannot be read: {error}"


def _listeners_of(app: App, listeners: list[Listener]) -> list[Listener]:
    taking = [one for one in listeners if one.kind == "submission"]  # at the others nobody sends
    return [one for one in taking if not app.listeners or one.address in app.listeners]


def _open_relay_faults(app: App, index: int, listeners: list[Listener]) -> Iterator[Fault]:
    """An app that anyone on the internet can be, without a password, makes an open relay."""
    if app.username or all(is_private_host(listener.address.host) for listener in listeners):
        return
    for everything in _everything(app.networks):
        path: Location = ("app", index, "networks")
        yield path, f"{everything} without username lets the whole internet send through this relay"


def _proxy_faults(config: Config) -> Iterator[Fault]:
    """Who may say which client he brings may also say that he brings a friend."""
    for index, listener in enumerate(config.listener):
        for everything in _everything(listener.proxy_protocol):
            path: Location = ("listener", index, "proxy_protocol")
            yield path, f"with {everything} anybody can claim to be any client; name your load balancers"


def _returned_faults(config: Config) -> Iterator[Fault]:
    returned = config.returned
    for index, listener in enumerate(config.listener):
        if listener.kind == "returned" and returned.domain is None:
            yield ("listener", index, "kind"), 'kind = "returned" needs returned.domain'
    for index, app in enumerate(config.app):
        if app.name == "returned":
            yield ("app", index, "name"), '"returned" is what returned mail is called; take another name'
        for number, address in enumerate(app.listeners):
            if any(one.kind == "returned" and one.address == address for one in config.listener):
                yield ("app", index, "listeners", number), f"{address} takes returned mail only"
    if returned.domain is None:
        for key in ("complaints", "forward"):
            if getattr(returned, key):
                yield ("returned", key), f"{key} needs returned.domain"
    elif returned.forward is not None:
        ours = {address_key(address) for address in returned.complaints}
        if domain_of(returned.forward) == returned.domain or address_key(returned.forward) in ours:
            yield ("returned", "forward"), "that would come back here; write the mailbox of a person"


def _oidc_faults(config: Config) -> Iterator[Fault]:
    if config.dashboard.oidc is None:
        return
    known = {app.name for app in config.app}
    for group, apps in config.dashboard.oidc.apps.items():
        for number, app in enumerate(apps):
            if app not in known:
                yield ("dashboard", "oidc", "apps", group, number), f'no [[app]] has the name "{app}"'
        if not apps:
            yield ("dashboard", "oidc", "apps", group), "name the apps it sees; a group that is left out sees all"


def _everything(networks: list[Network]) -> list[Network]:
    """Give 0.0.0.0/0 or ::/0 where the networks cover all addresses, also in pieces."""
    v4 = [network for network in networks if isinstance(network, IPv4Network)]
    v6 = [network for network in networks if isinstance(network, IPv6Network)]
    whole: list[Network] = [*collapse_addresses(v4), *collapse_addresses(v6)]
    return [network for network in whole if network.prefixlen == 0]


def _delivery_faults(config: Config) -> Iterator[Fault]:
    delivery = config.delivery
    if delivery.give_up_after <= timedelta(0):
        yield ("delivery", "give_up_after"), "it must be above zero"
    for index, source in enumerate(delivery.source_addresses):
        try:
            ip_address(source.address)
        except ValueError:
            yield ("delivery", "source_addresses", index, "address"), f'"{source.address}" is no IP address'
    yield from _app_source_faults(config)
    if delivery.smarthost_username and delivery.smarthost_password_file is None:
        yield ("delivery", "smarthost_username"), "smarthost_username needs smarthost_password_file"
    if delivery.smarthost_username and delivery.smarthost and delivery.smarthost_tls in ("none", "may"):
        yield from _clear_password_faults(("delivery", "smarthost_tls"), delivery.smarthost.host)


def _app_source_faults(config: Config) -> Iterator[Fault]:
    known = {source.address for source in config.delivery.source_addresses}
    for index, app in enumerate(config.app):
        for number, address in enumerate(app.source_addresses):
            if address not in known:
                path: Location = ("app", index, "source_addresses", number)
                yield path, f'"{address}" is not among delivery.source_addresses'


def _route_faults(config: Config) -> Iterator[Fault]:
    yield from _repeated("site", "match", [site.match.lower() for site in config.site])
    names = {app.name for app in config.app}
    seen: set[tuple[str | None, str | None]] = set()
    for index, route in enumerate(config.route):
        key = (route.domain.lower() if route.domain else None, route.app)
        if key in seen:
            yield ("route", index), "another [[route]] has the same domain and app"
        seen.add(key)
        if route.app is not None and route.app not in names:
            yield ("route", index, "app"), f'no [[app]] has the name "{route.app}"'
        if route.username and route.password_file is None:
            yield ("route", index, "username"), "username needs password_file"
        if route.username and route.tls in ("none", "may"):
            yield from _clear_password_faults(("route", index, "tls"), route.host)


def _clear_password_faults(path: Location, host: str) -> Iterator[Fault]:
    if not is_private_host(host):
        yield path, 'a password must not cross the network in clear: write "encrypt", "verify" or "implicit"'


def _repeated(section: str, key: str, values: Iterable[Hashable]) -> Iterator[Fault]:
    seen: dict[Hashable, int] = {}
    for index, value in enumerate(values):
        if value is None:
            continue
        if value in seen:
            yield (section, index, key), f'"{value}" is already used by {section}.{seen[value] + 1}'
        seen.setdefault(value, index)
