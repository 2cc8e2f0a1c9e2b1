"""The two file locks of a store on one machine; the kernel frees both when a process dies.

`exclusive` makes a process alone on a data folder (one `serve`, one `deliver`): it never waits.
`Turn` is the queue of the writers of one SQLite file: each takes it around BEGIN … COMMIT and around checkpoints, so
that writers of several processes wait in the kernel, in order, and no two of them ever write or checkpoint at the
same instant. flock(2) locks belong to the open file, so two stores inside one process queue up as well.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from relay.errors import StoreError, StoreLocked


class FileLock:
    """A lock file that is held until it is released, or until the process ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"cannot open {path}: {error.strerror}") from error

    def take(self) -> None:
        """Wait for the lock.

        Raises:
            StoreLocked: another process has it.
        """
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
            self.release()
            raise StoreLocked(f"{self.path.name} is held by another process (pid {holder})") from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def exclusive(data_dir: Path, name: str) -> FileLock:
    """Take data_dir/NAME.lock, or fail at once; hold the returned lock as long as the process must be alone.

    Raises:
        StoreLocked: another process holds it.
        StoreError: the folder or the file cannot be made.
    """
    make_folder(data_dir)
    lock = FileLock(data_dir / f"{name}.lock")
    lock.take()
    return lock


class Turn:
    """The right to write, as a context: `with turn:` waits in the kernel until no other writer is at work."""

    def __init__(self, path: Path) -> None:
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"cannot open {path}: {error.strerror}") from error

    def __enter__(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def make_folder(path: Path) -> None:
    """Make a folder that only its owner may enter; an existing one stays as it is.

    Its name is on disk when this returns: what is synced inside a folder that a power cut takes away is lost with it.

    Raises:
        StoreError: it cannot be made.
    """
    try:
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in missing:
            _sync(folder.parent)
    except OSError as error:
        raise StoreError(f"cannot make the folder {path}: {error.strerror}") from error


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
