"""The queue against a model of it: whatever happens in whatever order, nothing is lost, doubled or stuck."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from relay.model import DeliveryId
from relay.status import OPEN, Status
from relay.store import log, open_store, queue, spool
from relay.store.queue import Selection
from relay.store.verify import verify
from tests.store.making import MINUTE, NOW, disposition, outcome, submission

OWNERS = ("one", "two")
LEASE = 5 * MINUTE


@dataclass
class Known:
    """What the model thinks of one delivery."""

    status: Status
    next_at: datetime | None
    attempts: int = 0
    owner: str | None = None
    is_held: bool = False
    is_unknown: bool = False

    @property
    def is_free(self) -> bool:
        return self.status in OPEN and self.owner is None and not self.is_held


class Queue(RuleBasedStateMachine):
    """Accept, claim, record, let leases run out, hold, cancel: in any order, on a real store."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = open_store("sqlite:waybill.db", Path(self.folder.name))
        self.now = NOW
        self.model: dict[DeliveryId, Known] = {}

    def teardown(self) -> None:
        findings = self.store.read_now(verify)
        self.store.close()
        self.folder.cleanup()
        assert findings == []

    def mine(self, owner: str) -> list[DeliveryId]:
        return [key for key, known in self.model.items() if known.owner == owner]

    @rule(count=st.integers(1, 3))
    def accept(self, count: int) -> None:
        made = submission(*(f"guest{number}@d{number}.example" for number in range(count)), at=self.now)
        self.store.write_now(lambda tx: spool.accept(tx, made))
        for each in made.deliveries:
            self.model[each.id] = Known(Status.QUEUED, self.now)

    @rule(minutes=st.integers(1, 7))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(owner=st.sampled_from(OWNERS), fresh=st.booleans(), limit=st.integers(1, 4))
    def claim(self, owner: str, fresh: bool, limit: int) -> None:
        unit = spool.claim
        got = self.store.write_now(
            lambda tx: unit(tx, owner=owner, now=self.now, lease=LEASE, limit=limit, fresh=fresh)
        )
        due = [
            key
            for key, known in self.model.items()
            if known.is_free
            and known.next_at is not None
            and known.next_at <= self.now
            and (known.attempts == 0) == fresh
        ]
        claimed = [each.delivery.id for each in got]
        assert set(claimed) <= set(due)
        assert len(claimed) == min(limit, len(due))
        oldest = sorted(self.model[key].next_at or NOW for key in due)[: len(claimed)]
        assert sorted(self.model[key].next_at or NOW for key in claimed) == oldest
        for key in claimed:
            self.model[key].owner, self.model[key].next_at = owner, self.now + LEASE

    @rule(owner=st.sampled_from(OWNERS), status=st.sampled_from(sorted(Status)), data=st.data())
    def record(self, owner: str, status: Status, data: st.DataObject) -> None:
        mine = self.mine(owner)
        if not mine or status is Status.QUEUED or status is Status.CANCELLED:
            return
        key = data.draw(st.sampled_from(mine))
        known = self.model[key]
        reading = None if status in (Status.DELIVERED, Status.SENT, Status.SUPPRESSED) else outcome()
        done = disposition(key, status, at=self.now, attempts=known.attempts + 1, reading=reading)
        self.store.write_now(lambda tx: spool.record(tx, done, owner=owner))
        known.status, known.owner, known.next_at, known.attempts = status, None, done.next_at, known.attempts + 1
        if status not in OPEN:
            known.is_held = False

    @rule(owner=st.sampled_from(OWNERS))
    def stop_in_order(self, owner: str) -> None:
        self.store.write_now(lambda tx: spool.release_owner(tx, owner=owner, now=self.now))
        for key in self.mine(owner):
            self.model[key].owner, self.model[key].next_at = None, self.now

    @rule(owner=st.sampled_from(OWNERS))
    def renew(self, owner: str) -> None:
        until = self.now + LEASE
        kept = self.store.write_now(lambda tx: spool.renew(tx, owner=owner, ids=list(self.model), until=until))
        assert kept == set(self.mine(owner))
        for key in kept:
            self.model[key].next_at = until

    @rule()
    def take_over(self) -> None:
        lost = [key for key, known in self.model.items() if known.owner and known.next_at and known.next_at <= self.now]
        assert self.store.write_now(lambda tx: spool.take_over(tx, now=self.now)) == len(lost)
        for key in lost:
            known = self.model[key]
            known.owner, known.next_at, known.is_unknown = None, self.now, True

    @precondition(lambda self: self.model)
    @rule(what=st.sampled_from(["hold", "release", "cancel"]), data=st.data())
    def person(self, what: str, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model)))
        chosen, known = Selection(ids=(key,)), self.model[key]
        if known.status not in OPEN:
            assert self.store.read_now(lambda tx: queue.selected(tx, chosen)) == []
        elif what == "hold":
            self.store.write_now(lambda tx: queue.hold(tx, chosen, reason="look", now=self.now, by="alice"))
            known.is_held = True
        elif what == "release" and known.is_held:
            self.store.write_now(lambda tx: queue.release(tx, chosen, now=self.now, by="alice"))
            known.is_held = False
            known.next_at = known.next_at if known.owner else self.now
        elif what == "cancel":
            self.store.write_now(lambda tx: queue.cancel(tx, chosen, now=self.now, by="alice"))
            known.status, known.owner, known.next_at, known.is_held = Status.CANCELLED, None, None, False

    @invariant()
    def store_and_model_agree(self) -> None:
        rows = self.store.read_now(lambda tx: tx.compose("SELECT * FROM delivery", {}))
        got = {
            row["id"]: Known(
                Status(row["status"]),
                row["next_at"],
                row["attempts"],
                row["lease_owner"],
                row["held"] is not None,
                bool(row["is_unknown"]),
            )
            for row in rows
        }
        assert got == self.model

    @invariant()
    def the_next_due_is_the_earliest(self) -> None:
        waiting = [known.next_at for known in self.model.values() if known.next_at and (known.is_free or known.owner)]
        assert self.store.read_now(spool.next_due) == (min(waiting) if waiting else None)

    @invariant()
    def the_log_has_everything(self) -> None:
        rows = self.store.read_now(lambda tx: log.search(tx, log.Query(limit=1000)))
        assert {row.id for row in rows} == set(self.model)


TestQueue = Queue.TestCase
TestQueue.settings = settings(
    max_examples=50, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
