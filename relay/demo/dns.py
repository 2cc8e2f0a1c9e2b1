"""A name server on loopback that answers from a table, well or badly.

Owns: one zone table (name -> Records), UDP and TCP on one port, the list of questions asked. It looks like a recursive
server: it follows CNAMEs inside its table and sets RA. Every way a look-up can go wrong is data: NXDOMAIN (name not in
the table), NODATA (name without that type), a null MX, a CNAME loop, and the faults below. Records may change while it
runs. Answers too large for the asker's UDP size are truncated, as RFC 2181 9 says, and complete over TCP.
It asks nobody else and knows no DNSSEC. RFC 1035, RFC 2308 (negative answers), RFC 6891 (EDNS), RFC 7505 (null MX).
"""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Self

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.reversename
import dns.rrset

from relay.demo.connections import Connections
from relay.settings import HostPort

_MAX_CHAIN = 8  # CNAMEs followed before the answer goes out as it is


class Fault(StrEnum):
    """A way for a name server to fail."""

    SERVFAIL = "servfail"
    REFUSED = "refused"
    NXDOMAIN = "nxdomain"  #: says the name does not exist, whatever the table holds
    SILENT = "silent"  #: never answers
    GARBAGE = "garbage"  #: answers with bytes that are no DNS message
    LAME = "lame"  #: answers with a referral to itself and no data
    TRUNCATED = "truncated"  #: nothing but the TC flag over UDP; TCP answers
    TRUNCATED_DEAD = "truncated_dead"  #: the same, and TCP closes without an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """All that the server says about one name."""

    mx: tuple[tuple[int, str], ...] = ()  #: (preference, host name)
    a: tuple[str, ...] = ()
    aaaa: tuple[str, ...] = ()
    txt: tuple[str, ...] = ()
    ptr: tuple[str, ...] = ()
    cname: str | None = None
    ttl: int = 60
    fault: Fault | None = None
    fault_types: frozenset[str] = frozenset()  #: "MX", "A" …: the fault holds for these only; empty = for all
    delay: float = 0.0  #: seconds before the answer

    def texts(self, rdtype: str) -> tuple[str, ...]:
        """Give the records of one type in zone-file form."""
        by_type: dict[str, tuple[str, ...]] = {
            "MX": tuple(f"{preference} {host.rstrip('.')}." for preference, host in self.mx),
            "A": self.a,
            "AAAA": self.aaaa,
            "TXT": tuple(f'"{text}"' for text in self.txt),
            "CNAME": (f"{self.cname.rstrip('.')}.",) if self.cname else (),
            "PTR": tuple(f"{host.rstrip('.')}." for host in self.ptr),
        }
        return by_type.get(rdtype, ())

    def fault_for(self, rdtype: str) -> Fault | None:
        """Give the fault, if it holds for this type."""
        return self.fault if not self.fault_types or rdtype in self.fault_types else None


