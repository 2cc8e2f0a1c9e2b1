"""Undoing automatic blocks: what is lifted, what is taken back from the counters, what could be sent again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from relay import actions
from relay.model import Blame, Category, DeliveryId, Suppression
from relay.settings import Suppressions
from relay.status import Status
from relay.store import addresses, events, spool, suppressions
from relay.store.engine import EngineStore
from relay.store.suppressions import Undoing
from tests.store.making import HOUR, MINUTE, NOW, accept, disposition, outcome

SETTINGS = Suppressions(max_errors=2)
GUEST = "guest@example.com"


def fail(
    store: EngineStore,
    address: str = GUEST,
    *,
    at: datetime = NOW,
    rule: str = "misread",
    category: Category = Category.MAILBOX_FULL,
    blame: Blame = Blame.RECIPIENT,
    suppress: bool = False,
) -> DeliveryId:
    """Let one delivery to the address end in failure."""
    (delivery,) = accept(store, address, at=at).deliveries
    reading = replace(outcome(category, blame=blame, suppress=suppress), rule=rule)
    ended = disposition(delivery.id, Status.SOFT_BOUNCED, at=at, reading=reading)
    store.write_now(lambda tx: spool.record(tx, ended, settings=SETTINGS))
    return delivery.id


def blocks_on(store: EngineStore, address: str = GUEST) -> list[Suppression]:
    return store.read_now(lambda tx: suppressions.active_on(tx, address, scope="address", now=NOW + 24 * HOUR))


def count_of(store: EngineStore, address: str = GUEST) -> int:
    known = store.read_now(lambda tx: addresses.get(tx, address))
    return known.error_count if known else 0


def undo(store: EngineStore, chosen: Undoing, *, by: str = "alice") -> list[actions.Undone]:
    planned = store.read_now(lambda tx: actions.plan_undo(tx, chosen, settings=SETTINGS))
    blocks = [one.block for one in planned]
    done = store.write_now(lambda tx: actions.undo(tx, chosen, blocks, by=by, now=NOW + 12 * HOUR, settings=SETTINGS))
    assert done == planned, "a dry run says what is done"
    return done


def test_a_block_is_lifted_and_the_errors_of_the_rule_are_taken_back(store: EngineStore) -> None:
    early = fail(store, at=NOW - HOUR, rule="right")
    wrong = [fail(store, at=NOW), fail(store, at=NOW + MINUTE)]
    assert (count_of(store), [one.reason for one in blocks_on(store)]) == (3, ["errors"])
    (done,) = undo(store, Undoing(since=NOW, rule="misread"))
    assert (done.taken_back, done.count_before, done.count_after) == (tuple(wrong), 3, 1)
    assert done.unsent == tuple(wrong)
    assert early not in done.taken_back
    assert (count_of(store), blocks_on(store)) == (1, [])
    (event,) = store.read_now(lambda tx: events.of_address(tx, GUEST))
    assert (event.kind, event.by) == ("undo", "alice")
    assert "2 errors taken back, counter 3 → 1" in event.text


def test_an_undone_address_counts_on_and_can_be_blocked_again(store: EngineStore) -> None:
    for minute in range(3):
        fail(store, at=NOW + minute * MINUTE)
    undo(store, Undoing(since=NOW))
    assert count_of(store) == 0
    for minute in range(2):
        fail(store, at=NOW + HOUR + minute * MINUTE, rule="right")
    assert blocks_on(store) == []
    fail(store, at=NOW + 2 * HOUR, rule="right")
    assert [one.reason for one in blocks_on(store)] == ["errors"]


def test_no_error_is_taken_back_twice(store: EngineStore) -> None:
    for minute in range(3):
        fail(store, at=NOW + minute * MINUTE)
    undo(store, Undoing(since=NOW))
    for minute in range(3):
        fail(store, at=NOW + HOUR + minute * MINUTE)
    (again,) = undo(store, Undoing(since=NOW))
    assert (len(again.taken_back), again.count_before, again.count_after) == (3, 3, 0)


def test_what_was_reset_or_never_counted_is_not_taken_back(store: EngineStore) -> None:
    fail(store, at=NOW)
    store.write_now(lambda tx: addresses.reset(tx, GUEST, now=NOW + MINUTE, by="bob"))
    fail(store, at=NOW + 2 * MINUTE, category=Category.REPUTATION_BLOCK, blame=Blame.US)
    for minute in range(3, 6):
        fail(store, at=NOW + minute * MINUTE)
    (done,) = undo(store, Undoing(since=NOW))
    assert (len(done.taken_back), done.count_before, done.count_after) == (3, 3, 0)


@pytest.mark.parametrize(
    ("chosen", "want"),
    [
        (Undoing(since=NOW), "abc"),
        (Undoing(since=NOW + MINUTE), "bc"),
        (Undoing(since=NOW, until=NOW + MINUTE), "a"),
        (Undoing(since=NOW, rule="right"), "c"),
        (Undoing(since=NOW, category=Category.INVALID_DOMAIN), "b"),
        (Undoing(since=NOW, domain="example.com"), "ab"),
        (Undoing(since=NOW, domain="ample.com"), ""),
        (Undoing(since=NOW, domain="example_com"), ""),
    ],
)
def test_exactly_the_selection_is_undone(store: EngineStore, chosen: Undoing, want: str) -> None:
    invalid = {"category": Category.INVALID_ADDRESS, "suppress": True}
    fail(store, "a@example.com", at=NOW, **invalid)  # type: ignore[arg-type]
    fail(store, "b@example.com", at=NOW + MINUTE, category=Category.INVALID_DOMAIN, suppress=True)
    fail(store, "c@example.org", at=NOW + 2 * MINUTE, rule="right", **invalid)  # type: ignore[arg-type]
    assert "".join(one.block.value[0] for one in undo(store, chosen)) == want


def test_blocks_by_hand_of_complaints_and_of_lists_are_never_undone(store: EngineStore) -> None:
    for source, reason in (("manual", "manual"), ("complaint", "complaint"), ("import", "invalid_address")):
        one = Suppression(id=0, scope="address", value=GUEST, reason=reason, source=source, since_at=NOW)
        store.write_now(lambda tx, one=one: suppressions.block(tx, one))  # type: ignore[misc]
    assert undo(store, Undoing(since=NOW - timedelta(days=1))) == []
    assert len(blocks_on(store)) == 3


def test_a_long_selection_is_read_page_by_page(store: EngineStore) -> None:
    for number in range(5):
        fail(store, f"g{number}@example.com", category=Category.INVALID_ADDRESS, suppress=True)
    seen: list[str] = []
    after = 0
    while page := store.read_now(
        lambda tx, after=after: actions.plan_undo(tx, Undoing(since=NOW), settings=SETTINGS, after=after, limit=2)  # type: ignore[misc]
    ):
        seen += [one.block.value for one in page]
        after = page[-1].block.id
    assert seen == [f"g{number}@example.com" for number in range(5)]


def test_what_was_suppressed_meanwhile_or_sent_again_is_told_apart(store: EngineStore) -> None:
    cause = fail(store, category=Category.INVALID_ADDRESS, suppress=True)
    kept_back = accept(store, GUEST, at=NOW + MINUTE).deliveries[0]
    ended = disposition(kept_back.id, Status.SUPPRESSED, at=NOW + MINUTE)
    store.write_now(lambda tx: spool.record(tx, replace(ended, attempt_rows=()), settings=SETTINGS))
    again = replace(kept_back, id=DeliveryId("01K00000000000000000000000"), resend_of=kept_back.id)
    store.write_now(lambda tx: spool.add_delivery(tx, again))
    (done,) = undo(store, Undoing(since=NOW))
    assert done.unsent == (cause,)
