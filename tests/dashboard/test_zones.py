"""One instant is the same in the list, on the page of the mail, in the chart and in CSV, also where clocks change.

Newfoundland is half an hour from the whole, Nepal three quarters and without summer time.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from dashboard import log_asked
from dashboard.counts import Counts
from dashboard.overview import gather
from dashboard.tongue import Tongue
from relay.moments import json_time
from relay.store import log
from tests.dashboard.house import House

HELSINKI, NEWFOUNDLAND, NEPAL = "Europe/Helsinki", "America/St_Johns", "Asia/Kathmandu"
HOUR = timedelta(hours=1)

#: Zone, day, and how many hours it has there.
DAYS = [
    *((HELSINKI, date(2026, 3, 29), 23), (HELSINKI, date(2026, 10, 25), 25), (HELSINKI, date(2026, 7, 1), 24)),
    *((NEWFOUNDLAND, date(2026, 3, 8), 23), (NEWFOUNDLAND, date(2026, 11, 1), 25)),
    *((NEPAL, date(2026, 3, 29), 24), (NEPAL, date(2026, 10, 25), 24)),
]

#: Half an hour before and after each change of the clock, and how far the clock is from UTC then.
INSTANTS = [
    *((HELSINKI, "2026-03-29T00:30:00", 120), (HELSINKI, "2026-03-29T01:30:00", 180)),
    *((HELSINKI, "2026-10-25T00:30:00", 180), (HELSINKI, "2026-10-25T01:30:00", 120)),
    *((NEWFOUNDLAND, "2026-03-08T05:00:00", -210), (NEWFOUNDLAND, "2026-03-08T06:00:00", -150)),
    *((NEWFOUNDLAND, "2026-11-01T04:00:00", -150), (NEWFOUNDLAND, "2026-11-01T05:00:00", -210)),
    *((NEPAL, "2026-03-29T00:30:00", 345), (NEPAL, "2026-10-25T01:30:00", 345)),
]


@pytest.mark.parametrize(("zone", "day", "hours"), DAYS)
def test_yesterday_is_as_long_as_it_was(house: House, zone: str, day: date, hours: int) -> None:
    clock = ZoneInfo(zone)
    first = datetime(day.year, day.month, day.day, tzinfo=clock).astimezone(UTC)
    house.desk.now = first - 2 * HOUR
    for _ in range(30):
        house.desk.accept("anna@example.com")
        house.desk.now += HOUR - timedelta(seconds=1)
    now = datetime(day.year, day.month, day.day, 9, tzinfo=clock).astimezone(UTC) + 24 * HOUR
    for given in ({"since": "yesterday"}, {"q": "on:yesterday"}):
        query = log_asked.read(given).query(apps=None, now=now, zone=clock, limit=100)
        assert (query.since, query.until) == (first, first + hours * HOUR)
        rows = house.store.read_now(lambda tx, query=query: log.search(tx, query))  # type: ignore[misc]
        assert len(rows) == hours


@pytest.mark.parametrize(("zone", "text", "offset"), INSTANTS)
def test_an_instant_is_the_same_everywhere(house: House, zone: str, text: str, offset: int) -> None:
    at, clock = datetime.fromisoformat(text).replace(tzinfo=UTC), ZoneInfo(zone)
    house.desk.now = at - timedelta(seconds=1)
    _, (mail,) = house.desk.accept("anna@example.com")
    house.config_text += f'[dashboard]\ntime_zone = "{zone}"\n'
    bob, written = house.client("bob"), at + timedelta(minutes=offset)

    instant = json_time(at) or ""
    listed = _times(bob.get("/log?list=1").text)
    assert f"{written:%H:%M}" in listed[instant]
    assert f"{written.day} {written:%b}" in listed[instant].replace("March", "Mar")
    assert f"{written:%H:%M}" in _times(bob.get(f"/m/{mail.id}").text)[instant]
    (row,) = csv.DictReader(io.StringIO(bob.get("/log.csv").text))
    exported = datetime.fromisoformat(row["accepted"])
    assert (exported, exported.utcoffset()) == (at, timedelta(minutes=offset))
    assert _bars(house, clock, at) == [f"{written:%H}:00"]


def _times(page: str) -> dict[str, str]:
    """Give what is written for each instant of a page."""
    found: dict[str, str] = {}
    for instant, text in re.findall(r'<time datetime="([^"]+)"[^>]*>([^<]+)</time>', page):
        found[instant] = f"{found.get(instant, '')} {text}"
    return found


def _bars(house: House, clock: ZoneInfo, at: datetime) -> list[str]:
    """Name the bars of the chart in which there is anything, some hours later."""
    found = house.store.read_now(
        lambda tx: gather(
            tx, span="24h", counts=Counts(), tongue=Tongue("en", clock), disk=None, now=at + 5 * HOUR, apps=None,
            is_operator=True,
        )
    )  # fmt: skip
    return [bar.title for bar in found.bars if bar.total]
