"""An address is mended in one step: corrected, caught up and redirected, or nothing of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from relay.actions import Answer, Fix, fix_address, foresee_fix
from relay.actions.fixing import AT_ONCE
from relay.errors import Refused
from relay.model import DeliveryId, Suppression
from relay.status import Status
from relay.store import addresses, log, notices, redirects, spool, suppressions
from relay.store.engine import EngineStore
from relay.store.protocols import Tx
from tests.store.making import HOUR, NOW, accept, claim, disposition, outcome, reply

OLD, NEW = "sari@gmial.example", "sari@gmail.example"
LATER = NOW + HOUR


def fail(store: EngineStore, *, app: str = "hotel", subject: str = "Your booking") -> DeliveryId:
    made = accept(store, OLD, app=app, subject=subject)
    claim(store)
    done = disposition(made.deliveries[0].id, Status.INVALID, said=reply(550, "no such user"), reading=outcome())
    store.write_now(lambda tx: spool.record(tx, done))
    return made.deliveries[0].id


def mend(store: EngineStore, **asked: object) -> Answer:
    fix = Fix(**{"old": OLD, "new": NEW, "resend_since": NOW - HOUR, **asked})  # type: ignore[arg-type]
    return store.write_now(lambda tx: fix_address(tx, fix, by="bob", now=LATER, hostname="relay.example"))


def sent_to_new(store: EngineStore) -> list[log.LogRow]:
    return store.read_now(lambda tx: log.search(tx, log.Query(address=NEW)))


def current(store: EngineStore) -> str | None:
    return store.read_now(lambda tx: addresses.corrected_to(tx, OLD))


def test_m000_6_a_correction_sends_again_to_the_new_address(store: EngineStore) -> None:
    fail(store)
    fail(store)
    answer = mend(store)
    assert (answer.key, answer.is_done, answer.count) == ("sent_again", True, 2)
    rows = sent_to_new(store)
    assert sorted(row.id for row in rows) == sorted(answer.deliveries)
    assert {row.status for row in rows} == {Status.QUEUED}
    assert current(store) == NEW
    assert store.read_now(lambda tx: redirects.active_for(tx, OLD, now=LATER)) is None


def test_doing_it_again_sends_nothing_twice(store: EngineStore) -> None:
    fail(store)
    mend(store)
    again = mend(store)
    assert (again.key, again.count, len(sent_to_new(store))) == ("corrected", 0, 1)


def test_without_the_tick_only_the_address_is_corrected(store: EngineStore) -> None:
    fail(store)
    answer = mend(store, resend_since=None)
    assert (answer.key, current(store), sent_to_new(store)) == ("corrected", NEW, [])


def test_new_mail_for_the_old_address_is_redirected_until_the_day_that_was_asked(store: EngineStore) -> None:
    until = LATER + timedelta(days=30)
    answer = mend(store, redirect_until=until)
    assert f"{until:%Y-%m-%d}" in answer.sentence
    found = store.read_now(lambda tx: redirects.active_for(tx, OLD, now=LATER))
    assert found is not None
    assert (found.new_address, found.until_at) == (NEW, until)


def test_what_cannot_be_redirected_so_changes_nothing(store: EngineStore) -> None:
    fail(store)
    store.write_now(
        lambda tx: redirects.add(tx, OLD, "other@x.example", now=NOW, until=LATER + 9 * HOUR, by="eve", note="")
    )
    answer = mend(store, redirect_until=LATER + HOUR)
    assert (answer.key, answer.is_done) == ("already_redirected", False)
    assert (current(store), sent_to_new(store)) == (None, [])


def test_a_block_on_the_new_address_refuses_the_whole(store: EngineStore) -> None:
    fail(store)
    block = Suppression(id=0, scope="address", value=NEW, reason="manual", source="manual", since_at=NOW)
    store.write_now(lambda tx: suppressions.block(tx, block))
    answer = mend(store)
    assert (answer.key, answer.is_done, current(store)) == ("blocked", False, None)


def test_mail_of_apps_that_a_person_does_not_see_is_not_sent_again(store: EngineStore) -> None:
    own = fail(store)
    fail(store, app="spa")
    fix = Fix(old=OLD, new=NEW, resend_since=NOW - HOUR, apps=("hotel",))
    foreseen = store.read_now(lambda tx: foresee_fix(tx, fix, now=LATER))
    assert not isinstance(foreseen, Answer)
    assert [row.id for row in foreseen.chosen] == [own]
    assert mend(store, apps=("hotel",)).count == 1
    assert [row.app for row in sent_to_new(store)] == ["hotel"]


def test_what_is_no_address_raises_before_anything_is_done(store: EngineStore) -> None:
    fail(store)
    with pytest.raises(Refused):
        mend(store, new="no address")
    assert current(store) is None


def test_the_copies_of_a_notice_are_found_and_their_delivery_ends_it(store: EngineStore) -> None:
    original = fail(store)
    made = mend(store).deliveries[0]
    (one,) = store.read_now(lambda tx: notices.search(tx))
    (copy,) = store.read_now(lambda tx: notices.copies_of(tx, one))
    assert (copy.original, copy.id, copy.address, copy.status) == (original, made, NEW, Status.QUEUED)
    claim(store, now=LATER)
    store.write_now(lambda tx: spool.record(tx, disposition(made, at=LATER)))
    assert store.read_now(lambda tx: notices.search(tx)) == []
    assert store.read_now(lambda tx: [copy.status for copy in notices.copies_of(tx, one)]) == [Status.DELIVERED]


def test_very_many_mails_go_in_several_steps(store: EngineStore) -> None:
    for _ in range(AT_ONCE + 1):
        accept(store, OLD)
    first = mend(store, resend_since=NOW - HOUR)
    assert (first.key, first.count) == ("sent_some", AT_ONCE)
    assert "There are more: do it again for the next ones." in first.sentence
    second = mend(store)
    assert (second.key, second.count, len(store.read_now(_to_new))) == ("sent_again", 1, AT_ONCE + 1)


def _to_new(tx: Tx) -> list[log.LogRow]:
    return log.search(tx, log.Query(address=NEW, limit=1000))
