"""Decide when a deferred delivery is tried again, or that its time is used up.

Policy: the n-th failed try is followed by the n-th step of the ladder, the last step repeats, and every step is moved
by up to 10 % either way so that deliveries that failed together do not come back together. A category may skip steps
of the ladder (a full mailbox is rarely emptied within minutes); nothing ever adds minutes of its own. A server that
says how long to stay away is not asked sooner. The last try
stands at the end of `give_up_after` at the latest; a delivery that fails then has used up its retries.

A deadline brings the tries forward: none is further away than a third of the time that is left, but never nearer than
a minute (or the first step of the ladder, when that is shorter). The last one stands shortly before the deadline, by a
quarter of the time that was left and a minute at most, for it takes time itself. When not even half of the nearest
distance is left for another one, there is none.
RFC 5321 4.5.4.1. No I/O, no clock, no store: the time and the randomness are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from relay.model import Category

JITTER = 0.1

#: With a deadline, tries need not be further apart than this, nor than the first step of the ladder.
NEAREST = timedelta(minutes=1)

#: How long before a deadline the last try stands, at most.
LAST_TRY = timedelta(minutes=1)

#: How many steps of the ladder a reason skips.
SKIPPED_STEPS: dict[Category, int] = {
    Category.MAILBOX_FULL: 1,  # somebody has to delete mail first
}


def ladder_step(number: int, *, ladder: Sequence[timedelta], random: Callable[[], float]) -> timedelta:
    """Return the number-th step (from 1) with jitter; past the end the last one repeats."""
    return _moved(ladder[min(max(number, 1), len(ladder)) - 1], random)


def _moved(step: timedelta, random: Callable[[], float]) -> timedelta:
    return step * (1 - JITTER + 2 * JITTER * random())


def longest_wait(deadline: datetime, *, now: datetime, ladder: Sequence[timedelta]) -> timedelta:
    """Say how long a delivery with a deadline may wait for its next try, or its site for the next look at it."""
    return max((deadline - now) / 3, _nearest(ladder))


def _nearest(ladder: Sequence[timedelta]) -> timedelta:
    return min(NEAREST, ladder[0])


def next_try(
    *,
    attempts: int,
    first_at: datetime,
    now: datetime,
    ladder: Sequence[timedelta],
    give_up_after: timedelta,
    category: Category | None,
    random: Callable[[], float],
    deadline: datetime | None = None,
    asked: timedelta = timedelta(0),
) -> datetime | None:
    """Return when to try again after `attempts` tries, or None when the retries are used up.

    `first_at` is when the delivery was made, which for a resend is later than the message. `deadline` is the message's.
    `asked`: the server asked us to stay away for so long.
    """
    end = first_at + give_up_after
    if now >= end:
        return None
    skipped = SKIPPED_STEPS.get(category, 0) if category is not None else 0
    wait = max(ladder_step(attempts + skipped, ladder=ladder, random=random), asked)
    if deadline is None:
        return min(now + wait, end)
    left = deadline - now
    last = min(deadline - min(LAST_TRY, left / 4), end)
    at = min(now + min(wait, _moved(longest_wait(deadline, now=now, ladder=ladder), random)), last)
    return at if at - now >= _nearest(ladder) / 2 or at == end else None
