"""From CSV to records: delimiter, header, rows.

The first line names the columns, unless an address stands in it: then the first column with one is `address` and the
next is `reason`. Comma, semicolon (spreadsheets in half of Europe), tab and bar are told apart by that line; a line
`sep=;` before it is obeyed. A row with more cells than the first line has is broken: its cells have shifted.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

from relay.block_lists.entries import Bad, Record, column
from relay.wording import say

_DELIMITERS = ",;\t|"


@dataclass(slots=True)
class _Counted:
    """Lines, and how many of them were taken."""

    lines: Iterator[str]
    taken: int = 0

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            self.taken += 1
            yield line


def records(lines: Iterable[str]) -> Iterator[Record | Bad]:
    """Read the rows of a table."""
    source = _Counted(iter(lines))
    numbered = iter(source)
    first = next((line for line in numbered if line.strip()), "")
    delimiter = _delimiter(first)
    if first.lower().startswith("sep=") and len(first.strip()) <= 5:
        delimiter = first.strip()[4:] or ","
        first = next(numbered, "")
    reader = csv.reader(chain([first], numbered), delimiter=delimiter)
    names: list[str] = []
    while True:
        start = source.taken + (1 if names else 0)
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield Bad(start, _placed(str(error), start, source.taken))
            continue
        if row is None:
            return
        if not any(cell.strip() for cell in row):
            continue
        if not names:
            names, is_header = _names(row)
            if is_header:
                continue
        if any(cell.strip() for cell in row[len(names) :]):
            yield Bad(start, _placed(say("there are more cells than the first line has"), start, source.taken))
            continue
        yield Record(line=start, values=dict(zip(names, row, strict=False)), is_table=True)


def _placed(fault: str, start: int, end: int) -> str:
    return say("up to line {number}: {why}", number=end, why=fault) if end > start else fault


def _delimiter(line: str) -> str:
    return max(_DELIMITERS, key=line.count) if any(one in line for one in _DELIMITERS) else ","


def _names(row: list[str]) -> tuple[list[str], bool]:
    """Name the columns; also tell whether the row was a header."""
    with_address = [number for number, cell in enumerate(row) if "@" in cell]
    if not with_address:
        return [column(cell) for cell in row], True
    names = [f"column{number}" for number in range(len(row))]
    names[with_address[0]] = "address"
    if with_address[0] + 1 < len(row):
        names[with_address[0] + 1] = "reason"
    return names, False
