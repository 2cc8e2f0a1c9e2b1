"""Returned mail at rest: whose delivery it is about, kept once, and let to do what it says in the same transaction.

Only a report whose delivery was found by a token of ours can say that a mail did not arrive. A feedback loop may also
name the mail by its Message-ID, which is enough for a complaint; a bounce found so is kept for a person and changes
nothing. The same mail for the same delivery counts once, however often it is brought.

The content is kept under the report's id, unless its app wants no contents kept and the report was understood. What a
report does to its delivery stands in report_effects.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from relay import endings
from relay.address import address_key
from relay.classify.report_model import Report, ReportedRecipient, ReportKind
from relay.model import Category, DeliveryId, MessageId, ReplyClass, Submission
from relay.settings import IncidentSettings, Suppressions
from relay.status import Status
from relay.store import content, report_effects, spool
from relay.store.content import Packed
from relay.store.protocols import Row, Tx, Value
from relay.store.report_effects import Case

_DEFAULTS = Suppressions()
_INCIDENT_DEFAULTS = IncidentSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the store says of the delivery that a token stands for."""

    created_at: datetime
    report_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnedMail:
    """One mail that came back, read."""

    id: str
    at: datetime
    digest: str  #: the same for the same mail about the same delivery
    report: Report
    packed: Packed
    delivery_id: DeliveryId | None  #: whose token it came to or holds; None: only a Message-ID can tell
    mail_from: str = ""
    subject: str = ""
    since: datetime  #: mail older than this does not come back any more
    forward: Submission | None = None  #: the copy to be sent on, if it turns out to be a bounce of ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of a returned mail."""

    is_new: bool  #: False: it had come before
    is_read: bool
    found_by: str = ""  #: token | message_id | ""
    delivery_id: DeliveryId | None = None
    address: str = ""
    status: Status | None = None  #: where the delivery stands now
    category: Category | None = None
    is_forwarded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """One stored report."""

    id: str
    at: datetime
    kind: ReportKind
    found_by: str
    is_read: bool
    delivery_id: DeliveryId | None
    message_id: MessageId | None
    address: str | None
    reply_class: ReplyClass | None
    category: Category | None
    rule: str | None
    status: str | None
    reply: str
    mail_from: str
    subject: str


def known(tx: Tx, delivery_id: DeliveryId) -> Known | None:
    """Say what is known of a delivery that something comes back for; None: it was never there, or is forgotten."""
    row = tx.one("reports.known", {"id": delivery_id})
    return Known(created_at=row["created_at"], report_count=row["reports"]) if row else None


def take(
    tx: Tx, mail: ReturnedMail, *, settings: Suppressions = _DEFAULTS, incident: IncidentSettings = _INCIDENT_DEFAULTS
) -> Taken:
    """Keep a returned mail and let it do what it says."""
    subject, found_by = _subject(tx, mail)
    said = _said(mail.report, subject["address"] if subject else None)
    is_read = subject is not None and _is_understood(mail.report, found_by)
    if not _insert(tx, mail, subject, said, found_by=found_by, is_read=is_read):
        return Taken(is_new=False, is_read=is_read, found_by=found_by)
    if subject is None or not is_read or subject["store_content"] == "all":
        content.put(tx, mail.id, mail.packed)
    if subject is None:
        return Taken(is_new=True, is_read=False)
    case = Case(
        report_id=mail.id,
        at=mail.at,
        report=mail.report,
        subject=subject,
        said=said,
        title=mail.subject,
        settings=settings,
        incident=incident,
    )
    if is_read:
        report_effects.apply(tx, case)
    else:
        report_effects.note_unread(tx, case)
    is_forwarded = is_read and mail.forward is not None and mail.report.kind is ReportKind.BOUNCE
    if is_forwarded and mail.forward is not None:
        spool.accept(tx, mail.forward)
    now = tx.rows("reports.subject", {"id": subject["id"]})[0]
    return Taken(
        is_new=True,
        is_read=is_read,
        found_by=found_by,
        delivery_id=DeliveryId(subject["id"]),
        address=subject["address"],
        status=Status(now["status"]),
        category=said.category,
        is_forwarded=is_forwarded,
    )


def get(tx: Tx, an_id: str) -> list[ReportRow]:
    """The report of this id, or all reports about this delivery or message, oldest first."""
    params: dict[str, Value] = {"id": an_id}
    for statement in ("reports.get", "reports.of_delivery", "reports.of_message"):
        found = tx.rows(statement, params)
        if found:
            return [_row(row) for row in found]
    return []


