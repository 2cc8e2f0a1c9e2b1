"""`waybill serve`: one supervisor, and the processes of architecture.md as its children.

Policy: the supervisor opens the listening sockets (or takes them from systemd) and every intake process inherits the
same ones, so that a restart of intake refuses nobody: connections wait in the kernel. One `serve` per data directory.
SIGHUP validates the whole new file first; only then are the children replaced, intake by overlap. What cannot change
while running (data_dir, the store) is refused with a sentence and the old configuration stays.
With an affected SQLite several writing processes are unsafe; everything then runs in this one process.
children.py keeps the processes alive; what they do is wired in app.py.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import site
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from relay import logs, systemd
from relay.children import Spec, Supervisor
from relay.config import load
from relay.errors import ConfigError
from relay.intake.listener import bind
from relay.settings import Config, Listener
from relay.store import open_store
from relay.store.locks import exclusive
from relay.store.open import is_shared
from relay.store.sqlite import needs_single_process

log = logging.getLogger(__name__)

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def serve(config: Config, config_path: Path | None) -> int:
    """Run all processes until SIGTERM or SIGINT; return the exit code.

    Raises:
        StoreLocked: another `serve` runs on this data directory.
        StoreError: the store cannot be used.
        ConfigError: a listener cannot be opened, or systemd gave a socket that no listener names.
    """
    os.umask(0o077)
    logs.set_up(config.log, process="serve")
    if os.geteuid() == 0:
        log.warning("running as root: give Waybill a user of its own, and port 25 by a systemd socket")
    with exclusive(config.data_dir, "serve"):
        if (needs_single_process() and not is_shared(config.store.url)) or sys.platform != "linux":
            from relay import app  # the whole relay, which the supervisor itself never needs

            return app.run_all(config)
        with open_store(config.store.url, config.base_dir):
            pass  # a store that cannot be used is told here, once, and not by each child again and again
        with Serving(config, config_path) as serving, _signals() as signals:
            return Supervisor(serving.specs(), reload=serving.reload).run(signals)


class Serving:
    """The configuration in force and the sockets it listens on."""

    def __init__(self, config: Config, config_path: Path | None, *, environ: Mapping[str, str] = os.environ) -> None:
        self._config = config
        self._path = config_path.resolve() if config_path else None
        self._pairs: list[tuple[Listener, socket.socket]] = []
        self._listen(config, systemd.given_sockets(environ))

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *_: object) -> None:
        for _listener, sock in self._pairs:
            sock.close()

    def specs(self) -> list[Spec]:
        """Name the processes to run."""
        return [
            *[self._spec("intake", "intake", can_overlap=True) for _ in range(self._config.intake.workers)],
            self._spec("delivery", "deliver"),
            self._spec("dashboard", "dashboard"),
        ]

    def reload(self) -> list[Spec] | None:
        """Read the file anew; return the new processes, or None (and say why) when the old ones must stay."""
        try:
            config = load(self._path)
            self._refuse_unchangeable(config)
            self._listen(config, [])
        except ConfigError as error:
            for problem in error.problems:
                log.error("reload refused: %s", problem)
            return None
        self._config = config
        log.info("reloaded config=%s", self._path or "defaults")
        return self.specs()

    def _refuse_unchangeable(self, new: Config) -> None:
        old = self._config
        problems = []
        if new.data_dir != old.data_dir:
            problems.append("node.data_dir cannot change while running; restart Waybill")
        if (new.store.url, new.base_dir) != (old.store.url, old.base_dir):
            problems.append("store.url cannot change while running; restart Waybill")
        if problems:
            raise ConfigError(problems)

    def _listen(self, config: Config, given: list[systemd.GivenSocket]) -> None:
        """Open what is missing, keep what fits, then close what is no longer wanted; on ConfigError nothing changed."""
        wanted = {listener.address for listener in config.listener}
        kept = [systemd.GivenSocket(sock=s, address=old.address) for old, s in self._pairs if old.address in wanted]
        pairs, missing = systemd.match_listeners(config.listener, [*given, *kept])
        pairs += bind(config.model_copy(update={"listener": missing}))
        for listener, sock in self._pairs:
            if listener.address not in wanted:
                sock.close()
        self._pairs = pairs

    def _spec(self, name: str, command: str, *, can_overlap: bool = False) -> Spec:
        # -P: a folder named "relay" where Waybill was started must not be taken for ours.
        argv = (sys.executable, "-P", "-m", "relay", *(("-c", str(self._path)) if self._path else ()), command)
        environ = _import_path()
        fds: tuple[int, ...] = ()
        if command == "intake":
            environ["WAYBILL_SOCKETS"] = systemd.hand_over(self._pairs)
            fds = tuple(sock.fileno() for _, sock in self._pairs)
        return Spec(name=name, argv=argv, environ=environ, fds=fds, can_overlap=can_overlap)


def _import_path() -> dict[str, str]:
    """Let the children import the very code that runs here, also when it is not installed."""
    root = str(Path(__file__).resolve().parent.parent)
    if root in site.getsitepackages():
        return {}
    return {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))}


@contextlib.contextmanager
def _signals() -> Iterator[socket.socket]:
    """Turn signals into bytes on a socket for as long as the block runs."""
    reader, writer = socket.socketpair()
    with reader, writer:
        writer.setblocking(False)
        before = signal.set_wakeup_fd(writer.fileno())
        old = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
        try:
            yield reader
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before)
