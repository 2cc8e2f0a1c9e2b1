"""Judge DKIM: is the public half of each of our keys published, whole, and in force? Pure. RFC 6376 3.6.1, RFC 8463."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from relay.doctor.answer import Answer, txt_record
from relay.doctor.dmarc import read_tags
from relay.doctor.finding import Finding, State

_WHY = "A signature whose key cannot be found or does not fit counts as none, and mail lands among spam."

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
        expected="one TXT record with the public half of our key",
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
        found=f"the app signs its mail itself, for {names}" if is_signed else "no key signs the mail of this domain",
        expected="a signature on every mail",
        fix="" if is_signed else f"waybill dkim new {domain}",
        why="The large mailbox providers ask for a signature, and it is all that survives forwarding.",
    )


def _judge(facts: KeyFacts) -> tuple[State, str, str]:
    """State, what was found, and the fix."""
    publish = txt_record(facts.record_name, facts.record)
    if facts.answer.is_failed:
        return State.UNKNOWN, f"DNS gave no answer: {facts.answer.why}", ""
    if facts.answer.is_missing:
        return State.BAD, "there is no such record", publish
    if len(facts.answer.texts) > 1:
        return State.BAD, f"there are {len(facts.answer.texts)} TXT records; receivers take any of them", publish
    published = read_tags(facts.answer.texts[0])
    fault = _fault(published, read_tags(facts.record))
    if fault:
        return State.BAD, fault, publish
    if "y" in _words(published.get("t", "")):
        found = "the record says t=y, a test: receivers may treat the mail as if it were not signed"
        return State.WARNING, found, publish
    if 0 < facts.bits < _SHORT_BITS:
        found = f"the record fits our key, which has {facts.bits} bits only"
        return State.WARNING, found, f"waybill dkim new {facts.domain}"
    return State.GOOD, "the record fits our key", ""


def _fault(published: dict[str, str], wanted: dict[str, str]) -> str:
    if published.get("v", "DKIM1") != "DKIM1":
        return f"v={published['v']} is no DKIM record"
    if "p" not in published:
        return "the record has no key (p=)"
    if not published["p"]:
        return "the key was taken back (p= is empty)"
    kind = published.get("k", "rsa").lower()
    if kind != wanted["k"]:
        return f"the record says k={kind}, and our key is {wanted['k']}"
    if _bytes(published["p"]) is None:
        return "the key in the record cannot be read; part of it may be missing"
    if _bytes(published["p"]) != _bytes(wanted["p"]):
        return "the record has another key than ours"
    if "h" in published and "sha256" not in _words(published["h"]):
        return f"the record allows h={published['h']} only, and we sign with sha256"
    if "s" in published and not {"*", "email"} & _words(published["s"]):
        return f"the record is for s={published['s']} only, not for mail"
    return ""


def _words(value: str) -> set[str]:
    return {word.strip().lower() for word in value.split(":")}


def _bytes(value: str) -> bytes | None:
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
