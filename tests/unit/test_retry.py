"""retry.py: when a deferred delivery is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model import Category
from relay.retry import ladder_step, next_try

START = datetime(2026, 3, 1, tzinfo=UTC)
LADDER = [timedelta(minutes=m) for m in (1, 5, 15, 60, 240)]
DAYS = timedelta(days=5)


def wait(
    attempts: int,
    *,
    random: float = 0.5,
    category: Category | None = None,
    after: timedelta = timedelta(0),
    give_up_after: timedelta = DAYS,
) -> timedelta | None:
    now = START + after
    at = next_try(
        attempts=attempts,
        first_at=START,
        now=now,
        ladder=LADDER,
        give_up_after=give_up_after,
        category=category,
        random=lambda: random,
    )
    return None if at is None else at - now


@pytest.mark.parametrize(
    ("attempts", "minutes"),
    [
        (1, 1),
        (2, 5),
        (3, 15),
        (4, 60),
        (5, 240),
        (6, 240),  # the last step repeats
        (40, 240),
    ],
)
def test_each_try_is_followed_by_its_step(attempts: int, minutes: int) -> None:
    assert wait(attempts) == timedelta(minutes=minutes)


@pytest.mark.parametrize(("random", "factor"), [(0.0, 0.9), (0.5, 1.0), (1.0, 1.1)])
def test_steps_move_by_up_to_a_tenth_either_way(random: float, factor: float) -> None:
    assert wait(4, random=random) == timedelta(hours=1) * factor


def test_a_full_mailbox_skips_a_step_and_no_category_adds_time_of_its_own() -> None:
    assert wait(1, category=Category.MAILBOX_FULL) == timedelta(minutes=5)
    for category in Category:
        got = wait(1, category=category)
        assert got in LADDER


def test_the_last_try_stands_at_the_end_and_after_it_there_is_none() -> None:
    assert wait(5, after=DAYS - timedelta(hours=1)) == timedelta(hours=1)
    assert wait(6, after=DAYS) is None
    assert wait(1, after=DAYS + timedelta(days=30)) is None


@given(
    attempts=st.integers(1, 1000),
    minutes=st.integers(0, 8000),
    random=st.floats(0, 1, exclude_max=True),
    category=st.sampled_from([None, *Category]),
)
def test_a_try_is_never_in_the_past_nor_beyond_the_end(
    attempts: int, minutes: int, random: float, category: Category | None
) -> None:
    after = timedelta(minutes=minutes)
    got = wait(attempts, random=random, category=category, after=after)
    if after >= DAYS:
        assert got is None
    else:
        assert got is not None
        assert timedelta(0) < got <= DAYS - after
        assert got <= LADDER[-1] * 1.1


def test_a_step_below_the_first_is_the_first() -> None:
    assert ladder_step(0, ladder=LADDER, random=lambda: 0.5) == LADDER[0]


def tries(minutes: float, *, ladder: list[timedelta] = LADDER, random: float = 0.5) -> list[float]:
    """When a mail with a deadline so many minutes away is tried, in minutes, if every try fails at once."""
    deadline = START + timedelta(minutes=minutes)
    now, found = START, [0.0]
    while len(found) < 3000:
        at = next_try(
            attempts=len(found),
            first_at=START,
            now=now,
            ladder=ladder,
            give_up_after=DAYS,
            category=None,
            random=lambda: random,
            deadline=deadline,
        )
        if at is None:
            return found
        now = at
        found.append((now - START) / timedelta(minutes=1))
    raise AssertionError("it never ends")


@pytest.mark.parametrize(
    ("minutes", "want"),
    [
        (0.5, [0.0]),  # not even half a minute is left for another try
        (1, [0.0, 0.75]),
        (3, [0.0, 1.0, 2.0, 2.8]),
        (10, [0.0, 1.0, 4.0, 6.0, 7.3, 8.3, 9.3, 9.8]),
        (60, [0.0, 1.0, 6.0, 21.0, 34.0, 42.7, 48.4, 52.3, 54.9, 56.6, 57.7, 58.7, 59.7]),
    ],
)
def test_tries_come_closer_before_a_deadline(minutes: float, want: list[float]) -> None:
    assert tries(minutes) == pytest.approx(want, abs=0.06)


def test_a_far_deadline_changes_nothing_at_first() -> None:
    assert tries(3 * 24 * 60)[:7] == pytest.approx([0.0, 1.0, 6.0, 21.0, 81.0, 321.0, 561.0])


def test_after_the_deadline_there_is_no_try_and_behind_the_end_it_changes_nothing() -> None:
    common = {"attempts": 5, "first_at": START, "ladder": LADDER, "give_up_after": DAYS, "category": None}
    for left in (timedelta(0), timedelta(seconds=-1), timedelta(days=-30)):
        now = START + timedelta(hours=1)
        assert next_try(**common, now=now, random=lambda: 0.5, deadline=now + left) is None  # type: ignore[arg-type]
    now = START + DAYS - timedelta(hours=1)
    far = START + DAYS * 3
    assert next_try(**common, now=now, random=lambda: 0.5, deadline=far) == START + DAYS  # type: ignore[arg-type]


@given(
    minutes=st.floats(0.01, 1000),
    random=st.floats(0, 1, exclude_max=True),
    first=st.floats(0.1, 600),
)
def test_before_any_deadline_tries_fit_keep_a_distance_and_end(minutes: float, random: float, first: float) -> None:
    ladder = [timedelta(minutes=first), timedelta(minutes=first * 5)]
    found = tries(minutes, ladder=ladder, random=random)
    assert all(at < minutes for at in found)
    nearest = min(first, 1.0) / 2 - 0.0001
    assert all(later - earlier >= nearest for earlier, later in pairwise(found))
    if minutes >= 4:
        assert len(found) >= 3
