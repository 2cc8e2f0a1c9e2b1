"""Judge who we say we are: the PTR record of each address, both ways, and the name in EHLO. Pure. RFC 5321 4.1.1.1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.doctor.answer import Answer, address_record, reverse_name
from relay.doctor.finding import Finding, State
from relay.wording import say

_WHY_PTR = say("Many servers refuse mail from an address without a name, or whose name leads elsewhere.")
_WHY_EHLO = say("A name that does not lead back to the address looks like that of a hijacked machine.")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """One public address we send from, and what DNS says about it."""

    ip: str
    ehlo: str  #: the name we give there
    ptr: Answer
    forward: Mapping[str, Answer] = field(default_factory=dict)  #: the addresses of each of its names
    ehlo_addresses: Answer
    is_spared: bool = False  #: nothing is sent from it while it has no PTR record (IPv6 with ip = "auto")

    @property
    def is_unused(self) -> bool:
        """True when nothing is sent from here, because the address has no name."""
        return self.is_spared and self.ptr.is_missing

    @property
    def has_ptr(self) -> bool | None:
        """Whether the PTR record leads to a name and back; None when that is not known."""
        if self.ptr.is_failed:
            return None
        if any(self.ip in answer.texts for answer in self.forward.values()):
            return True
        return None if any(answer.is_failed for answer in self.forward.values()) else False


def check_identity(facts: SourceFacts) -> list[Finding]:
    """Say whether the address and its names lead to each other."""
    return [_ptr(facts), _ehlo(facts)]


def _ptr(facts: SourceFacts) -> Finding:
    names = ", ".join(facts.ptr.texts)
    fix = ""
    if facts.has_ptr:
        state, found = State.GOOD, say("{names}, and back", names=names)
    elif facts.ptr.is_failed:
        state, found = State.UNKNOWN, say("DNS gave no answer: {why}", why=facts.ptr.why)
    elif facts.has_ptr is None:
        why = next(answer.why for answer in facts.forward.values() if answer.is_failed)
        state, found = State.UNKNOWN, say("{names}, whose address is not known: {why}", names=names, why=why)
    elif facts.ptr.is_missing:
        state, found = State.BAD, say("the address has no name (PTR)")
        fix = f"{reverse_name(facts.ip)}. IN PTR {facts.ehlo}."
        if facts.is_unused:
            state, found = State.WARNING, say("the address has no name (PTR), so that nothing is sent over IPv6")
    else:
        state, found = State.BAD, say("{names}, which does not lead back to {ip}", names=names, ip=facts.ip)
        fix = address_record(facts.ptr.texts[0], facts.ip)
    return Finding(
        id="identity.ptr",
        subject=facts.ip,
        state=state,
        found=found,
        expected=say(
            "a PTR record with a name that leads back, best {ehlo}; the owner of the address sets it", ehlo=facts.ehlo
        ),
        fix=fix,
        why=_WHY_PTR,
    )


def _ehlo(facts: SourceFacts) -> Finding:
    fix = ""
    if "." not in facts.ehlo:
        state, found = State.BAD, say('"{ehlo}" is no full name', ehlo=facts.ehlo)
        fix = '[node]\nhostname = "relay.example.com"'
    elif facts.ehlo_addresses.is_failed:
        state, found = State.UNKNOWN, say("DNS gave no answer: {why}", why=facts.ehlo_addresses.why)
    elif facts.ip in facts.ehlo_addresses.texts:
        is_same = not facts.ptr.texts or facts.ehlo.lower() in {name.lower() for name in facts.ptr.texts}
        state = State.GOOD if is_same else State.WARNING
        found = say("{ehlo} leads to {ip}", ehlo=facts.ehlo, ip=facts.ip)
        if not is_same:
            found = say(
                "{ehlo} leads to {ip}, but the address calls itself {names}",
                ehlo=facts.ehlo,
                ip=facts.ip,
                names=", ".join(facts.ptr.texts),
            )
            fix = f"{reverse_name(facts.ip)}. IN PTR {facts.ehlo}."
    else:
        where = ", ".join(facts.ehlo_addresses.texts)
        led = say("{ehlo} leads to {ip}", ehlo=facts.ehlo, ip=where)
        state, found = State.BAD, led if where else say("{ehlo} leads nowhere", ehlo=facts.ehlo)
        fix = address_record(facts.ehlo, facts.ip)
    if facts.is_unused and state is State.BAD:
        state = State.WARNING
    return Finding(
        id="identity.ehlo",
        subject=facts.ip,
        state=state,
        found=found,
        expected=say("a full name that leads to {ip} and is its PTR record", ip=facts.ip),
        fix=fix,
        why=_WHY_EHLO,
    )
