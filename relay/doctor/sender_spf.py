"""Judge SPF: are the addresses we send from allowed by the domains of our envelope senders? Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from relay.doctor.answer import txt_record
from relay.doctor.finding import Finding, State, worst
from relay.doctor.spf import MAX_LOOK_UPS, Evaluation, Result
from relay.doctor.spf_record import with_addresses
from relay.wording import say

_WHY = say("Receivers refuse or distrust mail whose envelope sender does not allow the address that it comes from.")

_STATES = {
    Result.PASS: State.GOOD,
    Result.NEUTRAL: State.WARNING,
    Result.SOFTFAIL: State.BAD,
    Result.FAIL: State.BAD,
    Result.NONE: State.BAD,
    Result.PERMERROR: State.BAD,
    Result.TEMPERROR: State.UNKNOWN,
}

_WORDS = {
    Result.PASS: say("allowed"),
    Result.NEUTRAL: say("neither allowed nor forbidden"),
    Result.SOFTFAIL: say("not allowed (~)"),
    Result.FAIL: say("not allowed (-)"),
    Result.NONE: say("no SPF record"),
    Result.PERMERROR: say("the record is faulty"),
    Result.TEMPERROR: say("DNS gave no answer"),
}

#: So many of the ten look-ups in use that the next include may break the record.
_NEARLY_FULL = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class SpfFacts:
    """What the SPF record of one envelope domain says about each of our addresses."""

    domain: str
    by_ip: tuple[tuple[str, Evaluation], ...]  #: empty: which address the world sees is not known
    smarthost: str = ""  #: mail leaves through this host, so that its addresses count and not ours

    @property
    def passes(self) -> bool | None:
        """Whether mail of this domain passes from every address; None when that is not known."""
        states = {_STATES[evaluation.result] for _, evaluation in self.by_ip}
        if not states or (State.UNKNOWN in states and State.BAD not in states):
            return None
        return states <= {State.GOOD}


def check_spf(facts: SpfFacts) -> Finding:
    """Say whether the domain allows what we send from."""
    if not facts.by_ip:
        return _not_known(facts)
    state = worst(_STATES[evaluation.result] for _, evaluation in facts.by_ip)
    found = "; ".join(_sentence(ip, evaluation) for ip, evaluation in facts.by_ip)
    weakness, fix = _weakness(facts) if state is State.GOOD else ("", "")
    return Finding(
        id="sender.spf",
        subject=facts.domain,
        state=State.WARNING if weakness else state,
        found=f"{found}; {weakness}" if weakness else found,
        expected=say(
            "one SPF record at {domain} that allows {addresses}",
            domain=facts.domain,
            addresses=_listed([ip for ip, _ in facts.by_ip]),
        ),
        fix=fix if state in (State.GOOD, State.UNKNOWN) else _fix(facts),
        why=_WHY,
    )


def _not_known(facts: SpfFacts) -> Finding:
    if facts.smarthost:
        found = say("mail leaves through {smarthost}, whose addresses are not known here", smarthost=facts.smarthost)
        expected, fix = say("what the operator of {smarthost} says to include", smarthost=facts.smarthost), ""
    else:
        found = say("this machine has no public address of its own, so it is not known what the world sees")
        expected = say("the public addresses named in the configuration")
        fix = '[doctor]\npublic_addresses = ["192.0.2.25"]'
    return Finding(
        id="sender.spf",
        subject=facts.domain,
        state=State.UNKNOWN,
        found=found,
        expected=expected,
        fix=fix,
        why=_WHY,
    )


def _sentence(ip: str, evaluation: Evaluation) -> str:
    what, why = _WORDS[evaluation.result], evaluation.text
    if evaluation.term and not why:
        return say("address {ip}: {what}, by {term}", ip=ip, what=what, term=evaluation.term)
    return say("address {ip}: {what}[, {why}]", ip=ip, what=what, why=why)


def _weakness(facts: SpfFacts) -> tuple[str, str]:
    """What a record that passes should be changed for, and what to publish instead."""
    evaluations = [evaluation for _, evaluation in facts.by_ip]
    if any(re.match(r"\+?all of ", evaluation.term, re.I) for evaluation in evaluations):
        return say("the record allows the whole internet"), _without(facts, r"[+?~-]?all", end="~all")
    most = max(evaluation.look_ups for evaluation in evaluations)
    if most >= _NEARLY_FULL:
        # Only its owner knows which of the included are still sending.
        return say(
            "{count} of the {most} look-ups are used", count=most, most=MAX_LOOK_UPS
        ), f"dig +short TXT {facts.domain}"
    if any(evaluation.uses_ptr for evaluation in evaluations):
        return say("the mechanism ptr is slow and should not be used any more"), _without(facts, r"[+?~-]?ptr(:.*)?")
    return "", ""


def _without(facts: SpfFacts, pattern: str, *, end: str = "") -> str:
    """The record without such words, and with our addresses instead."""
    words = [word for word in facts.by_ip[0][1].records[0].split() if not re.fullmatch(pattern, word, re.I)]
    if end:
        words.append(end)
    allowed = {word.lower().lstrip("+").partition(":")[2] for word in words}
    added = [ip for ip, _ in facts.by_ip if ip not in allowed]
    return txt_record(facts.domain, with_addresses(" ".join(words), added) if added else " ".join(words))


def _fix(facts: SpfFacts) -> str:
    records = facts.by_ip[0][1].records
    refused = [ip for ip, evaluation in facts.by_ip if evaluation.result is not Result.PASS]
    if not records:
        return txt_record(facts.domain, with_addresses("v=spf1 ~all", refused))
    if len(records) > 1:
        return txt_record(facts.domain, with_addresses(_merged(records), refused))
    if any(evaluation.result is Result.PERMERROR for _, evaluation in facts.by_ip):
        return f"dig +short TXT {facts.domain}"  # only its owner knows what was meant
    return txt_record(facts.domain, with_addresses(records[0], refused))


def _merged(records: tuple[str, ...]) -> str:
    """Make one record of several: every mechanism once, the first record's end at the end."""
    words = [word for record in records for word in record.split()[1:]]
    ends = [word for word in words if re.fullmatch(r"[+?~-]?all|redirect=.*", word, re.I)]
    return " ".join(["v=spf1", *dict.fromkeys(word for word in words if word not in ends), *ends[:1]])


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
