"""What a process asked of the kernel, read from strace, and strace as a way to hurt it.

`recorded(...)` and `hurt(...)` give command lines for `running(argv=…)`; `read_trace` gives the calls with their whole
data, in the order in which they ended. Two calls of different threads overlap when one began before the other ended;
a call that never ended (its process was killed in it) is left out: nobody knows what it did.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.process import ConfigFile
from tests.support.tools import need

_CALLS = "openat,mkdir,rename,unlink,unlinkat,ftruncate,pwrite64,fsync,fdatasync,write,writev,sendto,sendmsg"
_LINE = re.compile(r"(\d+) +(?:(\w+)\(|<\.\.\. (\w+) resumed>)(.*)", re.S)
_UNFINISHED = "<unfinished ...>"
_END = re.compile(r"\) += (-?\d+)[^)]*\Z", re.S)
_HEX = r"((?:\\x[0-9a-f]{2})*)"
_FD = re.compile(rf"\A\d+<{_HEX}>")
_STRING = re.compile(rf'"{_HEX}"(?!\.\.\.)')
_OFFSET = re.compile(r", (-?\d+)\)? *\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One system call that ended."""

    name: str
    path: str  #: the file behind the descriptor, or the one that was named
    data: bytes  #: what was written
    number: int  #: the last argument: the offset of pwrite64, the length of ftruncate
    is_creating: bool  #: openat with O_CREAT
    result: int
    began: int  #: line numbers, which order all calls
    ended: int

    @property
    def is_sync(self) -> bool:
        """Tell whether it put a file, or a folder, on disk."""
        return self.name in ("fsync", "fdatasync") and self.result == 0


def plain(config: ConfigFile, command: str) -> list[str]:
    """Give the command line of a relay."""
    return [sys.executable, "-m", "relay", "-c", str(config.path), command]


def recorded(trace: Path, argv: Sequence[str]) -> list[str]:
    """Run a command line and write all it does to files and sockets into a trace."""
    options = ["-f", "-y", "-xx", "-s", "1000000", "--seccomp-bpf", "-qq", "-I2", "-e", f"trace={_CALLS}"]
    return [need("strace"), *options, "-o", str(trace), *argv]


def hurt(call: str, fault: str, argv: Sequence[str]) -> list[str]:
    """Run a command line and do something to its calls, such as `signal=SIGKILL:when=3` (counted in each thread)."""
    # Not --seccomp-bpf here: with it strace 6.1 delivers a signal at the first call or never.
    options = ["-f", "-qq", "-I2", "-o", "/dev/null", "-e", f"trace={call}"]
    return [need("strace"), *options, "-e", f"inject={call}:{fault}", *argv]


def read_trace(path: Path) -> list[Call]:
    """Read a trace written by `recorded`."""
    return sorted(_calls(path), key=lambda call: call.ended)


def _calls(path: Path) -> Iterator[Call]:
    begun: dict[tuple[str, str], tuple[int, str]] = {}
    with path.open() as lines:
        for number, line in enumerate(lines):
            match = _LINE.match(line.rstrip("\n"))
            if match is None:
                continue
            pid, name, resumed, text = match.groups()
            began, head = begun.pop((pid, resumed), (number, "")) if resumed else (number, "")
            if text.endswith(_UNFINISHED):
                begun[pid, name] = (number, text.removesuffix(_UNFINISHED))
            elif (call := _call(name or resumed, head + text, began=began, ended=number)) is not None:
                yield call


def _call(name: str, text: str, *, began: int, ended: int) -> Call | None:
    end = _END.search(text)
    if end is None:
        return None
    arguments = text[: end.start()]
    fd, strings = _FD.match(arguments), [_bytes(each) for each in _STRING.findall(arguments)]
    offset = _OFFSET.search(arguments)
    is_named = name in ("openat", "mkdir", "unlink", "unlinkat", "rename")
    named = strings[0].decode("utf-8", "surrogateescape") if is_named and strings else ""
    return Call(
        name=name,
        path=named or (_bytes(fd[1]).decode("utf-8", "surrogateescape") if fd else ""),
        data=b"" if is_named else b"".join(strings),
        number=int(offset[1]) if offset else 0,
        is_creating=name == "openat" and "O_CREAT" in arguments,
        result=int(end[1]),
        began=began,
        ended=ended,
    )


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))
