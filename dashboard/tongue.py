"""One reader's language, clock and number forms.

The source text is English and is its own message id; the catalogues of the other languages are locale/XX/waybill.po.
Dates, numbers and plurals come from the CLDR by Babel. A text that has no translation is shown in English: a page in
two languages is better than an empty one.
"""

from __future__ import annotations

import gettext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from importlib.resources import files
from io import BytesIO
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale, negotiate_locale
from babel.dates import format_date, format_skeleton, format_time, format_timedelta
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from babel.units import format_unit

from dashboard.retelling import Retelling

#: Code -> its own name, in the order of the language menu. en is the source.
LANGUAGES = {"en": "English", "fi": "Suomi", "fr": "Français", "nl": "Nederlands", "de": "Deutsch"}

#: English as it is written in Europe: day before month, 24 hours.
_LOCALES = {"en": "en_GB"}


#: The comment in the catalogues at what is kept in English, worded by relay.wording.say.
RELAY = "relay"


@cache
def _read(code: str) -> Catalog:
    source = files("dashboard").joinpath(f"locale/{code}/waybill.po")
    if code == "en" or not source.is_file():
        return Catalog()
    with source.open("rb") as file:
        return read_po(file, locale=code)


@cache
def _catalogue(code: str) -> gettext.NullTranslations:
    if code == "en":
        return gettext.NullTranslations()
    compiled = BytesIO()
    write_mo(compiled, _read(code))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


@cache
def _retelling(code: str) -> Retelling:
    said = (message for message in _read(code) if RELAY in message.auto_comments and message.string)
    return Retelling({str(message.id): str(message.string) for message in said})


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


def zone_of(name: str) -> tzinfo:
    """Give the time zone of that name; UTC for one that does not exist."""
    return ZoneInfo(name) if name in _zone_names() else UTC


def choose(wanted: str, accepted: str, fallback: str = "en") -> str:
    """Choose a language: the person's own setting, else the browser's first that we speak, else the fallback."""
    if wanted in LANGUAGES:
        return wanted
    asked = [part.split(";")[0].strip().replace("-", "_") for part in accepted[:200].split(",")]
    found = negotiate_locale([one for one in asked if one], list(LANGUAGES))
    return found if found in LANGUAGES else fallback


@dataclass(frozen=True, slots=True)
class Tongue:
    """How one reader is spoken to."""

    code: str  #: a key of LANGUAGES
    zone: tzinfo = UTC

    @property
    def locale(self) -> Locale:
        return Locale.parse(_LOCALES.get(self.code, self.code))

    @property
    def zone_name(self) -> str:
        """Name the clock that all times of a page are told by."""
        return getattr(self.zone, "key", None) or "UTC"

    def text(self, source: str) -> str:
        """Translate a text."""
        return _catalogue(self.code).gettext(source) if source else ""

    def told(self, said: str) -> str:
        """Translate what the relay said, values and all."""
        return _retelling(self.code).tell(said, self.moment)

    def plural(self, one: str, many: str, n: int) -> str:
        """Translate a text that depends on a number."""
        return _catalogue(self.code).ngettext(one, many, n)

    def local(self, when: datetime) -> datetime:
        """Give the moment on the reader's clock."""
        return when.astimezone(self.zone)

    def moment(self, when: datetime, *, now: datetime | None = None) -> str:
        """Write date and time: "21 Nov 2026 16:02"; the year is left out when it is that of `now`."""
        local = self.local(when)
        if now is not None and local.year == self.local(now).year:
            day = format_skeleton("MMMd", local, tzinfo=None, locale=self.locale)
        else:
            day = format_date(local, "medium", locale=self.locale)
        return f"{day} {format_time(local, 'HH:mm', locale=self.locale)}"

    def soon(self, when: datetime, now: datetime) -> str:
        """Write a time that is near: "16:02" today, else with its date."""
        local = self.local(when)
        if local.date() == self.local(now).date():
            return format_time(local, "HH:mm", locale=self.locale)
        return self.moment(when, now=now)

    def day(self, when: datetime) -> str:
        """Write the date: "21 November 2026"."""
        return format_date(self.local(when), "long", locale=self.locale)

    def clock(self, when: datetime) -> str:
        """Write the time to the second: "16:02:09"."""
        return format_time(self.local(when), "HH:mm:ss", locale=self.locale)

    def span(self, value: timedelta) -> str:
        """Say how long, in one unit: "3 hours"."""
        return format_timedelta(value, threshold=1.2, locale=self.locale)

    def spell(self, count: float, unit: str) -> str:
        """Write so many of a unit of time as they are: "90 seconds"."""
        return format_unit(count, f"duration-{unit}", locale=self.locale)

    def ago(self, when: datetime, now: datetime) -> str:
        """Say how long ago, or in how long: "20 seconds ago"."""
        return format_timedelta(when - now, add_direction=True, threshold=1.2, locale=self.locale)

    def number(self, value: float) -> str:
        """Write a number with the language's own separators."""
        return format_decimal(value, locale=self.locale)

    def percent(self, value: float) -> str:
        """Write a share between 0 and 1 with one decimal; what is not whole never shows as 100 %."""
        shown = value if value in (0, 1) else min(max(value, 0.001), 0.999)
        return format_percent(shown, format="#,##0.#\u00a0%", locale=self.locale)

    def size(self, count: int) -> str:
        """Write a size in the unit that people know."""
        for unit, size in (("GB", 1000**3), ("MB", 1000**2), ("kB", 1000)):
            if count >= size:
                return f"{format_decimal(round(count / size, 1), locale=self.locale)}\u00a0{unit}"
        return f"{count}\u00a0B"
