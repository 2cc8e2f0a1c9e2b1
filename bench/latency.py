"""Latency at low load: a client that sends at a steady pace, and a sink that notes when each message arrives.

Both live in one event loop of this process, so one clock measures the way from "250" (the app is done) to the moment
the recipient's server has read the final dot. The sink speaks just enough SMTP, with PIPELINING.
"""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass

from bench.load import RECIPIENT_DOMAIN, BenchError
from bench.works import Work


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds from our 250 to the arrival."""

    p50: float
    p99: float


class _SinkProtocol(asyncio.Protocol):
    """Takes everything; notes the time of each final dot by the number in the subject."""

    def __init__(self, arrived: dict[int, float]) -> None:
        self._arrived = arrived
        self._buffer = b""
        self._in_data = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # asyncio does this only for sockets made with an explicit protocol number; without it replies wait 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.write(f"220 {RECIPIENT_DOMAIN} ESMTP\r\n".encode())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            end = b"\r\n.\r\n" if self._in_data else b"\r\n"
            head, found, rest = self._buffer.partition(end)
            if not found:
                return
            self._buffer = rest
            if self._in_data:
                self._note(head)
            else:
                self._answer(head.upper())

    def _note(self, content: bytes) -> None:
        now = time.monotonic()
        number = int(content.partition(b"Subject: bench ")[2].split(None, 1)[0])
        self._arrived.setdefault(number, now)
        self._in_data = False
        self._transport.write(b"250 2.0.0 taken\r\n")

    def _answer(self, command: bytes) -> None:
        if command.startswith(b"EHLO"):
            self._transport.write(f"250-{RECIPIENT_DOMAIN}\r\n250-PIPELINING\r\n250 8BITMIME\r\n".encode())
        elif command == b"DATA":
            self._in_data = True
            self._transport.write(b"354 go on\r\n")
        elif command == b"QUIT":
            self._transport.write(b"221 2.0.0 bye\r\n")
            self._transport.close()
        else:
            self._transport.write(b"250 2.0.0 ok\r\n")


class LatencySink:
    """The listening socket of the sink; made before the server under test, which must know its port."""

    def __init__(self) -> None:
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self.sock.getsockname()[1])

    def close(self) -> None:
        self.sock.close()


def measure(work: Work, *, port: int, sink: LatencySink) -> Latency:
    """Send the work at its pace, one connection each, and return the percentiles.

    Raises:
        BenchError: the server refused a message, or one did not arrive within 30 s.
    """
    return asyncio.run(_measure(work, port=port, sink=sink))


async def _measure(work: Work, *, port: int, sink: LatencySink) -> Latency:
    assert work.per_second is not None
    arrived: dict[int, float] = {}
    accepted: dict[int, float] = {}
    server = await asyncio.get_running_loop().create_server(lambda: _SinkProtocol(arrived), sock=sink.sock.dup())
    async with server:
        # The first twenty warm the server up and are not counted.
        for number in range(-20, work.count):
            pause = asyncio.create_task(asyncio.sleep(1 / work.per_second))
            accepted[number] = await _send_one(number, work=work, port=port)
            await pause
        end = time.monotonic() + 30
        while len(arrived) < len(accepted):
            if time.monotonic() > end:
                raise BenchError(f"{work.name}: {len(accepted) - len(arrived)} messages never arrived")
            await asyncio.sleep(0.05)
    spans = sorted((arrived[number] - accepted[number]) * 1000 for number in range(work.count))
    return Latency(p50=spans[len(spans) // 2], p99=spans[min(len(spans) - 1, len(spans) * 99 // 100)])


async def _send_one(number: int, *, work: Work, port: int) -> float:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"From: desk@app.example\r\nTo: guest{number}@{RECIPIENT_DOMAIN}\r\nSubject: bench {number} \r\n"
        f"Date: Mon, 05 Jan 2026 10:00:00 +0000\r\nMessage-ID: <bench{number}.{time.time_ns()}@app.example>\r\n\r\n"
    )
    body = head + ("A line of a booking confirmation, as long as such lines are.\r\n" * (work.size_bytes // 62))
    steps = (
        (None, b"220"),
        ("EHLO app.example\r\n", b"250"),
        ("MAIL FROM:<desk@app.example>\r\n", b"250"),
        (f"RCPT TO:<guest{number}@{RECIPIENT_DOMAIN}>\r\n", b"250"),
        ("DATA\r\n", b"354"),
        (body + ".\r\n", b"250"),
    )
    try:
        for text, want in steps:
            if text is not None:
                writer.write(text.encode())
            while (line := await reader.readline())[3:4] == b"-":
                pass
            if not line.startswith(want):
                raise BenchError(f"{work.name}: wanted {want.decode()}, got {line!r}")
        accepted_at = time.monotonic()
        writer.write(b"QUIT\r\n")
    finally:
        writer.close()
        await writer.wait_closed()
    return accepted_at
