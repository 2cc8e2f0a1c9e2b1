"""The keys of the catalogue of words, for pages that show all of it. Pure."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files


@cache
def every_entry() -> tuple[str, ...]:
    """Give the key of every entry, in the order of the catalogue."""
    text = files("relay.classify").joinpath("catalogue.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["entry"])


@cache
def with_pending() -> frozenset[str]:
    """Name the entries that are told differently while we still try."""
    text = files("relay.classify").joinpath("catalogue.toml").read_text(encoding="utf-8")
    return frozenset(key for key, entry in tomllib.loads(text)["entry"].items() if "pending" in entry)
