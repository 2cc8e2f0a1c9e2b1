"""What a tree of processes costs: CPU time and proportional memory, read from /proc. Linux only."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """List the process and all its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[1]), []).append(int(entry.name))
    found = [root]
    for pid in found:  # grows while it is walked
        found += children.get(pid, [])
    return found


def ended(pid: int, *, session: int) -> bool:
    """Tell whether the process of that session is gone; a new process with the same id belongs to another session."""
    stat = _stat(pid)
    return stat is None or stat[0] == "Z" or int(stat[3]) != session


def cpu_seconds(root: int) -> float:
    """Sum user and system time of the tree, with that of descendants that have ended and were waited for."""
    ticks = 0
    for pid in tree(root):
        if stat := _stat(pid):
            ticks += sum(int(value) for value in stat[11:15])  # utime stime cutime cstime
    return ticks / _TICK


def cpu_by_name(root: int) -> dict[str, float]:
    """Sum user and system time of the tree by what its processes call themselves; ended ones count for their parent."""
    spent: dict[str, float] = {}
    for pid in tree(root):
        stat, name = _stat(pid), _name(pid)
        if stat and name:
            spent[name] = spent.get(name, 0.0) + sum(int(value) for value in stat[11:15]) / _TICK
    return spent


def _name(pid: int) -> str:
    """Name a process: a Python program by its last word, a server of PostgreSQL by its role."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().strip(b"\0").decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    if line.startswith("postgres: "):
        role = line.removeprefix("postgres: ").strip()
        return "sessions" if role.startswith("waybill ") else role
    first, *rest = line.split("\0")
    if Path(first).name.startswith("python") and rest:
        return rest[-1]
    return Path(first).name


def memory_bytes(root: int) -> int:
    """Sum the proportional set size of the tree: shared pages are divided among those who share them."""
    total = 0
    for pid in tree(root):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def _stat(pid: int) -> list[str] | None:
    """Read the fields after the command name (which may hold spaces and brackets): state, parent, …"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


@dataclass
class PeakMemory:
    """Watches a tree once a second while the block runs; the reading itself costs the machine almost nothing."""

    root: int
    peak_bytes: int = 0
    measure: Callable[[int], int] = memory_bytes
    _end: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> PeakMemory:
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        if self._thread:
            self._thread.join()

    def _watch(self) -> None:
        while True:
            self.peak_bytes = max(self.peak_bytes, self.measure(self.root))
            if self._end.wait(1.0):
                return
