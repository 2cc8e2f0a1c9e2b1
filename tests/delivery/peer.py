"""A mail server that answers exactly what a test tells it to, and remembers every byte it got.

The script maps what the client sends to a `Say`. Keys, the first that fits: a whole command line, its verb ("RCPT"),
and "greeting", "content" (the answer to the final dot), "after" (said when a command was answered, unasked).
A list is used up one by one, its last entry stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

EHLO = b"250-mx.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SIZE 1000000\r\n250 ENHANCEDSTATUSCODES\r\n"
EHLO_PLAIN = b"250 mx.test\r\n"
EHLO_TLS = b"250-mx.test\r\n250-STARTTLS\r\n250 PIPELINING\r\n"


@dataclass(frozen=True)
class Say:
    """What to answer, and what to do then."""

    data: bytes = b""
    then: str = "go on"  #: go on | drip (a byte now and then, without end) | stall | close | reset | tls | garbage tls


Script = Mapping[str, "Say | list[Say]"]

_USUAL: dict[str, Say] = {
    "greeting": Say(b"220 mx.test ESMTP\r\n"),
    "EHLO": Say(EHLO),
    "HELO": Say(b"250 mx.test\r\n"),
    "STARTTLS": Say(b"220 go ahead\r\n", "tls"),
    "MAIL": Say(b"250 2.1.0 ok\r\n"),
    "RCPT": Say(b"250 2.1.5 ok\r\n"),
    "DATA": Say(b"354 go on\r\n"),
    "content": Say(b"250 2.0.0 taken\r\n"),
    "RSET": Say(b"250 2.0.0 reset\r\n"),
    "QUIT": Say(b"221 2.0.0 bye\r\n", "close"),
}


class Peer:
    """One scripted server on a free port of loopback."""

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self._script = {key: list(say) if isinstance(say, list) else [say] for key, say in {**_USUAL, **script}.items()}
        self._tls = tls
        self._stop = asyncio.Event()
        self._handlers: set[asyncio.Task[None]] = set()
        self.port = 0
        self.connections = 0
        self.commands: list[str] = []
        self.contents: list[bytes] = []
        self.is_connected = asyncio.Event()
        self.has_content = asyncio.Event()
        self.encrypted: list[str] = []  #: the commands that came inside TLS

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        self.connections += 1
        self.is_connected.set()
        try:
            await self._serve(reader, writer)
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            if not self._stop.is_set():
                raise
        finally:
            writer.transport.abort()
            self._handlers.discard(task)

    async def close(self) -> None:
        """End all stalls and connections."""
        self._stop.set()
        while self._handlers:
            for handler in list(self._handlers):
                handler.cancel()
            await asyncio.gather(*self._handlers, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await self._say("greeting", writer):
            return
        while line := await reader.readline():
            command = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            self.commands.append(command)
            if writer.get_extra_info("ssl_object") is not None:
                self.encrypted.append(command)
            verb = command.split(" ")[0].upper()
            say = self._next(command if command in self._script else verb)
            if not await self._do(say, writer):
                return
            if say.then == "garbage tls":
                await reader.read(1)  # the beginning of the handshake
                writer.write(b"this is no TLS record at all\r\n")
                await self._stop.wait()
            if verb == "DATA" and say.data.startswith(b"3"):
                self.contents.append(await self._content(reader))
                self.has_content.set()
                if not await self._say("content", writer):
                    return

    async def _content(self, reader: asyncio.StreamReader) -> bytes:
        content = b""
        while not content.endswith(b"\r\n.\r\n") and content != b".\r\n":
            got = await reader.read(65536)
            if not got:
                raise ConnectionError
            content += got
        return content

    def _next(self, key: str) -> Say:
        says = self._script.get(key, [Say(b"500 5.5.2 unknown command\r\n")])
        return says.pop(0) if len(says) > 1 else says[0]

    async def _say(self, key: str, writer: asyncio.StreamWriter) -> bool:
        return await self._do(self._next(key), writer)

    async def _do(self, say: Say, writer: asyncio.StreamWriter) -> bool:
        writer.write(say.data)
        await writer.drain()
        if say.then == "drip":
            while not self._stop.is_set():
                writer.write(b"2")
                await asyncio.sleep(0.05)
        elif say.then == "stall":
            await self._stop.wait()
        elif say.then == "tls":
            assert self._tls is not None
            await writer.start_tls(self._tls)
        elif say.then == "close":
            writer.close()
            await writer.wait_closed()
        elif say.then == "reset":
            writer.transport.abort()
        return say.then in {"go on", "tls", "garbage tls"}


@contextlib.asynccontextmanager
async def serving(script: Script | None = None, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Peer]:
    """Run a scripted server for the length of a block."""
    peer = Peer(script or {}, tls=tls)
    server = await asyncio.start_server(peer.handle, "127.0.0.1", 0, limit=2**20)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        await peer.close()
        await server.wait_closed()
