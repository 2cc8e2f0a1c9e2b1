"""Tell on which line of a TOML text each key stands, so that a fault can be shown where it was written.

tomllib gives values without positions. This scanner walks a text that tomllib has already accepted, follows tables,
arrays of tables, dotted and quoted keys, arrays and inline tables, and notes the line of each. It reads no values.
An index is a number in the path: ("listener", 0, "tls"). Pure. TOML 1.0.
"""

from __future__ import annotations

import re

Location = tuple[str | int, ...]

_KEY = re.compile(r"""[ \t]*(?:"((?:\\.|[^"\\])*)"|'([^']*)'|([A-Za-z0-9_-]+))[ \t]*""")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'',
    re.DOTALL,
)
_PLAIN = re.compile(r"[^,\]}\n#]*")


def line_numbers(text: str) -> dict[Location, int]:
    """Map each key, table and array element of a valid TOML text to its line, counted from 1."""
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[Location, int] = {}
        self._counts: dict[Location, int] = {}  #: tables seen so far of each array of tables

    def scan(self) -> dict[Location, int]:
        table: Location = ()
        while self._skip(_BLANK) or self._at < len(self._text):
            if self._at >= len(self._text):
                break
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._lines

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            return ""
        self._at = match.end()
        return match[0]

    def _note(self, path: Location) -> None:
        self._lines.setdefault(path, self._text.count("\n", 0, self._at) + 1)

    def _header(self) -> Location:
        is_array = self._text.startswith("[[", self._at)
        line_start = self._at
        self._at += 2 if is_array else 1
        *outer, last = self._key()
        path = (*self._inside(tuple(outer)), last)
        if is_array:
            self._lines.setdefault(path, self._text.count("\n", 0, line_start) + 1)
            index = self._counts.get(path, 0)
            self._counts[path] = index + 1
            path += (index,)
        self._note(path)
        self._at += 2 if is_array else 1
        return path

    def _inside(self, path: Location) -> Location:
        """Add the index of the newest table wherever the path goes through an array of tables."""
        found: Location = ()
        for part in path:
            found += (part,)
            if found in self._counts:
                found += (self._counts[found] - 1,)
        return found

    def _key(self) -> list[str]:
        parts = []
        while (match := _KEY.match(self._text, self._at)) is not None:
            self._at = match.end()
            parts.append(next(group for group in match.groups() if group is not None))
            if self._text[self._at : self._at + 1] != ".":
                break
            self._at += 1
        return parts

    def _pair(self, table: Location) -> None:
        line_start = self._at
        path = table
        for part in self._key():
            path += (part,)
            self._lines.setdefault(path, self._text.count("\n", 0, line_start) + 1)
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: Location) -> None:
        self._skip(_BLANK)
        opening = self._text[self._at : self._at + 1]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        elif not self._skip(_STRING):
            self._skip(_PLAIN)

    def _array(self, path: Location) -> None:
        self._at += 1
        index = 0
        while self._next_element("]"):
            self._note((*path, index))
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: Location) -> None:
        self._at += 1
        while self._next_element("}"):
            self._pair(path)

    def _next_element(self, closing: str) -> bool:
        """Move to the next element, or past the closing bracket."""
        self._skip(_BLANK)
        if self._text[self._at : self._at + 1] == ",":
            self._at += 1
            self._skip(_BLANK)
        if self._at >= len(self._text) or self._text[self._at] == closing:
            self._at += 1
            return False
        return True
