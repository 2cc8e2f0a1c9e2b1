"""`python -m bench.pages FOLDER`: how long the dashboard's questions take on a store that bench.million filled.

Each question is asked with other values every time, drawn from the mail that is there, each in a read of its own with
the time limit that the pages have. Printed are p50 and p95 by the clock, p95 of the CPU time (which other work on the
machine hardly moves), and how many answers were cut short.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import click

from bench.million import NOW, Customer, Town
from relay.actions import nearest
from relay.actions.addresses import address_card
from relay.model import Category
from relay.status import Group, Status
from relay.store import log, open_store
from relay.store.engine import EngineStore
from relay.store.log import Page, Query
from relay.store.protocols import Tx

LIMIT = timedelta(seconds=2)


Unit = Callable[[Tx], object]
#: Makes one question, with a customer drawn from those that there are.
Asking = Callable[[random.Random, Customer], Unit]


def _page(make: Callable[[random.Random, Customer], Query]) -> Asking:
    def ask(pick: random.Random, who: Customer) -> Unit:
        query = make(pick, who)
        return lambda tx: log.page(tx, query)

    return ask


def _counts(make: Callable[[random.Random, Customer], Query]) -> Asking:
    def ask(pick: random.Random, who: Customer) -> Unit:
        query = make(pick, who)
        return lambda tx: log.counts(tx, query)

    return ask


def _surname(who: Customer) -> str:
    return who.name.split()[1][:6].lower()


def _booking(pick: random.Random) -> str:
    return f"bk{pick.randrange(60_000):06d}"


#: What the pages ask, in the order of the table.
_REASONS = (Category.MAILBOX_FULL, Category.MOVED, Category.POLICY)

QUESTIONS: dict[str, Asking] = {
    "log, first page": _page(lambda pick, who: Query()),
    "log, one app": _page(lambda pick, who: Query(apps=("club",))),
    "log, domain": _page(lambda pick, who: Query(domain=(who.domain,))),
    "log, status + domain": _page(lambda pick, who: Query(status=(Status.INVALID,), domain=(who.domain,))),
    "log, not delivered": _page(lambda pick, who: Query(groups=(Group.NOT_DELIVERED,))),
    "log, pending": _page(lambda pick, who: Query(groups=(Group.PENDING,))),
    "log, blocked": _page(lambda pick, who: Query(groups=(Group.BLOCKED,))),
    "log, reason + 30 days": _page(
        lambda pick, who: Query(category=(pick.choice(_REASONS),), since=NOW - timedelta(days=30))
    ),
    "log, code 5 + domain": _page(lambda pick, who: Query(code=5, domain=(who.domain,))),
    "log, clicked": _page(lambda pick, who: Query(marks=("clicked",))),
    "log, marked as spam": _page(lambda pick, who: Query(marks=("spam",))),
    "log, archive": _page(lambda pick, who: Query(archived=True, now=NOW)),
    "log, 400 days ago": _page(lambda pick, who: Query(until=NOW - timedelta(days=pick.randrange(300, 399)))),
    "search, surname": _page(lambda pick, who: Query(words=(_surname(who),))),
    "search, part of an address": _page(lambda pick, who: Query(words=(who.address[4:14],))),
    "search, name + domain": _page(lambda pick, who: Query(words=(_surname(who), who.domain))),
    "search, two letters": _page(lambda pick, who: Query(words=(who.name[:2],))),
    "search, two letters that nothing begins with": _page(lambda pick, who: Query(words=("xq",))),
    "search, one letter": _page(lambda pick, who: Query(words=(who.name[:1],))),
    "search, nothing there": _page(lambda pick, who: Query(words=(f"zzyzx{pick.randrange(99)}",))),
    "booking": _page(lambda pick, who: Query(booking=_booking(pick))),
    "customer": _page(lambda pick, who: Query(customer=who.number)),
    "address, rows": _page(lambda pick, who: Query(address=who.address)),
    "address, card": lambda pick, who: lambda tx: address_card(tx, who.address, now=NOW),
    "nothing found, address": lambda pick, who: lambda tx: nearest(tx, f"{who.address[:-1]}x"),
    "nothing found, word": lambda pick, who: lambda tx: nearest(tx, f"zzyzx{who.number}"),
    "counts, all": _counts(lambda pick, who: Query()),
    "counts, domain": _counts(lambda pick, who: Query(domain=(who.domain,))),
    "counts, 30 days": _counts(lambda pick, who: Query(since=NOW - timedelta(days=30))),
    "counts, surname": _counts(lambda pick, who: Query(words=(_surname(who),))),
    "counts, booking": _counts(lambda pick, who: Query(booking=_booking(pick))),
}


_WARMING = 20  #: rounds that load what is only read once: rules, catalogue, statements


@dataclass(frozen=True, slots=True)
class Took:
    """What one question cost, each in milliseconds and in order."""

    wall: list[float]
    cpu: list[float]
    partial: int  #: answers that were cut short

    def row(self) -> str:
        p50, p95 = (self.wall[min(len(self.wall) - 1, round(len(self.wall) * part))] for part in (0.5, 0.95))
        cpu = self.cpu[min(len(self.cpu) - 1, round(len(self.cpu) * 0.95))]
        return f"{p50:.1f} | {p95:.1f} | {cpu:.1f} | {self.partial}"


def measure(store: EngineStore, asking: Asking, customers: Sequence[Customer], *, times: int) -> Took:
    """Ask so many times."""
    pick = random.Random(7)
    wall, cpu, partial = [], [], 0
    for number in range(times + _WARMING):
        unit = asking(pick, pick.choice(customers))
        begun, spent = time.perf_counter(), time.thread_time()
        answer = store.read_now(unit, limit=LIMIT)
        if number >= _WARMING:
            wall.append((time.perf_counter() - begun) * 1000)
            cpu.append((time.thread_time() - spent) * 1000)
            partial += isinstance(answer, Page) and answer.is_partial
    return Took(sorted(wall), sorted(cpu), partial)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.option("--count", default=1_000_000, show_default=True, help="How many deliveries there are.")
@click.option("--times", default=40, show_default=True, help="How often each question is asked.")
@click.option("--only", default="", help="Only questions with this in their name.")
def main(folder: Path, count: int, times: int, only: str) -> None:
    """Time the questions of the dashboard on the store in FOLDER."""
    customers = Town(1, count).customers
    click.echo("| question | p50 ms | p95 ms | CPU p95 ms | cut short |\n| --- | ---: | ---: | ---: | ---: |")
    with open_store("sqlite:data/waybill.db", folder) as store:
        for name, asking in QUESTIONS.items():
            if only in name:
                click.echo(f"| {name} | {measure(store, asking, customers, times=times).row()} |")


if __name__ == "__main__":
    main()
