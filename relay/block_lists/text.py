"""From the bytes of a file to text and lines: byte order marks, spreadsheets' encodings, line ends.

UTF-8 is assumed, UTF-16 read when a mark or its zero bytes say so, and a line that is no UTF-8 is read as Windows
writes western text. A line is never longer than a megabyte: what has no line end is cut, so that memory stays bounded.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain

MAX_LINE = 1 << 20

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decoded(chunks: Iterable[bytes]) -> Iterator[str]:
    """Turn bytes into text, piece by piece; every line end becomes a line feed."""
    pieces = iter(chunks)
    first = b""
    for piece in pieces:
        first += piece
        if len(first) >= 4:
            break
    encoding, first = _encoding(first)
    decoder = codecs.getincrementaldecoder(encoding)("surrogateescape" if encoding == "utf-8" else "replace")
    held = ""  # a carriage return at the end may belong to the line feed that follows
    for piece in chain([first], pieces):
        text = held + decoder.decode(piece)
        held = "\r" if text.endswith("\r") else ""
        yield _unified(text[: len(text) - len(held)])
    yield _unified(held + decoder.decode(b"", final=True))


def _encoding(start: bytes) -> tuple[str, bytes]:
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding, start[len(mark) :]
    if len(start) >= 4 and start[1] == start[3] == 0:
        return "utf-16-le", start
    if len(start) >= 4 and start[0] == start[2] == 0:
        return "utf-16-be", start
    return "utf-8", start


def _unified(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def lines(pieces: Iterable[str]) -> Iterator[str]:
    """Cut text into lines, each with its line end."""
    rest = ""
    for piece in pieces:
        *whole, rest = (rest + piece).split("\n")
        for line in whole:
            yield readable(line) + "\n"
        if len(rest) > MAX_LINE:
            yield readable(rest) + "\n"
            rest = ""
    if rest:
        yield readable(rest)


def readable(text: str) -> str:
    """Read what was no UTF-8 as Windows' western encoding."""
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # a byte that was kept as it is
        return text.encode("utf-8", "surrogateescape").decode("cp1252", "replace")
    return text
