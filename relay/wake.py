"""A nudge from intake to delivery: "something was committed, look now".

A datagram on a Unix socket in the data directory. It carries nothing and may be lost: the store is the truth and
delivery polls it anyway. It only saves the few milliseconds until the next poll. Abstract names are not used, so the
directory's permissions decide who may nudge.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

_NAME = "wake.sock"


class Waker:
    """The sending side; wake() never blocks and never raises."""

    def __init__(self, data_dir: Path) -> None:
        self._path = str(data_dir / _NAME)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def wake(self) -> None:
        """Nudge whoever listens; nobody, or a full buffer, is as good as a nudge already on its way."""
        with contextlib.suppress(OSError):
            self._socket.sendto(b"", self._path)

    def close(self) -> None:
        self._socket.close()


class WakeListener:
    """The receiving side: calls back once for every burst of nudges."""

    def __init__(self, data_dir: Path, callback: Callable[[], None]) -> None:
        self._path = data_dir / _NAME
        self._callback = callback
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Bind, replacing the socket a dead process left behind, and listen."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        self._socket.bind(str(self._path))
        os.chmod(self._path, 0o600)
        loop.add_reader(self._socket, self._on_readable)
        self._loop = loop

    def _on_readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(1)
        self._callback()

    def close(self) -> None:
        """Stop listening and remove the socket file."""
        self._loop.remove_reader(self._socket)
        self._socket.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
