"""The words exchanged with systemd and with our own supervisor."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from relay.errors import ConfigError
from relay.settings import HostPort, Listener
from relay.systemd import GivenSocket, beat, given_sockets, hand_over, match_listeners, notify, watchdog_interval


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    # A name in the abstract space: a path under tmp_path may be longer than the 107 bytes of sun_path.
    name = f"waybill-test-{os.getpid()}-{os.urandom(4).hex()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + name)
        sock.settimeout(10)
        yield sock, "@" + name


def listening() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_notify_sends_all_lines_in_one_datagram(inbox: tuple[socket.socket, str]) -> None:
    sock, address = inbox
    assert notify("READY=1", "STATUS=listening", environ={"NOTIFY_SOCKET": address})
    assert sock.recv(100) == b"READY=1\nSTATUS=listening"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "@waybill-nobody-listens"}, {"NOTIFY_SOCKET": "/nowhere/x"}])
def test_notify_without_listener_is_no_error(environ: dict[str, str]) -> None:
    assert not notify("READY=1", environ=environ)


@pytest.mark.parametrize(
    ("environ", "want"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "30000000"}, timedelta(seconds=15)),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, timedelta(seconds=15)),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
    ],
)
def test_watchdog_is_due_at_half_of_the_allowed_time(environ: dict[str, str], want: timedelta | None) -> None:
    assert watchdog_interval(environ) == want


def test_beat_is_silent_while_unhealthy(inbox: tuple[socket.socket, str]) -> None:
    sock, address = inbox
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000"}

    async def run() -> None:
        answers = iter([False, True, False])
        enough = asyncio.Event()

        def is_healthy() -> bool:
            answer = next(answers, None)
            if answer is None:
                enough.set()
            return bool(answer)

        async with asyncio.timeout(10):
            beating = asyncio.ensure_future(beat(is_healthy, environ=environ))
            await enough.wait()
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    asyncio.run(run())
    assert sock.recv(100) == b"WATCHDOG=1"
    sock.setblocking(False)
    with pytest.raises(BlockingIOError):  # one beat for the one healthy answer
        sock.recv(100)


def test_beat_ends_at_once_when_nobody_asked() -> None:
    asyncio.run(asyncio.wait_for(beat(lambda: True, environ={}), 10))


def test_sockets_of_another_process_are_left_alone() -> None:
    assert given_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "2"}) == []


def test_supervisor_and_child_agree_on_sockets_and_their_listeners() -> None:
    listeners = [Listener(address=HostPort("localhost", 25)), Listener(address=HostPort("::1", 587))]
    with listening() as first, listening() as second:
        numbers = os.dup(first.fileno()), os.dup(second.fileno())
        text = hand_over(list(zip(listeners, (first, second), strict=True)))
        for sock, number in zip((first, second), numbers, strict=True):
            text = text.replace(f"{sock.fileno()}=", f"{number}=")
        given = given_sockets({"WAYBILL_SOCKETS": text})
        pairs, missing = match_listeners(listeners, given)
        assert [listener.address for listener, _ in pairs] == [HostPort("localhost", 25), HostPort("::1", 587)]
        assert [sock.getsockname() for _, sock in pairs] == [first.getsockname(), second.getsockname()]
        assert missing == []
        assert not any(sock.get_inheritable() for _, sock in pairs)
        for one in given:
            one.sock.close()


def test_something_else_than_a_socket_is_refused_with_its_number(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file, pytest.raises(ConfigError, match=f"descriptor {file.fileno()} "):
        given_sockets({"WAYBILL_SOCKETS": f"{file.fileno()}=127.0.0.1:25"})


def test_listener_without_a_socket_is_still_to_bind() -> None:
    with listening() as sock:
        own = Listener(address=HostPort(*sock.getsockname()))
        other = Listener(address=HostPort("127.0.0.1", 1))
        pairs, missing = match_listeners([other, own], [GivenSocket(sock=sock)])
        assert pairs == [(own, sock)]
        assert missing == [other]


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="IPv6 is missing")
@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_systemd_socket_for_both_families_fits_either_way_of_writing_all_addresses(host: str) -> None:
    with closing(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)) as sock:
        listener = Listener(address=HostPort(host, sock.getsockname()[1]))
        assert match_listeners([listener], [GivenSocket(sock=sock)]) == ([(listener, sock)], [])


def test_socket_that_no_listener_names_is_refused() -> None:
    with listening() as sock, pytest.raises(ConfigError, match=r"no \[\[listener\]\] has that address"):
        match_listeners([Listener(address=HostPort("127.0.0.1", 1))], [GivenSocket(sock=sock)])


@pytest.mark.parametrize(
    ("configured", "bound", "fits"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("0.0.0.0", "0.0.0.0", True),
        ("127.0.0.1", "0.0.0.0", False),  # what a private listener allows must not be open to all
        ("0.0.0.0", "127.0.0.1", False),
    ],
)
def test_all_addresses_fit_only_themselves(configured: str, bound: str, fits: bool) -> None:
    with closing(socket.create_server((bound, 0))) as sock:
        listener = Listener(address=HostPort(configured, sock.getsockname()[1]))
        if fits:
            assert match_listeners([listener], [GivenSocket(sock=sock)]) == ([(listener, sock)], [])
        else:
            with pytest.raises(ConfigError):
                match_listeners([listener], [GivenSocket(sock=sock)])
