"""Keep child processes running: start, watch, restart, replace, stop.

Policy in plain words:
- A child that ends by itself is started again: after 0.2 s, then twice as long each time up to 5 s; a child that had
  run for 30 s starts at 0.2 s again.
- Exit code 3 means "I cannot work like this" (a lock, a port, the store). Five of these in a row end everything with 3.
- A child that has begun to say WATCHDOG=1 and then is silent for 30 s is killed and started again. Our own watchdog
  is answered only while no child is overdue, so a child that cannot even be killed becomes systemd's business.
- Stop: TERM to all, KILL after 8 s. Replace (reload): a child that may overlap starts first and the old one gets TERM
  when the new one is ready; the others end first.
- Children die with us: each asks the kernel for SIGKILL on our death. What was promised to anybody is on disk by then.

READY and WATCHDOG arrive as sd_notify datagrams, believed only from a child's own process id (kernel credentials).
Signals arrive as bytes on a socket, so that nothing here runs inside a signal handler. Knows nothing of mail. Linux.
"""

from __future__ import annotations

import ctypes
import logging
import os
import selectors
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from relay import systemd

log = logging.getLogger(__name__)

CANNOT_WORK = 3  #: the exit code of a process that will not get better by itself

_PR_SET_PDEATHSIG = 1
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What to run."""

    name: str
    argv: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)  #: added to the common environment
    fds: tuple[int, ...] = ()  #: descriptors it inherits
    can_overlap: bool = False  #: a replacement may start before the old one has ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The patience of the supervisor, in seconds."""

    first_delay: float = 0.2
    longest_delay: float = 5.0
    steady: float = 30.0  #: a child that ran this long was well
    silence: float = 30.0
    stop: float = 8.0  #: between TERM and KILL, so that all are gone within 10 s
    replace: float = 60.0  #: the same for a child that is replaced: its open sessions may finish
    refusals: int = 5


@dataclass(slots=True, eq=False)
class _Child:
    """One running process."""

    spec: Spec
    process: subprocess.Popen[bytes]
    pidfd: int
    started_at: float
    is_ready: bool = False
    beat_at: float | None = None
    kill_at: float | None = None  #: set once it was asked to end
    successors: tuple[_Slot, ...] = ()  #: asked to end when these are ready


@dataclass(slots=True, eq=False)
class _Slot:
    """A place that must always hold a running process."""

    spec: Spec
    start_at: float
    delay: float
    child: _Child | None = None
    refusals: int = 0
    waits_for: tuple[_Child, ...] = ()


