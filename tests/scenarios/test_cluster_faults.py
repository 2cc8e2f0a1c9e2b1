"""A node that dies or loses its database, under load: nothing is lost, and a copy only where a sending was broken off.

Setup: a PostgreSQL of the test's own, two nodes as on two machines (in network namespaces where the kernel allows it),
       recipients' servers and apps with synced ledgers.
Test:  load on both -> the fault -> the audit of what was promised, what arrived and what the one log says.
"""

from __future__ import annotations

import smtplib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cluster import Place
from bench.postgres_server import PostgresServer
from tests.conftest import started
from tests.support.cable import Cable
from tests.support.cluster import QUICK, Cluster, cluster, promises_of, until
from tests.support.hosts import DATABASE, MAIL, apart
from tests.support.peers import Step

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CONNECTIONS = 4  #: to a site, of both nodes together


def test_a_killed_nodes_mail_is_taken_over_within_a_minute(own_postgres: PostgresServer, tmp_path: Path) -> None:
    slow = replace(QUICK, delays={Step.FINAL: 0.2})
    with cluster(own_postgres, tmp_path, slow) as there, ExitStack() as stack:
        one, two = (there.start(stack, name, connections=CONNECTIONS) for name in ("node-1", "node-2"))
        clients = [there.load(at, number, pause=0.1) for number, at in enumerate((one, two))]
        there.wait_joined("node-1", "node-2")
        until(lambda: len(there.leased_by("node-1")) > 1, what="node 1 has something under way")
        one.node.kill()
        killed_at = time.monotonic()
        left = there.leased_by("node-1")
        until(lambda: not there.leased_by("node-1"), what="its leases are taken over")
        until(lambda: not there.open_among(left), what="what it had begun has ended")
        assert time.monotonic() - killed_at < 60
        found = there.finish(promises_of(clients))
        assert found.faults == {}, "nothing lost, no copy without a mark or beyond one for each interruption"
        # Two sites, half of the connections each: on each one mail being sent, and one whose result was not stored yet.
        assert found.duplicates <= 2 * CONNECTIONS // 2 * 2
        assert there.copied() <= left, "only what it had in its hands may arrive twice"
        shown = two.node.ask("nodes").stdout.splitlines()
        assert sum("node-2.relay.example" in line for line in shown) == 2
        assert not any("node-1" in line and "delivery" in line for line in shown)


def test_a_node_that_was_cut_off_neither_loses_mail_nor_sends_what_others_took(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    with cluster(own_postgres, tmp_path) as there, Cable(own_postgres.port) as cable, ExitStack() as stack:
        far = there.start(stack, "node-1", url=f"postgresql://waybill@127.0.0.1:{cable.port}/waybill")
        near = there.start(stack, "node-2")
        with cut_off(there, far, near, cut=cable.cut, mend=cable.mend):
            pass


def test_a_machine_whose_link_to_the_database_is_down_comes_back_by_itself(tmp_path: Path) -> None:
    with (
        apart() as net,
        started(host=DATABASE) as server,
        cluster(server, tmp_path, network=MAIL) as there,
        ExitStack() as stack,
    ):
        places = [net.add(number) for number in (1, 2)]
        far, near = (
            there.start(stack, name, host=host, enter=enter)
            for name, (host, enter) in zip(("node-1", "node-2"), places, strict=True)
        )
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE client_addr = '10.81.1.2'"
        with cut_off(there, far, near, cut=lambda: net.cut(1), mend=lambda: net.mend(1)):
            until(lambda: there.query(sessions) == [(0,)], what="the server lets go of the lost node's sessions")
            until(lambda: says_no(far), what="the lost node refuses mail for now")


@contextmanager
def cut_off(
    there: Cluster, far: Place, near: Place, *, cut: Callable[[], None], mend: Callable[[], None]
) -> Iterator[None]:
    """Load both, cut one off until it is buried, run the block, let it come back, and look at everything."""
    clients = [there.load(at, number) for number, at in enumerate((far, near))]
    there.wait_joined("node-1", "node-2")
    cut()
    until(lambda: "node_cut_off" in far.node.log.read_text(), what="the node notices")
    there.wait_buried(left=1)
    yield
    mend()
    until(lambda: "node_back" in far.node.log.read_text(), what="it is back")
    before = len(there.taken_from("node-1"))
    until(lambda: len(there.taken_from("node-1")) > before, what="it delivers again")
    found = there.finish(promises_of(clients))
    assert found.faults == {}, "nothing lost, no copy without a mark or beyond one for each interruption"


def says_no(place: Place) -> bool:
    """Tell whether a node answers mail with "later"."""
    with smtplib.SMTP(place.smtp.host, place.smtp.port, timeout=30) as client:
        client.ehlo()
        return client.mail("desk@hotel.example")[0] == 451
