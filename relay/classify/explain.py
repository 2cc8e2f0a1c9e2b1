"""Choose the words for people: which entry of the catalogue tells what happened, and with which values.

Policy. The status speaks first (delivered, queued, suppressed …); for what is deferred or has failed, the category and
whether we still try, gave up after temporary answers, or got a final answer choose the entry, by the tables here:
exactly one entry for every combination. A rule may name a nearer entry for its replies (`virus`, `bad-address`).

explain() gives a message id and parameters; catalogue.toml holds the English words, the dashboard the other languages.
render() says them in a tongue (classify/sentences.py), in English without one. Pure: no I/O, no clock, no store.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from relay import deadline
from relay.classify.rules import load_rules
from relay.classify.sentences import ENGLISH, Size, Tongue, Value, every_msgid, filled, said, table
from relay.model import Blame, Category, Delivery, Message, Outcome, Reply, ReplyClass, Suppression
from relay.status import FAILED, OPEN, Status

__all__ = [
    "Course",
    "Explanation",
    "Size",
    "Tongue",
    "Value",
    "Words",
    "course_of",
    "entry_for",
    "every_msgid",
    "explain",
    "explain_delivery",
    "explain_no_record",
    "explain_refusal",
    "reason_of",
    "render",
    "render_for_customer",
    "with_params",
]


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
    also: tuple[str, ...] = ()  #: what else is true: keys of the table `also`


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

#: Ends that no temporary answer leads to.
_ONLY_FINAL = frozenset({Status.HARD_BOUNCED, Status.INVALID})

#: What needs no copy.
_HAS_LEFT = frozenset({Status.DELIVERED, Status.SENT})

#: What stands before the reason why something is held.
_PREFIX = re.compile(r"(?:paused|hold): ")

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
    if rule_entry == deadline.ENTRY and status in FAILED:
        return rule_entry  # the mail's own time was over, whatever was last said
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
    """Explain where a delivery stands; `params` adds what only the caller knows.

    That is: until, suggestion, user, note, corrected (the customer's current address), resent (where a copy of it
    went), lifted (when the block ended), last_reason (what kept it, when its deadline is over).
    """
    if delivery.status in OPEN and blocked is not None:  # nothing is sent there any more, whatever the plan was
        delivery = replace(delivery, status=Status.SUPPRESSED, held=None)
    values = {**_values(delivery, message), **_block_values(blocked), **(params or {})}
    if _is_held(delivery):
        values = {"note": _PREFIX.sub("", delivery.held or ""), **values}
    entry = _entry_of(delivery, blocked)
    is_ours = entry == "gave-up" and delivery.blame is Blame.US
    return Explanation(
        entry=entry,
        params=values,
        is_pending=delivery.status is Status.DEFERRED,
        who="admin" if is_ours else None,
        also=_also(delivery, blocked, values),
    )


def _entry_of(delivery: Delivery, blocked: Suppression | None) -> str:
    """Choose the entry: what stands beside the status speaks before it."""
    if _is_held(delivery):
        return "paused"
    marks = [entry for mark, entry in _BY_MARK.items() if mark in delivery.marks]
    if delivery.status is Status.DELIVERED and marks:
        return marks[0]
    if delivery.delivered_at is not None and delivery.status in FAILED:
        return "returned-late"
    return entry_for(
        delivery.status,
        category=delivery.category,
        course=course_of(delivery),
        blame=delivery.blame,
        rule_entry=_entry_of_rule(delivery.rule),
        block_reason=blocked.reason if blocked else None,
    )


def _is_held(delivery: Delivery) -> bool:
    return delivery.held is not None and delivery.status in OPEN


def _also(delivery: Delivery, blocked: Suppression | None, values: Mapping[str, Value]) -> tuple[str, ...]:
    """Name what is true beside the entry: another address, a copy, a block that stands in the way of a resend."""
    found = ["redirected"] if delivery.intended is not None else []
    if delivery.status not in _HAS_LEFT:
        beside = next((key for key in ("resent", "corrected", "lifted") if key in values), None)
        if beside is None and blocked is not None and delivery.status in FAILED:
            beside = "blocked"
        found += [beside] if beside else []
    return tuple(found)


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
    if delivery.status in _ONLY_FINAL:  # a report by mail may give no code
        return Course.FINAL
    return Course.FINAL if delivery.code is not None and delivery.code >= 500 else Course.GAVE_UP


def render(explanation: Explanation, *, tongue: Tongue = ENGLISH) -> Words:
    """Say it, in English or in another tongue."""
    catalogue = table("catalogue.toml")
    entry = catalogue["entry"][explanation.entry]
    if explanation.is_pending and "pending" in entry:
        entry = {**entry, **entry["pending"]}
    params = _in_words(explanation.params, tongue)
    beside = [catalogue["also"][key] for key in explanation.also]
    happened = [*entry["happened"], *(one["happened"] for one in beside if "happened" in one)]
    instead = [one["instead"] for one in beside if "instead" in one]
    more = [one["next_step"] for one in beside if "next_step" in one]
    who = next((one["who"] for one in beside if "who" in one), entry["who"])
    return Words(
        title=filled(entry["title"], params, tongue),
        happened=said(happened, params, tongue),
        next_step=said(instead or [*entry["next_step"], *more], params, tongue),
        who=explanation.who or who,
    )


def render_for_customer(explanation: Explanation, *, tongue: Tongue = ENGLISH) -> str:
    """Say it to the customer; nothing internal is in it."""
    texts = table("customer.toml")
    key, pending = explanation.entry, texts["pending"]
    sentences = texts["text"][key]
    beside = next((key for key in explanation.also if key in texts["also"]), None)
    if beside is not None:
        sentences = texts["also"][beside]
    elif explanation.is_pending:
        sentences = pending["special"].get(key) or (pending["text"] if key in pending["entries"] else sentences)
    return said(sentences, _in_words(explanation.params, tongue), tongue)


def reason_of(category: Category) -> str:
    """Give the few words for a category; a msgid."""
    words: str = table("catalogue.toml")["reason"][category.value]
    return words


def _in_words(values: Mapping[str, Value], tongue: Tongue) -> dict[str, str]:
    """Write the values that are known as the tongue does."""
    reasons = table("catalogue.toml")["reason"]
    params = {key: tongue.shown(value) for key, value in values.items() if value not in ("", None)}
    for key in ("reason", "last_reason"):
        if values.get(key) in reasons:
            params[key] = tongue.text(reasons[values[key]])
    n = values.get("n")
    return params | ({"tries": tongue.times(n)} if isinstance(n, int) else {})


def with_params(explanation: Explanation, params: Mapping[str, Value]) -> Explanation:
    """Add values that became known later."""
    return replace(explanation, params={**explanation.params, **params})


def _values(delivery: Delivery, message: Message | None) -> dict[str, Value]:
    """Collect the parameters that a delivery and its message hold."""
    found: dict[str, Value | None] = {
        "address": delivery.address,
        "intended": delivery.intended,
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
        found |= {"size": Size(message.size)} if message.size else {}
        found |= {"event" if deadline.is_at_event(message) else "deadline": message.expires_at}
    return {key: value for key, value in found.items() if value is not None}


def _block_values(blocked: Suppression | None) -> dict[str, Value]:
    if blocked is None:
        return {}
    found: dict[str, Value] = {"user": blocked.by, "date": blocked.since_at, "note": blocked.note}
    return found | ({"unknown_address": blocked.value} if blocked.reason == "invalid_address" else {})


def _entry_of_rule(name: str | None) -> str | None:
    if name == deadline.RULE:
        return deadline.ENTRY
    rule = load_rules().by_name.get(name) if name else None
    return rule.entry if rule else None
