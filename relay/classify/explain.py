"""Choose the words for people: which entry of the catalogue tells what happened, and with which values.

Policy. The status speaks first (delivered, queued, suppressed …); for what is deferred or has failed, the category and
whether we still try, gave up after temporary answers, or got a final answer choose the entry, by the tables here:
exactly one entry for every combination. A rule may name a nearer entry for its replies (`virus`, `bad-address`).

explain() gives a message id and parameters; catalogue.toml holds the English words, the dashboard the other languages.
render() puts parameters into whole sentences and leaves out a sentence whose value is not known; it never joins pieces.
Pure: no I/O, no clock, no store.
"""

from __future__ import annotations

import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from relay.classify.rules import load_rules
from relay.model import Blame, Category, Delivery, Message, Outcome, Reply, ReplyClass, Suppression
from relay.status import FAILED, Status

Value = str | int | datetime | timedelta


class Course(StrEnum):
    """Where a delivery that met a refusal stands."""

    TRYING = "trying"  #: retries remain
    GAVE_UP = "gave_up"  #: the last answer was temporary, but the time was up
    FINAL = "final"  #: their answer was final


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """An entry of the catalogue and the values for its sentences."""

    entry: str
    params: Mapping[str, Value] = field(default_factory=dict)
    is_pending: bool = False  #: we still try: the entry's pending words
    who: str | None = None  #: overrides the entry's own


@dataclass(frozen=True, slots=True)
class Words:
    """What is shown: a title, what happened, the next step, and who can act."""

    title: str
    happened: str
    next_step: str
    who: str  #: customer | you | admin | wait | nobody


#: The entry of a final refusal.
_FINAL: dict[Category, str] = {
    Category.INVALID_ADDRESS: "no-mailbox",
    Category.INVALID_DOMAIN: "no-domain",
    Category.MAILBOX_DISABLED: "mailbox-off",
    Category.MOVED: "no-mailbox",
    Category.MAILBOX_FULL: "mailbox-full",
    Category.MESSAGE_TOO_LARGE: "too-big",
    Category.SPAM_CONTENT: "spam-content",
    Category.CONTENT_REJECTED: "malformed",
    Category.POLICY: "refused-policy",
    Category.SENDER_REJECTED: "our-identity",
    Category.REPUTATION_BLOCK: "our-reputation",
    Category.RATE_LIMITED: "slow-down",
    Category.GREYLISTED: "their-fault",
    Category.AUTH_FAILURE: "our-identity",
    Category.SENDER_DNS: "our-identity",
    Category.RELAY_DENIED: "not-theirs",
    Category.TLS_REQUIRED: "encryption",
    Category.PROTOCOL_ERROR: "malformed",
    Category.SYSTEM_ERROR: "their-fault",
    Category.NETWORK: "their-fault",
    Category.DNS_FAILURE: "gave-up",
    Category.EXPIRED: "gave-up",
    Category.UNKNOWN: "unknown",
}

#: Where the entry differs while we still try.
_TRYING: dict[Category, str] = {
    Category.GREYLISTED: "busy",
    Category.SYSTEM_ERROR: "busy",
    Category.UNKNOWN: "busy",
    Category.EXPIRED: "busy",
    Category.NETWORK: "unreachable",
    Category.DNS_FAILURE: "dns-trouble",
}

#: Temporary to the end: what the last answer named stays the story only where it tells the desk more than "gave up".
_GAVE_UP: frozenset[Category] = frozenset(
    {
        Category.INVALID_ADDRESS,
        Category.INVALID_DOMAIN,
        Category.MOVED,
        Category.RATE_LIMITED,
        Category.GREYLISTED,
        Category.PROTOCOL_ERROR,
        Category.SYSTEM_ERROR,
        Category.NETWORK,
        Category.DNS_FAILURE,
        Category.EXPIRED,
        Category.UNKNOWN,
    }
)

#: The entry of a status that tells the whole story by itself.
_BY_STATUS: dict[Status, str] = {
    Status.QUEUED: "queued",
    Status.SENT: "sent",
    Status.DELIVERED: "accepted",
    Status.REJECTED: "relay-setup",
    Status.CANCELLED: "cancelled",
}

