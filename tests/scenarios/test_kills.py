"""Killed with SIGKILL at any moment, under load, and nothing is lost.

Setup: 20 sessions hand mail to intake, five destinations take it, all keep synced ledgers outside the relay.
Test:  kill intake, delivery, or everything, again and again while the load goes on -> restart -> let the queue run
       empty -> every promise has arrived, copies only where a sending was interrupted, and the log says which.

40 kills by default; WAYBILL_KILLS sets another number (`make kill-test`: 1,000), WAYBILL_SEED other moments.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from relay.demo.node import Node
from tests.support.audit import Audit, audit
from tests.support.destinations import Destinations, destinations
from tests.support.ledger import LedgerClient
from tests.support.peers import ACCEPTS, Step, wait_until
from tests.support.process import ConfigFile, config_file, running

KILLS = int(os.environ.get("WAYBILL_KILLS", "40"))
SEED = os.environ.get("WAYBILL_SEED", "1")

#: Kills of one round; each round begins with an empty store.
ROUND = 60
#: Of the kills of a round, one in six ends everything at once; the others are intake's and delivery's in turn.
ALL_AT_ONCE = 6


def kill_again_and_again(node: Node, times: int, *, progress: Callable[[], int], rng: random.Random) -> None:
    """Kill a running node and start it again, mostly in the middle of its work, sometimes while it starts."""
    for _ in range(times):
        if rng.random() < 0.75:
            wanted = progress() + rng.randint(1, 60)
            wait_until(lambda wanted=wanted: progress() >= wanted, what=node.log_tail)  # type: ignore[misc]
        else:
            time.sleep(rng.uniform(0.0, 1.2))
        time.sleep(rng.uniform(0.0, 0.02))
        node.kill()
        node.start()


def load(config: ConfigFile, folder: Path, there: Destinations) -> LedgerClient:
    client = LedgerClient(config.smtp, folder / "promises", domains=there.domains, pause=0.1)
    client.start(sessions=20)
    return client


def finish(client: LedgerClient, folder: Path, *, there: Destinations, config: ConfigFile) -> Audit:
    """End the load, let everything arrive, and look. The nodes still run."""
    promises = client.stop()
    there.wait_for(promises)
    return audit(promises, receipts=there.receipts, data_dir=config.data_dir)


def parts_apart(folder: Path, kills: int, *, rng: random.Random) -> Audit:
    """Intake and delivery as two nodes, each killed on its own, both at the same time."""
    folder.mkdir(parents=True)
    with destinations(folder) as there:
        config = config_file(folder, mx_port=there.port, dns=there.dns)
        with Node(config.path, command="deliver") as delivery, running(config, command="intake") as intake:
            client = load(config, folder, there)
            with ThreadPoolExecutor(2) as threads:
                seeds = rng.random(), rng.random()
                killing = [
                    threads.submit(kill_again_and_again, node, share, progress=progress, rng=random.Random(seed))
                    for node, share, progress, seed in (
                        (intake, kills // 2, lambda: client.promised, seeds[0]),
                        (delivery, kills - kills // 2, lambda: there.arrived, seeds[1]),
                    )
                ]
            for each in killing:
                each.result()
            return finish(client, folder, there=there, config=config)


def all_at_once(folder: Path, kills: int, *, rng: random.Random) -> Audit:
    """`waybill serve` with all its processes, as a power switch would."""
    folder.mkdir(parents=True)
    with destinations(folder) as there:
        config = config_file(folder, mx_port=there.port, dns=there.dns)
        with running(config) as node:
            client = load(config, folder, there)
            kill_again_and_again(node, kills, progress=lambda: there.arrived, rng=rng)
            return finish(client, folder, there=there, config=config)


@pytest.mark.timeout(240 + 4 * KILLS)
def test_nothing_is_lost_by_any_number_of_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(SEED)
    total, done, number = Audit(), 0, 0
    began = time.monotonic()
    while done < KILLS:
        number += 1
        share = min(ROUND, KILLS - done)
        together = share // ALL_AT_ONCE
        total += parts_apart(tmp_path / f"{number}-apart", share - together, rng=rng)
        total += all_at_once(tmp_path / f"{number}-together", together, rng=rng)
        done += share
        with capsys.disabled():
            if KILLS > ROUND:
                print(f"\n{done} of {KILLS} kills, {time.monotonic() - began:.0f} s: {total}", end="", flush=True)
        assert total.faults == {}, f"seed {SEED}, round {number}"
    assert total.promised > 5 * KILLS, "the load was too small to prove anything"
    assert total.interruptions > 0, "no kill met a sending"
    assert total.duplicates <= total.interruptions
    print(f"{done} kills: {total}", file=sys.stderr)


def test_a_copy_is_told_as_such_when_delivery_died_before_it_knew_the_answer(tmp_path: Path) -> None:
    """The server has the mail and keeps its final answer back; delivery is killed; the restarted one sends again."""
    with destinations(tmp_path, count=1) as there:
        there.behave(replace(ACCEPTS, name="keeps its answer back", delays={Step.FINAL: float("inf")}))
        config = config_file(tmp_path, mx_port=there.port, dns=there.dns)
        with running(config, command="intake"), Node(config.path, command="deliver") as delivery:
            client = LedgerClient(config.smtp, tmp_path / "promises", domain=there.domains[0])
            client.send(1)
            promises = client.stop()
            there.wait_for(promises)
            delivery.kill()
            there.behave(ACCEPTS)
            delivery.start()
            wait_until(lambda: there.arrived == 2, what=delivery.log_tail)
            wait_until(lambda: delivery.log_rows()[0]["status"] == "delivered", what=delivery.log_tail)
            found = audit(promises, receipts=there.receipts, data_dir=config.data_dir)
            assert (found.faults, found.duplicates, found.interruptions) == ({}, 1, 1)
            shown = delivery.ask("show", promises[0].relay_id).stdout
            assert "outcome of an earlier try unknown, sent again" in shown
            assert "The process sending it stopped." in shown
