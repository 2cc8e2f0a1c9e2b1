"""The conversation of one transaction as it is shown to people: who said what, when.

Keeps only references while the conversation runs; text is made when somebody asks for it. Content is never kept, only
its size; passwords never come here: the session notes "AUTH PLAIN <hidden>" instead. Long conversations keep their
beginning and their end, long lines their beginning. Times are seconds since the first entry.
"""

from __future__ import annotations

from collections.abc import Iterable

_MAX_HEAD = 150
_MAX_TAIL = 50
_MAX_LINE = 500
_MAX_TEXT = 32 * 1024

#: When, who ("C" us, "S" the server, "-" what happened), what; a server's reply is its code and text.
Entry = tuple[float, str, "bytes | str | tuple[int, str]"]


class Transcript:
    """A growing conversation; the part before MAIL is shared by all transactions of a connection."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries = list(entries)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What was noted so far."""
        return tuple(self._entries)

    def sent(self, at: float, line: bytes | str) -> None:
        """Note a command of ours, or several in one write."""
        self._entries.append((at, "C", line))

    def received(self, at: float, code: int, text: str) -> None:
        """Note a reply."""
        self._entries.append((at, "S", (code, text)))

    def happened(self, at: float, words: str) -> None:
        """Note what was neither said by us nor by the server."""
        self._entries.append((at, "-", words))

    def text(self) -> str:
        """Write it out."""
        if not self._entries:
            return ""
        start = self._entries[0][0]
        lines = [f"{at - start:7.3f} {who}: {line}" for at, who, what in self._entries for line in _lines(what)]
        if len(lines) > _MAX_HEAD + _MAX_TAIL:
            left_out = len(lines) - _MAX_HEAD - _MAX_TAIL
            lines = [*lines[:_MAX_HEAD], f"        -: … {left_out} lines left out …", *lines[-_MAX_TAIL:]]
        text = "\n".join(line if len(line) <= _MAX_LINE else line[:_MAX_LINE] + "…" for line in lines)
        return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT // 2] + "\n…\n" + text[-_MAX_TEXT // 2 :]


def _lines(what: bytes | str | tuple[int, str]) -> list[str]:
    if isinstance(what, tuple):
        code, text = what
        *before, last = text.split("\n")
        return [*(f"{code}-{line}" for line in before), f"{code} {last}"]
    text = what.decode("utf-8", "replace") if isinstance(what, bytes) else what
    return text.replace("\r\n", "\n").split("\n")
