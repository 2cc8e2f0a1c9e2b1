"""A network cable between a node and its database that a test can pull out and put back: a TCP forwarder."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from types import TracebackType
from typing import Self


class Cable:
    """`with Cable(port) as cable:` connect to cable.port; `cut()` silences it as a dead network does, until `mend()`.

    While it is cut nothing passes and nothing is refused: bytes are kept, new connections hang. Mending drops the old
    connections, for whoever hung on them must find that out by itself.
    """

    def __init__(self, to_port: int) -> None:
        self._to = ("127.0.0.1", to_port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._is_whole = threading.Event()
        self._is_whole.set()
        self._is_ending = False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_ending = True
        self._is_whole.set()
        self._listening.close()
        self._drop()
        for thread in self._threads:
            thread.join(10)

    def cut(self) -> None:
        self._is_whole.clear()

    def mend(self) -> None:
        self._drop()
        self._is_whole.set()

    def _drop(self) -> None:
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while not self._is_ending:
            ready, _, _ = (
                select.select([self._listening], [], [], 0.1) if self._listening.fileno() >= 0 else ([], [], [])
            )
            if not ready:
                continue
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._carry, args=(near,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _carry(self, near: socket.socket) -> None:
        with near, socket.socket() as far:
            with self._lock:
                self._open |= {near, far}
            try:
                self._is_whole.wait()
                far.connect(self._to)
                self._forward(near, far)
            except OSError:
                pass  # either side is gone: so is the other, by leaving this block
            finally:
                with self._lock:
                    self._open -= {near, far}

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        while not self._is_ending:
            ready, _, _ = select.select([near, far], [], [], 0.1)
            for each in ready:
                data = each.recv(65536)
                if not data:
                    return
                self._is_whole.wait()
                other[each].sendall(data)
