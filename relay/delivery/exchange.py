"""The conversation of one transaction: MAIL, RCPT for each recipient, DATA, the content, the final answer.

Policy: the first negative reply about a recipient is the one that counts, whatever follows it or fails to follow.
MAIL refused is the reply of all recipients; RCPT refused is the reply of that one; DATA or the content refused is the
reply of all that were accepted. 421 ends the conversation and is the reply of everyone still open. No answer gives a
reply without a code to those who have none yet. When all were refused nothing is sent; a server that says 354 all the
same gets a lone dot. With PIPELINING everything up to DATA is one write (RFC 2920 allows DATA as the last of a group).
An answer before the end of the content ends the transaction: a refusal counts, anything else is a surprise.
The outcome is *unknown* exactly when all of the content with its dot was written and no final answer came (RFC 1047).
A code of the wrong kind (2yz for 3yz, 3yz for 2yz) is never taken for a yes.

RFC 5321 3.3, 4.1.4, 4.5.3.2. Does not open or close connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from aiosmtplib.errors import SMTPException
from aiosmtplib.response import SMTPResponse

from relay.delivery.commands import Plan
from relay.delivery.contract import Awaited
from relay.delivery.protocol import RelayProtocol, join_commands
from relay.delivery.replies import UnexpectedReply, of_server, of_silence
from relay.delivery.transcript import Transcript
from relay.model import Delivery, DeliveryId, Reply, Stage
from relay.settings import Timeouts

#: What may go wrong while one talks to a server; a TimeoutError is an OSError.
CONVERSATION_ERRORS = (SMTPException, UnexpectedReply, OSError)

#: When everything is decided, the answers that are still due are waited for no longer than this.
_GRACE_SECONDS = 5.0

_CLOSING = 421

#: When the final answer takes longer, it is said that the mail is on its way: `sent`.
AWAITED_AFTER = 5.0


class Exchange:
    """Runs one transaction; afterwards `replies` covers every recipient of the plan."""

    def __init__(
        self,
        protocol: RelayProtocol,
        plan: Plan,
        *,
        host: str,
        is_pipelining: bool,
        timeouts: Timeouts,
        clock: Callable[[], float],
        transcript: Transcript,
        awaited: Awaited | None = None,
    ) -> None:
        self._protocol = protocol
        self._awaited = awaited
        self._plan = plan
        self._host = host
        self._is_pipelining = is_pipelining
        self._command_timeout = timeouts.command.total_seconds()
        self._timeouts = timeouts
        self._clock = clock
        self._transcript = transcript
        self._stage = Stage.MAIL
        self._open: dict[DeliveryId, Delivery] = {delivery.id: delivery for delivery, _ in plan.rcpts}
        self._is_sent = False
        self._lap_at = clock()
        self.replies: dict[DeliveryId, Reply] = dict(plan.refused)
        self.timings: dict[str, float] = {}
        self.is_broken = False  #: the connection cannot be used any more
        self.is_left_open = False  #: the server still holds a transaction; the next one must begin with RSET
        self.is_unknown = False

    @property
    def has_recipients(self) -> bool:
        """False when every recipient was refused without asking the server."""
        return bool(self._plan.rcpts)

    async def run(self, wire: bytes, *, must_reset: bool) -> None:
        """Talk until every recipient has a reply; never raises for what the server does."""
        try:
            await self._converse(wire, must_reset=must_reset)
        except CONVERSATION_ERRORS as error:
            self.is_broken = True
            self.is_unknown = self._is_sent and bool(self._open)
            reply = of_silence(error, stage=self._stage, host=self._host, is_unknown=self.is_unknown)
            self._transcript.happened(self._clock(), reply.text)
            self._decide_open(reply)

    async def _converse(self, wire: bytes, *, must_reset: bool) -> None:
        if self._is_pipelining:
            reset = [b"RSET"] if must_reset else []
            self._send([*reset, self._plan.mail, *(line for _, line in self._plan.rcpts), b"DATA"])
        if must_reset:
            reply = await self._ask(b"RSET", self._command_timeout)
            if not 200 <= reply.code < 300:
                raise UnexpectedReply(reply, expected="250")
        await self._mail()
        self._lap("mail")
        await self._rcpts()
        self._lap("rcpt")
        if self._open or self._is_pipelining:
            is_wanted = await self._data()
            self._lap("data")
            if is_wanted:
                await self._content(wire)
                self._lap("final")

    async def _mail(self) -> None:
        reply = await self._ask(self._plan.mail, self._command_timeout)
        if reply.code < 300:
            self.is_left_open = True
        elif reply.code < 400:
            raise UnexpectedReply(reply, expected="250")
        else:
            self._decide_open(of_server(reply, stage=Stage.MAIL, host=self._host))

    async def _rcpts(self) -> None:
        self._stage = Stage.RCPT
        for delivery, line in self._plan.rcpts:
            if not self._is_pipelining and (self.is_broken or not self._open):
                return
            reply = await self._ask(line, self._command_timeout)
            if delivery.id not in self._open or reply.code < 300:
                continue
            if reply.code < 400:
                raise UnexpectedReply(reply, expected="250")
            refusal = of_server(reply, stage=Stage.RCPT, host=self._host)
            if reply.code == _CLOSING:
                self._decide_open(refusal)
            else:
                del self._open[delivery.id]
                self.replies[delivery.id] = refusal

    async def _data(self) -> bool:
        """Ask for the content to be taken; True when it is to be sent."""
        self._stage = Stage.DATA
        reply = await self._ask(b"DATA", self._timeouts.data.total_seconds())
        if 300 <= reply.code < 400:
            if self._open:
                return True
            await self._send_lone_dot()
        elif self._open:
            if reply.code < 300:
                raise UnexpectedReply(reply, expected="354")
            self._decide_open(of_server(reply, stage=Stage.DATA, host=self._host))
        return False

    async def _send_lone_dot(self) -> None:
        """End a transaction that nobody is left in: an empty message to no one (RFC 2920 3.1)."""
        self.is_broken = True
        self._transcript.sent(self._clock(), ".")
        self._protocol.send(b".\r\n", replies=1)
        await self._read(_GRACE_SECONDS)

    async def _content(self, wire: bytes) -> None:
        self._transcript.sent(self._clock(), f"<{len(wire)} bytes of content>")
        block = self._timeouts.block.total_seconds()
        self._is_sent = await self._protocol.send_body(wire, block_timeout=block)
        if not self._is_sent:
            self.is_broken = True
        reply = await self._final_answer()
        if 300 <= reply.code < 400:
            raise UnexpectedReply(reply, expected="250")
        if reply.code < 300 and not self._is_sent:
            raise UnexpectedReply(reply, expected="silence until the end of the content")
        self.is_left_open = False
        self._decide_open(of_server(reply, stage=Stage.DATA, host=self._host))

    async def _final_answer(self) -> SMTPResponse:
        timer = asyncio.get_running_loop().call_later(AWAITED_AFTER, self._tell_awaited)
        try:
            return await self._read(self._timeouts.final.total_seconds())
        finally:
            timer.cancel()

    def _tell_awaited(self) -> None:
        if self._awaited is not None and self._is_sent:
            self._awaited(tuple(self._open))

    async def _ask(self, line: bytes, timeout: float) -> SMTPResponse:
        if not self._is_pipelining:
            self._send([line])
        return await self._read(timeout if self._open else min(timeout, _GRACE_SECONDS))

    def _send(self, lines: Sequence[bytes]) -> None:
        together = join_commands(lines)
        self._transcript.sent(self._clock(), together[:-2])
        self._protocol.send(together, replies=len(lines))

    async def _read(self, timeout: float) -> SMTPResponse:
        reply = await self._protocol.read_response(timeout)
        self._transcript.received(self._clock(), reply.code, reply.message)
        if reply.code == _CLOSING:
            self.is_broken = True
        return reply

    def _decide_open(self, reply: Reply) -> None:
        for delivery_id in self._open:
            self.replies[delivery_id] = reply
        self._open.clear()

    def _lap(self, step: str) -> None:
        now = self._clock()
        self.timings[step] = now - self._lap_at
        self._lap_at = now
