"""Decide what a report's reason means: find the SMTP reply inside, have it classified, apply what a report adds.

Policy. A report tells the end of the story, so a reason without codes counts as a final answer, and a temporary reply
that a report gives as the reason for giving up is soft: retries used up. Candidates come best first: the diagnostic
code, the paragraph about the recipient, the whole text. The first whose words are understood decides; else the first
whose codes say something; else the category is unknown, soft. Sentences that only reports use ("did not reach the
following recipients: the e-mail account does not exist at the organization") stand in report_text.toml, after the
classifier's own rules. Pure. RFC 3463, RFC 3464 2.3.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from relay.classify.classifier import BLAME, HARD, SUPPRESSING, classify
from relay.classify.reply import parse_reply
from relay.classify.report_phrases import load_phrases, plain
from relay.model import Category, Outcome, Reply, ReplyClass, Stage

#: Longer is never read as one reason.
MAX_REASON = 3000

_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.]*\d)")
#: A reply where a sentence, a line or a bracket begins, with the lines that continue it; not a recipient's or a field.
_REPLY = re.compile(
    r"(?<![\w.:/@+-])((?:42[1-9]|4[3-7]\d|50[0-4]|5[12]\d|53[0-8]|55\d|571)"
    r"(?:[ -]{1,2}(?=\S)|: {0,2}(?=[45]\.\d))(?![%$€])\S[^\n]{0,900}"
    r"(?:\n(?![<\s]{0,4}[\w.+-]{1,64}@[\w.-]{1,90}>?:?$|-{3}|\.{3} |[A-Z][A-Za-z-]{2,30}: )\S[^\n]{0,400}){0,8})"
)
_SENTENCE = re.compile(r"(?<=[.!?])\s{1,9}(?=[^a-z0-9\s])|[。！？]|\n\s{0,9}\n|:\s{0,9}\n|\n(?=[-*=#>])")
_LEAD = re.compile(r"\A\W{0,9}(?:because(?: of)?|reason|error|cause|grund|motif|motivo|причина)\W{1,4}", re.IGNORECASE)
_TRANSCRIPT = re.compile(r"^[ \t]{0,8}(?:<<<|>>>)[ \t]{0,4}", re.MULTILINE)
_IN_BRACKETS = re.compile(r"<[^<>]{0,320}>")
_CODE_LAST = re.compile(r"(?:smtp )?(?:error|reply|response|status)?[- ]?code:? ?(5[0-5]\d|4[2-5]\d)\b", re.IGNORECASE)
_BY_CODE = ("code.", "basic.", "stage.", "none", "nested.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The reading of one recipient's reason."""

    outcome: Outcome
    reply: str


def judge(reasons: Iterable[str], *, status: str | None, is_final: bool, recipient: str = "") -> Verdict:
    """Read the reasons, best first; `status` is what the report states as the enhanced code."""
    fallback: Verdict | None = None
    first = ""
    for reason in reasons:
        text = reason.strip()[:MAX_REASON]
        if not text:
            continue
        first = first or text
        verdict = _read(text, status=status, recipient=recipient)
        if _is_understood(verdict.outcome):
            return _concluded(verdict, is_final=is_final)
        if fallback is None and verdict.outcome.category is not Category.UNKNOWN:
            fallback = verdict
    if fallback is None:
        reply = Reply(stage=Stage.RCPT, code=None, enhanced=_final(status), text="")
        fallback = Verdict(outcome=classify(reply), reply=first)
    return _concluded(fallback, is_final=is_final)


def find_reply(text: str) -> str | None:
    """Find the SMTP reply that stands in a text; the last one of a dialogue is the one that decided."""
    found = [match[1] for match in _REPLY.finditer(text[:MAX_REASON])]
    detailed = [reply for reply in found if _STATUS.search(reply[:40])]
    return (detailed or found or [None])[-1]


def find_status(text: str) -> str | None:
    """Find an enhanced code."""
    match = _STATUS.search(text)
    return match[1] if match else None


def _read(text: str, *, status: str | None, recipient: str) -> Verdict:
    """Read one reason: the SMTP reply in it, else what the text around says."""
    text = _TRANSCRIPT.sub("", text)
    inside = find_reply(text)
    if inside is None:
        return _read_words(text, status=status, code=None, recipient=recipient)
    outcome = classify(_reply(inside, status=status), recipient=recipient)
    if _is_understood(outcome) and not _says_nothing(inside):
        return Verdict(outcome=outcome, reply=inside)
    around = _read_words(text.replace(inside, "\n"), status=status, code=parse_reply(inside).code, recipient=recipient)
    return Verdict(outcome=around.outcome if _is_understood(around.outcome) else outcome, reply=inside)


