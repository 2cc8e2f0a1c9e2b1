"""A DNS server on loopback, over UDP and TCP, that answers what a test tells it to.

The zone maps (name, type) to record texts, or to one word: servfail, refused, silent, garbage, truncated (the whole
answer over TCP), truncated and dead (no TCP), huge (64 KiB over TCP), lame (an answer to another question), no soa.
A name without any entry does not exist; one with another type has no such data. Aliases are left for the client.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Zone = Mapping[tuple[str, str], "Sequence[str] | str"]

_RCODES = {"servfail": dns.rcode.SERVFAIL, "refused": dns.rcode.REFUSED}


class NameServer(asyncio.DatagramProtocol):
    """Answers from a zone and counts the questions."""

    def __init__(self, zone: Zone, *, ttl: int) -> None:
        self.zone = dict(zone)
        self.insecure: set[str] = set()  #: names whose answers are not said to be secure, "*" = all
        self.ttl = ttl
        self.questions: list[tuple[str, str]] = []
        self.port = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self._transport: asyncio.DatagramTransport | None = None
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.ensure_future(self._answer_datagram(data, addr))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set_result(None)

    async def serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one question over TCP."""
        try:
            length = int.from_bytes(await reader.readexactly(2), "big")
            wire = self._answer(await reader.readexactly(length), is_tcp=True)
            if wire is not None:
                writer.write(len(wire).to_bytes(2, "big") + wire)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    def close(self) -> None:
        """Stop answering."""
        for task in self._waiting:
            task.cancel()
        if self._transport is not None:
            self._transport.close()

    async def _answer_datagram(self, data: bytes, addr: tuple[str, int]) -> None:
        await self.may_answer.wait()
        wire = self._answer(data, is_tcp=False)
        if wire is not None and self._transport is not None:
            self._transport.sendto(wire, addr)

    def _answer(self, data: bytes, *, is_tcp: bool) -> bytes | None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.questions.append((name, kind))
        found = self.zone.get((name, kind))
        if found is None and (name, "CNAME") in self.zone:
            found, kind = self.zone[(name, "CNAME")], "CNAME"
        reply = dns.message.make_response(query, recursion_available=True)
        if not self.insecure & {name, "*"}:
            reply.flags |= dns.flags.AD
        if isinstance(found, str):
            return self._misbehave(found, query, reply, is_tcp=is_tcp)
        if found is not None:
            reply.answer.append(dns.rrset.from_text(question.name, self.ttl, "IN", kind, *found))
            return reply.to_wire()
        soa = f"ns.{name}. admin.{name}. 1 3600 600 86400 {self.ttl}"
        reply.authority.append(dns.rrset.from_text(question.name, self.ttl, "IN", "SOA", soa))
        if not any(entry[0] == name for entry in self.zone):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire()

    def _misbehave(
        self, how: str, query: dns.message.Message, reply: dns.message.Message, *, is_tcp: bool
    ) -> bytes | None:
        question = query.question[0]
        if how in _RCODES:
            reply.set_rcode(_RCODES[how])
            return reply.to_wire()
        if how == "silent" or (how == "truncated and dead" and is_tcp):
            return None
        if how == "garbage":
            return b"\xde\xad\xbe\xef" * 20
        if how == "lame":
            other = dns.message.make_query("other.example", "A")
            other.id = query.id
            return dns.message.make_response(other).to_wire()
        if how == "no soa":
            return reply.to_wire()
        if not is_tcp:  # truncated, truncated and dead, huge
            reply.flags |= dns.flags.TC
            return reply.to_wire()
        count = 2000 if how == "huge" else 1
        hosts = [f"{n} mx{n}.{question.name.to_text()}" for n in range(count)]
        reply.answer.append(dns.rrset.from_text(question.name, self.ttl, "IN", "MX", *hosts))
        return reply.to_wire(max_size=65535)


@contextlib.asynccontextmanager
async def answering(zone: Zone, *, ttl: int = 300, port: int = 0) -> AsyncIterator[NameServer]:
    """Run a DNS server for the length of a block, on a free port or where one was before."""
    loop = asyncio.get_running_loop()
    server = NameServer(zone, ttl=ttl)
    over_udp, over_tcp = _same_port(port)
    server.port = over_udp.getsockname()[1]
    await loop.create_datagram_endpoint(lambda: server, sock=over_udp)
    tcp = await asyncio.start_server(server.serve_tcp, sock=over_tcp)
    try:
        yield server
    finally:
        server.close()
        tcp.close()
        await tcp.wait_closed()
        await server.closed


def _same_port(port: int) -> tuple[socket.socket, socket.socket]:
    """Bind a free port for UDP whose twin for TCP is free too."""
    while True:
        over_udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        over_tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        over_udp.bind(("127.0.0.1", port))
        try:
            over_tcp.bind(over_udp.getsockname())
        except OSError:
            over_udp.close()
            over_tcp.close()
        else:
            return over_udp, over_tcp
