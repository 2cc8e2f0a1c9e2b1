"""How well returned mail is read: labelled mails, judged and counted; printed by `make corpus`.

The mails lie outside the repository (../shared/corpus/bounces) and were in view when the phrases were written, so the
plain figures say that nothing is forgotten. How unseen families fare is estimated by leaving out, for each family,
every phrase that no mail of another family uses. Labels are other people's; where one gives no class or recipient, none
is counted.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from relay.classify import auto_reply, report_human, report_phrases, report_recipients, report_text, report_verdict
from relay.classify.mime import read_mail
from relay.classify.report import Report, ReportedRecipient, ReportKind, read_report
from relay.classify.report_human import read_human
from relay.classify.report_phrases import Phrases, plain

BOUNCES = Path(__file__).parents[2] / "shared" / "corpus" / "bounces"

KINDS = {
    "bounce": ReportKind.BOUNCE,
    "delayed": ReportKind.DELAY,
    "complaint": ReportKind.COMPLAINT,
    "autoreply": ReportKind.AUTO_REPLY,
    "challenge": ReportKind.AUTO_REPLY,
    "not_bounce": ReportKind.NONE,
    "success": ReportKind.DELIVERED,
}

#: Mails whose label contradicts their own text: delays that say so called bounces, and bounces called something else.
DOUBTFUL = frozenset(
    {"lhost-gmail-06", "lhost-opensmtpd-04", "lhost-x1-04", "cws-fbl_hotmail_002", "sisimai-rb-issue-368-bug"}
)

HEAD = (
    "| | mails | kind | recipient | class | category | wrongly hard | missed hard | counted as bounce |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledMail:
    """One mail and what it should be read as."""

    name: str
    raw: bytes
    label: dict[str, Any]

    @property
    def family(self) -> str:
        """The mail system or collection that the mail comes from."""
        return re.sub(r"[-_.]?\d.*", "", self.name) if self.name[:3] not in ("bp-", "bmh") else self.name[:3]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Right ones and all of each question."""

    mails: int = 0
    kind: int = 0
    recipient: int = 0
    recipients: int = 0
    reply_class: int = 0
    classes: int = 0
    category: int = 0
    categories: int = 0
    wrongly_hard: int = 0
    soft: int = 0
    missed_hard: int = 0
    hard: int = 0
    false_bounces: tuple[str, ...] = ()

    def share(self, right: str, whole: str) -> float:
        """Give a rate; 1 where nothing was asked."""
        asked: int = getattr(self, whole)
        return float(getattr(self, right)) / asked if asked else 1.0


@cache
def corpus_mails() -> tuple[LabelledMail, ...]:
    """Read the development set; empty where it is absent."""
    manifest = BOUNCES / "manifest.jsonl"
    if not manifest.exists():
        return ()
    labels = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]
    return tuple(
        LabelledMail(name=Path(label["file"]).stem, raw=(BOUNCES / label["file"]).read_bytes(), label=label)
        for label in labels
    )


def judge(mails: Sequence[LabelledMail]) -> Figures:
    """Read the mails and count what is right."""
    counts: Counter[str] = Counter()
    false_bounces: list[str] = []
    for mail in mails:
        report = read_report(mail.raw)
        counts["mails"] += 1
        counts["kind"] += report.kind is KINDS[mail.label["kind"]]
        if report.kind is ReportKind.BOUNCE and mail.label["kind"] != "bounce":
            false_bounces.append(mail.name)
        for expected in mail.label["expected"]:
            counts.update(_judged(report, expected, is_failure=mail.label["kind"] in ("bounce", "delayed")))
    return Figures(**counts, false_bounces=tuple(false_bounces))


