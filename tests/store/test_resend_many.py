"""Many mails sent again: what that would do is said first, and each is looked at once more when it is done."""

from __future__ import annotations

from datetime import timedelta

from relay import actions
from relay.actions import Answer, Fate, ManyForeseen, Plan, Tally
from relay.model import Delivery, DeliveryId
from relay.status import Status
from relay.store import log, spool
from relay.store.engine import EngineStore
from relay.store.protocols import Tx
from tests.store.making import NOW, accept, claim, disposition

LATER = NOW + timedelta(hours=1)


def _ended(store: EngineStore, address: str, status: Status, **values: object) -> Delivery:
    (delivery,) = accept(store, address, **values).deliveries
    owner = "one"
    (claimed,) = claim(store)
    assert claimed.delivery.id == delivery.id
    store.write_now(lambda tx: spool.record(tx, disposition(delivery.id, status), owner=owner))
    return delivery


def _foresee(store: EngineStore, *ids: DeliveryId, apps: tuple[str, ...] | None = None) -> ManyForeseen:
    return store.read_now(lambda tx: actions.foresee_many(tx, ids, now=LATER, apps=apps))


def _send(store: EngineStore, wanted: DeliveryId, *, with_delivered: bool = False) -> Answer:
    def plan(tx: Tx) -> Plan:
        made = actions.plan_resend(tx, wanted, by="sari", now=LATER, hostname="relay.example")
        assert isinstance(made, Plan)
        return made

    planned = store.read_now(plan)
    return store.write_now(lambda tx: actions.resend_one_of_many(tx, planned, with_delivered=with_delivered))


def test_each_mail_has_its_fate(store: EngineStore) -> None:
    failed = _ended(store, "full@example.com", Status.SOFT_BOUNCED)
    arrived = _ended(store, "fine@example.com", Status.DELIVERED)
    blocked = _ended(store, "blocked@example.com", Status.SOFT_BOUNCED)
    gone = _ended(store, "gone@example.com", Status.SOFT_BOUNCED, store_content="none")
    store.write_now(lambda tx: actions.block(tx, "blocked@example.com", by="sari", now=NOW))
    (waiting,) = accept(store, "waits@example.com").deliveries
    found = _foresee(store, failed.id, arrived.id, blocked.id, waiting.id, gone.id, DeliveryId("NOBODY"))
    assert {one.to.partition("@")[0]: one.fate for one in found.mails} == {
        "full": Fate.CHOSEN,
        "fine": Fate.DELIVERED,
        "blocked": Fate.BLOCKED,
        "waits": Fate.PENDING,
        "gone": Fate.GONE,
    }
    assert [one.row.id for one in found.to_send(with_delivered=False)] == [failed.id]
    assert {one.row.id for one in found.to_send(with_delivered=True)} == {failed.id, arrived.id}


def test_other_apps_do_not_exist(store: EngineStore) -> None:
    failed = _ended(store, "full@example.com", Status.SOFT_BOUNCED, app="spa")
    assert _foresee(store, failed.id, apps=("hotel",)).mails == ()
    assert len(_foresee(store, failed.id, apps=("spa",)).mails) == 1


def test_a_mail_and_its_resends_are_one(store: EngineStore) -> None:
    failed = _ended(store, "full@example.com", Status.SOFT_BOUNCED)
    answer = _send(store, failed.id)
    assert (answer.key, answer.count) == ("done", 1)
    (copy,) = answer.deliveries
    assert [one.fate for one in _foresee(store, failed.id, copy).mails] == [Fate.PENDING]
    assert _send(store, failed.id).key == "left_out"


def test_what_arrived_meanwhile_is_left_out_unless_asked_for(store: EngineStore) -> None:
    arrived = _ended(store, "fine@example.com", Status.DELIVERED)
    assert _send(store, arrived.id).key == "left_out"
    assert _send(store, arrived.id, with_delivered=True).key == "done"
    rows = store.read_now(lambda tx: log.search(tx, log.Query(oldest_first=True)))
    assert [row.status for row in rows] == [Status.DELIVERED, Status.QUEUED]


def test_a_copy_goes_to_the_current_address(store: EngineStore) -> None:
    failed = _ended(store, "old@example.com", Status.SOFT_BOUNCED)
    planned = store.read_now(
        lambda tx: actions.plan_correction(tx, "old@example.com", "new@example.com", now=LATER, since=NOW)
    )
    assert isinstance(planned, actions.Correction)
    store.write_now(lambda tx: actions.correct(tx, planned, by="sari", now=LATER))
    assert [one.to for one in _foresee(store, failed.id).mails] == ["new@example.com"]


def test_the_rows_of_ids_are_those_and_no_others(store: EngineStore) -> None:
    first = accept(store, "a@example.com", "b@example.com").deliveries
    accept(store, "c@example.com")
    found = store.read_now(lambda tx: log.rows_of(tx, [first[0].id, first[1].id, DeliveryId("NOBODY")]))
    assert [row.to for row in found] == ["b@example.com", "a@example.com"]
    assert store.read_now(lambda tx: log.rows_of(tx, [])) == []


def test_a_tally_says_what_came_of_all() -> None:
    tally = Tally()
    tally.add(Answer(key="done", sentence="", deliveries=(DeliveryId("A"),)))
    assert (tally.answer().key, tally.answer().count) == ("done", 1)
    tally.add(Answer(key="blocked", sentence="", is_done=False))
    tally.add(Answer(key="left_out", sentence="", is_done=False))
    answer = tally.answer()
    assert (answer.key, answer.count, answer.is_done) == ("partly", 1, True)
    assert "blocked: 1" in answer.sentence
    assert Tally().answer().key == "nothing"
