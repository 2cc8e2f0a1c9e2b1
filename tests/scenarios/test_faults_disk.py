"""The disk fails, fills up, or cannot be used: a temporary no before 250, never a lost mail, and back to work after.

Setup: strace makes syncs and writes fail, or the data folder lies on a small file system of its own (root only).
Test:  mails before, during and after the fault -> 250 only for what is kept, 451 or 452 otherwise -> all of it arrives.
"""

from __future__ import annotations

import smtplib
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from relay.demo.node import Node
from relay.settings import HostPort
from relay.store import open_store
from tests.support.audit import audit
from tests.support.destinations import destinations
from tests.support.disks import MIB, free_bytes, leave_free, mounted
from tests.support.ledger import LedgerClient
from tests.support.peers import ACCEPTS, Step, wait_until
from tests.support.process import ConfigFile, config_file, running
from tests.support.tools import need
from tests.support.trace import hurt, plain


def offer(client: LedgerClient) -> int:
    """Hand one mail in; return the reply code that decided."""
    before = client.promised
    try:
        client.send(1)
    except smtplib.SMTPResponseException as error:
        return int(error.smtp_code)
    return 250 if client.promised > before else 451


@pytest.mark.parametrize("calls", ["fsync,fdatasync", "pwrite64"])
def test_intake_says_451_while_the_disk_fails_and_works_again_after(tmp_path: Path, calls: str) -> None:
    with destinations(tmp_path, count=1) as there:
        config = config_file(tmp_path, mx_port=there.port, dns=there.dns)
        open_store(f"sqlite:{config.data_dir / 'waybill.db'}", tmp_path).close()  # what is counted is accepting mail
        client = LedgerClient(config.smtp, tmp_path / "promises", domain=there.domains[0])
        argv = hurt(calls, "error=EIO:when=30..34", plain(config, "intake"))
        with running(config, command="intake", argv=argv) as intake:
            codes = []
            wait_until(lambda: codes.append(offer(client)) or 250 not in codes[-1:])  # type: ignore[func-returns-value]
            wait_until(lambda: codes.append(offer(client)) or codes[-1:] == [250], timeout=10)  # type: ignore[func-returns-value]
            assert set(codes) == {250, 451}
            assert intake.pid is not None
        promises = client.stop()
        with Node(config.path, command="deliver"):
            there.wait_for(promises)
        found = audit(promises, receipts=there.receipts, data_dir=config.data_dir)
    assert found.faults == {}
    assert (found.delivered, found.duplicates) == (len(promises), 0)


def test_delivery_keeps_results_in_memory_while_the_disk_fails_and_sends_nothing_twice(tmp_path: Path) -> None:
    with destinations(tmp_path, count=1) as there:
        config = config_file(tmp_path, mx_port=there.port, dns=there.dns)
        client = LedgerClient(config.smtp, tmp_path / "promises", domain=there.domains[0])
        with running(config, command="intake"):
            argv = hurt("fsync,fdatasync", "error=EIO:when=6..8", plain(config, "deliver"))
            with Node(config.path, command="deliver", argv=argv) as delivery:
                for _ in range(10):
                    client.send(1)
                    wait_until(lambda: there.arrived >= client.promised, what=delivery.log_tail)
                wait_until(lambda: all(row["status"] == "delivered" for row in delivery.log_rows()))
                assert "recording goes on" in delivery.log.read_text() or "store_healthy" in delivery.log.read_text()
            promises = client.stop()
        found = audit(promises, receipts=there.receipts, data_dir=config.data_dir)
    assert found.faults == {}
    assert (found.delivered, found.duplicates) == (10, 0)


# A file system of its own.


