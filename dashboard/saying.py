"""Say the relay's explanations in the language of a page: relay.classify.sentences asks, the page's tongue answers.

It adapts what dashboard.tongue offers (words, plural forms, numbers and times of a language) to what render() asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from relay.classify.explain import Size, Value


class Language(Protocol):
    """What a language must offer; dashboard.tongue.Tongue does."""

    def text(self, msgid: str, /) -> str: ...
    def plural(self, one: str, many: str, n: int, /) -> str: ...
    def moment(self, at: datetime, /) -> str: ...
    def span(self, span: timedelta, /) -> str: ...
    def number(self, n: int, /) -> str: ...
    def size(self, size: int, /) -> str: ...


@dataclass(frozen=True, slots=True)
class Saying:
    """The tongue of render() and render_for_customer() in a language."""

    language: Language

    def text(self, msgid: str) -> str:
        return self.language.text(msgid)

    def shown(self, value: Value) -> str:
        match value:
            case datetime():
                return self.language.moment(value)
            case timedelta():
                return self.language.span(value)
            case Size():
                return self.language.size(value)
            case int():
                return self.language.number(value)
        return value

    def times(self, n: int) -> str:
        said = self.language.plural("once", "{n} times", n)
        return said.replace("{n}", self.language.number(n))
