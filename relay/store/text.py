"""How texts are made comparable for searching; pure.

`fold` is what "case-insensitive" means here (Unicode, not ASCII alone). `reference_key` makes "bk 10-42" and "BK1042"
the same booking. `grams` are the three-letter pieces a search word must have; shorter words have none.
"""

from __future__ import annotations

import unicodedata

_GONE = str.maketrans("", "", " \t-\u2010\u2011\u2012\u2013\u2014\u00a0")


def fold(text: str) -> str:
    """Make two spellings that differ in case alone the same."""
    return text.lower()


def reference_key(value: str) -> str:
    """NFKC, upper case, no spaces or hyphens."""
    return unicodedata.normalize("NFKC", value).upper().translate(_GONE)


def like_pattern(word: str) -> str:
    """The LIKE pattern (ESCAPE '\\') for "contains this word"."""
    escaped = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def grams_query(words: list[str]) -> str | None:
    """An FTS5 query that rows containing all words are sure to match; None when every word is too short."""
    grams = {word[start : start + 3] for word in words for start in range(len(word) - 2)}
    if not grams:
        return None
    return " AND ".join('"' + gram.replace('"', '""') + '"' for gram in sorted(grams)[:48])
