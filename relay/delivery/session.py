"""One open SMTP connection, used for one transaction after another (contract.Session).

Policy: a connection that saw any surprise is never used again: unsolicited bytes, a time-out, a cancelled transaction,
a reply that made no sense, 421. After a transaction that the server still holds open (all recipients refused, DATA
refused) the next one begins with RSET. The conversation is written out when one recipient was refused, or always with
`record = "all"`; a reused connection's conversation repeats how it was opened.

opening.py brings a connection to the point where this begins; exchange.py runs the transactions.
RFC 5321 3.3, 4.1.1.5, 4.1.1.10.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from relay.delivery.commands import plan
from relay.delivery.contract import Envelope, Host, HostResult
from relay.delivery.exchange import CONVERSATION_ERRORS, Exchange
from relay.delivery.protocol import RelayProtocol, wire_form
from relay.delivery.transcript import Entry, Transcript
from relay.settings import Timeouts

_QUIT_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """How a connection was opened, for the record of the transactions on it."""

    started_at: datetime
    took: timedelta
    timings: Mapping[str, float]
    entries: tuple[Entry, ...]
    extensions: Mapping[str, str]  #: EHLO keywords in lower case, with their parameters
    source: str | None
    tls: str | None
    tls_decision: str


class SmtpSession:
    """One open connection to one host."""

    def __init__(
        self,
        protocol: RelayProtocol,
        host: Host,
        *,
        opened: Opened,
        timeouts: Timeouts,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        is_always_recorded: bool,
    ) -> None:
        self._protocol = protocol
        self._host = host
        self._opened = opened
        self._timeouts = timeouts
        self._now = now
        self._clock = clock
        self._is_always_recorded = is_always_recorded
        self._is_spoiled = False
        self._must_reset = False
        self._sent_count = 0

    @property
    def host(self) -> Host:
        """Where it is connected to."""
        return self._host

    @property
    def is_usable(self) -> bool:
        """False after any surprise (unsolicited bytes, time-out, cancel, 421) and during a transaction."""
        return not self._is_spoiled and self._protocol.is_alive

    @property
    def sent_count(self) -> int:
        """Transactions begun on this connection."""
        return self._sent_count

    async def deliver(self, envelope: Envelope) -> HostResult:
        """Run one transaction; the replies cover every recipient."""
        started_at, start = self._now(), self._clock()
        is_reused = self._sent_count > 0
        self._sent_count += 1
        transcript = Transcript(self._opened.entries)
        if is_reused:
            transcript.happened(start, f"transaction {self._sent_count} on this connection")
        exchange = Exchange(
            self._protocol,
            plan(envelope, self._opened.extensions, host=self._host.name),
            host=self._host.name,
            is_pipelining="pipelining" in self._opened.extensions,
            timeouts=self._timeouts,
            clock=self._clock,
            transcript=transcript,
            awaited=envelope.awaited,
        )
        if exchange.has_recipients:
            await self._run(exchange, envelope.content)
        return self._result(exchange, transcript, is_reused=is_reused, started_at=started_at, start=start)

    async def quit(self) -> None:
        """Say QUIT, wait 5 s at most, close."""
        was_usable = self.is_usable
        self._is_spoiled = True
        if was_usable:
            try:
                self._protocol.send(b"QUIT\r\n", replies=1)
                await self._protocol.read_response(_QUIT_SECONDS)
            except CONVERSATION_ERRORS:
                pass  # they were free to hang up first
        self._protocol.abort()
        await self._protocol.wait_closed()

    def abort(self) -> None:
        """Close at once."""
        self._is_spoiled = True
        self._protocol.abort()

    async def _run(self, exchange: Exchange, content: bytes) -> None:
        self._is_spoiled = True  # until it ended well: a cancelled transaction leaves replies under way
        try:
            await exchange.run(wire_form(content), must_reset=self._must_reset)
        except asyncio.CancelledError:
            self._protocol.abort()
            raise
        if exchange.is_broken:
            self._protocol.abort()
        else:
            self._is_spoiled = False
            self._must_reset = exchange.is_left_open

    def _result(
        self, exchange: Exchange, transcript: Transcript, *, is_reused: bool, started_at: datetime, start: float
    ) -> HostResult:
        opened = self._opened
        took = timedelta(seconds=self._clock() - start)
        is_recorded = self._is_always_recorded or not all(reply.is_positive for reply in exchange.replies.values())
        return HostResult(
            host=self._host,
            started_at=started_at if is_reused else opened.started_at,
            took=took if is_reused else took + opened.took,
            replies=exchange.replies,
            source=opened.source,
            tls=opened.tls,
            tls_decision=opened.tls_decision,
            timings=exchange.timings if is_reused else {**opened.timings, **exchange.timings},
            conversation=transcript.text() if is_recorded else "",
            is_unknown=exchange.is_unknown,
            is_reused=is_reused,
            is_dsn_passed_on="dsn" in opened.extensions,
        )
