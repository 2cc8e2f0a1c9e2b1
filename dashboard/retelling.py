"""Tell the relay's own English sentences in the reader's language.

What actions answer, what events say and what the doctor finds is kept as English text, made of the templates of
relay/wording.py. Here a text is known again by its template, and its translation gets the same values. Of several that
fit, one that begins with words of its own comes first, then the one that has most of them. A text may be several
sentences, one after the other; what nobody knows, such as an old wording or what a person typed, is shown as it is.

Time grows with the length of a text and never faster, whatever somebody wrote into a note: pieces are looked for in
their order and never taken back. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from relay.wording import FREE, OURS, TIGHT, TIMES, fill, variants

#: A longer text is no sentence of ours.
_LONGEST = 2000

#: How deep words of ours stand in words of ours.
_DEEPEST = 4

#: Where one sentence ends, and how many of them are looked at.
_END = re.compile(r"(?<=[.?!])\s+|; ")
_MOST_ENDS = 12

_VALUE = re.compile(r"\{(\w+)\}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC\Z")


@dataclass(frozen=True, slots=True)
class _Form:
    """One way that a template may have been said."""

    msgid: str
    texts: tuple[str, ...]  #: what stands before, between and behind the values
    names: tuple[str, ...]

    def read(self, said: str) -> dict[str, str] | None:
        """Give the values of a text that was said in this form; None: it was not."""
        if not said.startswith(self.texts[0]) or not said.endswith(self.texts[-1]):
            return None
        if not self.names:
            return {} if said == self.texts[0] else None
        found, at, end = {}, len(self.texts[0]), len(said) - len(self.texts[-1])
        for name, text in zip(self.names[:-1], self.texts[1:-1], strict=True):
            next_at = said.find(text, at, end)
            if next_at < 0:
                return None
            found[name], at = said[at:next_at], next_at + len(text)
        if at > end:
            return None
        found[self.names[-1]] = said[at:end]
        return found if all(map(_may_be, found, found.values())) else None


def _may_be(name: str, value: str) -> bool:
    """Tell whether a value can be what its name says: an address has no blank, and no name goes on over sentences."""
    if name in TIGHT:
        return " " not in value
    return name in OURS or name in FREE or not _END.search(value)


class Retelling:
    """Knows the templates of one language; `templates` is English -> translation."""

    def __init__(self, templates: Mapping[str, str]) -> None:
        self._translated = templates
        self._exact: dict[str, str] = {}
        forms = []
        for msgid in templates:
            for said in variants(msgid):
                pieces = _VALUE.split(said)
                if len(pieces) == 1:
                    self._exact[said] = msgid
                else:
                    forms.append(_Form(msgid, tuple(pieces[::2]), tuple(pieces[1::2])))
        self._forms = sorted(forms, key=lambda form: (not form.texts[0], -sum(map(len, form.texts))))

    def tell(self, said: str, moment: Callable[[datetime], str]) -> str:
        """Say a text in the language; `moment` writes a time."""
        return self._tell(said, moment, _DEEPEST) if said and len(said) <= _LONGEST else said

    def _tell(self, said: str, moment: Callable[[datetime], str], depth: int) -> str:
        whole = self._one(said, moment, depth)
        if whole is not None:
            return whole
        ends = list(_END.finditer(said))[:_MOST_ENDS]
        for end in reversed(ends):
            first = self._one(said[: end.start()], moment, depth)
            if first is not None:
                return f"{first}{end[0]}{self._tell(said[end.end() :], moment, depth)}"
        if ends:  # the first one is not ours; what comes after it may be
            return said[: ends[0].end()] + self._tell(said[ends[0].end() :], moment, depth)
        return said

    def _one(self, said: str, moment: Callable[[datetime], str], depth: int) -> str | None:
        """Say one sentence; None: it is none of ours."""
        msgid = self._exact.get(said)
        if msgid is not None:
            return fill(self._translated[msgid], dict.fromkeys(_VALUE.findall(msgid), ""))
        for form in self._forms if depth else ():
            values = form.read(said)
            if values is not None:
                told = {name: self._value(name, value, moment, depth) for name, value in values.items()}
                return fill(self._translated[form.msgid], dict.fromkeys(_VALUE.findall(form.msgid), "") | told)
        return None

    def _value(self, name: str, value: str, moment: Callable[[datetime], str], depth: int) -> str:
        if name in OURS:
            return self._tell(value, moment, depth - 1)
        if name in TIMES and _TIME.match(value):
            return moment(datetime.strptime(value, "%Y-%m-%d %H:%M %Z").replace(tzinfo=UTC))
        return value
