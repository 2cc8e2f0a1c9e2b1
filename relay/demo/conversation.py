"""One client's conversation with a scripted mail server.

Owns the order of the steps and the bytes on the wire; what is said comes from the Temper, what is accepted goes to the
server (mx.py). Each answer passes through `_answer`, so that every temper can wait, lie or vanish at every step.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from relay.demo.certificate import server_context
from relay.demo.connections import reset
from relay.demo.temper import Answer, Step, Temper, Tls

_NORMAL: dict[Step, str] = {
    Step.GREETING: "220 {host} ESMTP at your service",
    Step.STARTTLS: "220 2.0.0 Ready to start TLS",
    Step.MAIL: "250 2.1.0 Ok",
    Step.RCPT: "250 2.1.5 Ok",
    Step.DATA: "354 End data with <CR><LF>.<CR><LF>",
    Step.FINAL: "250 2.0.0 Ok: queued as {id}",
    Step.RSET: "250 2.0.0 Ok",
    Step.QUIT: "221 2.0.0 Bye",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A message that has arrived whole."""

    mail_from: str
    recipients: tuple[str, ...]
    content: bytes
    tls: str | None
    helo: str
    connection: int


class Server(Protocol):
    """What the conversation needs of the server it belongs to."""

    hostname: str
    open_count: int
    commands: list[tuple[int, str]]
    greylist: set[tuple[str, str, str]]

    def effective_temper(self, connection: int) -> Temper:
        """Give the temper that holds for a connection now."""

    async def accept(self, accepted: Accepted, *, is_answered: bool) -> int:
        """Record a message; return its number."""


class _HungUp(Exception):
    """The server closes the connection."""


