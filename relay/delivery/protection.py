"""What the mail to one domain must be protected with: our settings, the hosts' TLSA records, the domain's MTA-STS.

| first that applies | hosts |
|---|---|
| `[[tls.domain]]` of our settings | as it says; `dane`: only hosts with TLSA records |
| TLSA records of a host, all of DNS on the way to it secure (RFC 7672) | the certificate must fit them |
| TLSA records, none of which can be used | TLS, certificate not checked (RFC 7672 2.2) |
| TLSA records that cannot be looked up | the host is left out: an attacker could suppress them |
| MTA-STS `enforce` (RFC 8461) | only hosts that the policy names, with a valid certificate |
| MTA-STS `testing` | as without a policy, but what would have failed is said |
| nothing | `tls.mode` |

When no host is left the mail waits: all of these are temporary until the recipient's side is mended or the policy
expires. Whether an answer is secure is the resolver's word, and only taken from servers that are trusted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, cast

from dns.rdtypes.ANY.TLSA import TLSA

from relay.delivery.contract import Host, Protection, Route, TlsMode
from relay.delivery.dane import Tlsa
from relay.delivery.mta_sts import StsMode, StsPolicy
from relay.delivery.resolver import Lookup, Resolver, Verdict
from relay.model import Reply, Stage
from relay.settings import TlsSettings

_NO_DANE = Lookup(Verdict.NODATA)


class PolicySource(Protocol):
    """Knows the MTA-STS policy of a domain."""

    async def policy_for(self, domain: str, /) -> StsPolicy | None: ...


@dataclass(frozen=True, slots=True)
class _LeftOut:
    """Why no mail goes to a host."""

    host: Host
    reason: str


class Protections:
    """Decides for one process."""

    def __init__(self, settings: TlsSettings, *, resolver: Resolver, policies: PolicySource | None) -> None:
        """`policies` None: MTA-STS is switched off."""
        self._settings = settings
        self._resolver = resolver
        self._policies = policies

    async def apply(self, route: Route, domain: str) -> Route:
        """Say for each host of a domain's MX route what protects it, and leave out those that must not be used."""
        override = self.configured(domain)
        if override is not None and override is not TlsMode.DANE:
            because = f"our settings for {domain}"
            hosts = [replace(host, protection=Protection(mode=override, because=because)) for host in route.hosts]
            return replace(route, hosts=tuple(hosts), tls=override)
        policy = await self._policies.policy_for(domain) if self._policies is not None and override is None else None
        if policy is not None and policy.mode is StsMode.NONE:
            policy = None
        records = await self._tlsa_of(route.hosts, domain) if self._settings.dane or override else {}
        if policy is None and not records and override is None:
            return route
        decided = [
            self._of_host(host, domain, records.get(host.name, _NO_DANE), policy, override) for host in route.hosts
        ]
        return _joined(route, decided, tls=override or (TlsMode.VERIFY if _is_enforced(policy) else route.tls))

    def configured(self, domain: str) -> TlsMode | None:
        """Say what `[[tls.domain]]` asks for; None when it says nothing of this domain."""
        best = ""
        mode: TlsMode | None = None
        for each in self._settings.domain:
            name = each.name.lower()
            fits = domain.endswith(name[1:]) if name.startswith("*.") else domain == name
            if fits and len(name) >= len(best):
                best, mode = name, TlsMode(each.mode)
        return mode

    def _of_host(
        self, host: Host, domain: str, tlsa: Lookup, policy: StsPolicy | None, override: TlsMode | None
    ) -> Host | _LeftOut:
        if tlsa.verdict is Verdict.FAILED:
            return _LeftOut(host, f"the TLSA records of {host.name} could not be looked up: {tlsa.text}")
        if tlsa.verdict is Verdict.FOUND:
            return replace(host, protection=_by_records(tlsa, host, domain))
        if override is TlsMode.DANE:
            return _LeftOut(host, f"our settings for {domain} ask for DANE, and {host.name} has no secure TLSA records")
        if policy is None:
            return host
        because = f"the MTA-STS policy of {domain}"
        if policy.allows(host.name):
            mode = TlsMode.VERIFY if _is_enforced(policy) else TlsMode.TESTING
            return replace(host, protection=Protection(mode=mode, because=because))
        if _is_enforced(policy):
            return _LeftOut(host, f"{host.name} is not among the mail servers that {because} names")
        would = f"{because} (testing), which would have refused {host.name}"
        return replace(host, protection=Protection(mode=TlsMode.MAY, because=would))

    async def _tlsa_of(self, hosts: Sequence[Host], domain: str) -> dict[str, Lookup]:
        """Look up the TLSA records of those hosts to which all of DNS is secure; only these are in the answer."""
        if not self._resolver.is_trusted or not self._is_secure(domain, ("MX", "A", "AAAA")):
            return {}
        ports = {host.name: host.port for host in hosts if self._is_secure(host.name, ("A", "AAAA"))}
        found = await asyncio.gather(
            *(self._resolver.lookup(f"_{port}._tcp.{name}", "TLSA") for name, port in ports.items())
        )
        return {
            name: lookup
            for name, lookup in zip(ports, found, strict=True)
            if lookup.verdict is Verdict.FAILED or (lookup.verdict is Verdict.FOUND and lookup.is_secure)
        }

    def _is_secure(self, name: str, kinds: tuple[str, ...]) -> bool:
        """Tell whether what is known of a name is secure; the first kind that was found decides."""
        for kind in kinds:
            known = self._resolver.known(name, kind)
            if known is not None and known.verdict is Verdict.FOUND:
                return known.is_secure
        return False


def _is_enforced(policy: StsPolicy | None) -> bool:
    return policy is not None and policy.mode is StsMode.ENFORCE


def _by_records(lookup: Lookup, host: Host, domain: str) -> Protection:
    records = [
        Tlsa(usage=each.usage, selector=each.selector, matching=each.mtype, data=each.cert)
        for each in cast("tuple[TLSA, ...]", lookup.records)
    ]
    usable = tuple(record for record in records if record.is_usable)
    if not usable:
        return Protection(mode=TlsMode.ENCRYPT, because="its TLSA records, none of which can be used")
    return Protection(mode=TlsMode.DANE, because="its TLSA records", tlsa=usable, names=(host.name, domain))


def _joined(route: Route, decided: Sequence[Host | _LeftOut], *, tls: TlsMode) -> Route:
    hosts = tuple(each for each in decided if isinstance(each, Host))
    if hosts:
        return replace(route, hosts=hosts, tls=tls)
    reasons = dict.fromkeys(each.reason for each in decided if isinstance(each, _LeftOut))
    text = "nothing sent, because no server may take it: " + "; ".join(list(reasons)[:3])
    failure = Reply(stage=Stage.STARTTLS, code=None, enhanced="4.7.10", text=text)
    return replace(route, hosts=(), tls=tls, failure=failure)
