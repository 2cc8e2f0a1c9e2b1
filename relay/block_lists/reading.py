"""Read a list: bytes to records, records to blocks, each mistake kept to its own line.

The format is told by the columns of the first entry that can be read, unless it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain

from relay.block_lists import documents, tables
from relay.block_lists.entries import Bad, Context, Format, Record, Result, UnknownFormat
from relay.block_lists.providers import block_of, format_of
from relay.block_lists.text import decoded, lines
from relay.wording import say


def read(
    chunks: Iterable[bytes],
    *,
    now: datetime,
    by: str = "",
    name: str = "",
    list_format: Format | None = None,
    app: str | None = None,
) -> tuple[Format, Iterator[Result]]:
    """Tell whose list it is, and read it entry by entry; `name` of the file helps where columns are not enough.

    Raises:
        UnknownFormat: the columns are of no list that is known.
    """
    context = Context(now=now, by=by, name=name.lower(), app=app)
    pieces = decoded(chunks)
    start = ""
    for piece in pieces:
        start += piece
        if start.strip():
            break
    whole = chain([start], pieces)
    found = documents.records(whole) if start.lstrip()[:1] in ("{", "[") else tables.records(lines(whole))
    before: list[Record | Bad] = []
    for record in found:
        before.append(record)
        if isinstance(record, Record):
            list_format = list_format or format_of(record)
            if list_format is None:
                raise UnknownFormat(_unknown(record))
            break
    return list_format or Format.WAYBILL, _results(chain(before, found), list_format or Format.WAYBILL, context)


def _results(found: Iterable[Record | Bad], list_format: Format, context: Context) -> Iterator[Result]:
    for record in found:
        yield record if isinstance(record, Bad) else block_of(record, list_format, context)


def _unknown(record: Record) -> str:
    names = ", ".join(str(name)[:40] for name in list(record.values)[:12]) or "nothing"
    return say(
        "cannot tell whose list that is: it has {names}, and no column of addresses that any known list has",
        names=names,
    )
