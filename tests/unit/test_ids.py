"""Ids: in the order of time, unlike each other, whichever thread asks."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any

from relay.model import new_id, time_of

Trace = Callable[[FrameType, str, Any], Any]

THREADS, EACH = 4, 500


def test_ids_are_in_the_order_in_which_they_were_made() -> None:
    made = [new_id() for _ in range(2000)]
    assert made == sorted(set(made))


def test_an_id_says_when_it_was_made() -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    assert before <= time_of(new_id()) <= datetime.now(UTC)


def test_threads_never_get_the_same_id_and_each_sees_them_rise() -> None:
    start = threading.Barrier(THREADS)

    def let_others_run(frame: FrameType, event: str, arg: object) -> Trace:
        time.sleep(0)  # at each line of new_id, which an interpreter may do at any of them
        return let_others_run

    def make(_: int) -> list[str]:
        start.wait()
        old = sys.gettrace()
        sys.settrace(let_others_run)
        try:
            return [new_id() for _ in range(EACH)]
        finally:
            sys.settrace(old)

    with ThreadPoolExecutor(THREADS) as pool:
        made = list(pool.map(make, range(THREADS)))
    assert all(ids == sorted(ids) for ids in made)
    assert len({one for ids in made for one in ids}) == THREADS * EACH
