"""Killed in the middle of each durable step: the N-th sync, the N-th write, the N-th answer.

Setup: strace ends the process with SIGKILL at exactly that system call; the store is the same all the time, so every
       start is a restart on what the crash before it left.
Test:  one mail after the other until the process is dead, for every point -> at the end a healthy delivery -> audit.

By default every sixth point; WAYBILL_POINTS=all takes each (`make kill-test`).
"""

from __future__ import annotations

import os
import smtplib
from pathlib import Path

import pytest

from relay.demo.node import Node, NodeFailed
from tests.support.audit import audit
from tests.support.destinations import destinations
from tests.support.ledger import LedgerClient
from tests.support.peers import wait_until
from tests.support.process import config_file, running
from tests.support.trace import hurt, plain

STEP = 1 if os.environ.get("WAYBILL_POINTS") == "all" else 6

#: What is counted, in each thread by itself, and the numbers at which the process dies.
SYNCS = ("fsync,fdatasync", range(1, 7))
WRITES = ("pwrite64", range(1, 37, 2))
ANSWERS = ("write,writev,sendto,sendmsg", range(4, 28, 2))


def points(*kinds: tuple[str, range]) -> list[tuple[str, int]]:
    return [(calls, number) for calls, numbers in kinds for number in numbers[::STEP]]


@pytest.mark.timeout(400)
def test_intake_killed_in_any_step_of_accepting_loses_nothing_promised(tmp_path: Path) -> None:
    with destinations(tmp_path, count=1) as there:
        config = config_file(tmp_path, mx_port=there.port, dns=there.dns)
        client = LedgerClient(config.smtp, tmp_path / "promises", domain=there.domains[0])
        with Node(config.path, command="deliver") as delivery:
            wait_until((config.data_dir / "wake.sock").exists)
            survived = []
            for calls, number in points(SYNCS, WRITES, ANSWERS):
                argv = hurt(calls, f"signal=SIGKILL:when={number}", plain(config, "intake"))
                with Node(config.path, command="intake", argv=argv) as intake:
                    try:
                        intake.wait_greeting(config.smtp)
                        client.send(20)
                        survived.append((calls, number))
                    except (NodeFailed, OSError, smtplib.SMTPException):
                        pass  # that is the point
            promises = client.stop()
            there.wait_for(promises)
            found = audit(promises, receipts=there.receipts, data_dir=config.data_dir)
            assert delivery.pid is not None
    assert survived == [], "these points were never reached"
    assert found.faults == {}
    assert (found.delivered, found.duplicates) == (found.promised, 0)


@pytest.mark.timeout(400)
def test_delivery_killed_in_any_step_of_delivering_loses_nothing_and_marks_every_copy(tmp_path: Path) -> None:
    with destinations(tmp_path, count=1) as there:
        config = config_file(tmp_path, mx_port=there.port, dns=there.dns)
        client = LedgerClient(config.smtp, tmp_path / "promises", domain=there.domains[0])
        crashes = 0
        with running(config, command="intake"):
            for calls, number in points(SYNCS, WRITES, ANSWERS):
                client.send(2)
                argv = hurt(calls, f"signal=SIGKILL:when={number}", plain(config, "deliver"))
                with Node(config.path, command="deliver", argv=argv) as delivery:
                    sent = client.promised
                    wait_until(lambda node=delivery, sent=sent: node.pid is None or there.arrived >= sent)  # type: ignore[misc]
                    client.send(3)  # a second group of commits, for the points beyond the first
                    wait_until(lambda node=delivery, sent=sent: node.pid is None or there.arrived >= sent + 3)  # type: ignore[misc]
                    crashes += delivery.pid is None
            promises = client.stop()
            with Node(config.path, command="deliver"):
                there.wait_for(promises)
            found = audit(promises, receipts=there.receipts, data_dir=config.data_dir)
    assert crashes >= 5, "hardly any point was reached"
    assert found.faults == {}
    assert found.delivered == found.promised
    assert found.duplicates <= found.interruptions
