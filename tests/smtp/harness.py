"""A running intake for tests: real sockets on free ports, an acceptor that remembers, no store."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from relay.errors import StoreError
from relay.intake.auth import load_hashes
from relay.intake.listener import Listeners, bind, serve_listeners
from relay.intake.reception import Reception
from relay.intake.returns import Returns
from relay.model import Refusal, Submission
from relay.settings import Config

LOOPBACK_APP = {"name": "desk", "networks": ["127.0.0.0/8", "::1/128"]}


@dataclass
class MemoryAcceptor:
    """Remembers what it accepted and what was refused; can be made to fail or to wait."""

    accepted: list[Submission] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    error: Exception | None = None
    gate: asyncio.Event | None = None  #: accept waits for it
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    is_healthy: bool = True

    async def accept(self, submission: Submission) -> None:
        self.entered.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        self.accepted.append(submission)

    def refuse(self, refusal: Refusal) -> None:
        self.refused.append(refusal)


class Broken(StoreError):
    """A store that cannot."""


@dataclass
class Intake:
    """A running intake and what it took."""

    listeners: Listeners
    acceptor: MemoryAcceptor
    reception: Reception
    slept: list[float]
    clients: list[Client] = field(default_factory=list)

    def port(self, index: int = 0) -> int:
        return self.listeners.addresses[index][1]

    async def client(self, index: int = 0) -> Client:
        """Connect and read the greeting."""
        client = await self.connect(index)
        await client.reply()
        return client

    async def connect(self, index: int = 0, *, tls: ssl.SSLContext | None = None) -> Client:
        """Connect and read nothing."""
        client = await Client.connect(self.port(index), tls=tls)
        self.clients.append(client)
        return client


def config(base: Path | None = None, **sections: Any) -> Config:
    """Make a configuration with one clear-text listener on a free port and one app for loopback."""
    sections.setdefault("node", {"hostname": "relay.test"})
    sections.setdefault("listener", [{"address": "127.0.0.1:0"}])
    sections.setdefault("app", [LOOPBACK_APP])
    return Config.model_validate({**sections, **({"base_dir": base} if base else {})})


@contextlib.asynccontextmanager
async def running(
    settings: Config | None = None,
    *,
    acceptor: MemoryAcceptor | None = None,
    free_space: Callable[[], int] = lambda: 10**12,
    returns: Returns | None = None,
) -> AsyncIterator[Intake]:
    """Run an intake for the length of a block."""
    settings = settings or config()
    acceptor = acceptor or MemoryAcceptor()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    reception = Reception(
        settings, acceptor, hashes=load_hashes(settings), sleep=sleep, free_space=free_space, returns=returns
    )
    listeners = await serve_listeners(reception, bind(settings))
    intake = Intake(listeners, acceptor, reception, slept)
    try:
        yield intake
    finally:
        for client in intake.clients:
            await client.close()
        await listeners.stop(0.2)


class Client:
    """A raw SMTP client that sends exactly what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, *, tls: ssl.SSLContext | None = None) -> Client:
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self) -> str:
        """Read one whole reply; "" when the connection has ended."""
        lines = []
        async with asyncio.timeout(20):
            while True:
                try:
                    line = (await self.reader.readline()).decode("utf-8", "surrogateescape")
                except ConnectionError:
                    line = ""
                lines.append(line)
                if not line or line[3:4] != "-":
                    return "".join(lines).replace("\r\n", "\n").rstrip("\n")

    async def rest(self) -> str:
        """Read until the server closes."""
        async with asyncio.timeout(20):
            with contextlib.suppress(ConnectionError):
                return (await self.reader.read()).decode("utf-8", "surrogateescape")
        return ""

    async def ask(self, command: str | bytes) -> str:
        """Send one line and give its reply."""
        data = command.encode() if isinstance(command, str) else command
        await self.send(data if data.endswith(b"\n") else data + b"\r\n")
        return await self.reply()

    async def envelope(self, *, sender: str = "desk@hotel.example", to: str = "guest@example.com") -> None:
        """Say EHLO, MAIL and RCPT, and expect a yes to each."""
        for command in ("EHLO app.test", f"MAIL FROM:<{sender}>", f"RCPT TO:<{to}>"):
            got = await self.ask(command)
            assert got.startswith("250"), (command, got)

    async def mail(self, content: bytes) -> str:
        """Send a mail whose content is already dot-stuffed, and give the last reply."""
        await self.envelope()
        got = await self.ask("DATA")
        assert got.startswith("354"), got
        await self.send(content + b"\r\n.\r\n")
        return await self.reply()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Take uvloop, as production does, when TEST_LOOP says so; both must pass."""
    if os.environ.get("TEST_LOOP") != "uvloop":
        return None
    import uvloop

    return uvloop.new_event_loop


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run one test's coroutine on a loop of its own, and fail on errors nobody awaited."""
    problems: list[dict[str, Any]] = []

    async def guarded() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
        await main

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(guarded())
    assert problems == []


async def in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a blocking client beside the server."""
    return await asyncio.to_thread(function, *arguments)


def queued_id(reply: str) -> str:
    """Give the id of a 250, which has exactly one form."""
    match = re.fullmatch(r"250 2\.0\.0 queued as ([0-9A-Z]{26})", reply)
    assert match, reply
    return match[1]