#: RFC 7505: this domain takes no mail.
NULL_MX = Records(mx=((0, "."),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question somebody asked."""

    name: str  #: lower case, no trailing dot
    rdtype: str  #: "MX", "A" …
    transport: str  #: udp | tcp


def reverse_name(ip: str) -> str:
    """Give the name whose PTR record names this address."""
    return dns.reversename.from_address(ip).to_text(omit_final_dot=True)


def _key(name: str) -> str:
    return name.rstrip(".").lower()


@dataclass(slots=True)
class _Found:
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    rrsets: list[dns.rrset.RRset] = field(default_factory=list)
    fault: Fault | None = None
    delay: float = 0.0
    is_negative: bool = True  #: the name or the type does not exist


class FakeDns:
    """The server; `async with FakeDns({"guest.example": Records(mx=((10, "mx.guest.example"),))}) as server:`."""

    def __init__(self, zone: Mapping[str, Records] | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.asked: list[Question] = []
        #: Set while the server is meant to be down: nothing is answered at all.
        self.is_down = False
        self._zone = {_key(name): records for name, records in (zone or {}).items()}
        self._host, self._port = host, port
        self._connections = Connections()
        self._timers: set[asyncio.TimerHandle] = set()
        self._tcp: asyncio.Server | None = None
        self._udp: asyncio.DatagramTransport | None = None

    @property
    def address(self) -> HostPort:
        """Where it listens, UDP and TCP."""
        return HostPort(self._host, self._port)

    def set(self, name: str, records: Records) -> None:
        """Put or replace a name; `www.guest.example` makes `guest.example` exist too, as in a real zone."""
        self._zone[_key(name)] = records

    def remove(self, name: str) -> None:
        """Forget a name; it is NXDOMAIN from now on."""
        self._zone.pop(_key(name), None)

    def times_asked(self, name: str, rdtype: str | None = None) -> int:
        """Count the questions about one name."""
        return sum(1 for q in self.asked if q.name == _key(name) and rdtype in (None, q.rdtype))

    async def __aenter__(self) -> Self:
        for is_last in (False, False, False, False, True):
            self._tcp = await asyncio.start_server(self._connections.serve(self._serve_tcp), self._host, self._port)
            port = self._tcp.sockets[0].getsockname()[1]
            loop = asyncio.get_running_loop()
            try:
                self._udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=(self._host, port))
            except OSError:  # that UDP port is somebody else's: take another pair
                self._tcp.close()
                if is_last or self._port:
                    raise
                continue
            self._port = port
            break
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for timer in self._timers:
            timer.cancel()
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            await self._connections.close(self._tcp)
        await asyncio.sleep(0)  # the datagram transport closes its socket one turn of the loop later

    def answer_datagram(self, wire: bytes, send_to: tuple[str, int]) -> None:
        """Answer one UDP question, now or after the delay its name has."""
        answer, delay = self._answer(wire, "udp")
        if answer is None or self._udp is None:
            return
        if delay <= 0:
            self._udp.sendto(answer, send_to)
            return

        def send() -> None:
            self._timers.discard(timer)
            if self._udp is not None:
                self._udp.sendto(answer, send_to)

        timer = asyncio.get_running_loop().call_later(delay, send)
        self._timers.add(timer)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            answer, delay = self._answer(await reader.readexactly(length), "tcp")
            if delay > 0:
                await self._connections.pause(delay)
            if answer is None:
                return
            writer.write(struct.pack("!H", len(answer)) + answer)
            await writer.drain()

    def _answer(self, wire: bytes, transport: str) -> tuple[bytes | None, float]:
        """Make the answer and say how long to wait with it; None: there is none."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None, 0.0
        if len(query.question) != 1:
            return None, 0.0
        name = query.question[0].name
        rdtype = dns.rdatatype.to_text(query.question[0].rdtype)
        self.asked.append(Question(name=_key(name.to_text()), rdtype=rdtype, transport=transport))
        found = self._find(name, rdtype)
        if self.is_down or found.fault is Fault.SILENT:
            return None, math.inf
        if found.fault is Fault.GARBAGE:
            return wire[:2] + b"\xff" * 40, found.delay
        if found.fault is Fault.TRUNCATED_DEAD and transport == "tcp":
            return None, found.delay
        return _encode(query, found, transport), found.delay

    def _find(self, name: dns.name.Name, rdtype: str) -> _Found:
        """Walk the table from that name along its CNAMEs."""
        found = _Found()
        for _ in range(_MAX_CHAIN):
            records = self._zone.get(_key(name.to_text()))
            if records is None:
                if not any(known.endswith("." + _key(name.to_text())) for known in self._zone):
                    found.rcode = dns.rcode.NXDOMAIN
                return found
            found.delay += records.delay
            found.fault = found.fault or records.fault_for(rdtype)
            if found.fault not in (None, Fault.TRUNCATED, Fault.TRUNCATED_DEAD):
                return found
            if records.cname is None or rdtype == "CNAME":
                texts = records.texts(rdtype)
                if texts:
                    found.is_negative = False
                    found.rrsets.append(dns.rrset.from_text(name, records.ttl, "IN", rdtype, *texts))
                return found
            found.rrsets.append(dns.rrset.from_text(name, records.ttl, "IN", "CNAME", *records.texts("CNAME")))
            name = dns.name.from_text(records.cname)
        return found


_FAULT_RCODES: dict[Fault | None, dns.rcode.Rcode] = {
    Fault.SERVFAIL: dns.rcode.SERVFAIL,
    Fault.REFUSED: dns.rcode.REFUSED,
    Fault.NXDOMAIN: dns.rcode.NXDOMAIN,
}


def _encode(query: dns.message.Message, found: _Found, transport: str) -> bytes:
    """Write the answer as it goes on the wire."""
    response = dns.message.make_response(query, recursion_available=True)
    if found.fault in (Fault.TRUNCATED, Fault.TRUNCATED_DEAD) and transport == "udp":
        response.flags |= dns.flags.TC
        return response.to_wire()
    response.set_rcode(_FAULT_RCODES.get(found.fault, found.rcode))
    top = dns.name.from_text(query.question[0].name.to_text().rstrip(".").rpartition(".")[2] or ".")
    if found.fault is Fault.LAME:
        response.authority.append(dns.rrset.from_text(top, 60, "IN", "NS", "ns.invalid."))
    elif found.fault not in (Fault.SERVFAIL, Fault.REFUSED):
        response.answer.extend(found.rrsets)
        if found.is_negative:  # RFC 2308: the SOA says how long "no" may be remembered
            soa = "ns.invalid. hostmaster.invalid. 1 3600 600 86400 60"
            response.authority.append(dns.rrset.from_text(top, 60, "IN", "SOA", soa))
    limit = 65535 if transport == "tcp" else max(512, query.payload)
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        short = dns.message.make_response(query, recursion_available=True)
        short.flags |= dns.flags.TC
        return short.to_wire()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: FakeDns) -> None:
        self._server = server

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._server.answer_datagram(data, addr)
