"""Write blocks so that they can be read back without loss: CSV for spreadsheets, JSON for programs.

A cell that a spreadsheet would take for a formula is guarded with an apostrophe, which `unguarded` takes off again; a
cell that begins with apostrophes before such a sign gets one more, so that nothing is ambiguous.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from relay.model import Suppression

#: The columns of our own format, in order.
COLUMNS = (
    *("address", "reason", "source", "category", "rule", "note", "by", "since", "until", "app", "delivery", "reply"),
)

_FORMULA = frozenset("=+-@\t\r\n")


def csv_lines(found: Iterable[Suppression]) -> Iterator[str]:
    """Write a table with its header, line by line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in found:
        yield _taken(buffer)
        writer.writerow([guarded(str(value or "")) for value in values_of(one).values()])
    yield _taken(buffer)


def json_lines(found: Iterable[Suppression]) -> Iterator[str]:
    """Write one object a line."""
    for one in found:
        yield json.dumps(values_of(one), ensure_ascii=False) + "\n"


def values_of(one: Suppression) -> dict[str, str | None]:
    """Name the parts of a block by column; what is not known is None."""
    parts = (
        f"@{one.value}" if one.scope == "domain" else one.value,
        one.reason,
        one.source,
        one.category.value if one.category else None,
        one.rule,
        one.note or None,
        one.by or None,
        _time(one.since_at),
        _time(one.until_at) if one.until_at else None,
        one.app,
        one.delivery_id,
        one.reply or None,
    )
    return dict(zip(COLUMNS, parts, strict=True))


def guarded(cell: str) -> str:
    """Keep a spreadsheet from reading a cell as a formula."""
    return f"'{cell}" if cell.lstrip("'")[:1] in _FORMULA and cell.strip("'") else cell


def unguarded(cell: str) -> str:
    """Take the guard off."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'")[:1] in _FORMULA and cell.strip("'") else cell


def _time(when: datetime) -> str:
    return when.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
