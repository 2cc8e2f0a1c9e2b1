"""Statements that are not waited for: they fail inside their own unit, in order, and take nothing else along."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from relay.errors import StoreError
from relay.model import DeliveryId, Disposition
from relay.settings import Suppressions
from relay.status import Status
from relay.store import log, spool, suppressions
from relay.store.engine import EngineStore
from relay.store.protocols import Tx, Value
from tests.store.making import NOW, accept, claim, disposition, outcome, reply, submission

SITE: dict[str, Value] = {"step": 1, "until_at": None, "category": None, "reply": None, "updated_at": NOW}


def save_site(tx: Tx, key: str, **values: Value) -> None:
    tx.later("sites.save", {**SITE, "key": key, **values})


def sites(store: EngineStore) -> list[str]:
    return [row["key"] for row in store.read_now(lambda tx: tx.rows("sites.list"))]


def in_one_group(store: EngineStore, *units: Callable[[Tx], object]) -> list[object]:
    """Run units in one commit: all of them wait behind a slow one."""
    hold, at_work = threading.Event(), threading.Event()

    def slow(tx: Tx) -> None:
        at_work.set()
        hold.wait()

    async def main() -> list[object]:
        first = asyncio.ensure_future(store.write(slow))
        await asyncio.to_thread(at_work.wait)
        rest = [asyncio.ensure_future(store.write(unit)) for unit in units]
        await asyncio.sleep(0)
        hold.set()
        await first
        return list(await asyncio.gather(*rest, return_exceptions=True))

    return asyncio.run(main())


def bad_last(tx: Tx) -> str:
    save_site(tx, "taken back")
    tx.later("sites.save", {**SITE, "key": "bad", "step": None})
    return "never said"


def bad_first(tx: Tx) -> str:
    tx.later("sites.save", {**SITE, "key": "bad", "step": None})
    save_site(tx, "not even run")
    tx.one("sites.domain_delivered", {"domain": "example.com"})
    return "never said"


def bad_count(tx: Tx) -> str:
    save_site(tx, "taken back too")
    tx.later("sites.delete", {"key": "no such site"}, changes=1)
    return "never said"


def hides_its_failure(tx: Tx) -> str:
    save_site(tx, "hidden")
    try:
        tx.compose("SELECT nonsense", {})
    except StoreError:
        return "fine"
    return "never said"


def raises_before_anything_was_sent(tx: Tx) -> str:
    save_site(tx, "never sent")
    raise LookupError("no")


@pytest.mark.parametrize("bad", [bad_last, bad_first, bad_count, raises_before_anything_was_sent])
def test_what_fails_late_fails_its_own_unit_and_no_other(store: EngineStore, bad: Callable[[Tx], str]) -> None:
    got = in_one_group(
        store, lambda tx: save_site(tx, "before"), bad, lambda tx: save_site(tx, "after"), bad, lambda tx: 5
    )
    assert isinstance(got[1], StoreError | LookupError)
    assert isinstance(got[3], StoreError | LookupError)
    assert (got[0], got[2], got[4]) == (None, None, 5)
    assert sites(store) == ["after", "before"]
    assert store.is_healthy


def test_a_unit_that_hides_a_failure_spoils_no_other(store: EngineStore) -> None:
    got = in_one_group(store, hides_its_failure, lambda tx: save_site(tx, "after"))
    assert got[1] is None
    assert "after" in sites(store)
    assert ("hidden" in sites(store)) == (got[0] == "fine"), "kept when it was called a success, and only then"


def test_a_statement_sees_those_that_went_before_it(store: EngineStore) -> None:
    def unit(tx: Tx) -> tuple[list[str], int]:
        save_site(tx, "a")
        save_site(tx, "b")
        tx.later("sites.delete", {"key": "a"})
        return [row["key"] for row in tx.rows("sites.list")], tx.run("sites.delete", {"key": "b"})

    assert store.write_now(unit) == (["b"], 1)
    assert sites(store) == []


def test_a_parameter_may_be_null_first_and_a_value_later(store: EngineStore) -> None:
    for number, values in enumerate(
        ({}, {"until_at": NOW}, {"category": "busy"}, {}, {"until_at": NOW, "reply": "no"})
    ):
        store.write_now(lambda tx, n=number, v=values: save_site(tx, f"s{n}", **v))  # type: ignore[misc]
    rows = store.read_now(lambda tx: tx.rows("sites.list"))
    assert [(row["until_at"], row["category"], row["reply"]) for row in rows] == [
        (None, None, None),
        (NOW, None, None),
        (None, "busy", None),
        (None, None, None),
        (NOW, None, "no"),
    ]


def test_a_statement_that_failed_when_it_was_first_used_works_afterwards(store: EngineStore) -> None:
    def bad(tx: Tx) -> None:
        tx.compose("SELECT nonsense", {})

    def behind_a_failure(tx: Tx) -> None:
        tx.later("sites.save", {**SITE, "key": "bad", "step": None})
        tx.later("sites.delete", {"key": "never run, and perhaps never prepared"})
        tx.one("sites.domain_delivered", {"domain": "example.com"})

    for unit in (bad, behind_a_failure):
        with pytest.raises(StoreError):
            store.write_now(unit)
    store.write_now(lambda tx: save_site(tx, "a"))
    assert store.write_now(lambda tx: tx.run("sites.delete", {"key": "a"})) == 1
    assert store.write_now(lambda tx: tx.one("sites.domain_delivered", {"domain": "example.com"})) is None


def test_a_reader_that_writes_later_is_refused_at_once(store: EngineStore) -> None:
    def unit(tx: Tx) -> None:
        with pytest.raises(StoreError):
            tx.later("sites.delete", {"key": "a"})

    store.read_now(unit)


def test_more_than_a_socket_holds_goes_in_one_unit(store: EngineStore) -> None:
    made = [submission(f"guest{n}@example.com", content=bytes([65 + n % 26]) * 400_000) for n in range(40)]
    store.write_now(lambda tx: [spool.accept(tx, each) for each in made])
    for each in (made[0], made[-1]):
        assert store.read_now(lambda tx, each=each: spool.load_content(tx, each.message.id)) == each.content  # type: ignore[misc]


def failing(delivery: DeliveryId, *, attempts: int = 1) -> Disposition:
    return disposition(delivery, Status.INVALID, attempts=attempts, said=reply(550, "no such user"), reading=outcome())


def test_results_of_one_address_in_one_batch_count_one_after_the_other(store: EngineStore) -> None:
    made = [accept(store, "guest@example.com").deliveries[0].id for _ in range(3)]
    claim(store)
    settings = Suppressions(max_errors=2)
    recorded = store.write_now(
        lambda tx: spool.record_all(tx, [failing(each) for each in made], owner="one", settings=settings)
    )
    blocked = [each for each in made if (done := recorded[each]) is not None and done.block is not None]
    assert blocked == made[2:]
    active = store.read_now(lambda tx: suppressions.active_on(tx, "guest@example.com", scope="address", now=NOW))
    assert len(active) == 1


def test_a_result_given_twice_in_one_batch_is_recorded_once(store: EngineStore) -> None:
    made = accept(store).deliveries[0].id
    claim(store)
    done = disposition(made)
    store.write_now(lambda tx: spool.record_all(tx, [done, done], owner="one"))
    found = store.read_now(lambda tx: log.find(tx, made))
    assert found is not None
    assert len(found.attempts) == len(done.attempt_rows)


def test_a_batch_leaves_out_what_is_not_there(store: EngineStore) -> None:
    made = accept(store).deliveries[0].id
    claim(store)
    gone = DeliveryId("gone")
    recorded = store.write_now(lambda tx: spool.record_all(tx, [disposition(gone), disposition(made)], owner="one"))
    assert recorded[gone] is None
    assert recorded[made] is not None
