"""Redirects where mail is accepted: who goes where, until when, and that it can be found under both addresses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relay.model import Delivery, Submission
from relay.store import events, log, redirects, spool
from relay.store.engine import EngineStore
from relay.store.log import Query
from tests.store.making import HOUR, MINUTE, NOW, accept, claim, submission

OLD, NEW = "Anna@Example.com", "anna.berg@example.org"


def redirected(store: EngineStore, old: str = OLD, new: str = NEW, *, hours: int = 1) -> None:
    store.write_now(lambda tx: redirects.add(tx, old, new, now=NOW, until=NOW + hours * HOUR, by="sari", note="moved"))


def stored(store: EngineStore, made: Submission) -> list[Delivery]:
    return list(store.read_now(lambda tx: spool.deliveries_of(tx, made.message.id)))


def test_new_mail_goes_to_the_new_address_and_keeps_the_one_that_was_asked_for(store: EngineStore) -> None:
    redirected(store)
    made = accept(store, "anna@EXAMPLE.com", "bob@example.com", at=NOW + MINUTE)
    moved, other = stored(store, made)
    assert (moved.address, moved.domain, moved.intended) == (NEW, "example.org", "anna@EXAMPLE.com")
    assert (other.address, other.intended) == ("bob@example.com", None)
    assert [one.delivery.address for one in claim(store, now=NOW + MINUTE)] == [NEW, "bob@example.com"]


def test_a_redirected_delivery_tells_who_redirected_it(store: EngineStore) -> None:
    redirected(store)
    made = accept(store, OLD, at=NOW + MINUTE)
    (event,) = store.read_now(lambda tx: events.of_message(tx, made.message.id))
    assert (event.kind, event.by, event.address) == (redirects.REDIRECTED, "sari", "anna@example.com")
    assert event.text == f"Meant for {OLD}, redirected to {NEW} (moved)"
    assert event.delivery_id == made.deliveries[0].id


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        (Query(redirected_from="ANNA@example.com"), True),
        (Query(redirected_from=NEW), False),
        (Query(address=NEW), True),
        (Query(words=("anna@example",)), True),
    ],
)
def test_it_is_found_by_the_address_that_was_asked_for(store: EngineStore, query: Query, *, is_found: bool) -> None:
    redirected(store)
    accept(store, OLD, at=NOW + MINUTE)
    accept(store, "bob@example.com", at=NOW + MINUTE)
    rows = store.read_now(lambda tx: log.search(tx, query))
    assert [row.intended for row in rows] == ([OLD] if is_found else [])


def test_a_redirect_ends_by_its_time(store: EngineStore) -> None:
    redirected(store, hours=1)
    (last,) = stored(store, accept(store, OLD, at=NOW + HOUR - MINUTE))
    (after,) = stored(store, accept(store, OLD, at=NOW + HOUR))
    assert (last.address, after.address, after.intended) == (NEW, OLD, None)
    assert store.read_now(lambda tx: redirects.active(tx, now=NOW + HOUR)) == []
    assert [one.new_address for one in store.read_now(redirects.every)] == [NEW]


def test_a_redirect_ends_by_the_word_of_a_person(store: EngineStore) -> None:
    redirected(store)
    (ended,) = store.write_now(lambda tx: redirects.end(tx, OLD.upper(), now=NOW + MINUTE, by="mika"))
    (after,) = stored(store, accept(store, OLD, at=NOW + 2 * MINUTE))
    assert (ended.ended_by, ended.is_active(NOW)) == ("mika", False)
    assert after.address == OLD
    assert store.write_now(lambda tx: redirects.end(tx, OLD, now=NOW + MINUTE, by="mika")) == []


def test_only_one_step_is_followed(store: EngineStore) -> None:
    redirected(store)
    redirected(store, NEW, "third@example.net")
    redirected(store, "third@example.net", OLD)
    (moved,) = stored(store, accept(store, OLD, at=NOW + MINUTE))
    assert moved.address == NEW


def test_test_mail_stays_with_the_tester(store: EngineStore) -> None:
    redirected(store, "tester@example.com")
    made = submission("tester@example.com", at=NOW + MINUTE)
    made = replace(made, deliveries=(replace(made.deliveries[0], intended="guest@example.com"),))
    store.write_now(lambda tx: spool.accept(tx, made))
    (kept,) = stored(store, made)
    assert (kept.address, kept.intended) == ("tester@example.com", "guest@example.com")


def test_without_redirects_a_resubmission_is_still_known(store: EngineStore) -> None:
    first = accept(store, message_id="<1@hotel.example>")
    redirected(store)
    second = submission("anna@example.com", message_id="<1@hotel.example>", at=NOW + MINUTE)
    kept = store.write_now(lambda tx: spool.accept(tx, second))
    assert kept.duplicate_of == first.message.id
    assert stored(store, second)[0].address == NEW
