"""A small file system of its own for a test, and a file that fills it (root only)."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.tools import need

MIB = 1024**2


@contextmanager
def mounted(folder: Path, *, size: int) -> Iterator[Path]:
    """Mount a small file system there, or skip by name."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a file system")
    folder.mkdir()
    command = [need("mount"), "-t", "tmpfs", "-o", f"size={size}", "waybill-test", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a file system cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run([need("umount"), "--lazy", str(folder)], check=True)


def leave_free(folder: Path, free: int) -> Path:
    """Fill the file system until so much is free; return the file that fills it."""
    filler = folder / "filler"
    with filler.open("ab") as file:
        while (left := free_bytes(folder) - free) > 0:
            try:
                file.write(bytes(min(left, MIB)))
                file.flush()
            except OSError:
                break
    return filler


def free_bytes(folder: Path) -> int:
    """Tell how many bytes are free there."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize
