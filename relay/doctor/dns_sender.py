"""Judge the domains in From: DMARC, whether our mail is aligned with it, and the rules for bulk senders. Pure.

A mail is aligned when SPF passes for a domain that belongs to the one in From, or a DKIM signature of such a domain is
on it. RFC 7489. What the app signs itself is taken as it is; whether its key is published is the app's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.doctor.answer import txt_record
from relay.doctor.dmarc import Dmarc, is_aligned
from relay.doctor.finding import Finding, State
from relay.doctor.sender_dkim import KeyFacts
from relay.doctor.sender_spf import SpfFacts, check_spf
from relay.wording import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Mail that was really sent lately, or would be: one pair of From and envelope domain."""

    envelope: str  #: the domain that SPF is judged by, as it stands on the wire
    count: int = 0  #: messages lately; 0: none yet, from the configuration alone
    smarthost: str = ""  #: it leaves through this host
    ips: frozenset[str] = frozenset()  #: it leaves from these of our addresses only; empty = from any
    signed_by: frozenset[str] = frozenset()  #: the domains that the app signed the newest one for
    is_bulk: bool = False
    has_one_click: bool = True  #: the newest bulk mail can be unsubscribed from with one click (RFC 8058)


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderFacts:
    """All that is known about one domain in From."""

    domain: str
    dmarc: Dmarc
    sent: tuple[Sent, ...]
    spf: Mapping[str, SpfFacts]  #: by envelope domain
    keys: tuple[KeyFacts, ...]  #: those that sign its mail
    organizations: Mapping[str, str] = field(default_factory=dict)  #: by domain, for what differs from `domain`


@dataclass(frozen=True, slots=True)
class _Proof:
    """What proves a mail, each True, False or None (not known)."""

    spf: bool | None
    dkim: bool | None

    @property
    def aligned(self) -> bool | None:
        if self.spf or self.dkim:
            return True
        return None if None in (self.spf, self.dkim) else False


def check_dmarc(facts: SenderFacts) -> Finding:
    """Say which policy holds for mail from this domain."""
    dmarc, fix = facts.dmarc, ""
    if dmarc.failure:
        state, found = State.UNKNOWN, say("DNS gave no answer: {why}", why=dmarc.failure)
    elif dmarc.found_at is None:
        state, found, fix = State.WARNING, say("there is no DMARC record"), _dmarc_record(facts)
    elif dmarc.fault:
        found = f"{dmarc.fault}; {dmarc.text}" if dmarc.text else dmarc.fault
        state, fix = State.BAD, _dmarc_record(facts)
    else:
        where = "" if dmarc.found_at == facts.domain else dmarc.found_at
        state, found = State.GOOD, say("policy {policy}[, from {domain}]", policy=dmarc.policy, domain=where)
    return Finding(
        id="sender.dmarc",
        subject=facts.domain,
        state=state,
        found=found,
        expected=say("a DMARC record at _dmarc.{domain} or a domain above it", domain=facts.domain),
        fix=fix,
        why=say(
            "Without a policy anybody can send in the name of the domain, and large providers take less of its mail."
        ),
    )


def check_alignment(facts: SenderFacts) -> list[Finding]:
    """Say for each kind of mail sent whether receivers can tie it to the domain in From."""
    return [_alignment(facts, sent) for sent in facts.sent]


def check_bulk(facts: SenderFacts, *, has_ptr: bool | None, has_tls: bool) -> Finding:
    """Hold the mail of a domain against what the large mailbox providers ask of bulk senders."""
    proofs = [_proof(facts, sent) for sent in facts.sent]
    spf = [passes for sent in facts.sent if (one := facts.spf.get(sent.envelope)) for passes in (one.passes,)]
    wants = {
        "SPF": _all(spf),
        "DKIM": _all([proof.dkim for proof in proofs]),
        "DMARC": None if facts.dmarc.failure else facts.dmarc.found_at is not None and not facts.dmarc.fault,
        "alignment": _all([proof.aligned for proof in proofs]),
        "PTR": has_ptr,
        "TLS": has_tls,
    }
    if any(sent.is_bulk for sent in facts.sent):
        wants["one-click unsubscribe"] = all(sent.has_one_click for sent in facts.sent if sent.is_bulk)
    missing = [name for name, is_met in wants.items() if is_met is False]
    unknown = [name for name, is_met in wants.items() if is_met is None]
    met = [name for name, is_met in wants.items() if is_met]
    parts = [
        say("missing: {names}", names=", ".join(missing)) if missing else "",
        say("not known: {names}", names=", ".join(unknown)) if unknown else "",
        say("met: {names}", names=", ".join(met)) if met else "",
    ]
    return Finding(
        id="sender.bulk",
        subject=facts.domain,
        state=State.WARNING if missing else State.UNKNOWN if unknown else State.GOOD,
        found="; ".join(part for part in parts if part),
        expected=", ".join(wants),
        fix=_bulk_fix(facts, missing),
        why=say(
            "The large mailbox providers ask this of whoever sends them thousands of mails a day, some of it of all."
        ),
    )