def unread(tx: Tx, *, limit: int = 50) -> list[ReportRow]:
    """What a person has to look at, newest first."""
    return [_row(row) for row in tx.rows("reports.unread", {"limit": limit})]


def newest(tx: Tx, *, limit: int = 50) -> list[ReportRow]:
    """What came back last."""
    return [_row(row) for row in tx.rows("reports.newest", {"limit": limit})]


def close(tx: Tx, report_id: str) -> bool:
    """Count a report as looked at; False when it was already."""
    return tx.run("reports.close", {"id": report_id}) == 1


def _row(row: Row) -> ReportRow:
    return ReportRow(
        id=row["id"],
        at=row["at"],
        kind=ReportKind(row["kind"]),
        found_by=row["found_by"],
        is_read=bool(row["is_read"]),
        delivery_id=row["delivery_id"],
        message_id=row["message_id"],
        address=row["address"],
        reply_class=ReplyClass(row["class"]) if row["class"] else None,
        category=Category(row["category"]) if row["category"] else None,
        rule=row["rule"],
        status=row["status"],
        reply=row["reply"],
        mail_from=row["mail_from"],
        subject=row["subject"],
    )


# -- whose it is, and what it says


def _subject(tx: Tx, mail: ReturnedMail) -> tuple[Row | None, str]:
    """Find the delivery it is about, and say by what."""
    found_by, delivery_id = "token", mail.delivery_id
    if delivery_id is None:
        found_by, delivery_id = "message_id", _by_message_id(tx, mail)
    row = tx.one("reports.subject", {"id": delivery_id}) if delivery_id is not None else None
    return row, found_by if row is not None else ""


def _by_message_id(tx: Tx, mail: ReturnedMail) -> DeliveryId | None:
    """Find the delivery by the Message-ID of what came back; its recipient must be named, or be the only one."""
    report = mail.report
    if not report.original_message_id:
        return None
    params: dict[str, Value] = {"message_id": report.original_message_id, "since": mail.since}
    candidates = tx.rows("reports.by_message_id", params)
    named = {address_key(address) for address in _named(report)}
    fitting = [row for row in candidates if row["address_key"] in named]
    if fitting:
        return DeliveryId(fitting[0]["id"])
    # Many feedback loops hide the recipient; one that can only be one person needs no name.
    return DeliveryId(candidates[0]["id"]) if len({row["address_key"] for row in candidates}) == 1 else None


def _named(report: Report) -> Iterable[str]:
    yield from report.original_recipients
    for one in report.recipients:
        yield from (address for address in (one.address, one.original) if address)


def _said(report: Report, address: str | None) -> ReportedRecipient:
    """Choose what is said about this delivery: by its address, else by the one that failed."""

    def rank(one: ReportedRecipient) -> tuple[bool, bool, bool]:
        is_ours = address is not None and one.address is not None and endings.is_about(one.address, address)
        was_ours = address is not None and one.original is not None and endings.is_about(one.original, address)
        return is_ours or was_ours, is_ours, one.reply_class is ReplyClass.HARD

    failed = [
        one for one in report.recipients if report.kind is not ReportKind.BOUNCE or one.action in (None, "failed")
    ]
    return max(failed or report.recipients, key=rank, default=ReportedRecipient(address=None))


def _is_understood(report: Report, found_by: str) -> bool:
    """Tell whether the report may act, so that no person has to look at it."""
    if report.kind is ReportKind.COMPLAINT or report_effects.is_not_spam(report):
        return True
    return report.kind is not ReportKind.NONE and found_by == "token"


def _insert(
    tx: Tx, mail: ReturnedMail, subject: Row | None, said: ReportedRecipient, *, found_by: str, is_read: bool
) -> bool:
    params: dict[str, Value] = {
        "id": mail.id,
        "at": mail.at,
        "digest": mail.digest,
        "kind": mail.report.kind.value,
        "found_by": found_by,
        "is_read": int(is_read),
        "delivery_id": subject["id"] if subject else None,
        "message_id": subject["message_id"] if subject else None,
        "address": subject["address_key"] if subject else None,
        "class": said.reply_class.value if said.reply_class else None,
        "category": said.category.value if said.category else None,
        "rule": said.rule,
        "status": said.status,
        "reply": report_effects.reason(mail.report, said),
        "mail_from": mail.mail_from,
        "subject": mail.subject,
    }
    return bool(tx.rows("reports.insert", params))
