"""The writer thread: group commit.

Units wait in a queue; the thread takes all that wait (200 at most) into one transaction, a savepoint each, commits, and
answers all of them at once. There is no delay to gather more: while one commit is on its way to the disk, the next
group gathers by itself. A unit that raises is taken back alone and its error handed to its caller. Nobody is answered
with success before COMMIT has returned.

Room: a unit that finds none fails with StoreFull, and what the database keeps beside its file (the WAL) is then given
back to the disk, so that the next one may find some.

Health: after a DiskFault the connection is dropped and the thread reopens and checks the store, with pauses between
tries, while units fail at once. A commit that failed so is not kept; only a crash before the next good commit could
still bring it back, so that a client that was told 451 may then be stored twice, but never lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future as ThreadFuture
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any

from relay.errors import StoreError, StoreFull
from relay.store.protocols import Backend, DiskFault, Tx, Writer

GROUP_LIMIT = 200
_IDLE = 5.0  #: seconds without work after which a large WAL is emptied
_PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)  #: seconds between tries to reopen a faulty store

_log = logging.getLogger("relay.store")


@dataclass(slots=True)
class Ticket:
    """One unit waiting for its group, and who waits for it."""

    unit: Callable[[Tx], Any]
    loop: asyncio.AbstractEventLoop | None  #: None: a thread waits
    future: asyncio.Future[Any] | ThreadFuture[Any]
    value: Any = None
    error: BaseException | None = field(default=None)

    def answer(self) -> None:
        """Tell the waiter; called on its own loop, or on the writer thread for a waiting thread."""
        if self.future.done():
            return  # its caller was cancelled; what was committed stays
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.value)


class WriterThread:
    """Owns the writing connection; `submit` is safe from any thread."""

    def __init__(self, backend: Backend, writer: Writer) -> None:
        self._backend = backend
        self._writer: Writer | None = writer
        self._stale: list[Writer] = []
        self._queue: SimpleQueue[Ticket | str] = SimpleQueue()
        self._door = Lock()  # behind "close" nothing may come into the queue: nobody would answer it
        self._is_closing = False
        self.is_healthy = True
        self._thread = Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, ticket: Ticket) -> None:
        """Put a unit in line.

        Raises:
            StoreError: the store is closed or unhealthy.
        """
        with self._door:
            if self._is_closing:
                raise StoreError("the store is closed")
            if not self.is_healthy:
                raise DiskFault("the store failed and is being checked")
            self._queue.put(ticket)

    def distrust(self) -> None:
        """Have the store reopened and checked, because a reader met a fault."""
        if self.is_healthy:
            self.is_healthy = False
            self._queue.put("check")

    def close(self) -> None:
        """Finish what waits and close the connection."""
        with self._door:
            if not self._is_closing:
                self._is_closing = True
                self._queue.put("close")
        self._thread.join()

    def _run(self) -> None:
        is_running = True
        while is_running:
            try:
                first = self._queue.get(timeout=_IDLE)
            except Empty:
                self._rest()
                continue
            if isinstance(first, Ticket):
                is_running = self._serve(first)
            else:
                is_running = first != "close"
                if is_running:
                    self._reopen("a reader met a fault")
            if not self.is_healthy and is_running:
                is_running = self._recover()
        self._finish()

    def _serve(self, first: Ticket) -> bool:
        """Run one group; tell whether to go on."""
        group, word, is_answered = [first], "", False
        try:
            with self._backend.turn:
                # Taken after the wait for the turn: whatever came meanwhile rides along.
                word = self._gather(group)
                self._commit(group)
                _answer(group)
                is_answered = True
                self._housekeep()
        except OSError as error:  # the lock file or the folder itself failed
            if not is_answered:
                _fail(group, DiskFault(f"cannot take the turn to write: {error.strerror}"))
                _answer(group)
            self._reopen(str(error))
        if word == "check":
            self._reopen("a reader met a fault")
        return word != "close"

    def _gather(self, group: list[Ticket]) -> str:
        while len(group) < GROUP_LIMIT:
            try:
                entry = self._queue.get_nowait()
            except Empty:
                break
            if not isinstance(entry, Ticket):
                return entry
            group.append(entry)
        return ""

    def _commit(self, group: list[Ticket]) -> None:
        writer = self._writer
        assert writer is not None
        try:
            self._backend.may_write()
            writer.begin()
            for ticket in group:
                _run_unit(writer, ticket)
            writer.commit()
        except StoreError as error:
            writer.rollback()
            _fail(group, error)
        if any(isinstance(ticket.error, StoreFull) for ticket in group):
            self._make_room(writer)
        faults = [ticket.error for ticket in group if isinstance(ticket.error, DiskFault)]
        if faults:
            self._reopen(str(faults[0]))

    def _make_room(self, writer: Writer) -> None:
        """Free what can be freed, so that those who ask again find room; they log that there was none."""
        try:
            writer.make_room()
        except DiskFault as error:
            self._reopen(str(error))
        except StoreError:
            pass  # not even for this is there room: the next unit that finds none tries again

    def _housekeep(self) -> None:
        """Checkpoint when due; a failure there does not touch what was committed."""
        if self._writer is not None:
            try:
                self._writer.after_commit()
            except DiskFault as error:
                self._reopen(str(error))
            except StoreError as error:
                _log.warning("event=checkpoint_failed error=%r", str(error))

    def _rest(self) -> None:
        if self._writer is not None:
            try:
                with self._backend.turn:
                    self._writer.rest()
            except DiskFault as error:
                self._reopen(str(error))
            except (StoreError, OSError) as error:
                _log.warning("event=checkpoint_failed error=%r", str(error))

    def _reopen(self, reason: str) -> None:
        """Mark the store unhealthy and put the connection away; `_recover` opens the next.

        It is closed only after the next is open: while a connection lives, the pages of a commit whose sync failed
        stay outside the database, although they may lie in its WAL; without one they could be recovered as committed.
        """
        _log.error("event=store_unhealthy reason=%r", reason)
        self.is_healthy = False
        if self._writer is not None:
            self._stale.append(self._writer)
            self._writer = None

    def _recover(self) -> bool:
        """Try to open and check until it works; fail units meanwhile; False when told to close."""
        turn = 0
        while True:
            if self._try_open():
                self.is_healthy = True
                _log.warning("event=store_healthy tries=%d", turn + 1)
                return True
            end = time.monotonic() + _PAUSES[min(turn, len(_PAUSES) - 1)]
            turn += 1
            while (left := end - time.monotonic()) > 0:
                try:
                    entry = self._queue.get(timeout=left)
                except Empty:
                    break
                if entry == "close":
                    return False
                if isinstance(entry, Ticket):
                    _fail([entry], DiskFault("the store failed and is being checked"))
                    _answer([entry])

    def _try_open(self) -> bool:
        writer: Writer | None = None
        try:
            with self._backend.turn:
                writer = self._backend.open_writer()
                self._backend.check(writer)
        except (StoreError, OSError) as error:
            _log.error("event=store_still_unhealthy error=%r", str(error))
            if writer is not None:
                writer.close()
            return False
        self._writer = writer
        self._close_stale()
        return True

    def _close_stale(self) -> None:
        while self._stale:
            self._stale.pop().close()

    def _finish(self) -> None:
        """Empty the WAL and close."""
        self._close_stale()
        if self._writer is not None:
            self._rest()
        if self._writer is not None:
            try:
                with self._backend.turn:  # the last connection of all copies the WAL back while it closes
                    self._writer.close()
            except OSError:
                self._writer.close()


def _run_unit(writer: Writer, ticket: Ticket) -> None:
    """Run one unit in its savepoint.

    Raises:
        StoreError: the database gave the whole group up.
    """
    writer.enter()
    try:
        ticket.value = ticket.unit(writer.tx)
        writer.leave()
    except BaseException as error:
        if not writer.is_open:
            if isinstance(error, StoreError):
                raise
            raise StoreError("the transaction ended early") from error
        writer.undo()
        ticket.value = None
        ticket.error = error  # handed to the caller, not swallowed


def _fail(group: list[Ticket], error: StoreError) -> None:
    """Give every ticket its own copy of the error: a traceback belongs to one waiter."""
    for ticket in group:
        ticket.value = None
        if ticket.error is None:
            ticket.error = type(error)(*error.args)


def _answer(group: list[Ticket]) -> None:
    """Answer all waiters: one wake-up for each event loop."""
    loops: dict[asyncio.AbstractEventLoop, list[Ticket]] = {}
    for ticket in group:
        if ticket.loop is None:
            ticket.answer()
        else:
            loops.setdefault(ticket.loop, []).append(ticket)
    for loop, tickets in loops.items():
        if not loop.is_closed():
            try:
                loop.call_soon_threadsafe(_answer_all, tickets)
            except RuntimeError:
                _log.warning("event=waiters_gone count=%d", len(tickets))  # the loop closed in this instant


def _answer_all(tickets: list[Ticket]) -> None:
    for ticket in tickets:
        ticket.answer()
