"""Import a list of blocks: many lines, bounded memory, some thousand blocks in one transaction. And write our own.

What is blocked already stays as it is, so that an import that was cut short is simply run again. A dry run looks
everything up and writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from relay.actions.answer import Answer, no
from relay.block_lists import Bad, Found, LeftOut, Result, UnknownFormat, csv_lines, read
from relay.model import Event, Suppression
from relay.store import events, suppressions
from relay.store.protocols import Store
from relay.wording import say

_CHUNK = 2000
_KEPT = 100  #: bad lines that are remembered; the rest is counted


@dataclass(slots=True)
class LeftCount:
    """Entries left out for one reason, and the first of them."""

    line: int
    address: str
    count: int = 0


@dataclass(slots=True, kw_only=True)
class ImportTally:
    """What became of the entries of a list."""

    by: str
    name: str  #: of the file
    is_dry_run: bool = False
    apps: frozenset[str] = frozenset()  #: those that are configured
    added: int = 0
    known: int = 0  #: blocked already, or named twice
    bad: int = 0
    bad_lines: list[tuple[int, str]] = field(default_factory=list)
    left_out: dict[str, LeftCount] = field(default_factory=dict)
    unknown_apps: dict[str, int] = field(default_factory=dict)

    @property
    def seen(self) -> int:
        return self.added + self.known + self.bad + sum(one.count for one in self.left_out.values())

    def leave_out(self, entry: LeftOut) -> None:
        """Count an entry that is no block for us."""
        self.left_out.setdefault(entry.why, LeftCount(entry.line, entry.address)).count += 1

    def reject(self, entry: Bad) -> None:
        """Count a line that cannot be read."""
        self.bad += 1
        if len(self.bad_lines) < _KEPT:
            self.bad_lines.append((entry.line, entry.text))

    def as_json(self) -> dict[str, object]:
        """Give the counts with stable keys."""
        return {
            "done": not self.is_dry_run,
            "seen": self.seen,
            "blocked": self.added,
            "known": self.known,
            "left_out": {why: one.count for why, one in self.left_out.items()},
            "bad": self.bad,
            "bad_lines": [{"line": line, "text": text} for line, text in self.bad_lines],
            "unknown_apps": self.unknown_apps,
        }


def import_blocks(
    store: Store, results: Iterable[Result], tally: ImportTally, *, now: Callable[[], datetime]
) -> ImportTally:
    """Block what a list names, chunk by chunk, and count what became of each entry."""
    waiting: list[Suppression] = []
    seen: set[int] = set()
    for entry in results:
        if isinstance(entry, Found):
            waiting.append(entry.suppression)
            if len(waiting) >= _CHUNK:
                _flush(store, waiting, tally, seen=seen, now=now())
        elif isinstance(entry, LeftOut):
            tally.leave_out(entry)
        else:
            tally.reject(entry)
    _flush(store, waiting, tally, seen=seen, now=now())
    if tally.added and not tally.is_dry_run:
        text = say("Imported {added} blocks from {name}", added=tally.added, name=tally.name)
        store.write_now(lambda tx: events.add(tx, Event(at=now(), kind="import", text=text, by=tally.by)))
    return tally


def import_list(
    store: Store, content: bytes, tally: ImportTally, *, now: Callable[[], datetime], app: str | None = None
) -> ImportTally | Answer:
    """Read a whole list that is in memory and block what it names; an Answer says that nobody knows its columns."""
    try:
        _, results = read([content], now=now(), by=tally.by, name=tally.name, app=app)
    except UnknownFormat as error:
        return no("unknown_format", str(error))
    return import_blocks(store, results, tally, now=now)


def export_blocks(found: Iterable[Suppression]) -> Iterator[str]:
    """Write blocks as a table for spreadsheets, cells defused, line by line; import reads it back."""
    return csv_lines(found)


def _flush(store: Store, waiting: list[Suppression], tally: ImportTally, *, seen: set[int], now: datetime) -> None:
    chunk = list(waiting)
    waiting.clear()
    if not chunk:
        return
    if tally.is_dry_run:
        added = [
            one for one in store.read_now(lambda tx: suppressions.uncovered(tx, chunk, now=now)) if _is_new(one, seen)
        ]
    else:
        added = store.write_now(lambda tx: suppressions.add_all(tx, chunk, now=now))
    tally.added += len(added)
    tally.known += len(chunk) - len(added)
    for one in added:
        if one.app is not None and one.app not in tally.apps:
            tally.unknown_apps[one.app] = tally.unknown_apps.get(one.app, 0) + 1


def _is_new(one: Suppression, seen: set[int]) -> bool:
    """Tell whether a dry run meets this block for the first time; eight bytes of each are enough to know."""
    key = hash((one.scope, one.value, one.source, one.app, one.reason if one.source == "import" else ""))
    if key in seen:
        return False
    seen.add(key)
    return True
