"""Load report_text.toml: the words by which returned mail is known, in many languages.

A text is compared in one plain form: lower case, no accents, punctuation as single spaces, one space between words. The
phrases of the file go through the same form, and a phrase is found where it begins at a word. Pure: the file is part of
the package and read once.
"""

from __future__ import annotations

import functools
import re
import tomllib
import unicodedata
from dataclasses import dataclass
from importlib.resources import files

from relay.model import Category

#: Of one text no more is compared.
MAX_PLAIN = 16_000

_MARKS = re.compile(r"[\u0300-\u036f\u3099\u309a]+")
_LETTERS = str.maketrans({"ł": "l", "ø": "o", "ß": "ss", "æ": "ae", "œ": "oe", "đ": "d", "ı": "i", "’": "'"})
_UNSPACED = "\u0e00"  #: scripts from here on (Thai, Chinese, Japanese …) put no spaces between words
_GAPS = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Words that give a reason only in reports."""

    name: str
    category: Category
    phrases: tuple[str, ...]
    is_sure: bool = False  #: the whole sentence of a known program: asked before the classifier's own rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """The groups of the file by name, and the reasons in order."""

    groups: dict[str, tuple[str, ...]]
    reasons: tuple[Reason, ...]

    def has(self, group: str, text: str) -> bool:
        """Tell whether a plain text has one of the group's phrases."""
        return any(phrase in text for phrase in self.groups[group])


def plain(text: str) -> str:
    """Reduce a text to the form in which phrases are compared; a space stands at either end."""
    text = text[:MAX_PLAIN].lower()
    if not text.isascii():
        text = _MARKS.sub("", unicodedata.normalize("NFD", text).translate(_LETTERS))
    return f" {_GAPS.sub(' ', text).strip()} "


@functools.cache
def load_phrases() -> Phrases:
    """Read the file that comes with the package."""
    data = tomllib.loads(files("relay.classify").joinpath("report_text.toml").read_text(encoding="utf-8"))
    reasons = tuple(
        Reason(
            name=entry["name"],
            category=Category(entry["category"]),
            phrases=_prepared(entry["phrases"]),
            is_sure=entry.get("sure", False),
        )
        for entry in data["reason"]
    )
    groups = {name: _prepared(values) for name, values in data["phrases"].items()}
    return Phrases(groups=groups, reasons=reasons)


def _prepared(values: list[str]) -> tuple[str, ...]:
    """Bring phrases to the plain form; one in a script with spaces begins at a word, any other anywhere."""
    return tuple(_begins(value) for value in values)


def _begins(value: str) -> str:
    words = plain(value)
    return words.rstrip() if value[0] < _UNSPACED else words.strip()
