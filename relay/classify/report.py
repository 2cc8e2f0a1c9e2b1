"""Say what a returned mail is: a bounce, a complaint, an automatic answer, a notice of delay or success, or none of it.

Order of tests, the surest first:
1. A feedback report is a complaint, or nothing when it says the opposite (arf.py).
2. A notification of Amazon SES is read from its JSON (report_json.py).
3. A delivery status notification is read per recipient (report_dsn.py): failed makes a bounce, delayed only a note,
   delivered, relayed and expanded a success. Such a notification that asks to confirm something is a challenge.
4. Automatic answers and reports in free text are told apart by their words (auto_reply.py, report_text.py).
5. A mail whose only content is an attached report is read as that report.
6. Everything else is "none": for a person to read. Nothing is ever guessed from the mail that was returned; its header
   only helps to find our own delivery.
A temporary reply that a report gives as the reason for giving up is soft. Pure, total and bounded: broken mail gives a
poorer answer, never an exception. RFC 3464, RFC 5965, RFC 3834.
"""

from __future__ import annotations

import re
from dataclasses import replace

from relay.classify.arf import Feedback, read_feedback
from relay.classify.auto_reply import is_challenge
from relay.classify.mime import Part, read_mail, text_of
from relay.classify.report_dsn import StatusGroup, read_status
from relay.classify.report_human import Human, read_human
from relay.classify.report_json import read_notification
from relay.classify.report_model import Report, ReportedRecipient, ReportKind
from relay.classify.report_phrases import plain
from relay.classify.report_recipients import TextRecipient, find_recipients
from relay.classify.report_text import failed_recipients, is_from_server, read_text
from relay.classify.report_verdict import find_reply, find_status, judge
from relay.headers import clean, message_ids, parse_addresses

__all__ = ["Report", "ReportKind", "ReportedRecipient", "read_report"]

_ACTIONS = {ReportKind.BOUNCE: "failed", ReportKind.DELAY: "delayed"}
_MAX_NESTED = 2
_MAX_SHOWN = 4000
_MAX_SHARING = 4
_ENVELOPE = re.compile(r"envelope[- ](?:from|sender):?\s{0,2}<?([^<>\s@()]{1,64}@[^<>\s@()]{1,255})", re.IGNORECASE)
_SENDER_FIELDS = ("return-path", "x-envelope-from", "x-envelope-sender", "envelope-sender", "errors-to", "sender")


def read_report(raw: bytes) -> Report:
    """Read a returned mail."""
    return _read(read_mail(raw), depth=0)


def _read(mail: Part, *, depth: int) -> Report:
    human = read_human(mail)
    feedback = read_feedback(mail, human.original)
    if feedback is not None:
        return _complaint(feedback, human)
    groups = read_status(mail) or read_notification(_first_text(mail))
    if isinstance(groups, Feedback):
        return _complaint(groups, human)
    if groups:
        return _from_status(mail, human, groups)
    text = read_text(mail, human)
    if not text.recipients and depth < _MAX_NESTED:
        inner = next((part.children[0] for part in mail.walk() if part.is_message and part.children), None)
        is_wrapped = not human.text or is_from_server(mail)  # and not forwarded by a person, with a remark
        if is_wrapped and inner is not None and "delivery-status" in inner.first("content-type").lower():
            return _read(inner, depth=depth + 1)
    shared = _shared(human, len(text.recipients))
    recipients = tuple(_reported(recipient, shared, text.kind) for recipient in text.recipients)
    if not recipients and text.kind in (ReportKind.BOUNCE, ReportKind.DELAY):
        recipients = (_judged([shared], text.kind, address=None, original=None),)
    return _report(text.kind, recipients, human)


def _first_text(mail: Part) -> str:
    return next((text_of(part) for part in mail.walk() if part.content_type == "text/plain" and not part.children), "")


def _complaint(feedback: Feedback, human: Human) -> Report:
    kind = ReportKind.COMPLAINT if feedback.is_complaint else ReportKind.NONE
    recipients = tuple(ReportedRecipient(address=address) for address in feedback.recipients)
    senders = [feedback.sender] if feedback.sender else []
    return _report(
        kind, recipients if feedback.is_complaint else (), human, senders=senders, feedback_type=feedback.feedback_type
    )


