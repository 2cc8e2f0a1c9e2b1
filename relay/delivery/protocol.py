"""The bytes of one SMTP connection: commands out, replies in, in the order they belong together.

Stands on aiosmtplib's SMTPProtocol (flow control, transport, error types) and replaces its reply reader, which takes
one reply at a time and so pairs a reply with the wrong command when two arrive together.

Policy: replies are read first in, first out, each belonging to the oldest unanswered command. Bytes nobody asked for
are a *surprise*: the replies before them still count, and nothing more is ever written. A reply may be 32 KiB long.
A refusal (4yz, 5yz) counts as soon as its code is known, even when the rest never ends, never comes or has no line
end; a 2yz or 3yz counts only when it is complete. What has no reply code is garbage, and so is a code outside 200-599.
The code of a many-line reply is that of its last line.
Content goes out in blocks of 64 KiB, each waited for; a body that fits one block is one write together with its dot.

RFC 5321 4.2, 4.5.3.1.5; RFC 2920 (pipelining); RFC 3207 (nothing may be left over when TLS begins).
Does not know what a reply means, nor what a transaction is.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Sequence
from typing import cast

from aiosmtplib.errors import SMTPException, SMTPReadTimeoutError, SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol
from aiosmtplib.response import SMTPResponse

from relay.dots import has_dot_line

_MAX_REPLY_BYTES = 32 * 1024
_BLOCK_BYTES = 64 * 1024

# Some servers leave out the blank after the code; four digits are no code.
_REPLY_LINE = re.compile(rb"([2-5][0-9]{2})(?![0-9])(-?)[ \t]?(.*?)[ \t\r]*", re.DOTALL)
_REFUSAL = re.compile(rb"([45][0-9]{2})(?![0-9])[ \t-]?(.*)", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


class GarbageReply(SMTPException):
    """What came is not an SMTP reply; `message` goes on a sentence that begins with what it should have been."""


class SpokeOutOfTurn(SMTPServerDisconnected):
    """Bytes came that nobody asked for, so nothing more may be sent."""


class RelayProtocol(SMTPProtocol):
    """One connection; `send` and `read_response` keep commands and replies paired."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._ready: deque[SMTPResponse] = deque()
        self._lines: list[bytes] = []  # of the reply that is arriving
        self._reply_bytes = 0
        self._code = 0
        self._unanswered = 1  # the greeting
        self._reply_arrived: asyncio.Future[None] | None = None
        self._failure: SMTPException | None = None
        self._gone: asyncio.Future[None] = loop.create_future()
        self.surprise = ""  #: bytes that came unasked, for the log

    @property
    def is_alive(self) -> bool:
        """Tell whether another command may be sent: connected, and nothing came that was not asked for."""
        return self.is_connected and self._failure is None and not self.surprise and not self._buffer

    @property
    def ssl_object(self) -> ssl.SSLObject:
        """The TLS state of the connection; only when there is one."""
        assert self.transport is not None
        found = self.transport.get_extra_info("ssl_object")
        assert isinstance(found, ssl.SSLObject)
        return found

    @property
    def has_reply(self) -> bool:
        """Tell whether an answer (or the end of the connection) is already there."""
        return bool(self._ready) or self._failure is not None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._take_line(line)
            if self._failure is not None:
                break
        if self._failure is None and self._reply_bytes + len(self._buffer) > _MAX_REPLY_BYTES:
            self._fail(GarbageReply("is longer than 32 KiB"))
        self._wake()

    def eof_received(self) -> bool:
        self._fail(SMTPServerDisconnected("the server closed the connection"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        reason = getattr(exc, "strerror", None) or (str(exc) if exc else "")
        text = f"the connection was lost ({reason})" if reason else "the server closed the connection"
        self._fail(SMTPServerDisconnected(text))
        if not self._gone.done():
            self._gone.set_result(None)

    def write(self, data: bytes) -> None:
        """Send one command, which will have one reply (also what the inherited commands use)."""
        self.send(data, replies=1)

    def send(self, data: bytes, *, replies: int) -> None:
        """Write commands that will have so many replies.

        Raises:
            SMTPServerDisconnected: the connection is gone.
            SpokeOutOfTurn: bytes came that nobody asked for.
        """
        self._check_alive()
        self._unanswered += replies
        super().write(data)

    async def read_response(self, timeout: float | None = None) -> SMTPResponse:
        """Return the next reply.

        Raises:
            SMTPReadTimeoutError: none came in time.
            SMTPServerDisconnected: the connection ended first.
            GarbageReply: what came is not SMTP.
        """
        if not self._ready:
            if self._failure is not None:
                raise self._failure
            await self._wait_for_reply(timeout)
        self._unanswered -= 1
        return self._ready.popleft()

    async def send_body(self, wire: bytes, *, block_timeout: float) -> bool:
        """Send content that is already in wire form; return whether all of it, with the final dot, was written.

        Stops early when the server answers before the end. The answer is left for read_response.
        """
        self.send(wire[:_BLOCK_BYTES], replies=1)
        for start in range(_BLOCK_BYTES, len(wire), _BLOCK_BYTES):
            async with asyncio.timeout(block_timeout):
                await self._drain_helper()
            if self.has_reply or not self.is_connected:
                return False
            super().write(wire[start : start + _BLOCK_BYTES])
        return True

    async def upgrade(self, context: ssl.SSLContext, *, server_hostname: str | None, timeout: float) -> None:
        """Do the TLS handshake after the server said 220 to STARTTLS.

        Raises:
            SpokeOutOfTurn: bytes came in clear after the 220; they could have been injected on the way.
            ssl.SSLError, OSError, TimeoutError: the handshake failed; the connection is gone.
        """
        self._check_alive()
        self.transport = await self._loop.start_tls(
            cast("asyncio.WriteTransport", self.transport),
            self,
            context,
            server_side=False,
            server_hostname=server_hostname,
            ssl_handshake_timeout=timeout,
        )
        self._over_ssl = True

    def abort(self) -> None:
        """Close at once, without a word."""
        if self.transport is not None:
            cast("asyncio.WriteTransport", self.transport).abort()
        self._fail(SMTPServerDisconnected("the connection is closed"))

    async def wait_closed(self) -> None:
        """Return once the socket is closed."""
        await asyncio.shield(self._gone)

    def _check_alive(self) -> None:
        if self.surprise or self._buffer:
            self.abort()
            raise SpokeOutOfTurn(f"the server spoke out of turn: {self.surprise or 'half a reply'}")
        if not self.is_connected or self._failure is not None:
            raise SMTPServerDisconnected(self._failure.message if self._failure else "the connection is closed")

    def _take_line(self, line: bytes) -> None:
        match = _REPLY_LINE.fullmatch(line)
        if match is None:
            self._fail(GarbageReply(f'is not SMTP: "{clean(line[:200].rstrip())}"'))
            return
        self._code = int(match[1])
        self._reply_bytes += len(line) + 1
        self._lines.append(match[3])
        if not match[2]:
            self._finish_reply()

    def _finish_reply(self) -> None:
        text = clean(b"\n".join(self._lines))
        self._lines.clear()
        self._reply_bytes = 0
        if len(self._ready) < self._unanswered:
            self._ready.append(SMTPResponse(self._code, text))
        elif not self.surprise:
            self.surprise = f"{self._code} {text}"[:200]

    def _fail(self, error: SMTPException) -> None:
        """No reply will come any more; a refusal of which the code is known still counts."""
        if self._failure is not None:
            return
        if len(self._ready) < self._unanswered:
            self._keep_partial_refusal()
        self._failure = error
        self._buffer.clear()
        if self.transport is not None:
            self.transport.close()
        self._wake()

    def _keep_partial_refusal(self) -> None:
        match = _REFUSAL.match(self._buffer)
        if match is not None:
            self._code = int(match[1])
            self._lines.append(bytes(match[2]))
        if self._lines and self._code >= 400:
            self._finish_reply()

    def _wake(self) -> None:
        if not self.has_reply:
            return
        if self._reply_arrived is not None and not self._reply_arrived.done():
            self._reply_arrived.set_result(None)
        for waiter in self._drain_waiters:  # who answers before the end may never read the rest
            if not waiter.done():
                waiter.set_result(None)

    async def _wait_for_reply(self, timeout: float | None) -> None:
        self._reply_arrived = self._loop.create_future()
        timer = None if timeout is None else self._loop.call_later(timeout, self._time_out, timeout)
        try:
            await self._reply_arrived
        except asyncio.CancelledError:
            self.abort()  # a reply may still be under way; nobody would know whose
            raise
        finally:
            if timer is not None:
                timer.cancel()
            self._reply_arrived = None
        if not self._ready:
            assert self._failure is not None
            raise self._failure

    def _time_out(self, timeout: float) -> None:
        self._fail(SMTPReadTimeoutError(f"no answer within {timeout:g} s"))


def clean(data: bytes) -> str:
    """Make readable text of what a server sent: UTF-8, or Windows-1252 when it is not; no control characters."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    return text if text.isascii() and text.isprintable() else _CONTROL.sub("\ufffd", text.replace("\t", " "))


def wire_form(content: bytes) -> bytes:
    """Make the bytes that follow 354: CRLF lines, leading dots doubled, the final dot.

    Content is CRLF lines by contract. A bare CR or LF that got here all the same is made a CRLF: sent as it is, some
    servers would take it for the end of the message and what follows for commands (SMTP smuggling).
    """
    pairs = content.count(b"\r\n")
    if content.count(b"\n") != pairs or content.count(b"\r") != pairs:
        content = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    if has_dot_line(content):
        content = content.replace(b"\r\n.", b"\r\n..")
        content = b"." + content if content.startswith(b".") else content
    end = b".\r\n" if content.endswith(b"\r\n") or not content else b"\r\n.\r\n"
    return content + end


def join_commands(commands: Sequence[bytes]) -> bytes:
    """Make one write of several commands (RFC 2920)."""
    return b"\r\n".join(commands) + b"\r\n"
