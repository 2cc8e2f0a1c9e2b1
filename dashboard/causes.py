"""The few words for the cause of a notice, where a list has no room for a sentence."""

from __future__ import annotations

from dashboard.labels import CAUSE
from dashboard.marking import N_

#: While the mail is still being tried: the notice of a deadline that comes near.
MAY_BE_LATE = N_("It may come too late")


def cause(key: str) -> str:
    """Give the words for a cause; a key nobody gave words to stands for itself."""
    return CAUSE.get(key, key)
