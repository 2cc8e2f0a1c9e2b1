"""The rules by which the store's SQL becomes PostgreSQL's."""

from __future__ import annotations

import pytest

from relay.store.postgres_sql import to_postgres


@pytest.mark.parametrize(
    ("sql", "want"),
    [
        ("SELECT :id", "SELECT %(id)s"),
        ("WHERE at < :now", "WHERE at < %(now)s::timestamptz"),
        ("SET next_at = :next_at", "SET next_at = %(next_at)s::timestamptz"),
        ("SET held = :held", "SET held = %(held)s"),
        ("SELECT :ids::json", "SELECT %(ids)s::json"),
        ("SELECT ':id', 'it''s 5%' || :id", "SELECT ':id', 'it''s 5%%' || %(id)s"),
        ("SELECT 7 % 2", "SELECT 7 %% 2"),
        ("a LIKE :w ESCAPE '\\'", "a ILIKE %(w)s ESCAPE '\\'"),
        ("'LIKE' || LIKELY", "'LIKE' || LIKELY"),
        ("group_concat(v, '\n')", "string_agg(v, '\n')"),
        ("SELECT 1 -- :id 5%\n, 2", "SELECT 1 \n, 2"),
    ],
)
def test_a_statement_is_translated(sql: str, want: str) -> None:
    assert to_postgres(sql) == want
