"""Several nodes on one PostgreSQL: they keep to one site's limits together, and outlive the database's restart.

Setup: a PostgreSQL of the test's own, nodes as on machines of their own, recipients' servers with synced receipts.
Test:  load on the nodes -> what the recipients' servers saw, and what the one log says.

What kills a node or cuts it off takes its minute and is in test_cluster_faults.py.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bench.cluster import Place
from bench.postgres_server import PostgresServer
from tests.support.cluster import QUICK, Cluster, cluster, promises_of, until, until_none
from tests.support.ledger import LedgerClient
from tests.support.peers import Step
from tests.support.peers import temper as tempers

#: Of the sites in the test of limits, by the number of their domain.
CROWDED, MEASURED, ANGRY = 0, 1, 2


@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restart", "crash"])
def test_a_restart_of_the_database_loses_and_doubles_nothing(
    own_postgres: PostgresServer, tmp_path: Path, how: signal.Signals
) -> None:
    with cluster(own_postgres, tmp_path, count=1) as there, ExitStack() as stack:
        node = there.start(stack, "node-1")
        client = there.load(node, 0)
        until(lambda: there.there.arrived >= 20, what="mail flows")
        own_postgres.stop(how=how)
        time.sleep(1)
        own_postgres.start()
        before = there.there.arrived
        until(lambda: there.there.arrived >= before + 20, what="mail flows again by itself")
        found = there.finish(client.stop())
        assert found.faults == {}
        assert found.duplicates == 0


@pytest.mark.timeout(240)
def test_two_nodes_keep_to_one_sites_limits_and_back_off_together(own_postgres: PostgresServer, tmp_path: Path) -> None:
    slow = replace(QUICK, delays={Step.FINAL: 0.1})
    with cluster(own_postgres, tmp_path, slow, count=3) as there, ExitStack() as stack:
        domains, servers = there.there.domains, there.there.servers
        sites = [{"match": domains[CROWDED], "connections": 3}, {"match": domains[MEASURED], "rate": "4/4s"}]
        nodes = [there.start(stack, name, sites=sites, retry=["12s"]) for name in ("node-1", "node-2")]
        first = [load(there, at, to=CROWDED) for at in nodes]
        there.wait_joined("node-1", "node-2")
        promises_of(first)
        for at in nodes:  # with the whole of its limits each would open three, and send four at once
            send(there, at, 30, to=CROWDED)
            send(there, at, 4, to=MEASURED)
        servers[ANGRY].temper = replace(tempers.RATE_LIMITED, lasts=1)  # only the first to connect hears of it
        clients = [load(there, at, to=ANGRY) for at in nodes]
        quiet_from, quiet_to = both_back_off(there, nodes)
        until(lambda: there.query("SELECT count(*) FROM site") == [(0,)], what="the site recovers")
        promises_of(clients)
        until_none(there.waiting, what="deliveries did not end")

        assert servers[CROWDED].most_open <= 3
        assert quiet_to - quiet_from > timedelta(seconds=1), "too short to prove anything"
        assert [mail.number for mail in servers[ANGRY].received if quiet_from < mail.at < quiet_to] == []
        begun = begun_at(there, domains[MEASURED])
        assert len(begun) == 8
        assert min(later - earlier for earlier, later in zip(begun, begun[4:], strict=False)) > timedelta(seconds=2)
        assert there.query("SELECT DISTINCT status FROM delivery") == [("delivered",)]


def client_of(there: Cluster, at: Place, to: int) -> LedgerClient:
    path = there.folder / f"promises-{at.folder.name}-{to}-{time.monotonic_ns()}"
    return LedgerClient(at.smtp, path, domain=there.there.domains[to], pause=0.1)


def load(there: Cluster, at: Place, *, to: int) -> LedgerClient:
    client = client_of(there, at, to)
    client.start(sessions=1)
    return client


def send(there: Cluster, at: Place, count: int, *, to: int) -> None:
    client = client_of(there, at, to)
    client.send(count)
    client.stop()


def both_back_off(there: Cluster, nodes: Sequence[Place]) -> tuple[datetime, datetime]:
    """Wait until both nodes leave the site alone; say from when to when nothing may come there."""
    words = re.compile("site-backs-off|site_backs_off_with_others")
    until(lambda: all(words.search(each.node.log.read_text()) for each in nodes), what="both back off")
    heard_at = datetime.now(UTC) + timedelta(seconds=1)  # what had begun before may end
    ((until_at,),) = there.query("SELECT until_at FROM site")
    return heard_at, until_at


def begun_at(there: Cluster, domain: str) -> list[datetime]:
    """When each delivery for a domain was first tried."""
    sql = """SELECT d.domain, min(a.started_at) FROM attempt a JOIN delivery d ON d.id = a.delivery_id
             GROUP BY d.domain, d.id ORDER BY 2"""
    return [started_at for of_domain, started_at in there.query(sql) if of_domain == domain]
