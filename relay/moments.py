"""How times are written for programs: RFC 3339 in UTC, with milliseconds and Z; absent is None. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def json_time(when: datetime | None) -> str | None:
    """Write a time as RFC 3339 UTC with milliseconds and Z."""
    if when is None:
        return None
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
