"""retry.py: when a deferred delivery is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

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
