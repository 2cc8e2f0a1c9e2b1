"""`python -m bench.served FOLDER`: how long whole pages take on a store that bench.million filled.

Each page is asked for through the application itself (guard, store, template; no network), with other values every
time. Printed are p50 and p95 by the clock, and the size of the page. The budget is p95 of 200 ms for log, search,
booking and customer, and a median of 50 ms for the first page of any list.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import click
from starlette.testclient import TestClient

from bench.million import Customer, Town
from dashboard.access import Person, Role
from dashboard.app import build, warm
from relay.classify.rules import load_rules
from relay.config import load_text
from relay.store import log, open_store
from relay.store.engine import EngineStore
from relay.store.log import Query

_CONFIG = '[node]\nhostname = "relay.example.org"\n[[listener]]\naddress = "127.0.0.1:2525"\n'

Path_ = Callable[[random.Random, Customer, EngineStore], str]


class _OneGate:
    """Lets the one admin in."""

    async def person_of(self, token: str, *, now: datetime) -> Person | None:
        return Person(id="a", name="ada", role=Role.ADMIN)


def _row_of(who: Customer, store: EngineStore, pick: random.Random) -> log.LogRow:
    """Some mail of this customer, or of anybody."""
    rows = store.read_now(lambda tx: log.search(tx, Query(address=who.address, limit=20)))
    rows = rows or store.read_now(lambda tx: log.search(tx, Query(limit=50)))
    return pick.choice(rows)


PAGES: dict[str, Path_] = {
    "home": lambda pick, who, store: "/",
    "home, 30 days": lambda pick, who, store: "/?since=30d",
    "log": lambda pick, who, store: "/log",
    "log, not delivered": lambda pick, who, store: "/log?status=not_delivered",
    "log, domain + reason": lambda pick, who, store: f"/log?q=domain:{who.domain}+reason:mailbox_full",
    "log, surname": lambda pick, who, store: f"/log?q={quote(who.name.split()[1][:6].lower())}",
    "log, nothing found": lambda pick, who, store: f"/log?q=zzyzx{who.number}",
    "message": lambda pick, who, store: f"/m/{_row_of(who, store, pick).id}",
    "booking": lambda pick, who, store: f"/bookings/{quote(_row_of(who, store, pick).booking or 'BK-1')}",
    "customer": lambda pick, who, store: f"/customers/of/{_row_of(who, store, pick).id}",
    "customers, surname": lambda pick, who, store: f"/customers?q={quote(who.name.split()[1][:6].lower())}",
    "to do": lambda pick, who, store: "/todo",
    "blocked addresses": lambda pick, who, store: "/suppressions",
    "queue": lambda pick, who, store: "/queue",
    "incidents": lambda pick, who, store: "/incidents",
    "audit log": lambda pick, who, store: "/audit",
}


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.option("--count", default=1_000_000, show_default=True, help="How many deliveries there are.")
@click.option("--times", default=20, show_default=True, help="How often each page is asked for.")
@click.option("--only", default="", help="Only pages with this in their name.")
def main(folder: Path, count: int, times: int, only: str) -> None:
    """Time whole pages on the store in FOLDER."""
    customers = Town(1, count).customers
    warm()
    load_rules()  # as the relay does when it starts
    click.echo("| page | p50 ms | p95 ms | kB |\n| --- | ---: | ---: | ---: |")
    with open_store("sqlite:data/waybill.db", folder) as store:
        config = load_text(_CONFIG, base_dir=folder)
        app = build(config, store, gate=_OneGate(), audit=lambda tx, **_: None, nudge=lambda: None)
        client = TestClient(app, base_url="http://127.0.0.1:8025", cookies={"waybill": "x"})
        for name, path in PAGES.items():
            if only in name:
                click.echo(f"| {name} | {_measure(client, path, customers, store, times=times)} |")


def _measure(client: TestClient, path: Path_, customers: list[Customer], store: EngineStore, *, times: int) -> str:
    pick, took, size = random.Random(7), [], 0
    for turn in range(times + 1):
        address = path(pick, pick.choice(customers), store)
        began = time.perf_counter()
        answer = client.get(address)
        took.append(time.perf_counter() - began)
        assert answer.status_code == 200, f"{address}: {answer.status_code}"
        size = max(size, len(answer.content))
        if turn == 0:
            took.clear()  # templates are compiled and catalogues read once
    ordered = sorted(took)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"{statistics.median(ordered) * 1000:.0f} | {p95 * 1000:.0f} | {size / 1000:.0f}"


if __name__ == "__main__":
    main()
