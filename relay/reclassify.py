"""Read old answers by today's rules, and say what follows for deliveries, counters and blocks. Pure.

Policy. Only deliveries that ended in failure are read again, and only where the answer that decided is one of an SMTP
attempt: a late report, a given-up look-up and a fault of our own keep their reading. The status follows from the new
category by the table of endings.py; what a smarthost rejected stays rejected.

An address's counter changes by the difference between how its errors count now and counted before; what ended before
the last reset, or was forgiven, changes nothing. Its automatic block is lifted when today's rules would not have made
it. A block that they would have made is made, unless something since speaks against it: mail that arrived, a person
who unblocked the address, an undo. Read a second time, nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from relay import deadline, suppress
from relay.classify import classify
from relay.classify.classifier import SUPPRESSING
from relay.endings import end_of_final, is_final
from relay.model import Blame, Category, DeliveryId, MessageId, Outcome, Reply, ReplyClass, Suppression
from relay.settings import Suppressions
from relay.status import Status, check_transition

#: Readings that are not the classifier's, but of relay/delivery/fate.py.
NOT_READ = frozenset({"nxdomain_doubted", "internal_error", "retries_used_up", deadline.RULE})


@dataclass(frozen=True, slots=True, kw_only=True)
class PastFailure:
    """A delivery that ended in failure, with the answer that decided."""

    seq: int
    id: DeliveryId
    message_id: MessageId
    address: str
    address_key: str
    mail_from: str
    status: Status
    ended_at: datetime
    outcome: Outcome  #: how it was read then
    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One failure that is read differently today."""

    past: PastFailure
    outcome: Outcome
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressCase:
    """What deciding about one address needs."""

    error_count: int
    reset_at: datetime | None
    last_arrival: datetime | None  #: when mail last arrived
    last_lifted: datetime | None  #: when a block was last lifted by anybody
    block: Suppression | None  #: the automatic block that stands
    changes: Sequence[Change]
    forgiven: frozenset[DeliveryId] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressEffect:
    """What follows for one address."""

    by: int  #: how much the counter changes
    lifts: bool = False  #: the block that stands is a mistake
    block_reason: str | None = None  #: a block is to be made
    cause: Change | None = None  #: the failure that makes it


def read_again(past: PastFailure) -> Change | None:
    """Read one failure by today's rules; None when nothing changes."""
    if past.outcome.rule in NOT_READ or past.reply.is_positive:
        return None
    outcome = classify(past.reply, sender=past.mail_from, recipient=past.address)
    if outcome.category is Category.EXPIRED:
        outcome = replace(outcome, blame=past.outcome.blame)  # as fate.py does: what used the time up is to blame
    status = past.status
    if status is not Status.REJECTED:
        status = end_of_final(outcome.category) if is_final(past.reply) else Status.SOFT_BOUNCED
    old = past.outcome
    same = (old.category, old.blame, old.rule) == (outcome.category, outcome.blame, outcome.rule)
    if same and status is past.status:
        return None
    if status is not past.status:
        check_transition(past.status, status)
    return Change(past=past, outcome=outcome, status=status)


def decide(case: AddressCase, *, settings: Suppressions) -> AddressEffect:
    """Say what the changed readings mean for the address."""
    live = [one for one in case.changes if _is_live(one, case)]
    by = sum(
        _counts(one.status, one.outcome, settings) - _counts(one.past.status, one.past.outcome, settings)
        for one in live
    )
    by = max(by, -case.error_count)
    is_over = case.error_count + by > settings.max_errors
    lifts = case.block is not None and not _stands(case.block, case, is_over=is_over, by=by, settings=settings)
    if case.block is not None and not lifts:
        return AddressEffect(by=by)
    unopposed = [one for one in live if not _is_opposed(one, case)]
    for one in reversed(unopposed):
        if _blocks_at_once(one.outcome, settings) and one.status is not Status.REJECTED:
            return AddressEffect(by=by, lifts=lifts, block_reason=one.outcome.category.value, cause=one)
    if is_over and unopposed and (by > 0 or lifts):
        return AddressEffect(by=by, lifts=lifts, block_reason="errors", cause=unopposed[-1])
    return AddressEffect(by=by, lifts=lifts)


def _stands(block: Suppression, case: AddressCase, *, is_over: bool, by: int, settings: Suppressions) -> bool:
    """Tell whether today's rules would have made the block that stands."""
    if block.reason == "errors":
        return by >= 0 or is_over
    cause = next((one for one in case.changes if one.past.id == block.delivery_id), None)
    return cause is None or _blocks_at_once(cause.outcome, settings)


def _is_live(change: Change, case: AddressCase) -> bool:
    is_before_reset = case.reset_at is not None and change.past.ended_at <= case.reset_at
    return not is_before_reset and change.past.id not in case.forgiven


def _is_opposed(change: Change, case: AddressCase) -> bool:
    """Tell whether something since that failure says that the address is good."""
    return any(since is not None and since >= change.past.ended_at for since in (case.last_arrival, case.last_lifted))


def _blocks_at_once(outcome: Outcome, settings: Suppressions) -> bool:
    return outcome.suppress and outcome.category in SUPPRESSING and settings.block_invalid_at_once


def _counts(status: Status, outcome: Outcome, settings: Suppressions) -> int:
    return int(suppress.decide(status=status, outcome=outcome, error_count=0, settings=settings).counts)


def was_read(
    *, reply_class: ReplyClass | None, category: Category | None, blame: Blame | None, rule: str | None, status: Status
) -> Outcome:
    """Put together how a failure was read, of which the store keeps all but whether it blocked."""
    hard = status in (Status.HARD_BOUNCED, Status.INVALID)
    reply_class = reply_class or (ReplyClass.HARD if hard else ReplyClass.SOFT)
    category = category or Category.UNKNOWN
    return Outcome(
        reply_class=reply_class,
        category=category,
        blame=blame or Blame.THEIR_SERVER,
        rule=rule or "",
        suppress=reply_class is ReplyClass.HARD and category in SUPPRESSING,
    )
