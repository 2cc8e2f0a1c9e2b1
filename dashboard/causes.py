"""The few words for the cause of a notice or a block, where a list has no room for a sentence."""

from __future__ import annotations

import re

from dashboard import labels
from dashboard.labels import CAUSE
from dashboard.marking import N_
from dashboard.tongue import Tongue
from relay.model import Category

#: While the mail is still being tried: the notice of a deadline that comes near.
MAY_BE_LATE = N_("It may come too late")


def cause(key: str) -> str:
    """Give the words for a cause; a key nobody gave words to stands for itself."""
    return CAUSE.get(key, key)


#: Kinds of events whose sentences hold a program's own word in brackets, and where; elsewhere brackets are people's.
_RAW = {
    "notice": re.compile(r"(?<=\()[a-z-]+(?=\)\Z)"),
    "undo": re.compile(r"(?<=undone \()[a-z_]+"),
    "reclassify": re.compile(r"(?<=blocked \()[a-z_]+"),
}


def in_words(kind: str, text: str, tongue: Tongue) -> str:
    """Put the words of labels where an event holds a program's own in brackets, as in "(invalid_address)"."""

    def said(found: re.Match[str]) -> str:
        words = _words_of(found[0])
        return tongue.text(words) if words else found[0]

    return _RAW[kind].sub(said, text, count=1) if kind in _RAW else text


def _words_of(key: str) -> str | None:
    """Give the label of a reason of a block, a category or a cause; None when it is none of these."""
    if key in labels.BLOCK:
        return labels.BLOCK[key]
    return labels.reason(Category(key)) if key in list(Category) else CAUSE.get(key)
