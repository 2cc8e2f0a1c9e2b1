"""The delivery rate is watched: 98 % is the line, from 50 mails up, and it is said once."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from functools import partial

import pytest

from relay.status import Status
from relay.store import spool
from relay.store.engine import EngineStore
from relay.watching import RateWatch
from tests.store.making import HOUR, NOW, accept, claim, disposition, outcome, reply


def end(store: EngineStore, status: Status, count: int) -> None:
    accept(store, *(f"guest{number}@{status.value}.example" for number in range(count)))
    said = reply() if status is Status.DELIVERED else reply(550, "no such user")
    reading = None if status is Status.DELIVERED else outcome()
    results = [disposition(each.delivery.id, status, said=said, reading=reading) for each in claim(store)]
    store.write_now(partial(spool.record_all, dispositions=results, owner="one"))


def look(store: EngineStore, watch: RateWatch, *, after: timedelta = HOUR) -> None:
    asyncio.run(watch.look(NOW + after))


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage().split()[0] for record in caplog.records if record.name == "relay.watching"]


@pytest.mark.parametrize(("failed", "is_low"), [(1, False), (2, True)])
def test_m003_2_below_98_per_cent_warns_once(
    store: EngineStore, caplog: pytest.LogCaptureFixture, failed: int, is_low: bool
) -> None:
    caplog.set_level(logging.INFO)
    end(store, Status.DELIVERED, 50 if failed == 1 else 97)
    end(store, Status.INVALID, failed)
    watch = RateWatch(store)
    for _ in range(3):
        look(store, watch)
    assert said(caplog) == (["event=delivery_rate_low"] if is_low else [])


def test_m003_2_few_mails_say_nothing(store: EngineStore, caplog: pytest.LogCaptureFixture) -> None:
    end(store, Status.INVALID, 49)
    look(store, RateWatch(store))
    assert said(caplog) == []


def test_it_is_said_again_the_next_day_and_when_it_recovered(
    store: EngineStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    end(store, Status.INVALID, 50)
    watch = RateWatch(store)
    look(store, watch, after=timedelta(0))
    look(store, watch, after=timedelta(hours=23))
    assert said(caplog) == ["event=delivery_rate_low"]
    look(store, watch, after=timedelta(hours=24))
    assert said(caplog) == ["event=delivery_rate_low"] * 2
    for _ in range(26):
        end(store, Status.DELIVERED, 100)
    look(store, watch)
    assert said(caplog)[-1] == "event=delivery_rate_good"
