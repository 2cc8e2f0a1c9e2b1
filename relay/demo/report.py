"""What the demo says at its end: one row per recipient, as a table for people or as JSON.

Owns the comparison of what `waybill log` shows with what internet.py expects. No I/O: it returns text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from relay.demo.internet import Case
from relay.demo.samples import load
from relay.status import OPEN

_HEAD = (
    *("", "sample", "lang", "booking", "recipient", "their server", "expected"),
    *("status", "category", "tries", "copies", "what happened"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A sample message the relay has taken."""

    case: Case
    message_id: str  #: the relay's
    booking: str  #: as the message says it


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One recipient of one sample message."""

    sample: str
    language: str
    recipient: str
    server: str
    booking: str | None  #: that the relay found in the message
    status: str  #: "missing" when the log knows nothing of it
    category: str | None
    tries: int
    copies: int  #: the recipient's server has
    id: str | None
    expected: str = ""
    expected_category: str | None = None
    is_as_expected: bool = False
    sentence: str = ""

    @property
    def has_ended(self) -> bool:
        """Tell whether nothing more will happen to it."""
        return self.status != "missing" and self.status not in OPEN

    def with_sentence(self, sentence: str) -> Row:
        """Give the row with the relay's own answer."""
        return replace(self, sentence=sentence)


def rows_of(sent: Sent, *, log: Iterable[Mapping[str, Any]], copies: Callable[[str], int]) -> list[Row]:
    """Compare one message with the rows of `waybill log --json`, and with what the recipients' servers have."""
    by_address = {str(entry["to"]): entry for entry in log if entry["message"] == sent.message_id}
    rows: list[Row] = []
    for address, expected in zip(sent.case.addresses, sent.case.expected.values(), strict=True):
        row = _row(sent, by_address.get(address, {"status": "missing"}), address=address, copies=copies(address))
        is_right = row.booking == sent.booking and expected.matches(
            status=row.status, category=row.category, tries=row.tries, copies=row.copies
        )
        rows.append(
            replace(row, expected=expected.status, expected_category=expected.category, is_as_expected=is_right)
        )
    return rows


def _row(sent: Sent, entry: Mapping[str, Any], *, address: str, copies: int) -> Row:
    return Row(
        sample=sent.case.sample,
        language=load()[sent.case.sample].language,
        recipient=address,
        server=sent.case.server,
        booking=entry.get("booking"),
        status=str(entry["status"]),
        category=entry.get("category"),
        tries=int(entry.get("attempts") or 0),
        copies=copies,
        id=entry.get("id"),
    )


def as_json(rows: Iterable[Row]) -> str:
    """Write one JSON object per line."""
    return "\n".join(json.dumps(asdict(row), ensure_ascii=False) for row in rows)


def as_table(rows: Sequence[Row]) -> str:
    """Write the table and the sum."""
    lines = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    wrong = sum(not row.is_as_expected for row in rows)
    text.append("")
    text.append(
        f"All {len(rows)} deliveries ended as they should."
        if not wrong
        else f"{wrong} of {len(rows)} deliveries did NOT end as they should (marked with !)."
    )
    return "\n".join(text)


def _cells(row: Row) -> tuple[str, ...]:
    expected = f"{row.expected} ({row.expected_category})" if row.expected_category else row.expected
    mark = "" if row.is_as_expected else "!"
    return (
        *(mark, row.sample, row.language, row.booking or "", row.recipient, row.server, expected),
        *(row.status, row.category or "", str(row.tries), str(row.copies), row.sentence),
    )
