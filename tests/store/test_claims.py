"""Claims, leases and their end: who may send what, and when."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from relay.model import DeliveryId, Suppression
from relay.status import Status
from relay.store import log, spool, suppressions
from relay.store.engine import EngineStore
from relay.store.loader import load
from relay.store.protocols import Tx, Value
from relay.store.verify import verify
from tests.store.making import HOUR, MINUTE, NOW, accept, claim, disposition, outcome


def test_a_claimed_delivery_is_not_claimed_again(store: EngineStore) -> None:
    made = accept(store)
    got = claim(store, owner="one")
    assert [each.delivery.id for each in got] == [made.deliveries[0].id]
    assert got[0].message == made.message
    assert got[0].delivery.lease_owner == "one"
    assert got[0].delivery.next_at == NOW + 5 * MINUTE
    assert claim(store, owner="two") == []


def test_two_claimers_at_once_share_without_overlap(open_one: Callable[[], EngineStore]) -> None:
    stores = [open_one(), open_one()]
    made = [accept(stores[0], f"guest{number}@example.com").deliveries[0].id for number in range(60)]

    def take(number: int) -> list[str]:
        mine: list[str] = []
        while got := claim(stores[number], owner=f"owner{number}", limit=7):
            mine += [each.delivery.id for each in got]
        return mine

    with ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(take, range(2)))
    assert sorted(parts[0] + parts[1]) == sorted(made)


def test_the_longest_due_is_claimed_first_and_only_when_due(store: EngineStore) -> None:
    late = accept(store, "late@example.com", at=NOW + MINUTE)
    early = accept(store, "early@example.com", at=NOW - MINUTE)
    accept(store, "future@example.com", at=NOW + HOUR)
    assert [each.message.id for each in claim(store, limit=1, now=NOW + MINUTE)] == [early.message.id]
    assert [each.message.id for each in claim(store, limit=9, now=NOW + MINUTE)] == [late.message.id]


def test_fresh_and_tried_deliveries_are_claimed_apart(store: EngineStore) -> None:
    first = accept(store, "tried@example.com").deliveries[0].id
    claim(store)
    store.write_now(lambda tx: spool.record(tx, disposition(first, Status.DEFERRED), owner="one"))
    second = accept(store, "fresh@example.com").deliveries[0].id
    later = NOW + HOUR
    assert [each.delivery.id for each in claim(store, fresh=True, now=later)] == [second]
    assert [each.delivery.id for each in claim(store, fresh=False, now=later)] == [first]


def test_recipients_of_one_message_at_one_domain_come_together_over_the_limit(store: EngineStore) -> None:
    accept(store, "a@example.com", "b@example.com", "c@example.com", "d@other.example")
    got = claim(store, limit=1)
    assert sorted(each.delivery.address for each in got) == ["a@example.com", "b@example.com", "c@example.com"]
    assert [each.delivery.address for each in claim(store, limit=1)] == ["d@other.example"]


def test_a_held_delivery_is_never_claimed(store: EngineStore) -> None:
    accept(store, held="hold: a test system")
    assert claim(store) == []
    assert store.read_now(spool.next_due) is None


def test_renewing_keeps_a_lease_and_names_what_was_lost(store: EngineStore) -> None:
    accept(store, "a@example.com", "b@example.org")
    mine, lost = [each.delivery.id for each in claim(store)]
    until = NOW + HOUR
    store.write_now(lambda tx: spool.release(tx, owner="one", ids=[lost], next_at=NOW))
    claim(store, owner="two")
    assert store.write_now(lambda tx: spool.renew(tx, owner="one", ids=[mine, lost], until=until)) == {mine}
    assert store.write_now(lambda tx: spool.take_over(tx, now=until - MINUTE)) == 1


def test_a_released_delivery_is_due_when_the_release_says(store: EngineStore) -> None:
    accept(store)
    wanted = [each.delivery.id for each in claim(store)]
    at = NOW + HOUR
    store.write_now(lambda tx: spool.release(tx, owner="one", ids=wanted, next_at=at, waits_for_site=True))
    assert store.read_now(spool.next_due) == at
    assert claim(store) == []
    assert store.write_now(lambda tx: spool.wake_site(tx, domains=["other.example"], now=NOW)) == 0
    assert store.write_now(lambda tx: spool.wake_site(tx, domains=["example.com"], now=NOW)) == 1
    assert [each.delivery.id for each in claim(store)] == wanted


def test_another_owners_lease_cannot_be_released(store: EngineStore) -> None:
    accept(store)
    wanted = [each.delivery.id for each in claim(store)]
    assert store.write_now(lambda tx: spool.release(tx, owner="two", ids=wanted, next_at=NOW)) == 0
    assert store.write_now(lambda tx: spool.release_owner(tx, owner="two", now=NOW)) == 0
    assert store.write_now(lambda tx: spool.release_owner(tx, owner="one", now=NOW)) == 1
    assert [each.delivery.is_unknown for each in claim(store, owner="two")] == [False]


@pytest.mark.parametrize(("everyone", "after", "want"), [(False, 4, 0), (False, 5, 1), (True, 0, 1)])
def test_a_lease_that_ran_out_is_taken_over_and_shown_as_unknown(
    store: EngineStore, everyone: bool, after: int, want: int
) -> None:
    made = accept(store)
    claim(store)
    now = NOW + after * MINUTE
    assert store.write_now(lambda tx: spool.take_over(tx, now=now, everyone=everyone)) == want
    found = store.read_now(lambda tx: log.find(tx, made.message.id))
    assert found is not None
    assert [each.kind for each in found.events] == ["interrupted"] * want
    again = claim(store, owner="two", now=now)
    assert [each.delivery.is_unknown for each in again] == [True] * want


@pytest.mark.parametrize(
    ("scope", "value", "app", "until", "is_blocked"),
    [
        ("address", "guest@example.com", None, None, True),
        ("address", "guest@example.com", "hotel", None, True),
        ("address", "guest@example.com", "spa", None, False),
        ("address", "other@example.com", None, None, False),
        ("address", "example.com", None, None, False),
        ("domain", "example.com", None, None, True),
        ("domain", "guest@example.com", None, None, False),
        ("domain", "example.org", None, None, False),
        ("address", "guest@example.com", None, MINUTE, True),
        ("address", "guest@example.com", None, -MINUTE, False),
    ],
)
def test_a_claim_tells_of_the_block_that_forbids_it(
    store: EngineStore, scope: str, value: str, app: str | None, until: object, is_blocked: bool
) -> None:
    accept(store, "Guest@Example.com")
    ends = None if until is None else NOW + until  # type: ignore[operator]
    store.write_now(
        lambda tx: suppressions.block(
            tx,
            Suppression(
                id=0,
                scope=scope,
                value=value,
                reason="manual",
                source="manual",
                since_at=NOW - HOUR,
                until_at=ends,
                app=app,
            ),
        )
    )
    assert [each.blocked is not None for each in claim(store)] == [is_blocked]


def test_next_due_names_the_first_of_new_tried_leased(store: EngineStore) -> None:
    assert store.read_now(spool.next_due) is None
    accept(store, at=NOW + HOUR)
    assert store.read_now(spool.next_due) == NOW + HOUR
    early = accept(store, "early@example.com", at=NOW).deliveries[0].id
    claim(store)
    assert store.read_now(spool.next_due) == NOW + 5 * MINUTE, "the lease"
    deferred = disposition(early, Status.DEFERRED, reading=outcome(), next_at=NOW + 20 * MINUTE)
    store.write_now(lambda tx: spool.record(tx, deferred, owner="one"))
    assert store.read_now(spool.next_due) == NOW + 20 * MINUTE


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("spool.claim_fresh", "delivery_new"),
        ("spool.claim_due", "delivery_due"),
        ("spool.claim_siblings", "SEARCH sibling USING INDEX delivery_by_message"),  # not all that waits for a domain
        ("spool.take_over", "delivery_leased"),
    ],
)
@pytest.mark.usefixtures("database")
def test_the_queue_is_read_by_its_indexes_only(store: EngineStore, statement: str, index: str) -> None:
    sql = load("sqlite")[statement]
    params: dict[str, Value] = {"owner": "one", "now": NOW, "until": NOW, "limit": 5, "everyone": 0, "ids": "[]"}
    plan = store.write_now(lambda tx: tx.compose(f"EXPLAIN QUERY PLAN {sql}", params))
    steps = [row["detail"] for row in plan]
    assert any(index in step for step in steps), steps
    assert not any(step.startswith("SCAN delivery") and "INDEX" not in step for step in steps), steps


def status_of(store: EngineStore, delivery: DeliveryId) -> Status:
    found = store.read_now(lambda tx: tx.one("spool.delivery", {"id": delivery}))
    assert found is not None
    return Status(found["status"])


def test_what_waits_long_for_its_answer_is_sent_until_the_answer_is_there(store: EngineStore) -> None:
    made = [accept(store, f"guest{number}@example.com").deliveries[0].id for number in range(3)]
    claim(store)
    store.write_now(lambda tx: spool.mark_sent(tx, owner="two", ids=made))
    assert {status_of(store, one) for one in made} == {Status.QUEUED}
    store.write_now(lambda tx: spool.mark_sent(tx, owner="one", ids=made))
    assert {status_of(store, one) for one in made} == {Status.SENT}
    assert store.read_now(verify) == []
    taken, later, refused = made
    ends = [(taken, Status.DELIVERED, None), (later, Status.DEFERRED, outcome()), (refused, Status.INVALID, outcome())]
    for delivery, status, reading in ends:
        done = disposition(delivery, status, reading=reading, next_at=NOW + HOUR)
        got = store.write_now(lambda tx, done=done: spool.record(tx, done, owner="one"))  # type: ignore[misc]
        assert got is not None
        assert (got.is_applied, status_of(store, delivery)) == (True, status)
    assert store.read_now(verify) == []


@pytest.mark.parametrize("end", ["release", "hold_claimed", "release_owner", "take_over", "take_over_from"])
def test_whoever_ends_a_lease_unanswered_says_that_it_waits_again(store: EngineStore, end: str) -> None:
    tried = accept(store, "tried@example.com").deliveries[0].id
    claim(store)
    first = disposition(tried, Status.DEFERRED, reading=outcome(), next_at=NOW)
    store.write_now(lambda tx: spool.record(tx, first, owner="one"))
    claim(store, fresh=False)
    fresh = accept(store, "fresh@example.com").deliveries[0].id
    claim(store)
    ids = [tried, fresh]
    store.write_now(lambda tx: spool.mark_sent(tx, owner="one", ids=ids))
    assert [status_of(store, one) for one in ids] == [Status.SENT, Status.SENT]
    ways: dict[str, Callable[[Tx], object]] = {
        "release": lambda tx: spool.release(tx, owner="one", ids=ids, next_at=NOW),
        "hold_claimed": lambda tx: spool.hold_claimed(tx, owner="one", ids=ids, reason="hold: test"),
        "release_owner": lambda tx: spool.release_owner(tx, owner="one", now=NOW),
        "take_over": lambda tx: spool.take_over(tx, now=NOW, everyone=True),
        "take_over_from": lambda tx: spool.take_over_from(tx, ["one"], now=NOW),
    }
    store.write_now(ways[end])
    assert [status_of(store, one) for one in ids] == [Status.DEFERRED, Status.QUEUED]
    assert store.read_now(verify) == []
