"""Outside programs some tests need: a missing one is a skip that names it, and a failure under CI."""

from __future__ import annotations

import os
import shutil

import pytest

_PLACES = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/lib/postfix/sbin", "/usr/local/sbin"))


def need(tool: str) -> str:
    """Give the path of a program, or skip the test by name; with CI set in the environment, fail it."""
    path = shutil.which(tool, path=_PLACES)
    if path is not None:
        return path
    if os.environ.get("CI"):
        pytest.fail(f"{tool} is not installed, and CI must run every test")
    pytest.skip(f"{tool} is not installed")
