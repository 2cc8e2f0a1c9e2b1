"""One SMTP conversation: who the client is, which command comes, and what a refusal leads to.

The wire stands in connection.py, the commands in commands.py, transaction.py and login.py.

Policy. No command is logged. A connection that breaks while a mail is committed does not disturb the commit. A DATA
that is refused closes the connection, since what follows may be content and must never run as commands; so does BDAT,
which is not offered. A web browser, a TLS hello on a clear-text port or an SSH client gets one reply and is gone.
Replies never repeat what the client said. Anything unforeseen is 451 4.3.0 and logged. RFC 5321, RFC 3463.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiosmtpd.proxy_protocol import get_proxy

from relay.errors import Refused
from relay.headers import clean
from relay.intake.body import Body
from relay.intake.commands import COMMANDS, Command
from relay.intake.connection import Connection
from relay.intake.policy import parse_ip
from relay.intake.submission import Circumstances, Transaction, Tried
from relay.intake.transaction import keep_submission
from relay.model import Refusal
from relay.settings import App

if TYPE_CHECKING:
    from relay.intake.reception import Port, Reception

log = logging.getLogger("relay.intake")

MAX_ERRORS = 10  # bad commands on one connection
MAX_REFUSALS = 1000  # for any other lasting reason: a list with many dead addresses is honest, an endless one is not
_FLUSH_AT = 65_536
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_STRANGERS = re.compile(
    rb"(?:GET|POST|PUT|HEAD|OPTIONS|CONNECT|DELETE|TRACE|PATCH) |SSH-|.* HTTP/[0-9.]+\Z|\x16\x03", re.IGNORECASE
)
_RECORDED = frozenset({"connect", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA"})


class RelaySMTP(Connection):
    """The server side of one conversation."""

    commands: Mapping[str, Command] = COMMANDS
    max_refusals = MAX_REFUSALS

    def __init__(self, reception: Reception, port: Port, *, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop, silence=reception.silence)
        self.reception = reception
        self.port = port
        self.helo = ""
        self.is_extended = False
        self.auth_user: str | None = None
        self.auth_failure_count = 0
        self.idle_count = 0
        self.transaction: Transaction | None = None
        self.tried = Tried()
        self._error_count = 0
        self._refusal_count = 0
        self._counted_as: str | None = None
        self._has_input = False
        self._candidates: tuple[App, ...] | None = None
        reception.sessions.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        """Count the connection as gone."""
        super().connection_lost(error)
        if self._counted_as is not None:
            self.reception.connections.leave(self._counted_as)
            self._counted_as = None

    def data_received(self, data: bytes) -> None:
        """Feed the stream; a TLS hello where clear text belongs is no command and may have no line end."""
        if not self._has_input:
            self._has_input = True
            if data[:2] == b"\x16\x03" and self.tls_text is None and not self.port.listener.proxy_protocol:
                data = b"\x16\x03\r\n"
        super().data_received(data)

    def stop(self) -> None:
        """Say goodbye to a client that waits between mails; one within a mail may finish it."""
        if self.is_waiting and self.transaction is None and not self.is_closing:
            self.is_closing = True
            self.reply("421 4.3.2 closing, try again in a moment")
            self.close()

    async def _handle_client(self) -> None:
        try:
            await self._converse()
        except (asyncio.IncompleteReadError, ConnectionError):
            log.debug("client %s went away", self.client_ip)
        except Exception:
            # The listener is one of the three places that catch everything: no fault of ours may end in silence.
            log.exception("connection from %s failed", self.client_ip)
            self.reply("421 4.3.0 internal trouble, try again later")
        finally:
            self.transaction = None
            self.close()

    async def _converse(self) -> None:
        if self.port.listener.proxy_protocol and not await self._read_proxy():
            return
        if not self.client_ip:  # a probe that had gone before we looked: neither client nor trouble
            return
        try:
            self._admit()
        except Refused as refused:
            self._refuse(refused, stage="connect")
            return
        self.reply(f"220 {self.reception.hostname} ESMTP Waybill")
        while not self.is_closing:
            await self._one_command()
            if self.queued_bytes > _FLUSH_AT:
                await self.flush()
        await self.flush()

    def _admit(self) -> None:
        """Count the connection, or refuse it."""
        reception = self.reception
        if reception.is_stopping:
            raise Refused(421, "4.3.2", "closing, try again in a moment", reason="shortage")
        if reception.connections.is_full():
            raise Refused(421, "4.3.2", "too many connections, try again later", reason="too_many_connections")
        key, limit = reception.policy.connection_limit(self.client_ip)
        if not reception.connections.enter(key, limit=limit):
            raise Refused(421, "4.7.0", "too many connections from your network", reason="too_many_connections")
        self._counted_as = key

    async def _read_proxy(self) -> bool:
        """Take the client's address from the PROXY header, if the peer is one that may say it."""
        ip = parse_ip(self.client_ip)
        networks = self.port.listener.proxy_protocol
        if not any(network.version == ip.version and ip in network for network in networks):
            return True
        data = await get_proxy(self._reader)
        if not data.valid:
            log.warning("no valid PROXY header from %s", self.client_ip)
            return False
        if data.src_addr is not None:
            self.client_ip = str(data.src_addr)
        return True

    async def _one_command(self) -> None:
        stage = ""
        try:
            line = await self.next_line()
            self.restart_timer()
            if self.reception.is_stopping and self.transaction is None:
                self.is_closing = True
                self.reply("421 4.3.2 closing, try again in a moment")
                return
            verb, argument = self._parse(line)
            stage = verb
            await self.commands[verb].run(self, argument)
        except Refused as refused:
            self._refuse(refused, stage=stage)
        except (asyncio.IncompleteReadError, ConnectionError):
            raise
        except Exception:
            log.exception("command %s from %s failed", stage or "?", self.client_ip)
            self.transaction = None
            self.reply("451 4.3.0 internal trouble, try again later")
            self.is_closing |= stage == "DATA"

    def _parse(self, line: bytes) -> tuple[str, str]:
        """Give verb and argument.

        Raises:
            Refused: 500 or 501, never with anything the client said.
        """
        command = line.rstrip(b"\r\n")
        if self.port.listener.bare_newline == "reject" and not line.endswith(b"\r\n"):
            raise Refused(500, "5.5.2", "lines end with CR and LF here", reason="bad_command")
        verb = command[:8].partition(b" ")[0].upper().decode("ascii", "replace")
        known = self.commands.get(verb)
        if known is None:
            if _STRANGERS.match(command):
                self.is_closing = True
                raise Refused(554, "5.5.0", "this is a mail server", reason="bad_command")
            raise Refused(500, "5.5.2", "command not recognised", reason="bad_command")
        if len(line) > known.max_length:
            raise Refused(500, "5.5.6", "the line is too long", reason="bad_command")
        if _CONTROL.search(command):
            raise Refused(501, known.syntax_status, "control characters in the command", reason="bad_command")
        try:
            return verb, command[len(verb) :].strip().decode("utf-8")
        except UnicodeDecodeError:
            raise Refused(501, known.syntax_status, "the command is not UTF-8", reason="bad_command") from None

    def _refuse(self, refused: Refused, *, stage: str) -> None:
        """Reply, count the error, and keep the refusal for the log."""
        self.reply(f"{refused.code} {refused.enhanced} {refused.text}")
        if refused.code == 421:
            self.is_closing = True
        self._error_count += refused.reason == "bad_command"
        self._refusal_count += refused.code >= 500
        has_spent = self._error_count >= MAX_ERRORS or self._refusal_count >= self.max_refusals
        if has_spent and not self.is_closing:
            self.is_closing = True
            self.reply("421 4.7.0 too many errors")
        if stage in _RECORDED:
            self._record(refused, stage=stage.lower())

    def _record(self, refused: Refused, *, stage: str) -> None:
        tried = self.tried
        refusal = Refusal(
            at=self.reception.now(),
            listener=self.port.name,
            client_ip=self.client_ip,
            stage=stage,
            code=refused.code,
            enhanced=refused.enhanced,
            text=refused.text,
            reason=refused.reason,
            app=tried.app,
            helo=self.helo,
            auth_user=self.auth_user or tried.user,
            mail_from=tried.sender,
            rcpt_to=tried.recipient,
        )
        self.reception.acceptor.refuse(refusal)

    async def keep(self, transaction: Transaction, body: Body, circumstances: Circumstances) -> None:
        """Commit a mail that has arrived whole; 250 is said when this has returned.

        Raises:
            Refused: the content cannot be taken.
            StoreError: it could not be committed.
        """
        await keep_submission(self.reception, transaction, body, circumstances)

    def candidates(self) -> tuple[App, ...]:
        """Give the apps this client can be."""
        if self._candidates is None:
            self._candidates = self.reception.policy.candidates(
                listener=self.port.listener.address, client_ip=self.client_ip, auth_user=self.auth_user
            )
        return self._candidates

    def log_in(self, user: str) -> None:
        """Take the client for this user from now on."""
        self.auth_user = user
        self._candidates = None

    def greet(self, name: str, *, is_extended: bool) -> None:
        """Take the client's name; a greeting also ends an open transaction (RFC 5321 4.1.4)."""
        self.helo = clean(name, limit=255)
        self.is_extended = is_extended
        self.transaction = None

    async def secure(self) -> None:
        """Go over to TLS and forget all that was said in clear."""
        if self.port.tls is None:
            raise Refused(454, "4.7.0", "TLS is not available", reason="bad_command")
        self.port.tls.refresh()
        await self.switch_to_tls(self.port.tls.context)
        self.greet("", is_extended=False)
        self.auth_user = None
        self._candidates = None
