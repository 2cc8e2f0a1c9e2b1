"""Decide which failures are about us and belong to an incident for the admin, and to which.

Policy, in words. What only an admin can mend is never a customer's fault and never a notice of the desk. Each such
failure opens an incident or joins the open one of its kind:

| kind | what it gathers | what it stops |
|---|---|---|
| our_fault | failures of one recipient domain that are blamed on us | the domain, from the threshold on |
| smarthost | mail of one app that its smarthost refused to take from us | the app, from the threshold on |
| content | mail that one recipient domain refused for how it is made | nothing: other mail is not like it |
| resolver | domains that vanished from DNS although they took mail lately, or many at once | nothing: its mail waits |

The threshold (`[incident]`: more than `failures` within `within`) is counted in relay/store/incidents.py; once it is
passed, mail waits instead of failing and no address is counted or blocked for it. No I/O, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from relay.model import Blame, Outcome, Reply
from relay.notices import entry_of, is_for_admin
from relay.status import Status
from relay.wording import say

#: Names of the two readings of NXDOMAIN that nobody believes.
NXDOMAIN_DOUBTED = "nxdomain_doubted"  #: the domain took mail lately
NXDOMAIN_EPIDEMIC = "nxdomain_epidemic"  #: many domains vanished at once


class Kind(StrEnum):
    """What an incident is about."""

    OUR_FAULT = "our_fault"
    CONTENT = "content"
    SMARTHOST = "smarthost"
    RESOLVER = "resolver"


#: Kinds that pause what they are about.
PAUSING = frozenset({Kind.OUR_FAULT, Kind.SMARTHOST})


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an incident is about; two failures with the same one belong together."""

    kind: Kind
    domain: str = ""  #: of the recipients; "" for all
    app: str = ""  #: whose smarthost it is

    @property
    def pause(self) -> tuple[str, str]:
        """Scope and value of the pause that stops it."""
        return ("app", self.app) if self.kind is Kind.SMARTHOST else ("domain", self.domain)


def subject_of(
    status: Status, *, outcome: Outcome | None, reply: Reply | None, domain: str, app: str
) -> Subject | None:
    """Say which incident a result belongs to; None: to none."""
    if outcome is None:
        return None
    if outcome.rule == NXDOMAIN_EPIDEMIC:
        return Subject(kind=Kind.RESOLVER)
    if outcome.rule == NXDOMAIN_DOUBTED:
        return Subject(kind=Kind.RESOLVER, domain=domain)
    entry = entry_of(status, outcome=outcome, reply=reply)
    if entry is None or not is_for_admin(entry, outcome):
        return None
    if status is Status.REJECTED:
        return Subject(kind=Kind.SMARTHOST, app=app)
    kind = Kind.CONTENT if outcome.blame is Blame.MESSAGE else Kind.OUR_FAULT
    return Subject(kind=kind, domain=domain)


def headline(subject: Subject, category: str) -> str:
    """Say in a few words what is wrong; stands beside the mail that waits for it."""
    if subject.kind is Kind.SMARTHOST:
        return say("the mail service of {app} refuses us", app=subject.app)
    if subject.kind is Kind.RESOLVER:
        if not subject.domain:
            return say("our name servers cannot find many domains at once")
        return say("our name servers cannot find {domain}", domain=subject.domain)
    if subject.kind is Kind.CONTENT:
        return say("{domain} refuses the content of our mail ({category})", domain=subject.domain, category=category)
    return say("{domain} refuses our mail ({category})", domain=subject.domain, category=category)


def advice(subject: Subject) -> str:
    """Say what an admin does about it."""
    if subject.kind is Kind.SMARTHOST:
        return "Check the user name, password and address of the mail service; then send the failed mail again."
    if subject.kind is Kind.RESOLVER:
        return "Check the name servers ([dns] servers); the mail waits and goes out by itself once they answer."
    if subject.kind is Kind.CONTENT:
        return "Ask whoever makes these mails to change them; sending them again unchanged does not help."
    return "Read the answer, mend what it names (block list, DNS, signature), then send the failed mail again."
