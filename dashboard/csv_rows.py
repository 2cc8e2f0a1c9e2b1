"""Tables as CSV (RFC 4180): streamed, and harmless in a spreadsheet. Pure.

What a stranger wrote (a subject, a name, the words of a server) must not run as a formula on the desk's computer: a
cell that begins with one of = + - @, a tab or a carriage return gets a ' in front; so does one where only space stands
before that. Programs read the variant with commas; the Excel of Finland, France, the Netherlands and Germany opens the
one with semicolons and a byte order mark right at a double click.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum

#: How many lines go out in one piece.
_AT_ONCE = 500

_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_BOM = "\ufeff"


class Dialect(StrEnum):
    """Who is to read it."""

    PLAIN = "plain"  #: commas, no mark
    EXCEL = "excel"  #: semicolons and a byte order mark

    @property
    def media_type(self) -> str:
        return "text/csv; charset=utf-8"


def cell(value: object) -> str:
    """Write one value so that no spreadsheet takes it for a formula; times in ISO 8601 with their offset."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return str(value)  # a negative number is a number
    text = str(value).replace("\0", "")
    starts = text.startswith(_STARTS_FORMULA) or text.lstrip(" \u00a0").startswith(_STARTS_FORMULA)
    return f"'{text}" if starts else text


def lines(rows: Iterable[Sequence[object]], *, dialect: Dialect = Dialect.PLAIN) -> Iterator[str]:
    """Write rows, the heading being the first of them, some hundred lines at a time."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=";" if dialect is Dialect.EXCEL else ",", lineterminator="\r\n")
    if dialect is Dialect.EXCEL:
        buffer.write(_BOM)
    for number, row in enumerate(rows, 1):
        writer.writerow([cell(value) for value in row])
        if number % _AT_ONCE == 0:
            yield _taken(buffer)
    if buffer.tell():
        yield _taken(buffer)


async def stream(
    heading: Sequence[str], pages: AsyncIterator[Sequence[Sequence[object]]], *, dialect: Dialect = Dialect.PLAIN
) -> AsyncIterator[bytes]:
    """Write a table page by page as it is read, so that a long one needs no memory."""
    text = "".join(lines([heading], dialect=dialect))
    yield text.encode()
    async for page in pages:
        for piece in lines(page, dialect=dialect):
            yield piece.removeprefix(_BOM).encode()


def file_name(noun: str, at: datetime) -> str:
    """Name the file to be saved."""
    return f"waybill-{noun}-{at:%Y%m%d-%H%M}.csv"


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
