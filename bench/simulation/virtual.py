"""An event loop whose time stands still while anything is ready, and then jumps to the next timer.

A week passes in the time that the code itself needs, and every run of the same code with the same seed is the same.
There are no sockets, threads or signals in it: a wait that no timer and no ready callback can ever end is an error
here, where a real loop would hang.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

#: When every simulation begins: a Monday, midnight.
START = datetime(2026, 3, 2, tzinfo=UTC)


class NothingWillHappen(RuntimeError):
    """Everybody waits for somebody else, and no timer runs."""


class _Jump(selectors.BaseSelector):
    """Watches nothing: instead of waiting, time is moved on."""

    def __init__(self) -> None:
        self.passed = 0.0
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = self._keys[fileobj] = selectors.SelectorKey(fileobj, number, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise NothingWillHappen("nothing is ready and no timer runs")
        self.passed += max(0.0, timeout)
        return []

    def close(self) -> None:
        self._keys.clear()


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; its time is seconds since START."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.passed


def run(scene: Callable[[], Awaitable[None]]) -> None:
    """Play a scene to its end in virtual time."""

    async def main() -> None:
        await scene()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())


def seconds() -> float:
    """Return the virtual seconds since START."""
    return asyncio.get_running_loop().time()


def now() -> datetime:
    """Return the virtual wall time."""
    return START + timedelta(seconds=seconds())
