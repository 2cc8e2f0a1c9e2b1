"""The order of writes, syncs and 250: nothing is promised before it is on disk, and a power cut proves it.

Setup: strace records every write, sync and answer of one intake process while eight sessions hand it 250 mails.
Test:  each 250 begins after a sync that began after the last byte of that mail's transaction was in the log of the
       store; and the files rebuilt from what was synced, at many moments, hold every mail promised until then.
The same tests must fail for an intake with PRAGMA synchronous=NORMAL; that proves that they can.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from relay.store import log, open_store
from relay.store.verify import verify
from tests.support.ledger import LedgerClient
from tests.support.power import Disk, moments
from tests.support.process import config_file, running
from tests.support.trace import Call, plain, read_trace, recorded

MAILS = 250  #: enough for the log of the store to be copied back at least once
FEW_MAILS = 60

#: Moments at which the power is cut; each is looked at twice, with nothing unsynced kept and with a part of it.
CUTS = int(os.environ.get("WAYBILL_CUTS", "30"))

_ACK = re.compile(rb"250 2\.0\.0 queued as ([0-9A-Z]{26})")
_WAL_HEADER, _FRAME_HEADER = 32, 24

#: The relay, but with the promise of the disk taken away.
CARELESS = """
from relay.store import sqlite
prepare = sqlite._prepare
def careless(connection):
    prepare(connection)
    connection.execute("PRAGMA synchronous=NORMAL")
sqlite._prepare = careless
from relay.__main__ import main
main()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One traced run."""

    root: Path
    calls: tuple[Call, ...]


def record(folder: Path, *, mails: int = MAILS, is_careless: bool = False) -> Recording:
    """Trace an intake from its very first start, with data folder and store still to be made."""
    config = config_file(folder)
    argv = plain(config, "intake")
    if is_careless:
        argv = [sys.executable, "-c", CARELESS, *argv[3:]]
    with running(config, command="intake", argv=recorded(folder / "trace", argv)):
        client = LedgerClient(config.smtp, folder / "promises", size=40_000)
        client.start(sessions=8)
        end = time.monotonic() + 60
        while client.promised < mails and time.monotonic() < end:
            time.sleep(0.01)
        assert len(client.stop()) >= mails
    return Recording(root=folder, calls=tuple(read_trace(folder / "trace")))


@pytest.fixture(scope="module")
def durable(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return record(tmp_path_factory.mktemp("durable"))


@pytest.fixture(scope="module")
def careless(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return record(tmp_path_factory.mktemp("careless"), mails=FEW_MAILS, is_careless=True)


def acks(calls: Sequence[Call]) -> list[tuple[bytes, Call]]:
    return [(match[1], call) for call in calls for match in _ACK.finditer(call.data)]


def early_acks(calls: Sequence[Call]) -> list[bytes]:
    """Name the mails whose 250 began before their transaction was synced, or that were never written at all."""
    wal = [call for call in calls if call.path.endswith(".db-wal")]
    writes = [call for call in wal if call.name == "pwrite64"]
    syncs = [call for call in wal if call.is_sync]
    ends = _transaction_ends(writes)
    early = []
    for message_id, ack in acks(calls):
        first = next((index for index, call in enumerate(writes) if message_id in call.data), None)
        last = next((writes[end] for end in ends if first is not None and end >= first), None)
        if last is None or not any(last.ended < sync.began and sync.ended < ack.began for sync in syncs):
            early.append(message_id)
    return early


def _transaction_ends(writes: Sequence[Call]) -> list[int]:
    """Find the last write of each transaction: the page behind a frame header that names the size of the database."""
    page = max(len(call.data) for call in writes)
    return [
        index + (len(call.data) == _FRAME_HEADER)
        for index, call in enumerate(writes)
        if len(call.data) >= _FRAME_HEADER
        and call.number >= _WAL_HEADER
        and (call.number - _WAL_HEADER) % (page + _FRAME_HEADER) == 0
        and call.data[4:8] != bytes(4)
        and index + 1 < len(writes)
    ]


def losses(recording: Recording, folder: Path, *, cuts: int, seed: int) -> tuple[int, list[str]]:
    """Cut the power at so many moments; count the cuts, and name what was promised and is gone, or is damaged."""
    rng = random.Random(seed)
    disk = Disk(recording.root)
    faults: list[str] = []
    done = 0
    moments_left = moments(recording.calls, count=cuts, rng=rng)
    steps = sorted([(call.ended, 1, call) for call in recording.calls] + [(m, 0, None) for m in moments_left], key=_at)
    for moment, _, call in steps:
        if call is not None:
            disk.feed(call)
            continue
        promised = [message_id.decode() for message_id, ack in acks(recording.calls) if ack.began <= moment]
        for choice in (None, random.Random(rng.random())):
            target = folder / "disk"
            disk.cut(target, rng=choice)
            faults += [f"cut at {moment}: {fault}" for fault in _examine(target / "data", promised)]
            shutil.rmtree(target, ignore_errors=True)
            done += 1
    return done, faults


def _at(step: tuple[int, int, Call | None]) -> tuple[int, int]:
    return step[0], step[1]


def _examine(data: Path, promised: Sequence[str]) -> list[str]:
    with open_store(f"sqlite:{data / 'waybill.db'}", data) as store:
        rows = store.read_now(lambda tx: log.search(tx, log.Query(limit=100_000)))
        kept = {row.message for row in rows}
        unsound = [finding.text for finding in store.read_now(verify)]
    return [f"lost {message_id}" for message_id in promised if message_id not in kept] + unsound


def test_no_250_goes_out_before_its_mail_is_synced(durable: Recording) -> None:
    assert len(acks(durable.calls)) >= MAILS
    assert early_acks(durable.calls) == []


def test_the_check_of_the_order_sees_one_250_that_went_out_too_early(durable: Recording) -> None:
    message_id, ack = acks(durable.calls)[MAILS // 2]
    first = next(call for call in durable.calls if call.name == "pwrite64" and message_id in call.data)
    hasty = replace(ack, began=first.ended, ended=first.ended)
    doctored = [hasty if call is ack else call for call in durable.calls]
    assert early_acks(doctored) == [message_id]


def test_the_check_of_the_order_fails_for_a_store_that_does_not_sync(careless: Recording) -> None:
    assert len(early_acks(careless.calls)) > FEW_MAILS // 2


@pytest.mark.timeout(120 + 2 * CUTS)
def test_a_power_cut_at_any_moment_loses_nothing_promised(durable: Recording, tmp_path: Path) -> None:
    done, faults = losses(durable, tmp_path, cuts=CUTS, seed=1)
    assert faults == []
    assert done == 2 * CUTS


def test_the_same_power_cuts_lose_mail_of_a_store_that_does_not_sync(careless: Recording, tmp_path: Path) -> None:
    _, faults = losses(careless, tmp_path, cuts=10, seed=1)
    assert any("lost" in fault for fault in faults)


def test_the_recording_holds_a_copy_of_the_log_into_the_store(durable: Recording) -> None:
    """Without it the most delicate moment, writing into the main file, would not be among the cuts."""
    into_main = [call for call in durable.calls if call.name == "pwrite64" and call.path.endswith("waybill.db")]
    ended = max(call.ended for call in durable.calls if _ACK.search(call.data))
    first_ack = acks(durable.calls)[0][1]
    assert any(first_ack.began < call.began < ended for call in into_main)
