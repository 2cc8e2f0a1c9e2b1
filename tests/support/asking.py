"""The command line against a running relay, run in this process: a process for each question would cost a second."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from relay.cli.main import main

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Asking:
    """Runs `waybill -c CONFIG …`."""

    config: Path

    def run(self, *arguments: str) -> Ran:
        """Run a command and catch what it prints."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
        with redirect_stdout(out), redirect_stderr(err):
            code = main(["-c", str(self.config), *arguments])
        texts = []
        for stream in (out, err):
            stream.flush()
            stream.seek(0)
            texts.append(stream.read())
        return Ran(code, *texts)

    def log(self, *arguments: str) -> list[dict[str, Any]]:
        """Run `log --json`."""
        return [json.loads(line) for line in self.run("log", "--json", *arguments).out.splitlines()]

    def show(self, an_id: str) -> dict[str, Any]:
        """Run `show --json`."""
        found: dict[str, Any] = json.loads(self.run("show", "--json", an_id).out)
        return found

    def why(self, question: str) -> dict[str, Any]:
        """Run `why --json`."""
        found: dict[str, Any] = json.loads(self.run("why", "--json", question).out)
        return found


def wait_for(look: Callable[[], T | None], *, timeout: float = 30.0, otherwise: Callable[[], object] = str) -> T:
    """Look until there is something.

    Raises:
        AssertionError: there is nothing; it says what `otherwise` gives.
    """
    end = time.monotonic() + timeout
    while (found := look()) is None:
        assert time.monotonic() < end, otherwise()
        time.sleep(0.02)
    return found
