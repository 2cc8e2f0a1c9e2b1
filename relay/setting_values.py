"""The values of settings as they are written, and what they mean: durations, sizes, addresses, rates, hashes.

Each `parse_…` reads one way of writing or says, in words for whoever wrote it, how it should look; the types below them
are those that the sections of settings.py name. No file is read here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict

#: What every section is: unknown keys are errors, values never change.
SECTION = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

Network = IPv4Network | IPv6Network

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"": 1, "B": 1, "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3, "KB": 1000, "MB": 1000**2, "GB": 1000**3}


def parse_duration(value: object) -> timedelta:
    """Read "30s", "5m", "2h", "5d" (a sum such as "1h30m" too).

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, timedelta):
        return value
    text = value.strip() if isinstance(value, str) else ""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
    if not parts or "".join(n + u for n, u in parts) != text.replace(" ", ""):
        raise ValueError('write a duration such as "30s", "5m", "2h" or "5d"')
    return timedelta(seconds=sum(float(n) * _UNITS[u] for n, u in parts))


def parse_size(value: object) -> int:
    """Read "25MiB", "64KiB", "10MB" or a plain number of bytes.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", value) if isinstance(value, str) else None
    if match is None or match[2].upper() not in _SIZES:
        raise ValueError('write a size such as "25MiB" or "64KiB"')
    return int(float(match[1]) * _SIZES[match[2].upper()])


def parse_address(value: object) -> HostPort:
    """Read "127.0.0.1:2525", "[::1]:25" or "mail.example.com:587".

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, HostPort):
        return value
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:\s]*)):(\d{1,5})", value) if isinstance(value, str) else None
    if match is None or int(match[3]) > 65535:
        raise ValueError('write an address such as "127.0.0.1:2525" or "[::1]:25"')
    return HostPort(match[1] or match[2] or "0.0.0.0", int(match[3]))


def parse_rate(value: object) -> Rate:
    """Read "100/1m", "10/s", "5000/1h": so many in so much time.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, Rate):
        return value
    match = re.fullmatch(r"\s*(\d+)\s*/\s*(\d*(?:ms|s|m|h|d))\s*", value) if isinstance(value, str) else None
    if match is None or int(match[1]) < 1:
        raise ValueError('write a rate such as "100/1m" or "10/s"')
    per = match[2] if match[2][0].isdigit() else "1" + match[2]
    return Rate(int(match[1]), parse_duration(per))


def parse_keep(value: object) -> timedelta | None:
    """Read a duration of a day and more, or "forever" (None).

    Raises:
        ValueError: it is neither.
    """
    if value is None or value == "forever":
        return None
    found = parse_duration(value)
    if found < timedelta(days=1):
        raise ValueError('write at least "1d", or "forever"')
    return found


def parse_deadline(value: object) -> timedelta | str | None:
    """Read "event", "none", or a duration above zero.

    Raises:
        ValueError: it is none of these.
    """
    if value is None or value in ("event", "none"):
        return value if isinstance(value, str) else None
    try:
        found = parse_duration(value)
    except ValueError:
        found = timedelta(0)
    if found <= timedelta(0):
        raise ValueError('write a duration such as "48h", or "event", or "none"')
    return found


def parse_booking_url(value: object) -> str:
    """Read the address of a booking in the app's own pages, with {ref} where its number goes.

    Raises:
        ValueError: it is no such address.
    """
    text = value.strip() if isinstance(value, str) else ""
    if "{ref}" not in text:
        raise ValueError('write {ref} where the number goes, as in "https://booking.example/b/{ref}"')
    match = re.fullmatch(r"https?://([A-Za-z0-9.:\[\]-]+)(?:[/?][!-~]*)?", text, re.IGNORECASE)
    if match is None:
        raise ValueError('write an address such as "https://booking.example/b/{ref}", with {ref} behind the host')
    if re.search(r"[{}<>\"\\`]", text.replace("{ref}", "")):
        raise ValueError("the only thing in braces is {ref}, and no quotes or angle brackets stand in an address")
    return text


_HASH = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,172}\Z")
NO_HASH = 'that is no hash we can check; make one with "waybill app password"'


def is_password_hash(text: str) -> bool:
    """Tell whether the text is a hash that a login can be checked against."""
    match = _HASH.match(text)
    return match is not None and 1 <= int(match[1]) <= 20 and 1 <= int(match[2]) <= 32 and 1 <= int(match[3]) <= 16


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host (name or IP) and a port; prints as it is written in the configuration."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so much time."""

    count: int
    per: timedelta

    def __str__(self) -> str:
        return f"{self.count}/{self.per.total_seconds():g}s"


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Deadline = Annotated[timedelta | Literal["event", "none"] | None, BeforeValidator(parse_deadline)]
Keep = Annotated[timedelta | None, BeforeValidator(parse_keep)]
Size = Annotated[int, BeforeValidator(parse_size)]
Address = Annotated[HostPort, BeforeValidator(parse_address)]
BookingUrl = Annotated[str, BeforeValidator(parse_booking_url)]
RateValue = Annotated[Rate, BeforeValidator(parse_rate)]


def is_loopback_host(host: str) -> bool:
    """Tell whether only this machine reaches what listens there."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
