"""Decide what one ended delivery does to the error counter and the block list of its address.

Policy, in words: one error is one delivery that ended in failure, or one bounce that came back later; a deferral is
none. An error adds exactly 1, unless the fault is ours or the message's own and `count_our_faults` is off. A reply
that says the address or its domain does not exist blocks the address at once (`block_invalid_at_once`). Otherwise the
address is blocked when its counter becomes greater than `max_errors`: with 12, twelve errors still send and the
thirteenth blocks. rejected, suppressed and cancelled add nothing; a delivered mail resets nothing.

The caller adds the 1 and writes the block in the transaction that records the error. No I/O, no clock, no store.
"""

from __future__ import annotations

from dataclasses import dataclass

from relay.model import Blame, Category, Outcome, Suppression
from relay.settings import Suppressions
from relay.status import Status
from relay.wording import say

#: The ends that are errors of an address. REJECTED is not here: a smarthost or our own settings refused *us*.
_ERRORS = frozenset({Status.SOFT_BOUNCED, Status.HARD_BOUNCED, Status.INVALID})

_INVALID = frozenset({Category.INVALID_ADDRESS, Category.INVALID_DOMAIN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What an ended delivery does to its address."""

    counts: bool  #: add 1 to the address's error counter
    block_reason: str | None  #: invalid_address | invalid_domain | errors; None: no block


NOTHING = Effect(counts=False, block_reason=None)


def decide(*, status: Status, outcome: Outcome | None, error_count: int, settings: Suppressions) -> Effect:
    """Say what follows for the address; `error_count` is its counter before this delivery."""
    if status not in _ERRORS:
        return NOTHING
    if outcome is not None and outcome.suppress and outcome.category in _INVALID and settings.block_invalid_at_once:
        return Effect(counts=True, block_reason=outcome.category.value)
    if outcome is not None and outcome.blame in (Blame.US, Blame.MESSAGE) and not settings.count_our_faults:
        return NOTHING
    is_over = error_count + 1 > settings.max_errors
    return Effect(counts=True, block_reason="errors" if is_over else None)


def told_of(block: Suppression) -> str:
    """Say what stands at a delivery that a block ended, where a reply would."""
    reason, day = block.reason, f"{block.since_at:%Y-%m-%d}"
    if block.scope == "domain":
        return say(
            "the domain {domain} has been blocked[ for {app}] since {day} ({reason}[: {note}])",
            domain=block.value,
            app=block.app,
            day=day,
            reason=reason,
            note=block.note,
        )
    return say(
        "the address {address} has been blocked[ for {app}] since {day} ({reason}[: {note}])",
        address=block.value,
        app=block.app,
        day=day,
        reason=reason,
        note=block.note,
    )
