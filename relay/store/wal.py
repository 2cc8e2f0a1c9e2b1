"""When SQLite's WAL is copied back into the database, and when its bytes are given back to the disk.

Nobody waits for it: above 8 MiB what no reader holds is copied back after a commit (PASSIVE), and an idle store's WAL
over 1 MiB is emptied (TRUNCATE). A checkpoint needs as much room as the WAL holds new pages, so a large WAL on a full
disk can neither be copied back nor grow, and the store stands still. Therefore, with little room left, it is emptied at
every 512 KiB, whenever the store is idle, and after every commit that found no room.

Used by the writer's thread inside the turn lock; the statements run on its connection.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

#: Over this the WAL is copied back; it is also what the file shrinks to afterwards (journal_size_limit), so that
#: "the file is larger" always means "there is that much to copy".
WAL_LIMIT = 8 * 1024**2
_STEP = 2 * 1024**2  # a checkpoint that readers held up is tried again after this much more
_IDLE = 1024**2  # an idle store's WAL over this is emptied
#: With less than this free, the WAL is kept small: what it holds must still fit into the database beside it.
SCARCE = 4 * WAL_LIMIT
_SCARCE_LIMIT = 512 * 1024
_SCARCE_STEP = 256 * 1024


class Wal:
    """The WAL of one database, as its writer sees it."""

    def __init__(self, database: Path, *, command: Callable[[str], object]) -> None:
        self._database = database
        self._path = Path(f"{database}-wal")
        self._command = command
        self._tried_at_size = 0
        self._is_scarce = False

    def after_commit(self) -> None:
        """Copy it back when it has grown large."""
        self._look_at_the_disk()
        limit, step = (_SCARCE_LIMIT, _SCARCE_STEP) if self._is_scarce else (WAL_LIMIT, _STEP)
        size = self._size()
        if size <= limit:
            self._tried_at_size = 0
        elif size >= self._tried_at_size + step:
            self._tried_at_size = size
            if self._is_scarce:
                self.empty()
            else:
                self._command("PRAGMA wal_checkpoint(PASSIVE)")

    def rest(self) -> None:
        """Empty a large one while nothing else is to be done."""
        self._look_at_the_disk()
        if self._size() > (0 if self._is_scarce else _IDLE):
            self.empty()

    def empty(self) -> None:
        """Copy it back and give its bytes to the disk; never wait long for readers."""
        self._command("PRAGMA busy_timeout=20")
        try:
            self._command("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._command("PRAGMA busy_timeout=5000")

    def _look_at_the_disk(self) -> None:
        try:
            status = os.statvfs(self._database)
        except OSError:
            return  # the next commit tells what is wrong
        is_scarce = status.f_bavail * status.f_frsize < SCARCE
        if is_scarce != self._is_scarce:
            self._is_scarce, self._tried_at_size = is_scarce, 0

    def _size(self) -> int:
        try:
            return os.stat(self._path).st_size
        except FileNotFoundError:
            return 0
