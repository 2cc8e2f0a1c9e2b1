"""What a hot statement reads on PostgreSQL grows with what it takes, not with what waits, also without statistics."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from bench.postgres_server import PostgresServer
from relay.model import Claimed
from relay.store import loader, spool
from relay.store.engine import EngineStore
from relay.store.protocols import Tx, Value
from tests.store.making import MINUTE, NOW, claim, submission

BACKENDS = ("postgres",)
WAITING, TAKEN = 400, 5
STATEMENTS = loader.load("postgres")


@pytest.fixture
def store_url(emptied_schema: str, postgres: PostgresServer) -> Iterator[str]:
    """What the planner learnt from other tests' rows is forgotten, and nothing new learnt."""
    hot = ("message", "delivery", "content", "address", "domain", "suppression")
    postgres.execute("; ".join(f"ALTER TABLE used.{name} SET (autovacuum_enabled = off)" for name in hot))
    postgres.execute("DELETE FROM pg_statistic WHERE starelid::regclass::text LIKE 'used.%'")
    yield emptied_schema
    postgres.execute("; ".join(f"ALTER TABLE used.{name} RESET (autovacuum_enabled)" for name in hot))


@pytest.fixture
def claimed(store: EngineStore) -> list[Claimed]:
    """A few of many deliveries that wait, with many blocks in force."""

    def fill(tx: Tx) -> None:
        for number in range(WAITING):
            spool.accept(tx, submission(f"guest{number}@example.com", "other@example.com", message_id=f"<{number}@a>"))
        tx.compose(
            "INSERT INTO suppression (scope, value, reason, source, note, by, since_at, reply) "
            "SELECT 'address', 'x' || n || '@example.com', 'errors', 'automatic', '', '', now(), '' "
            "FROM generate_series(1, :waiting) AS n RETURNING id",
            {"waiting": WAITING},
        )

    store.write_now(fill)
    return claim(store, limit=TAKEN)


def test_a_hot_statement_reads_what_it_takes_and_no_more(store: EngineStore, claimed: list[Claimed]) -> None:
    deliveries, messages = [each.delivery.id for each in claimed], [each.message.id for each in claimed]
    params: dict[str, Value] = {
        "now": NOW,
        "until": NOW + MINUTE,
        "next_at": NOW,
        "owner": "one",
        "limit": TAKEN,
        "waits_for_site": 0,
    }

    def most_read(tx: Tx, name: str, ids: list[str]) -> int:
        sql = f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {STATEMENTS[name]}"
        (row,) = tx.compose(sql, {**params, "ids": json.dumps(ids)})
        return max(read(row["QUERY PLAN"][0]["Plan"]))

    for name, ids in (
        ("spool.claim_siblings", deliveries),
        ("spool.claim_fresh", []),
        ("spool.claim_due", []),
        ("spool.messages", messages),
        ("spool.contents", messages),
        ("spool.renew", deliveries),
        ("spool.release", deliveries),
        ("suppressions.among", deliveries),
        ("record.subjects", deliveries),
    ):
        assert store.write_now(lambda tx, n=name, i=ids: most_read(tx, n, i)) <= 6 * len(claimed), name  # type: ignore[misc]


def read(node: Mapping[str, Any]) -> Iterator[int]:
    """How many rows each step of a plan went through."""
    removed = sum(value for key, value in node.items() if key.startswith("Rows Removed"))
    yield (node["Actual Rows"] + removed) * node["Actual Loops"]
    for child in node.get("Plans", ()):
        yield from read(child)
