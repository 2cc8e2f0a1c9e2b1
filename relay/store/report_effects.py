"""What a returned mail does to its delivery, by its kind; part of the transaction that keeps the report.

    bounce       delivered or sent → failed, with counter, block and notice as for a live answer; later ones are noted
    complaint    mark `spam`, a block for complaints and a notice; the status stays. "not-spam" is noted
    auto-reply   mark `auto_reply`
    delivered    sent → delivered; else noted
    delay        noted

The sender of the mail, who would have got it but for our return path, is told of it where that was asked for.
Everything leaves an event, so that the time line of the mail tells it. What a status may become stands in
relay/endings.py and relay/status.py; counting and blocking in record.py. RFC 3464, RFC 5965, RFC 6430.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from relay import dsn_rules, endings
from relay.classify.classifier import BLAME, SUPPRESSING
from relay.classify.reply import parse_reply
from relay.classify.report_model import Report, ReportedRecipient, ReportKind
from relay.dsn_rules import Action
from relay.model import (
    Category,
    DeliveryId,
    Disposition,
    Event,
    MessageId,
    Outcome,
    Reply,
    ReplyClass,
    Stage,
    Suppression,
)
from relay.settings import IncidentSettings, Suppressions
from relay.status import OPEN, Status
from relay.store import dsn, events, notices, suppressions
from relay.store.protocols import Row, Tx
from relay.store.record import record
from relay.wording import say

_NOT_SPAM = "not-spam"
_SHOWN = 300  # of a reason that strangers wrote


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A report with the delivery it is about."""

    report_id: str
    at: datetime
    report: Report
    subject: Row  #: the delivery, locked
    said: ReportedRecipient  #: what the report says about it
    title: str  #: the report's subject line
    settings: Suppressions
    incident: IncidentSettings

    @property
    def reason(self) -> str:
        return reason(self.report, self.said) or clean(self.title)


def apply(tx: Tx, case: Case) -> None:
    """Do what an understood report says."""
    match case.report.kind:
        case ReportKind.BOUNCE:
            _bounced(tx, case)
        case ReportKind.COMPLAINT:
            _complained(tx, case)
        case ReportKind.AUTO_REPLY:
            _mark(tx, case, "auto_reply")
            _note(tx, case, "auto_reply", say("An automatic answer came[: {text}]", text=clean(case.title)))
        case ReportKind.DELAY:
            _note(tx, case, "delayed", say("A server reports that it still tries: {reply}", reply=case.reason))
            _pass_on(tx, case, dsn_rules.DELAY, Action.DELAYED)
        case ReportKind.DELIVERED:
            _arrived(tx, case)
        case ReportKind.NONE if is_not_spam(case.report):
            _note(tx, case, "not_spam", say("The recipient says that it was no spam; nothing was changed"))


def is_not_spam(report: Report) -> bool:
    """Tell whether a feedback loop reports the opposite of a complaint."""
    return report.kind is ReportKind.NONE and report.feedback_type == _NOT_SPAM


def note_unread(tx: Tx, case: Case) -> None:
    """Tell that something is there for a person to read."""
    _note(
        tx,
        case,
        "unread_report",
        say("Something came back that could not be understood: report {id}", id=case.report_id),
    )


def reason(report: Report, said: ReportedRecipient) -> str:
    """Give the reason in the report's own words, on one line."""
    return clean(said.reply or report.text or said.status or "")[:_SHOWN]


def clean(text: str) -> str:
    """Put on one line what strangers wrote."""
    return re.sub(r"\s+", " ", text).strip()


def _bounced(tx: Tx, case: Case) -> None:
    said = case.said
    status = Status(case.subject["status"])
    category = said.category or Category.UNKNOWN
    end = endings.end_of_bounce(status, reply_class=said.reply_class, category=category)
    if end is None:
        earlier = say("An earlier copy came back: {reply}", reply=case.reason)
        _note(tx, case, "returned", earlier if status in OPEN else say("It came back: {reply}", reply=case.reason))
        return
    _note(tx, case, "returned", say("It came back after it was accepted: {reply}", reply=case.reason))
    is_hard = said.reply_class is ReplyClass.HARD
    outcome = Outcome(
        reply_class=ReplyClass.HARD if is_hard else ReplyClass.SOFT,
        category=category,
        blame=said.blame or BLAME[category],
        rule=said.rule or "report",
        suppress=is_hard and category in SUPPRESSING and _may_block(tx, case),
    )
    _record(tx, case, end, reply=_reply(case), outcome=outcome)


