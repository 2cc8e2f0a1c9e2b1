"""Going by the store's time where the machine's clock is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from relay.clock import StoreClock

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Machine:
    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


def hear(clock: StoreClock, machine: Machine, *, ahead: timedelta, after: timedelta = SECOND) -> timedelta:
    """Ask a store whose time the machine is ahead of, and be answered after a while; it looked half way."""
    asked = machine.at
    machine.at += after
    return clock.heard(asked + after / 2 - ahead, asked=asked)


def test_a_clock_that_may_be_right_is_left_alone_however_slow_the_answer() -> None:
    machine = Machine()
    clock = StoreClock(machine)
    assert hear(clock, machine, ahead=timedelta(0), after=8 * SECOND) == timedelta(0)
    assert clock() == machine.at


@pytest.mark.parametrize("ahead", [60 * SECOND, -60 * SECOND])
def test_a_clock_that_is_a_minute_off_is_put_right(ahead: timedelta) -> None:
    machine = Machine()
    clock = StoreClock(machine)
    assert abs(hear(clock, machine, ahead=ahead) - ahead) <= SECOND / 2
    assert abs(clock() - (machine.at - ahead)) <= SECOND / 2
    before = clock.offset
    hear(clock, machine, ahead=ahead, after=5 * SECOND)
    assert clock.offset == before, "nothing new was learnt, so nothing moves"
    hear(clock, machine, ahead=ahead, after=SECOND / 100)
    assert abs(clock() - (machine.at - ahead)) <= SECOND / 100


def test_a_clock_that_was_set_meanwhile_is_believed_again() -> None:
    machine = Machine()
    clock = StoreClock(machine)
    hear(clock, machine, ahead=60 * SECOND)
    machine.at -= 60 * SECOND
    assert abs(hear(clock, machine, ahead=timedelta(0))) <= SECOND / 2
