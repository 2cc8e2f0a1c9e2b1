"""The sample messages of the demo: what three small businesses write to their guests.

Owns: reading the templates of samples/ (package data), filling in guest, booking and time in the guest's language, and
the MIME around them. One template is an old program's message, whose faults are kept: 8-bit Latin-1 without MIME
headers, no Date, no Message-ID. The names are invented, the domains end in .example, the telephone numbers are from
the British and French ranges kept for fiction. Nothing is random: the same arguments give the same bytes.
"""

from __future__ import annotations

import tomllib
from binascii import b2a_qp
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.header import Header
from email.utils import format_datetime, formataddr
from functools import cache
from importlib.resources import files
from string import Template

_DAYS = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "fi": ("maanantaina", "tiistaina", "keskiviikkona", "torstaina", "perjantaina", "lauantaina", "sunnuntaina"),
    "fr": ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    "nl": ("maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag"),
    "de": ("Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"),
}
#: How long before the guest comes a message is usually written.
_DAYS_BEFORE = {
    "confirmation": timedelta(days=12),
    "reminder": timedelta(days=1),
    "cancellation": timedelta(days=5),
}
_MONTHS = {
    "en": "January,February,March,April,May,June,July,August,September,October,November,December",
    "fr": "janvier,février,mars,avril,mai,juin,juillet,août,septembre,octobre,novembre,décembre",
    "nl": "januari,februari,maart,april,mei,juni,juli,augustus,september,oktober,november,december",
    "de": "Januar,Februar,März,April,Mai,Juni,Juli,August,September,Oktober,November,Dezember",
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
            kinds={
                "confirmed": "confirmation",
                "see you": "reminder",
                "cancelled": "cancellation",
                "bestätigt": "confirmation",
                "freuen uns": "reminder",
                "storniert": "cancellation",
            },
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
            kinds={
                "réservée": "confirmation",
                "rappel": "reminder",
                "annulation": "cancellation",
                "gereserveerd": "confirmation",
                "herinnering": "reminder",
                "geannuleerd": "cancellation",
            },
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One kind of message one business sends."""

    name: str
    language: str  #: en | fi | fr | nl | de
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
    customer: str = ""  #: number; "" = made from that of the booking


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A message ready to be sent."""

    mail_from: str
    recipients: tuple[str, ...]
    content: bytes  #: CRLF lines
    booking: str
    subject: str
    message_id: str  #: with <>; "" where the program writes none


@cache
def load() -> Mapping[str, Sample]:
    """Read the list of samples."""
    table = tomllib.loads(_template("samples.toml"))
    samples = (Sample(**{**entry, "parts": tuple(entry.get("parts", ()))}) for entry in table["sample"])
    return {sample.name: sample for sample in samples}


@cache
def _template(name: str) -> str:
    return files("relay.demo").joinpath("samples", name).read_text("utf-8")


def write(sample: Sample, guest: Guest, *, number: int, now: datetime, begins_at: datetime | None = None) -> Written:
    """Write a sample to a guest; `number` makes booking and Message-ID, `begins_at` is when the guest comes."""
    booking = sample.booking(number)
    start = begins_at or (now + _DAYS_BEFORE[sample.kind]).replace(hour=16, minute=0, second=0, microsecond=0)
    words = _words(sample, guest, booking=booking, now=now, start=start)
    words["customer"] = guest.customer or f"C{number:04d}"
    subject = Template(sample.subject).substitute(words)
    text = Template(_template(f"{sample.name}.txt")).substitute(words)
    message_id = "" if sample.is_old else f"<{number}.{sample.name}.{now:%Y%m%d%H%M%S%f}@{sample.business.domain}>"
    if sample.is_old:
        content = _old(sample, guest, subject=subject, text=text)
    else:
        head = {
            "From": _person(sample.business.title, sample.business.sender),
            "To": ",\r\n ".join(_person(guest.name, address) for address in guest.addresses),
            "Subject": _encoded(subject, len("Subject: ")),
            **{name: Template(value).substitute(words) for name, value in sample.headers.items()},
            "Date": format_datetime(now),
            "Message-ID": message_id,
            "MIME-Version": "1.0",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        content = lines.encode("ascii") + _body(sample, text=text, words=words, number=number)
    return Written(
        mail_from=sample.business.sender,
        recipients=tuple(guest.addresses),
        content=content,
        booking=booking,
        subject=subject,
        message_id=message_id,
    )


def _words(sample: Sample, guest: Guest, *, booking: str, now: datetime, start: datetime) -> dict[str, str]:
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
    if language == "de":
        return f"{weekday}, {day.day}. {_MONTHS['de'].split(',')[day.month - 1]} {day.year}"
    return f"{weekday} {day.day} {_MONTHS[language].split(',')[day.month - 1]} {day.year}"


def _person(name: str, address: str) -> str:
    return formataddr((name, address))


def _encoded(text: str, taken: int) -> str:
    return Header(text, "us-ascii" if text.isascii() else "utf-8", header_name=" " * taken).encode(linesep="\r\n")


def _body(sample: Sample, *, text: str, words: Mapping[str, str], number: int) -> bytes:
    """Write the parts by hand: the standard library takes 10 ms for it, and the demo's past holds 1,500 of them."""
    body = _part("text/plain; charset=utf-8", text)
    if "html" in sample.parts:
        html = Template(_template(f"{sample.name}.html")).substitute(words)
        body = _multipart("alternative", [body, _part("text/html; charset=utf-8", html)], boundary=f"=_{number}_1")
    if "ics" in sample.parts:
        calendar = Template(_template(f"{sample.name}.ics")).substitute(words)
        name = f"{words['booking'].replace(' ', '-')}.ics"
        kind = "text/calendar; charset=utf-8; method=PUBLISH"
        attached = _part(kind, calendar, f'Content-Disposition: attachment; filename="{name}"')
        body = _multipart("mixed", [body, attached], boundary=f"=_{number}_0")
    return body


def _part(kind: str, text: str, *more: str) -> bytes:
    head = [f"Content-Type: {kind}", "Content-Transfer-Encoding: quoted-printable", *more, "", ""]
    return "\r\n".join(head).encode("ascii") + b2a_qp(text.encode()).replace(b"\n", b"\r\n")


def _multipart(kind: str, parts: Sequence[bytes], *, boundary: str) -> bytes:
    def pieces() -> Iterator[bytes]:
        yield f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'.encode("ascii")
        for part in parts:
            yield f"--{boundary}\r\n".encode("ascii") + part + b"\r\n"
        yield f"--{boundary}--\r\n".encode("ascii")

    return b"".join(pieces())


def _old(sample: Sample, guest: Guest, *, subject: str, text: str) -> bytes:
    head = f"From: {sample.business.sender}\nTo: {', '.join(guest.addresses)}\nSubject: {subject}\n\n"
    return (head + text).replace("\n", "\r\n").encode("latin-1")