class Conversation:
    """The state of one connection."""

    def __init__(
        self,
        server: Server,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        pause: Callable[[float], Awaitable[None]],
        number: int,
    ) -> None:
        self._server, self._reader, self._writer, self._pause, self._number = server, reader, writer, pause, number
        self._client: str = writer.get_extra_info("peername")[0]
        self._helo = ""
        self._tls: str | None = None
        self._mail_from: str | None = None
        self._recipients: list[str] = []
        self._commands: dict[str, Callable[[str], Awaitable[None]]] = {
            "EHLO": self._ehlo,
            "HELO": self._ehlo,
            "STARTTLS": self._starttls,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "RSET": self._rset,
            "QUIT": self._quit,
            "NOOP": self._noop,
        }

    @property
    def _temper(self) -> Temper:
        return self._server.effective_temper(self._number)

    async def run(self) -> None:
        """Talk until one side ends it."""
        try:
            limit = self._temper.max_connections
            if limit is not None and self._server.open_count > limit:
                await self._write("421 4.7.0 {host} too many connections from {client}")
                return
            await self._answer(Step.GREETING)
            while (line := await self._read_line()) is not None:
                verb = line[:4].upper() if line[:8].upper() != "STARTTLS" else "STARTTLS"
                self._server.commands.append((self._number, line))
                await self._commands.get(verb, self._unknown)(line)
        except _HungUp:
            if self._temper.is_resetting:
                reset(self._writer)

    async def _read_line(self) -> str | None:
        """Read one command; None at the end of the connection."""
        wire = await self._reader.readline()
        return wire.decode("utf-8", "surrogateescape").rstrip("\r\n") if wire.endswith(b"\n") else None

    async def _answer(self, step: Step, normal: Answer | None = None, *, rcpt: str = "", number: int = 0) -> bool:
        """Give the answer of one step as the temper says; tell whether it was a yes (2yz or 3yz).

        Raises:
            _HungUp: the temper ends the connection here.
        """
        temper = self._temper
        if step in temper.delays:
            await self._pause(temper.delays[step])
        if step in temper.hangs_up:
            raise _HungUp
        answer = normal if normal is not None else temper.replies.get(step, _NORMAL.get(step, ""))
        await self._write(answer, rcpt=rcpt, number=number)
        first = answer[:1] if isinstance(answer, str) else answer[:1].decode("latin-1")
        if step in temper.hangs_up_after or answer[:3] in ("421", b"421"):
            raise _HungUp
        return first in "23"

    async def _write(self, answer: Answer, *, rcpt: str = "", number: int = 0) -> None:
        wire = answer if isinstance(answer, bytes) else self._encode(answer, rcpt=rcpt, number=number)
        if not self._temper.tarpit:
            self._writer.write(wire)
            await self._writer.drain()
            return
        for byte in wire:
            await self._pause(self._temper.tarpit)
            self._writer.write(bytes([byte]))
            await self._writer.drain()

    def _encode(self, text: str, *, rcpt: str, number: int) -> bytes:
        names = {"{host}": self._server.hostname, "{client}": self._client, "{rcpt}": rcpt, "{id}": f"{number:06d}"}
        filled = re.sub(r"\{(?:host|client|rcpt|id)\}", lambda match: names[match[0]], text)
        return (filled.replace("\n", "\r\n") + "\r\n").encode("utf-8", "surrogateescape")

    async def _ehlo(self, line: str) -> None:
        self._helo = line[5:].strip()
        self._forget()
        if line[:4].upper() == "HELO":
            await self._answer(Step.HELO, self._temper.replies.get(Step.HELO, "250 {host}"))
            return
        temper = self._temper
        offers = ["{host} greets [{client}]", *temper.extensions]
        if temper.size is not None:
            offers.append(f"SIZE {temper.size}")
        if temper.tls is not Tls.NONE and self._tls is None:
            offers.append("STARTTLS")
        lines = [f"250-{offer}" for offer in offers[:-1]] + [f"250 {offers[-1]}"]
        await self._answer(Step.EHLO, temper.replies.get(Step.EHLO, "\n".join(lines)))

    async def _starttls(self, line: str) -> None:
        tls = self._temper.tls
        if tls is Tls.NONE or self._tls is not None:
            await self._write("503 5.5.1 STARTTLS is not offered")
        elif tls is Tls.REFUSED:
            await self._answer(Step.STARTTLS, "454 4.7.0 TLS not available for now")
        elif await self._answer(Step.STARTTLS):
            if tls is Tls.BROKEN:
                await self._write(b"This is no handshake, this is a sentence.\r\n" * 4)
                raise _HungUp
            await self._writer.start_tls(server_context(self._server.hostname))
            self._tls = self._writer.get_extra_info("ssl_object").version()
            self._forget()

    async def _mail(self, line: str) -> None:
        size = re.search(r" SIZE=(\d{1,15})", line, re.IGNORECASE)
        limit = self._temper.size
        if self._mail_from is not None:
            await self._write("503 5.5.1 Nested MAIL command")
        elif size is not None and limit is not None and int(size[1]) > limit:
            await self._answer(Step.MAIL, "552 5.3.4 Message size exceeds the limit of this server")
        elif await self._answer(Step.MAIL):
            self._mail_from = _path(line)

    async def _rcpt(self, line: str) -> None:
        if self._mail_from is None:
            await self._write("503 5.5.1 Need MAIL command first")
            return
        rcpt = _path(line)
        if await self._answer(Step.RCPT, self._judge(rcpt), rcpt=rcpt):
            self._recipients.append(rcpt)

    def _judge(self, rcpt: str) -> Answer | None:
        """Choose the answer for one recipient; None: the usual one of this temper."""
        temper = self._temper
        local_part = rcpt.rpartition("@")[0].lower()
        for pattern, answer in temper.people:
            if fnmatchcase(local_part, pattern):
                return answer
        if temper.max_recipients is not None and len(self._recipients) >= temper.max_recipients:
            return "452 4.5.3 Too many recipients, send the rest in another transaction"
        triplet = (self._client, self._mail_from or "", rcpt)
        if temper.is_greylisting and triplet not in self._server.greylist:
            self._server.greylist.add(triplet)
            return "450 4.2.0 <{rcpt}>: Recipient address rejected: Greylisted, please come back later"
        return None

    async def _data(self, line: str) -> None:
        if not self._recipients:
            await self._answer(Step.DATA, "554 5.5.1 No valid recipients")
            return
        if not await self._answer(Step.DATA):
            return
        content = await self._read_content()
        limit = self._temper.size
        if limit is not None and len(content) > limit:
            await self._answer(Step.FINAL, "552 5.3.4 Message too big")
        else:
            await self._finish(content)
        self._forget()

    async def _finish(self, content: bytes) -> None:
        temper = self._temper
        final = temper.replies.get(Step.FINAL, _NORMAL[Step.FINAL])
        number = 0
        if final[:1] in ("2", b"2"):
            accepted = Accepted(
                mail_from=self._mail_from or "",
                recipients=tuple(self._recipients),
                content=content,
                tls=self._tls,
                helo=self._helo,
                connection=self._number,
            )
            is_answered = Step.FINAL not in temper.hangs_up and temper.delays.get(Step.FINAL, 0.0) < float("inf")
            number = await self._server.accept(accepted, is_answered=is_answered)
        await self._answer(Step.FINAL, number=number)

    async def _read_content(self) -> bytes:
        """Read up to the line with the lone dot and undo the dot stuffing (RFC 5321 4.5.2)."""
        lines: list[bytes] = []
        is_line_start = True
        while True:
            line = await self._reader.readline()
            if not line.endswith(b"\n"):
                raise _HungUp  # the client vanished within the content
            if is_line_start and line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if is_line_start and line.startswith(b".") else line)
            is_line_start = line.endswith(b"\r\n")
            if Step.CONTENT in self._temper.hangs_up:
                raise _HungUp

    async def _rset(self, line: str) -> None:
        self._forget()
        await self._answer(Step.RSET)

    async def _noop(self, line: str) -> None:
        await self._write("250 2.0.0 Ok")

    async def _quit(self, line: str) -> None:
        await self._answer(Step.QUIT)
        raise _HungUp

    async def _unknown(self, line: str) -> None:
        await self._write("500 5.5.2 Command not recognised")

    def _forget(self) -> None:
        self._mail_from = None
        self._recipients = []


def _path(line: str) -> str:
    """Take the address out of MAIL FROM:<…> or RCPT TO:<…>."""
    match = re.search(r":\s*<([^>]*)>", line)
    return match[1] if match else line.partition(":")[2].strip()
