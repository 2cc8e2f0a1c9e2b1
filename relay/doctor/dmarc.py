"""Find the DMARC policy of a domain and tell whether two domains are aligned (RFC 7489, with the tree walk).

The organizational domain is found by walking up the tree of names and asking at each for a DMARC record, as the
successor of RFC 7489 does, so that no list of public suffixes has to be kept. Without any record on the way the two
domains count as related when one lies within the other. Pure but for the function that asks.
"""

from __future__ import annotations

from dataclasses import dataclass

from relay.doctor.answer import Ask
from relay.wording import say

#: A name with more labels than this is cut to that many after the first question, so that nobody is asked for ever.
_LONGEST_WALK = 7

POLICIES = ("none", "quarantine", "reject")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dmarc:
    """What a domain publishes about its mail."""

    domain: str  #: the domain that was asked about
    found_at: str | None = None  #: the domain whose record holds; None: there is none
    text: str = ""  #: that record
    policy: str = ""  #: none | quarantine | reject: what is asked for mail of `domain`
    strict_dkim: bool = False
    strict_spf: bool = False
    organization: str = ""  #: the organizational domain; "" when no record says so
    fault: str = ""  #: why a record cannot be used, in words
    failure: str = ""  #: why nothing is known: DNS gave no answer


def is_dmarc(text: str) -> bool:
    """Tell a DMARC record from other TXT records; the version is the one word whose case counts."""
    return text.partition(";")[0].replace(" ", "") == "v=DMARC1"


def read_tags(text: str) -> dict[str, str]:
    """Read "name=value; …"; names in lower case."""
    pairs = (part.partition("=") for part in text.split(";") if "=" in part)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


async def discover(ask: Ask, domain: str) -> Dmarc:
    """Find the policy that holds for mail with that domain in its From address."""
    records: list[tuple[str, dict[str, str], str]] = []
    for name in _walk(domain):
        answer = await ask(f"_dmarc.{name}", "TXT")
        if answer.is_failed:
            return Dmarc(domain=domain, failure=f"_dmarc.{name}: {answer.why or 'no answer'}")
        found = [text for text in answer.texts if is_dmarc(text)]
        if len(found) > 1 and name == domain:
            return Dmarc(
                domain=domain,
                found_at=name,
                fault=say("there are {count} DMARC records; only one counts", count=len(found)),
            )
        if len(found) == 1:
            records.append((name, read_tags(found[0]), found[0]))
            if records[-1][1].get("psd", "").lower() in ("n", "y"):
                break
    return _judged(domain, records) if records else Dmarc(domain=domain)


def _walk(domain: str) -> list[str]:
    labels = domain.split(".")
    shorter = labels[1:] if len(labels) <= _LONGEST_WALK else labels[-_LONGEST_WALK:]
    return [domain, *(".".join(shorter[at:]) for at in range(len(shorter)))]


def _judged(domain: str, records: list[tuple[str, dict[str, str], str]]) -> Dmarc:
    organization = _organization(domain, [(name, tags) for name, tags, _ in records])
    own = [record for record in records if record[0] == domain]
    # Without a record of its own, that of its organization holds, or of the registry above it.
    name, tags, text = own[0] if own else next((r for r in records if r[0] == organization), records[-1])
    policy = (tags.get("p") if name == domain else tags.get("sp") or tags.get("p")) or ""
    fault = ""
    if policy.lower() not in POLICIES:
        if policy or "rua" not in tags:
            fault = say('p="{policy}" is no policy', policy=policy) if policy else say("it has no policy (p=)")
        policy = "none"
    return Dmarc(
        domain=domain,
        found_at=name,
        text=text,
        policy=policy.lower(),
        strict_dkim=tags.get("adkim", "").lower() == "s",
        strict_spf=tags.get("aspf", "").lower() == "s",
        organization=organization,
        fault=fault,
    )


def _organization(domain: str, records: list[tuple[str, dict[str, str]]]) -> str:
    """The name that says psd=n, the one below a registry that says psd=y, else the shortest with a record."""
    for name, tags in records:
        if tags.get("psd", "").lower() == "n":
            return name
        if tags.get("psd", "").lower() == "y" and name != domain:
            return ".".join(domain.split(".")[-len(name.split(".")) - 1 :])
    return records[-1][0]


def is_aligned(dmarc: Dmarc, other: str, *, other_organization: str = "", is_strict: bool) -> bool:
    """Tell whether a domain that was proven (by SPF or DKIM) stands for the domain in From."""
    if other == dmarc.domain:
        return True
    if is_strict:
        return False
    if dmarc.organization and other_organization:
        return dmarc.organization == other_organization
    return other.endswith(f".{dmarc.domain}") or dmarc.domain.endswith(f".{other}")
