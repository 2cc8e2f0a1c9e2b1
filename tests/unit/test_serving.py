"""What `serve` makes of its configuration: which processes with which sockets, and what a reload may change."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from relay.config import load
from relay.errors import ConfigError
from relay.settings import HostPort
from relay.supervise import Serving
from relay.systemd import given_sockets

APP = '[[app]]\nname = "desk"\nnetworks = ["127.0.0.0/8"]\n'

Open = Callable[[str], Serving]


def listener(port: int) -> str:
    return f'[[listener]]\naddress = "127.0.0.1:{port}"\n'


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


@pytest.fixture
def serving(config: Path) -> Iterator[Open]:
    with ExitStack() as stack:

        def start(text: str) -> Serving:
            config.write_text(text + APP)
            return stack.enter_context(Serving(load(config), config, environ={}))

        yield start


def is_listening(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def test_one_process_of_each_kind_by_default(serving: Open, free_port: int, config: Path) -> None:
    specs = serving(listener(free_port)).specs()
    assert [spec.name for spec in specs] == ["intake", "delivery", "dashboard"]
    assert [spec.argv[-3:] for spec in specs] == [
        ("-c", str(config), word) for word in ("intake", "deliver", "dashboard")
    ]
    assert [spec.can_overlap for spec in specs] == [True, False, False]  # two deliveries on one store are refused


def test_all_intake_processes_inherit_the_same_sockets(serving: Open, free_port: int) -> None:
    first, second = serving("[intake]\nworkers = 2\n" + listener(free_port)).specs()[:2]
    assert first == second
    (number,) = first.fds
    copy = os.dup(number)
    environ = {"WAYBILL_SOCKETS": first.environ["WAYBILL_SOCKETS"].replace(f"{number}=", f"{copy}=")}
    (given,) = given_sockets(environ)
    with given.sock:
        assert given.address == HostPort("127.0.0.1", free_port)
        assert given.sock.getsockname() == ("127.0.0.1", free_port)


def test_port_in_use_is_a_sentence(serving: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ConfigError, match="cannot listen on"):
        serving(listener(other.getsockname()[1]))


def test_reload_keeps_the_socket_of_a_listener_that_stays(serving: Open, free_port: int, config: Path) -> None:
    running = serving(listener(free_port))
    before = running.specs()[0].fds
    config.write_text("[intake]\nworkers = 3\n" + listener(free_port) + APP)
    specs = running.reload()
    assert specs is not None
    assert [spec.name for spec in specs].count("intake") == 3
    assert specs[0].fds == before


def test_reload_opens_new_listeners_and_closes_those_gone(serving: Open, free_port: int, config: Path) -> None:
    running = serving(listener(free_port))
    config.write_text(listener(0) + APP)
    specs = running.reload()
    assert specs is not None
    assert "=127.0.0.1:0" in specs[0].environ["WAYBILL_SOCKETS"]
    assert not is_listening(free_port)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[node]\nhostnam = 'x'\n", "hostnam"),
        ("[node]\ndata_dir = 'elsewhere'\n", "node.data_dir cannot change while running; restart Waybill"),
        ("[store]\nurl = 'sqlite:elsewhere.db'\n", "store.url cannot change while running; restart Waybill"),
    ],
)
def test_refused_reload_says_why_and_changes_nothing(
    text: str, said: str, serving: Open, free_port: int, config: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = serving(listener(free_port))
    before = running.specs()
    config.write_text(text + listener(free_port) + APP)
    assert running.reload() is None
    assert said in caplog.text
    assert running.specs() == before
    assert is_listening(free_port)


def test_reload_that_cannot_open_a_new_port_keeps_the_old_one(serving: Open, free_port: int, config: Path) -> None:
    running = serving(listener(free_port))
    with socket.create_server(("127.0.0.1", 0)) as other:
        config.write_text(listener(other.getsockname()[1]) + APP)
        assert running.reload() is None
    assert is_listening(free_port)
