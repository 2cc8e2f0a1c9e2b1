"""From JSON to records: one object a line, one list, or lists inside of pages as programming interfaces give them.

The text is read as it comes, object by object, so that a list of a million entries on one line needs no memory. An
object that holds a list of objects is a page, and its other members are passed over; any other object is an entry.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from relay.block_lists.entries import Bad, Cell, Record, column
from relay.block_lists.text import MAX_LINE, readable
from relay.wording import say

_SPACE = " \t\n"
_DEEPEST = 4
_ADDRESS = {"address", "email", "emailaddress", "recipient", "value"}  #: what an entry has and a page has not


class _Broken(Exception):
    """The text is no JSON from here on."""


class _Scanner:
    """A place in a text of which only the part around that place is held."""

    def __init__(self, pieces: Iterable[str]) -> None:
        self._pieces = iter(pieces)
        self._text = ""
        self._at = 0
        self._decoder = json.JSONDecoder()
        self.line = 1

    def peek(self) -> str:
        """Give the next character that is no space; "" at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._move(self._at + 1)
            if not self._more():
                return ""

    def skip(self, wanted: str) -> None:
        """Pass over one character that must stand here.

        Raises:
            _Broken: another one does.
        """
        if self.peek() != wanted:
            raise _Broken(f'"{wanted}" is missing')
        self._move(self._at + 1)

    def value(self) -> object:
        """Read one whole value.

        Raises:
            _Broken: there is none, or it is larger than any entry.
        """
        self.peek()
        while True:
            try:
                found, end = self._decoder.raw_decode(self._text, self._at)
            except (json.JSONDecodeError, RecursionError) as error:
                if len(self._text) - self._at > MAX_LINE or not self._more():
                    raise _Broken(say("that is no JSON")) from error
                continue
            if end < len(self._text) or not self._more():  # a number at the very end may go on in the next piece
                self._move(end)
                return found

    def next_line(self) -> None:
        """Pass over the rest of this line."""
        while True:
            end = self._text.find("\n", self._at)
            if end >= 0:
                self._move(end + 1)
                return
            self._move(len(self._text))
            if not self._more():
                return

    def _move(self, to: int) -> None:
        self.line += self._text.count("\n", self._at, to)
        self._at = to

    def _more(self) -> bool:
        for piece in self._pieces:
            if piece:
                self._text = self._text[self._at :] + piece
                self._at = 0
                return True
        return False


def records(pieces: Iterable[str]) -> Iterator[Record | Bad]:
    """Read the entries."""
    scanner = _Scanner(pieces)
    while (found := scanner.peek()) != "":
        line = scanner.line
        try:
            if found in "[],":
                scanner.skip(found)
            elif found == "{":
                yield from _entry(scanner, depth=0)
            else:
                raise _Broken(say("that is no JSON object"))
        except _Broken as error:
            yield Bad(line, str(error))
            scanner.next_line()


def _entry(scanner: _Scanner, *, depth: int) -> Iterator[Record]:
    """Read one object: an entry, or a page of entries."""
    line = scanner.line
    values: dict[str, Cell] = {}
    has_list = False
    if depth > _DEEPEST:
        raise _Broken(say("lists inside of lists inside of lists"))
    scanner.skip("{")
    while (found := scanner.peek()) != "}":
        if found == ",":
            scanner.skip(",")
            continue
        name = scanner.value()
        scanner.skip(":")
        if scanner.peek() == "[":
            scanner.skip("[")
            has_list = True
            if scanner.peek() == "{":
                yield from _entries(scanner, depth=depth + 1)
            else:
                values[column(str(name))] = " ".join(_scalars(scanner))
            scanner.skip("]")
            continue
        value = scanner.value()
        if isinstance(value, str | int | float):
            values[column(str(name))] = readable(value) if isinstance(value, str) else value
    scanner.skip("}")
    if not has_list or values.keys() & _ADDRESS:
        yield Record(line=line, values=values, is_table=False)


def _entries(scanner: _Scanner, *, depth: int) -> Iterator[Record]:
    while (found := scanner.peek()) == "{" or found == ",":
        if found == ",":
            scanner.skip(",")
        else:
            yield from _entry(scanner, depth=depth)


def _scalars(scanner: _Scanner) -> Iterator[str]:
    while (found := scanner.peek()) not in ("]", ""):
        if found == ",":
            scanner.skip(",")
        else:
            yield str(scanner.value())
