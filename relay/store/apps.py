"""What the mail of late says about the apps that hand it to us: how much, of what kind, mended how, refused why.

Reads only the newest messages and refusals, whatever the size of the store; of an app that was silent for longer
nothing is known here.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from relay.model import MessageId
from relay.store.protocols import Row, Tx

#: How many of an app's newest messages tell about it.
EACH = 200
#: Among how many of the newest of all they are looked for.
AMONG = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentMail:
    """One message of an app."""

    id: MessageId
    accepted_at: datetime
    subject: str
    booking: str | None
    kind: str | None
    repairs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppUse:
    """What an app's newest messages say about it."""

    mails: tuple[RecentMail, ...] = ()  #: the newest first

    @property
    def last_at(self) -> datetime | None:
        return self.mails[0].accepted_at if self.mails else None

    @property
    def with_booking(self) -> int:
        return sum(mail.booking is not None for mail in self.mails)

    @property
    def coverage(self) -> float | None:
        """Which part carries a booking; None without any mail."""
        return self.with_booking / len(self.mails) if self.mails else None

    @property
    def kinds(self) -> list[tuple[str, int]]:
        """Kinds with their numbers, the most first; "" for mail of none."""
        return Counter(mail.kind or "" for mail in self.mails).most_common()

    @property
    def repairs(self) -> list[tuple[str, int]]:
        """What was mended, in how many messages."""
        return Counter(word for mail in self.mails for word in mail.repairs).most_common()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """How often an app's mail was refused for one reason."""

    app: str | None  #: None: nobody knows whose it was
    reason: str
    count: int
    last_at: datetime


def recent(tx: Tx, *, each: int = EACH) -> dict[str, AppUse]:
    """Say what the newest messages tell about every app that sent any."""
    found: dict[str, list[RecentMail]] = {}
    for row in tx.rows("apps.recent", {"among": AMONG, "each": each, "app": None}):
        found.setdefault(row["app"], []).append(_mail(row))
    return {app: AppUse(mails=tuple(mails)) for app, mails in found.items()}


def of_app(tx: Tx, app: str, *, each: int = EACH) -> AppUse:
    """Say what the newest messages tell about one app."""
    rows = tx.rows("apps.recent", {"among": AMONG, "each": each, "app": app})
    return AppUse(mails=tuple(_mail(row) for row in rows))


def refused(tx: Tx, *, since: datetime) -> list[Refused]:
    """Count what was refused since a time, by app and reason, the most first."""
    return [Refused(**row) for row in tx.rows("apps.refused", {"among": AMONG, "since": since})]


def _mail(row: Row) -> RecentMail:
    return RecentMail(
        id=row["id"],
        accepted_at=row["accepted_at"],
        subject=row["subject"],
        booking=row["booking"],
        kind=row["kind"],
        repairs=tuple(row["repairs"].split()),
    )
