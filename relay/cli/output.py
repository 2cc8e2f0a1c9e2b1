"""How the command line prints: harmless text, JSON lines, times, columns.

Everything shown came from strangers at some point (a subject, a server's answer), so control characters, which a
terminal obeys, and the marks that turn the reading direction are shown as \\xNN or \\uNNNN. JSON is one object per line
with stable keys; times are RFC 3339 UTC with Z, absent values are null.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import click

from relay.moments import json_time as json_time  # the commands take it from here

# C0, DEL, C1, lone surrogates, line and paragraph separators, and what turns or hides the direction of text
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def safe(text: str) -> str:
    """Make text harmless for a terminal; it stays on one line."""
    return _UNSAFE.sub(_escape, text)


def safe_lines(text: str) -> str:
    """Like safe, but line ends and tabs stay."""
    return "\n".join("\t".join(safe(cell) for cell in line.split("\t")) for line in text.splitlines())


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return {9: "\\t", 10: "\\n", 13: "\\r"}.get(code) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def print_json(values: Mapping[str, Any]) -> None:
    """Print one object on one line; nothing in it can steer a terminal."""
    line = json.dumps(values, ensure_ascii=False, default=_json_value)
    # Outside of strings JSON holds none of these, so writing them as \uNNNN changes no value.
    click.echo(_UNSAFE.sub(lambda match: f"\\u{ord(match[0]):04x}", line))


def _json_value(value: object) -> object:
    if isinstance(value, datetime):
        return json_time(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def shown_time(when: datetime | None) -> str:
    """Write a time for people, in this machine's time zone."""
    return when.astimezone().strftime("%Y-%m-%d %H:%M:%S") if when is not None else "-"


def shown_size(size: int) -> str:
    """Write bytes for people."""
    for unit, step in (("MiB", 1024**2), ("KiB", 1024)):
        if size >= step:
            return f"{size / step:.1f} {unit}"
    return f"{size} bytes"


def print_columns(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns as wide as their contents; the last column is as long as it is."""
    table = [list(headings)] + [[safe(cell) for cell in row] for row in rows]
    widths = [max(_width(row[n]) for row in table) for n in range(len(headings))]
    for row in table:
        cells = [cell + " " * (widths[n] - _width(cell)) for n, cell in enumerate(row[:-1])]
        click.echo("  ".join([*cells, row[-1]]).rstrip())


def print_wide(headings: Sequence[str] | None, rows: Sequence[Sequence[str]], *, widths: Sequence[int]) -> None:
    """Print rows in columns of fixed widths, so that later rows fit below; what is too long is cut with a mark.

    The last column is as long as it is.
    """
    for row in [*([headings] if headings else []), *rows]:
        cells = [_fitted(safe(cell), width) for cell, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, safe(row[-1])]).rstrip())


def _fitted(text: str, width: int) -> str:
    if _width(text) > width:
        while _width(text) >= width:
            text = text[:-1]
        text += "…"
    return text + " " * (width - _width(text))


def _width(text: str) -> int:
    """Count terminal cells: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Print name and value, one pair a line, values aligned; pairs without a value are left out."""
    filled = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in filled), default=0)
    for name, value in filled:
        click.echo(f"{name + ':':<{width + 1}}  {safe(value)}")
