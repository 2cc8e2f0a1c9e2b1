"""Open SMTP connections (contract.Connector): from an address to a session that can take mail.

Policy: guard.py is asked about the very address that is connected, before a packet leaves. With several source
addresses each server address always sees the same one of ours, so that greylisting knows us again; different servers
are spread over them. An app may have chosen some of them. What this machine does not have of them is another node's:
that no connection can leave from there says nothing about the server. EHLO names the name of that source.
When TLS was offered and failed under `may`, the connection is tried once more in clear text, and for ten minutes that
server is not asked for TLS again. A server that greets with our own name is ourselves; only this machine's unconfigured
host name is no proof on this machine's own addresses, because every other mail server here greets with it too.

Why a connection failed is a HostResult with one Reply under DeliveryId(""). RFC 5321 4.5.3.2.1, RFC 3207 4.1.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import sys
import zlib
from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import ip_address

from relay.delivery.contract import Credentials, Host, HostResult, Protection, TlsMode
from relay.delivery.guard import may_connect
from relay.delivery.hosts import BrokenTls
from relay.delivery.opening import Opening
from relay.delivery.own_addresses import usable
from relay.delivery.protocol import RelayProtocol
from relay.delivery.replies import of_ours
from relay.delivery.session import Opened, SmtpSession
from relay.delivery.tls import TlsContexts, decision_refused, handshake_words
from relay.delivery.transcript import Transcript
from relay.model import DeliveryId, Reply, Stage
from relay.settings import Config, SourceAddress

_IP_BIND_ADDRESS_NO_PORT = 24  # Linux: choose the port at connect, so that one source can reach many servers


@dataclass(slots=True, kw_only=True)
class _Try:
    """One call of connect: everything that is known of it so far."""

    host: Host
    source: SourceAddress | None
    started_at: datetime
    start: float
    transcript: Transcript = field(default_factory=Transcript)
    timings: dict[str, float] = field(default_factory=dict)
    local_ip: str | None = None
    tls_decision: str = ""
    tls_problem: str = ""
    is_ours_to_mend: bool = False  #: the source address is not this machine's, so the server was not asked


class SmtpConnector:
    """Opens sessions; one per process."""

    def __init__(
        self,
        config: Config,
        *,
        contexts: TlsContexts,
        own_addresses: Container[str],
        now: Callable[[], datetime],
        clock: Callable[[], float],
        machine_name: str = socket.gethostname(),
    ) -> None:
        self._delivery = config.delivery
        self._hostname = config.node.hostname or machine_name
        self._contexts = contexts
        self._broken_tls = BrokenTls()
        self._own_addresses = own_addresses
        self._own_listeners = [listener.address for listener in config.listener]
        self._now = now
        self._clock = clock
        self._machine_name = machine_name.lower()
        names = [self._hostname, *(source.hostname for source in config.delivery.source_addresses)]
        self._own_names = {name.rstrip(".").lower() for name in names} - {"", "localhost"}

    async def connect(
        self, host: Host, *, tls: TlsMode, credentials: Credentials | None = None
    ) -> SmtpSession | HostResult:
        """Connect, greet, EHLO, STARTTLS, AUTH; a HostResult with `is_host_failure` says why not."""
        attempt = _Try(host=host, source=self._source_for(host), started_at=self._now(), start=self._clock())
        refusal = may_connect(
            host.ip,
            host.port,
            allow_private=self._delivery.allow_private_addresses or host.is_configured,
            own_listeners=self._own_listeners,
            own_addresses=self._own_addresses,
        )
        if refusal is not None:
            return self._failed(attempt, replace(refusal, host=host.name), was_asked=False)
        asked = host.protection or Protection(mode=tls)
        if asked.mode is TlsMode.TESTING:
            return await self._open_in_testing(attempt, asked, credentials=credentials)
        return await self._open_as_asked(attempt, asked, credentials=credentials)

    async def _open_as_asked(
        self, attempt: _Try, asked: Protection, *, credentials: Credentials | None
    ) -> SmtpSession | HostResult:
        """Open with what is asked for; under `may` once more in clear text when TLS fails."""
        host, may = attempt.host, asked.mode is TlsMode.MAY
        known_problem = self._broken_tls.recall(host, mono=self._clock()) if may else ""
        because = f"{known_problem} a while ago" if known_problem else ""
        result, problem = await self._open(attempt, asked, credentials=credentials, clear_because=because)
        if problem and may:
            attempt.transcript.happened(self._clock(), "trying again without TLS")
            because = f"{problem}, tried again without TLS"
            result, _ = await self._open(attempt, asked, credentials=credentials, clear_because=because)
            if not isinstance(result, Reply):
                self._broken_tls.note(host, problem, mono=self._clock())
        return self._failed(attempt, result) if isinstance(result, Reply) else result

    async def _open_in_testing(
        self, attempt: _Try, asked: Protection, *, credentials: Credentials | None
    ) -> SmtpSession | HostResult:
        """Open as the policy asks; when that fails at TLS, go on as without it and say what would have failed."""
        strict = replace(asked, mode=TlsMode.VERIFY, because=f"{asked.because} (testing)")
        result, _ = await self._open(attempt, strict, credentials=credentials, clear_because="")
        if not isinstance(result, Reply):
            return result
        if result.stage is not Stage.STARTTLS:
            return self._failed(attempt, result)
        attempt.transcript.happened(self._clock(), f"only testing, so it goes on without: {attempt.tls_decision}")
        would = f"{strict.because} would have refused it: {attempt.tls_problem}"
        loose = Protection(mode=TlsMode.MAY, because=would)
        return await self._open_as_asked(attempt, loose, credentials=credentials)

    async def _open(
        self, attempt: _Try, asked: Protection, *, credentials: Credentials | None, clear_because: str
    ) -> tuple[SmtpSession | Reply, str]:
        """Open one connection; give the session or the reply, and what went wrong in a TLS handshake."""
        connected = await self._connect(attempt, asked)
        if isinstance(connected, Reply):
            return connected, ""
        opening = self._opening(connected, attempt)
        try:
            refusal = await opening.run(asked, credentials=credentials, clear_because=clear_because)
        except asyncio.CancelledError:
            connected.abort()
            raise
        attempt.tls_decision, attempt.tls_problem = opening.tls_decision, opening.tls_problem
        if refusal is not None:
            connected.abort()
            return refusal, opening.handshake_problem
        return self._session(connected, attempt, opening), ""

    async def _connect(self, attempt: _Try, asked: Protection) -> RelayProtocol | Reply:
        host, start = attempt.host, self._clock()
        seconds = self._delivery.timeouts.connect.total_seconds()
        try:
            sock = _new_socket(attempt)
        except OSError as error:
            attempt.is_ours_to_mend = attempt.source is not None and error.errno == errno.EADDRNOTAVAIL
            return self._unreachable(attempt, error, seconds=seconds, asked=asked)
        try:
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().sock_connect(sock, (host.ip, host.port))
            attempt.local_ip = str(sock.getsockname()[0])
            protocol = await self._hand_over(sock, host, tls=asked.mode)
        except (OSError, ssl.SSLError) as error:
            sock.close()
            return self._unreachable(attempt, error, seconds=seconds, asked=asked)
        except asyncio.CancelledError:
            sock.close()
            raise
        finally:
            attempt.timings["connect"] = attempt.timings.get("connect", 0.0) + self._clock() - start
        attempt.transcript.happened(self._clock(), f"connected to {_shown(host)} from {attempt.local_ip}")
        return protocol

    async def _hand_over(self, sock: socket.socket, host: Host, *, tls: TlsMode) -> RelayProtocol:
        loop = asyncio.get_running_loop()
        if tls is not TlsMode.IMPLICIT:
            _, protocol = await loop.create_connection(lambda: RelayProtocol(loop), sock=sock)
            return protocol
        _, protocol = await loop.create_connection(
            lambda: RelayProtocol(loop),
            sock=sock,
            ssl=self._contexts.of(tls),
            server_hostname=host.name,
            ssl_handshake_timeout=self._delivery.timeouts.connect.total_seconds(),
        )
        return protocol

    def _unreachable(self, attempt: _Try, error: OSError, *, seconds: float, asked: Protection) -> Reply:
        name, where = attempt.host.name, _shown(attempt.host)
        if attempt.is_ours_to_mend and attempt.source is not None:
            text = f"cannot send from {attempt.source.address}: it is no address of this machine"
            reply = of_ours(None, "4.4.4", text, stage=Stage.CONNECT, host=name)
        elif attempt.local_ip is not None and asked.mode is TlsMode.IMPLICIT:  # TCP stood, so it was the handshake
            attempt.tls_decision = decision_refused(asked, handshake_words(error))
            reply = of_ours(None, "4.7.5", attempt.tls_decision, stage=Stage.STARTTLS, host=name)
        elif isinstance(error, TimeoutError) and error.errno is None:
            reply = of_ours(
                None, "4.4.1", f"no answer from {where} within {seconds:g} s", stage=Stage.CONNECT, host=name
            )
        else:
            why = (os.strerror(error.errno) if error.errno else str(error)).lower()
            reply = of_ours(None, "4.4.1", f"cannot connect to {where}: {why}", stage=Stage.CONNECT, host=name)
        attempt.transcript.happened(self._clock(), reply.text)
        return reply

    def _opening(self, protocol: RelayProtocol, attempt: _Try) -> Opening:
        ip = attempt.host.ip
        return Opening(
            protocol,
            attempt.host.name,
            ehlo_name=(attempt.source.hostname if attempt.source else "") or self._hostname,
            is_own_name=lambda name: self._is_own_name(name, ip),
            contexts=self._contexts,
            timeouts=self._delivery.timeouts,
            clock=self._clock,
            transcript=attempt.transcript,
            timings=attempt.timings,
        )

    def _is_own_name(self, name: str, ip: str) -> bool:
        if name not in self._own_names:
            return False
        is_this_machine = ip_address(ip).is_loopback or ip in self._own_addresses
        return name != self._machine_name or not is_this_machine

    def _session(self, protocol: RelayProtocol, attempt: _Try, opening: Opening) -> SmtpSession:
        opened = Opened(
            started_at=attempt.started_at,
            took=timedelta(seconds=self._clock() - attempt.start),
            timings=attempt.timings,
            entries=attempt.transcript.entries,
            extensions=opening.extensions,
            source=attempt.local_ip,
            tls=opening.tls,
            tls_decision=opening.tls_decision,
        )
        return SmtpSession(
            protocol,
            attempt.host,
            opened=opened,
            timeouts=self._delivery.timeouts,
            now=self._now,
            clock=self._clock,
            is_always_recorded=self._delivery.record == "all",
        )

    def _source_for(self, host: Host) -> SourceAddress | None:
        family = [
            source
            for source in self._delivery.source_addresses
            if (":" in source.address) == (":" in host.ip) and (not host.sources or source.address in host.sources)
        ]
        fitting = usable(family, self._own_addresses)
        return fitting[zlib.crc32(host.ip.encode()) % len(fitting)] if fitting else None

    def _failed(self, attempt: _Try, reply: Reply, *, was_asked: bool = True) -> HostResult:
        host = attempt.host
        return HostResult(
            host=host,
            started_at=attempt.started_at,
            took=timedelta(seconds=self._clock() - attempt.start),
            replies={DeliveryId(""): reply},
            source=attempt.local_ip,
            tls_decision=attempt.tls_decision or None,
            timings=attempt.timings,
            conversation=attempt.transcript.text(),
            is_host_failure=True,
            was_asked=was_asked and not attempt.is_ours_to_mend,
        )


def _new_socket(attempt: _Try) -> socket.socket:
    """Make a socket bound to the source address, without waiting for anything."""
    sock = socket.socket(socket.AF_INET6 if ":" in attempt.host.ip else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if attempt.source is not None:
            if sys.platform == "linux":
                sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((attempt.source.address, 0))
    except OSError:
        sock.close()
        raise
    return sock


def _shown(host: Host) -> str:
    return f"{host.ip} port {host.port}" if host.name == host.ip else f"{host.name} ({host.ip}) port {host.port}"
