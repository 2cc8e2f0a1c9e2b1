"""The two ends of the load: Postfix's smtp-source sends, smtp-sink receives and counts.

Every message has its own recipient and Message-ID (smtp-source -N), as real mail has. Nothing of the measured system
is known here. The sink's counter is read twenty times a second, so that the reading does not load the machine.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from bench.works import Work

RECIPIENT_DOMAIN = "sink.example"

_COUNTER = re.compile(rb"mesg=(\d+)")


class BenchError(Exception):
    """The measurement cannot go on."""


def tool(name: str) -> str | None:
    """Find a program, also where only root looks."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def free_port() -> int:
    """Find a port nobody uses right now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for_port(port: int, *, seconds: float = 60.0) -> None:
    """Wait until something greets on the port.

    Raises:
        BenchError: nothing did in time.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as sock:
                if sock.recv(3) == b"220":
                    sock.sendall(b"QUIT\r\n")
                    sock.recv(1000)
                    return
        except OSError:
            time.sleep(0.02)
    raise BenchError(f"nothing greets on port {port} after {seconds:g} s")


class Sink:
    """smtp-sink on a free port; count() says how many messages have arrived."""

    def __init__(self) -> None:
        program = tool("smtp-sink")
        if program is None:
            raise BenchError("smtp-sink is missing (Debian package postfix)")
        self.port = free_port()
        self._seen = 0
        self._rest = b""
        user = ("-u", "nobody") if os.geteuid() == 0 else ()
        self._process = subprocess.Popen(
            [program, "-c", *user, "-h", RECIPIENT_DOMAIN, f"127.0.0.1:{self.port}", "1024"], stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout.fileno()
        os.set_blocking(self._output, False)
        wait_for_port(self.port)

    def count(self) -> int:
        """Count the messages that have arrived so far."""
        while True:
            try:
                data = os.read(self._output, 65536)
            except BlockingIOError:
                return self._seen
            if not data:
                raise BenchError("smtp-sink ended by itself")
            text = self._rest + data
            if numbers := _COUNTER.findall(text.rpartition(b"\r")[0]):
                self._seen = int(numbers[-1])
            self._rest = text.rpartition(b"\r")[2]

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@dataclass(frozen=True, slots=True)
class Timing:
    """How long one load took, in seconds from its first connection."""

    accepted: float
    arrived: float


def send(work: Work, *, ports: Sequence[int], sink: Sink, patience: float = 180.0) -> Timing:
    """Send a work through the server, in equal parts to each of its ports, and wait until all of it has arrived.

    Raises:
        BenchError: the server refused something, or not everything arrived in time.
    """
    part = replace(work, sessions=work.sessions // len(ports), count=work.count // len(ports))
    goal = sink.count() + part.count * len(ports)
    start = time.monotonic()
    with ExitStack() as stack:
        sources = [stack.enter_context(_source(part, port)) for port in ports]
        accepted = 0.0
        while not accepted or sink.count() < goal:
            if time.monotonic() - start > patience:
                raise BenchError(f"{work.name}: {goal - sink.count()} of {work.count} had not arrived in time")
            if not accepted:
                accepted = _ended(sources, start)
            else:
                time.sleep(0.01)
        for source in sources:
            said = source.stderr.read() if source.stderr else ""
            if source.returncode or said:
                raise BenchError(f"{work.name}: smtp-source failed: {said or source.returncode}")
    return Timing(accepted=accepted, arrived=time.monotonic() - start)


@contextmanager
def _source(work: Work, port: int) -> Iterator[subprocess.Popen[str]]:
    program = tool("smtp-source")
    if program is None:
        raise BenchError("smtp-source is missing (Debian package postfix)")
    command = [program, "-N", "-s", str(work.sessions), "-m", str(work.count), "-l", str(work.size_bytes)]
    command += ["-d"] if work.reuses_connections else []
    command += ["-M", "app.example", "-f", "desk@app.example", "-t", f"guest@{RECIPIENT_DOMAIN}", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as source:
        try:
            yield source
        finally:
            source.kill()


def _ended(sources: Sequence[subprocess.Popen[str]], start: float) -> float:
    """Wait a moment for the senders; return the time they took once all have ended, else 0."""
    try:
        for source in sources:
            source.wait(0.05)
    except subprocess.TimeoutExpired:
        return 0.0
    return time.monotonic() - start
