"""What the doctor asks of the store: who sent lately, how fast it grows, what time its server has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relay.config import load_text
from relay.doctor import State, examine
from relay.store import doctor, spool
from relay.store.engine import EngineStore
from relay.store.protocols import Tx
from tests.store.making import NOW, submission
from tests.support.peers import FakeDns

DAY = timedelta(days=1)


def test_senders_are_counted_with_the_head_of_their_newest_mail(store: EngineStore) -> None:
    def fill(tx: Tx) -> None:
        for number in range(3):
            spool.accept(tx, submission("guest@example.com", message_id=f"<{number}@hotel.example>"))

    store.write_now(fill)
    (found,) = store.read_now(doctor.senders)
    assert found.count == 3
    assert found.header_from.endswith("example")
    assert found.head.endswith(b"\r\n\r\n")
    assert b"\r\n\r\n" not in found.head[:-4]


@pytest.mark.parametrize("change", ["DELETE FROM content", "UPDATE content SET checksum = 1"])
def test_a_sender_whose_mail_cannot_be_read_is_named_all_the_same(
    store: EngineStore, meddle: Callable[[str], None], change: str
) -> None:
    store.write_now(lambda tx: spool.accept(tx, submission("guest@example.com")))
    meddle(change)
    assert [(sender.count, sender.head) for sender in store.read_now(doctor.senders)] == [(1, b"")]


@pytest.mark.parametrize(
    ("days", "wanted"),
    [
        ([], None),
        ([0.5, 0.1], None),
        # Ten deliveries in ten days, seven of them in the last week: a tenth of all a day.
        ([9.9, 8.9, 7.9, 6.9, 5.9, 4.9, 3.9, 2.9, 1.9, 0.9], 0.1),
        # Younger than a week: all of it in two days.
        ([2.0, 1.5, 1.0, 0.5], 0.5),
        ([30.0, 20.0], 0.0),
    ],
)
def test_growth_is_the_part_that_came_in_on_a_day(store: EngineStore, days: list[float], wanted: float | None) -> None:
    def fill(tx: Tx) -> None:
        for number, age in enumerate(days):
            spool.accept(tx, submission("a@example.com", at=NOW - age * DAY, message_id=f"<{number}@a>"))

    store.write_now(fill)
    found = store.read_now(lambda tx: doctor.share_per_day(tx, now=NOW))
    assert found == (wanted if wanted is None else pytest.approx(wanted))


def test_only_a_server_has_a_clock_of_its_own(store: EngineStore) -> None:
    at, dialect = store.read_now(lambda tx: (doctor.server_time(tx), tx.dialect))
    assert (at is None) is (dialect == "sqlite")
    assert at is None or at.tzinfo is not None


def test_our_clock_is_held_against_that_of_the_store(store: EngineStore, store_url: str, tmp_path: Path) -> None:
    async def run(*, off: timedelta) -> dict[str, State]:
        async with FakeDns() as dns:
            text = f'[store]\nurl = "{store_url}"\n[dns]\nservers = ["{dns.address}"]\n[doctor]\nprobe = ""\nclock = ""'
            config = load_text(text, base_dir=tmp_path)
            found = await examine(config, store, now=lambda: datetime.now(UTC) + off)
        return {finding.subject: finding.state for finding in found if finding.id == "local.clock"}

    is_server = store_url.startswith("postgresql:")
    right, wrong = asyncio.run(run(off=timedelta())), asyncio.run(run(off=timedelta(hours=1)))
    assert right == ({"the store's server": State.GOOD} if is_server else {})
    assert wrong == ({"the store's server": State.BAD} if is_server else {})
