"""Conditions of a search that is composed: fixed texts joined by AND, with the values they are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from relay.store.protocols import Value
from relay.store.text import SHORT, beginnings, fold, like_pattern


@dataclass(slots=True)
class Where:
    """Conditions joined by AND, with their values."""

    conditions: list[str] = field(default_factory=list)
    params: dict[str, Value] = field(default_factory=dict)

    def add(self, condition: str, **params: Value) -> None:
        self.conditions.append(condition)
        self.params.update(params)

    def add_any(self, column: str, param: str, values: Sequence[str], *, is_negated: bool = False) -> None:
        """Say that the column holds one of the values: nothing fits none of them. Or, negated, that it holds none."""
        if not values:
            if not is_negated:
                self.add("1 = 0")
            return
        given: dict[str, Value] = {f"{param}{number}": value for number, value in enumerate(values)}
        listed = ", ".join(f":{name}" for name in given)
        self.add(f"{column} {'NOT ' if is_negated else ''}IN ({listed})", **given)

    def add_part(self, text: str, param: str, word: str, *, is_negated: bool = False) -> None:
        """Say that the text, whose fields stand on lines, has the word in it; see fits."""
        if not word:
            return
        condition, params = fits(text, param, word)
        self.add(f"NOT ({condition})" if is_negated else condition, **params)

    def text(self) -> str:
        return "WHERE " + "\n  AND ".join(self.conditions) if self.conditions else ""


def contains(text: str, param: str, word: str) -> str:
    """Say that a text contains the word, in any case of letters."""
    # LIKE knows the case of ASCII letters by itself; folding is only called, row by row, where it makes a difference.
    return f"{text} LIKE :{param} ESCAPE '\\'" if word.isascii() else f"fold({text}) LIKE :{param} ESCAPE '\\'"


def fits(text: str, param: str, word: str) -> tuple[str, dict[str, Value]]:
    """Say that a text contains the word; a word of one or two letters must begin a word of it."""
    if len(word) >= SHORT:
        return contains(text, param, word), {param: like_pattern(fold(word))}
    first, inner = beginnings(fold(word))
    condition = f"({contains(text, param, word)} OR {contains(text, f'{param}_inner', word)})"
    return condition, {param: first, f"{param}_inner": inner}
