"""Times as other systems write them: seconds or milliseconds since 1970, RFC 3339, RFC 5322; without a zone, UTC."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECONDS = 1e11  # of the year 5138; what is larger counts milliseconds


def read_time(text: str) -> datetime | None:
    """Read a time; None when it is none."""
    text = text.strip().removesuffix(" UTC")
    if not text:
        return None
    try:
        return _since_epoch(float(text))
    except (ValueError, OverflowError):
        pass
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(text)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError, TypeError):
            continue
    return None


def _since_epoch(number: float) -> datetime | None:
    if not math.isfinite(number):
        return None
    while abs(number) > _LAST_SECONDS:
        number /= 1000
    return _EPOCH + timedelta(seconds=number) if number > 0 else None
