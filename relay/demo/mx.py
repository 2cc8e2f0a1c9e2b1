"""A recipient's mail server that behaves as it is told.

Owns: a listening socket on loopback, the conversation with each client as its Temper says (temper.py), the list of
what it accepted. Written on bare streams, because a server built on a correct library cannot misbehave. A message is
recorded before its final answer is given, and, when a ledger file is set, written there and synced first: a "250" of
this server is as good as that of a real one. A message whose final answer is refused is not recorded; one whose final
answer is lost (the server hangs up instead) is, marked `is_answered=False`.
The temper may change while it runs; a connection that is open follows the new one from its next step.
Content ends at CRLF.CRLF only, never at a bare LF. RFC 5321, RFC 3207 (STARTTLS), RFC 2920 (pipelining).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from pathlib import Path
from types import TracebackType
from typing import Self

from relay.demo.connections import Connections
from relay.demo.conversation import Accepted, Conversation
from relay.demo.temper import ACCEPTS, Temper
from relay.settings import HostPort


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One message the server took, with its envelope."""

    number: int  #: from 1, in the order of arrival at this server
    mail_from: str  #: without <>
    recipients: tuple[str, ...]  #: without <>
    content: bytes  #: as the client meant it: dots unstuffed; empty when the server keeps none
    sha256: str
    tls: str | None  #: protocol version, None in clear
    helo: str
    at: datetime
    connection: int  #: from 1
    is_answered: bool  #: False: the client never saw our answer


class FakeMx:
    """The server; `async with FakeMx(GREYLISTS) as mx:` listens on a free port of 127.0.0.1."""

    def __init__(
        self,
        temper: Temper = ACCEPTS,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        hostname: str = "mx.example",
        ledger: Path | None = None,
        is_keeping_content: bool = True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.temper = temper  #: may be replaced at any time
        self.hostname = hostname
        self.received: list[Received] = []
        self.commands: list[tuple[int, str]] = []  #: (connection, line) of every command, in order
        self.connection_count = 0
        self.open_count = 0
        self.most_open = 0
        self.greylist: set[tuple[str, str, str]] = set()
        self._host, self._port = host, port
        self._ledger_path = ledger
        self._ledger: int | None = None
        self._is_keeping_content = is_keeping_content
        self._now = now
        self._arrival = asyncio.Condition()
        self._connections = Connections()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> HostPort:
        """Where it listens."""
        return HostPort(self._host, self._port)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    async def __aenter__(self) -> Self:
        if self._ledger_path is not None:
            self._ledger = os.open(self._ledger_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        if self._ledger is not None:
            os.close(self._ledger)
            self._ledger = None

    async def start(self) -> None:
        """Listen; after `stop` again on the same port, with everything remembered."""
        self._connections = Connections()
        self._server = await asyncio.start_server(
            self._connections.serve(self._serve), self._host, self._port, limit=1 << 26, backlog=1024
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut every open connection."""
        if self._server is not None:
            await self._connections.close(self._server)
            self._server = None

    async def wait_received(self, count: int, *, timeout: float = 10.0) -> list[Received]:
        """Wait until so many messages have arrived.

        Raises:
            TimeoutError: they did not.
        """
        async with asyncio.timeout(timeout), self._arrival:
            await self._arrival.wait_for(lambda: len(self.received) >= count)
        return self.received

    def effective_temper(self, connection: int) -> Temper:
        """Give the temper that holds for a connection now."""
        temper = self.temper
        return ACCEPTS if temper.lasts is not None and connection > temper.lasts else temper

    async def accept(self, accepted: Accepted, *, is_answered: bool) -> int:
        """Record a message, on disk first when there is a ledger; return its number."""
        digest = hashlib.sha256(accepted.content).hexdigest()
        if self._ledger is not None:
            headers = BytesHeaderParser().parsebytes(accepted.content)
            entry = {
                "id": str(headers.get("Message-ID", "")).strip(),
                "to": list(accepted.recipients),
                "sha256": digest,
                "answered": is_answered,
            }
            os.write(self._ledger, json.dumps(entry).encode() + b"\n")
            os.fsync(self._ledger)
        number = len(self.received) + 1
        message = Received(
            number=number,
            mail_from=accepted.mail_from,
            recipients=accepted.recipients,
            content=accepted.content if self._is_keeping_content else b"",
            sha256=digest,
            tls=accepted.tls,
            helo=accepted.helo,
            at=self._now(),
            connection=accepted.connection,
            is_answered=is_answered,
        )
        self.received.append(message)
        async with self._arrival:
            self._arrival.notify_all()
        return number

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connection_count += 1
        self.open_count += 1
        self.most_open = max(self.most_open, self.open_count)
        try:
            await Conversation(self, reader, writer, pause=self._connections.pause, number=self.connection_count).run()
        finally:
            self.open_count -= 1