class Supervisor:
    """Runs the children of one `serve`; run() returns the exit code."""

    def __init__(
        self,
        specs: Sequence[Spec],
        *,
        reload: Callable[[], Sequence[Spec] | None],
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
        limits: Limits = Limits(),
    ) -> None:
        self._reload = reload  #: returns the new children, or None to keep the old ones
        self._environ = environ
        self._clock = clock
        self._limits = limits
        self._slots = [self._slot(spec) for spec in specs]
        self._retiring: list[_Child] = []
        self._exit_code: int | None = None  #: set: we are stopping
        self._said_ready = False
        self._selector = selectors.DefaultSelector()
        self._inbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._inbox.setblocking(False)
        self._inbox.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._inbox.bind(f"\0waybill-{os.getpid()}-{os.urandom(8).hex()}")
        interval = systemd.watchdog_interval(environ)
        self._beat_every = interval.total_seconds() if interval else None
        self._beat_at = self._clock()

    def run(self, signals: socket.socket) -> int:
        """Run until a signal (one byte each: TERM, INT stop; HUP reloads) or a child that cannot work ends it."""
        signals.setblocking(False)
        self._selector.register(signals, selectors.EVENT_READ, self._read_signals)
        self._selector.register(self._inbox, selectors.EVENT_READ, self._read_inbox)
        try:
            while self._exit_code is None or self._running():
                self._turn()
            return self._exit_code
        finally:
            for child in self._running():
                child.process.kill()
                self._bury(child)
            self._selector.close()
            self._inbox.close()

    def _turn(self) -> None:
        self._start_due()
        for key, _ in self._selector.select(self._patience()):
            key.data(key.fileobj)
        self._reap()
        self._retire_ready()
        self._kill_overdue()
        self._report()

    # What to do next, and when

    def _running(self) -> list[_Child]:
        return [slot.child for slot in self._slots if slot.child] + self._retiring

    def _patience(self) -> float:
        """Sleep until the next thing is due; a child's end, a datagram and a signal wake us anyway."""
        now = self._clock()
        due = [now + 5.0]
        if self._exit_code is None:
            due += [slot.start_at for slot in self._slots if slot.child is None and not self._is_waiting(slot)]
        due += [child.kill_at for child in self._running() if child.kill_at is not None]
        due += [child.beat_at + self._limits.silence for child in self._running() if child.beat_at is not None]
        if self._beat_every is not None:
            due.append(self._beat_at)
        return max(0.0, min(due) - now)

    def _is_waiting(self, slot: _Slot) -> bool:
        return any(child in self._retiring for child in slot.waits_for)

    # Starting

    def _slot(self, spec: Spec) -> _Slot:
        return _Slot(spec=spec, start_at=self._clock(), delay=self._limits.first_delay)

    def _start_due(self) -> None:
        now = self._clock()
        for slot in self._slots:
            if self._exit_code is None and slot.child is None and slot.start_at <= now and not self._is_waiting(slot):
                slot.child = self._start(slot.spec)

    def _start(self, spec: Spec) -> _Child:
        environ = {key: value for key, value in self._environ.items() if key not in systemd.PRIVATE}
        environ["NOTIFY_SOCKET"] = "@" + self._inbox.getsockname()[1:].decode()
        environ["WATCHDOG_USEC"] = str(int(self._limits.silence * 1_000_000))
        environ |= spec.environ
        parent = os.getpid()
        # _die_with takes no lock that another thread (there is one, for the log) could hold at the fork.
        process = subprocess.Popen(
            spec.argv, env=environ, pass_fds=spec.fds, stdin=subprocess.DEVNULL, preexec_fn=lambda: _die_with(parent)
        )
        child = _Child(spec=spec, process=process, pidfd=os.pidfd_open(process.pid), started_at=self._clock())
        self._selector.register(child.pidfd, selectors.EVENT_READ, lambda _: None)  # waking up is all it is for
        log.info("started child=%s pid=%d", spec.name, process.pid)
        return child

    # Ending

    def _stop(self, code: int) -> None:
        if self._exit_code is not None:
            return
        self._exit_code = code
        systemd.notify("STOPPING=1", environ=self._environ)
        for child in self._running():
            self._end(child, self._limits.stop)

    def _end(self, child: _Child, patience: float) -> None:
        child.successors = ()
        child.process.terminate()
        kill_at = self._clock() + patience
        child.kill_at = kill_at if child.kill_at is None else min(child.kill_at, kill_at)

    def _kill_overdue(self) -> None:
        now = self._clock()
        for child in self._running():
            if child.kill_at is not None and child.kill_at <= now:
                log.warning("killed child=%s pid=%d: it did not end in time", child.spec.name, child.process.pid)
                child.process.kill()
                child.kill_at = now + 1.0
            elif child.kill_at is None and self._is_silent(child):
                log.error("killed child=%s pid=%d: it no longer answers", child.spec.name, child.process.pid)
                child.process.kill()
                child.kill_at = now + 1.0

    def _is_silent(self, child: _Child) -> bool:
        return child.beat_at is not None and child.beat_at + self._limits.silence <= self._clock()

    def _reap(self) -> None:
        for child in [child for child in self._retiring if child.process.poll() is not None]:
            self._bury(child)
            self._retiring.remove(child)
        for slot in self._slots:
            if slot.child is not None and slot.child.process.poll() is not None:
                child, slot.child = slot.child, None
                self._bury(child)
                if self._exit_code is None:
                    self._plan_restart(slot, child)

    def _bury(self, child: _Child) -> None:
        child.process.wait()
        self._selector.unregister(child.pidfd)
        os.close(child.pidfd)

    def _plan_restart(self, slot: _Slot, child: _Child) -> None:
        now = self._clock()
        code = child.process.returncode
        slot.refusals = slot.refusals + 1 if code == CANNOT_WORK else 0
        if slot.refusals >= self._limits.refusals:
            log.error(
                "The %s process refused to work %d times in a row; its own messages above say why. Stopping.",
                slot.spec.name,
                slot.refusals,
            )
            self._stop(CANNOT_WORK)
            return
        if now - child.started_at >= self._limits.steady:
            slot.delay = self._limits.first_delay
        log.warning(
            "child ended child=%s pid=%d code=%s restart=%.1fs", slot.spec.name, child.process.pid, code, slot.delay
        )
        slot.start_at = now + slot.delay
        slot.delay = min(slot.delay * 2, self._limits.longest_delay)

    # Replacing

    def _replace(self) -> None:
        """Reload: new children for new specs; without new specs everything stays as it is."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        systemd.notify("RELOADING=1", f"MONOTONIC_USEC={microseconds}", environ=self._environ)
        specs = self._reload()
        if specs is None:
            if self._said_ready:
                systemd.notify("READY=1", environ=self._environ)
            return
        self._said_ready = False
        self._retiring += [slot.child for slot in self._slots if slot.child is not None]
        self._slots = [self._slot(spec) for spec in specs]
        overlapping = tuple(slot for slot in self._slots if slot.spec.can_overlap)
        for child in [child for child in self._retiring if child.kill_at is None]:
            if child.spec.can_overlap and overlapping:
                child.successors = overlapping
            else:
                self._end(child, self._limits.replace)
        for slot in self._slots:
            if not slot.spec.can_overlap:
                slot.waits_for = tuple(child for child in self._retiring if child.spec.name == slot.spec.name)

    def _retire_ready(self) -> None:
        for child in self._retiring:
            if child.successors and all(slot.child and slot.child.is_ready for slot in child.successors):
                self._end(child, self._limits.replace)

    # Hearing and telling

    def _read_signals(self, signals: socket.socket) -> None:
        for number in signals.recv(64):
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop(0)
            elif number == signal.SIGHUP and self._exit_code is None:
                self._replace()

    def _read_inbox(self, inbox: socket.socket) -> None:
        while True:
            try:
                text, ancillary, _, _ = inbox.recvmsg(4096, socket.CMSG_SPACE(_CREDENTIALS.size))
            except BlockingIOError:
                return
            pids = [
                _CREDENTIALS.unpack(data)[0]
                for level, kind, data in ancillary
                if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS
            ]
            child = next((child for child in self._running() if child.process.pid in pids), None)
            if child is not None:
                self._hear(child, text.split(b"\n"))

    def _hear(self, child: _Child, lines: Sequence[bytes]) -> None:
        if b"READY=1" in lines and not child.is_ready:
            child.is_ready = True
            log.info("ready child=%s pid=%d", child.spec.name, child.process.pid)
        if b"WATCHDOG=1" in lines:
            child.beat_at = self._clock()

    def _report(self) -> None:
        is_up = all(slot.child is not None and slot.child.is_ready for slot in self._slots)
        if is_up and not self._said_ready and self._exit_code is None:
            self._said_ready = True
            log.info("ready children=%d", len(self._slots))
            systemd.notify("READY=1", environ=self._environ)
        now = self._clock()
        if self._beat_every is not None and self._beat_at <= now:
            self._beat_at = now + self._beat_every
            if not any(self._is_silent(child) for child in self._running()):
                systemd.notify("WATCHDOG=1", environ=self._environ)


def _die_with(parent: int) -> None:
    """Ask the kernel, in the child before exec, to kill it when the supervisor dies."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)
