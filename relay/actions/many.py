"""Send many mails again: say beforehand what that would do, then do it one mail at a time.

Policy. It goes by mails, not by deliveries: of one mail and its resends at most one copy is sent. What is still on its
way is left alone; so is what arrived, unless that is asked for. A blocked address gets nothing. What cannot be sent
(its content is gone, its time is over) is named beforehand. Each mail is queued in a transaction of its own, in which
the mail is looked at once more: a second run, or one that was cut short, sends nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from relay.actions.answer import Answer, no
from relay.actions.resend import Plan, resend, where_to
from relay.address import address_key, domain_of
from relay.model import Delivery, DeliveryId
from relay.status import OPEN, Status
from relay.store import content, log, spool, suppressions
from relay.store.log import LogRow
from relay.store.protocols import Tx
from relay.wording import say

#: So many are sent again at once.
MOST_RESENT = 1000


class Fate(StrEnum):
    """What a resend of many does with one mail."""

    CHOSEN = "chosen"
    DELIVERED = "delivered"  #: it arrived; left out unless asked for
    PENDING = "pending"  #: it is still on its way
    BLOCKED = "blocked"
    GONE = "gone"  #: its content was not kept
    TOO_LATE = "too_late"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """One mail, and what would be done with it."""

    row: LogRow  #: the delivery it was chosen by
    to: str  #: where a copy goes
    fate: Fate


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyForeseen:
    """What sending these mails again would do."""

    mails: tuple[Chosen, ...]

    def of(self, fate: Fate) -> tuple[Chosen, ...]:
        return tuple(one for one in self.mails if one.fate is fate)

    def to_send(self, *, with_delivered: bool) -> tuple[Chosen, ...]:
        wanted = {Fate.CHOSEN, Fate.DELIVERED} if with_delivered else {Fate.CHOSEN}
        return tuple(one for one in self.mails if one.fate in wanted)


def foresee_many(
    tx: Tx, ids: Sequence[DeliveryId], *, now: datetime, apps: Iterable[str] | None = None
) -> ManyForeseen:
    """Say what a resend of these deliveries would do; `apps`: what other apps handed in does not exist."""
    scope = None if apps is None else set(apps)
    families: dict[str, tuple[Delivery, ...]] = {}
    seen: set[str] = set()
    found = []
    for row in log.rows_of(tx, ids[:MOST_RESENT]):
        root = row.resend_of or row.id
        if root in seen or (scope is not None and row.app not in scope):
            continue
        seen.add(root)
        if row.message not in families:
            families[row.message] = spool.deliveries_of(tx, row.message)
        found.append(_look(tx, row, families[row.message], now=now))
    return ManyForeseen(mails=tuple(found))


def _look(tx: Tx, row: LogRow, deliveries: Sequence[Delivery], *, now: datetime) -> Chosen:
    family = _family(deliveries, row.resend_of or row.id)
    source = next(one for one in family if one.id == row.id)
    to = where_to(tx, source, to=None, now=now)[0]
    return Chosen(row=row, to=to, fate=_fate(tx, row, family, to, now=now))


def _fate(tx: Tx, row: LogRow, family: Sequence[Delivery], to: str, *, now: datetime) -> Fate:
    if any(one.status in OPEN or one.status is Status.SENT for one in family):
        return Fate.PENDING
    if row.expires_at is not None and row.expires_at <= now:
        return Fate.TOO_LATE
    if suppressions.active_for(tx, address_key(to), domain=domain_of(to), app=row.app, now=now) is not None:
        return Fate.BLOCKED
    if not content.is_kept(tx, row.message):
        return Fate.GONE
    return Fate.DELIVERED if family[-1].status is Status.DELIVERED else Fate.CHOSEN


def _family(deliveries: Sequence[Delivery], root: str) -> list[Delivery]:
    """One mail to one recipient: the delivery that the app's mail made, and its resends, oldest first."""
    return [one for one in deliveries if root in (one.id, one.resend_of)]


def resend_one_of_many(tx: Tx, plan: Plan, *, with_delivered: bool) -> Answer:
    """Send one of many again, unless it needs no sending by now."""
    spool.lock_message(tx, plan.message.id)
    root = plan.copies[0][0].resend_of
    assert root is not None
    family = _family(spool.deliveries_of(tx, plan.message.id), root)
    if any(one.status in OPEN or one.status is Status.SENT for one in family):
        return no("left_out", say("It is on its way already."))
    if family[-1].status is Status.DELIVERED and not with_delivered:
        return no("left_out", say("It arrived meanwhile."))
    return resend(tx, plan)


@dataclass(slots=True)
class Tally:
    """Adds up what came of each mail of many."""

    sent: list[DeliveryId] = field(default_factory=list)
    blocked: int = 0
    left_out: int = 0

    def add(self, answer: Answer) -> None:
        if answer.key == "blocked":
            self.blocked += 1
        elif answer.is_done and answer.key == "done":
            self.sent += answer.deliveries
        else:
            self.left_out += 1

    def answer(self) -> Answer:
        """Say what came of all of them."""
        said = [say("Queued again: {count}.", count=len(self.sent))]
        said += [say("Not sent, because the address is blocked: {count}.", count=self.blocked)] if self.blocked else []
        said += [
            say("Left out, because it arrived, is on its way or cannot be sent: {count}.", count=self.left_out)
        ] * bool(self.left_out)
        key = "done" if self.sent and not self.blocked and not self.left_out else "partly" if self.sent else "nothing"
        return Answer(key=key, sentence=" ".join(said), is_done=bool(self.sent), count=len(self.sent))
