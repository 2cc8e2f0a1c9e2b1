"""Forgetting what is old: what goes, what stays whatever its age, and that the search index forgets with it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from relay.model import DeliveryId, Event, Refusal, Submission, Suppression, new_id
from relay.pruning import Forgotten, prune
from relay.settings import Retention
from relay.status import Status
from relay.store import (
    audit,
    events,
    filters,
    invitations,
    log,
    meta,
    refusals,
    sessions,
    sign_ins,
    spool,
    suppressions,
)
from relay.store.engine import EngineStore
from relay.store.invitations import Invitation, Purpose
from relay.store.protocols import Tx
from tests.store.making import HOUR, MINUTE, NOW, accept, claim, disposition
from tests.store.people import add as add_account

DAY = timedelta(days=1)
SETTINGS = Retention(content=30 * DAY, log=100 * DAY)


def deliver(store: EngineStore, made: Submission, *, at: datetime) -> None:
    owned = [each.delivery.id for each in claim(store, now=at) if each.message.id == made.message.id]
    store.write_now(
        lambda tx: spool.record_all(tx, [disposition(each, at=at, attempts=1) for each in owned], owner="one")
    )


def delivered(store: EngineStore, address: str, *, at: datetime) -> Submission:
    made = accept(store, address, at=at, booking="BK-1", subject=f"Hello {address}")
    deliver(store, made, at=at)
    return made


def run(store: EngineStore, *, now: datetime, is_dry: bool = False, settings: Retention = SETTINGS) -> Forgotten:
    return asyncio.run(prune(store, settings, now=now, is_dry=is_dry, breath=timedelta(0)))


def has_content(store: EngineStore, made: Submission) -> bool:
    return store.read_now(lambda tx: spool.load_content(tx, made.message.id)) is not None


def found_by(store: EngineStore, word: str) -> list[str]:
    return [row.to for row in store.read_now(lambda tx: log.search(tx, filters.Query(words=(word,))))]


def count_of(store: EngineStore, table: str) -> int:
    found = store.read_now(lambda tx: tx.compose(f"SELECT COUNT(*) AS n FROM {table}", {}))  # noqa: S608
    return int(found[0]["n"])


def index(store: EngineStore) -> None:
    while store.write_now(lambda tx: log.index_pending(tx)):
        pass


def test_content_goes_first_and_the_log_stays(store: EngineStore) -> None:
    old = delivered(store, "old@example.com", at=NOW - 40 * DAY)
    young = delivered(store, "young@example.com", at=NOW - 20 * DAY)
    assert run(store, now=NOW, is_dry=True) == Forgotten(contents=1)
    assert has_content(store, old), "a dry run changes nothing"
    assert run(store, now=NOW).contents == 1
    assert (has_content(store, old), has_content(store, young)) == (False, True)
    assert sorted(found_by(store, "example")) == ["old@example.com", "young@example.com"]
    assert run(store, now=NOW) == Forgotten()


def test_nothing_of_a_mail_that_has_not_ended_is_forgotten(store: EngineStore) -> None:
    waiting = accept(store, "waits@example.com", at=NOW - 300 * DAY)
    half = accept(store, "a@example.com", "b@example.com", at=NOW - 300 * DAY)
    first = half.deliveries[0].id
    claim(store, now=NOW)
    store.write_now(lambda tx: spool.record(tx, disposition(first, at=NOW - 299 * DAY), owner="one"))
    delivered(store, "young@example.com", at=NOW)
    assert run(store, now=NOW) == Forgotten()
    assert has_content(store, waiting)
    assert has_content(store, half), "its other recipient still waits"


def test_the_log_forgets_a_message_with_all_its_parts(store: EngineStore) -> None:
    delivered(store, "old@example.com", at=NOW - 200 * DAY)
    delivered(store, "young@example.com", at=NOW - HOUR)
    index(store)
    assert found_by(store, "old@exa") == ["old@example.com"]
    done = run(store, now=NOW)
    assert (done.messages, done.contents) == (1, 1)
    assert found_by(store, "old@exa") == []
    assert found_by(store, "young@exa") == ["young@example.com"]
    for table in ("attempt", "reference", "content", "delivery", "message"):
        assert count_of(store, table) == 1, table


def test_the_newest_rows_stay_so_that_their_numbers_are_not_given_again(store: EngineStore) -> None:
    delivered(store, "old@example.com", at=NOW - 300 * DAY)
    delivered(store, "last@example.com", at=NOW - 200 * DAY)
    index(store)
    assert run(store, now=NOW).messages == 1
    delivered(store, "new@example.com", at=NOW)
    index(store)
    assert found_by(store, "new@exa") == ["new@example.com"]


def test_a_message_that_was_sent_again_lately_stays_whole(store: EngineStore) -> None:
    old = delivered(store, "old@example.com", at=NOW - 200 * DAY)
    again = old.deliveries[0]
    copy = replace(again, id=DeliveryId(new_id()), created_at=NOW - DAY, resend_of=again.id, next_at=None)
    copy = replace(copy, status=Status.SUPPRESSED, ended_at=NOW - DAY)
    store.write_now(lambda tx: spool.add_delivery(tx, copy))
    delivered(store, "young@example.com", at=NOW)
    assert run(store, now=NOW).messages == 0


def test_blocks_that_hold_counters_and_open_rows_outlive_every_limit(store: EngineStore) -> None:
    held = Suppression(
        id=0, scope="address", value="a@example.com", reason="manual", by="alice", since_at=NOW - 900 * DAY
    )
    lifted = Suppression(
        id=0, scope="address", value="b@example.com", reason="manual", by="alice", since_at=NOW - 900 * DAY
    )
    lift = suppressions.unblock

    store.write_now(lambda tx: suppressions.block(tx, held))
    store.write_now(lambda tx: suppressions.block(tx, lifted))
    store.write_now(lambda tx: lift(tx, "b@example.com", scope="address", now=NOW - 800 * DAY, by="bob"))
    times = (NOW - 300 * DAY, NOW - DAY)
    said = [Event(at=at, kind="block", text="x", address="a@example.com") for at in times]
    store.write_now(lambda tx: events.add_all(tx, said))
    store.write_now(lambda tx: refusals.add_all(tx, [refusal(at) for at in times]))
    assert run(store, now=NOW).rows == 3
    assert len(store.read_now(lambda tx: suppressions.history(tx, "a@example.com", scope="address"))) == 1
    assert store.read_now(lambda tx: suppressions.history(tx, "b@example.com", scope="address")) == []
    assert len(store.read_now(lambda tx: events.of_address(tx, "a@example.com"))) == 1


def refusal(at: datetime) -> Refusal:
    return Refusal(
        at=at, listener="l", client_ip="127.0.0.1", stage="rcpt", code=550, enhanced="5.7.1", text="no", reason="relay"
    )


def test_an_address_is_forgotten_when_nothing_speaks_of_it(store: EngineStore) -> None:
    delivered(store, "gone@example.com", at=NOW - 200 * DAY)
    delivered(store, "stays@example.com", at=NOW - HOUR)
    assert run(store, now=NOW).addresses == 1
    left = store.read_now(lambda tx: tx.compose("SELECT address FROM address", {}))
    assert [row["address"] for row in left] == ["stays@example.com"]


def test_forever_means_forever(store: EngineStore) -> None:
    delivered(store, "old@example.com", at=NOW - 3000 * DAY)
    delivered(store, "young@example.com", at=NOW)
    assert run(store, now=NOW, settings=Retention(content=None, log=None)) == Forgotten()


@pytest.mark.parametrize(("owner", "at", "is_taken"), [("b", MINUTE, False), ("a", MINUTE, True), ("b", HOUR, True)])
def test_a_lease_is_one_owners_until_its_end(store: EngineStore, owner: str, at: timedelta, is_taken: bool) -> None:
    take = meta.take_lease
    assert store.write_now(lambda tx: take(tx, "chores", owner="a", now=NOW, lasts=2 * MINUTE))
    assert store.write_now(lambda tx: take(tx, "chores", owner=owner, now=NOW + at, lasts=2 * MINUTE)) is is_taken


def test_a_secret_is_made_once_and_another_name_has_another(store: EngineStore) -> None:
    first = store.write_now(lambda tx: meta.secret(tx, "erasure"))
    assert store.write_now(lambda tx: meta.secret(tx, "erasure")) == first
    assert store.write_now(lambda tx: meta.secret(tx, "returned")) != first


def test_what_people_did_is_forgotten_with_the_log(store: EngineStore) -> None:
    staff = audit.Actor(by="anna", via=audit.Via.PAGE)
    for days in (101, 99, 0):
        entry = audit.Entry(at=NOW - days * DAY, actor=staff, action="sign_in", text=f"{days}")
        store.write_now(lambda tx, entry=entry: audit.add(tx, entry))  # type: ignore[misc]
    run(store, now=NOW)
    assert [row.entry.text for row in store.read_now(audit.search)] == ["0", "99"]
    run(store, now=NOW + 1000 * DAY)
    assert [row.entry.text for row in store.read_now(audit.search)] == ["0"], "its number is not given again"


def test_what_signing_in_leaves_behind_is_forgotten_however_long_the_log_is_kept(store: EngineStore) -> None:
    anna = add_account(store)

    def leave(tx: Tx) -> None:
        for token, age in (("dead", sessions.IDLE), ("living", HOUR)):
            sessions.begin(tx, token, account_id=anna.id, ip="192.0.2.1", agent="", now=NOW - age)
        for token, ends in (("late", NOW), ("used", NOW + HOUR), ("open", NOW + HOUR)):
            link = Invitation(purpose=Purpose.RESET, account_id=anna.id, expires_at=ends)
            invitations.add(tx, token, link)
        invitations.use(tx, "used", now=NOW - HOUR)
        for age in (sign_ins.WINDOW, MINUTE):
            sign_ins.fail(tx, "anna", ip="192.0.2.1", now=NOW - age)

    store.write_now(leave)
    run(store, now=NOW, settings=Retention(content=None, log=None), is_dry=True)
    assert [count_of(store, name) for name in ("session", "invitation", "sign_in_failure")] == [2, 3, 4]
    run(store, now=NOW, settings=Retention(content=None, log=None))
    assert [count_of(store, name) for name in ("session", "invitation", "sign_in_failure")] == [1, 1, 2]
    assert store.read_now(lambda tx: sessions.alive(tx, "living", now=NOW)) is not None
    assert store.read_now(lambda tx: invitations.find(tx, "open", now=NOW)) is not None
