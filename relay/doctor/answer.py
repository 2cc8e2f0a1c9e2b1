"""What DNS said to one question, as plain texts, and how a record is written down for pasting. Pure values.

The checks know DNS only through `Ask`, so that a test can give them any answer; world.py makes one of the resolver.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, ip_address

#: One string of a TXT record holds at most 255 octets.
_STRING = 250


class Said(StrEnum):
    """How a question ended."""

    FOUND = "found"
    NODATA = "nodata"  #: the name exists and has no such record
    NXDOMAIN = "nxdomain"  #: the name does not exist
    FAILED = "failed"  #: nobody gave an answer


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one question."""

    said: Said
    texts: tuple[str, ...] = ()  #: TXT: its strings joined; MX, PTR: host names; A, AAAA: addresses
    why: str = ""  #: why it failed, in words

    @property
    def is_missing(self) -> bool:
        """True when DNS says that there is no such record."""
        return self.said in (Said.NODATA, Said.NXDOMAIN)

    @property
    def is_failed(self) -> bool:
        """True when nothing is known."""
        return self.said is Said.FAILED


#: Asks for the records of one kind of a name; never raises for what DNS says.
Ask = Callable[[str, str], Awaitable[Answer]]


def txt_record(name: str, text: str) -> str:
    """Write a TXT record as it stands in a zone file."""
    parts = [text[at : at + _STRING] for at in range(0, len(text), _STRING)]
    return f"{name}. IN TXT " + " ".join(f'"{part}"' for part in parts)


def address_record(name: str, ip: str) -> str:
    """Write the A or AAAA record of a name."""
    return f"{name}. IN {kind_of(ip)} {ip}"


def kind_of(ip: str) -> str:
    """Name the kind of record that holds such an address."""
    return "A" if isinstance(ip_address(ip), IPv4Address) else "AAAA"


def reverse_name(ip: str) -> str:
    """Give the name whose PTR record names an address."""
    return ip_address(ip).reverse_pointer
