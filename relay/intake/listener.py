"""Open the listeners, keep them going, and close them without losing a mail.

`bind` opens the sockets apart from serving them, so that a supervisor (or systemd) can open ports below 1024 once and
hand them to several processes. `serve_listeners` serves them in the running loop. Stopping: no new connections, a
waiting client hears 421, a mail on its way may end within the limit, then connections are cut; commits under way are
always awaited. Certificates are looked at every half minute. RFC 5321 3.8 (421).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence

from relay.errors import ConfigError
from relay.intake.reception import Port, Reception
from relay.intake.returned import ReturnedSMTP
from relay.intake.server import RelaySMTP
from relay.intake.tls import for_listener
from relay.settings import Config, Listener

log = logging.getLogger("relay.intake")

_PROTOCOLS: dict[str, type[RelaySMTP]] = {"submission": RelaySMTP, "returned": ReturnedSMTP}
_BACKLOG = 1024
_REFRESH = 30.0
_HANDSHAKE = 30.0


def bind(config: Config) -> list[tuple[Listener, socket.socket]]:
    """Open a listening socket for every listener.

    Raises:
        ConfigError: an address cannot be used; the other sockets are closed again.
    """
    opened: list[tuple[Listener, socket.socket]] = []
    problems = []
    for listener in config.listener:
        try:
            opened.append((listener, _open(listener.address.host, listener.address.port)))
        except OSError as error:
            problems.append(f"cannot listen on {listener.address}: {error.strerror or error}")
    if problems:
        for _, opened_socket in opened:
            opened_socket.close()
        raise ConfigError(problems)
    return opened


def _open(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        opened.bind(address)
        opened.listen(_BACKLOG)
        opened.setblocking(False)
    except OSError:
        opened.close()
        raise
    return opened


class Listeners:
    """The running listeners of one process."""

    def __init__(self, reception: Reception, servers: list[asyncio.Server], ports: list[Port]) -> None:
        self._reception = reception
        self._servers = servers
        self._ports = ports
        self._refresher = asyncio.create_task(self._refresh_certificates())

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens, in the order of the configuration."""
        return [server.sockets[0].getsockname()[:2] for server in self._servers]

    @property
    def session_count(self) -> int:
        """Open connections."""
        return len([session for session in self._reception.sessions if session.transport is not None])

    async def stop(self, grace: float = 8.0) -> None:
        """Stop listening, let mails on their way end within `grace` seconds, then cut what is left."""
        self._reception.is_stopping = True
        self._refresher.cancel()
        for server in self._servers:
            server.close()
        sessions = list(self._reception.sessions)
        for session in sessions:
            session.stop()
        running = {s.task for s in sessions if s.task is not None and not s.task.done()}
        if running:
            await asyncio.wait(running, timeout=grace)
        for session in sessions:
            session.abort()
        for task in running:
            task.cancel()
        await asyncio.gather(self._refresher, *running, *self._reception.commits, return_exceptions=True)

    async def _refresh_certificates(self) -> None:
        while True:
            await asyncio.sleep(_REFRESH)
            for port in self._ports:
                if port.tls is not None:
                    port.tls.refresh()


async def serve_listeners(reception: Reception, sockets: Sequence[tuple[Listener, socket.socket]]) -> Listeners:
    """Serve the sockets, one per listener, until `stop`.

    Raises:
        ConfigError: a certificate cannot be used.
    """
    loop = asyncio.get_running_loop()
    ports = [Port(listener, for_listener(reception.config, listener)) for listener, _ in sockets]
    servers: list[asyncio.Server] = []
    for port, (_, opened) in zip(ports, sockets, strict=True):
        is_implicit = port.tls is not None and port.listener.tls == "implicit"
        servers.append(
            await loop.create_server(
                lambda port=port: _PROTOCOLS[port.listener.kind](reception, port, loop=loop),
                sock=opened,
                backlog=_BACKLOG,
                ssl=port.tls.context if port.tls is not None and is_implicit else None,
                ssl_handshake_timeout=_HANDSHAKE if is_implicit else None,
            )
        )
        log.info("listen address=%s kind=%s tls=%s", port.name, port.listener.kind, port.listener.tls)
    return Listeners(reception, servers, ports)
