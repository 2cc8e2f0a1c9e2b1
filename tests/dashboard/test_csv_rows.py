"""CSV: read back as it was written, streamed, and never a formula."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from dashboard.csv_rows import Dialect, cell, file_name, lines, stream


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "  =", "\u00a0+"])
def test_what_a_spreadsheet_would_run_gets_a_quote_in_front(start: str) -> None:
    assert cell(f'{start}HYPERLINK("http://evil.example")').startswith(f"'{start}")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        ("Sari Virtanen", "Sari Virtanen"),
        ("a=b", "a=b"),
        (-3, "-3"),
        (2.5, "2.5"),
        (True, "yes"),
        ("nul\0byte", "nulbyte"),
        (datetime(2026, 11, 30, 9, 5, tzinfo=UTC), "2026-11-30T09:05:00+00:00"),
        (datetime(2026, 11, 30, 9, 5, tzinfo=timezone(timedelta(hours=2))), "2026-11-30T09:05:00+02:00"),
    ],
)
def test_other_values_stay_as_they_are(value: object, written: str) -> None:
    assert cell(value) == written


def test_a_reader_of_csv_gets_back_what_was_written() -> None:
    rows = [["Subject", "Name"], ['He said "no", twice', "Núñez; line\r\nbreak"], ["", "ä"]]
    text = "".join(lines(rows))
    assert list(csv.reader(io.StringIO(text, newline=""))) == rows


def test_excel_gets_semicolons_and_one_mark() -> None:
    text = "".join(lines([["a", "b"]] * 1200, dialect=Dialect.EXCEL))
    assert text.startswith("\ufeffa;b\r\n")
    assert text.count("\ufeff") == 1


def test_a_long_table_goes_out_in_pieces() -> None:
    pieces = list(lines([[number] for number in range(1200)]))
    assert [piece.count("\r\n") for piece in pieces] == [500, 500, 200]


@pytest.mark.parametrize(("dialect", "marks"), [(Dialect.PLAIN, 0), (Dialect.EXCEL, 1)])
def test_pages_are_streamed_as_they_come(dialect: Dialect, marks: int) -> None:
    async def pages() -> AsyncIterator[list[list[object]]]:
        yield [["=1", 2]]
        yield []
        yield [["b", 3]]

    async def all_of_it() -> str:
        return b"".join([piece async for piece in stream(["one", "two"], pages(), dialect=dialect)]).decode()

    text = asyncio.run(all_of_it())
    assert text.count("\ufeff") == marks
    separator = ";" if dialect is Dialect.EXCEL else ","
    assert text.removeprefix("\ufeff").splitlines() == [f"one{separator}two", f"'=1{separator}2", f"b{separator}3"]


def test_the_file_names_what_it_holds_and_when() -> None:
    assert file_name("log", datetime(2026, 11, 30, 9, 5, tzinfo=UTC)) == "waybill-log-20261130-0905.csv"