_BY_BLOCK = {"manual": "blocked-hand", "complaint": "complaint"}

_BY_MARK = {"spam": "complaint", "auto_reply": "auto-reply", "opened": "opened", "clicked": "opened"}

#: What the spellings of errors.Refused.reason are called among the reasons of the catalogue.
_REFUSALS = {"auth_failed", "sender_not_allowed", "too_large", "shortage", "bad_command"}


def entry_for(
    status: Status,
    *,
    category: Category | None = None,
    course: Course = Course.FINAL,
    blame: Blame | None = None,
    rule_entry: str | None = None,
    block_reason: str | None = None,
) -> str:
    """Return the one entry for a delivery in this state."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status is Status.SUPPRESSED:
        return _BY_BLOCK.get(block_reason or "", "blocked-auto")
    if status is Status.DEFERRED and course is not Course.TRYING:
        course = Course.TRYING
    category = category or Category.UNKNOWN
    if course is Course.GAVE_UP and category in _GAVE_UP:
        # Our own fault to the end: the desk must not be told to check the address.
        return "relay-setup" if category is Category.EXPIRED and blame is Blame.US else "gave-up"
    if rule_entry:
        return rule_entry
    if course is Course.TRYING:
        return _TRYING.get(category, _FINAL[category])
    return _FINAL[category]


def explain(*, reply: Reply, outcome: Outcome, params: Mapping[str, Value] | None = None) -> Explanation:
    """Explain one reply by itself, as if the delivery stood there."""
    is_trying = outcome.reply_class is ReplyClass.DEFERRED
    status = Status.DEFERRED if is_trying else Status.SOFT_BOUNCED
    entry = entry_for(status, category=outcome.category, blame=outcome.blame, rule_entry=outcome.entry)
    values: dict[str, Value] = {"reason": outcome.category.value, "reply": reply.text, **(params or {})}
    return Explanation(entry=entry, params=values, is_pending=is_trying)


def explain_delivery(
    delivery: Delivery,
    *,
    message: Message | None = None,
    blocked: Suppression | None = None,
    params: Mapping[str, Value] | None = None,
) -> Explanation:
    """Explain where a delivery stands; `params` adds what only the caller knows: until, suggestion, user, note …"""
    values = {**_values(delivery, message), **_block_values(blocked), **(params or {})}
    if delivery.held is not None and delivery.status in (Status.QUEUED, Status.DEFERRED):
        return Explanation(entry="paused", params={"note": delivery.held, **values})
    marks = [entry for mark, entry in _BY_MARK.items() if mark in delivery.marks]
    if delivery.status is Status.DELIVERED and marks:
        return Explanation(entry=marks[0], params=values)
    if delivery.delivered_at is not None and delivery.status in FAILED:
        return Explanation(entry="returned-late", params=values)
    entry = entry_for(
        delivery.status,
        category=delivery.category,
        course=course_of(delivery),
        blame=delivery.blame,
        rule_entry=_entry_of_rule(delivery.rule),
        block_reason=blocked.reason if blocked else None,
    )
    is_ours = entry == "gave-up" and delivery.blame is Blame.US
    return Explanation(
        entry=entry,
        params=values,
        is_pending=delivery.status is Status.DEFERRED,
        who="admin" if is_ours else None,
    )


def explain_no_record(query: str) -> Explanation:
    """Explain that nothing was ever handed to us."""
    return Explanation(entry="no-record", params={"query": query})


def explain_refusal(*, app: str | None, reason: str) -> Explanation:
    """Explain that intake refused a mail; `reason` is errors.Refused.reason."""
    named = "too_many" if reason == "rate_limited" else reason if reason in _REFUSALS else "other"
    return Explanation(entry="not-accepted", params={"reason": named, **({"app": app} if app else {})})


def course_of(delivery: Delivery) -> Course:
    """Tell a final answer from retries that were used up."""
    if delivery.status is Status.DEFERRED:
        return Course.TRYING
    return Course.FINAL if delivery.code is not None and delivery.code >= 500 else Course.GAVE_UP


def render(explanation: Explanation) -> Words:
    """Say it in English."""
    entries, reasons, missing = _catalogue()
    entry = entries[explanation.entry]
    if explanation.is_pending and "pending" in entry:
        entry = {**entry, **entry["pending"]}
    params = {key: _shown(value) for key, value in explanation.params.items() if value not in ("", None)}
    if "reason" in params:
        params["reason"] = reasons.get(params["reason"], params["reason"])
    params = {**missing, **params}
    return Words(
        title=entry["title"].format_map(params),
        happened=_said(entry["happened"], params),
        next_step=_said(entry["next_step"], params),
        who=explanation.who or entry["who"],
    )


def with_params(explanation: Explanation, params: Mapping[str, Value]) -> Explanation:
    """Add values that became known later."""
    return replace(explanation, params={**explanation.params, **params})


@cache
def _catalogue() -> tuple[dict[str, dict[str, Any]], dict[str, str], dict[str, str]]:
    data = tomllib.loads(files("relay.classify").joinpath("catalogue.toml").read_text(encoding="utf-8"))
    return data["entry"], data["reason"], data["missing"]


def _said(sentences: list[str | list[str]], params: dict[str, str]) -> str:
    """Keep the sentences whose values are known; of alternatives the first."""
    kept = []
    for sentence in sentences:
        choices = [sentence] if isinstance(sentence, str) else sentence
        choice = next((choice for choice in choices if _names(choice) <= params.keys()), None)
        if choice is not None:
            kept.append(_filled(choice, params))
    return " ".join(kept)


def _filled(sentence: str, params: dict[str, str]) -> str:
    """Put the values in; a sentence that begins with the stand-in for a value begins with a capital."""
    text = sentence.format_map(params)
    return text[:1].upper() + text[1:] if text.startswith(tuple(_catalogue()[2].values())) else text


def _names(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


def _shown(value: Value) -> str:
    if isinstance(value, datetime):
        return value.strftime("%-d %b %Y %H:%M UTC" if value.utcoffset() == timedelta(0) else "%-d %b %Y %H:%M %Z")
    if isinstance(value, timedelta):
        return _span(value)
    return str(value)


def _span(value: timedelta) -> str:
    """Say how long, in the largest unit of which there are at least two."""
    seconds = round(value.total_seconds())
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{round(seconds / size)} {unit}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def _values(delivery: Delivery, message: Message | None) -> dict[str, Value]:
    """Collect the parameters that a delivery and its message hold."""
    found: dict[str, Value | None] = {
        "address": delivery.address,
        "domain": delivery.domain,
        "next": None if delivery.is_being_tried else delivery.next_at,
        "time": delivery.delivered_at,
        "n": delivery.attempts or None if delivery.status is not Status.SUPPRESSED else None,  # there n counts errors
        "unconfirmed": delivery.domain if delivery.is_unknown else None,
        "days": delivery.ended_at - delivery.created_at if delivery.ended_at else None,
        "reply": delivery.reply,
        "reason": delivery.category.value if delivery.category else None,
        "user": delivery.by,
        "date": delivery.ended_at,
        "smarthost": delivery.mx,
    }
    if message is not None:
        found |= {"app": message.app, "subject": message.subject, "phone": message.phone}
        found |= {"from_domain": message.header_from.rpartition("@")[2], "sender": message.header_from}
        found |= {"size": f"{message.size / 1024**2:.1f} MB"} if message.size else {}
    return {key: value for key, value in found.items() if value is not None}


def _block_values(blocked: Suppression | None) -> dict[str, Value]:
    if blocked is None:
        return {}
    found: dict[str, Value] = {"user": blocked.by, "date": blocked.since_at, "note": blocked.note}
    return found | ({"unknown_address": blocked.value} if blocked.reason == "invalid_address" else {})


def _entry_of_rule(name: str | None) -> str | None:
    rule = load_rules().by_name.get(name) if name else None
    return rule.entry if rule else None
