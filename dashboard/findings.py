"""What the doctor found, sorted for the pages: by sending domain, by address, and this machine. Pure.

The fix of a finding is a DNS record, a command or lines for config.toml; a record is taken apart into the fields that
DNS panels ask for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dashboard.marking import N_
from relay.doctor import ORDER, Finding, State, worst

#: What each check is called, in the order of the pages.
TITLES = {
    "sender.spf": N_("SPF: who may send for the domain"),
    "sender.dkim": N_("DKIM: our signature"),
    "sender.dmarc": N_("DMARC: what receivers shall do"),
    "sender.alignment": N_("Alignment: does the proof fit the From address"),
    "sender.bulk": N_("Rules of the large providers"),
    "identity.ptr": N_("Name of the address (PTR)"),
    "identity.ehlo": N_("Name we give (EHLO)"),
    "blocklists.listed": N_("Block lists"),
    "reach.port25": N_("Way out on port 25"),
    "local.resolver": N_("Name servers"),
    "local.dnssec": N_("DNSSEC"),
    "local.clock": N_("Clock"),
    "local.disk": N_("Disk"),
    "local.certificate": N_("TLS certificates"),
    "local.sqlite": N_("SQLite"),
    "local.python": N_("Python"),
    "local.data_dir": N_("Data folder"),
    "local.config": N_("Configuration"),
    "local.store": N_("Store"),
}

#: State -> word, tone and icon.
STATES = {
    State.GOOD: (N_("Good"), "ok", "tick"),
    State.WARNING: (N_("Deserves a look"), "wait", "warning"),
    State.BAD: (N_("Wrong"), "bad", "cross"),
    State.UNKNOWN: (N_("Not known"), "off", "dot"),
}

_RECORD = re.compile(r"(?P<host>\S+)\. IN (?P<kind>TXT|A|AAAA|PTR|MX|CNAME) (?P<value>.+)")
_STRING = re.compile(r'"([^"]*)"')

_RANK = {check: rank for rank, check in enumerate(TITLES)}


@dataclass(frozen=True, slots=True)
class Record:
    """A DNS record to create, in the fields of a DNS panel."""

    kind: str
    host: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A finding, ready to be shown."""

    finding: Finding
    records: tuple[Record, ...]
    lines: str  #: a command or lines to paste; "" when the fix is records

    @property
    def title(self) -> str:
        return TITLES.get(self.finding.id, self.finding.id)


def ready(findings: Iterable[Finding]) -> list[Shown]:
    """Prepare findings, in the order of the pages, of one check what is worst first."""
    found = sorted(findings, key=lambda one: (_RANK.get(one.id, 99), ORDER.index(one.state), one.subject))
    return [_shown(one) for one in found]


def records_of(fix: str) -> tuple[Record, ...]:
    """Take a fix apart into records; none when it is anything else."""
    found = [_RECORD.fullmatch(line) for line in fix.splitlines()]
    if not found or None in found:
        return ()
    return tuple(_record(match["kind"], match["host"], match["value"]) for match in found if match)


def about(domain: str, findings: Sequence[Finding]) -> list[Finding]:
    """Choose what concerns mail with this domain in From."""
    sent_as = f"{domain} sent as "
    envelopes = {one.subject.removeprefix(sent_as) for one in findings if one.subject.startswith(sent_as)}
    return [one for one in findings if one.id.startswith("sender.") and _is_about(one, domain, envelopes)]


def states_by_check(findings: Iterable[Finding]) -> dict[str, State]:
    """Say for each check how it stands at worst."""
    found: dict[str, list[State]] = {}
    for one in findings:
        found.setdefault(one.id, []).append(one.state)
    return {check: worst(states) for check, states in found.items()}


def by_address(findings: Iterable[Finding]) -> list[Finding]:
    """Choose what concerns the addresses we send from, and the way out."""
    return [one for one in findings if one.id.startswith(("identity.", "blocklists.", "reach."))]


def of_machine(findings: Iterable[Finding]) -> list[Finding]:
    """Choose what concerns this machine."""
    return [one for one in findings if one.id.startswith("local.")]


def _is_about(one: Finding, domain: str, envelopes: set[str]) -> bool:
    if one.id == "sender.spf":
        return one.subject == domain or one.subject in envelopes
    if one.id == "sender.alignment":
        return one.subject.startswith(f"{domain} sent as ")
    if one.id == "sender.dkim" and "._domainkey." in one.subject:
        signed = one.subject.partition("._domainkey.")[2]
        return domain == signed or domain.endswith(f".{signed}")
    return one.subject == domain


def _shown(one: Finding) -> Shown:
    records = records_of(one.fix)
    return Shown(finding=one, records=records, lines="" if records else one.fix)


def _record(kind: str, host: str, value: str) -> Record:
    strings = _STRING.findall(value) if kind == "TXT" else []
    return Record(kind, host, "".join(strings) or value)
