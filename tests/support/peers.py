"""The outside world for tests: name servers and recipients' servers, in this process or behind a real relay.

A test whose code under test runs in the same event loop uses them directly (`async with FakeMx(...)`); a test that
starts relay processes keeps them alive in a Background loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

from relay.demo import temper
from relay.demo.certificate import make_certificate, server_context
from relay.demo.connections import free_port
from relay.demo.dns import NULL_MX, FakeDns, Fault, Question, Records, reverse_name
from relay.demo.mx import FakeMx, Received
from relay.demo.temper import ACCEPTS, TEMPERS, Step, Temper, Tls, at, drops, recovering

__all__ = [
    "ACCEPTS",
    "NULL_MX",
    "TEMPERS",
    "Background",
    "FakeDns",
    "FakeMx",
    "Fault",
    "Question",
    "Received",
    "Records",
    "Step",
    "Temper",
    "Tls",
    "at",
    "drops",
    "free_port",
    "make_certificate",
    "recovering",
    "reverse_name",
    "server_context",
    "temper",
    "until",
    "wait_until",
]

T = TypeVar("T")


async def until(is_true: Callable[[], bool], *, timeout: float = 10.0) -> None:
    """Let the loop run until something a peer saw has come true.

    Raises:
        TimeoutError: it did not.
    """
    async with asyncio.timeout(timeout):
        while not is_true():  # noqa: ASYNC110  what is waited for may change in another thread or process
            await asyncio.sleep(0.002)


def wait_until(is_true: Callable[[], bool], *, timeout: float = 60.0, what: Callable[[], str] = str) -> None:
    """Wait without a loop until something has come true in another process; `what` tells why it has not.

    Raises:
        TimeoutError: it did not.
    """
    end = time.monotonic() + timeout
    while not is_true():
        if time.monotonic() > end:
            raise TimeoutError(what())
        time.sleep(0.002)


class Background:
    """An event loop in a thread: `with Background() as world: mx = world.enter(FakeMx())`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="peers", daemon=True)
        self._stack = AsyncExitStack()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.run(self._stack.aclose())
            self.run(self._loop.shutdown_asyncgens())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()

    def enter(self, server: AbstractAsyncContextManager[T]) -> T:
        """Start a server; it ends with the block."""
        return self.run(self._stack.enter_async_context(server))

    def run(self, work: Coroutine[Any, Any, T], *, timeout: float = 30.0) -> T:
        """Run a coroutine on the background loop and wait for its value."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)
