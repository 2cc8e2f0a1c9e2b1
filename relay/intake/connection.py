"""The wire side of one SMTP connection: its life, its clock, lines in and replies out.

The frame is aiosmtpd's SMTP class; of it remain the stream pair and the connection class. Its constructor inspects the
class for every connection and is not called. One timer serves the whole connection; replies to pipelined commands leave
in one write, and the client's next bytes are waited for only after they left.

Policy. A client that shuts its sending side gets all it sent carried out and answered (legacy programs do that after
QUIT). Silence is answered with 421 before the connection closes; while content arrives, every 4 KiB count as a sign of
life. A client that does not read its last reply within seconds is cut. What is said stands in server.py.
RFC 5321 4.5.3.2.7, RFC 2920 3.2.
"""

from __future__ import annotations

import asyncio
from ssl import SSLContext, SSLObject
from typing import cast

from aiosmtpd.smtp import SMTP

from relay.errors import Refused

#: The private parts of aiosmtpd and asyncio this module leans on; a test asserts that they exist.
PRIVATE_SEAMS = ("_cb_client_connected", "_handle_client", "_handler_coroutine", "_reader", "_writer", "_over_ssl")

LINE_LIMIT = 65_536
_SIGN_OF_LIFE = 4096
_LINGER = 10.0


class Connection(SMTP):
    """One connection, without an idea of what is said on it."""

    def __init__(self, *, loop: asyncio.AbstractEventLoop, silence: float) -> None:
        self.loop = loop
        asyncio.StreamReaderProtocol.__init__(
            self,
            asyncio.StreamReader(limit=LINE_LIMIT, loop=loop),
            client_connected_cb=self._cb_client_connected,
            loop=loop,
        )
        self.transport: asyncio.BaseTransport | None = None
        self._handler_coroutine = None
        self._silence = silence
        self._timer: asyncio.TimerHandle | None = None
        self._deadline: float | None = None
        self._progress = 0
        self._out: list[bytes] = []
        self.queued_bytes = 0  #: of replies not sent yet
        self.is_waiting = False  #: for the client's next line
        self.is_closing = False
        self.client_ip = ""
        self.tls_text: str | None = None  #: version and cipher; None in clear

    # Its life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the conversation in a task of its own."""
        asyncio.StreamReaderProtocol.connection_made(self, transport)
        self.transport = transport
        peer = transport.get_extra_info("peername")
        self.client_ip = peer[0] if peer else ""
        ssl_object = transport.get_extra_info("ssl_object")
        if ssl_object is not None:
            self._note_tls(ssl_object)
        self.restart_timer()
        self._handler_coroutine = self.loop.create_task(self._handle_client())

    def connection_lost(self, error: Exception | None) -> None:
        """End the conversation; after a clean end, what was already received is still carried out."""
        asyncio.StreamReaderProtocol.connection_lost(self, error)
        self.transport = None
        if self._timer is not None:
            self._timer.cancel()
        if error is not None and self._handler_coroutine is not None:
            self._handler_coroutine.cancel()

    def eof_received(self) -> bool:
        """Let the conversation go on to the end of what was received; TLS cannot be half closed."""
        self._reader.feed_eof()
        return self.tls_text is None

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task the conversation runs in."""
        return self._handler_coroutine

    def close(self) -> None:
        """Send what is queued and close; cut the connection when the client does not read it."""
        self._send()
        if self.transport is None:
            return
        transport = cast(asyncio.Transport, self.transport)
        transport.close()
        if transport.get_write_buffer_size() > 0:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_later(_LINGER, self.abort)

    def abort(self) -> None:
        """Cut the connection; a commit under way goes on."""
        if self.transport is not None:
            cast(asyncio.Transport, self.transport).abort()

    async def switch_to_tls(self, context: SSLContext) -> None:
        """Answer STARTTLS and do the handshake; what was sent ahead in clear is thrown away (RFC 3207 4.2)."""
        self._reader._buffer.clear()  # type: ignore[attr-defined]
        self.reply("220 2.0.0 go ahead")
        self._send()
        if self.transport is None:
            raise ConnectionResetError("closed before the TLS handshake")
        transport = await self.loop.start_tls(
            cast(asyncio.Transport, self.transport), self, context, server_side=True, ssl_handshake_timeout=30
        )
        if transport is None:
            raise ConnectionResetError("closed during the TLS handshake")
        self.transport = transport
        self._reader._transport = transport  # type: ignore[attr-defined]
        self._writer._transport = transport  # type: ignore[attr-defined]
        self._transport = transport
        self._over_ssl = True
        self._note_tls(transport.get_extra_info("ssl_object"))

    def _note_tls(self, ssl_object: SSLObject) -> None:
        cipher = ssl_object.cipher()
        self.tls_text = f"{ssl_object.version()} {cipher[0] if cipher else ''}".strip()

    # Its clock

    def restart_timer(self) -> None:
        """Count silence from now."""
        self._deadline = self.loop.time() + self._silence
        if self._timer is None:
            self._timer = self.loop.call_at(self._deadline, self._check_time)

    def pause_timer(self) -> None:
        """Count no silence: the client waits for us."""
        self._deadline = None

    def note_progress(self, size: int) -> None:
        """Count content as a sign of life, by the 4 KiB, so that a byte now and then does not hold us for ever."""
        self._progress += size
        if self._progress >= _SIGN_OF_LIFE:
            self._progress = 0
            self.restart_timer()

    def _check_time(self) -> None:
        now = self.loop.time()
        deadline = self._deadline
        if self.transport is None:
            return
        if deadline is not None and now >= deadline:
            self.is_closing = True
            self.reply("421 4.4.2 nothing was said for too long")
            self.close()
            if self._handler_coroutine is not None:
                self._handler_coroutine.cancel()
            return
        wait = deadline if deadline is not None else now + self._silence
        self._timer = self.loop.call_at(wait, self._check_time)

    # Lines in, replies out

    async def next_line(self) -> bytes:
        """Give the next line with its line end; replies leave first if the client must wait for them.

        Raises:
            asyncio.IncompleteReadError: the client is gone.
            Refused: 500 5.5.6: the line is longer than any command.
        """
        if b"\n" not in self._reader._buffer:  # type: ignore[attr-defined]
            await self.flush()
        self.is_waiting = True
        try:
            return await self._reader.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            await self._skip_line(error.consumed)
        finally:
            self.is_waiting = False
        raise Refused(500, "5.5.6", "the line is too long", reason="bad_command")

    async def _skip_line(self, consumed: int) -> None:
        while True:
            await self._reader.read(max(consumed, 1))
            try:
                await self._reader.readuntil(b"\n")
                return
            except asyncio.LimitOverrunError as error:
                consumed = error.consumed

    def reply(self, text: str | bytes) -> None:
        """Queue one reply, without its line end."""
        data = (text.encode() if isinstance(text, str) else text) + b"\r\n"
        self._out.append(data)
        self.queued_bytes += len(data)

    async def flush(self) -> None:
        """Send what is queued, and wait while the client does not read."""
        if self._send() and cast(asyncio.Transport, self.transport).get_write_buffer_size():
            await self._writer.drain()

    def _send(self) -> bool:
        if self._out and self.transport is not None and not self.transport.is_closing():
            cast(asyncio.Transport, self.transport).write(b"".join(self._out))
            self._out.clear()
            self.queued_bytes = 0
            return True
        return False
