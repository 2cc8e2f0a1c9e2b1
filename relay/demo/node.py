"""A real relay in its own process, for the demo and for tests.

Owns: writing a configuration as TOML, starting `python -m relay -c FILE COMMAND` in its own process group, waiting
until it listens, stopping it in order (SIGTERM, then SIGKILL after the grace) or at once, and its log file.
`stop` and `kill` end the children too, so nothing outlives the caller that uses it in a `with` block.
It reads nothing of the relay's store; `ask` runs the command line instead.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import relay
from relay.errors import RelayError
from relay.settings import HostPort

Table = Mapping[str, Any]

_NOT_FOR_CHILDREN = {"NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID"}


class NodeFailed(RelayError):
    """The relay ended, or did not begin to listen; the text ends with its last log lines."""


def to_toml(tables: Table) -> str:
    """Write tables of strings, numbers, booleans and lists of these as TOML; a list of mappings becomes [[name]]."""
    return "\n".join(_lines(tables, ())) + "\n"


def _lines(table: Table, path: tuple[str, ...]) -> Iterable[str]:
    nested = {key: value for key, value in table.items() if isinstance(value, Mapping) or _is_array_of_tables(value)}
    for key, value in table.items():
        if key not in nested and value is not None:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in nested.items():
        name = ".".join(map(_key, (*path, key)))
        for each in [value] if isinstance(value, Mapping) else value:
            yield f"\n[{name}]" if isinstance(value, Mapping) else f"\n[[{name}]]"
            yield from _lines(each, (*path, key))


def _is_array_of_tables(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(each, Mapping) for each in value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _value(value: object) -> str:
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + " }"
    return json.dumps(str(value), ensure_ascii=False)  # a JSON string is a TOML basic string


class Node:
    """One relay process (and its children); use it in a `with` block."""

    def __init__(
        self, config: Path, *, command: str = "serve", log: Path | None = None, argv: Sequence[str] = ()
    ) -> None:
        """`argv` is started instead of the plain command: the same under another program, such as strace or prlimit."""
        self.config = config
        self.command = command
        self._argv = list(argv)
        self.log = log or config.with_suffix(f".{command}.log")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start it; returns at once."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv or self._command_line(self.command),
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_listening(self, addresses: Sequence[HostPort], *, timeout: float = 20.0) -> None:
        """Wait until each address takes connections; that may be before anybody serves them.

        Raises:
            NodeFailed: the process ended or one of them did not answer in time.
        """
        for address in addresses:
            self._wait(partial(is_listening, address), f"listen on {address}", timeout=timeout)

    def wait_greeting(self, address: HostPort, *, timeout: float = 20.0) -> None:
        """Wait until SMTP is served there, which is when a client hears 220.

        Raises:
            NodeFailed: the process ended or did not greet in time.
        """
        self._wait(lambda: _is_greeting(address), f"greet on {address}", timeout=timeout)

    def _wait(self, is_ready: Callable[[], bool], what: str, *, timeout: float) -> None:
        end = time.monotonic() + timeout
        while not is_ready():
            if self.pid is None:
                raise NodeFailed(f"the relay ended before it could {what}\n{self.log_tail()}")
            if time.monotonic() > end:
                raise NodeFailed(f"the relay does not {what}\n{self.log_tail()}")
            time.sleep(0.05)

    def stop(self, *, grace: float = 15.0) -> int | None:
        """Ask it to end, insist after the grace; return its exit code (negative: the signal that ended it)."""
        if self._process is None:
            return None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        return self.kill()

    def reload(self) -> None:
        """Have it read its configuration anew."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGHUP)

    def kill(self) -> int | None:
        """End it and its children with SIGKILL, as a power cut would; return its exit code."""
        if self._process is None:
            return None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()

    def log_tail(self, lines: int = 30) -> str:
        """Give the last lines it logged."""
        text = self.log.read_text("utf-8", "replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def ask(self, *arguments: str, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run a command such as `log --json` with the same configuration; the caller reads the exit code."""
        return subprocess.run(
            self._command_line(*arguments),
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def _command_line(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "relay", "-c", str(self.config), *arguments]

    def log_rows(self, *arguments: str) -> list[dict[str, Any]]:
        """Run `log --json` and read its rows.

        Raises:
            NodeFailed: the command failed.
        """
        done = self.ask("log", "--json", *arguments)
        if done.returncode != 0:
            raise NodeFailed(f"`waybill log` ended with {done.returncode}: {done.stderr.strip()}")
        return [json.loads(line) for line in done.stdout.splitlines() if line]


def _environment() -> dict[str, str]:
    """Give the child this very package, and nothing of what a service manager gave us."""
    ours = {key: value for key, value in os.environ.items() if key not in _NOT_FOR_CHILDREN}
    return {
        **ours,
        "PYTHONPATH": os.pathsep.join([str(Path(relay.__file__).parents[1]), *filter(None, [ours.get("PYTHONPATH")])]),
    }


def is_listening(address: HostPort) -> bool:
    """Tell whether something takes connections there."""
    try:
        with socket.create_connection((address.host, address.port), timeout=1):
            return True
    except OSError:
        return False


def _is_greeting(address: HostPort) -> bool:
    try:
        with socket.create_connection((address.host, address.port), timeout=2) as client:
            return client.recv(3) == b"220"
    except OSError:
        return False
