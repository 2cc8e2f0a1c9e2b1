"""The measured systems: each started fresh and empty, in a folder of its own, and ended with all it started.

Both accept from 127.0.0.1 without a password, store durably, and hand everything to the sink without TLS and without
DNS: Postfix by relayhost, Waybill by [[route]]. Everything else is as it comes. Postfix logs to the system log, and
saves itself that work where there is none; Waybill logs every attempt, in its store and as a line in a file.
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.load import RECIPIENT_DOMAIN, BenchError, free_port, tool, wait_for_port
from bench.processes import ended, tree

#: The tree that is measured.
ROOT = Path(__file__).resolve().parents[1]

_WAYBILL = """\
[node]
hostname = "{hostname}"
data_dir = "data"
[store]
url = "{url}"
[intake]
workers = {workers}
[[listener]]
address = "127.0.0.1:{port}"
[[app]]
name = "bench"
networks = ["127.0.0.0/8"]
[app.limits]
connections = 500
[delivery]
allow_private_addresses = true
[[route]]
domain = "{domain}"
host = "127.0.0.1"
port = {sink}
tls = "none"
[dashboard]
address = "127.0.0.1:{dashboard}"
"""

_POSTFIX_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
myhostname = postfix.bench.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:{sink}
smtp_host_lookup = native
smtp_tls_security_level = none
alias_maps =
local_recipient_maps =
"""

_POSTFIX_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
tlsmgr    unix - - n 1000? 1 tlsmgr
pickup    unix n - n 60 1 pickup
"""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that takes mail on the port; all its processes descend from the pid."""

    port: int
    pid: int


class System(Protocol):
    """A mail server that can be measured."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    def missing(self) -> str | None:
        """Say why it cannot be measured here, or None when it can."""

    def start(self, folder: Path, *, port: int, sink_port: int) -> subprocess.Popen[bytes]:
        """Start it in an empty folder; its output goes to the file "log" there."""


@dataclass(frozen=True, slots=True)
class Waybill:
    """This tree, as `waybill serve` runs it."""

    workers: int = 1  #: intake processes
    name: str = "Waybill"
    url: str = "sqlite:data/waybill.db"
    hostname: str = "relay.bench.example"  #: nodes of one store differ in it

    def missing(self) -> str | None:
        return None

    def start(self, folder: Path, *, port: int, sink_port: int) -> subprocess.Popen[bytes]:
        config = folder / "config.toml"
        config.write_text(
            _WAYBILL.format(
                hostname=self.hostname,
                url=self.url,
                port=port,
                sink=sink_port,
                workers=self.workers,
                dashboard=free_port(),
                domain=RECIPIENT_DOMAIN,
            )
        )
        return _popen([sys.executable, "-m", "relay", "-c", str(config), "serve"], folder)


@dataclass(frozen=True, slots=True)
class Postfix:
    """The installed Postfix, as a private instance that knows nothing of the machine's own configuration."""

    name: str = "Postfix"

    def missing(self) -> str | None:
        if tool("postfix") is None:
            return "it is not installed"
        return "it can be started by root only" if os.geteuid() else None

    def start(self, folder: Path, *, port: int, sink_port: int) -> subprocess.Popen[bytes]:
        for parent in (folder, *folder.parents):  # it gives up root and must still reach its queue
            if not parent.stat().st_mode & 0o001:
                raise BenchError(f"{parent} is closed to other users, so that Postfix could not reach its queue")
        config = folder / "config"
        for made in (config, folder / "spool", folder / "data"):
            made.mkdir()
        os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
        (config / "main.cf").write_text(_POSTFIX_MAIN.format(folder=folder, sink=sink_port))
        (config / "master.cf").write_text(_POSTFIX_MASTER.format(port=port))
        # "check" makes the folders of the queue. Its master is started by us and not by "postfix start", which would
        # leave it without a parent, so that nobody could end it or count what it costs.
        subprocess.run(["postfix", "-c", str(config), "check"], capture_output=True, check=False, env=_environ())
        where = ["postconf", "-c", str(config), "-h", "daemon_directory"]
        folder_of_programs = subprocess.run(where, capture_output=True, check=True, text=True, env=_environ()).stdout
        return _popen([f"{folder_of_programs.strip()}/master", "-c", str(config), "-s"], folder)


@contextmanager
def running(system: System, folder: Path, *, sink_port: int) -> Iterator[Running]:
    """Run a system in an empty folder for as long as the block runs."""
    process = system.start(folder, port=(port := free_port()), sink_port=sink_port)
    try:
        wait_for_port(port)
        yield Running(port=port, pid=process.pid)
    except BenchError as error:
        raise BenchError(f"{system.name}: {error}\n{_last_words(folder)}") from error
    finally:
        _end(process)


def _environ() -> dict[str, str]:
    return {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}


def _popen(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """TERM to the first process, which ends the others; KILL for whatever is left of its descendants."""
    family = tree(process.pid)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(15)
    time.sleep(0.2)
    for pid in family:
        if not ended(pid, session=process.pid):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _last_words(folder: Path) -> str:
    return "\n".join((folder / "log").read_text(errors="replace").splitlines()[-10:])
