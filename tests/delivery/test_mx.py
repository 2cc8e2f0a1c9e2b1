"""Where the mail of a domain goes, and which failure is final: everything DNS can say."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import dns.reversename
import pytest

from relay.delivery.contract import Route, TlsMode
from relay.delivery.mx import MxRouter
from relay.delivery.resolver import Resolver, nameservers
from relay.model import Stage
from relay.settings import Config, DeliverySettings, HostPort, SourceAddress, TlsSettings
from relay.settings import Route as RouteSetting
from tests.delivery.nameserver import NameServer, Zone, answering

V4 = {"a": "93.184.216.1", "b": "93.184.216.2", "c": "93.184.216.3"}


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def hosts_zone(*names: str) -> dict[tuple[str, str], list[str]]:
    """Addresses for mxa.test, mxb.test …"""
    return {(f"mx{name}.test", "A"): [V4[name]] for name in names}


def settings(**changes: Any) -> Config:
    routes = changes.pop("route", [])
    tls = TlsSettings(mode=changes.pop("mode", "may"))
    return Config(delivery=DeliverySettings(**changes), route=routes, tls=tls)


def with_router(
    zone: Zone,
    scenario: Callable[[MxRouter, NameServer, Resolver], Awaitable[None]],
    *,
    config: Config | None = None,
    ipv6_source: str | None = None,
    has_address: Callable[[str], bool] = lambda ip: True,
    dead_first: bool = False,
    clock: Callable[[], float] = time.monotonic,
    timeout: float = 0.2,
    lifetime: float = 1.0,
    patience: float = 2.0,
    seed: int = 1,
    ttl: int = 300,
) -> None:
    async def run() -> None:
        async with answering(zone, ttl=ttl) as server, answering({}) as dead:
            dead.may_answer.clear()
            servers = [HostPort("127.0.0.1", server.port)]
            if dead_first:
                servers.insert(0, HostPort("127.0.0.1", dead.port))
            resolver = Resolver(servers, timeout=timeout, lifetime=lifetime, clock=clock)
            router = MxRouter(
                config or settings(),
                resolver=resolver,
                read_secret=lambda path: f"secret of {path.name}",
                rng=random.Random(seed),
                ipv6_source=lambda: ipv6_source,
                has_address=has_address,
                patience=timedelta(seconds=patience),
            )
            try:
                await scenario(router, server, resolver)
            finally:
                await resolver.close()

    asyncio.run(run())


def route_of(zone: Zone, domain: str = "guest.example", *, app: str = "hotel", **options: Any) -> Route:
    found: list[Route] = []

    async def scenario(router: MxRouter, server: NameServer, resolver: Resolver) -> None:
        found.append(await router.route(domain=domain, app=app))

    with_router(zone, scenario, **options)
    return found[0]


def test_hosts_go_by_preference() -> None:
    zone = {("guest.example", "MX"): ["20 MXB.test.", "10 mxa.test.", "30 mxc.test."], **hosts_zone("a", "b", "c")}
    route = route_of(zone)
    assert [(host.name, host.ip, host.port, host.preference) for host in route.hosts] == [
        ("mxa.test", V4["a"], 25, 10),
        ("mxb.test", V4["b"], 25, 20),
        ("mxc.test", V4["c"], 25, 30),
    ]
    assert (route.site, route.tls, route.failure) == ("mxa.test,mxb.test,mxc.test", TlsMode.MAY, None)
    assert not route.is_smarthost
    assert route.took.total_seconds() > 0


def test_equal_hosts_are_shuffled_and_the_site_stays_the_same() -> None:
    zone = {("guest.example", "MX"): ["10 mxa.test.", "10 mxb.test.", "5 mxc.test."], **hosts_zone("a", "b", "c")}
    # A busy machine may take its time: a host that gives no address in time is left out.
    slow: dict[str, Any] = {"timeout": 5.0, "lifetime": 10.0, "patience": 10.0}
    routes = [route_of(zone, seed=seed, **slow) for seed in range(12)]
    assert {route.hosts[0].name for route in routes} == {"mxc.test"}
    assert {route.hosts[1].name for route in routes} == {"mxa.test", "mxb.test"}
    assert {route.site for route in routes} == {"mxa.test,mxb.test,mxc.test"}


@pytest.mark.parametrize(
    ("zone", "code", "enhanced", "is_nxdomain", "words"),
    [
        ({}, 550, "5.1.2", True, "does not exist"),
        ({("guest.example", "TXT"): ["x"]}, 550, "5.1.2", False, "neither mail servers (MX) nor an address"),
        ({("guest.example", "MX"): "no soa"}, 550, "5.1.2", False, "neither"),
        ({("guest.example", "MX"): ["0 ."]}, 550, "5.1.10", False, "null MX"),
        ({("guest.example", "MX"): "servfail"}, None, "4.4.3", False, "said SERVFAIL"),
        ({("guest.example", "MX"): "refused"}, None, "4.4.3", False, "said REFUSED"),
        ({("guest.example", "MX"): "silent"}, None, "4.4.3", False, "no DNS server answered within 1 s"),
        ({("guest.example", "MX"): "garbage"}, None, "4.4.3", False, "could not be looked up"),
        ({("guest.example", "MX"): "lame"}, None, "4.4.3", False, "could not be looked up"),
        ({("guest.example", "MX"): "truncated and dead"}, None, "4.4.3", False, "could not be looked up"),
        ({("guest.example", "CNAME"): ["guest.example."]}, None, "4.4.3", False, "could not be looked up"),
        (
            {("guest.example", "CNAME"): ["b.example."], ("b.example", "CNAME"): ["guest.example."]},
            None,
            "4.4.3",
            False,
            "alias of an alias",
        ),
        ({("guest.example", "MX"): ["5 mxa.test."]}, 550, "5.4.4", True, "mxa.test has no address"),
        ({("guest.example", "MX"): ["5 127.0.0.1."]}, 550, "5.4.4", False, "where a host name belongs"),
        (
            {("guest.example", "MX"): ["5 mxa.test.", "9 mxb.test."], ("mxb.test", "A"): "servfail"},
            None,
            "4.4.3",
            False,
            "mxb.test: no DNS server gave an answer: 127.0.0.1 said SERVFAIL",
        ),
        ({("guest.example", "A"): "servfail"}, None, "4.4.3", False, "SERVFAIL"),
        (
            {("guest.example", "MX"): ["5 mxa.test."], ("mxa.test", "AAAA"): ["2606:2800::1"]},
            None,
            "4.4.4",
            False,
            "IP version",
        ),
    ],
    ids=repr,
)
def test_each_failure_of_dns_is_final_or_temporary(
    zone: Zone, code: int | None, enhanced: str, is_nxdomain: bool, words: str
) -> None:
    route = route_of(zone)
    assert route.failure is not None
    assert (route.failure.code, route.failure.enhanced, route.failure.stage) == (code, enhanced, Stage.DNS)
    assert (route.hosts, route.is_nxdomain) == ((), is_nxdomain)
    assert words in route.failure.text


def test_a_name_server_that_is_down_is_a_temporary_failure_until_it_is_there() -> None:
    async def scenario() -> tuple[Route, Route]:
        async with answering({}) as gone:
            port = gone.port
        resolver = Resolver([HostPort("127.0.0.1", port)], timeout=0.2, lifetime=0.6, clock=time.monotonic)
        router = MxRouter(settings(), resolver=resolver, read_secret=lambda path: path.name, rng=random.Random(1))
        try:
            down = await router.route(domain="guest.example", app="hotel")
            zone = {("other.example", "MX"): ["5 mxa.test."], **hosts_zone("a")}
            async with answering(zone, port=port):
                return down, await router.route(domain="other.example", app="hotel")
        finally:
            await resolver.close()

    down, there = asyncio.run(scenario())
    assert down.failure is not None
    assert (down.failure.code, down.failure.enhanced, down.is_nxdomain) == (None, "4.4.3", False)
    assert [host.name for host in there.hosts] == ["mxa.test"]


def test_a_failed_look_up_never_becomes_the_address_of_the_domain() -> None:
    route = route_of({("guest.example", "MX"): "servfail", ("guest.example", "A"): [V4["a"]]})
    assert route.hosts == ()


def test_a_dead_backup_host_does_not_keep_mail_from_the_good_one() -> None:
    zone = {
        ("guest.example", "MX"): ["5 mxa.test.", "9 mxb.test.", "9 gone.test."],
        ("mxb.test", "A"): "servfail",
        ("mxb.test", "AAAA"): "silent",
        **hosts_zone("a"),
    }
    assert [host.name for host in route_of(zone).hosts] == ["mxa.test"]


def test_a_hung_backup_host_is_not_waited_for_once_another_has_an_address() -> None:
    zone = {
        ("guest.example", "MX"): ["5 mxa.test.", "9 mxb.test."],
        ("mxb.test", "A"): "silent",
        ("mxb.test", "AAAA"): "silent",
        **hosts_zone("a"),
    }
    route = route_of(zone, patience=0.1, lifetime=60.0)
    assert [host.name for host in route.hosts] == ["mxa.test"]
    assert route.took < timedelta(seconds=30)


def test_the_only_host_is_waited_for() -> None:
    async def scenario(router: MxRouter, server: NameServer, resolver: Resolver) -> None:
        await resolver.lookup("guest.example", "MX")
        server.may_answer.clear()
        asyncio.get_running_loop().call_later(0.15, server.may_answer.set)
        assert (await router.route(domain="guest.example", app="hotel")).hosts

    zone = {("guest.example", "MX"): ["5 mxa.test."], **hosts_zone("a")}
    with_router(zone, scenario, patience=0.01, timeout=5.0, lifetime=10.0)


def test_without_mx_the_domain_itself_is_the_server() -> None:
    route = route_of({("guest.example", "A"): [V4["a"]]})
    assert [(host.name, host.ip) for host in route.hosts] == [("guest.example", V4["a"])]
    assert route.site == "guest.example"


def test_aliases_of_domains_and_hosts_are_followed() -> None:
    zone = {
        ("guest.example", "CNAME"): ["real.example."],
        ("real.example", "MX"): ["5 alias.test."],
        ("alias.test", "CNAME"): ["mxa.test."],
        **hosts_zone("a"),
    }
    route = route_of(zone)
    assert [(host.name, host.ip) for host in route.hosts] == [("alias.test", V4["a"])]


@pytest.mark.parametrize(("how", "count"), [("truncated", 1), ("huge", 20)])
def test_a_truncated_answer_is_asked_again_over_tcp(how: str, count: int) -> None:
    zone = {("guest.example", "MX"): how, **{(f"mx{n}.guest.example", "A"): [V4["a"]] for n in range(2000)}}
    assert len(route_of(zone, timeout=5.0, lifetime=10.0).hosts) == count


def test_an_international_domain_is_looked_up_by_its_a_label() -> None:
    route = route_of({("xn--gste-loa.example", "MX"): ["5 mxa.test."], **hosts_zone("a")}, "Gäste.example")
    assert [host.name for host in route.hosts] == ["mxa.test"]


@pytest.mark.parametrize(
    "domain", ["a..b", "-", "x" * 64 + ".example", "a b.example", "[300.1.1.1]", "☃\u3002-.example"]
)
def test_what_is_no_domain_has_no_route(domain: str) -> None:
    route = route_of({}, domain)
    assert route.failure is not None
    assert (route.failure.code, route.failure.enhanced) == (550, "5.1.2")


@pytest.mark.parametrize(("domain", "ip"), [("[192.0.2.7]", "192.0.2.7"), ("[IPv6:2001:db8::7]", "2001:db8::7")])
def test_an_address_literal_is_its_own_route(domain: str, ip: str) -> None:
    assert [host.ip for host in route_of({}, domain).hosts] == [ip]


PTR = {(dns.reversename.from_address("2a00::1").to_text(omit_final_dot=True), "PTR"): ["relay.example.com."]}
BOTH = {
    ("guest.example", "MX"): ["5 mxa.test.", "9 mxb.test."],
    ("mxa.test", "AAAA"): ["2606:2800::1"],
    **hosts_zone("a", "b"),
}


@pytest.mark.parametrize(
    ("ip", "source", "names", "want"),
    [
        ("auto", None, {}, [V4["a"], V4["b"]]),
        ("auto", "2a00::1", {}, [V4["a"], V4["b"]]),
        ("auto", "2a00::1", PTR, ["2606:2800::1", V4["a"], V4["b"]]),
        ("4", "2a00::1", PTR, [V4["a"], V4["b"]]),
        ("6", None, {}, ["2606:2800::1"]),
    ],
)
def test_ipv6_comes_first_when_it_may_be_used(ip: str, source: str | None, names: Zone, want: list[str]) -> None:
    route = route_of({**BOTH, **names}, config=settings(ip=ip), ipv6_source=source)
    assert [host.ip for host in route.hosts] == want


def test_a_configured_ipv4_source_keeps_ipv6_out() -> None:
    config = settings(source_addresses=[SourceAddress(address="192.0.2.9")])
    assert [host.ip for host in route_of(BOTH, config=config, ipv6_source="2a00::1").hosts] == [V4["a"], V4["b"]]


@pytest.mark.parametrize("has_it", [True, False])
def test_ipv6_is_used_only_where_the_node_has_the_configured_source(has_it: bool) -> None:
    config = settings(ip="auto", source_addresses=[SourceAddress(address="2a00::1")])
    route = route_of({**BOTH, **PTR}, config=config, has_address=lambda ip: has_it)
    assert (route.hosts[0].ip == "2606:2800::1") == has_it


def test_both_loopbacks_are_used_in_a_test_set_up() -> None:
    zone = {("guest.example", "MX"): ["5 mxa.test."], ("mxa.test", "AAAA"): ["::1"], ("mxa.test", "A"): ["127.0.0.1"]}
    route = route_of(zone, config=settings(allow_private_addresses=True, port=2525))
    assert [(host.ip, host.port) for host in route.hosts] == [("::1", 2525), ("127.0.0.1", 2525)]


ROUTES = [
    RouteSetting(app="billing", host="192.0.2.1", port=587, tls="verify", username="u", password_file=Path("pass")),
    RouteSetting(domain="*.partner.example", host="192.0.2.2"),
    RouteSetting(domain="*.deep.partner.example", host="192.0.2.3"),
    RouteSetting(domain="partner.example", host="mxa.test", port=2500),
    RouteSetting(domain="partner.example", app="billing", host="192.0.2.5"),
]


@pytest.mark.parametrize(
    ("domain", "app", "site", "is_smarthost"),
    [
        ("partner.example", "billing", "192.0.2.5:25", False),
        ("Partner.Example", "hotel", "mxa.test:2500", False),
        ("a.partner.example", "billing", "192.0.2.2:25", False),
        ("a.deep.partner.example", "hotel", "192.0.2.3:25", False),
        ("guest.example", "billing", "192.0.2.1:587", True),
        ("guest.example", "hotel", "smart.test:465", True),
    ],
)
def test_the_most_specific_route_wins(domain: str, app: str, site: str, is_smarthost: bool) -> None:
    config = settings(route=ROUTES, smarthost="smart.test:465", smarthost_tls="implicit")
    zone = {("smart.test", "A"): [V4["b"]], **hosts_zone("a")}
    route = route_of(zone, domain, app=app, config=config)
    assert (route.site, route.is_smarthost, route.failure) == (site, is_smarthost, None)
    assert all(host.is_configured for host in route.hosts)
    if app == "billing" and is_smarthost:
        assert route.tls is TlsMode.VERIFY
        assert route.credentials is not None
        assert (route.credentials.username, route.credentials.password) == ("u", "secret of pass")
        assert "secret" not in repr(route)


def test_the_policy_for_tls_comes_with_the_route() -> None:
    zone = {("guest.example", "MX"): ["5 mxa.test."], **hosts_zone("a")}
    assert route_of(zone, config=settings(mode="encrypt")).tls is TlsMode.ENCRYPT
    smart = settings(smarthost="mxa.test:587", smarthost_tls="may")
    assert route_of(zone, config=smart).tls is TlsMode.MAY


def test_an_unresolvable_smarthost_is_a_temporary_failure_with_its_site() -> None:
    route = route_of({}, config=settings(smarthost="smart.test:587"))
    assert route.failure is not None
    assert (route.failure.code, route.failure.enhanced) == (None, "4.4.4")
    assert (route.site, route.is_smarthost) == ("smart.test:587", True)


def test_equal_questions_at_one_time_are_one_look_up_and_a_cancelled_caller_does_not_stop_it() -> None:
    async def scenario(router: MxRouter, server: NameServer, resolver: Resolver) -> None:
        server.may_answer.clear()
        waiting = [asyncio.ensure_future(router.route(domain="guest.example", app="hotel")) for _ in range(20)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        server.may_answer.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert all(isinstance(route, Route) and route.hosts for route in results[1:])
        assert sorted(server.questions) == [("guest.example", "MX"), ("mxa.test", "A"), ("mxa.test", "AAAA")]

    with_router({("guest.example", "MX"): ["5 mxa.test."], **hosts_zone("a")}, scenario, lifetime=5.0)


@pytest.mark.parametrize(
    ("zone", "ttl", "seconds"),
    [
        ({("guest.example", "MX"): ["0 ."]}, 1, 30.0),
        ({("guest.example", "MX"): ["0 ."]}, 120, 120.0),
        ({("guest.example", "MX"): ["0 ."]}, 100_000, 3600.0),
        ({}, 60, 60.0),
        ({}, 100_000, 300.0),
        ({("guest.example", "MX"): "servfail"}, 300, 5.0),
    ],
)
def test_an_answer_is_kept_as_long_as_it_says_within_limits(zone: Zone, ttl: int, seconds: float) -> None:
    clock = Clock()

    async def scenario(router: MxRouter, server: NameServer, resolver: Resolver) -> None:
        for at, asked in ((0.0, 1), (seconds - 0.1, 1), (seconds + 0.1, 2)):
            clock.at = 1000.0 + at
            await router.route(domain="guest.example", app="hotel")
            assert server.questions.count(("guest.example", "MX")) == asked

    with_router(zone, scenario, clock=clock, ttl=ttl)


def test_a_failing_domain_is_asked_less_and_less_often() -> None:
    clock = Clock()

    async def scenario(router: MxRouter, server: NameServer, resolver: Resolver) -> None:
        kept = []
        for _ in range(5):
            lookup = await resolver.lookup("guest.example", "MX")
            kept.append(lookup.expires_at - clock.at)
            clock.at = lookup.expires_at
        assert kept == [5.0, 10.0, 20.0, 30.0, 30.0]

    with_router({("guest.example", "MX"): "servfail"}, scenario, clock=clock)


def test_a_silent_server_is_asked_last_for_a_while() -> None:
    clock = Clock()

    async def scenario(router: MxRouter, server: NameServer, resolver: Resolver) -> None:
        dead, alive = resolver.servers()
        await router.route(domain="guest.example", app="hotel")
        assert resolver.servers() == [alive, dead]
        clock.at += 61
        assert resolver.servers() == [dead, alive]

    with_router({}, scenario, dead_first=True, lifetime=5.0, clock=clock)


def test_a_hung_domain_does_not_hold_up_another() -> None:
    zone = {("hung.example", "MX"): "silent", ("guest.example", "MX"): ["0 ."]}

    async def scenario(router: MxRouter, server: NameServer, resolver: Resolver) -> None:
        hung = [asyncio.ensure_future(router.route(domain="hung.example", app="hotel")) for _ in range(1000)]
        await asyncio.sleep(0)
        route = await router.route(domain="guest.example", app="hotel")
        assert route.failure is not None
        assert route.failure.enhanced == "5.1.10"
        assert not any(waiting.done() for waiting in hung)
        for waiting in hung:
            waiting.cancel()
        await asyncio.gather(*hung, return_exceptions=True)

    with_router(zone, scenario, lifetime=10.0)


def test_resolv_conf_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    clock = Clock()

    async def run() -> None:
        resolver = Resolver(timeout=0.1, lifetime=0.2, clock=clock, resolv_conf=path)
        assert resolver.servers() == ["127.0.0.1:53"]
        path.write_text("search x\nnameserver 192.0.2.53\nnameserver 2001:db8::53\nnameserver bogus\n")
        assert resolver.servers() == ["127.0.0.1:53"]
        clock.at += 6
        assert resolver.servers() == ["192.0.2.53:53", "[2001:db8::53]:53"]

    asyncio.run(run())


def test_only_addresses_count_as_name_servers() -> None:
    assert nameservers("# nameserver 1.1.1.1\nnameserver 9.9.9.9 # x\nnameserver\nnameserver fe80::1%eth0\n") == [
        "9.9.9.9",
        "fe80::1%eth0",
    ]


def test_mail_of_an_app_with_source_addresses_leaves_from_these_to_hosts_they_can_reach() -> None:
    zone = {
        ("guest.example", "MX"): ["10 mxa.test."],
        ("mxa.test", "A"): ["192.0.2.1"],
        ("mxa.test", "AAAA"): ["2a00::2"],
    }
    sources = [{"address": "192.0.2.9"}, {"address": "192.0.2.10"}, {"address": "2a00::9"}]
    apps = [{"name": "shop", "networks": ["127.0.0.0/8"], "source_addresses": ["192.0.2.10"]}]
    config = Config.model_validate({"delivery": {"source_addresses": sources, "ip": "6"}, "app": apps})
    assert [host.ip for host in route_of(zone, config=config).hosts] == ["2a00::2"]
    failed = route_of(zone, config=config, app="shop")
    assert failed.failure is not None
    assert "cannot be reached from 192.0.2.10" in failed.failure.text
    config = config.model_copy(update={"delivery": config.delivery.model_copy(update={"ip": "4"})})
    chosen = route_of(zone, config=config, app="shop")
    assert [(host.ip, host.sources) for host in chosen.hosts] == [("192.0.2.1", ("192.0.2.10",))]
    assert chosen.sources == ("192.0.2.10",)


def test_a_detour_leads_to_its_host_and_is_protected_as_our_settings_ask() -> None:
    zone = {("relay.test", "A"): ["192.0.2.7"]}
    found: list[Route] = []

    async def scenario(router: MxRouter, server: NameServer, resolver: Resolver) -> None:
        found.append(await router.detour(HostPort("relay.test", 2525), domain="guest.example", app="hotel"))
        found.append(await router.detour(HostPort("nowhere.test", 25), domain="guest.example", app="hotel"))

    with_router(zone, scenario)
    there, nowhere = found
    assert (there.site, there.is_smarthost, there.tls) == ("relay.test:2525", True, TlsMode.MAY)
    assert [(host.ip, host.port) for host in there.hosts] == [("192.0.2.7", 2525)]
    assert nowhere.failure is not None
    assert nowhere.failure.code is None, "a wrong name of ours must not end anybody's mail"
