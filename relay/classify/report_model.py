"""What a returned mail says, as frozen values; report.py makes them and explains when which kind is said. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from relay.model import Blame, Category, ReplyClass


class ReportKind(StrEnum):
    """What a returned mail is; only a bounce may count against an address."""

    BOUNCE = "bounce"
    COMPLAINT = "complaint"
    AUTO_REPLY = "auto-reply"  #: out of office, read receipts, and challenges that ask to confirm
    DELAY = "delay"
    DELIVERED = "delivered"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedRecipient:
    """What a report says about one recipient."""

    address: str | None  #: the address it was about; None when only our token can tell
    original: str | None = None  #: the address before it was forwarded, when the report says so
    reply_class: ReplyClass | None = None  #: None unless it is a bounce or a delay
    category: Category | None = None
    blame: Blame | None = None
    rule: str | None = None
    status: str | None = None  #: enhanced code, as the report states it
    action: str | None = None  #: failed | delayed | delivered | relayed | expanded
    reply: str = ""  #: the SMTP reply inside, else the sentence that gives the reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A returned mail, read."""

    kind: ReportKind
    recipients: tuple[ReportedRecipient, ...] = ()
    return_token_candidates: tuple[str, ...] = ()  #: local parts under which the returned mail may have left us
    original_message_id: str | None = None  #: with its brackets
    original_recipients: tuple[str, ...] = ()  #: To of the returned mail: finds our delivery, says nothing about it
    feedback_type: str | None = None  #: of a complaint: abuse, fraud, opt-out …
    text: str = ""  #: what the report says to people, without the mail it returns
