"""Check a whole store: the file, the rows, the states, and that every raw mail can still be read.

Reads only; may run beside everything else. Each fault is a finding with the id it is about, so that a damaged mail is
named and not just counted. A check that cannot be finished because the file is damaged is a finding too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from relay.errors import StoreError
from relay.model import MessageId
from relay.store import content
from relay.store.protocols import Tx

#: Statement -> what is wrong with the rows it returns.
_CHECKS = {
    "open_without_time": "is open without a next try, or ended with one",
    "leased_but_ended": "has ended and is still leased",
    "unknown_status": "has a status that does not exist",
    "open_without_content": "waits to be sent, but its content is missing",
    "delivery_without_message": "belongs to a message that is missing",
    "message_without_delivery": "has no recipient",
    "attempt_without_delivery": "is an attempt of a delivery that is missing",
    "reference_without_message": "is a reference of a message that is missing",
    "content_without_message": "is the content of a message that is missing",
    "delivered_without_time": "has ended, but not when",
}

_MOST = 100  # findings of one kind
_PAGE = 200

#: Called with what is being checked, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault."""

    kind: str  #: file, content, or the name of a check
    subject: str  #: the id it is about; "" for the file
    text: str


def verify(tx: Tx, *, progress: Progress = lambda name, done, total: None) -> list[Finding]:
    """Run all checks; an empty list means that nothing is wrong."""
    steps = len(_CHECKS) + 1
    progress("file", 0, steps)
    findings = _file(tx)
    for number, (name, text) in enumerate(_CHECKS.items(), start=1):
        progress(name, number, steps)
        findings += _rows(tx, name, text)
    findings += _contents(tx, progress)
    return findings


def _file(tx: Tx) -> list[Finding]:
    try:
        lines = [str(row["integrity_check"]) for row in tx.rows("verify.integrity")]
    except StoreError as error:
        lines = [str(error)]
    return [Finding(kind="file", subject="", text=line) for line in lines if line != "ok"]


def _rows(tx: Tx, name: str, text: str) -> list[Finding]:
    try:
        found = tx.rows(f"verify.{name}", {"limit": _MOST})
    except StoreError as error:
        return [Finding(kind=name, subject="", text=f"could not be checked: {error}")]
    return [
        Finding(kind=name, subject=row["subject"], text=f"{row['subject']} {text} ({row['detail']})") for row in found
    ]


def _contents(tx: Tx, progress: Progress) -> list[Finding]:
    """Read every raw mail once and compare its checksum."""
    findings: list[Finding] = []
    after, done = "", 0
    try:
        total = tx.rows("verify.content_count")[0]["count"]
        while page := tx.rows("verify.contents", {"after": after, "limit": _PAGE}):
            for row in page:
                findings += _content(tx, row["id"])
            after, done = page[-1]["id"], done + len(page)
            progress("content", done, total)
    except StoreError as error:
        findings.append(Finding(kind="content", subject=after, text=f"contents after {after or 'the first'}: {error}"))
    return findings


def _content(tx: Tx, content_id: str) -> list[Finding]:
    try:
        content.load(tx, MessageId(content_id))
    except StoreError as error:
        return [Finding(kind="content", subject=content_id, text=str(error))]
    return []
