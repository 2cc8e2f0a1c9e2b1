"""Told to stop under load, started twice, out of descriptors, a client that vanishes: no loss, no copy, no fuss.

Setup: real processes on loopback with ledgers on both sides, as in test_kills.py.
Test:  the fault -> the process ends, refuses or goes on as it should -> audit.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import struct
import time
from pathlib import Path

import pytest

from relay.demo.node import Node
from tests.support.audit import audit
from tests.support.destinations import destinations
from tests.support.ledger import LedgerClient
from tests.support.peers import wait_until
from tests.support.process import config_file, running
from tests.support.tools import need
from tests.support.trace import plain


def test_a_stop_under_load_ends_in_time_and_neither_loses_nor_copies(tmp_path: Path) -> None:
    rng = random.Random(1)
    with destinations(tmp_path) as there:
        config = config_file(tmp_path, mx_port=there.port, dns=there.dns)
        client = LedgerClient(config.smtp, tmp_path / "promises", domains=there.domains, pause=0.02)
        client.start(sessions=10)
        for _ in range(2):
            with running(config) as node:
                wanted = there.arrived + rng.randint(20, 120)
                wait_until(lambda wanted=wanted: there.arrived >= wanted, what=node.log_tail)  # type: ignore[misc]
                began = time.monotonic()
                assert node.stop(grace=20) == 0
                assert time.monotonic() - began <= 10
        promises = client.stop()
        with running(config):
            there.wait_for(promises)
        found = audit(promises, receipts=there.receipts, data_dir=config.data_dir)
    assert found.faults == {}
    assert (found.delivered, found.duplicates) == (found.promised, 0)


@pytest.mark.parametrize("command", ["serve", "deliver"])
def test_a_second_one_on_the_same_store_is_refused_and_the_first_goes_on(tmp_path: Path, command: str) -> None:
    with destinations(tmp_path, count=1) as there:
        config = config_file(tmp_path, mx_port=there.port, dns=there.dns)
        with running(config) as first:
            wait_until((config.data_dir / "wake.sock").exists)
            second = first.ask(command)
            assert second.returncode == 3
            assert f"{command}.lock is held by another process" in second.stderr + second.stdout
            client = LedgerClient(config.smtp, tmp_path / "promises", domain=there.domains[0])
            client.send(5)
            promises = client.stop()
            there.wait_for(promises)
            found = audit(promises, receipts=there.receipts, data_dir=config.data_dir)
    assert (found.faults, found.delivered, found.duplicates) == ({}, 5, 0)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_more_connections_than_descriptors_cost_no_time_and_no_mail(tmp_path: Path) -> None:
    with destinations(tmp_path, count=1) as there:
        config = config_file(tmp_path, mx_port=there.port, dns=there.dns)
        argv = [need("prlimit"), "--nofile=64", *plain(config, "intake")]
        client = LedgerClient(config.smtp, tmp_path / "promises", domain=there.domains[0])
        with running(config, command="intake", argv=argv) as intake, Node(config.path, command="deliver"):
            client.send(1)
            crowd = [socket.create_connection((config.smtp.host, config.smtp.port), timeout=5) for _ in range(200)]
            pid = intake.pid
            assert pid is not None
            time.sleep(0.5)  # whatever comes of so many has come
            before, began = cpu_seconds(pid), time.monotonic()
            time.sleep(1.0)
            assert (cpu_seconds(pid) - before) / (time.monotonic() - began) < 0.2, "it turns in circles"
            for each in crowd:
                each.close()
            intake.wait_greeting(config.smtp, timeout=5)
            client.send(1)
            promises = client.stop()
            there.wait_for(promises)
            assert intake.pid == pid
        found = audit(promises, receipts=there.receipts, data_dir=config.data_dir)
    assert (found.faults, found.delivered, found.duplicates) == ({}, 2, 0)


def test_a_mail_whose_client_vanished_after_the_dot_is_delivered_and_its_second_copy_marked(tmp_path: Path) -> None:
    with destinations(tmp_path, count=1) as there:
        config = config_file(tmp_path, mx_port=there.port, dns=there.dns)
        to = f"guest@{there.domains[0]}"
        content = b"From: desk@hotel.example\r\nMessage-ID: <once@hotel.example>\r\nSubject: Room\r\n\r\nHello\r\n.\r\n"
        commands = b"EHLO desk\r\nMAIL FROM:<desk@hotel.example>\r\nRCPT TO:<%s>\r\nDATA\r\n" % to.encode()
        with running(config) as node:
            for number in (1, 2):
                with socket.create_connection((config.smtp.host, config.smtp.port), timeout=10) as client:
                    client.sendall(commands)
                    heard = b""
                    while b"354" not in heard:
                        heard += client.recv(4096)
                    client.sendall(content)
                    wait_until(lambda number=number: len(node.log_rows()) == number)  # type: ignore[misc]
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST, unread
                wait_until(lambda number=number: there.arrived == number, what=node.log_tail)  # type: ignore[misc]
            rows = node.log_rows()
            second, first = (row["message"] for row in rows)
            assert f"duplicate of: {first}" in " ".join(node.ask("show", second).stdout.split())
            os.kill(node.pid or 0, signal.SIGTERM)
        found = audit([], receipts=there.receipts, data_dir=config.data_dir)
    assert found.unsound == ()
    assert found.unproven == ()
