"""Talk to the process that started us: systemd, or our own supervisor, which speaks the same way.

Policy: three things are told (READY, WATCHDOG, STOPPING) and two are given (listening sockets, how often to say that
we are alive). Nobody listening is the normal case on a terminal and never an error. The supervisor hands sockets to
its children in WAYBILL_SOCKETS, because LISTEN_PID cannot be known before the child exists.
Only the environment and file descriptors are read here; no part of the relay is known. sd_notify(3), sd_listen_fds(3).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address

from relay.errors import ConfigError
from relay.settings import HostPort, Listener, parse_address

#: sd_listen_fds(3): the first descriptor that systemd passes.
FIRST_FD = 3

#: Variables that are meant for this process alone; a child gets its own.
PRIVATE = frozenset(
    {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WAYBILL_SOCKETS"}
)


def notify(*lines: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell the process that started us; return whether anybody was told."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            # Never wait: a full queue means that the listener is busy, and the next beat will tell it again.
            sock.sendto("\n".join(lines).encode(), socket.MSG_DONTWAIT, address)
        except OSError:
            return False
    return True


def watchdog_interval(environ: Mapping[str, str] = os.environ) -> timedelta | None:
    """Return how often WATCHDOG=1 is due (half of the allowed time), or None when nobody asked for it."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        allowed = int(environ.get("WATCHDOG_USEC", "0"))
    except ValueError:
        return None
    return timedelta(microseconds=allowed) / 2 if allowed > 0 else None


async def beat(is_healthy: Callable[[], bool], *, environ: Mapping[str, str] = os.environ) -> None:
    """Say WATCHDOG=1 for as long as the loop turns and is_healthy says so; return at once when nobody asked."""
    interval = watchdog_interval(environ)
    while interval is not None:
        if is_healthy():
            notify("WATCHDOG=1", environ=environ)
        await asyncio.sleep(interval.total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenSocket:
    """A listening socket we were started with."""

    sock: socket.socket
    address: HostPort | None = None  #: the [[listener]] it was made for, as configured; None: systemd does not say


def given_sockets(environ: Mapping[str, str] = os.environ) -> list[GivenSocket]:
    """Take over the listening sockets we were started with; call it once per process.

    Raises:
        ConfigError: what was handed over is not a list of sockets.
    """
    given = []
    for number, address in _given_numbers(environ):
        try:
            sock = socket.socket(fileno=number)
        except OSError:
            raise ConfigError([f"descriptor {number} was handed over as a listening socket, but is none"]) from None
        sock.set_inheritable(False)
        given.append(GivenSocket(sock=sock, address=address))
    return given


def hand_over(pairs: Sequence[tuple[Listener, socket.socket]]) -> str:
    """Write the value of WAYBILL_SOCKETS for a child that inherits these sockets."""
    return " ".join(f"{sock.fileno()}={listener.address}" for listener, sock in pairs)


def _given_numbers(environ: Mapping[str, str]) -> list[tuple[int, HostPort | None]]:
    own = environ.get("WAYBILL_SOCKETS", "")
    if own:
        parts = [part.partition("=") for part in own.split()]
        return [(int(number), parse_address(address)) for number, _, address in parts]
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    return [(FIRST_FD + place, None) for place in range(int(environ.get("LISTEN_FDS", "0")))]


def match_listeners(
    listeners: Sequence[Listener], given: Sequence[GivenSocket]
) -> tuple[list[tuple[Listener, socket.socket]], list[Listener]]:
    """Pair the given sockets with the configured listeners; return the pairs and the listeners still to bind.

    Raises:
        ConfigError: a socket belongs to no listener, so its mail would be accepted under rules nobody wrote.
    """
    pairs: list[tuple[Listener, socket.socket]] = []
    for one in given:
        fitting = [listener for listener in listeners if _fits(listener.address, one)]
        if not fitting:
            shown = one.address or _shown(one.sock.getsockname())
            raise ConfigError([f"a socket on {shown} was handed over, but no [[listener]] has that address"])
        # One host name may have given several sockets, and two listeners may both ask for "any free port".
        used = {id(listener) for listener, _ in pairs}
        fitting.sort(key=lambda listener: (id(listener) in used, listener.address.host != _host(one.sock)))
        pairs.append((fitting[0], one.sock))
    used = {id(listener) for listener, _ in pairs}
    return pairs, [listener for listener in listeners if id(listener) not in used]


def _fits(address: HostPort, given: GivenSocket) -> bool:
    return address == given.address if given.address else _is_same(address, given.sock.getsockname())


def _is_same(address: HostPort, name: object) -> bool:
    if not isinstance(name, tuple) or address.port != name[1]:
        return False
    # systemd's ListenStream=25 is [::]:25 and takes IPv4 too. "All addresses" fits only itself, never one address:
    # what a private listener allows must not be open to all.
    return address.host == name[0] or (_is_any(name[0]) and _is_any(address.host))


def _host(sock: socket.socket) -> str:
    name = sock.getsockname()
    return str(name[0]) if isinstance(name, tuple) else ""


def _is_any(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def _shown(name: object) -> str:
    return str(HostPort(name[0], name[1])) if isinstance(name, tuple) else repr(name)
