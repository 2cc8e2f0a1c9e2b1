"""Say the sentences of the tables in a language: which of them can be said, what stands in for a value, which words.

Policy. A sentence is translated whole, with its {placeholders}: the English text itself is its name (msgid). One that
needs a value nobody has is left out; of a list inside the list the first that can be said is said. A few values have
a stand-in in the tables ("their server"): a sentence with its stand-in is a sentence of its own, to be translated as
such, because no language can put "their server" wherever a domain may stand. Nothing is joined from pieces.

A tongue gives the words and the way to write times, spans and sizes; without one it is English. Languages are the
dashboard's (dashboard/locale): nothing here knows gettext or Babel. Pure: no clock, no store; tables are read once.
"""

from __future__ import annotations

import itertools
import string
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

Value = str | int | datetime | timedelta

#: A sentence, or several of which the first that can be said is said.
Sentence = str | list[str]


class Size(int):
    """A number of bytes, to be shown as a size."""


class Tongue(Protocol):
    """A language, and a way to write values in it."""

    def text(self, msgid: str) -> str:
        """Give the words for an English text, with the same placeholders."""

    def shown(self, value: Value) -> str:
        """Write a value."""

    def times(self, n: int) -> str:
        """Say how often."""


class English:
    """The language that the tables are written in."""

    def text(self, msgid: str) -> str:
        return msgid

    def shown(self, value: Value) -> str:
        if isinstance(value, datetime):
            return value.strftime("%-d %b %Y %H:%M UTC" if value.utcoffset() == timedelta(0) else "%-d %b %Y %H:%M %Z")
        if isinstance(value, timedelta):
            return _span(value)
        return f"{value / 1024**2:.1f} MB" if isinstance(value, Size) else str(value)

    def times(self, n: int) -> str:
        return "once" if n == 1 else f"{n} times"


ENGLISH = English()


@cache
def table(name: str) -> dict[str, Any]:
    """Read one of the tables beside this module."""
    return tomllib.loads(files("relay.classify").joinpath(name).read_text(encoding="utf-8"))


def stand_ins() -> Mapping[str, str]:
    """Give what stands for a value that is not known."""
    found: dict[str, str] = table("catalogue.toml")["missing"]
    return found


def said(sentences: Sequence[Sentence], params: Mapping[str, str], tongue: Tongue) -> str:
    """Keep the sentences whose values are known; of alternatives the first."""
    known = params.keys() | stand_ins().keys()
    kept = []
    for sentence in sentences:
        choice = next((choice for choice in choices(sentence) if names(choice) <= known), None)
        if choice is not None:
            kept.append(filled(choice, params, tongue))
    return " ".join(kept)


def filled(sentence: str, params: Mapping[str, str], tongue: Tongue) -> str:
    """Say one sentence with its values; what is not known has its stand-in."""
    return tongue.text(standing_in(sentence, names(sentence) - params.keys())).format_map(params)


def choices(sentence: Sentence) -> list[str]:
    """Give the ways to say a sentence, the best first."""
    return [sentence] if isinstance(sentence, str) else sentence


def names(sentence: str) -> set[str]:
    """Name the values that a sentence needs."""
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def standing_in(sentence: str, missing: Collection[str]) -> str:
    """Put the stand-ins in; a sentence that begins with one begins with a capital."""
    text = sentence
    for name in missing:
        text = text.replace(f"{{{name}}}", stand_ins()[name])
    begins_so = any(sentence.startswith(f"{{{name}}}") for name in missing)
    return text[:1].upper() + text[1:] if begins_so else text


def msgids(sentence: Sentence) -> Iterator[str]:
    """Give every text that a sentence may be said as: each choice, with and without each stand-in."""
    for choice in choices(sentence):
        can_lack = sorted(names(choice) & stand_ins().keys())
        for count in range(len(can_lack) + 1):
            for missing in itertools.combinations(can_lack, count):
                yield standing_in(choice, missing)


def every_msgid() -> Iterator[str]:
    """Give every text of the tables that a tongue may be asked for."""
    catalogue, customer = table("catalogue.toml"), table("customer.toml")
    for entry in catalogue["entry"].values():
        for one in (entry, entry.get("pending", {})):
            yield from _msgids_of(one)
    for one in catalogue["also"].values():
        yield from _msgids_of(one)
    yield from catalogue["reason"].values()
    pending = customer["pending"]
    groups = (customer["text"].values(), customer["also"].values(), pending["special"].values(), [pending["text"]])
    for sentences in itertools.chain(*groups):
        for sentence in sentences:
            yield from msgids(sentence)


def _msgids_of(words: Mapping[str, Any]) -> Iterator[str]:
    for key in ("title", "happened", "next_step", "instead"):
        found = words.get(key, [])
        for sentence in [found] if isinstance(found, str) else found:
            yield from msgids(sentence)


def _span(value: timedelta) -> str:
    """Say how long, in the largest unit of which there are at least two."""
    seconds = round(value.total_seconds())
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{round(seconds / size)} {unit}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
