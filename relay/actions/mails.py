"""Mails as people count them: one for each recipient, with its resends in it.

A resend is a delivery of its own, but for the desk it is the same mail: it keeps the date on which it was originally
sent, and stands where its newest copy stands (mission 001.4, 001.7).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from relay.model import DeliveryId
from relay.status import FAILED, OPEN, Status
from relay.store.log import LogRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail to one recipient, whatever was sent again of it."""

    original: LogRow
    newest: LogRow  #: the original itself when nothing was sent again
    ids: tuple[DeliveryId, ...]  #: of all its deliveries

    @property
    def seq(self) -> int:
        """Its place in the log."""
        return self.original.seq

    @property
    def status(self) -> Status:
        return self.newest.status

    @property
    def is_resent(self) -> bool:
        return self.newest.id != self.original.id

    @property
    def is_received(self) -> bool:
        """Tell whether the recipient's server confirmed it and did not send it back: the only green."""
        return self.status is Status.DELIVERED

    @property
    def is_pending(self) -> bool:
        return self.status in OPEN or self.status is Status.SENT

    @property
    def is_undelivered(self) -> bool:
        """Tell whether it ended without arriving, by nobody's wish."""
        return self.status in FAILED or self.status is Status.SUPPRESSED

    @property
    def is_opened(self) -> bool:
        return any(mark in {"opened", "clicked"} for mark in (*self.original.marks, *self.newest.marks))


def mails(rows: Iterable[LogRow]) -> list[Mail]:
    """Put deliveries and their resends together; the order is that of the originals, oldest first."""
    families: dict[str, list[LogRow]] = {}
    for row in sorted(rows, key=lambda row: row.seq):
        families.setdefault(row.resend_of or row.id, []).append(row)
    found = [
        Mail(original=family[0], newest=family[-1], ids=tuple(row.id for row in family)) for family in families.values()
    ]
    return sorted(found, key=lambda mail: mail.seq)
