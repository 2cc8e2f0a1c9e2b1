"""A delivery as the log shows it, from the row that filters.py asks for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from relay.model import Blame, Category, DeliveryId, MessageId
from relay.moments import json_time
from relay.status import Status
from relay.store.protocols import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """One delivery as the log shows it."""

    seq: int  #: its place in the log; `Query.before` takes that of a page's last row
    id: DeliveryId
    message: MessageId
    accepted_at: datetime  #: when the message came; for a resend too
    created_at: datetime  #: when this delivery came to be
    app: str
    sender: str  #: address of the From: header
    to: str  #: as in RCPT
    name: str
    subject: str
    booking: str | None
    customer: str | None
    kind: str | None
    status: Status
    category: Category | None
    blame: Blame | None
    rule: str | None
    attempts: int
    mx: str | None
    code: int | None
    enhanced: str | None
    reply: str | None
    next_at: datetime | None  #: None once ended, and while it is being tried
    held: str | None
    marks: tuple[str, ...]
    delivered_at: datetime | None
    ended_at: datetime | None
    resend_of: DeliveryId | None
    form: str
    intended: str | None  #: the address the app gave, where the mail goes to another
    is_unknown: bool
    duplicate_of: MessageId | None
    size: int
    expires_at: datetime | None  #: its deadline: nothing of it is delivered after that

    def as_json(self) -> dict[str, object]:
        """The keys of `waybill log --json`, always all of them; times in RFC 3339 with Z."""
        return {
            "id": self.id,
            "message": self.message,
            "accepted_at": json_time(self.accepted_at),
            "app": self.app,
            "from": self.sender,
            "to": self.to,
            "subject": self.subject,
            "booking": self.booking,
            "kind": self.kind,
            "status": self.status.value,
            "category": self.category.value if self.category else None,
            "blame": self.blame.value if self.blame else None,
            "attempts": self.attempts,
            "mx": self.mx,
            "code": self.code,
            "enhanced": self.enhanced,
            "reply": self.reply,
            "next_at": json_time(self.next_at),
            "marks": list(self.marks),
            "intended": self.intended,
            "resend_of": self.resend_of,
            "delivered_at": json_time(self.delivered_at),
            "expires_at": json_time(self.expires_at),
        }


def log_rows(found: Iterable[Row]) -> list[LogRow]:
    """Read rows of the log."""
    return [_log_row(row) for row in found]


def _log_row(row: Row) -> LogRow:
    values = dict(row)
    values["sender"] = values.pop("header_from")
    values["to"] = values.pop("address")
    values["status"] = Status(values["status"])
    values["category"] = Category(values["category"]) if values["category"] else None
    values["blame"] = Blame(values["blame"]) if values["blame"] else None
    values["marks"] = tuple(values["marks"].split())
    values["is_unknown"] = bool(values["is_unknown"])
    return LogRow(**values)
