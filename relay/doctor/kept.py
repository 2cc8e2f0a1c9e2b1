"""The last examinations, kept in the store, so that what was found is seen at once and by everybody.

One of everything, and one for each domain that was looked at alone, the newest few; all in one row of the store.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.doctor.finding import Finding, State
from relay.store import meta
from relay.store.protocols import Tx

_NAME = "examinations"

#: How many single domains are remembered.
_MOST_DOMAINS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found, and when."""

    at: datetime
    findings: tuple[Finding, ...]
    fault: str = ""  #: why it came to no end, in words


def load(tx: Tx, domain: str | None = None) -> Examination | None:
    """Give the last examination of everything, or of one domain alone."""
    found = _read(tx).get(domain or "")
    return _examination(found) if found is not None else None


def every(tx: Tx) -> dict[str, Examination]:
    """Give the last examination of each domain that was looked at alone; that of everything under the name ""."""
    return {name: _examination(found) for name, found in _read(tx).items()}


def save(tx: Tx, one: Examination, *, domain: str | None = None) -> None:
    """Keep an examination in place of the one before."""
    known = _read(tx)
    known.pop(domain or "", None)
    known[domain or ""] = {
        "at": one.at.isoformat(),
        "fault": one.fault,
        "findings": [_as_json(finding) for finding in one.findings],
    }
    singles = [name for name in known if name]
    for name in singles[: max(0, len(singles) - _MOST_DOMAINS)]:  # the oldest stand first
        del known[name]
    meta.keep_last(tx, _NAME, json.dumps(known))


def _read(tx: Tx) -> dict[str, dict[str, object]]:
    text = meta.last(tx, _NAME)
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}


def _as_json(finding: Finding) -> dict[str, str]:
    return {
        "id": finding.id,
        "subject": finding.subject,
        "state": finding.state.value,
        "found": finding.found,
        "expected": finding.expected,
        "fix": finding.fix,
        "why": finding.why,
    }


def _examination(found: dict[str, object]) -> Examination:
    rows = found["findings"]
    assert isinstance(rows, Sequence)
    return Examination(
        at=datetime.fromisoformat(str(found["at"])),
        findings=tuple(Finding(**{**row, "state": State(row["state"])}) for row in rows),
        fault=str(found["fault"]),
    )
