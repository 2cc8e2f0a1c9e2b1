"""Several nodes on one PostgreSQL: what is promised survives a node, a cut cable and the database's restart.

Setup: a PostgreSQL of the test's own, two nodes as on two machines, one recipient's server with synced receipts.
Test:  load on both -> the fault -> everything promised has arrived, copies only where a sending was interrupted.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bench.cluster import DOMAIN, Place, hand_over, place, rows_of
from bench.postgres_server import PostgresServer
from relay.settings import HostPort
from relay.store.log import LogRow
from tests.support.cable import Cable
from tests.support.ledger import LedgerClient, Promise, read_arrivals
from tests.support.peers import ACCEPTS, Background, FakeDns, FakeMx, Records, Step, Temper

OTHER_DOMAIN = "others.example"
QUICK = replace(ACCEPTS, name="a moment", delays={Step.FINAL: 0.05})


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What the nodes need, and where their mail arrives."""

    server: PostgresServer
    mx: FakeMx
    dns: HostPort
    folder: Path

    def start(self, stack: ExitStack, name: str, *, url: str = "", connections: int = 20) -> Place:
        made = place(
            self.folder / name,
            name,
            url=url or self.server.url,
            dns=self.dns,
            mx_port=self.mx.port,
            connections=connections,
        )
        stack.enter_context(made.node)
        made.node.wait_greeting(made.smtp)
        return made

    def copies(self) -> Counter[str]:
        return Counter(to for each in list(self.mx.received) for to in each.recipients)

    def wait_arrived(self, promises: Sequence[Promise], *, seconds: float) -> None:
        wanted = {promise.to for promise in promises}
        until(lambda: wanted <= self.copies().keys(), seconds=seconds, what="everything promised has arrived")


@contextmanager
def world(server: PostgresServer, folder: Path, temper: Temper = QUICK) -> Iterator[World]:
    zone = {domain: Records(mx=((10, f"mx.{DOMAIN}"),)) for domain in (DOMAIN, OTHER_DOMAIN)}
    zone[f"mx.{DOMAIN}"] = Records(a=("127.0.0.1",))
    with Background() as background:
        mx = background.enter(FakeMx(temper, ledger=folder / "receipts", is_keeping_content=False))
        dns = background.enter(FakeDns(zone))
        yield World(server=server, mx=mx, dns=dns.address, folder=folder)


def until(is_true: Callable[[], bool], *, seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.1)


def ended(server: PostgresServer, promises: Sequence[Promise]) -> list[LogRow]:
    """Wait until the log says that all has ended, and check that it says so of every promise."""

    def all_ended() -> bool:
        return server.execute("SELECT count(*) FROM delivery WHERE next_at IS NOT NULL") == [(0,)]

    until(all_ended, seconds=60, what="an empty queue")
    rows = server.execute("SELECT message_id FROM delivery WHERE status = 'delivered'")
    assert {promise.relay_id for promise in promises} <= {row[0] for row in rows}
    return rows_of(server.url)


def doubled_without_a_mark(folder: Path, server: PostgresServer) -> list[str]:
    arrivals = read_arrivals(folder / "receipts")
    marked = {row[0] for row in server.execute("SELECT address FROM delivery WHERE is_unknown = 1")}
    return [to for (_, to), count in arrivals.items() if count > 1 and to not in marked]


