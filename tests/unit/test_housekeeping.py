"""The chores: done when due, by the one process that has the lease, and never the end of that process."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relay.errors import StoreError
from relay.housekeeping import LEASE, Chore, Housekeeper
from relay.store import open_store

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class Place:
    """A store, a clock, and a note of what was done by whom."""

    def __init__(self, folder: Path) -> None:
        self.store = open_store(f"sqlite:{folder}/waybill.db", folder)
        self.clock = Clock()
        self.done: list[str] = []

    def housekeeper(self, owner: str, *, error: Exception | None = None) -> Housekeeper:
        async def run(now: datetime) -> None:
            self.done.append(owner)
            if error is not None:
                raise error

        chores = [Chore(name="pruning", every=HOUR, run=run)]
        return Housekeeper(self.store, chores, owner=owner, clock=self.clock, look=timedelta(milliseconds=1))


async def looks(housekeeper: Housekeeper) -> None:
    """Let it look a few times: each look is at least one commit."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await housekeeper.run()


def test_a_chore_is_done_once_until_it_is_due_again(tmp_path: Path) -> None:
    place = Place(tmp_path)
    one = place.housekeeper("one")
    asyncio.run(looks(one))
    assert place.done == ["one"]
    place.clock.now += HOUR
    asyncio.run(looks(one))
    assert place.done == ["one", "one"]
    place.store.close()


def test_another_process_takes_over_when_the_lease_ran_out(tmp_path: Path) -> None:
    place = Place(tmp_path)
    asyncio.run(looks(place.housekeeper("one")))
    two = place.housekeeper("two")
    asyncio.run(looks(two))
    assert place.done == ["one"]
    place.clock.now += LEASE + timedelta(seconds=1)
    asyncio.run(looks(two))
    assert place.done == ["one", "two"]
    place.store.close()


@pytest.mark.parametrize("error", [StoreError("no space"), KeyError("nobody foresaw this")])
def test_a_chore_that_fails_does_not_end_the_process(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """It would end delivery, again at each start: one odd row would stop all mail."""
    place = Place(tmp_path)
    asyncio.run(looks(place.housekeeper("one", error=error)))
    assert place.done == ["one"]
    assert "pruning failed" in caplog.text
    place.store.close()
