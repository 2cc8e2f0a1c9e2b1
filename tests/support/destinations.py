"""A few guests' domains, each with its own mail server that keeps synced receipts, and the name server that finds them.

`with destinations(folder) as there:` runs them in a background loop on loopback until the block ends; nothing that
happens to a relay touches them. All listen on one port, which is the relay's delivery port.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from relay.settings import HostPort
from tests.support.audit import ReceiptMx
from tests.support.ledger import Promise
from tests.support.peers import Background, FakeDns, Records, Temper


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """Where the mail goes."""

    domains: tuple[str, ...]
    servers: tuple[ReceiptMx, ...]
    receipts: tuple[Path, ...]
    dns: HostPort
    port: int

    @property
    def arrived(self) -> int:
        """How many mails the servers have taken, copies included."""
        return sum(len(server.received) for server in self.servers)

    def behave(self, temper: Temper) -> None:
        """Make every server behave so from now on."""
        for server in self.servers:
            server.temper = temper

    def missing(self, promises: Iterable[Promise]) -> set[str]:
        """Name the promised recipients that have nothing yet."""
        taken = {to for server in self.servers for mail in server.received for to in mail.recipients}
        return {promise.to for promise in promises} - taken

    def wait_for(self, promises: Sequence[Promise], *, timeout: float = 60.0) -> None:
        """Wait until all of these have arrived, or no longer; what is missing then is for the audit to judge."""
        end = time.monotonic() + timeout
        while self.missing(promises) and time.monotonic() < end:
            time.sleep(0.05)


@contextmanager
def destinations(folder: Path, *, count: int = 5, network: str = "127.0.1") -> Iterator[Destinations]:
    """Run so many domains with one mail server each; `network` is the part before the last dot of their addresses."""
    domains = tuple(f"guests{number}.example" for number in range(1, count + 1))
    receipts = tuple(folder / f"{domain}.receipts" for domain in domains)
    zone: dict[str, Records] = {}
    servers: list[ReceiptMx] = []
    with Background() as world:
        for number, (domain, receipt) in enumerate(zip(domains, receipts, strict=True), start=1):
            host = f"{network}.{number}"
            port = servers[0].port if servers else 0
            mx = ReceiptMx(host=host, port=port, hostname=f"mx.{domain}", ledger=receipt, is_keeping_content=False)
            servers.append(world.enter(mx))
            zone[domain] = Records(mx=((10, f"mx.{domain}"),))
            zone[f"mx.{domain}"] = Records(a=(host,))
        dns = world.enter(FakeDns(zone, host=f"{network}.1"))
        yield Destinations(
            domains=domains, servers=tuple(servers), receipts=receipts, dns=dns.address, port=servers[0].port
        )
