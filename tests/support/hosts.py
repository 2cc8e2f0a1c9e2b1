"""Machines that are apart: network namespaces with cables between them that a test can pull out.

`with apart() as net:` moves this thread, and what it starts from then on, into a namespace of its own (the hall), where
the database, the recipients' servers and the test live. `net.add(1)` makes a machine with two links to the hall: one
for mail, one for the database. `net.cut(1)` takes the database's end of that machine's link down: packets vanish, in
both directions, and nobody is told. Everything goes with the block.

Needs root and Linux; without them `apart` skips the test by name.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.tools import need

#: Where the database and the recipients' servers listen in the hall; each machine has a route to both.
DATABASE = "10.79.0.1"
MAIL = "10.79.1"
_CLONE_NEWNET = 0x40000000


class Apart:
    """The hall and its machines."""

    def __init__(self) -> None:
        self._machines: dict[int, subprocess.Popen[bytes]] = {}

    def add(self, number: int) -> tuple[str, list[str]]:
        """Make a machine; give its address, and the command that starts something there."""
        machine = subprocess.Popen([need("unshare"), "--net", "--", "sleep", "infinity"])
        self._machines[number] = machine
        enter = [need("nsenter"), f"--net=/proc/{machine.pid}/ns/net", "--"]
        while os.readlink(f"/proc/{machine.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            continue  # not there yet
        _run(*enter, "ip", "link", "set", "lo", "up")
        for link, route in ((f"mail{number}", f"{MAIL}.0/24"), (f"data{number}", f"{DATABASE}/32")):
            network = f"10.{80 + link.startswith('data')}.{number}"
            _run("ip", "link", "add", link, "type", "veth", "peer", "name", "far0")
            _run("ip", "link", "set", "far0", "netns", str(machine.pid), "name", link)
            _run("ip", "address", "add", f"{network}.1/24", "dev", link)
            _run("ip", "link", "set", link, "up")
            _run(*enter, "ip", "address", "add", f"{network}.2/24", "dev", link)
            _run(*enter, "ip", "link", "set", link, "up")
            _run(*enter, "ip", "route", "add", route, "via", f"{network}.1")
        return f"10.80.{number}.2", enter

    def cut(self, number: int) -> None:
        """Pull the cable between a machine and the database."""
        _run("ip", "link", "set", f"data{number}", "down")

    def mend(self, number: int) -> None:
        """Put it back."""
        _run("ip", "link", "set", f"data{number}", "up")

    def close(self) -> None:
        for machine in self._machines.values():
            machine.kill()
            machine.wait()


@contextmanager
def apart() -> Iterator[Apart]:
    """Live in a hall until the block ends."""
    ip = need("ip")
    if os.geteuid() != 0 or subprocess.run([need("unshare"), "--net", ip, "link"], capture_output=True).returncode:
        pytest.skip("network namespaces need root and a kernel that allows them")
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    net = Apart()
    try:
        _check(libc.unshare(_CLONE_NEWNET))
        try:
            _run("ip", "link", "set", "lo", "up")
            for network in ("10.79.0.0/16",):
                _run("ip", "route", "add", "local", network, "dev", "lo")
            yield net
        finally:
            net.close()
            _check(libc.setns(home, _CLONE_NEWNET))
    finally:
        os.close(home)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
