"""What only PostgreSQL can do to a store: go away and come back, commit out of order, lack an extension."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from bench.postgres_server import PostgresServer
from relay.errors import StoreError
from relay.store import log, migrations, open_store, refusals, spool
from relay.store.engine import EngineStore
from relay.store.protocols import DiskFault, Tx
from relay.store.verify import verify
from tests.store.making import accept, claim, disposition, submission
from tests.store.test_blocks import REFUSAL


@pytest.fixture
def store_url(emptied_schema: str) -> str:
    """These tests are about PostgreSQL alone."""
    return emptied_schema


def until(is_true: Callable[[], bool], *, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_store_is_durable_and_says_so(store: EngineStore) -> None:
    sql = "SELECT current_setting('synchronous_commit') AS commit, current_setting('fsync') AS sync"
    assert store.write_now(lambda tx: tx.compose(sql, {})) == [{"commit": "on", "sync": "on"}]


def test_a_server_that_would_lose_commits_is_refused(own_postgres: PostgresServer) -> None:
    own_postgres.stop()
    own_postgres.start(fsync="off")
    with pytest.raises(StoreError, match="fsync"):
        open_store(own_postgres.url, Path())


def test_while_the_server_is_away_nothing_is_accepted_and_afterwards_it_is_again(own_postgres: PostgresServer) -> None:
    with open_store(own_postgres.url, Path()) as store:
        kept = accept(store)
        store.changed()
        own_postgres.stop(how=signal.SIGQUIT)
        with pytest.raises(StoreError):
            store.write_now(lambda tx: spool.accept(tx, submission()))
        until(lambda: not store.is_healthy)
        with pytest.raises(DiskFault):
            store.read_now(lambda tx: log.find(tx, kept.message.id))
        own_postgres.start()
        until(lambda: store.is_healthy)
        accept(store, "later@example.com")
        assert store.read_now(lambda tx: len(log.search(tx, log.Query()))) == 2
        assert store.changed()
        assert store.read_now(verify) == []


def test_a_reader_whose_connection_broke_does_not_make_the_store_unhealthy(
    store: EngineStore, postgres: PostgresServer
) -> None:
    pid = store.read_now(lambda tx: tx.compose("SELECT pg_backend_pid() AS pid", {}))[0]["pid"]
    postgres.execute(f"SELECT pg_terminate_backend({pid}, 5000)")
    assert store.read_now(lambda tx: log.search(tx, log.Query())) == []
    assert store.is_healthy


def test_the_tables_are_made_once_and_a_newer_store_is_left_alone(postgres: PostgresServer) -> None:
    with postgres.schema("fresh") as url:
        stores = [threading.Thread(target=lambda: open_store(url, Path()).close()) for _ in range(3)]
        for each in stores:
            each.start()
        for each in stores:
            each.join()
        steps = postgres.execute("SELECT name FROM fresh.migration ORDER BY name")
        assert [name for (name,) in steps] == list(migrations.STEPS)
        postgres.execute("INSERT INTO fresh.migration VALUES ('m9999_future', now())")
        with pytest.raises(StoreError, match="newer than this version"):
            open_store(url, Path())


def test_without_the_extension_searches_find_the_same(own_postgres: PostgresServer) -> None:
    own_postgres.execute("DROP EXTENSION pg_trgm")
    own_postgres.execute("CREATE ROLE guest LOGIN; CREATE SCHEMA guest AUTHORIZATION guest")
    url = own_postgres.socket_url.replace("waybill@", "guest@")
    with open_store(url, Path()) as store:
        accept(store, "anna.makinen@example.com", name="Anna Mäkinen")
        accept(store, "bob@example.com")
        for _ in range(2):  # before and after the words are taken out of the rows
            found = store.read_now(lambda tx: log.search(tx, log.Query(words=("MÄKI",))))
            assert [row.to for row in found] == ["anna.makinen@example.com"]
            store.write_now(log.index_pending)


def test_following_leaves_nothing_out_that_commits_late_under_a_lower_number(
    open_one: Callable[[], EngineStore],
) -> None:
    slow, quick = open_one(), open_one()
    seen = quick.read_now(log.position)
    at_work, hold = threading.Event(), threading.Event()

    def late(tx: Tx) -> None:
        message = spool.accept(tx, submission("late@example.com"))
        tx.one("spool.message", {"id": message.id})  # the numbers are drawn by now, not at the end of the unit
        at_work.set()
        hold.wait()

    thread = threading.Thread(target=lambda: slow.write_now(late))
    thread.start()
    at_work.wait()
    accept(quick, "early@example.com")
    got: list[str] = []
    for turn in range(4):
        rows, seen = quick.read_now(lambda tx, seen=seen: log.changed_since(tx, seen))  # type: ignore[misc]
        got += [row.to for row in rows]
        if turn == 0:
            while quick.write_now(log.index_pending):
                continue
            hold.set()
            thread.join()
    assert sorted(got) == ["early@example.com", "late@example.com"]
    found = quick.read_now(lambda tx: log.search(tx, log.Query(words=("late@",))))
    assert [row.to for row in found] == ["late@example.com"], "the index does not skip it either"
    while quick.write_now(log.index_pending):
        continue
    assert quick.read_now(lambda tx: len(log.search(tx, log.Query(words=("late@",))))) == 1


def test_following_refusals_leaves_none_out_that_commits_late_under_a_lower_number(
    open_one: Callable[[], EngineStore],
) -> None:
    slow, quick = open_one(), open_one()
    seen = quick.read_now(log.position)
    at_work, hold = threading.Event(), threading.Event()

    def late(tx: Tx) -> None:
        refusals.add(tx, replace(REFUSAL, rcpt_to="late@example.com"))
        at_work.set()
        hold.wait()

    thread = threading.Thread(target=lambda: slow.write_now(late))
    thread.start()
    at_work.wait()
    quick.write_now(lambda tx: refusals.add(tx, replace(REFUSAL, rcpt_to="early@example.com")))
    got: list[str | None] = []
    for turn in range(4):
        here = quick.read_now(lambda tx, seen=seen: log.reach(tx, seen))  # type: ignore[misc]
        after, up_to = seen.refusal, here.refusal
        news = quick.read_now(lambda tx, a=after, b=up_to: refusals.search(tx, after=a, up_to=b))  # type: ignore[misc]
        got += [row.refusal.rcpt_to for row in reversed(news)]
        seen = here
        if turn == 0:
            assert got == [], "what is older may still come"
            hold.set()
            thread.join()
    assert got == ["late@example.com", "early@example.com"]


def test_a_result_whose_commit_was_answered_by_silence_is_recorded_once(store: EngineStore) -> None:
    made = accept(store).deliveries[0].id
    claim(store)
    done = disposition(made)
    for _ in range(2):
        recorded = store.write_now(lambda tx: spool.record(tx, done, owner="one"))
        assert recorded is not None
        assert recorded.is_applied
    found = store.read_now(lambda tx: log.find(tx, made))
    assert found is not None
    assert len(found.attempts) == len(done.attempt_rows)
    assert found.events == ()


def test_a_nul_in_a_text_is_kept_as_a_sign_and_found(store: EngineStore) -> None:
    accept(store, subject="a\x00b")
    (row,) = store.read_now(lambda tx: log.search(tx, log.Query(words=("a\x00b",))))
    assert row.subject == "a\ufffdb"


def test_a_group_gives_one_notice_and_one_without_news_none(store: EngineStore, store_url: str) -> None:
    with psycopg.connect(store_url, autocommit=True) as listener:
        listener.execute("LISTEN waybill")
        accept(store, "a@example.com", "b@example.com", "c@example.com")
        claim(store)
        assert len(list(listener.notifies(timeout=0.5))) == 1
