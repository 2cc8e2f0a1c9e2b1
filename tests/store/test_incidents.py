"""Incidents in the store: opened by our own failures, stopping mail from the threshold on, sparing the customers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Barrier

import pytest

from relay.actions import (
    Answer,
    close_incident,
    concerns,
    list_incidents,
    resend,
    resend_failed,
    resend_part,
    show_incident,
)
from relay.actions.resend import Plan, plan_resend
from relay.incident_watch import IncidentWatch
from relay.incidents import NXDOMAIN_DOUBTED, NXDOMAIN_EPIDEMIC, Kind
from relay.model import Blame, Category, DeliveryId, ReplyClass
from relay.settings import IncidentSettings, Suppressions
from relay.status import Status
from relay.store import addresses, incidents, log, notices, pauses, spool, suppressions
from relay.store.engine import EngineStore
from relay.store.incidents import Incident
from relay.store.record import Recorded
from tests.store.making import HOUR, MINUTE, NOW, accept, claim, disposition, outcome, reply

OURS = outcome(Category.REPUTATION_BLOCK, blame=Blame.US, reply_class=ReplyClass.SOFT)
SPAM = outcome(Category.SPAM_CONTENT, blame=Blame.MESSAGE, reply_class=ReplyClass.SOFT)
THEIRS = outcome(Category.SYSTEM_ERROR, blame=Blame.THEIR_SERVER, reply_class=ReplyClass.SOFT)
DNS = outcome(Category.DNS_FAILURE, blame=Blame.THEIR_SERVER, reply_class=ReplyClass.DEFERRED)
REFUSED = reply(550, "blocked, see our list", enhanced="5.7.1")
STRICT = Suppressions(count_our_faults=True, max_errors=1)


def end(
    store: EngineStore,
    delivery: DeliveryId,
    reading: object = OURS,
    *,
    at: datetime = NOW,
    status: Status = Status.SOFT_BOUNCED,
    settings: Suppressions | None = None,
    limits: IncidentSettings | None = None,
) -> Recorded:
    said = REFUSED if reading is not None else reply()
    made = disposition(delivery, status, reading=reading, said=said, at=at)  # type: ignore[arg-type]
    done = store.write_now(
        lambda tx: spool.record(tx, made, settings=settings or Suppressions(), incident=limits or IncidentSettings())
    )
    assert done is not None
    return done


def fail(
    store: EngineStore, count: int = 1, *, domain: str = "guest.example", start: int = 0, **kwargs: object
) -> list[DeliveryId]:
    """Let mails to different people of one domain fail, a second apart."""
    at = kwargs.pop("at", NOW)
    assert isinstance(at, datetime)
    app = kwargs.pop("app", "hotel")
    made = [accept(store, f"g{number}@{domain}", app=app) for number in range(start, start + count)]
    claim(store)
    ids = [each.deliveries[0].id for each in made]
    for number, each in enumerate(ids):
        end(store, each, at=at + timedelta(seconds=number), **kwargs)  # type: ignore[arg-type]
    return ids


def every(store: EngineStore, *, with_closed: bool = True) -> list[Incident]:
    return store.read_now(lambda tx: incidents.every(tx, with_closed=with_closed))


def only(store: EngineStore) -> Incident:
    (one,) = every(store)
    return one


def paused(store: EngineStore) -> list[tuple[str, str]]:
    return [(one.scope, one.value) for one in store.read_now(pauses.every)]


def test_our_failures_of_one_domain_are_one_incident_and_no_notice(store: EngineStore) -> None:
    fail(store, 3)
    fail(store, 1, domain="other.example")
    found = {one.subject.domain: one for one in every(store)}
    assert {domain: one.count for domain, one in found.items()} == {"guest.example": 3, "other.example": 1}
    one = found["guest.example"]
    assert (one.subject.kind, one.category, one.rule) == (Kind.OUR_FAULT, "reputation_block", "test")
    assert (one.reply, one.since_at, one.last_at) == (REFUSED.text, NOW, NOW + timedelta(seconds=2))
    assert store.read_now(lambda tx: notices.search(tx, with_closed=True)) == []


def test_five_failures_stop_nothing_and_the_sixth_stops_the_domain(store: EngineStore) -> None:
    waiting = accept(store, "later@guest.example", at=NOW + HOUR).deliveries[0].id
    free = accept(store, "free@other.example", at=NOW + HOUR).deliveries[0].id
    fail(store, 5)
    assert paused(store) == []
    fail(store, 1, start=5)
    assert paused(store) == [("domain", "guest.example")]
    assert only(store).paused_at is not None
    accept(store, "new@guest.example", at=NOW)
    got = claim(store, now=NOW + 2 * HOUR)
    assert [each.delivery.id for each in got] == [free]
    found = store.read_now(lambda tx: log.find(tx, waiting))
    assert found is not None
    assert found.deliveries[0].held == "paused: incident 1: guest.example refuses our mail (reputation_block)"
    assert found.deliveries[0].status is Status.QUEUED


def test_failures_further_apart_than_the_time_do_not_add_up(store: EngineStore) -> None:
    for number in range(12):
        fail(store, 1, start=number, at=NOW + number * 3 * MINUTE)
    assert paused(store) == []
    assert only(store).count == 12


def test_the_threshold_is_a_setting(store: EngineStore) -> None:
    limits = IncidentSettings(failures=2, within=timedelta(seconds=90))
    fail(store, 2, limits=limits)
    assert paused(store) == []
    fail(store, 1, start=2, at=NOW + timedelta(seconds=30), limits=limits)
    assert paused(store) == [("domain", "guest.example")]


@pytest.mark.parametrize("reading", [SPAM, THEIRS, outcome(Category.MAILBOX_FULL)])
def test_what_is_not_our_fault_stops_nothing(store: EngineStore, reading: object) -> None:
    fail(store, 10, reading=reading)
    assert paused(store) == []
    assert [one.subject.kind for one in every(store)] == ([Kind.CONTENT] if reading is SPAM else [])


def test_a_smarthost_that_refuses_us_stops_the_app_and_not_the_recipients_domain(store: EngineStore) -> None:
    for number in range(6):
        fail(store, 1, domain=f"guest{number}.example", status=Status.REJECTED, at=NOW + number * MINUTE)
    assert paused(store) == [("app", "hotel")]
    assert (only(store).subject.kind, only(store).subject.app, only(store).count) == (Kind.SMARTHOST, "hotel", 6)


# Nobody is counted or blocked.


def errors(store: EngineStore, number: int) -> int:
    found = store.read_now(lambda tx: addresses.get(tx, f"g{number}@guest.example"))
    return found.error_count if found else 0


def is_blocked(store: EngineStore, number: int) -> bool:
    key = f"g{number}@guest.example"
    return bool(store.read_now(lambda tx: suppressions.active_on(tx, key, scope="address", now=NOW + HOUR)))


def test_an_incident_takes_back_what_was_counted_and_blocked(store: EngineStore) -> None:
    theirs = accept(store, "g0@guest.example").deliveries[0].id
    claim(store)
    end(store, theirs, THEIRS, settings=STRICT)
    fail(store, 5, settings=STRICT)
    assert [errors(store, number) for number in range(6)] == [2, 1, 1, 1, 1, 0]
    assert is_blocked(store, 0)
    fail(store, 1, start=5, settings=STRICT)
    assert [errors(store, number) for number in range(6)] == [1, 0, 0, 0, 0, 0]
    assert not is_blocked(store, 0)


def test_nothing_is_counted_while_an_incident_lasts(store: EngineStore) -> None:
    late = [accept(store, f"g{number}@guest.example").deliveries[0].id for number in range(6, 10)]
    claim(store)
    fail(store, 6)
    for each in late:  # on the wire when the domain was paused
        assert not end(store, each, settings=STRICT, at=NOW + MINUTE).counted
    assert only(store).count == 10
    assert errors(store, 6) == 0


# Ending, and ending it too early.


def close(store: EngineStore, *, now: datetime = NOW + HOUR) -> object:
    one = only(store)
    return store.write_now(lambda tx: close_incident(tx, one.id, by="alice", now=now, note="fixed"))


def test_closing_lets_the_waiting_mail_go_at_once(store: EngineStore) -> None:
    fail(store, 6)
    waiting = accept(store, "later@guest.example").deliveries[0].id
    assert claim(store, now=NOW + MINUTE) == []
    answer = close(store)
    assert (answer.is_done, answer.count) == (True, 1)  # type: ignore[attr-defined]
    assert [each.delivery.id for each in claim(store, now=NOW + HOUR)] == [waiting]
    assert (only(store).closed_at, only(store).by, only(store).note) == (NOW + HOUR, "alice", "fixed")
    assert close(store).key == "closed"  # type: ignore[attr-defined]


def test_closing_ends_the_incidents_own_pause_and_no_other(store: EngineStore) -> None:
    store.write_now(
        lambda tx: pauses.pause(tx, scope="domain", value="guest.example", reason="by me", by="bob", now=NOW)
    )
    fail(store, 6)
    assert len(paused(store)) == 2
    close(store)
    assert [one.by for one in store.read_now(pauses.every)] == ["bob"]


def test_a_fault_that_is_still_there_opens_a_new_incident_after_the_next_threshold(store: EngineStore) -> None:
    fail(store, 6)
    close(store, now=NOW + MINUTE)
    fail(store, 5, start=6, at=NOW + 2 * MINUTE)
    assert paused(store) == []
    assert [one.count for one in every(store)] == [5, 6]
    fail(store, 1, start=11, at=NOW + 3 * MINUTE)
    assert paused(store) == [("domain", "guest.example")]


def test_a_pause_that_a_person_ended_alone_comes_back_after_the_next_threshold(store: EngineStore) -> None:
    fail(store, 6)
    store.write_now(lambda tx: pauses.resume(tx, scope="domain", value="guest.example", now=NOW + MINUTE))
    fail(store, 5, start=6, at=NOW + 2 * MINUTE)
    assert paused(store) == []
    fail(store, 1, start=11, at=NOW + 3 * MINUTE)
    assert paused(store) == [("domain", "guest.example")]
    assert only(store).count == 12


# Our name servers.


def test_a_domain_that_vanished_from_dns_is_an_incident_that_stops_nothing(store: EngineStore) -> None:
    doubted = replace(DNS, rule=NXDOMAIN_DOUBTED)
    (first,) = fail(store, 1, reading=doubted, status=Status.DEFERRED)
    end(store, first, doubted, status=Status.DEFERRED, at=NOW + MINUTE)
    fail(store, 9, start=1, reading=doubted, status=Status.DEFERRED)
    assert (only(store).subject.kind, only(store).subject.domain, only(store).count) == (
        Kind.RESOLVER,
        "guest.example",
        10,
    )
    assert paused(store) == []
    assert errors(store, 0) == 0


def test_many_domains_that_vanish_at_once_are_one_incident_and_it_ends_when_their_mail_has_ended(
    store: EngineStore,
) -> None:
    epidemic = replace(DNS, rule=NXDOMAIN_EPIDEMIC)
    ids = [
        fail(store, 1, domain=f"guest{number}.example", reading=epidemic, status=Status.DEFERRED)[0]
        for number in range(5)
    ]
    assert (only(store).subject.domain, only(store).count) == ("", 5)
    later = NOW + HOUR

    def quiet(before: datetime = later) -> int:
        return len(store.write_now(lambda tx: incidents.close_quiet_resolver(tx, before=before, now=later)))

    for each in ids[:4]:
        end(store, each, None, status=Status.DELIVERED, at=NOW + MINUTE)
    assert quiet() == 0
    end(store, ids[4], None, status=Status.DELIVERED, at=NOW + MINUTE)
    assert quiet(before=NOW) == 0
    assert quiet() == 1
    assert (only(store).closed_at, only(store).by) == (later, "")


# Sending again.


def test_what_is_sent_again_is_what_failed_and_nothing_twice(store: EngineStore) -> None:
    ids = fail(store, 6)
    one = only(store)

    def to_resend() -> list[DeliveryId]:
        return store.read_now(lambda tx: incidents.to_resend(tx, one.id))

    def again(delivery: DeliveryId) -> object:
        plan = store.read_now(lambda tx: plan_resend(tx, delivery, by="alice", now=NOW + HOUR, hostname="r.example"))
        assert isinstance(plan, Plan)
        return store.write_now(lambda tx: resend_part(tx, one.id, delivery, plan, now=NOW + HOUR))

    assert to_resend() == ids
    plan = store.read_now(lambda tx: plan_resend(tx, ids[0], by="bob", now=NOW, hostname="r.example"))
    assert isinstance(plan, Plan)
    copy = store.write_now(lambda tx: resend(tx, plan)).deliveries[0]
    assert to_resend() == ids[1:], "a copy is under way"
    end(store, copy, None, status=Status.DELIVERED, at=NOW + MINUTE)
    assert to_resend() == ids[1:], "a copy arrived"
    assert again(ids[0]).key == "left_out"  # type: ignore[attr-defined]
    assert again(ids[1]).is_done  # type: ignore[attr-defined]
    assert again(ids[1]).key == "left_out"  # type: ignore[attr-defined]
    assert to_resend() == ids[2:]
    shown = store.read_now(lambda tx: show_incident(tx, one.id))
    assert shown is not None
    assert {part.id for part in shown.parts if part.resent_at} == {ids[1]}


def test_of_a_mail_that_failed_in_it_twice_only_the_last_failure_is_sent_again(store: EngineStore) -> None:
    (first,) = fail(store, 1)
    plan = store.read_now(lambda tx: plan_resend(tx, first, by="bob", now=NOW, hostname="r.example"))
    assert isinstance(plan, Plan)
    copy = store.write_now(lambda tx: resend(tx, plan)).deliveries[0]
    end(store, copy, at=NOW + MINUTE)
    one = only(store)
    assert store.read_now(lambda tx: incidents.to_resend(tx, one.id)) == [copy]


def test_the_list_shows_what_is_stopped_and_waits(store: EngineStore) -> None:
    fail(store, 6)
    accept(store, "later@guest.example")
    claim(store, now=NOW + MINUTE)
    (shown,) = store.read_now(list_incidents)
    assert (shown.is_paused, shown.waiting, len(shown.to_resend)) == (True, 1, 6)
    close(store)
    assert store.read_now(list_incidents) == []
    (shown,) = store.read_now(lambda tx: list_incidents(tx, with_closed=True))
    assert (shown.is_paused, shown.waiting) == (False, 0)


# Several nodes, and what the log says.


def test_two_nodes_that_meet_the_same_fault_open_one_incident_and_pause_once(
    open_one: Callable[[], EngineStore],
) -> None:
    stores = [open_one(), open_one()]
    made = [accept(stores[0], f"g{number}@guest.example").deliveries[0].id for number in range(20)]
    claim(stores[0])

    def work(node: int) -> None:
        for each in made[node::2]:
            end(stores[node], each)

    with ThreadPoolExecutor(2) as nodes:
        for done in [nodes.submit(work, node) for node in range(2)]:
            done.result()
    assert only(stores[1]).count == 20
    assert paused(stores[1]) == [("domain", "guest.example")]


def test_two_people_who_send_an_incident_again_send_each_mail_once(open_one: Callable[[], EngineStore]) -> None:
    stores = [open_one(), open_one()]
    ids = fail(stores[0], 6)
    one = only(stores[0])
    start = Barrier(2)

    def work(store: EngineStore) -> int:
        count = 0
        for each in ids:
            plan = store.read_now(lambda tx, each=each: plan_resend(tx, each, by="x", now=NOW, hostname="r.example"))  # type: ignore[misc]
            assert isinstance(plan, Plan)
            start.wait(30)
            answer = store.write_now(lambda tx, each=each, plan=plan: resend_part(tx, one.id, each, plan, now=NOW))  # type: ignore[misc]
            count += answer.is_done
        return count

    with ThreadPoolExecutor(2) as people:
        assert sum(people.map(work, stores)) == 6
    rows = stores[0].read_now(lambda tx: log.search(tx, log.Query()))
    assert sum(row.resend_of is not None for row in rows) == 6


def test_each_incident_is_said_once_in_the_log_and_again_when_it_stops_mail(
    store: EngineStore, caplog: pytest.LogCaptureFixture
) -> None:
    watch = IncidentWatch(store)

    def said() -> list[str]:
        caplog.clear()
        with caplog.at_level("INFO", logger="relay.incident_watch"):
            asyncio.run(watch.look(NOW + HOUR))
        return [record.getMessage() for record in caplog.records]

    assert said() == []
    fail(store, 1)
    (line,) = said()
    assert "id=1 state=open failed=1 what='guest.example refuses our mail (reputation_block)'" in line
    assert said() == []
    fail(store, 5, start=1)
    (line,) = said()
    assert "state=paused failed=6" in line
    fail(store, 1, domain="gone.example", reading=replace(DNS, rule=NXDOMAIN_DOUBTED), status=Status.DEFERRED)
    (line,) = said()
    assert "cannot find gone.example" in line
    end(store, only_of(store, "gone.example"), None, status=Status.DELIVERED, at=NOW + MINUTE)
    assert said() == ["event=incident_over id=2 what='our name servers cannot find gone.example'"]


def only_of(store: EngineStore, domain: str) -> DeliveryId:
    (one,) = store.read_now(lambda tx: log.search(tx, log.Query(words=(domain,))))
    return one.id


# What a page does in one unit of work.


def test_what_failed_is_sent_again_in_one_go_and_once(store: EngineStore) -> None:
    fail(store, 3)
    one = only(store)

    def again() -> Answer:
        return store.write_now(lambda tx: resend_failed(tx, one.id, by="olga", now=NOW + HOUR, hostname="r.example"))

    first = again()
    assert (first.key, first.count, len(first.deliveries)) == ("done", 3, 3)
    assert (again().key, again().is_done) == ("nothing_open", False)
    missing = store.write_now(lambda tx: resend_failed(tx, 99, by="olga", now=NOW, hostname="r.example"))
    assert missing.key == "not_found"


def test_an_incident_concerns_the_apps_whose_mail_is_in_it(store: EngineStore) -> None:
    fail(store, 1, app="spa")
    one = only(store)
    asked = [None, ("spa",), ("hotel", "spa"), ("hotel",), ()]
    assert [store.read_now(lambda tx, apps=apps: concerns(tx, one, apps)) for apps in asked] == [  # type: ignore[misc]
        *(True, True, True, False, False)
    ]
