"""Carry one transaction to the hosts of its site: reuse the open session, else connect to one host after another.

Policy: a session is reused while it is usable, was opened with the same protection and credentials to one of the hosts
that the mail may go to, and has carried fewer than `messages_per_connection`. A reused connection that turns out dead
before the server said anything about this mail is no failure of the site: the transaction goes over a new one at once.
A host that fails before MAIL, or closes at MAIL, is followed by the next address and then by the next MX in the same
attempt (RFC 5321 5.1); no other host is asked once a server spoke about the mail itself. Only where it refused the mail
for having come over IPv6, the same host is asked over IPv4 at once, and for a day no more over IPv6 (ipv6_refusal.py).
It fills `Transaction.results` and judges nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.delivery.contract import Connector, Credentials, Envelope, Host, HostResult, Session, TlsMode
from relay.delivery.hosts import DeadHosts, Ipv6Refusals
from relay.delivery.ipv6_refusal import is_all_about_ipv6
from relay.delivery.site import Site
from relay.delivery.transaction import Transaction
from relay.model import Stage

_DANE_EE = 3  #: the TLSA usage that looks at no name


@dataclass(frozen=True, slots=True)
class Connection:
    """An open session with what it was opened for."""

    session: Session
    tls: TlsMode
    credentials: Credentials | None
    host: Host

    def fits(self, transaction: Transaction, site: Site) -> bool:
        """Tell whether the transaction may travel on it."""
        return (
            self.session.is_usable
            and self.session.sent_count < site.limits.messages_per_connection
            and self.tls is transaction.route.tls
            and self.credentials == transaction.route.credentials
            and any(_is_as_protected(host, self.host) for host in transaction.route.hosts)
        )


class Carrier:
    """Opens sessions and runs transactions on them."""

    def __init__(
        self,
        connector: Connector,
        dead: DeadHosts,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._connector = connector
        self._dead = dead
        self._clock = clock
        self._monotonic = monotonic
        self._is_stopped = False
        self._no_ipv6 = Ipv6Refusals()

    def stop(self) -> None:
        """Begin no further connection."""
        self._is_stopped = True

    async def reuse(self, connection: Connection, transaction: Transaction, *, envelope: Envelope) -> bool:
        """Run the transaction on an open connection; False when it must go over a new one."""
        result = await connection.session.deliver(envelope)
        transaction.results.append(result)
        if self._is_refused_for_ipv6(result, transaction):
            return False
        if not (result.is_reused and _is_closed_at_mail(result)):
            return True
        transaction.earlier = len(transaction.results)
        return False

    async def carry(
        self,
        transaction: Transaction,
        *,
        envelope: Callable[[], Awaitable[Envelope]],
        opened: Callable[[Connection], None],
    ) -> None:
        """Try the hosts of the route in order until one speaks about the mail; `opened` hears of each session."""
        route = transaction.route
        hosts = list(self._hosts(transaction))
        while hosts:
            host = hosts.pop(0)
            self._dead.begin(host, mono=self._monotonic())
            got = await self._connector.connect(host, tls=route.tls, credentials=route.credentials)
            if isinstance(got, HostResult):
                transaction.results.append(got)
                self._dead.note(got, mono=self._monotonic())
                self._is_refused_for_ipv6(got, transaction)
                continue
            self._dead.forget(host)
            opened(Connection(got, route.tls, route.credentials, host))
            result = await got.deliver(await envelope())
            transaction.results.append(result)
            if self._is_refused_for_ipv6(result, transaction) and not self._is_stopped:
                instead = [each for each in route.hosts if each.name == host.name and ":" not in each.ip]
                hosts = [*instead, *(each for each in hosts if each.name != host.name)]
                got.abort()
                continue
            if self._is_stopped or not (result.is_host_failure or _is_closed_at_mail(result)):
                return
            got.abort()

    def _is_refused_for_ipv6(self, result: HostResult, transaction: Transaction) -> bool:
        """Tell whether it was refused for having come over IPv6, and the same host can be reached over IPv4."""
        if ":" not in result.host.ip or not is_all_about_ipv6(result.replies.values()):
            return False
        self._no_ipv6.note(result.host, mono=self._monotonic())
        return any(host.name == result.host.name and ":" not in host.ip for host in transaction.route.hosts)

    def _hosts(self, transaction: Transaction) -> Sequence[Host]:
        hosts = self._no_ipv6.without(transaction.route.hosts, mono=self._monotonic())
        candidates = self._dead.candidates(hosts, mono=self._monotonic())
        if candidates or transaction.is_probe:
            return candidates or hosts
        transaction.results += self._dead.recall(hosts, now=self._clock())
        return ()


def _is_as_protected(wanted: Host, opened: Host) -> bool:
    """Tell whether a connection to `opened` is one to `wanted`, protected in the way that is asked for."""
    if (wanted.name, wanted.port, wanted.sources) != (opened.name, opened.port, opened.sources):
        return False
    asked, had = wanted.protection, opened.protection
    if asked is None or had is None:
        return asked is had
    if (asked.mode, asked.tlsa) != (had.mode, had.tlsa):
        return False
    return asked.names == had.names or all(record.usage == _DANE_EE for record in asked.tlsa)


def _is_closed_at_mail(result: HostResult) -> bool:
    """Tell whether the server went away (silence or 421) before it said anything about this mail."""
    return not result.is_unknown and all(
        reply.stage is Stage.MAIL and reply.code in (None, 421) for reply in result.replies.values()
    )
