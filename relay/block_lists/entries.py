"""What a list of blocked addresses consists of: formats, raw records, and what each of them came to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from relay.errors import RelayError
from relay.model import Suppression

Cell = str | int | float

_NOT_IN_A_NAME = re.compile("[^a-z0-9]")


class Format(StrEnum):
    """Whose list it is."""

    WAYBILL = "waybill"  #: our own export, or any table with a column of addresses
    SES = "ses"
    POSTMARK = "postmark"
    SENDGRID = "sendgrid"
    MAILGUN = "mailgun"
    POSTAL = "postal"


class UnknownFormat(RelayError):
    """Nobody can tell whose list that is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One entry as it stands in the file."""

    line: int  #: where it begins
    values: Mapping[str, Cell]  #: by the name of the column, letters and digits only, in lower case
    is_table: bool  #: from CSV, where cells may bear a guard against spreadsheets

    def text(self, *names: str) -> str:
        """Give the first of these cells that holds something."""
        for name in names:
            found = str(self.values.get(name, "")).strip()
            if found:
                return found
        return ""

    def cell(self, name: str) -> str:
        """Give a cell exactly as it is."""
        return str(self.values.get(name, ""))


@dataclass(frozen=True, slots=True)
class Found:
    """An entry that is a block."""

    line: int
    suppression: Suppression


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An entry that is none for us, and why."""

    line: int
    address: str
    why: str  #: the same words for the same reason, so that they can be counted


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that cannot be read."""

    line: int
    text: str


Result = Found | LeftOut | Bad


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is known beside the file's lines."""

    now: datetime
    by: str = ""  #: who imports it
    name: str = ""  #: of the file, in lower case: some lists of one provider differ in nothing else
    app: str | None = None  #: for which app it shall hold, when the file does not say


def column(name: str) -> str:
    """Reduce the name of a column to what all spellings share: "Email Address", "email_address", "EmailAddress"."""
    return _NOT_IN_A_NAME.sub("", name.lower())