def _read_words(text: str, *, status: str | None, code: int | None, recipient: str) -> Verdict:
    """Read a text without a reply: the sentence of a known program, else all of it, else its first clear sentence."""
    sentences = spoken_in(text)
    whole = " ".join(sentences)
    sure = _by_report_words(text, is_sure=True)
    if sure is not None:
        return Verdict(outcome=sure, reply=whole or text)
    outcome = _classified(whole, status=status, code=code, recipient=recipient)
    if _is_clear(outcome):
        return Verdict(outcome=outcome, reply=whole)
    for sentence in sentences if len(sentences) > 1 else ():
        alone = _classified(sentence, status=status, code=code, recipient=recipient)
        if _is_clear(alone):
            return Verdict(outcome=alone, reply=sentence)
    said = _by_report_words(text, is_sure=False)
    if said is not None and (not _is_understood(outcome) or said.category not in HARD):
        outcome = said
    return Verdict(outcome=outcome, reply=whole or text)


def spoken_in(text: str) -> list[str]:
    """Give the sentences of a text that are not those of every report."""
    phrases = load_phrases()
    pieces = [_LEAD.sub("", piece).strip() for piece in _SENTENCE.split(text[:MAX_REASON])]
    return [" ".join(piece.split()) for piece in pieces if piece and not phrases.has("boilerplate", plain(piece))]


def _classified(text: str, *, status: str | None, code: int | None, recipient: str) -> Outcome:
    spoken = _reply(text, status=status)
    return classify(spoken if code is None else replace(spoken, code=code), recipient=recipient)


def _reply(text: str, *, status: str | None) -> Reply:
    """Make a Reply of a reason; where it has no code at all, the report's status stands in, else "final"."""
    reply = parse_reply(text)
    if reply.code is not None and reply.code >= 400:
        return reply if reply.enhanced else replace(reply, enhanced=_same_digit(status, reply.code))
    last = _CODE_LAST.search(text)
    if last:
        return replace(reply, code=int(last[1]), text=text)
    return replace(reply, code=None, enhanced=_final(reply.enhanced or status), text=text)


def _same_digit(status: str | None, code: int) -> str | None:
    return status if status and status[0] == str(code)[0] and not status.endswith(".0.0") else None


def _final(status: str | None) -> str:
    """Give a code that the classifier takes for a final answer and not for our own silence."""
    return status if status and status[0] == "5" else "5.0.0" if not status or status[0] == "2" else f"5{status[1:]}"


def _is_understood(outcome: Outcome) -> bool:
    return outcome.category is not Category.UNKNOWN and not outcome.rule.startswith(_BY_CODE)


def _is_clear(outcome: Outcome) -> bool:
    """Tell whether a rule of its own understood the words; a guard only says whom they are not about."""
    return _is_understood(outcome) and not outcome.rule.startswith("guard.")


def _by_report_words(text: str, *, is_sure: bool) -> Outcome | None:
    words = plain(text)
    for reason in load_phrases().reasons:
        if reason.is_sure == is_sure and any(phrase in words for phrase in reason.phrases):
            return outcome_of(reason.category, f"report.{reason.name}")
    return None


def _says_nothing(reply: str) -> bool:
    """Tell whether a reply is one of those that mail programs put in place of the real one."""
    words = plain(_IN_BRACKETS.sub(" ", parse_reply(reply).text)).strip()
    return not words or words in {phrase.strip() for phrase in load_phrases().groups["empty"]}


def outcome_of(category: Category, rule: str) -> Outcome:
    """Build the outcome of a final failure of that category."""
    reply_class = ReplyClass.HARD if category in HARD else ReplyClass.SOFT
    suppress = category in SUPPRESSING
    return Outcome(reply_class=reply_class, category=category, blame=BLAME[category], rule=rule, suppress=suppress)


def _concluded(verdict: Verdict, *, is_final: bool) -> Verdict:
    """Turn the class of a live attempt into that of a report."""
    outcome = verdict.outcome
    if not is_final:
        return replace(verdict, outcome=replace(outcome, reply_class=ReplyClass.DEFERRED, suppress=False))
    if outcome.reply_class is ReplyClass.DEFERRED:
        return replace(verdict, outcome=replace(outcome, reply_class=ReplyClass.SOFT, suppress=False))
    return verdict
