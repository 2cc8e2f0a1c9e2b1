"""The rules by which the store's SQL becomes PostgreSQL's."""

from __future__ import annotations

import pytest

from relay.store.postgres_sql import to_postgres


@pytest.mark.parametrize(
    ("sql", "want"),
    [
        ("SELECT :id", "SELECT $1"),
        ("SELECT :id, :other, :id", "SELECT $1, $2, $1"),
        ("WHERE at < :now", "WHERE at < $1::timestamptz"),
        ("SET next_at = :next_at", "SET next_at = $1::timestamptz"),
        ("SET held = :held", "SET held = $1"),
        ("SELECT :ids::json", "SELECT $1::json"),
        ("SELECT ':id', 'it''s 5%' || :id", "SELECT ':id', 'it''s 5%' || $1"),
        ("SELECT 7 % 2", "SELECT 7 % 2"),
        ("a LIKE :w ESCAPE '\\'", "a ILIKE $1 ESCAPE '\\'"),
        ("'LIKE' || LIKELY", "'LIKE' || LIKELY"),
        ("group_concat(v, '\n')", "string_agg(v, '\n')"),
        ("SELECT 1 -- :id 5%\n, 2", "SELECT 1 \n, 2"),
    ],
)
def test_a_statement_is_translated(sql: str, want: str) -> None:
    assert to_postgres(sql)[0] == want


def test_parameters_are_numbered_by_their_first_place() -> None:
    assert to_postgres("SELECT :b, :a, :b, :until_at")[1] == ("b", "a", "until_at")
