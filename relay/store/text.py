"""How texts are made comparable for searching; pure.

`fold` is what "case-insensitive" means here (Unicode, not ASCII alone). `reference_key` makes "bk 10-42" and "BK1042"
the same booking. `grams` are the three-letter pieces a search word must have: of a word of two letters, which must
begin a word, the space or line end before it is the third; of one letter there are none.
"""

from __future__ import annotations

import unicodedata

#: Words below this many letters must begin a word; longer ones may stand anywhere.
SHORT = 3

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


def beginnings(word: str) -> tuple[str, str]:
    """The LIKE patterns (ESCAPE '\\') for "begins a line" (but the first) and "begins a word in one"."""
    inner = like_pattern(word)[1:]
    return f"%\n{inner}", f"% {inner}"


def grams_query(words: list[str]) -> str | None:
    """An FTS5 query that rows with all words are sure to match; None when every word is too short."""
    grams = {word[start : start + SHORT] for word in words for start in range(len(word) - 2)}
    parts = [_quoted(gram) for gram in sorted(grams)[:48]]
    parts += [f"({_quoted(chr(10) + word)} OR {_quoted(' ' + word)})" for word in words if len(word) == 2][:8]
    return " AND ".join(part for part in parts if "\0" not in part) or None


def _quoted(gram: str) -> str:
    return '"' + gram.replace('"', '""') + '"'


def distance(one: str, other: str) -> int:
    """Count inserted, deleted, replaced and swapped letters."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, start=1):
        line = [row]
        for column, wanted in enumerate(other, start=1):
            best = min(last[column] + 1, line[-1] + 1, last[column - 1] + (letter != wanted))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == wanted:
                best = min(best, before[column - 2] + 1)
            line.append(best)
        before, last = last, line
    return last[-1]
