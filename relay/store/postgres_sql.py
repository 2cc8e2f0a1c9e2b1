"""From the store's SQL to PostgreSQL's: what can be said by rule is said here, once for each statement; pure.

The rules: `:name` becomes `$1`, `$2` … by its first place, with the type said where it is a time (a bare NULL has
none); LIKE, which in SQLite knows no case of ASCII letters, becomes ILIKE, which under the collation "C" of all our
columns is just the same; group_concat becomes string_agg. What no rule covers has a section of its own in
*.postgres.sql.
"""

from __future__ import annotations

import re
from functools import lru_cache

_TOKEN = re.compile(
    r"""
    '(?:[^']|'')*'                      # 'text', in which nothing means anything
    | (?P<comment>--[^\n]*)
    | ::
    | :(?P<name>[a-z_][a-z0-9_]*)
    | (?P<like>\bLIKE\b)
    | (?P<concat>\bgroup_concat\()
    """,
    re.VERBOSE,
)
_TIME = re.compile(r"(?:.*_)?at|now|since|until|due")


@lru_cache(maxsize=512)
def to_postgres(sql: str) -> tuple[str, tuple[str, ...]]:
    """Translate one statement; give it with the names of its parameters, $1 first."""
    names: dict[str, int] = {}

    def token(match: re.Match[str]) -> str:
        name = match["name"]
        if name is not None:
            number = names.setdefault(name, len(names) + 1)
            return f"${number}::timestamptz" if _TIME.fullmatch(name) else f"${number}"
        if match["comment"] is not None:
            return ""
        if match["like"] is not None:
            return "ILIKE"
        if match["concat"] is not None:
            return "string_agg("
        return match[0]

    return _TOKEN.sub(token, sql), tuple(names)