def load(address: HostPort, path: Path, *, domain: str = DOMAIN) -> LedgerClient:
    client = LedgerClient(address, path, domain=domain)
    client.start(sessions=1)
    return client


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_killed_nodes_mail_is_taken_over_within_a_minute(own_postgres: PostgresServer, tmp_path: Path) -> None:
    with world(own_postgres, tmp_path, replace(QUICK, delays={Step.FINAL: 0.3})) as there, ExitStack() as stack:
        one, two = (there.start(stack, name, connections=4) for name in ("node-1", "node-2"))
        hand_over(one.smtp, range(40))
        until(lambda: len(there.mx.received) >= 4, seconds=30, what="node 1 or 2 delivers")
        promised = hand_over(one.smtp, range(40, 60))
        one.node.kill()
        killed_at = time.monotonic()
        promised += hand_over(two.smtp, range(60, 65))
        until(lambda: len(there.copies()) == 65, seconds=60, what="all 65 within a minute")
        assert time.monotonic() - killed_at < 60
        until(
            lambda: own_postgres.execute("SELECT count(*) FROM delivery WHERE next_at IS NOT NULL") == [(0,)],
            seconds=20,
            what="an empty queue",
        )
        assert {row.status.value for row in rows_of(own_postgres.url)} == {"delivered"}
        assert doubled_without_a_mark(tmp_path, own_postgres) == []
        shown = two.node.ask("nodes", "--json").stdout
        assert shown.count('"node-2.relay.example"') == 2
        assert '"node": "node-1.relay.example", "role": "delivery"' not in shown


@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restart", "crash"])
def test_a_restart_of_the_database_loses_and_doubles_nothing(
    own_postgres: PostgresServer, tmp_path: Path, how: signal.Signals
) -> None:
    with world(own_postgres, tmp_path) as there, ExitStack() as stack:
        node = there.start(stack, "node-1")
        client = load(node.smtp, tmp_path / "promises")
        until(lambda: len(there.mx.received) >= 20, seconds=30, what="mail flows")
        own_postgres.stop(how=how)
        time.sleep(1)
        own_postgres.start()
        before = len(there.mx.received)
        until(lambda: len(there.mx.received) >= before + 20, seconds=40, what="mail flows again by itself")
        promises = client.stop()
        there.wait_arrived(promises, seconds=60)
        ended(own_postgres, promises)
        assert doubled_without_a_mark(tmp_path, own_postgres) == []


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_node_that_was_cut_off_neither_loses_mail_nor_sends_what_others_took(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    with (
        world(own_postgres, tmp_path) as there,
        Cable(own_postgres.port) as cable,
        ExitStack() as stack,
    ):
        url = f"postgresql://waybill@127.0.0.1:{cable.port}/waybill"
        far = there.start(stack, "node-1", url=url)
        near = there.start(stack, "node-2")
        clients = [
            load(far.smtp, tmp_path / "promises-1"),
            load(near.smtp, tmp_path / "promises-2", domain=OTHER_DOMAIN),
        ]
        until(lambda: len(there.mx.received) >= 40, seconds=40, what="mail flows")
        cable.cut()
        until(lambda: "node_cut_off" in far.node.log_tail(2000), seconds=40, what="the node notices")
        until(
            lambda: own_postgres.execute("SELECT count(*) FROM node WHERE role = 'delivery'") == [(1,)],
            seconds=40,
            what="it is buried",
        )
        cable.mend()
        until(lambda: "node_back" in far.node.log_tail(2000), seconds=60, what="it is back")
        promises = [promise for client in clients for promise in client.stop()]
        there.wait_arrived(promises, seconds=60)
        ended(own_postgres, promises)
        assert doubled_without_a_mark(tmp_path, own_postgres) == []


@pytest.mark.timeout(120)
def test_two_nodes_together_keep_to_one_sites_limit(own_postgres: PostgresServer, tmp_path: Path) -> None:
    slow = replace(QUICK, delays={Step.FINAL: 0.2})
    with world(own_postgres, tmp_path, slow) as there, ExitStack() as stack:
        nodes = [there.start(stack, name, connections=3) for name in ("node-1", "node-2")]
        for number, node in enumerate(nodes):
            hand_over(node.smtp, range(number * 100, number * 100 + 40))
        until(lambda: len(there.copies()) == 80, seconds=60, what="all arrived")
        assert there.mx.most_open <= 3
        owners = own_postgres.execute("SELECT count(DISTINCT mx) FROM attempt")
        assert owners == [(1,)]