def _all(values: list[bool | None]) -> bool | None:
    """True when all are; False as soon as one is not; None when there is none, or one is not known."""
    if False in values:
        return False
    return None if None in values or not values else True


def _bulk_fix(facts: SenderFacts, missing: list[str]) -> str:
    fixes = {
        "SPF": next((fix for one in facts.spf.values() if (fix := check_spf(one).fix) and one.passes is False), ""),
        "DKIM": _signing_fix(facts),
        "DMARC": _dmarc_record(facts),
        "alignment": _signing_fix(facts),
        "PTR": "# the PTR record stands at identity.ptr",
        "TLS": '[tls]\nmode = "may"',
        # Only the app can know who unsubscribes from what; these are the headers it has to write.
        "one-click unsubscribe": (
            f"List-Unsubscribe: <https://{facts.domain}/unsubscribe?id=RECIPIENT>\n"
            "List-Unsubscribe-Post: List-Unsubscribe=One-Click"
        ),
    }
    return "\n".join(dict.fromkeys(fixes[name] for name in missing if fixes[name]))


def _signing_fix(facts: SenderFacts) -> str:
    """The record that is missing for a key we have, or else the command that makes a key."""
    for key in facts.keys:
        if key.works is False and is_aligned(facts.dmarc, key.domain, is_strict=facts.dmarc.strict_dkim):
            return txt_record(key.record_name, key.record)
    return f"waybill dkim new {facts.domain}"


def _proof(facts: SenderFacts, sent: Sent) -> _Proof:
    dmarc = facts.dmarc

    def aligned(domain: str, *, is_strict: bool) -> bool:
        organization = facts.organizations.get(domain, "")
        return is_aligned(dmarc, domain, other_organization=organization, is_strict=is_strict)

    spf: bool | None = False
    if aligned(sent.envelope, is_strict=dmarc.strict_spf):
        spf = facts.spf[sent.envelope].passes if sent.envelope in facts.spf else None
    signing = [key.works for key in facts.keys if aligned(key.domain, is_strict=dmarc.strict_dkim)]
    if any(aligned(domain, is_strict=dmarc.strict_dkim) for domain in sent.signed_by) or True in signing:
        return _Proof(spf, True)
    return _Proof(spf, None if None in signing else False)


def _alignment(facts: SenderFacts, sent: Sent) -> Finding:
    proof = _proof(facts, sent)
    policy = facts.dmarc.policy or "none"
    if (facts.dmarc.failure and proof.aligned is not True) or proof.aligned is None:
        state = State.UNKNOWN
    elif proof.aligned is False:
        state = State.WARNING if policy == "none" else State.BAD
    else:
        state = State.GOOD if proof.dkim else State.UNKNOWN if proof.dkim is None else State.WARNING
    words = {True: say("yes"), False: say("no"), None: say("not known")}
    mails = say("{count} messages lately", count=sent.count) if sent.count > 1 else say("1 message lately")
    if not sent.count:
        mails = say("no message yet")
    return Finding(
        id="sender.alignment",
        subject=say("{domain} sent as {envelope}", domain=facts.domain, envelope=sent.envelope),
        state=state,
        found=say(
            "{what}; by SPF: {spf}; by DKIM: {dkim}; policy {policy}",
            what=mails,
            spf=words[proof.spf],
            dkim=words[proof.dkim],
            policy=policy,
        ),
        expected=say(
            "a DKIM signature of {domain}, or SPF for a domain that belongs to it; best both", domain=facts.domain
        ),
        fix=_signing_fix(facts) if state in (State.WARNING, State.BAD) else "",
        why=say(
            "Only mail that is tied to the domain people see passes DMARC; by SPF alone it fails once it is forwarded."
        ),
    )


def _dmarc_record(facts: SenderFacts) -> str:
    return txt_record(f"_dmarc.{facts.domain}", f"v=DMARC1; p=none; rua=mailto:postmaster@{facts.domain}")