def _may_block(tx: Tx, case: Case) -> bool:
    """Tell whether "no such address" is about our recipient, and newer than what a person found out."""
    subject = case.subject
    if not endings.is_about(case.said.address, subject["address"]):
        return False
    left_at = subject["delivered_at"] or subject["ended_at"] or subject["created_at"]
    row = tx.one("reports.looked_into", {"address": subject["address_key"]})
    return row is None or row["looked_at"] is None or row["looked_at"] < left_at


def _complained(tx: Tx, case: Case) -> None:
    feedback = clean(case.report.feedback_type or "abuse").lower()[:_SHOWN]
    _mark(tx, case, "spam")
    block = Suppression(
        id=0,
        scope="address",
        value=case.subject["address_key"],
        reason="complaint",
        source="complaint",
        since_at=case.at,
        delivery_id=DeliveryId(case.subject["id"]),
        reply=case.reason,
    )
    is_new = suppressions.block(tx, block) is not None
    notices.raise_notice(
        tx,
        case.subject["address_key"],
        cause="complaint",
        shown=case.subject["address"],
        delivery_id=DeliveryId(case.subject["id"]),
        app=case.subject["app"],
        at=case.at,
    )
    end = say("the address is blocked") if is_new else say("the address was blocked for that already")
    _note(
        tx, case, "complaint", say("The recipient marked it as spam ({feedback}); {what}", feedback=feedback, what=end)
    )


def _arrived(tx: Tx, case: Case) -> None:
    subject = case.subject
    _note(tx, case, "receipt", say("A server reports that it arrived[: {reply}]", reply=case.reason))
    is_relayed = case.said.action == Action.RELAYED
    _pass_on(tx, case, dsn_rules.SUCCESS, Action.RELAYED if is_relayed else Action.DELIVERED)
    if Status(subject["status"]) is Status.SENT:
        reply = Reply(stage=Stage.DATA, code=subject["code"], enhanced=subject["enhanced"], text=subject["reply"] or "")
        _record(tx, case, Status.DELIVERED, reply=reply, outcome=None)


def _record(tx: Tx, case: Case, status: Status, *, reply: Reply, outcome: Outcome | None) -> None:
    disposition = Disposition(
        delivery_id=DeliveryId(case.subject["id"]),
        status=status,
        attempts=case.subject["attempts"],
        at=case.at,
        outcome=outcome,
        reply=reply,
    )
    record(tx, disposition, settings=case.settings, incident=case.incident)


def _reply(case: Case) -> Reply:
    """Give the answer that the report quotes, or its own words."""
    reply = parse_reply(case.said.reply or case.reason or "the report gives no reason")
    if reply.enhanced is not None or case.said.status is None:
        return reply
    return Reply(stage=reply.stage, code=reply.code, enhanced=case.said.status, text=reply.text)


def _pass_on(tx: Tx, case: Case, asked: str, action: Action) -> None:
    """Have the sender told what another server says; of a delay once. Of a failure record.py does it."""
    told = case.subject["dsn"]
    if not dsn_rules.wants(told, asked):
        return
    delivery_id = DeliveryId(case.subject["id"])
    dsn.plan(tx, delivery_id, message_id=MessageId(case.subject["message_id"]), action=action, at=case.at)
    if action is Action.DELAYED:
        dsn.forget_delay(tx, delivery_id, told)


def _mark(tx: Tx, case: Case, mark: str) -> None:
    marks = case.subject["marks"].split()
    if mark not in marks:
        tx.run("reports.mark", {"id": case.subject["id"], "marks": " ".join([*marks, mark])})


def _note(tx: Tx, case: Case, kind: str, text: str) -> None:
    subject = case.subject
    event = Event(
        at=case.at,
        kind=kind,
        text=text,
        message_id=MessageId(subject["message_id"]),
        delivery_id=DeliveryId(subject["id"]),
        address=subject["address_key"],
    )
    events.add(tx, event)
