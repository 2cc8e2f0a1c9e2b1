"""The keys of the catalogue of words, for pages that show all of it. Pure."""

from __future__ import annotations

from relay.classify.sentences import table


def every_entry() -> tuple[str, ...]:
    """Give the key of every entry, in the order of the catalogue."""
    return tuple(table("catalogue.toml")["entry"])


def with_pending() -> frozenset[str]:
    """Name the entries that are told differently while we still try."""
    return frozenset(key for key, entry in table("catalogue.toml")["entry"].items() if "pending" in entry)
