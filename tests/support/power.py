"""A disk that keeps only what was synced: replay a trace up to a power cut and see what is left.

What a file holds is certain up to its last fsync; each later write may have reached the disk, or a part of it in
sectors of 512 bytes, or nothing. A name (a file made or removed, a folder made) is certain after an fsync of the folder
it stands in. Files are taken as they were made in the trace, so the traced process must begin with nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.trace import Call

_SECTOR = 512


@dataclass(slots=True, eq=False)
class _File:
    """One file: what is on disk for certain, and what may be."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[Call] = field(default_factory=list)

    def sync(self, before: int) -> None:
        for call in self.pending:
            if call.ended < before:
                _apply(self.synced, call, share=1.0)
        self.pending = [call for call in self.pending if call.ended >= before]


@dataclass(slots=True, eq=False)
class _Name:
    """A change of a folder: a name that now stands for a file, for a folder (None), or for nothing."""

    path: str
    file: _File | None
    is_there: bool
    ended: int


class Disk:
    """The files below one folder; feed it calls in order, cut the power at any moment."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._live: dict[str, _File] = {}
        self._synced: dict[str, _File | None] = {}
        self._pending: list[_Name] = []

    def feed(self, call: Call) -> None:
        """Take one call into account."""
        if call.result < 0 or not call.path.startswith(self._root):
            return
        if call.is_creating and call.path not in self._live:
            self._live[call.path] = _File()
            self._pending.append(_Name(call.path, self._live[call.path], True, call.ended))
        elif call.name == "mkdir":
            self._pending.append(_Name(call.path, None, True, call.ended))
        elif call.name in ("unlink", "unlinkat"):
            self._pending.append(_Name(call.path, self._live.pop(call.path, None), False, call.ended))
        elif call.name in ("pwrite64", "ftruncate") and call.path in self._live:
            self._live[call.path].pending.append(call)
        elif call.is_sync and call.path in self._live:
            self._live[call.path].sync(call.began)
        elif call.is_sync:
            self._sync_folder(call)

    def _sync_folder(self, call: Call) -> None:
        done = [name for name in self._pending if _folder(name.path) == call.path and name.ended < call.began]
        for name in done:
            _change(self._synced, name)
        self._pending = [name for name in self._pending if name not in done]

    def cut(self, target: Path, *, rng: random.Random | None) -> None:
        """Write what the disk holds after a power cut now; without `rng` only what is certain."""
        names = dict(self._synced)
        for name in self._pending:
            if rng is not None and rng.random() < 0.5:
                _change(names, name)
        for path, file in names.items():
            if file is not None and all(parent in names for parent in _parents(path, self._root)):
                content = bytearray(file.synced)
                for call in file.pending:
                    if rng is not None and rng.random() < 0.5:
                        _apply(content, call, share=rng.choice((1.0, 1.0, rng.random())))
                place = target / Path(path).relative_to(self._root)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _parents(path: str, root: str) -> Iterator[str]:
    while (path := _folder(path)) != root:
        yield path


def _change(names: dict[str, _File | None], name: _Name) -> None:
    if name.is_there:
        names[name.path] = name.file
    else:
        names.pop(name.path, None)


def _apply(content: bytearray, call: Call, *, share: float) -> None:
    """Carry a write out, whole or only its first sectors."""
    if call.name == "ftruncate":
        content[call.number :] = bytes(max(0, call.number - len(content)))
        return
    data = call.data if share == 1.0 else call.data[: int(len(call.data) * share) // _SECTOR * _SECTOR]
    content.extend(bytes(max(0, call.number - len(content))))
    content[call.number : call.number + len(data)] = data


def moments(calls: Sequence[Call], *, count: int, rng: random.Random) -> set[int]:
    """Choose where to cut: half of them right when a 250 begins to go out, when a loss would show, the others anywhere.

    A moment is the line number of a call.
    """
    acks = [call.began for call in calls if b"250 2.0.0 queued as " in call.data]
    at_acks = set(rng.sample(acks, min(len(acks), count // 2)))
    others = sorted({call.ended for call in calls} - at_acks)
    return {*at_acks, *rng.sample(others, count - len(at_acks))}
