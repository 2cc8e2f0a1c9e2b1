"""Days as people write them, and when they begin in a zone; pure.

Read are 2026-11-07, 7.11.2026 and 7/11/2026 (the day first: the page says in words what was understood), 2026-11 for a
whole month, today, yesterday, and 7d for seven days ago. A day begins at midnight of the zone, whatever its clocks did:
one on which they change has 23 or 25 hours.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo

_ISO = re.compile(r"(\d{4})-(\d{1,2})(?:-(\d{1,2}))?")
_DAY_FIRST = re.compile(r"(\d{1,2})[./](\d{1,2})[./](\d{4})")
_AGO = re.compile(r"(\d{1,4})d", re.IGNORECASE)


def midnight(day: date, zone: tzinfo) -> datetime:
    """When a day begins there, as UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def days(value: str, *, today: date) -> tuple[date, date] | None:
    """The first day that a date names and the day after its last; None when it is none."""
    word = value.lower()
    if word in ("today", "yesterday") or (ago := _AGO.fullmatch(word)):
        day = today - timedelta(days=0 if word == "today" else 1 if word == "yesterday" else int(ago[1]))  # type: ignore[index]
        return day, day + timedelta(days=1)
    if iso := _ISO.fullmatch(word):
        return _span(int(iso[1]), int(iso[2]), int(iso[3]) if iso[3] else None)
    if european := _DAY_FIRST.fullmatch(word):
        return _span(int(european[3]), int(european[2]), int(european[1]))
    return None


def _span(year: int, month: int, day: int | None) -> tuple[date, date] | None:
    if not 1970 <= year <= 9000:
        return None
    try:
        first = date(year, month, day or 1)
    except ValueError:
        return None
    if day is not None:
        return (first, first + timedelta(days=1)) if day else None
    return first, date(year + month // 12, month % 12 + 1, 1)
