"""Read the content after 354, in bulk, within bounds.

Only CRLF.CRLF ends a mail. A listener in `legacy` mode, for trusted networks, also takes LF.LF, because some old
programs send nothing else. Chunks are searched as they come and kept in one buffer: no object per line, so a flood of
empty lines costs what it weighs. Beyond the size limit, or when memory is short, the rest is read and thrown away, so
that the client hears its answer in the right place. What follows the end stays in the stream for the next command.

The leading dot of a stuffed line is taken off here; a dot that stands before a bare CR or LF stays, since that was no
line of its own to the sender. RFC 5321 4.1.1.4 and 4.5.2.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass

from relay.dots import has_dot_line
from relay.intake.limits import Memory

_CHUNK = 65_536
_END = b"\r\n.\r\n"
_LEGACY_END = re.compile(rb"\n\.\r?\n")
_DOTS_AFTER_LF = re.compile(rb"(?<!\r)\n\.\.")
_SINGLE_DOT_AFTER_LF = re.compile(rb"(?<!\r)\n\.(?!\.)")
_STUFFED = re.compile(rb"\r\n\.(?![\r\n])")
_LEGACY_STUFFED = re.compile(rb"\n\.(?!\r?\n)")


@dataclass(slots=True)
class Body:
    """What was read. `content` is None when it was too large or did not fit into memory."""

    content: bytes | None
    size: int
    reserved: int  #: bytes of memory to give back when the content is no longer needed
    is_short_of_memory: bool = False


class BodyReader:
    """Reads one content."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        *,
        limit: int,
        memory: Memory,
        reserved: int,
        is_legacy: bool = False,
        on_progress: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._reader = reader
        self._limit = limit
        self._memory = memory
        self._is_legacy = is_legacy
        self._on_progress = on_progress
        #: The virtual CRLF before the first line: an empty content ends at ".CRLF" too.
        self._data = bytearray(b"\r\n")
        self._size = 0
        self._is_dropping = False
        self.body = Body(None, 0, reserved)

    async def read(self) -> Body:
        """Read to the end.

        Raises:
            asyncio.IncompleteReadError: the client went away before the end; nothing may be kept.
        """
        while True:
            chunk = await self._reader.read(_CHUNK)
            if not chunk:
                raise asyncio.IncompleteReadError(b"", None)
            self._on_progress(len(chunk))
            searched = max(0, len(self._data) - len(_END) + 1)
            self._data += chunk
            end = self._find_end(searched)
            if end is not None:
                return self._finish(*end)
            self._make_room()

    def _find_end(self, start: int) -> tuple[int, int] | None:
        """Give where the content ends (with its last line end) and where the next command begins."""
        if self._is_legacy:
            match = _LEGACY_END.search(self._data, start)
            return (match.start() + 1, match.end()) if match else None
        at = self._data.find(_END, start)
        return (at + 2, at + len(_END)) if at >= 0 else None

    def _make_room(self) -> None:
        """Stop keeping what is beyond the limits; the tail stays, since the end may begin in it."""
        size = self._size + len(self._data)
        wanted = len(self._data) - self.body.reserved
        if not self._is_dropping and size > self._limit + 2:
            self._is_dropping = True
        elif not self._is_dropping and wanted > 0:
            if self._memory.grow(wanted):
                self.body.reserved += wanted
            else:
                self._is_dropping = self.body.is_short_of_memory = True
        if self._is_dropping:
            kept = self._data[-len(_END) + 1 :]
            self._size += len(self._data) - len(kept)
            self._data = kept

    def _finish(self, end: int, after: int) -> Body:
        rest = self._data[after:]
        if rest:
            # What follows was sent ahead (PIPELINING); it goes back to the front of the stream.
            self._reader._buffer[:0] = rest  # type: ignore[attr-defined]
        self.body.size = self._size + end - 2
        if not self._is_dropping and self.body.size <= self._limit:
            data = self._data[:end]
            self.body.content = (
                _unstuffed_after_lf(self._unstuffed(data)) if has_dot_line(data) else bytes(memoryview(data)[2:])
            )
        return self.body

    def _unstuffed(self, data: bytearray) -> bytes:
        if self._is_legacy:
            return bytes(_LEGACY_STUFFED.sub(b"\n", data))[2:]
        if b"\r\n.\n" in data or b"\r\n.\r" in data:
            return _STUFFED.sub(b"\r\n", data)[2:]
        return bytes(data.replace(b"\r\n.", b"\r\n"))[2:]


def _unstuffed_after_lf(content: bytes) -> bytes:
    """Undo the doubled dots of a client that takes a bare LF for a line end, as smtplib does with bytes.

    Only when every dot after a bare LF is doubled: a single one shows that the client doubles none there.
    """
    if b"\n.." not in content or _SINGLE_DOT_AFTER_LF.search(content):
        return content
    return _DOTS_AFTER_LF.sub(b"\n.", content)
