"""What people do to the queue: pause, resume, hold, release, flush, cancel; and what they see of it."""

from __future__ import annotations

import pytest

from relay.model import Category, Claimed, DeliveryId, ReplyClass
from relay.status import Status
from relay.store import log, pauses, queue, sites, spool, stats
from relay.store.engine import EngineStore
from relay.store.queue import Selection
from tests.store.making import HOUR, MINUTE, NOW, accept, claim, disposition, outcome, reply

FULL = outcome(Category.MAILBOX_FULL, reply_class=ReplyClass.SOFT)


def pause(store: EngineStore, scope: str, value: str, **kwargs: object) -> pauses.Pause:
    return store.write_now(
        lambda tx: pauses.pause(tx, scope=scope, value=value, reason="work", by="alice", now=NOW, **kwargs)  # type: ignore[arg-type]
    )


def addresses_of(claimed: list[Claimed]) -> list[str]:
    return [each.delivery.address for each in claimed]


@pytest.mark.parametrize(
    ("scope", "value", "left"),
    [
        ("all", "", []),
        ("domain", "example.com", ["b@example.org"]),
        ("app", "hotel", []),
        ("app", "spa", ["a@example.com", "b@example.org"]),
    ],
)
@pytest.mark.parametrize("is_late", [False, True], ids=["accepted before", "accepted meanwhile"])
def test_what_is_paused_is_not_claimed_until_it_is_resumed(
    store: EngineStore, scope: str, value: str, left: list[str], is_late: bool
) -> None:
    if is_late:
        pause(store, scope, value)
    accept(store, "a@example.com", "b@example.org")
    if not is_late:
        pause(store, scope, value)
    assert addresses_of(claim(store)) == left
    assert store.write_now(lambda tx: pauses.resume(tx, scope=scope, value=value, now=NOW + MINUTE)) == 1
    assert addresses_of(claim(store, now=NOW + MINUTE)) == [
        x for x in ("a@example.com", "b@example.org") if x not in left
    ]


def test_a_paused_delivery_says_why(store: EngineStore) -> None:
    made = accept(store)
    pause(store, "domain", "example.com")
    found = store.read_now(lambda tx: log.find(tx, made.message.id))
    assert found is not None
    assert found.deliveries[0].held == "paused: work"


def test_what_a_second_pause_covers_stays_held(store: EngineStore) -> None:
    accept(store)
    pause(store, "all", "")
    pause(store, "domain", "example.com")
    store.write_now(lambda tx: pauses.resume(tx, scope="all", value="", now=NOW))
    assert claim(store) == []
    store.write_now(lambda tx: pauses.resume(tx, scope="domain", value="example.com", now=NOW))
    assert len(claim(store)) == 1


def test_a_pause_ends_by_itself_and_the_queue_knows_when(store: EngineStore) -> None:
    accept(store)
    pause(store, "all", "", until=NOW + HOUR)
    assert store.read_now(spool.next_due) == NOW + HOUR
    assert claim(store, now=NOW + HOUR - MINUTE) == []
    assert len(claim(store, now=NOW + HOUR)) == 1
    assert store.read_now(pauses.every) == []


def test_a_paused_site_holds_what_was_tried_there(store: EngineStore) -> None:
    tried = accept(store, "tried@example.com").deliveries[0].id
    claim(store)
    store.write_now(lambda tx: spool.record(tx, disposition(tried, Status.DEFERRED, reading=FULL), owner="one"))
    made = pause(store, "site", "mx.example.com,mx2.example.com")
    fresh = accept(store, "fresh@example.com").deliveries[0].id
    assert claim(store, fresh=False, now=NOW + HOUR) == []
    assert len(claim(store, now=NOW + HOUR)) == 1, "its site is not known before the look-up"
    hold = spool.hold_claimed
    assert store.write_now(lambda tx: hold(tx, owner="one", ids=[fresh], reason=pauses.held_text(made))) == 1
    store.write_now(lambda tx: pauses.resume(tx, scope="site", value=made.value, now=NOW))
    assert len(claim(store, fresh=False)) + len(claim(store)) == 2


def test_a_pause_on_something_unknown_is_refused(store: EngineStore) -> None:
    with pytest.raises(ValueError, match="not on country"):
        pause(store, "country", "fi")


def test_a_pause_leaves_other_reasons_to_hold_alone(store: EngineStore) -> None:
    accept(store, held="hold: a test system")
    pause(store, "all", "")
    store.write_now(lambda tx: pauses.resume(tx, scope="all", value="", now=NOW))
    assert claim(store) == []