def _from_status(mail: Part, human: Human, groups: list[StatusGroup]) -> Report:
    actions = {group.action for group in groups}
    if "failed" in actions:
        kind = ReportKind.BOUNCE
    elif "delayed" in actions:
        kind = ReportKind.DELAY
    elif actions & {"delivered", "relayed", "expanded"}:
        kind = ReportKind.DELIVERED
    else:
        kind = read_text(mail, human).kind
    spoken = human.words + plain("\n".join(group.diagnostic for group in groups))
    if kind in (ReportKind.BOUNCE, ReportKind.DELAY) and is_challenge(spoken):
        return _report(ReportKind.AUTO_REPLY, (), human)
    groups = _named_elsewhere(mail, groups)
    named = find_recipients(human, failed=[group.address for group in groups if group.address], ours=())
    reasons = {recipient.address.lower(): recipient for recipient in named}
    shared = _shared(human, len(groups))
    recipients = tuple(_stated(group, reasons.get((group.address or "").lower()), shared, kind) for group in groups)
    return _report(kind, recipients, human)


def _named_elsewhere(mail: Part, groups: list[StatusGroup]) -> list[StatusGroup]:
    """Name the recipient of a group that gives a file or a program instead of an address."""
    failed = failed_recipients(mail)
    if len(groups) != 1 or groups[0].address or len(failed) != 1:
        return groups
    return [replace(groups[0], address=failed[0])]


def _stated(group: StatusGroup, named: TextRecipient | None, shared: str, kind: ReportKind) -> ReportedRecipient:
    """Read one group of a delivery status notification."""
    action = group.action or _ACTIONS.get(kind)
    original = group.original or (named.original if named else None)
    if action not in ("failed", "delayed"):
        return ReportedRecipient(
            address=group.address, original=original, status=group.status, action=action, reply=clean(group.diagnostic)
        )
    reasons = [group.diagnostic, named.reason if named else "", group.note, shared]
    verdict = judge(reasons, status=group.status, is_final=action == "failed", recipient=group.address or "")
    outcome = verdict.outcome
    return ReportedRecipient(
        address=group.address,
        original=original,
        reply_class=outcome.reply_class,
        category=outcome.category,
        blame=outcome.blame,
        rule=outcome.rule,
        status=group.status or find_status(verdict.reply),
        action=action,
        reply=clean(verdict.reply),
    )


def _reported(recipient: TextRecipient, shared: str, kind: ReportKind) -> ReportedRecipient:
    """Read one recipient of a report in free text."""
    return _judged([recipient.reason, shared], kind, address=recipient.address, original=recipient.original)


def _judged(reasons: list[str], kind: ReportKind, *, address: str | None, original: str | None) -> ReportedRecipient:
    if kind not in (ReportKind.BOUNCE, ReportKind.DELAY):
        return ReportedRecipient(address=address, original=original, action="delivered")
    status = find_status(find_reply(reasons[0]) or "") or next(filter(None, map(find_status, reasons)), None)
    is_final = kind is ReportKind.BOUNCE
    verdict = judge(reasons, status=status, is_final=is_final, recipient=address or "")
    outcome = verdict.outcome
    return ReportedRecipient(
        address=address,
        original=original,
        reply_class=outcome.reply_class,
        category=outcome.category,
        blame=outcome.blame,
        rule=outcome.rule,
        status=status,
        action="failed" if is_final else "delayed",
        reply=clean(verdict.reply),
    )


def _shared(human: Human, recipients: int) -> str:
    """Give the whole text as the last source of a reason; with many recipients it is about none of them."""
    return human.text if recipients <= _MAX_SHARING else ""


def _report(
    kind: ReportKind,
    recipients: tuple[ReportedRecipient, ...],
    human: Human,
    *,
    senders: list[str] | None = None,
    feedback_type: str | None = None,
) -> Report:
    original = human.original
    ids = message_ids(original.first("message-id").encode()) if original else []
    returned_to = parse_addresses(original.first("to").encode()) if original else []
    return Report(
        kind=kind,
        recipients=recipients,
        return_token_candidates=_token_candidates(original, senders or []),
        original_message_id=ids[0] if ids else None,
        original_recipients=tuple(dict.fromkeys(address for _, address in returned_to))[:100],
        feedback_type=feedback_type,
        text=human.text[:_MAX_SHOWN],
    )


def _token_candidates(original: Part | None, senders: list[str]) -> tuple[str, ...]:
    values = list(senders)
    if original is not None:
        values += [value for name in _SENDER_FIELDS for value in original.all(name)]
        values += [match[1] for value in original.all("received")[:30] for match in _ENVELOPE.finditer(value)]
    found = [address.rpartition("@")[0] for value in values for _, address in parse_addresses(value.encode())]
    return tuple(dict.fromkeys(found))[:20]
