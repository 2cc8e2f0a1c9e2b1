"""The conversation that opens a connection: greeting, EHLO, STARTTLS, EHLO again, AUTH.

Policy: only 220 is a greeting. A greeting, EHLO, STARTTLS or AUTH that is refused is the host's reply, not an error.
EHLO refused with 5yz is tried again as HELO, so servers from before 1995 still get mail. Our own name in the greeting
means that we talk to ourselves: 5.4.6. STARTTLS refused with anything but 421 leaves the connection good, so with
`may` the mail goes on in clear; a handshake that fails does not, then connector.py opens a new one.
A password is never sent in clear text, unless the configuration says tls = "none". PLAIN before LOGIN.

RFC 5321 3.1, 3.2, 4.1.1.1; RFC 3207; RFC 4954, RFC 4616. One use per connection.
"""

from __future__ import annotations

from collections.abc import Callable

from aiosmtplib.auth import auth_login_encode, auth_plain_encode
from aiosmtplib.esmtp import parse_esmtp_extensions
from aiosmtplib.response import SMTPResponse

from relay.delivery.contract import Credentials, Protection, TlsMode
from relay.delivery.dane import problem_with
from relay.delivery.exchange import CONVERSATION_ERRORS
from relay.delivery.protocol import RelayProtocol
from relay.delivery.replies import UnexpectedReply, of_ours, of_server, of_silence
from relay.delivery.tls import (
    REQUIRED,
    TlsContexts,
    chain_of,
    decision_clear,
    decision_encrypted,
    decision_refused,
    describe,
    handshake_words,
)
from relay.delivery.transcript import Transcript
from relay.model import Reply, Stage
from relay.settings import Timeouts

#: A handshake takes a second; waiting the five minutes of a command would hold up the retry in clear text.
_HANDSHAKE_SECONDS = 60.0

_CLOSING = 421


