"""Judge what block lists say about the addresses we send from. Pure. RFC 5782.

An answer within 127.0.0.0/8 means "listed". 127.255.255.0/24 is how lists say that they refuse the question, usually
because it came through a public resolver; anything outside of 127.0.0.0/8 is no answer of a list at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from relay.doctor.answer import Answer
from relay.doctor.finding import Finding, State
from relay.wording import say

_LISTED = ip_network("127.0.0.0/8")
_REFUSED = ip_network("127.255.255.0/24")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingFacts:
    """What one list says about one address."""

    ip: str
    zone: str
    answer: Answer
    text: str = ""  #: the list's own words


def question(ip: str, zone: str) -> str:
    """Give the name to ask for."""
    # What stands before in-addr.arpa or ip6.arpa is the address from the back, digit by digit for IPv6.
    return f"{ip_address(ip).reverse_pointer.rsplit('.', 2)[0]}.{zone}"


def check_listing(facts: ListingFacts) -> Finding:
    """Say whether the address is listed."""
    state, found = _judge(facts)
    return Finding(
        id="blocklists.listed",
        subject=say("{ip} at {zone}", ip=facts.ip, zone=facts.zone),
        state=state,
        found=found,
        expected=say("not listed"),
        fix=f"dig +short TXT {question(facts.ip, facts.zone)}" if state is State.BAD else "",
        why=say("Servers that ask this list refuse our mail; the list's own pages say why and how to be taken off."),
    )


def _judge(facts: ListingFacts) -> tuple[State, str]:
    if facts.answer.is_failed:
        return State.UNKNOWN, say("DNS gave no answer: {why}", why=facts.answer.why)
    if facts.answer.is_missing:
        return State.GOOD, say("not listed")
    codes = [ip_address(text) for text in facts.answer.texts]
    shown = ", ".join(facts.answer.texts)
    if any(code not in _LISTED for code in codes):
        return (
            State.UNKNOWN,
            say(
                "the answer {codes} is none of a block list; the zone is gone, or somebody rewrites answers",
                codes=shown,
            ),
        )
    if any(code in _REFUSED for code in codes):
        return State.UNKNOWN, say("the list refuses to answer our name servers ({codes})", codes=shown)
    return State.BAD, say("listed ({codes})[: {text}]", codes=shown, text=facts.text)