SELECTIONS = [
    (Selection(), {"a@example.com", "b@example.org", "c@example.com"}),
    (Selection(domain="example.com"), {"a@example.com", "c@example.com"}),
    (Selection(app="spa"), {"c@example.com"}),
    (Selection(address="B@Example.org"), {"b@example.org"}),
    (Selection(domain="example.com", app="hotel"), {"a@example.com"}),
    (Selection(site="mx.example.com"), set()),
]


@pytest.mark.parametrize(("chosen", "want"), SELECTIONS)
def test_a_selection_cancels_what_fits_and_nothing_else(store: EngineStore, chosen: Selection, want: set[str]) -> None:
    accept(store, "a@example.com", "b@example.org")
    accept(store, "c@example.com", app="spa")
    store.write_now(lambda tx: queue.cancel(tx, chosen, now=NOW, by="alice", reason="wrong list"))
    rows = store.read_now(lambda tx: log.search(tx, log.Query()))
    assert {row.to for row in rows if row.status is Status.CANCELLED} == want
    assert {row.to for row in rows if row.next_at is None} == want
    for row in rows:
        found = store.read_now(lambda tx, row=row: log.find(tx, row.id))  # type: ignore[misc]
        assert found is not None
        told = [each for each in found.events if each.delivery_id == row.id]
        assert [(each.kind, each.by, each.text) for each in told] == (
            [("cancel", "alice", "Cancelled: wrong list")] if row.to in want else []
        )


def test_ids_select_a_delivery_or_a_whole_message(store: EngineStore) -> None:
    made = accept(store, "a@example.com", "b@example.org")
    one, whole = (made.deliveries[0].id,), (DeliveryId(made.message.id),)
    assert len(store.read_now(lambda tx: queue.selected(tx, Selection(ids=one)))) == 1
    assert len(store.read_now(lambda tx: queue.selected(tx, Selection(ids=whole)))) == 2


def test_cancelled_mail_is_not_renewed(store: EngineStore) -> None:
    accept(store)
    ids = [each.delivery.id for each in claim(store)]
    store.write_now(lambda tx: queue.cancel(tx, Selection(), now=NOW, by="alice"))
    assert store.write_now(lambda tx: spool.renew(tx, owner="one", ids=ids, until=NOW + HOUR)) == set()


def test_flush_brings_forward_what_waits(store: EngineStore) -> None:
    delivery = accept(store).deliveries[0].id
    claim(store)
    store.write_now(lambda tx: spool.record(tx, disposition(delivery, Status.DEFERRED, reading=FULL), owner="one"))
    assert claim(store, fresh=False) == []
    assert store.write_now(lambda tx: queue.flush(tx, Selection(domain="example.com"), now=NOW, by="alice")) == 1
    assert len(claim(store, fresh=False)) == 1


def test_flush_ends_the_back_off_of_the_site_the_mail_waits_for(store: EngineStore) -> None:
    tried = accept(store, "tried@example.com").deliveries[0].id
    claim(store)
    store.write_now(lambda tx: spool.record(tx, disposition(tried, Status.DEFERRED, reading=FULL), owner="one"))
    for key in ("mx.example.com,mx2.example.com", "mx.other.example"):
        row = sites.SiteRow(key=key, step=3, updated_at=NOW, until_at=NOW + HOUR)
        store.write_now(lambda tx, row=row: sites.save(tx, row))  # type: ignore[misc]
    assert store.write_now(lambda tx: queue.flush(tx, Selection(domain="example.com"), now=NOW, by="sari")) == 1
    assert [site.key for site in store.read_now(sites.load)] == ["mx.other.example"]


def test_flush_touches_neither_held_nor_leased(store: EngineStore) -> None:
    accept(store, "a@example.com", held="hold: test")
    accept(store, "b@example.com")
    claim(store)
    assert store.write_now(lambda tx: queue.flush(tx, Selection(), now=NOW, by="alice")) == 0


def test_hold_and_release(store: EngineStore) -> None:
    accept(store)
    assert store.write_now(lambda tx: queue.hold(tx, Selection(), reason="look first", now=NOW, by="alice")) == 1
    assert claim(store) == []
    assert store.write_now(lambda tx: queue.release(tx, Selection(), now=NOW, by="bob")) == 1
    assert len(claim(store)) == 1


def test_the_overview_counts_by_domain(store: EngineStore) -> None:
    made = accept(store, "a@example.com", "b@example.com", "c@example.org", at=NOW)
    accept(store, "d@example.com", held="hold: test", at=NOW + MINUTE)
    claim(store, limit=1)
    said = reply(452, "full", enhanced="4.2.2")
    deferred = disposition(made.deliveries[0].id, Status.DEFERRED, reading=FULL, said=said, next_at=NOW + HOUR)
    store.write_now(lambda tx: spool.record(tx, deferred, owner="one"))
    com, org = store.read_now(queue.overview)
    assert (com.domain, com.waiting, com.held, com.sending, com.oldest_at) == ("example.com", 3, 1, 1, NOW)
    assert (com.reply, com.code, com.category, com.attempts) == ("full", 452, Category.MAILBOX_FULL, 1)
    assert (org.domain, org.waiting, org.reply) == ("example.org", 1, None)
    totals = store.read_now(queue.totals)
    assert (totals.waiting, totals.fresh, totals.held, totals.oldest_at) == (4, 3, 1, NOW)


