"""The first minutes with Waybill, as the README has them.

Setup: an empty folder, or a clone of the tree; a name server and Postfix's smtp-sink on loopback; no root needed.
Test:  swaks -> relay -> MX found by the name server that the configuration names -> smtp-sink; `waybill log` says so.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import smtplib
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

import relay
from relay.config import defaults
from relay.demo.connections import free_port
from relay.demo.node import is_listening
from relay.settings import HostPort
from tests.support.asking import Asking, wait_for
from tests.support.peers import Background, FakeDns, Records
from tests.support.sinks import Sink, Taken
from tests.support.tools import need

ROOT = Path(relay.__file__).parents[1]

#: The smallest useful file, with ports that are free here.
CONFIG = """\
[node]
hostname = "relay.example.com"
data_dir = "data"
[store]
url = "sqlite:data/waybill.db"
[intake]
min_free_space = "16MiB"
[[listener]]
address = "{smtp}"
tls = "none"
[[app]]
name = "hotel-desk"
networks = ["127.0.0.0/8", "::1/128"]
booking_pattern = "BK-#####"
[delivery]
port = {mx_port}
allow_private_addresses = true
[dns]
servers = ["{dns}"]
[dashboard]
address = "{dashboard}"
"""

README = (ROOT / "README.md").read_text("utf-8")


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "WAYBILL_CONFIG": "", **more}


@contextmanager
def started(command: list[str], folder: Path, *, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a folder; its output goes to the file "output" there."""
    with (
        (folder / "output").open("wb") as output,
        subprocess.Popen(
            command, cwd=folder, env=env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def internet(folder: Path) -> Iterator[tuple[HostPort, Sink]]:
    """Write config.toml for a name server and a sink that run for as long as the block; give the relay's address."""
    with ExitStack() as stack:
        mx_port = free_port()
        sink = stack.enter_context(Sink("127.0.0.1", mx_port))
        zone = {"example.com": Records(mx=((10, "mx.example.com"),)), "mx.example.com": Records(a=("127.0.0.1",))}
        dns = stack.enter_context(Background()).enter(FakeDns(zone))
        smtp, dashboard = HostPort("127.0.0.1", free_port()), HostPort("127.0.0.1", free_port())
        text = CONFIG.format(smtp=smtp, mx_port=mx_port, dns=dns.address, dashboard=dashboard)
        (folder / "config.toml").write_text(text, "utf-8")
        yield smtp, sink


def swaks_of_readme(smtp: HostPort) -> list[str]:
    """Give the swaks command of the README, with another server."""
    match = re.search(r"^swaks (?:.*\\\n)*.*$", README, re.MULTILINE)
    assert match is not None
    words = re.findall(r'"[^"]*"|[^\s\\]+', match[0])
    return [str(smtp) if word == "127.0.0.1:2525" else word.strip('"') for word in words]


def said(folder: Path) -> str:
    return (folder / "output").read_text("utf-8", "replace")


def check_the_mail_arrives(folder: Path, smtp: HostPort, sink: Sink) -> None:
    """Send with the README's swaks command, and look at both ends."""
    wait_for(lambda: True if is_listening(smtp) else None, timeout=120, otherwise=lambda: said(folder))
    done = subprocess.run([need("swaks"), *swaks_of_readme(smtp)[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + said(folder)
    queued = re.search(r"250 2\.0\.0 queued as (\w{26})", done.stdout)
    assert queued is not None, done.stdout

    (taken,) = wait_for(lambda: sink.taken() or None, otherwise=lambda: said(folder))
    assert taken.mail_from.startswith("<desk@hotel.example>")
    assert taken.recipients == ("<guest@example.com>",)
    assert taken.message["Subject"] == "Booking BK-10427"
    ask = Asking(folder / "config.toml")
    row = wait_for(lambda: next((row for row in ask.log() if row["status"] == "delivered"), None))
    assert (row["message"], row["to"], row["app"]) == (queued[1], "guest@example.com", "hotel-desk")
    assert (row["booking"], row["mx"], row["code"]) == ("BK-10427", "mx.example.com", 250)
    assert "accepted by mx.example.com" in ask.run("why", "BK-10427").out


@dataclass(frozen=True, slots=True)
class First:
    """A relay that was started in the folder of its config.toml, without naming it."""

    folder: Path
    smtp: HostPort
    sink: Sink

    def taken(self, count: int) -> Taken:
        """Wait until the sink has so many messages; give the newest."""
        return wait_for(
            lambda: found[-1] if len(found := self.sink.taken()) >= count else None, otherwise=lambda: said(self.folder)
        )


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[First]:
    folder = tmp_path_factory.mktemp("first")
    with (
        internet(folder) as (smtp, sink),
        started([sys.executable, "-m", "relay", "serve"], folder, env=environment()) as process,
    ):
        wait_for(lambda: True if is_listening(smtp) else None, otherwise=lambda: said(folder))
        yield First(folder, smtp, sink)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0, said(folder)


def block_of_readme(language: str, *, holding: str) -> str:
    """Give the one code block of that language with these words in it."""
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", README, re.S) if holding in text]
    return str(found)


def test_swaks_relay_and_a_sink_found_by_a_name_server(first: First) -> None:
    need("swaks")
    check_the_mail_arrives(first.folder, first.smtp, first.sink)


def test_the_python_example_of_the_readme(first: First) -> None:
    before = len(first.sink.taken())
    script = block_of_readme("python", holding="smtplib").replace("2525", str(first.smtp.port))
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
    taken = first.taken(before + 1)
    assert taken.recipients == ("<guest@example.com>",)
    assert (taken.message["From"], taken.message["X-Waybill-Booking"]) == ("Hotel desk <desk@hotel.example>", None)
    assert Asking(first.folder / "config.toml").log("--limit", "1")[0]["booking"] == "BK-10427"


def test_the_php_example_of_the_readme(first: First) -> None:
    php = need("php")
    need("msmtp")
    before = len(first.sink.taken())
    setting = re.search(r'sendmail_path = "(.*)"', block_of_readme("ini", holding="sendmail_path"))
    assert setting is not None
    path = setting[1].replace("2525", str(first.smtp.port))
    script = block_of_readme("php", holding="mail(")
    subprocess.run([php, "-d", f"sendmail_path={path}", "-r", script], check=True, timeout=30, cwd=first.folder)
    taken = first.taken(before + 1)
    assert taken.recipients == ("<guest@example.com>",)
    assert taken.message["Subject"] == "Booking BK-10427"


def test_without_a_configuration_it_is_safe(tmp_path: Path) -> None:
    config = defaults()
    (listener,) = config.listener
    assert (str(listener.address), str(config.dashboard.address)) == ("127.0.0.1:2525", "127.0.0.1:8025")
    if is_listening(listener.address) or is_listening(config.dashboard.address):
        pytest.skip("port 2525 or 8025 is in use here")
    with started([sys.executable, "-m", "relay", "serve"], tmp_path, env=environment()) as process:
        wait_for(lambda: True if is_listening(listener.address) else None, otherwise=lambda: said(tmp_path))
        assert not [ip for ip in own_addresses() if is_listening(HostPort(ip, 2525))]
        with smtplib.SMTP("127.0.0.1", 2525, timeout=20) as client:
            client.ehlo()
            assert client.mail("www-data@localhost")[0] == 250
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0, said(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"data", "output"}


def own_addresses() -> set[str]:
    """Name the addresses of this machine that others could reach."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.254", 9))  # nothing is sent; the kernel only chooses the address it would send from
        except OSError:
            return set()
        return {str(probe.getsockname()[0])} - {"127.0.0.1"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_clone_runs_with_make_run_and_nothing_else(tmp_path: Path) -> None:
    git, make = need("git"), need("make")
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a clone")
    listed = subprocess.run(
        [git, "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    )
    clone = tmp_path / "clone"
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
    bare = {key: value for key, value in environment().items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    with internet(clone) as (smtp, sink), started([make, "run"], clone, env=bare):
        wait_for(lambda: True if is_listening(smtp) else None, timeout=500, otherwise=lambda: said(clone))
        check_the_mail_arrives(clone, smtp, sink)
        log = subprocess.run(
            [".venv/bin/waybill", "log"], cwd=clone, env=bare, capture_output=True, text=True, check=True
        )
    assert "guest@example.com" in log.stdout
