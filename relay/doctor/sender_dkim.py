"""Judge DKIM: is the public half of each of our keys published, whole, and in force? Pure. RFC 6376 3.6.1, RFC 8463."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from relay.doctor.answer import Answer, txt_record
from relay.doctor.dmarc import read_tags
from relay.doctor.finding import Finding, State
from relay.wording import say

_WHY = say("A signature whose key cannot be found or does not fit counts as none, and mail lands among spam.")

#: 1024 bits still verify, and receivers begin to distrust them.
_SHORT_BITS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """One key of ours, and what DNS has where its public half belongs."""

    domain: str
    record_name: str
    record: str  #: what is to be published
    bits: int  #: of an RSA key; 0: Ed25519
    answer: Answer

    @property
    def works(self) -> bool | None:
        """Whether receivers can check what this key signs; None when that is not known."""
        if self.answer.is_failed:
            return None
        return check_dkim(self).state in (State.GOOD, State.WARNING)


def check_dkim(facts: KeyFacts) -> Finding:
    """Say whether the record of a key is there and fits."""
    state, found, fix = _judge(facts)
    return Finding(
        id="sender.dkim",
        subject=facts.record_name,
        state=state,
        found=found,
        expected=say("one TXT record with the public half of our key"),
        fix=fix,
        why=_WHY,
    )


def check_unsigned(domain: str, *, signed_by: frozenset[str]) -> Finding:
    """Say what it means that no key of ours signs the mail of a domain."""
    is_signed = bool(signed_by)
    names = ", ".join(sorted(signed_by))
    return Finding(
        id="sender.dkim",
        subject=domain,
        state=State.GOOD if is_signed else State.WARNING,
        found=say("the app signs its mail itself, for {names}", names=names)
        if is_signed
        else say("no key signs the mail of this domain"),
        expected=say("a signature on every mail"),
        fix="" if is_signed else f"waybill dkim new {domain}",
        why=say("The large mailbox providers ask for a signature, and it is all that survives forwarding."),
    )


def _judge(facts: KeyFacts) -> tuple[State, str, str]:
    """State, what was found, and the fix."""
    publish = txt_record(facts.record_name, facts.record)
    if facts.answer.is_failed:
        return State.UNKNOWN, say("DNS gave no answer: {why}", why=facts.answer.why), ""
    if facts.answer.is_missing:
        return State.BAD, say("there is no such record"), publish
    if len(facts.answer.texts) > 1:
        return (
            State.BAD,
            say("there are {count} TXT records; receivers take any of them", count=len(facts.answer.texts)),
            publish,
        )
    published = read_tags(facts.answer.texts[0])
    fault = _fault(published, read_tags(facts.record))
    if fault:
        return State.BAD, fault, publish
    if "y" in _words(published.get("t", "")):
        found = say("the record says t=y, a test: receivers may treat the mail as if it were not signed")
        return State.WARNING, found, publish
    if 0 < facts.bits < _SHORT_BITS:
        found = say("the record fits our key, which has {bits} bits only", bits=facts.bits)
        return State.WARNING, found, f"waybill dkim new {facts.domain}"
    return State.GOOD, say("the record fits our key"), ""


def _fault(published: dict[str, str], wanted: dict[str, str]) -> str:
    if published.get("v", "DKIM1") != "DKIM1":
        return say("v={value} is no DKIM record", value=published["v"])
    if "p" not in published:
        return say("the record has no key (p=)")
    if not published["p"]:
        return say("the key was taken back (p= is empty)")
    kind = published.get("k", "rsa").lower()
    if kind != wanted["k"]:
        return say("the record says k={value}, and our key is {kind}", value=kind, kind=wanted["k"])
    if _bytes(published["p"]) is None:
        return say("the key in the record cannot be read; part of it may be missing")
    if _bytes(published["p"]) != _bytes(wanted["p"]):
        return say("the record has another key than ours")
    if "h" in published and "sha256" not in _words(published["h"]):
        return say("the record allows h={value} only, and we sign with sha256", value=published["h"])
    if "s" in published and not {"*", "email"} & _words(published["s"]):
        return say("the record is for s={value} only, not for mail", value=published["s"])
    return ""


def _words(value: str) -> set[str]:
    return {word.strip().lower() for word in value.split(":")}


def _bytes(value: str) -> bytes | None:
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
