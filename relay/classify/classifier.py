"""Read a server's answer and decide what it means for one recipient: class, category, blame, deciding rule.

Policy. A 4yz, and no answer at all, is deferred whatever the words say; a 5yz is final. The reason is found in this
order: provider rule, generic text, enhanced code, basic code, stage; text comes before codes because codes lie often.
The class follows from category and first digit, the blame from the category, by the tables here. Only a final 5yz that
says that the address or its domain does not exist suppresses, and before RCPT nothing a server says can be about the
recipient (unless its words name him). A reply quoted inside ("host x said: 450 …") is read for its codes, and when it
is temporary the whole is never hard. A reply that no rule understands is soft, category unknown.

Pure: no I/O, no clock, no state; time is linear in the text, of which 2,000 characters are read. When to try again is
retry.py's business, the status the scheduler's, the words for people explain.py's.
RFC 5321 4.2 and 4.3.2, RFC 3463 and the IANA registry of enhanced codes, RFC 7504, RFC 7505.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from relay.classify.rules import END, GAP, START, Rule, RuleSet, load_rules
from relay.classify.text import fold, words
from relay.model import Blame, Category, Outcome, Reply, ReplyClass, Stage

#: A final 5yz with one of these is hard; with any other category it is soft.
HARD = frozenset({Category.INVALID_ADDRESS, Category.INVALID_DOMAIN, Category.MAILBOX_DISABLED, Category.MOVED})

#: Categories that block an address by one reply.
SUPPRESSING = frozenset({Category.INVALID_ADDRESS, Category.INVALID_DOMAIN})

#: Whose fault a category is.
BLAME: dict[Category, Blame] = {
    Category.INVALID_ADDRESS: Blame.RECIPIENT,
    Category.INVALID_DOMAIN: Blame.RECIPIENT,
    Category.MAILBOX_DISABLED: Blame.RECIPIENT,
    Category.MOVED: Blame.RECIPIENT,
    Category.MAILBOX_FULL: Blame.RECIPIENT,
    Category.MESSAGE_TOO_LARGE: Blame.MESSAGE,
    Category.SPAM_CONTENT: Blame.MESSAGE,
    Category.CONTENT_REJECTED: Blame.MESSAGE,
    Category.POLICY: Blame.THEIR_SERVER,
    Category.SENDER_REJECTED: Blame.US,
    Category.REPUTATION_BLOCK: Blame.US,
    Category.RATE_LIMITED: Blame.US,
    Category.GREYLISTED: Blame.THEIR_SERVER,
    Category.AUTH_FAILURE: Blame.US,
    Category.SENDER_DNS: Blame.US,
    Category.RELAY_DENIED: Blame.THEIR_SERVER,
    Category.TLS_REQUIRED: Blame.US,
    Category.PROTOCOL_ERROR: Blame.US,
    Category.SYSTEM_ERROR: Blame.THEIR_SERVER,
    Category.NETWORK: Blame.THEIR_SERVER,
    Category.DNS_FAILURE: Blame.THEIR_SERVER,
    Category.EXPIRED: Blame.THEIR_SERVER,  # the scheduler names the last reason instead, when there is one
    Category.UNKNOWN: Blame.THEIR_SERVER,
}

#: What no answer at all means at each stage; the text is then our own and is not read.
_SILENCE: dict[Stage, Category] = {
    Stage.DNS: Category.DNS_FAILURE,
    Stage.CONNECT: Category.NETWORK,
    Stage.EHLO: Category.NETWORK,
    Stage.STARTTLS: Category.TLS_REQUIRED,
    Stage.AUTH: Category.NETWORK,
    Stage.MAIL: Category.NETWORK,
    Stage.RCPT: Category.NETWORK,
    Stage.DATA: Category.NETWORK,
}

#: Codes that say more about a silence than its stage does: an answer that was not SMTP, a delivery out of time.
_SILENCE_CODES = {"4.5.0": Category.PROTOCOL_ERROR, "4.4.7": Category.EXPIRED}

#: Before RCPT nobody knows the recipient: what sounds like "no such user" is then about us.
_BEFORE_RCPT: dict[Stage, Category] = {
    Stage.CONNECT: Category.REPUTATION_BLOCK,
    Stage.EHLO: Category.REPUTATION_BLOCK,
    Stage.STARTTLS: Category.TLS_REQUIRED,
    Stage.AUTH: Category.AUTH_FAILURE,
    Stage.MAIL: Category.SENDER_REJECTED,
}

_SAID = re.compile(
    r"\b(?:said|says|replied|responded|answered):? {0,2}([45][0-9]{2})[ -]{1,2}#?([45]\.\d{1,3}\.\d{1,3})?"
)
_CODE_INSIDE = re.compile(r"(?<![\d.])(?<!section )[45]\.\d{1,3}\.\d{1,3}(?![\d.]*\d)")
_NO_DETAIL = frozenset({"4.0.0", "5.0.0", "5.0.1"})


@dataclass(slots=True)  # not frozen: it is made for every reply, and freezing would double its cost
class _Facts:
    """What the conditions of a rule look at."""

    stage: Stage
    code: int | None
    enhanced: str | None
    is_final: bool
    host: str
    words: list[str]
    inner_code: int | None = None


def classify(reply: Reply, *, sender: str = "", recipient: str = "", rules: RuleSet | None = None) -> Outcome:
    """Decide what a reply that is not positive means; `sender` and `recipient` help where the reply names one.

    `rules` stands in for rules.toml where a change is measured.
    """
    if reply.code is None and _is_silence(reply):
        return _silence(reply)
    rules = rules or load_rules()
    folded = fold(reply.text)
    ours = sender.lower() if sender and sender.lower() != recipient.lower() else ""
    facts = _facts(reply, folded, words(folded, sender=ours))
    rule = None if _is_ours(reply) else _by_text(rules, folded, facts)
    rule = rule or _by_codes(rules, facts)
    if rule is None:
        return _without_rule(reply, facts)
    return _checked(rule, facts)


def _is_silence(reply: Reply) -> bool:
    """Tell whether the text is ours, saying what happened instead of an answer; else it is a quoted answer."""
    if reply.enhanced is None:
        return reply.stage is not Stage.RCPT  # RCPT stands for "unknown" where a reply was typed in
    return reply.enhanced.startswith("4.4.") or reply.enhanced in _SILENCE_CODES


def _silence(reply: Reply) -> Outcome:
    category = _SILENCE_CODES.get(reply.enhanced or "", _SILENCE[reply.stage])
    return _outcome(category, f"silence.{reply.stage}", is_final=False)


def _is_ours(reply: Reply) -> bool:
    """Tell whether we made the reply ourselves while looking for a server; then only its codes count."""
    return reply.stage is Stage.DNS or (reply.stage is Stage.CONNECT and reply.enhanced in ("5.4.4", "5.4.6"))


def _facts(reply: Reply, folded: str, spoken: list[str]) -> _Facts:
    code, enhanced = reply.code, reply.enhanced
    first = code // 100 if code else int((enhanced or "4")[0])
    inner = _SAID.search(folded) if "said" in folded or "repl" in folded or "respon" in folded else None
    inner_code = None
    if inner:
        inner_code, enhanced = int(inner[1]), inner[2] or enhanced
    elif (enhanced is None or enhanced in _NO_DETAIL) and "." in folded:
        inside = _CODE_INSIDE.search(folded)
        enhanced = inside[0] if inside else enhanced
    host = (reply.host or "").lower()
    return _Facts(reply.stage, code, enhanced, first == 5, host, spoken, inner_code)


def _by_text(rules: RuleSet, folded: str, facts: _Facts) -> Rule | None:
    """Return the first rule of the file whose words are in the reply."""
    best = _in_tree(rules, facts)
    for needed, candidates in rules.patterns.items():
        if needed in folded:
            spoken = f"{facts.code or ''} {folded}"
            best = _first(best, (rule for rule in candidates if rule.pattern and rule.pattern.search(spoken)), facts)
    if not folded.isascii():
        best = _first(best, (rule for run, rule in rules.runs if run in folded), facts)
    return _first(best, rules.by_provider, facts)


def _first(best: Rule | None, candidates: Iterable[Rule], facts: _Facts) -> Rule | None:
    for rule in candidates:
        if (best is None or rule.rank < best.rank) and _holds(rule, facts):
            best = rule
    return best


def _in_tree(rules: RuleSet, facts: _Facts) -> Rule | None:
    """Walk the tree of phrases from every word of the reply."""
    spoken = [START, *facts.words, END]
    best: Rule | None = None
    opened: dict[int, int] = {}  # phrase with a gap -> where its first half ended
    root, count = rules.tree.next, len(spoken)
    for start in range(count):
        node = root.get(spoken[start])
        position = start + 1
        while node is not None:
            for leaf in node.leaves:
                if leaf.is_first:
                    opened[leaf.pair] = position
                elif (
                    (best is None or leaf.rule.rank < best.rank)
                    and (leaf.pair < 0 or 0 <= start - opened.get(leaf.pair, -GAP - 1) <= GAP)
                    and (leaf.rule.is_plain or _holds(leaf.rule, facts))
                ):
                    best = leaf.rule
            if position == count:
                break
            node = node.next.get(spoken[position])
            position += 1
    return best


def _by_codes(rules: RuleSet, facts: _Facts) -> Rule | None:
    """Return the rule of the enhanced code, else of the basic code; of a quoted reply before the outer one."""
    for rule in rules.by_enhanced.get(facts.enhanced or "", ()):
        if _holds(rule, facts):
            return rule
    for code in (facts.inner_code, facts.code):
        for rule in rules.by_code.get(code or 0, ()):
            if not rule.stage or facts.stage in rule.stage:
                return rule
    return None


def _holds(rule: Rule, facts: _Facts) -> bool:
    """Tell whether every condition beside the words is met."""
    if rule.is_plain:
        return True
    if rule.final is not None and rule.final != facts.is_final:
        return False
    if rule.code and facts.code not in rule.code:
        return False
    if rule.enhanced and facts.enhanced not in rule.enhanced:
        return False
    if facts.enhanced in rule.except_enhanced:
        return False
    if rule.stage and facts.stage not in rule.stage:
        return False
    provider = rule.provider
    return (
        provider is None
        or any(facts.host == host or facts.host.endswith("." + host) for host in provider.hosts)
        or not provider.words.isdisjoint(facts.words)
    )


def _checked(rule: Rule, facts: _Facts) -> Outcome:
    """Apply the two safeguards against blaming the recipient for what is not about him."""
    category = rule.category
    if category in HARD:
        if facts.stage in _BEFORE_RCPT and not rule.any_stage:
            return _outcome(_BEFORE_RCPT[facts.stage], "stage.before-recipient", is_final=facts.is_final)
        if facts.inner_code is not None and facts.inner_code < 500 and facts.is_final:
            return _outcome(Category.SYSTEM_ERROR, "nested.temporary", is_final=True)
    return _outcome(category, rule.name, is_final=facts.is_final, entry=rule.entry)


def _without_rule(reply: Reply, facts: _Facts) -> Outcome:
    """Name what no rule understood."""
    if reply.stage is Stage.DNS:
        return _outcome(Category.DNS_FAILURE, "silence.dns", is_final=facts.is_final)
    if reply.code is not None and not 400 <= reply.code < 600:
        return _outcome(Category.PROTOCOL_ERROR, "basic.unexpected", is_final=False)
    return _outcome(Category.UNKNOWN, "none", is_final=facts.is_final)


@cache  # few different ones, and making one costs a tenth of the whole
def _outcome(category: Category, rule: str, *, is_final: bool, entry: str | None = None) -> Outcome:
    reply_class = ReplyClass.DEFERRED if not is_final else ReplyClass.HARD if category in HARD else ReplyClass.SOFT
    return Outcome(
        reply_class=reply_class,
        category=category,
        blame=BLAME[category],
        rule=rule,
        suppress=reply_class is ReplyClass.HARD and category in SUPPRESSING,
        entry=entry,
    )
