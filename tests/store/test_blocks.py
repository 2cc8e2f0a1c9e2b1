"""The block list, addresses, refusals, sites: the smaller roles of the store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relay.model import Category, DeliveryId, Event, Refusal, Suppression
from relay.store import addresses, events, refusals, sites, spool, suppressions
from relay.store.engine import EngineStore
from tests.store.making import HOUR, MINUTE, NOW, accept, claim, disposition

BY_HAND = Suppression(
    id=0, scope="address", value="guest@example.com", reason="manual", source="manual", by="alice", since_at=NOW
)


def block(store: EngineStore, suppression: Suppression) -> Suppression | None:
    return store.write_now(lambda tx: suppressions.block(tx, suppression))


def test_blocking_twice_keeps_the_first(store: EngineStore) -> None:
    first = block(store, BY_HAND)
    assert first is not None
    assert replace(first, id=0) == BY_HAND
    assert block(store, replace(BY_HAND, by="bob")) is None
    assert block(store, replace(BY_HAND, source="complaint", reason="complaint")) is not None
    assert block(store, replace(BY_HAND, app="spa")) is not None


def test_unblocking_lifts_and_the_history_stays(store: EngineStore) -> None:
    block(store, BY_HAND)
    lift = suppressions.unblock
    lifted = store.write_now(
        lambda tx: lift(tx, BY_HAND.value, scope="address", now=NOW + HOUR, by="bob", note="says it works")
    )
    assert [each.by for each in lifted] == ["alice"]
    assert store.read_now(lambda tx: suppressions.active_on(tx, BY_HAND.value, scope="address", now=NOW)) == []
    (past,) = store.read_now(lambda tx: suppressions.history(tx, BY_HAND.value, scope="address"))
    assert (past.lifted_at, past.lifted_by, past.lifted_note) == (NOW + HOUR, "bob", "says it works")
    assert block(store, BY_HAND) is not None, "it can be blocked again"


def test_a_reset_spares_blocks_by_hand_and_from_complaints(store: EngineStore) -> None:
    for source in ("manual", "complaint", "automatic"):
        block(store, replace(BY_HAND, source=source))
    lifted = store.write_now(lambda tx: addresses.reset(tx, BY_HAND.value, now=NOW, by="alice"))
    assert [each.source for each in lifted] == ["automatic"]
    left = store.read_now(lambda tx: suppressions.active_on(tx, BY_HAND.value, scope="address", now=NOW))
    assert [each.source for each in left] == ["manual", "complaint"]


def test_a_block_set_after_the_claim_is_seen_before_the_attempt(store: EngineStore) -> None:
    accept(store, "guest@example.com", "other@example.com")
    ids = [each.delivery.id for each in claim(store)]
    block(store, replace(BY_HAND, scope="domain", value="example.com"))
    block(store, BY_HAND)
    got = store.read_now(lambda tx: suppressions.blocked_among(tx, ids, now=NOW))
    assert [got[each].scope for each in ids] == ["address", "domain"], "the address's own block goes first"


def test_the_block_list_is_paged_and_searched(store: EngineStore) -> None:
    for number in range(5):
        block(store, replace(BY_HAND, value=f"guest{number}@example.com", note="Ääni" if number == 3 else ""))
    search, query = suppressions.search, suppressions.BlockQuery
    first = store.read_now(lambda tx: search(tx, query(limit=3), now=NOW))
    rest = store.read_now(lambda tx: search(tx, query(limit=3, before=first[-1].suppression.id), now=NOW))
    assert [each.suppression.value[5] for each in first + rest] == ["4", "3", "2", "1", "0"]
    found = store.read_now(lambda tx: search(tx, query(words="ääNI"), now=NOW))
    assert [each.suppression.value for each in found] == ["guest3@example.com"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, "dca"),
        ({"reason": "complaint"}, "c"),
        ({"source": "manual"}, "da"),
        ({"app": "spa"}, "d"),
        ({"since": NOW + MINUTE}, "d"),
        ({"with_lifted": True}, "dcba"),
        ({"words": "a@"}, "a"),
    ],
)
def test_the_block_list_is_filtered(store: EngineStore, wanted: dict[str, object], found: str) -> None:
    block(store, replace(BY_HAND, value="a@example.com"))
    block(store, replace(BY_HAND, value="b@example.com", until_at=NOW + MINUTE))
    block(store, replace(BY_HAND, value="c@example.com", source="complaint", reason="complaint"))
    block(store, replace(BY_HAND, value="d@example.com", app="spa", since_at=NOW + HOUR))
    query = suppressions.BlockQuery(**wanted)  # type: ignore[arg-type]
    got = store.read_now(lambda tx: suppressions.search(tx, query, now=NOW + HOUR))
    assert "".join(each.suppression.value[0] for each in got) == found


def test_a_block_ends_by_itself_at_its_time(store: EngineStore) -> None:
    block(store, replace(BY_HAND, until_at=NOW + HOUR))
    active = suppressions.active_on
    at_end = store.read_now(lambda tx: active(tx, BY_HAND.value, scope="address", now=NOW + HOUR))
    before = store.read_now(lambda tx: active(tx, BY_HAND.value, scope="address", now=NOW + HOUR - MINUTE))
    assert (len(before), at_end) == (1, [])
    lift = suppressions.unblock
    assert store.write_now(lambda tx: lift(tx, BY_HAND.value, scope="address", now=NOW + HOUR, by="bob")) == []


@pytest.mark.parametrize(
    ("first", "second", "is_added"),
    [(None, None, False), (None, 2, False), (1, 2, True), (2, 1, False), (1, None, True)],
)
def test_a_block_is_added_to_another_only_when_it_lasts_longer(
    store: EngineStore, first: int | None, second: int | None, is_added: bool
) -> None:
    def until(hours: int | None) -> Suppression:
        return replace(BY_HAND, until_at=NOW + hours * HOUR if hours else None)

    block(store, until(first))
    assert (block(store, until(second)) is not None) is is_added


def test_a_block_for_one_app_stops_that_app_alone(store: EngineStore) -> None:
    accept(store, "guest@example.com", app="hotel")
    accept(store, "guest@example.com", app="spa")
    block(store, replace(BY_HAND, app="spa"))
    got = {each.message.app: each.blocked for each in claim(store)}
    assert got["hotel"] is None
    assert got["spa"] is not None
    lift, value = suppressions.unblock, BY_HAND.value
    assert store.write_now(lambda tx: lift(tx, value, scope="address", now=NOW, by="bob", app="hotel")) == []
    assert len(store.write_now(lambda tx: lift(tx, value, scope="address", now=NOW, by="bob", app="spa"))) == 1


def test_many_blocks_are_added_at_once_and_none_twice(store: EngineStore) -> None:
    block(store, replace(BY_HAND, value="a@example.com", source="import"))
    imported = replace(BY_HAND, source="import")
    wanted = [
        replace(imported, value="a@example.com"),
        replace(imported, value="b@example.com"),
        replace(imported, value="b@example.com"),
        replace(imported, value="b@example.com", reason="complaint"),
        replace(imported, value="example.com", scope="domain"),
    ]
    unknown = store.read_now(lambda tx: suppressions.uncovered(tx, wanted, now=NOW))
    added = store.write_now(lambda tx: suppressions.add_all(tx, wanted, now=NOW))
    assert added == unknown == [wanted[1], wanted[3], wanted[4]]
    assert store.write_now(lambda tx: suppressions.add_all(tx, wanted, now=NOW)) == []
    stored = store.read_now(lambda tx: suppressions.page(tx, after=0, now=NOW, limit=10))
    assert [replace(each, id=0) for each in stored[1:]] == added
    assert store.read_now(lambda tx: suppressions.page(tx, after=stored[0].id, now=NOW, limit=2)) == stored[1:3]


def test_a_reset_releases_what_another_system_found_by_itself(store: EngineStore) -> None:
    for reason in ("invalid_address", "complaint", "manual"):
        block(store, replace(BY_HAND, source="import", reason=reason))
    lifted = store.write_now(lambda tx: addresses.reset(tx, BY_HAND.value, now=NOW, by="alice"))
    assert [each.reason for each in lifted] == ["invalid_address"]


def test_similar_addresses_are_offered(store: EngineStore) -> None:
    made = accept(store, "anna.smith@example.com", "bob@example.com")
    claim(store)
    for each in made.deliveries:
        store.write_now(lambda tx, each=each: spool.record(tx, disposition(each.id), owner="one"))  # type: ignore[misc]
    assert store.read_now(lambda tx: addresses.similar(tx, "anna.smiht@example.com")) == ["anna.smith@example.com"]
    assert store.read_now(lambda tx: addresses.similar(tx, "zoe@example.com")) == []
    assert store.read_now(lambda tx: addresses.similar(tx, "")) == []


def test_events_of_an_address_are_newest_first(store: EngineStore) -> None:
    for text in ("one", "two"):
        event = Event(at=NOW, kind="block", text=text, address="guest@example.com", by="alice")
        store.write_now(lambda tx, event=event: events.add(tx, event))  # type: ignore[misc]
    got = store.read_now(lambda tx: events.of_address(tx, "guest@example.com"))
    assert [each.text for each in got] == ["two", "one"]


REFUSAL = Refusal(
    at=NOW,
    listener="127.0.0.1:2525",
    client_ip="192.0.2.9",
    stage="rcpt",
    code=550,
    enhanced="5.1.3",
    text="bad address",
    reason="bad_address",
    app="hotel",
    mail_from="alice@hotel.example",
    rcpt_to="Päivi@example.com",
)


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({}, 3),
        ({"words": ["PÄIVI"]}, 2),
        ({"words": ["bad_addr", "192.0.2"]}, 3),
        ({"words": ["100%"]}, 0),
        ({"to": "päivi@"}, 2),
        ({"app": "spa"}, 1),
        ({"apps": ("spa",)}, 1),
        ({"apps": ()}, 0),
        ({"since": NOW + MINUTE}, 1),
        ({"until": NOW + MINUTE}, 2),
        ({"limit": 2}, 2),
    ],
)
def test_refusals_are_searched(store: EngineStore, wanted: dict[str, object], count: int) -> None:
    late = replace(REFUSAL, at=NOW + HOUR)
    store.write_now(lambda tx: refusals.add_all(tx, [REFUSAL, replace(REFUSAL, app="spa", rcpt_to=None), late]))
    got = store.read_now(lambda tx: refusals.search(tx, **wanted))  # type: ignore[arg-type]
    assert len(got) == count
    assert [each.seq for each in got] == sorted((each.seq for each in got), reverse=True)


def test_refusals_are_followed(store: EngineStore) -> None:
    store.write_now(lambda tx: refusals.add(tx, REFUSAL))
    (first,) = store.read_now(refusals.search)
    assert first.refusal == REFUSAL
    store.write_now(lambda tx: refusals.add(tx, REFUSAL))
    got = store.read_now(lambda tx: refusals.search(tx, after=first.seq))
    assert [each.seq for each in got] == [first.seq + 1]


def test_a_sites_back_off_survives_and_ends(store: EngineStore) -> None:
    row = sites.SiteRow(
        key="mx1.example,mx2.example",
        step=2,
        updated_at=NOW,
        until_at=NOW + HOUR,
        category=Category.RATE_LIMITED,
        reply="slow down",
    )
    store.write_now(lambda tx: sites.save(tx, row))
    store.write_now(lambda tx: sites.save(tx, replace(row, step=3)))
    assert store.read_now(sites.load) == [replace(row, step=3)]
    store.write_now(lambda tx: sites.save(tx, replace(row, step=0)))
    assert store.read_now(sites.load) == []


def test_nothing_is_blocked_among_nothing(store: EngineStore) -> None:
    assert store.read_now(lambda tx: suppressions.blocked_among(tx, [DeliveryId("x")], now=NOW)) == {}
