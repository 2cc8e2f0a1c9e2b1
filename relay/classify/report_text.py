"""Read reports in free text: what kind they are, and what they say about whom.

Policy. A bounce needs positive evidence: words of failure in the text or subject, and a second sign (a server wrote
it, a header names failed recipients, an SMTP reply stands in it, or subject and text say so and recipients are listed).
Words of delay win
over words of failure unless the text also says that it was given up, because a notice that a mail is late repeats the
failure of the last attempt. What a person's mailbox answers by itself is no report, whatever words it uses. Nothing is
guessed from the returned mail. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from relay.classify.auto_reply import has_auto_sign, is_challenge, is_receipt, sounds_automatic
from relay.classify.mime import Part
from relay.classify.report_human import Human
from relay.classify.report_model import ReportKind
from relay.classify.report_phrases import load_phrases, plain
from relay.classify.report_recipients import ADDRESS, TextRecipient, Weight, find_local_recipients, find_recipients
from relay.classify.report_verdict import find_reply
from relay.headers import parse_addresses

_LOCAL_PART = re.compile(r"[<\s\"]?([^<>@\s\"]{1,64})@")


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeText:
    """What a report in free text says."""

    kind: ReportKind
    recipients: tuple[TextRecipient, ...] = ()


def read_text(mail: Part, human: Human) -> FreeText:
    """Read a mail that has no part made for machines."""
    signs = _signs(mail, human)
    recipients = tuple(find_recipients(human, failed=failed_recipients(mail), ours=_ours(mail)))
    kind = _kind(mail, human, signs=signs, recipients=recipients)
    if kind in (ReportKind.AUTO_REPLY, ReportKind.NONE):
        recipients = ()
    elif not recipients:
        recipients = tuple(find_local_recipients(human, domain=_domain(mail)))
    return FreeText(kind=kind, recipients=recipients)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signs:
    """What speaks for a report."""

    from_server: bool  #: From names a mail system
    from_nobody: bool  #: the null reverse path
    names_failed: bool  #: X-Failed-Recipients
    subject_fails: bool
    text_fails: bool
    is_late: bool
    is_late_by_subject: bool
    is_retried: bool
    has_arrived: bool
    is_given_up: bool
    is_delivered: bool
    has_reply: bool
    has_final_reply: bool


def _signs(mail: Part, human: Human) -> _Signs:
    phrases = load_phrases()
    subject = plain(mail.first("subject"))
    spoken = _without_boilerplate(human)
    reply = find_reply(human.text)
    return _Signs(
        from_server=is_from_server(mail),
        from_nobody=mail.first("return-path").strip() in ("<>", "<MAILER-DAEMON>"),
        names_failed=bool(failed_recipients(mail)),
        subject_fails=phrases.has("subject_failure", subject),
        text_fails=phrases.has("failure", human.words),
        is_late=phrases.has("delay", human.words) or phrases.has("delay", subject),
        is_late_by_subject=phrases.has("delay", subject),
        has_arrived=phrases.has("arrived", human.words) or phrases.has("arrived", subject),
        is_retried=phrases.has("retrying", human.words) or phrases.has("retrying", subject),
        is_given_up=phrases.has("gave_up", spoken),
        is_delivered=phrases.has("delivered", human.words) or phrases.has("delivered", subject),
        has_reply=reply is not None,
        has_final_reply=reply is not None and reply.startswith("5"),
    )


def _without_boilerplate(human: Human) -> str:
    phrases = load_phrases()
    lines = [words for words in map(plain, human.lines) if not phrases.has("boilerplate", words)]
    return " ".join(lines)


def _kind(mail: Part, human: Human, *, signs: _Signs, recipients: tuple[TextRecipient, ...]) -> ReportKind:
    is_server = signs.from_server or signs.names_failed
    if is_challenge(human.words) and not signs.names_failed:
        return ReportKind.AUTO_REPLY
    if not is_server and _is_answer(mail, human, signs):
        return ReportKind.AUTO_REPLY
    if is_server and signs.has_arrived and not signs.subject_fails and not signs.has_reply:
        return ReportKind.DELIVERED
    if _is_delay(signs) and (is_server or signs.from_nobody or recipients):
        return ReportKind.DELAY
    fails = signs.subject_fails or signs.text_fails
    listed = any(recipient.weight >= Weight.ALONE for recipient in recipients)
    seconds = (is_server, signs.from_nobody, signs.has_reply, signs.subject_fails and signs.text_fails and listed)
    named = any(recipient.weight >= Weight.SENTENCE for recipient in recipients)
    if fails and any(seconds) and (is_server or signs.subject_fails or named):
        return ReportKind.BOUNCE
    if is_server and signs.is_delivered:
        return ReportKind.DELIVERED
    if is_server and (signs.has_final_reply or signs.names_failed) and recipients:
        return ReportKind.BOUNCE
    if has_auto_sign(mail) or is_receipt(mail):
        return ReportKind.AUTO_REPLY
    return ReportKind.NONE


def _is_delay(signs: _Signs) -> bool:
    if signs.subject_fails:
        return (signs.is_late_by_subject or signs.is_retried) and not signs.is_given_up
    return signs.is_late_by_subject or signs.is_retried or (signs.is_late and not signs.is_given_up)


def _is_answer(mail: Part, human: Human, signs: _Signs) -> bool:
    """Tell whether a mailbox answered by itself; a report in words is believed only where the subject says so too."""
    if signs.subject_fails and (signs.text_fails or signs.has_reply):
        return False
    if is_receipt(mail):
        return True
    if has_auto_sign(mail) and not signs.subject_fails and not signs.has_reply:
        return True
    return sounds_automatic(mail, human) and (has_auto_sign(mail) or signs.from_nobody or not signs.has_reply)


def is_from_server(mail: Part) -> bool:
    """Tell whether From (or, where it says nothing, Sender) names a mail system instead of a person."""
    phrases = load_phrases()
    values = [value for name in ("from", "sender") for value in mail.all(name)][:2]
    for value in values:
        local = _LOCAL_PART.search(value)
        name = ADDRESS.sub(" ", value)
        if phrases.has("daemon", plain(name)) or (local and phrases.has("daemon", plain(local[1]))):
            return True
    return any(value.strip() in ("<>", "") for value in values)


def failed_recipients(mail: Part) -> list[str]:
    """Give the recipients that a header field names as failed."""
    values = [value for name in ("x-failed-recipients", "x-failed-recipient") for value in mail.all(name)]
    return [address for value in values for _, address in parse_addresses(value.encode())]


def _ours(mail: Part) -> list[str]:
    return [address for value in mail.all("to") for _, address in parse_addresses(value.encode())]


def _domain(mail: Part) -> str:
    """Give the domain of the reporting server, where From names one."""
    found = parse_addresses(mail.first("from").encode())
    return found[0][1].rpartition("@")[2].lower() if found else ""
