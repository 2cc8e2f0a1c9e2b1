"""suppress.py: what an ended delivery does to the counter and the block list (mission.md 003 and "Settled once")."""

from __future__ import annotations

import pytest

from relay.model import Blame, Category, Outcome, ReplyClass
from relay.settings import Suppressions
from relay.status import Status
from relay.suppress import Effect, decide

DEFAULTS = Suppressions()


def outcome(
    category: Category = Category.MAILBOX_FULL, blame: Blame = Blame.RECIPIENT, *, suppress: bool = False
) -> Outcome:
    return Outcome(reply_class=ReplyClass.SOFT, category=category, blame=blame, rule="test", suppress=suppress)


INVALID = outcome(Category.INVALID_ADDRESS, suppress=True)
NO_DOMAIN = outcome(Category.INVALID_DOMAIN, suppress=True)


@pytest.mark.parametrize(
    ("before", "want"),
    [
        (0, Effect(counts=True, block_reason=None)),
        (11, Effect(counts=True, block_reason=None)),  # the twelfth still sends
        (12, Effect(counts=True, block_reason="errors")),  # the thirteenth blocks
        (40, Effect(counts=True, block_reason="errors")),
    ],
)
def test_the_thirteenth_error_blocks(before: int, want: Effect) -> None:
    got = decide(status=Status.SOFT_BOUNCED, outcome=outcome(), error_count=before, settings=DEFAULTS)
    assert got == want


def test_the_limit_is_a_setting() -> None:
    settings = Suppressions(max_errors=2)
    got = [
        decide(status=Status.SOFT_BOUNCED, outcome=outcome(), error_count=n, settings=settings).block_reason
        for n in range(4)
    ]
    assert got == [None, None, "errors", "errors"]


@pytest.mark.parametrize(
    ("status", "given", "reason"),
    [(Status.INVALID, INVALID, "invalid_address"), (Status.HARD_BOUNCED, NO_DOMAIN, "invalid_domain")],
)
def test_a_dead_address_blocks_at_once_and_counts(status: Status, given: Outcome, reason: str) -> None:
    got = decide(status=status, outcome=given, error_count=0, settings=DEFAULTS)
    assert got == Effect(counts=True, block_reason=reason)


def test_without_block_at_once_a_dead_address_is_one_error() -> None:
    settings = Suppressions(block_invalid_at_once=False)
    got = [decide(status=Status.INVALID, outcome=INVALID, error_count=n, settings=settings) for n in (0, 12)]
    assert got == [Effect(counts=True, block_reason=None), Effect(counts=True, block_reason="errors")]


def test_retries_used_up_on_an_unsure_answer_about_the_address_do_not_block_at_once() -> None:
    unsure = outcome(Category.INVALID_ADDRESS)  # "450 4.1.1": deferred until the time was up
    got = decide(status=Status.SOFT_BOUNCED, outcome=unsure, error_count=0, settings=DEFAULTS)
    assert got == Effect(counts=True, block_reason=None)


@pytest.mark.parametrize("blame", [Blame.US, Blame.MESSAGE])
def test_our_faults_do_not_count_unless_asked(blame: Blame) -> None:
    ours = outcome(Category.REPUTATION_BLOCK, blame)
    by_default = decide(status=Status.SOFT_BOUNCED, outcome=ours, error_count=12, settings=DEFAULTS)
    asked = decide(
        status=Status.SOFT_BOUNCED, outcome=ours, error_count=12, settings=Suppressions(count_our_faults=True)
    )
    assert by_default == Effect(counts=False, block_reason=None)
    assert asked == Effect(counts=True, block_reason="errors")


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.SOFT_BOUNCED, Status.HARD_BOUNCED, Status.INVALID}))
def test_what_is_no_error_changes_nothing(status: Status) -> None:
    got = decide(status=status, outcome=INVALID, error_count=99, settings=DEFAULTS)
    assert got == Effect(counts=False, block_reason=None)
