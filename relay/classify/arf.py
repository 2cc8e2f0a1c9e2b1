"""Read complaints: feedback reports of mailbox providers about mail that somebody marked as spam.

Policy. A message/feedback-report part decides; so do the older forms without one (the complaint mails of Outlook.com,
a plain unsubscribe mail that a mail program sent for its user). "not-spam" is the opposite of a complaint,
"auth-failure" and "dmarc" are about authentication: none of them is one. The recipient comes from the fields made for
it; many providers remove it, so the To of the returned mail is taken, which in a complaint is the mailbox that
complained.
RFC 5965, RFC 6591, RFC 7489 7.2. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from relay.classify.mime import Part, text_of
from relay.classify.report_phrases import plain
from relay.headers import parse_addresses

_FIELD = re.compile(r"^([A-Za-z][A-Za-z0-9-]{1,60})[ \t]{0,4}:[ \t]{0,8}(.{0,2000})$", re.MULTILINE)
_MAX_FIELDS = 500
_MAX_RECIPIENTS = 100

#: Feedback-Type values that are no complaints.
_NO_COMPLAINT = frozenset({"not-spam", "auth-failure", "dmarc", "dkim", "spf"})
_RECIPIENT_FIELDS = ("original-rcpt-to", "removal-recipient", "original-recipient", "x-original-rcpt-to")
_HOTMAIL = "x-hmxmroriginalrecipient"
_AGGREGATE = re.compile(r"report domain:.{1,200}report-id:", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What a feedback loop reports."""

    is_complaint: bool
    feedback_type: str
    recipients: tuple[str, ...] = ()
    sender: str = ""  #: Original-Mail-From


def read_feedback(mail: Part, original: Part | None) -> Feedback | None:
    """Read a feedback report; None when the mail is none."""
    if _AGGREGATE.search(mail.first("subject")):
        return Feedback(is_complaint=False, feedback_type="dmarc")
    for part in mail.walk():
        if part.content_type == "message/feedback-report":
            return _standard(text_of(part), original)
    if "report-type=feedback-report" in mail.first("content-type").lower().replace('"', "").replace(" ", ""):
        return _standard(text_of(mail) if not mail.children else "", original)
    return _hotmail(mail, original) or _unsubscribe(mail)


def _standard(text: str, original: Part | None) -> Feedback:
    fields: dict[str, list[str]] = {}
    for match in _FIELD.finditer(text[:64_000]):
        if len(fields) < _MAX_FIELDS:
            fields.setdefault(match[1].lower(), []).append(match[2].strip())
    kind = (fields.get("feedback-type") or ["abuse"])[0].lower().split(" ")[0].strip(";,.")
    stated = [value for name in _RECIPIENT_FIELDS for value in fields.get(name, [])]
    recipients = _addresses(stated) or _returned_to(original)
    sender = (fields.get("original-mail-from") or [""])[0]
    return Feedback(
        is_complaint=kind not in _NO_COMPLAINT and "dkim-failure" not in fields,
        feedback_type=kind,
        recipients=recipients,
        sender=sender,
    )


def _hotmail(mail: Part, original: Part | None) -> Feedback | None:
    """Read the older form: the mail itself, or attached, with the complaining mailbox in a field of its own."""
    for part in (mail, original):
        if part is not None and part.first(_HOTMAIL):
            return Feedback(is_complaint=True, feedback_type="abuse", recipients=_addresses([part.first(_HOTMAIL)]))
    subject = plain(mail.first("subject"))
    is_loop = subject.startswith((" complaint about message from ", " email feedback report for"))
    if (is_loop and original is not None) or mail.first("x-loop").lower() == "scomp":
        return Feedback(is_complaint=True, feedback_type="abuse", recipients=_returned_to(original))
    return None


def _unsubscribe(mail: Part) -> Feedback | None:
    """Read the unsubscribe mail that a mail program sends for its user (RFC 2369 List-Unsubscribe by mail)."""
    if plain(mail.first("subject")).strip() != "unsubscribe" or not mail.first("auto-submitted"):
        return None
    if " to unsubscribe from " not in plain(text_of(mail)):
        return None
    return Feedback(is_complaint=True, feedback_type="opt-out", recipients=_addresses([mail.first("from")]))


def _returned_to(original: Part | None) -> tuple[str, ...]:
    return _addresses([original.first("to")]) if original is not None else ()


def _addresses(values: list[str]) -> tuple[str, ...]:
    found = [address for value in values for _, address in parse_addresses(value.encode())]
    return tuple(dict.fromkeys(found))[:_MAX_RECIPIENTS]
