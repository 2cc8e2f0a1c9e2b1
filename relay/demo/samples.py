"""The sample messages of the demo: what three small businesses write to their guests.

Owns: reading the templates of samples/ (package data), filling in guest, booking and time in the guest's language, and
the MIME around them. One template is an old program's message, whose faults are kept: 8-bit Latin-1 without MIME
headers, no Date, no Message-ID. The names are invented, the domains end in .example, the telephone numbers are from
the British and French ranges kept for fiction. Nothing is random: the same arguments give the same bytes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cache
from importlib.resources import files
from string import Template

_DAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "fi": ("maanantaina", "tiistaina", "keskiviikkona", "torstaina", "perjantaina", "lauantaina", "sunnuntaina"),
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
}
_MONTHS = {
    "en": "January,February,March,April,May,June,July,August,September,October,November,December",
    "fr": "janvier,février,mars,avril,mai,juin,juillet,août,septembre,octobre,novembre,décembre",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Business:
    """Who writes: one app of the relay."""

    app: str
    title: str
    sender: str
    domain: str
    booking_pattern: str  #: as in the configuration: # stands for a digit
    kinds: Mapping[str, str]  #: as in the configuration: word of the subject -> kind


BUSINESSES: Mapping[str, Business] = {
    business.app: business
    for business in (
        Business(
            app="hotel",
            title="The Harbour Lantern",
            sender="desk@harbour-lantern.example",
            domain="harbour-lantern.example",
            booking_pattern="BK-#####",
            kinds={"confirmed": "confirmation", "see you": "reminder", "cancelled": "cancellation"},
        ),
        Business(
            app="salon",
            title="Kampaamo Kuura",
            sender="ajanvaraus@kampaamo-kuura.example",
            domain="kampaamo-kuura.example",
            booking_pattern="VN######",
            kinds={"vahvistus": "confirmation", "muistutus": "reminder", "peruttu": "cancellation"},
        ),
        Business(
            app="restaurant",
            title="La Table du Quai",
            sender="bonjour@table-du-quai.example",
            domain="table-du-quai.example",
            booking_pattern="RES ######",
            kinds={"réservée": "confirmation", "rappel": "reminder", "annulation": "cancellation"},
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One kind of message one business sends."""

    name: str
    language: str  #: en | fi | fr
    kind: str  #: confirmation | reminder | cancellation
    app: str  #: key of BUSINESSES
    subject: str
    parts: tuple[str, ...] = ()  #: beside the plain text: html, ics
    headers: Mapping[str, str] = field(default_factory=dict)
    is_old: bool = False

    @property
    def business(self) -> Business:
        """Who sends it."""
        return BUSINESSES[self.app]

    def booking(self, number: int) -> str:
        """Write a booking number as this business does."""
        digits = self.business.booking_pattern.count("#")
        return self.business.booking_pattern.rstrip("#") + f"{number:0{digits}d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """Who is written to."""

    name: str
    addresses: Sequence[str]  #: one message to all of them
    phone: str = "+44 1632 960 777"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A message ready to be sent."""

    mail_from: str
    recipients: tuple[str, ...]
    content: bytes  #: CRLF lines
    booking: str
    subject: str


@cache
def load() -> Mapping[str, Sample]:
    """Read the list of samples."""
    table = tomllib.loads(_template("samples.toml"))
    samples = (Sample(**{**entry, "parts": tuple(entry["parts"])}) for entry in table["sample"])
    return {sample.name: sample for sample in samples}


@cache
def _template(name: str) -> str:
    return files("relay.demo").joinpath("samples", name).read_text("utf-8")


def write(sample: Sample, guest: Guest, *, number: int, now: datetime) -> Written:
    """Write a sample to a guest; `number` makes booking and Message-ID."""
    booking = sample.booking(number)
    words = _words(sample, guest, booking=booking, now=now)
    words["customer"] = f"C{number:04d}"
    subject = Template(sample.subject).substitute(words)
    text = Template(_template(f"{sample.name}.txt")).substitute(words)
    if sample.is_old:
        content = _old(sample, guest, subject=subject, text=text)
    else:
        message = _message(sample, guest, subject=subject, text=text, words=words)
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{number}.{sample.name}.{now:%Y%m%d%H%M%S%f}@{sample.business.domain}>"
        for count, part in enumerate(part for part in message.walk() if part.is_multipart()):
            part.set_boundary(f"=_{number}_{count}")
        content = message.as_bytes()
    return Written(
        mail_from=sample.business.sender,
        recipients=tuple(guest.addresses),
        content=content,
        booking=booking,
        subject=subject,
    )


def _words(sample: Sample, guest: Guest, *, booking: str, now: datetime) -> dict[str, str]:
    days = {"confirmation": 12, "reminder": 1, "cancellation": 5}[sample.kind]
    start = (now + timedelta(days=days)).replace(hour=16, minute=0, second=0, microsecond=0)
    end = start + (timedelta(days=2) if sample.app == "hotel" else timedelta(hours=1))
    return {
        "guest": guest.name,
        "phone": guest.phone,
        "booking": booking,
        "day": _day(start, sample.language),
        "time": f"{start:%H.%M}" if sample.language == "fi" else f"{start:%H:%M}",
        "start": start.isoformat(),
        "end": end.isoformat(),
        "start_utc": f"{start.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        "end_utc": f"{end.astimezone(UTC):%Y%m%dT%H%M%SZ}",
        "stamp_utc": f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}",
    }


def _day(day: datetime, language: str) -> str:
    weekday = _DAYS[language][day.weekday()]
    if language == "fi":
        return f"{weekday} {day.day}.{day.month}.{day.year}"
    return f"{weekday} {day.day} {_MONTHS[language].split(',')[day.month - 1]} {day.year}"


def _message(sample: Sample, guest: Guest, *, subject: str, text: str, words: Mapping[str, str]) -> EmailMessage:
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = Address(sample.business.title, addr_spec=sample.business.sender)
    message["To"] = [Address(guest.name, addr_spec=address) for address in guest.addresses]
    message["Subject"] = subject
    for name, value in sample.headers.items():
        message[name] = Template(value).substitute(words)
    message.set_content(text)
    if "html" in sample.parts:
        message.add_alternative(Template(_template(f"{sample.name}.html")).substitute(words), subtype="html")
    if "ics" in sample.parts:
        calendar = Template(_template(f"{sample.name}.ics")).substitute(words).replace("\n", "\r\n")
        message.add_attachment(
            calendar,
            subtype="calendar",
            filename=f"{words['booking'].replace(' ', '-')}.ics",
            params={"method": "PUBLISH"},
        )
    return message


def _old(sample: Sample, guest: Guest, *, subject: str, text: str) -> bytes:
    head = f"From: {sample.business.sender}\nTo: {', '.join(guest.addresses)}\nSubject: {subject}\n\n"
    return (head + text).replace("\n", "\r\n").encode("latin-1")
