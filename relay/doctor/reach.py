"""Judge whether mail can leave: port 25 outwards from each source address, over IPv4 and IPv6. Pure.

A silence on port 25 means something only when the machine reaches the internet otherwise. Without any sign of that
nothing is known, and the finding says so in plain words: off the internet nobody can tell.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from relay.doctor.finding import Finding, State
from relay.wording import say

_WHY = say("Mail leaves through port 25 only, and many hosting providers keep it shut until they are asked.")


class Ended(StrEnum):
    """How a try to connect ended."""

    GREETED = "greeted"  #: 220
    UNWILLING = "unwilling"  #: connected, and another answer than 220, or none that makes sense
    REFUSED = "refused"
    SILENT = "silent"
    UNREACHABLE = "unreachable"  #: no route, or the address cannot be used here
    NO_TARGET = "no_target"  #: the probe's address could not be found


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachFacts:
    """One try."""

    source: str  #: the address we tried from, or what stands for it
    version: int  #: 4 | 6
    target: str  #: host, address and port, for people
    ip: str = ""  #: of the target
    port: int = 25
    ended: Ended
    text: str = ""  #: the greeting, or why it failed
    is_needed: bool = True  #: False: mail goes out without it (IPv6 with ip = "auto" and no address for it)


def check_reach(facts: ReachFacts, *, is_online: bool) -> Finding:
    """Say whether mail can leave from there; `is_online`: something on the internet has answered."""
    state, found = _judge(facts, is_online=is_online)
    return Finding(
        id="reach.port25",
        subject=facts.source,
        state=state,
        found=found,
        expected=say("a greeting from {target} over IPv{version}", target=facts.target, version=facts.version),
        fix=_fix(facts) if state is State.BAD else "",
        why=_WHY,
    )


def check_nothing_probed() -> Finding:
    """Say that no host is set to try with."""
    return Finding(
        id="reach.port25",
        subject="doctor.probe",
        state=State.UNKNOWN,
        found=say("no host to try with is set, so nobody tried"),
        expected=say("a mail server in the internet to connect to"),
        fix='[doctor]\nprobe = "gmail.com"',
        why=_WHY,
    )


def _judge(facts: ReachFacts, *, is_online: bool) -> tuple[State, str]:
    if facts.ended is Ended.GREETED:
        return State.GOOD, say("connected to {target}: {text}", target=facts.target, text=facts.text)
    if facts.ended is Ended.UNWILLING:
        return State.WARNING, say(
            "the way is open, but {target} would not talk to us: {why}", target=facts.target, why=facts.text
        )
    if not facts.is_needed and facts.ended is not Ended.NO_TARGET:
        return State.GOOD, say("IPv{version} is not used: {why}", version=facts.version, why=facts.text)
    if not is_online:
        return State.UNKNOWN, say(
            "this machine seems to be off the internet, nothing out there answered, nor did {target} ({why}); "
            "run this again where mail is to leave from",
            target=facts.target,
            why=facts.text,
        )
    if facts.ended is Ended.NO_TARGET:
        return State.UNKNOWN, facts.text
    if facts.ended is Ended.UNREACHABLE:
        return State.BAD, say("{target} cannot be reached from here: {why}", target=facts.target, why=facts.text)
    return State.BAD, say(
        "port {port} is shut on the way to {target}: {why}; other ports are open",
        port=facts.port,
        target=facts.target,
        why=facts.text,
    )


def _fix(facts: ReachFacts) -> str:
    if facts.ended is Ended.UNREACHABLE:
        return "ip -4 route" if facts.version == 4 else '[delivery]\nip = "4"'
    return f"nc -{facts.version} -v -w 10 -s {facts.source} {facts.ip} {facts.port}"
