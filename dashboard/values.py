"""Values of the configuration and of orders, in the reader's words and with their units. Pure."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum

from dashboard.marking import N_
from dashboard.tongue import Tongue
from relay.settings import Rate

_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60))


def said(value: object, tongue: Tongue, *, is_size: bool = False) -> str:
    """Say a value; `is_size` means a number of bytes."""
    if value is None or value == "" or value == [] or value == {}:
        return tongue.text(N_("not set"))
    if isinstance(value, bool):
        return tongue.text(N_("yes")) if value else tongue.text(N_("no"))
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, int):
        return tongue.size(value) if is_size else tongue.number(value)
    if isinstance(value, timedelta):
        return _exactly(value, tongue)
    if isinstance(value, Rate):
        text = tongue.text(N_("{count} in {span}"))
        return text.format(count=tongue.number(value.count), span=_exactly(value.per, tongue))
    if isinstance(value, list):
        return ", ".join(said(each, tongue) for each in value)
    if isinstance(value, dict):
        return ", ".join(f"{key} → {said(each, tongue)}" for key, each in value.items())
    return str(value)


def _exactly(value: timedelta, tongue: Tongue) -> str:
    """Say a time in the largest unit that is exact, since a setting is no estimate."""
    seconds = value.total_seconds()
    for unit, length in _UNITS:
        if seconds >= length and seconds % length == 0:
            return tongue.spell(seconds / length, unit)
    return tongue.spell(seconds, "second")
