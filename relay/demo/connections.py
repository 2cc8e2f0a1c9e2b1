"""The open connections of one loopback server, and how all of them end at once.

Owns: which connections are open, pauses that closing the server cuts short, the hard end (RST) of a connection.
A server that must misbehave also must never hang: `close` wakes every pause, aborts every connection and returns when
each handler has ended by itself. No task is cancelled, so no handler needs to expect that.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class ServerClosed(Exception):
    """The server ends while this connection was waiting."""


class Connections:
    """Every connection a server has open."""

    def __init__(self) -> None:
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._closing = asyncio.Event()

    def serve(self, handler: Handler) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        """Wrap the handler of one connection for `asyncio.start_server`; a vanished peer ends it silently."""

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # Not a coroutine: the connection must be known before the loop turns, or closing could miss it.
            self._open[asyncio.ensure_future(self._run(handler, reader, writer))] = writer

        return begin

    async def _run(self, handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            if not self._closing.is_set():
                await handler(reader, writer)
        except (OSError, asyncio.IncompleteReadError, ServerClosed):
            pass
        finally:
            writer.close()
            await _closed(writer)
            del self._open[task]

    async def pause(self, seconds: float) -> None:
        """Wait that long (`math.inf`: until the server closes).

        Raises:
            ServerClosed: the server was closed meanwhile.
        """
        try:
            async with asyncio.timeout(None if seconds == float("inf") else seconds):
                await self._closing.wait()
        except TimeoutError:
            return
        raise ServerClosed

    async def close(self, server: asyncio.Server) -> None:
        """Stop listening, end all connections and wait for their handlers."""
        self._closing.set()
        loop = asyncio.get_running_loop()
        for sock in server.sockets:
            loop.remove_reader(sock.fileno())
        for _ in range(4):  # a connection taken in this turn breaks when its server is closed before its handler begins
            await asyncio.sleep(0)
        server.close()
        for writer in self._open.values():
            writer.transport.abort()
        await asyncio.gather(*self._open)
        await server.wait_closed()


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with RST, so that the peer sees a broken connection and not an orderly end."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _closed(writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(2):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        writer.transport.abort()


def free_port(host: str = "127.0.0.1") -> int:
    """Ask the kernel for a TCP port nobody listens on."""
    with socket.create_server((host, 0)) as sock:
        port: int = sock.getsockname()[1]
        return port
