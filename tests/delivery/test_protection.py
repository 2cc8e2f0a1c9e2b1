"""What the mail to a domain must be protected with: settings, TLSA records, MTA-STS, in that order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from relay.delivery.contract import Route, TlsMode
from relay.delivery.mta_sts import StsMode, StsPolicy
from relay.delivery.mx import MxRouter
from relay.delivery.protection import Protections
from relay.delivery.resolver import Resolver
from relay.model import Stage
from relay.settings import Config, HostPort, TlsDomain, TlsSettings
from tests.delivery.nameserver import Zone, answering

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HASH = "ab" * 32
ZONE: Zone = {
    ("guest.example", "MX"): ["10 mxa.test.", "20 mxb.test."],
    ("mxa.test", "A"): ["93.184.216.1"],
    ("mxb.test", "A"): ["93.184.216.2"],
}
TLSA_A: Zone = {("_25._tcp.mxa.test", "TLSA"): [f"3 1 1 {HASH}"]}
POLICY = StsPolicy(
    domain="guest.example",
    id="1",
    mode=StsMode.ENFORCE,
    mx=("mxa.test",),
    max_age=timedelta(days=7),
    fetched_at=NOW,
)


class Published:
    """A domain's policy, without the fetching."""

    def __init__(self, policy: StsPolicy | None) -> None:
        self.policy = policy

    async def policy_for(self, domain: str, /) -> StsPolicy | None:
        return self.policy


def route_of(
    zone: Zone,
    *,
    policy: StsPolicy | None = None,
    insecure: set[str] | None = None,
    trusted: bool = True,
    overrides: Sequence[TlsDomain] = (),
    dane: bool = True,
) -> Route:
    async def run() -> Route:
        async with answering(zone) as server:
            server.insecure |= insecure or set()
            resolver = Resolver(
                [HostPort("127.0.0.1", server.port)], timeout=0.3, lifetime=0.6, clock=lambda: 0.0, trusted=trusted
            )
            tls = TlsSettings(domain=list(overrides), dane=dane)
            protections = Protections(tls, resolver=resolver, policies=Published(policy))
            router = MxRouter(
                Config(tls=tls),
                resolver=resolver,
                read_secret=str,
                rng=random.Random(1),
                ipv6_source=lambda: None,
                protections=protections,
            )
            try:
                return await router.route(domain="guest.example", app="hotel")
            finally:
                await resolver.close()

    return asyncio.run(run())


def modes(route: Route) -> dict[str, str]:
    return {host.name: (host.protection.mode if host.protection else route.tls).value for host in route.hosts}


def test_without_policies_every_host_is_opportunistic() -> None:
    assert modes(route_of(ZONE)) == {"mxa.test": "may", "mxb.test": "may"}


@pytest.mark.parametrize(
    ("mode", "mx", "wanted"),
    [
        (StsMode.ENFORCE, ("mxa.test",), {"mxa.test": "verify"}),
        (StsMode.ENFORCE, ("*.test",), {"mxa.test": "verify", "mxb.test": "verify"}),
        (StsMode.TESTING, ("mxa.test",), {"mxa.test": "testing", "mxb.test": "may"}),
        (StsMode.NONE, (), {"mxa.test": "may", "mxb.test": "may"}),
    ],
)
def test_mta_sts_decides_which_hosts_and_how(mode: StsMode, mx: tuple[str, ...], wanted: dict[str, str]) -> None:
    route = route_of(ZONE, policy=replace(POLICY, mode=mode, mx=mx))
    assert modes(route) == wanted
    assert route.tls is (TlsMode.VERIFY if mode is StsMode.ENFORCE else TlsMode.MAY)


def test_a_policy_that_names_none_of_the_hosts_makes_the_mail_wait() -> None:
    route = route_of(ZONE, policy=replace(POLICY, mx=("mx.elsewhere.example",)))
    assert route.hosts == ()
    assert route.failure is not None
    assert (route.failure.stage, route.failure.code, route.failure.enhanced) == (Stage.STARTTLS, None, "4.7.10")
    assert "the MTA-STS policy of guest.example" in route.failure.text


def test_tlsa_records_win_over_mta_sts() -> None:
    """RFC 8461 2: a host with DANE is checked by DANE, also when the policy does not name it."""
    route = route_of({**ZONE, **TLSA_A}, policy=replace(POLICY, mx=("mxb.test",)))
    assert modes(route) == {"mxa.test": "dane", "mxb.test": "verify"}
    protection = route.hosts[0].protection
    assert protection is not None
    assert protection.tlsa[0].data.hex() == HASH
    assert protection.names == ("mxa.test", "guest.example")


@pytest.mark.parametrize("insecure", ["guest.example", "mxa.test", "_25._tcp.mxa.test", "*"])
def test_one_insecure_answer_on_the_way_and_there_is_no_dane(insecure: str) -> None:
    route = route_of({**ZONE, **TLSA_A}, insecure={insecure})
    assert modes(route) == {"mxa.test": "may", "mxb.test": "may"}


def test_servers_that_are_not_trusted_can_say_what_they_want() -> None:
    assert modes(route_of({**ZONE, **TLSA_A}, trusted=False))["mxa.test"] == "may"


def test_records_that_cannot_be_looked_up_leave_the_host_out() -> None:
    """An attacker who suppresses the records must not win clear text by it (RFC 7672 2.1.2)."""
    broken: Zone = {("_25._tcp.mxa.test", "TLSA"): "servfail"}
    assert modes(route_of({**ZONE, **broken})) == {"mxb.test": "may"}
    both: Zone = {**broken, ("_25._tcp.mxb.test", "TLSA"): "servfail"}
    failure = route_of({**ZONE, **both}).failure
    assert failure is not None
    assert failure.code is None
    assert "TLSA records of mxa.test could not be looked up" in failure.text


def test_records_none_of_which_can_be_used_still_ask_for_tls() -> None:
    odd: Zone = {("_25._tcp.mxa.test", "TLSA"): [f"1 1 1 {HASH}"]}
    assert modes(route_of({**ZONE, **odd})) == {"mxa.test": "encrypt", "mxb.test": "may"}


def test_dane_can_be_switched_off() -> None:
    assert modes(route_of({**ZONE, **TLSA_A}, dane=False))["mxa.test"] == "may"


@pytest.mark.parametrize("mode", ["none", "may", "encrypt", "verify"])
def test_our_own_setting_for_a_domain_beats_what_it_publishes(mode: str) -> None:
    ours = [TlsDomain.model_validate({"name": "guest.example", "mode": mode})]
    route = route_of({**ZONE, **TLSA_A}, policy=POLICY, overrides=ours)
    assert modes(route) == {"mxa.test": mode, "mxb.test": mode}


def test_the_setting_dane_uses_only_hosts_with_records() -> None:
    ours = [TlsDomain(name="*.example", mode="dane")]
    assert modes(route_of({**ZONE, **TLSA_A}, overrides=ours)) == {"mxa.test": "dane"}
    failure = route_of(ZONE, overrides=ours).failure
    assert failure is not None
    assert "mxa.test has no secure TLSA records" in failure.text


def test_the_longest_name_that_fits_decides() -> None:
    ours = [TlsDomain(name="guest.example", mode="verify"), TlsDomain(name="*.example", mode="none")]
    assert modes(route_of(ZONE, overrides=ours))["mxa.test"] == "verify"
