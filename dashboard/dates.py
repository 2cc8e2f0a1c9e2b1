"""Days and times as the date fields of a browser send them, on the reader's clock."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, tzinfo


def end_of_day(text: str, zone: tzinfo) -> datetime | None:
    """Give the end of a day ("2026-12-31"); None when it is no day."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date() + timedelta(days=1)
    except (ValueError, OverflowError):
        return None
    return datetime.combine(day, time(), zone).astimezone(UTC)


def moment(text: str, zone: tzinfo) -> datetime | None:
    """Give a time ("2026-12-31T14:30") or the beginning of a day; None when it is neither."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def day_field(when: datetime, zone: tzinfo) -> str:
    """Write a day as a date field shows it."""
    return f"{when.astimezone(zone):%Y-%m-%d}"
