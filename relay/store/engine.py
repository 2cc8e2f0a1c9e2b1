"""The Store of one process: a writer thread with group commit, a few reader threads, over any backend.

Reads run on their own connections and snapshots and never wait for a write. A fault met by a reader makes the whole
store unhealthy, because the writer stands on the same file.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future as ThreadFuture
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

from relay.errors import StoreError
from relay.store.protocols import Backend, DiskFault, Reader, Tx, Writer
from relay.store.writer import Ticket, WriterThread

T = TypeVar("T")

_READER_THREADS = 3


class EngineStore:
    """See protocols.Store."""

    def __init__(self, backend: Backend, writer: Writer) -> None:
        self._backend = backend
        self._writer = WriterThread(backend, writer)
        self._pool = ThreadPoolExecutor(_READER_THREADS, thread_name_prefix="store-reader")
        self._local = threading.local()  # every thread that reads has its own connection
        self._readers: set[Reader] = set()
        self._readers_lock = threading.Lock()
        self._is_closed = False

    async def write(self, unit: Callable[[Tx], T], /) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._writer.submit(Ticket(unit, loop, future))
        return await future

    def write_now(self, unit: Callable[[Tx], T], /) -> T:
        future: ThreadFuture[T] = ThreadFuture()
        self._writer.submit(Ticket(unit, None, future))
        return future.result()

    async def read(self, unit: Callable[[Tx], T], /, *, limit: timedelta | None = None) -> T:
        if self._is_closed:
            raise StoreError("the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(self.read_now, unit, limit=limit))

    def read_now(self, unit: Callable[[Tx], T], /, *, limit: timedelta | None = None) -> T:
        try:
            reader = self._reader()
            reader.begin(limit=limit)
            try:
                return unit(reader.tx)
            finally:
                reader.end()
        except DiskFault:
            self._distrust()
            raise

    def changed(self) -> bool:
        try:
            seen = self._reader().data_version()
        except DiskFault:
            self._distrust()
            raise
        before: int | None = getattr(self._local, "seen", None)
        self._local.seen = seen
        return seen != before

    @property
    def is_healthy(self) -> bool:
        return self._writer.is_healthy

    def close(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._pool.shutdown(wait=True)
        with self._readers_lock:
            for reader in self._readers:
                reader.close()
            self._readers.clear()
        self._writer.close()  # last: the WAL can be emptied only when nobody reads
        self._backend.close()

    def _reader(self) -> Reader:
        reader: Reader | None = getattr(self._local, "reader", None)
        if reader is None:
            if self._is_closed:
                raise StoreError("the store is closed")
            reader = self._backend.open_reader()
            self._local.reader = reader
            with self._readers_lock:
                self._readers.add(reader)
        elif self._is_closed:
            raise StoreError("the store is closed")
        return reader

    def _distrust(self) -> None:
        """Drop this thread's connection and have the store checked."""
        reader: Reader | None = getattr(self._local, "reader", None)
        if reader is not None:
            with self._readers_lock:
                self._readers.discard(reader)
            self._local.reader = None
            reader.close()
        self._writer.distrust()

    def __enter__(self) -> EngineStore:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
