"""Times as people write them on the command line: dates, clock times, ages. Pure; the present is given."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

import click

from relay.settings import parse_duration

_FORMS = "write 2026-03-01, 2026-03-01T14:30, today, yesterday, or an age such as 2h or 7d"


def read_time(text: str, *, now: datetime) -> datetime:
    """Read a time; without a zone it is this machine's own.

    Raises:
        click.BadParameter: it is none of the forms.
    """
    days_back = {"today": 0, "yesterday": 1}.get(text.lower())
    if days_back is not None:
        day = now.astimezone().date() - timedelta(days=days_back)
        return datetime.combine(day, time()).astimezone(UTC)
    try:
        return now - parse_duration(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f'"{text}" is no time: {_FORMS}') from error


def read_end(text: str, *, now: datetime) -> datetime:
    """Read a time to come: a span counts from now on, a date means its beginning.

    Raises:
        click.BadParameter: it is none of the forms, or past.
    """
    try:
        end = now + parse_duration(text)
    except (ValueError, OverflowError):
        end = read_time(text, now=now)
    if end <= now:
        raise click.BadParameter(f'"{text}" is past')
    return end


class Time(click.ParamType[datetime]):
    """An option whose value is a time."""

    name = "time"

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        return value if isinstance(value, datetime) else read_time(str(value), now=self._clock())


class End(click.ParamType[datetime]):
    """An option whose value is a time to come."""

    name = "time"

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        return value if isinstance(value, datetime) else read_end(str(value), now=self._clock())


class Span(click.ParamType[timedelta]):
    """An option whose value is a duration such as 30s."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        try:
            return parse_duration(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from error


def utc_now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)
