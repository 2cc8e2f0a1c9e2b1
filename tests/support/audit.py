"""The five invariants that must hold after any fault: what was promised, what arrived, and what the relay says of both.

ReceiptMx is a recipient's server that notes every mail without the trace header we put on top, so that what arrived
can be compared with what was handed in. `audit` reads the client's ledger, the servers' receipts and the relay's own
store and names every mail for which one of these does not hold:
  1. nothing promised is lost (it has arrived, waits, or ended with a reason);
  2. no mail has more extra copies than times its sending was interrupted, and each such mail is marked in the log;
  3. nothing is called delivered that its recipient's server does not have;
  4. the store is sound (`waybill verify`);
  5. nothing arrived with other bytes than were handed in.
Recipients must be different for every mail, as LedgerClient makes them. Reads only.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from relay.demo.conversation import Accepted
from relay.demo.mx import FakeMx
from relay.status import Status
from relay.store import log, open_store
from relay.store.engine import EngineStore
from relay.store.log import LogRow
from relay.store.protocols import Tx
from relay.store.verify import verify
from tests.support.ledger import Promise, reconcile

_TRACE = re.compile(rb"\AReceived: by [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")


class ReceiptMx(FakeMx):
    """A FakeMx whose receipts hold the content without our own trace header."""

    async def accept(self, accepted: Accepted, *, is_answered: bool) -> int:
        return await super().accept(
            replace(accepted, content=_TRACE.sub(b"", accepted.content, count=1)), is_answered=is_answered
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """One mail that a recipient's server took."""

    message_id: str
    to: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was found; the tuples name what must not be, and are empty when all is well."""

    promised: int = 0
    delivered: int = 0
    waiting_or_ended: int = 0
    duplicates: int = 0  #: copies beyond the first
    interruptions: int = 0  #: times a sending was interrupted: the most duplicates there may be
    lost: tuple[str, ...] = ()
    too_many_copies: tuple[str, ...] = ()
    unmarked_copies: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()  #: called delivered, without a receipt
    unsound: tuple[str, ...] = ()  #: findings of verify
    changed: tuple[str, ...] = ()  #: arrived with other bytes

    @property
    def faults(self) -> dict[str, tuple[str, ...]]:
        """Every broken invariant with what broke it."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, tuple) and value}

    def __add__(self, other: Audit) -> Audit:
        return Audit(**{field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)})

    def __str__(self) -> str:
        return (
            f"{self.promised} promised, {self.delivered} arrived, {self.waiting_or_ended} waiting or ended, "
            f"{len(self.lost)} lost, {self.duplicates} duplicates (at most {self.interruptions} possible), "
            f"{len(self.unproven)} called delivered without a receipt, {len(self.changed)} changed, "
            f"{len(self.unsound)} faults in the store"
        )


def read_receipts(paths: Iterable[Path]) -> list[Receipt]:
    """Read the files of recipients' servers."""
    receipts = []
    for path in paths:
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            receipts += [Receipt(message_id=entry["id"], to=to, sha256=entry["sha256"]) for to in entry["to"]]
    return receipts


def audit(promises: Sequence[Promise], *, receipts: Iterable[Path], data_dir: Path, url: str = "") -> Audit:
    """Compare ledger, receipts and store; the store is the SQLite file in data_dir unless `url` names another."""
    with open_store(url or f"sqlite:{data_dir / 'waybill.db'}", data_dir) as store:
        return _audit(promises, read_receipts(receipts), store)


def _audit(promises: Sequence[Promise], receipts: Sequence[Receipt], store: EngineStore) -> Audit:
    rows = store.read_now(lambda tx: log.search(tx, log.Query(limit=10_000_000)))
    by_address = {row.to: row for row in rows}
    arrivals = Counter((receipt.message_id, receipt.to) for receipt in receipts)
    balance = reconcile(
        promises,
        arrivals=arrivals,
        rows=[{"message": row.message, "to": row.to, "status": row.status} for row in rows],
    )
    copied = {to: count - 1 for (_, to), count in arrivals.items() if count > 1}
    interrupted = store.read_now(lambda tx: _interruptions(tx, rows))
    given = {promise.message_id: promise.sha256 for promise in promises}
    taken = {receipt.to for receipt in receipts}
    return Audit(
        promised=balance.promised,
        delivered=balance.delivered,
        waiting_or_ended=balance.waiting_or_ended,
        duplicates=balance.duplicates,
        interruptions=sum(interrupted.values()),
        lost=tuple(promise.relay_id for promise in balance.lost),
        too_many_copies=tuple(to for to, extra in copied.items() if extra > interrupted[to]),
        unmarked_copies=tuple(to for to in copied if to in by_address and not by_address[to].is_unknown),
        unproven=tuple(row.to for row in rows if row.status is Status.DELIVERED and row.to not in taken),
        unsound=tuple(finding.text for finding in store.read_now(verify)),
        changed=tuple(one.to for one in receipts if given.get(one.message_id, one.sha256) != one.sha256),
    )


def _interruptions(tx: Tx, rows: Sequence[LogRow]) -> Counter[str]:
    """Count for each address how often its lease was taken over, or an attempt ended without the final answer."""
    found: Counter[str] = Counter()
    for row in rows:
        if row.is_unknown and (message := log.find(tx, row.id)) is not None:
            found[row.to] += sum(event.kind == "interrupted" for event in message.events)
            found[row.to] += sum(attempt.is_unknown for attempt in message.attempts)
    return found
