"""Conditions of a search that is composed: fixed texts joined by AND, with the values they are given."""

from __future__ import annotations

from dataclasses import dataclass, field

from relay.store.protocols import Value


@dataclass(slots=True)
class Where:
    """Conditions joined by AND, with their values."""

    conditions: list[str] = field(default_factory=list)
    params: dict[str, Value] = field(default_factory=dict)

    def add(self, condition: str, **params: Value) -> None:
        self.conditions.append(condition)
        self.params.update(params)

    def text(self) -> str:
        return "WHERE " + "\n  AND ".join(self.conditions) if self.conditions else ""


def contains(text: str, param: str, word: str) -> str:
    """Say that a text contains the word, in any case of letters."""
    # LIKE knows the case of ASCII letters by itself; folding is only called, row by row, where it makes a difference.
    return f"{text} LIKE :{param} ESCAPE '\\'" if word.isascii() else f"fold({text}) LIKE :{param} ESCAPE '\\'"
