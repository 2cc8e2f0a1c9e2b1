"""What a search of the log asks for: one frozen value, whoever asks; pure.

Every part given must fit; of a part that holds several values (`status`, `category`, `domain`) any one does. `apps` is
the scope of whoever asks: what other apps handed in does not exist for them, whatever else they ask for. How a part
becomes SQL is log_where.py.

Words of one or two letters would be part of nearly everything, so they must begin a word: of the address, the name,
the subject, the booking …; longer ones may stand anywhere.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime

from relay.address import address_key
from relay.model import Category
from relay.status import Group, Status
from relay.store.text import fold


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What `waybill log` and the pages look for; every part given must fit."""

    words: tuple[
        str, ...
    ] = ()  #: each a part of address, name, subject, booking, customer, phone, id, Message-ID, From
    without: tuple[str, ...] = ()  #: none of these, looked for in the same places
    to: str | tuple[str, ...] | None = None  #: part of the recipient's address (also the intended one) or name
    name: tuple[str, ...] = ()  #: parts of the recipient's name
    subject: tuple[str, ...] = ()  #: parts of the subject
    sender: tuple[str, ...] = ()  #: parts of the address or name of the From: header
    address: str | None = None  #: the whole address, in any case of letters
    redirected_from: str | None = None  #: the whole address that the app gave, before a redirect changed it
    booking: str | None = None  #: the whole booking, spelled in any way
    customer: str | None = None  #: the whole customer number, spelled in any way
    status: tuple[Status, ...] = ()  #: any of these
    groups: tuple[Group, ...] = ()  #: or any of these, as people count them
    not_status: tuple[Status, ...] = ()
    app: str | None = None
    apps: tuple[str, ...] | None = None  #: the scope of whoever asks: only mail of these apps; None = of all
    not_app: tuple[str, ...] = ()
    domain: tuple[str, ...] = ()  #: recipient domains, each whole and as lower-case A-label
    not_domain: tuple[str, ...] = ()
    category: tuple[Category, ...] = ()
    kind: str | None = None  #: what kind of mail, in any case of letters
    code: int | None = None  #: SMTP code of the last answer, or its first digit alone
    marks: tuple[str, ...] = ()  #: all of opened, clicked, spam, auto_reply that are named
    is_resent: bool | None = None  #: only what a person sent again, or only what came from the app
    since: datetime | None = None
    until: datetime | None = None
    archived: bool | None = None  #: only the archive, or only what is not in it; then `now` is needed
    now: datetime | None = None
    before: int | None = None  #: `seq` of the last row of the page before: only older rows
    since_seq: int | None = None  #: only newer rows; with `oldest_first` the way back to newer pages
    oldest_first: bool = False
    limit: int = 50

    @property
    def to_parts(self) -> tuple[str, ...]:
        """What the recipient must contain, each in the form that is compared."""
        parts = (self.to,) if isinstance(self.to, str) else self.to or ()
        return tuple(_needle(part) for part in parts if part)

    def needles(self) -> list[str]:
        """The folded texts that a fitting row must hold somewhere."""
        parts = (*self.words, *self.name, *self.subject, *self.sender)
        return [*(fold(part) for part in parts if part), *self.to_parts]

    @property
    def has_key(self) -> bool:
        """True when an index leads to a handful of rows: one address, booking or customer."""
        return bool(self.address is not None or self.booking or self.customer or self.redirected_from is not None)

    @property
    def archive_ends(self) -> datetime:
        """Everything originally accepted before this is the archive."""
        if self.now is None:
            raise ValueError("what is archived depends on the time: give `now`")
        return month_before(self.now)


def month_before(moment: datetime) -> datetime:
    """Go back one calendar month; from a day that month does not have, to its last."""
    year, month = (moment.year, moment.month - 1) if moment.month > 1 else (moment.year - 1, 12)
    return moment.replace(year=year, month=month, day=min(moment.day, monthrange(year, month)[1]))


def _needle(to: str) -> str:
    """An address is looked for in the form that is compared, a part of one as it is."""
    return address_key(to) if "@" in to and not to.isascii() else fold(to)