def test_a_disk_that_fills_up_means_452_and_deliveries_go_on(tmp_path: Path) -> None:
    with mounted(tmp_path / "data", size=48 * MIB) as disk, destinations(tmp_path, count=1) as there:
        config = config_file(tmp_path, mx_port=there.port, dns=there.dns)
        client = LedgerClient(config.smtp, tmp_path / "promises", domain=there.domains[0])
        with running(config, command="intake") as intake:
            client.send(20)
            filler = leave_free(disk, 8 * MIB)
            wait_until(lambda: offer(client) == 452, timeout=10, what=intake.log_tail)
            assert free_bytes(disk) > 6 * MIB  # what came before the line was noticed took little of the reserve
            with Node(config.path, command="deliver") as delivery:
                wait_until(lambda: there.arrived >= client.promised, what=delivery.log_tail)
                assert free_bytes(disk) > 4 * MIB
                filler.unlink()
                wait_until(lambda: offer(client) == 250, timeout=10, what=intake.log_tail)
                wait_until(lambda: there.arrived >= client.promised, what=delivery.log_tail)
                assert None not in (intake.pid, delivery.pid)
        found = audit(client.stop(), receipts=there.receipts, data_dir=config.data_dir)
    assert found.faults == {}
    assert (found.delivered, found.duplicates) == (found.promised, 0)


def test_delivery_keeps_a_result_in_memory_while_the_disk_has_no_byte_left(tmp_path: Path) -> None:
    """The disk is filled between the mail's arrival and its server's answer, so that the answer cannot be written."""
    with mounted(tmp_path / "data", size=48 * MIB) as disk, destinations(tmp_path, count=1) as there:
        there.behave(replace(ACCEPTS, name="takes its time", delays={Step.FINAL: 4.0}))
        config = config_file(tmp_path, mx_port=there.port, dns=there.dns)
        client = LedgerClient(config.smtp, tmp_path / "promises", domain=there.domains[0])
        with running(config, command="intake"), Node(config.path, command="deliver") as delivery:
            client.send(1)
            wait_until(lambda: there.arrived == 1, what=delivery.log_tail)
            filler = leave_free(disk, 0)
            wait_until(lambda: "recording waits for the store" in delivery.log.read_text(), what=delivery.log_tail)
            filler.unlink()
            wait_until(lambda: "recording goes on" in delivery.log.read_text(), what=delivery.log_tail)
            wait_until(lambda: delivery.log_rows()[0]["status"] == "delivered", what=delivery.log_tail)
        found = audit(client.stop(), receipts=there.receipts, data_dir=config.data_dir)
    assert found.faults == {}
    assert (found.delivered, found.duplicates) == (1, 0)


# A store that cannot be used at all.


def refused(config: ConfigFile, command: str, argv: list[str] | None = None) -> tuple[int | None, list[str], float]:
    """Start; return the exit code, what was printed, and how long that took."""
    began = time.monotonic()
    with Node(config.path, command=command, argv=argv or []) as node:
        wait_until(lambda: node.pid is None, timeout=30)
        code = node.stop()
    lines = node.log.read_text().splitlines() if node.log.exists() else []
    return code, lines, time.monotonic() - began


@pytest.mark.parametrize("command", ["serve", "intake", "deliver"])
@pytest.mark.parametrize(
    ("fault", "told"),
    [("garbage", "no database"), ("a file", "cannot make the folder"), ("read only", "ead-only")],
)
def test_a_store_that_cannot_be_used_is_told_in_one_line(tmp_path: Path, command: str, fault: str, told: str) -> None:
    config = config_file(tmp_path, dns=HostPort("127.0.0.1", 9))
    if fault == "a file":
        config.data_dir.write_text("not a folder")
        code, lines, took = refused(config, command)
    elif fault == "garbage":
        config.data_dir.mkdir()
        (config.data_dir / "waybill.db").write_bytes(b"this is no database " * 1000)
        code, lines, took = refused(config, command)
    else:
        with mounted(config.data_dir, size=8 * MIB):
            subprocess.run([need("mount"), "-o", "remount,ro", str(config.data_dir)], check=True)
            code, lines, took = refused(config, command)
    lines = [line for line in lines if "running as root" not in line]
    assert code == 3
    assert len(lines) == 1, lines
    assert told in lines[0]
    assert took < 5


def test_a_store_that_fails_at_its_first_sync_is_told_in_one_line(tmp_path: Path) -> None:
    config = config_file(tmp_path)
    argv = hurt("pwrite64", "error=EIO", plain(config, "intake"))
    code, lines, took = refused(config, "intake", argv)
    assert (code, len(lines)) == (3, 1)
    assert "I/O error" in lines[0]
    assert took < 5
