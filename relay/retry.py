"""Decide when a deferred delivery is tried again, or that its time is used up.

Policy: the n-th failed try is followed by the n-th step of the ladder, the last step repeats, and every step is moved
by up to 10 % either way so that deliveries that failed together do not come back together. A category may skip steps
of the ladder (a full mailbox is rarely emptied within minutes); nothing ever adds minutes of its own. The last try
stands at the end of `give_up_after` at the latest; a delivery that fails then has used up its retries.
RFC 5321 4.5.4.1. No I/O, no clock, no store: the time and the randomness are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from relay.model import Category

JITTER = 0.1

#: How many steps of the ladder a reason skips.
SKIPPED_STEPS: dict[Category, int] = {
    Category.MAILBOX_FULL: 1,  # somebody has to delete mail first
}


def ladder_step(number: int, *, ladder: Sequence[timedelta], random: Callable[[], float]) -> timedelta:
    """Return the number-th step (from 1) with jitter; past the end the last one repeats."""
    step = ladder[min(max(number, 1), len(ladder)) - 1]
    return step * (1 - JITTER + 2 * JITTER * random())


def next_try(
    *,
    attempts: int,
    first_at: datetime,
    now: datetime,
    ladder: Sequence[timedelta],
    give_up_after: timedelta,
    category: Category | None,
    random: Callable[[], float],
) -> datetime | None:
    """Return when to try again after `attempts` tries, or None when the retries are used up.

    `first_at` is when the delivery was made, which for a resend is later than the message.
    """
    end = first_at + give_up_after
    if now >= end:
        return None
    skipped = SKIPPED_STEPS.get(category, 0) if category is not None else 0
    return min(now + ladder_step(attempts + skipped, ladder=ladder, random=random), end)
