"""Several relay nodes on one PostgreSQL, the recipients' servers they share, and apps that hand mail to each.

`with cluster(server, folder) as there:` runs the recipients' servers; `there.start(stack, "node-1")` a node with a
folder, a configuration and processes of its own, as on a machine of its own. `there.audit` compares what was promised,
what arrived and what the one log says of it.

Waiting ends when nothing moves any more, never because the machine is slow: all that is waited for here goes on by
itself within a minute or so (a lease, a burial, mail that came back to a full site).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.cluster import Place, place
from bench.postgres_server import PostgresServer
from tests.support.audit import Audit, audit
from tests.support.destinations import Destinations, destinations
from tests.support.ledger import LedgerClient, Promise
from tests.support.peers import ACCEPTS, Received, Step, Temper

#: Longer than anything waits on purpose: leases run out after 60 s, and so comes back what a full site sent away.
STANDSTILL = 80.0

QUICK = replace(ACCEPTS, name="a moment", delays={Step.FINAL: 0.05})


def until(is_true: Callable[[], bool], *, seconds: float = 60.0, what: str) -> None:
    """Wait until something has come true."""
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.1)


def until_none(count: Callable[[], int], *, what: str) -> None:
    """Wait until a number has come down to zero, as long as it moves."""
    last, moved_at = -1, time.monotonic()
    while left := count():
        if left != last:
            last, moved_at = left, time.monotonic()
        assert time.monotonic() - moved_at < STANDSTILL, f"{left} {what} for {STANDSTILL:.0f} s"
        time.sleep(0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What the nodes share."""

    server: PostgresServer
    there: Destinations
    folder: Path

    def start(self, stack: ExitStack, name: str, *, url: str = "", **more: Any) -> Place:
        """Start a node and wait until it takes mail."""
        made = place(
            self.folder / name, name, url=url or self.server.url, dns=self.there.dns, mx_port=self.there.port, **more
        )
        stack.enter_context(made.node)
        made.node.wait_greeting(made.smtp, timeout=60)
        return made

    def load(self, at: Place, number: int, *, pause: float = 0.02) -> LedgerClient:
        """Begin to hand mail for one domain to a node, well below what the nodes can send."""
        client = LedgerClient(
            at.smtp, self.folder / f"promises-{number}", domain=self.there.domains[number], pause=pause
        )
        client.start(sessions=1)
        return client

    def taken_from(self, name: str) -> list[str]:
        """The recipients whose mail came from one node, by the name in its EHLO."""
        helo = f"{name}.relay.example"
        return [to for each in self._received() if each.helo == helo for to in each.recipients]

    def _received(self) -> list[Received]:
        return [mail for server in self.there.servers for mail in list(server.received)]

    def copied(self) -> set[str]:
        """The recipients who got more than one copy."""
        taken = Counter(to for each in self._received() for to in each.recipients)
        return {to for to, count in taken.items() if count > 1}

    def leased_by(self, name: str) -> set[str]:
        """The recipients whose mail a node has in its hands."""
        rows = self.query("SELECT address, lease_owner FROM delivery WHERE lease_owner IS NOT NULL")
        return {to for to, owner in rows if owner.startswith(f"{name}.")}

    def open_among(self, recipients: Set[str]) -> set[str]:
        """Those of the recipients whose delivery has not ended."""
        return set(recipients) & {to for (to,) in self.query("SELECT address FROM delivery WHERE next_at IS NOT NULL")}

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.server.execute(sql)

    def waiting(self) -> int:
        """How many deliveries have not ended."""
        return int(self.query("SELECT count(*) FROM delivery WHERE next_at IS NOT NULL")[0][0])

    def wait_joined(self, *names: str) -> None:
        """Wait until these nodes share the work: each has sent something."""
        until(lambda: all(self.taken_from(name) for name in names), what=f"{' and '.join(names)} deliver")

    def wait_buried(self, *, left: int) -> None:
        """Wait until no more than so many delivery processes count as alive."""
        sql = "SELECT count(*) FROM node WHERE role = 'delivery'"
        until(lambda: self.query(sql) == [(left,)], what=f"{left} delivery processes are left")

    def finish(self, promises: Sequence[Promise]) -> Audit:
        """Let everything arrive and end, and compare."""
        until_none(lambda: len(self.there.missing(promises)), what="promised mails did not arrive")
        until_none(self.waiting, what="deliveries did not end")
        return audit(promises, receipts=self.there.receipts, data_dir=self.folder, url=self.server.socket_url)


@contextmanager
def cluster(
    server: PostgresServer, folder: Path, temper: Temper = QUICK, *, count: int = 2, network: str = "127.0.1"
) -> Iterator[Cluster]:
    """Run the recipients' servers, so many with one domain each."""
    with destinations(folder, count=count, network=network) as there:
        there.behave(temper)
        yield Cluster(server=server, there=there, folder=folder)


def promises_of(clients: Sequence[LedgerClient]) -> list[Promise]:
    """End the load; give all that was promised."""
    return [promise for client in clients for promise in client.stop()]