class Opening:
    """Brings a fresh connection to the point where mail can be sent."""

    def __init__(
        self,
        protocol: RelayProtocol,
        host: str,
        *,
        ehlo_name: str,
        is_own_name: Callable[[str], bool],
        contexts: TlsContexts,
        timeouts: Timeouts,
        clock: Callable[[], float],
        transcript: Transcript,
        timings: dict[str, float],
    ) -> None:
        self._protocol = protocol
        self._host = host
        self._ehlo_name = ehlo_name
        self._is_own_name = is_own_name
        self._contexts = contexts
        self._timeouts = timeouts
        self._command_timeout = timeouts.command.total_seconds()
        self._clock = clock
        self._transcript = transcript
        self._timings = timings
        self._stage = Stage.CONNECT
        self._is_upgrading = False  # from STARTTLS until the first answer inside TLS
        self.extensions: dict[str, str] = {}
        self.tls: str | None = None
        self.tls_decision = ""
        self.handshake_problem = ""  #: TLS began and failed; a new connection in clear text may work
        self.tls_problem = ""  #: why what was asked for could not be had

    async def run(self, protection: Protection, *, credentials: Credentials | None, clear_because: str) -> Reply | None:
        """Return None when mail can be sent, else the reply that says why not; never raises for what a server does.

        `clear_because` not empty: an earlier connection failed at TLS, so this one goes on in clear text.
        """
        try:
            return (
                await self._greet()
                or await self._hello()
                or await self._protect(protection, clear_because=clear_because)
                or (await self._log_in(protection.mode, credentials) if credentials is not None else None)
            )
        except CONVERSATION_ERRORS as error:
            reply = of_silence(error, stage=self._stage, host=self._host)
            if self._is_upgrading:
                self.handshake_problem = self.handshake_problem or handshake_words(error)
                is_required = protection.mode in REQUIRED
                self.tls_problem = problem = self.handshake_problem
                words = decision_refused(protection, problem) if is_required else problem
                reply = of_ours(None, "4.7.5", words, stage=Stage.STARTTLS, host=self._host)
                self.tls_decision = words
            self._transcript.happened(self._clock(), reply.text)
            return reply

    async def _greet(self) -> Reply | None:
        start = self._clock()
        reply = await self._read(self._timeouts.greeting.total_seconds())
        self._timings["greeting"] = self._clock() - start
        if reply.code >= 400:
            return self._refused(reply)
        if reply.code != 220:
            raise UnexpectedReply(reply, expected="220")
        name = reply.message.split(maxsplit=1)[0].rstrip(".").lower() if reply.message.strip() else ""
        if name and self._is_own_name(name):
            text = f'mail loop: the server greets with our own name "{name}"'
            return of_ours(550, "5.4.6", text, stage=Stage.CONNECT, host=self._host)
        return None

    async def _hello(self) -> Reply | None:
        self._stage = Stage.EHLO
        start = self._clock()
        reply = await self._ask(f"EHLO {self._ehlo_name}")
        if 200 <= reply.code < 300:
            self.extensions = parse_esmtp_extensions(reply.message)[0]
        elif reply.code >= 500:
            self.extensions = {}
            reply = await self._ask(f"HELO {self._ehlo_name}")
        self._timings["ehlo"] = self._timings.get("ehlo", 0.0) + self._clock() - start
        self._is_upgrading = False
        if reply.code >= 400:
            return self._refused(reply)
        if reply.code >= 300:
            raise UnexpectedReply(reply, expected="250")
        return None

    async def _protect(self, protection: Protection, *, clear_because: str) -> Reply | None:
        mode = protection.mode
        if mode is TlsMode.IMPLICIT:
            self._note_encrypted(protection)
            return None
        if mode is TlsMode.NONE or clear_because:
            self.tls_decision = decision_clear(protection, clear_because or "TLS is switched off in the settings")
            return None
        self._stage = Stage.STARTTLS
        if "starttls" not in self.extensions:
            return self._without_tls(protection, "the server does not offer STARTTLS")
        start = self._clock()
        self._is_upgrading = True
        reply = await self._ask("STARTTLS")
        if reply.code != 220:
            self._is_upgrading = False
            why = f"the server refused STARTTLS ({reply.code} {reply.message})".replace("\n", " ")
            return self._refused(reply) if reply.code == _CLOSING else self._without_tls(protection, why, reply=reply)
        await self._protocol.upgrade(
            self._contexts.of(mode),
            server_hostname=self._host,
            timeout=min(self._command_timeout, _HANDSHAKE_SECONDS),
        )
        self._timings["tls"] = self._clock() - start
        if mode is TlsMode.DANE:
            chain = chain_of(self._protocol.ssl_object)
            self.handshake_problem = problem_with(chain, protection.tlsa, names=protection.names)
            if self.handshake_problem:
                self.tls_problem = self.handshake_problem
                self.tls_decision = decision_refused(protection, self.handshake_problem)
                return of_ours(None, "4.7.5", self.tls_decision, stage=Stage.STARTTLS, host=self._host)
        self._note_encrypted(protection)
        # What was said in clear could have been tampered with: ask anew (RFC 3207 4.2).
        return await self._hello()

    def _note_encrypted(self, protection: Protection) -> None:
        ssl_object = self._protocol.ssl_object
        self.tls = describe(ssl_object)
        version = ssl_object.version() or "TLS"
        self.tls_decision = decision_encrypted(protection, version=version, host=self._host)
        self._transcript.happened(self._clock(), f"{self.tls_decision} ({self.tls})")

    def _without_tls(self, protection: Protection, reason: str, *, reply: SMTPResponse | None = None) -> Reply | None:
        if protection.mode not in REQUIRED:
            self.tls_decision = decision_clear(protection, reason)
            return None
        self.tls_problem = reason
        self.tls_decision = decision_refused(protection, reason)
        if reply is not None and reply.code >= 400:
            return self._refused(reply)
        return of_ours(None, "4.7.10", self.tls_decision, stage=Stage.STARTTLS, host=self._host)

    async def _log_in(self, mode: TlsMode, credentials: Credentials) -> Reply | None:
        self._stage = Stage.AUTH
        start = self._clock()
        if self.tls is None and mode is not TlsMode.NONE:
            text = "the password is not sent without TLS"
            return of_ours(None, "4.7.10", text, stage=Stage.AUTH, host=self._host)
        offered = self.extensions.get("auth", "").upper().split()
        if "PLAIN" in offered:
            secret = auth_plain_encode(credentials.username, credentials.password).decode()
            reply = await self._ask(f"AUTH PLAIN {secret}", shown="AUTH PLAIN <hidden>")
        elif "LOGIN" in offered:
            reply = await self._log_in_by_login(credentials)
        else:
            text = "the server does not offer AUTH PLAIN or LOGIN"
            return of_ours(None, "4.7.0", text, stage=Stage.AUTH, host=self._host)
        self._timings["auth"] = self._clock() - start
        if reply.code >= 400:
            return self._refused(reply)
        if reply.code >= 300:
            raise UnexpectedReply(reply, expected="235")
        return None

    async def _log_in_by_login(self, credentials: Credentials) -> SMTPResponse:
        reply = await self._ask("AUTH LOGIN")
        for secret in auth_login_encode(credentials.username, credentials.password):
            if not 300 <= reply.code < 400:
                break
            reply = await self._ask(secret.decode(), shown="<hidden>")
        return reply

    async def _ask(self, line: str, *, shown: str = "") -> SMTPResponse:
        self._transcript.sent(self._clock(), shown or line)
        self._protocol.send(line.encode() + b"\r\n", replies=1)
        return await self._read(self._command_timeout)

    async def _read(self, timeout: float) -> SMTPResponse:
        reply = await self._protocol.read_response(timeout)
        self._transcript.received(self._clock(), reply.code, reply.message)
        return reply

    def _refused(self, reply: SMTPResponse) -> Reply:
        return of_server(reply, stage=self._stage, host=self._host)
