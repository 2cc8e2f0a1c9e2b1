"""Two who press Resend at the same moment, on any nodes: one copy, and both are told of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from relay import actions
from relay.actions import Answer, Plan
from relay.status import Status
from relay.store import spool
from relay.store.engine import EngineStore
from relay.store.protocols import Tx
from tests.store.making import NOW, accept, claim, disposition


@pytest.mark.parametrize("token", [None, "form-7"])
def test_two_at_the_same_moment_send_one_copy(open_one: Callable[[], EngineStore], token: str | None) -> None:
    stores = (open_one(), open_one())
    message = accept(stores[0], content=b"Subject: x\r\n\r\nSee you.\r\n").message
    (claimed,) = claim(stores[0])
    stores[0].write_now(lambda tx: spool.record(tx, disposition(claimed.delivery.id), owner="one"))
    both = threading.Barrier(2)

    def plan(tx: Tx, by: str) -> Plan:
        made = actions.plan_resend(tx, message.id, by=by, now=NOW, hostname="relay.example")
        assert isinstance(made, Plan)
        return made

    def press(store: EngineStore, by: str) -> Answer:
        planned = store.read_now(lambda tx: plan(tx, by))
        both.wait(10)
        return store.write_now(lambda tx: actions.resend(tx, planned, token=token))

    with ThreadPoolExecutor(2) as people:
        answers = list(people.map(press, stores, ("sari", "mika")))
    deliveries = stores[0].read_now(lambda tx: spool.deliveries_of(tx, message.id))
    assert [one.status for one in deliveries] == [Status.DELIVERED, Status.QUEUED]
    assert {one.deliveries for one in answers} == {(deliveries[1].id,)}
    assert {one.is_done for one in answers} == {True}


def test_of_two_corrections_at_the_same_moment_one_sends(open_one: Callable[[], EngineStore]) -> None:
    stores = (open_one(), open_one())
    message = accept(stores[0], "old@example.com").message
    both = threading.Barrier(2)

    def run(store: EngineStore, by: str) -> Answer:
        found = store.read_now(
            lambda tx: actions.plan_correction(
                tx, "old@example.com", "new@example.com", now=NOW, since=message.accepted_at
            )
        )
        assert isinstance(found, actions.Correction)
        (row,) = found.chosen
        planned = store.read_now(
            lambda tx: actions.plan_resend(tx, row.id, by=by, now=NOW, hostname="relay.example", to=found.new)
        )
        assert isinstance(planned, Plan)
        both.wait(10)
        return store.write_now(lambda tx: actions.catch_up(tx, planned, found, by=by, now=NOW))

    with ThreadPoolExecutor(2) as people:
        answers = list(people.map(run, stores, ("sari", "mika")))
    deliveries = stores[0].read_now(lambda tx: spool.deliveries_of(tx, message.id))
    assert [(one.address, one.status) for one in deliveries] == [
        ("old@example.com", Status.CANCELLED),
        ("new@example.com", Status.QUEUED),
    ]
    assert sorted(one.key for one in answers) == ["done", "left_out"]