@pytest.mark.parametrize(
    ("wanted", "domains"),
    [
        ({}, {"example.com", "example.org", "other_net.example"}),
        ({"part": "EXAMPLE.o"}, {"example.org"}),
        ({"part": "other%net"}, set()),
        ({"domain": "example.com"}, {"example.com"}),
        ({"domain": "xample.com"}, set()),
        ({"state": queue.Waits.HELD}, {"example.com"}),
        ({"state": queue.Waits.SENDING}, {"example.org"}),
        ({"state": queue.Waits.DELAYED}, {"other_net.example"}),
        ({"state": queue.Waits.NEW}, {"example.com", "example.org"}),
    ],
)
def test_the_overview_shows_what_is_asked_for(
    store: EngineStore, wanted: dict[str, queue.Waits], domains: set[str]
) -> None:
    accept(store, "a@example.com", held="hold: test")
    tried = accept(store, "b@other_net.example").deliveries[0]
    claim(store)
    later = disposition(tried.id, Status.DEFERRED, reading=FULL, said=reply(452, "full"), next_at=NOW + HOUR)
    store.write_now(lambda tx: spool.record(tx, later, owner="one"))
    accept(store, "c@example.org")
    claim(store)
    found = store.read_now(lambda tx: queue.overview(tx, **wanted))  # type: ignore[arg-type]
    assert {one.domain for one in found} == domains


def test_what_waits_for_a_domain_is_paged_oldest_first(store: EngineStore) -> None:
    made = accept(store, "a@example.com", "b@example.com", "c@example.org")
    ended = accept(store, "d@example.com").deliveries[0]
    claim(store)
    done = disposition(ended.id, Status.DELIVERED)
    store.write_now(lambda tx: spool.record(tx, done, owner="one"))
    first = store.read_now(lambda tx: queue.waiting(tx, "example.com", limit=1))
    rest = store.read_now(lambda tx: queue.waiting(tx, "example.com", after=first[-1].seq))
    assert [one.address for one in (*first, *rest)] == ["a@example.com", "b@example.com"]
    assert (first[0].message, first[0].next_at, first[0].subject) == (made.message.id, None, "Your booking")


def test_an_empty_queue_has_totals_too(store: EngineStore) -> None:
    totals = store.read_now(queue.totals)
    assert (totals.waiting, totals.fresh, totals.held, totals.oldest_at) == (0, 0, 0, None)


def test_counts_and_rate(store: EngineStore) -> None:
    accept(store, "old@example.com", at=NOW - HOUR)
    made = accept(store, "a@example.com", "b@example.org", "c@example.com")
    claim(store)
    ends = [(Status.DELIVERED, None), (Status.INVALID, outcome()), (Status.DEFERRED, FULL)]
    for delivery, (status, reading) in zip(made.deliveries, ends, strict=True):
        done = disposition(delivery.id, status, reading=reading)
        store.write_now(lambda tx, done=done: spool.record(tx, done, owner="one"))  # type: ignore[misc]
    counts = store.read_now(lambda tx: stats.by_status(tx, since=NOW))
    assert {status: count for status, count in counts.items() if count} == {
        Status.DELIVERED: 1,
        Status.INVALID: 1,
        Status.DEFERRED: 1,
    }
    assert set(counts) == set(Status)
    rate = store.read_now(lambda tx: stats.delivery_rate(tx, since=NOW))
    assert (rate.value, rate.is_meaningful) == (0.5, False)
    reasons = store.read_now(lambda tx: stats.by_category(tx, since=NOW))
    assert reasons == {Category.INVALID_ADDRESS: 1, Category.MAILBOX_FULL: 1}
    (com, org) = store.read_now(lambda tx: stats.by_domain(tx, since=NOW))
    assert (com.domain, com.total, com.delivered, com.failed, com.pending) == ("example.com", 2, 1, 0, 1)
    assert (org.domain, org.failed) == ("example.org", 1)
    assert store.read_now(lambda tx: stats.by_app(tx, since=NOW - HOUR)) == {"hotel": 4}


def test_a_rate_of_nothing_is_none(store: EngineStore) -> None:
    assert store.read_now(lambda tx: stats.delivery_rate(tx, since=NOW)).value is None