def _judged(report: Report, expected: dict[str, Any], *, is_failure: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    found = _named(report, expected)
    if expected.get("recipient"):
        counts["recipients"] += 1
        counts["recipient"] += found is not None
    found = found or (report.recipients[0] if report.recipients else None)
    got = str(found.reply_class) if found and found.reply_class else None
    accepted = [*(expected.get("accept_class") or []), *([expected["class"]] if expected["class"] else [])]
    if is_failure and accepted:
        counts["classes"] += 1
        counts["reply_class"] += got in accepted
        counts["hard"] += accepted == ["hard"]
        counts["missed_hard"] += accepted == ["hard"] and got != "hard"
        counts["soft"] += "hard" not in accepted
        counts["wrongly_hard"] += "hard" not in accepted and got == "hard"
    if is_failure and expected.get("category"):
        counts["categories"] += 1
        known = found is not None and found.category is not None
        counts["category"] += known and found.category in (expected["category"], *(expected.get("also_ok") or []))  # type: ignore[union-attr]
    return counts


def _named(report: Report, expected: dict[str, Any]) -> ReportedRecipient | None:
    accepted = {str(address).lower() for address in (*(expected.get("accept_recipients") or []), expected["recipient"])}
    return next((one for one in report.recipients if (one.address or "").lower() in accepted), None)


def cross_validated(mails: Sequence[LabelledMail]) -> Figures:
    """Judge each family without the phrases that only its own mails use."""
    families: dict[str, list[LabelledMail]] = defaultdict(list)
    owners: dict[str, set[str]] = defaultdict(set)
    phrases = report_phrases.load_phrases()
    everything = {phrase for group in phrases.groups.values() for phrase in group}
    everything |= {phrase for reason in phrases.reasons for phrase in reason.phrases}
    for mail in mails:
        families[mail.family].append(mail)
        said = _said(mail)
        for phrase in everything:
            if phrase in said:
                owners[phrase].add(mail.family)
    found = []
    for family, members in families.items():
        dropped = {phrase for phrase, names in owners.items() if names == {family}}
        with _reading_with(_pruned(phrases, dropped)):
            found.append(judge(members))
    return _summed(found)


def _said(mail: LabelledMail) -> str:
    part = read_mail(mail.raw)
    return read_human(part).words + plain(f"{part.first('subject')} \n {part.first('from')}")


def _pruned(phrases: Phrases, dropped: set[str]) -> Phrases:
    return Phrases(
        groups={name: tuple(one for one in group if one not in dropped) for name, group in phrases.groups.items()},
        reasons=tuple(
            replace(reason, phrases=tuple(one for one in reason.phrases if one not in dropped))
            for reason in phrases.reasons
        ),
    )


@contextmanager
def _reading_with(phrases: Phrases) -> Iterator[None]:
    """Let the readers use other phrases for a while; nothing but this measurement ever needs that."""
    modules = (auto_reply, report_human, report_recipients, report_text, report_verdict)
    loader = report_phrases.load_phrases
    for module in modules:
        module.load_phrases = lambda: phrases  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in modules:
            module.load_phrases = loader  # type: ignore[attr-defined]


def _summed(figures: Sequence[Figures]) -> Figures:
    counts: Counter[str] = Counter()
    for one in figures:
        counts.update({name: getattr(one, name) for name in Figures.__slots__ if name != "false_bounces"})
    return Figures(**counts, false_bounces=tuple(name for one in figures for name in one.false_bounces))


def speed(mails: Sequence[LabelledMail]) -> float:
    """Return the milliseconds to read a mail, the median of the best of three."""
    return median(min(_timed(mail) for _ in range(3)) for mail in mails)


def _timed(mail: LabelledMail) -> float:
    started = perf_counter()
    read_report(mail.raw)
    return (perf_counter() - started) * 1e3


def row(name: str, figures: Figures) -> str:
    """Make a line of the table under HEAD."""
    shares = [
        f"{figures.share(right, whole):.3f}"
        for right, whole in (
            ("kind", "mails"),
            ("recipient", "recipients"),
            ("reply_class", "classes"),
            ("category", "categories"),
        )
    ]
    rates = [f"{figures.wrongly_hard} of {figures.soft}", f"{figures.missed_hard} of {figures.hard}"]
    return f"| {name} | {figures.mails} | {' | '.join([*shares, *rates])} | {len(figures.false_bounces)} |"


def print_returned(say: Callable[[str], None]) -> None:
    """Print every figure about returned mail."""
    mails = corpus_mails()
    say("## Returned mail\n")
    if not mails:
        say("../shared/corpus/bounces is not here: the corpus is not part of the repository")
        return
    sure = [mail for mail in mails if mail.name not in DOUBTFUL]
    say(HEAD)
    say(row("development set", judge(mails)))
    say(row(f"without {len(mails) - len(sure)} doubtful labels", judge(sure)))
    say(row("each family without the phrases that only it justifies", cross_validated(mails)))
    say(f"\n{speed(mails):.1f} ms a mail (median)\n\n### By family, where anything is wrong\n\n{HEAD}")
    families: dict[str, list[LabelledMail]] = defaultdict(list)
    for mail in sure:
        families[mail.family].append(mail)
    for family, members in sorted(families.items()):
        figures = judge(members)
        pairs = (("kind", "mails"), ("recipient", "recipients"), ("reply_class", "classes"), ("category", "categories"))
        if any(figures.share(*pair) < 1 for pair in pairs):
            say(row(family, figures))
