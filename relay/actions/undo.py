"""Undo the automatic blocks of a time, a rule, a category or a domain, when they were a mistake.

Each chosen block is lifted, and the errors of its address that fit the same selection are taken back from its counter:
those that ended in the chosen time, were read by the chosen rule and category, count, and were not reset since; the
error that caused the block is always among them. An error taken back is noted, so that no later undo or reclassify
takes it back again. Blocks by hand, of complaints and of imported lists are never touched. One event per address.

`plan_undo` says what would happen and changes nothing; `undo` does it, a page of addresses in one transaction. It goes
by what it finds then, not by what was planned. What did not arrive can be sent again: `unsent` names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from relay import suppress
from relay.model import DeliveryId, Event, Outcome, ReplyClass, Suppression
from relay.settings import Suppressions
from relay.store import addresses, counters, events, suppressions
from relay.store.counters import PastError
from relay.store.protocols import Tx
from relay.store.suppressions import Undoing
from relay.wording import say

__all__ = ["Undoing", "Undone", "plan_undo", "undo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What undoing one block does, or did."""

    block: Suppression
    taken_back: tuple[DeliveryId, ...]  #: deliveries whose error counts no more
    count_before: int
    count_after: int
    unsent: tuple[DeliveryId, ...]  #: what did not arrive because of it and could be sent again


def plan_undo(tx: Tx, chosen: Undoing, *, settings: Suppressions, after: int = 0, limit: int = 200) -> list[Undone]:
    """Say what undoing the next page of a selection would do; `after` is the id of the last block seen."""
    found = suppressions.automatic(tx, chosen, after=after, limit=limit)
    return [_effect(tx, block, chosen, settings) for block in found]


def undo(
    tx: Tx, chosen: Undoing, blocks: Sequence[Suppression], *, by: str, now: datetime, settings: Suppressions
) -> list[Undone]:
    """Undo these blocks of a selection; return those that still stood."""
    done = []
    for block in blocks:
        if suppressions.lift(tx, block.id, now=now, by=by, note=say("undone")) is None:
            continue  # somebody was faster
        effect = _effect(tx, block, chosen, settings)
        counters.forgive(tx, effect.taken_back, now=now)
        counters.recount(tx, block.value, by=effect.count_after - effect.count_before)
        events.add(tx, Event(at=now, kind="undo", text=_text(effect), address=block.value, by=by))
        done.append(effect)
    return done


def _effect(tx: Tx, block: Suppression, chosen: Undoing, settings: Suppressions) -> Undone:
    known = addresses.get(tx, block.value)
    before = known.error_count if known else 0
    reset_at = known.reset_at if known else None
    found = counters.errors_between(tx, block.value, since=min(chosen.since, block.since_at), until=chosen.until)
    taken = [
        one.id
        for one in found
        if (one.id == block.delivery_id or _fits(one, chosen))
        and _counts(one, settings)
        and (reset_at is None or one.ended_at > reset_at)
    ]
    return Undone(
        block=block,
        taken_back=tuple(taken),
        count_before=before,
        count_after=max(before - len(taken), 0),
        unsent=tuple(counters.unsent_since(tx, block.value, since=min(chosen.since, block.since_at))),
    )


def _fits(one: PastError, chosen: Undoing) -> bool:
    return chosen.rule in (None, one.rule) and chosen.category in (None, one.category)


def _counts(one: PastError, settings: Suppressions) -> bool:
    """Tell whether it raised the counter, by the same policy that raised it."""
    outcome = None
    if one.category is not None and one.blame is not None:
        outcome = Outcome(reply_class=ReplyClass.SOFT, category=one.category, blame=one.blame, rule=one.rule or "")
    return suppress.decide(status=one.status, outcome=outcome, error_count=0, settings=settings).counts


def _text(effect: Undone) -> str:
    errors = len(effect.taken_back)
    undone = say("Automatic block undone ({reason}[, rule {rule}])", reason=effect.block.reason, rule=effect.block.rule)
    if not errors:
        return undone
    before, after = effect.count_before, effect.count_after
    if errors == 1:
        taken = say("1 error taken back, counter {before} → {after}", before=before, after=after)
    else:
        taken = say("{count} errors taken back, counter {before} → {after}", count=errors, before=before, after=after)
    return f"{undone}; {taken}"
