"""A delivery process among servers that hang, refuse, take half, or lose their last word.

Setup: a name server and mail servers on loopback, a store filled by the test, `waybill deliver` as a process.
Test:  store -> deliver -> mail servers -> what they took, and what the store says about it.

Nothing here is decided by a stopwatch: what must not wait has arrived while what hangs is still hanging.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from relay.demo.temper import BUSY, DROPS_FINAL, PARTIAL, SILENT
from relay.status import OPEN, Status
from relay.store import spool
from relay.store.engine import EngineStore
from relay.store.open import open_store
from tests.delivery.fake_sites import submission
from tests.support.peers import (
    ACCEPTS,
    Background,
    FakeDns,
    FakeMx,
    Fault,
    Records,
    Step,
    Temper,
    recovering,
    wait_until,
)
from tests.support.process import ConfigFile, Node, config_file, running

#: Servers of one test share a port, which is the relay's delivery port; each has an address of its own.
_NETWORK = "127.0.4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The world outside, and the store of the relay inside it."""

    servers: dict[str, FakeMx]
    store: EngineStore
    config: ConfigFile

    def put(self, *addresses: str, attempts: int = 0) -> None:
        """Accept one message for each address."""
        self._put([[address] for address in addresses], attempts)

    def put_one(self, *addresses: str) -> None:
        """Accept one message for all of these."""
        self._put([list(addresses)], 0)

    def _put(self, messages: list[list[str]], attempts: int) -> None:
        now = datetime.now(UTC)
        given = [submission(addresses, at=now, attempts=attempts) for addresses in messages]
        self.store.write_now(lambda tx: [spool.accept(tx, each) for each in given])

    def ask(self, sql: str) -> list[dict[str, Any]]:
        return self.store.read_now(lambda tx: [dict(row) for row in tx.compose(sql, {})])

    def count(self, sql: str) -> int:
        return int(next(iter(self.ask(sql)[0].values())))

    def statuses(self) -> dict[str, Status]:
        return {row["address"]: Status(row["status"]) for row in self.ask("SELECT address, status FROM delivery")}

    def copies(self) -> Counter[str]:
        """How often each recipient got a mail."""
        return Counter(to for server in self.servers.values() for mail in server.received for to in mail.recipients)

    def wait_ended(self, node: Node) -> None:
        wait_until(lambda: not OPEN & set(self.statuses().values()), timeout=30, what=node.log_tail)


@contextlib.contextmanager
def scene(
    folder: Path, tempers: dict[str, Temper], *, silent_dns: str = "", retry: str = "1h", **delivery: Any
) -> Iterator[Scene]:
    """Run a mail server of such a temper for each name, as the MX of `name`.example."""
    servers: dict[str, FakeMx] = {}
    zone = {f"{silent_dns}.example": Records(fault=Fault.SILENT)} if silent_dns else {}
    with Background() as world, contextlib.ExitStack() as stack:
        for number, (name, temper) in enumerate(tempers.items(), start=1):
            host = f"{_NETWORK}.{number}"
            port = next(iter(servers.values())).port if servers else 0
            servers[name] = world.enter(FakeMx(temper, host=host, port=port, is_keeping_content=False))
            zone[f"{name}.example"] = Records(mx=((10, f"mx.{name}.example"),))
            zone[f"mx.{name}.example"] = Records(a=(host,))
        dns = world.enter(FakeDns(zone))
        config = config_file(
            folder,
            mx_port=next(iter(servers.values())).port,
            dns=dns.address,
            retry=(retry,),
            give_up_after="2d",
            more={"dns": {"timeout": "60s", "lifetime": "60s"}, "delivery": delivery},
        )
        store = stack.enter_context(contextlib.closing(open_store("sqlite:data/waybill.db", folder)))
        yield Scene(servers=servers, store=store, config=config)


def test_a_hung_name_server_and_a_hung_mail_server_delay_nobody_else(tmp_path: Path) -> None:
    with scene(tmp_path, {"hung": SILENT, "guest": ACCEPTS}, silent_dns="nodns") as there:
        there.put(*(f"{number}@nodns.example" for number in range(1000)))
        there.put(*(f"{number}@hung.example" for number in range(1000)))
        with running(there.config, command="deliver") as node:
            wait_until(lambda: there.servers["hung"].connection_count > 0, timeout=30, what=node.log_tail)
            there.put(*(f"{number}@guest.example" for number in range(50)))
            wait_until(lambda: len(there.servers["guest"].received) == 50, timeout=30, what=node.log_tail)
            assert there.count("SELECT COUNT(*) FROM attempt WHERE code IS NULL") == 0  # the others still hang
            delivered = "SELECT delivered_at - created_at AS micros FROM delivery WHERE delivered_at IS NOT NULL"
            wait_until(lambda: len(there.ask(delivered)) == 50, what=node.log_tail)
            print(f"the slowest of 50 took {max(row['micros'] for row in there.ask(delivered)) / 1e6:.2f} s")
            assert there.servers["hung"].connection_count == 1
            node.kill()  # a stop in order would give what hangs its grace


def test_ten_thousand_mails_for_a_dead_site_cost_one_connection(tmp_path: Path) -> None:
    with scene(tmp_path, {"dead": BUSY}) as there:
        there.put(*(f"{number}@dead.example" for number in range(10_000)))
        with running(there.config, command="deliver") as node:
            undecided = "SELECT EXISTS (SELECT 1 FROM delivery WHERE lease_owner IS NOT NULL OR next_at <= created_at)"
            wait_until(lambda: not there.count(undecided), timeout=60, what=node.log_tail)
        assert there.servers["dead"].connection_count == 1
        assert there.count("SELECT COUNT(*) FROM attempt") == 1
        assert [row["step"] for row in there.ask("SELECT step FROM site")] == [1]


def test_a_backlog_of_retries_takes_no_place_from_new_mail(tmp_path: Path) -> None:
    names = [f"old{number}" for number in range(20)]
    with scene(tmp_path, {**dict.fromkeys(names, SILENT), "guest": ACCEPTS}, max_connections=10) as there:
        there.put(*(f"{number}@{names[number % 20]}.example" for number in range(5000)), attempts=1)
        with running(there.config, command="deliver") as node:
            wait_until(lambda: sum(there.servers[name].connection_count for name in names) >= 2, what=node.log_tail)
            there.put(*(f"{number}@guest.example" for number in range(100)))
            wait_until(lambda: len(there.servers["guest"].received) == 100, timeout=30, what=node.log_tail)
            assert sum(there.servers[name].open_count for name in names) == 2  # a quarter of all, and they still hang
            assert there.count("SELECT COUNT(*) FROM attempt WHERE code IS NULL") == 0
            node.kill()


def test_each_recipient_of_a_partly_accepted_mail_has_its_own_end(tmp_path: Path) -> None:
    with scene(tmp_path, {"guest": PARTIAL}, retry="1s") as there:
        there.put_one(*(f"{name}@guest.example" for name in ("anna", "later", "unknown", "closed")))
        with running(there.config, command="deliver") as node:
            wait_until(lambda: there.count("SELECT COUNT(*) FROM attempt") >= 4, timeout=30, what=node.log_tail)
            assert there.statuses() == {
                "anna@guest.example": Status.DELIVERED,
                "later@guest.example": Status.DEFERRED,
                "unknown@guest.example": Status.INVALID,
                "closed@guest.example": Status.HARD_BOUNCED,
            }
            there.servers["guest"].temper = ACCEPTS
            there.wait_ended(node)
        assert there.statuses()["later@guest.example"] is Status.DELIVERED
        assert there.copies() == {"anna@guest.example": 1, "later@guest.example": 1}


def test_a_lost_final_answer_makes_exactly_two_copies_and_is_told(tmp_path: Path) -> None:
    with scene(tmp_path, {"guest": recovering(DROPS_FINAL, after=1)}, retry="1s") as there:
        there.put("anna@guest.example")
        with running(there.config, command="deliver") as node:
            there.wait_ended(node)
            (row,) = node.log_rows()
        assert (row["status"], row["attempts"]) == ("delivered", 2)
        assert [mail.is_answered for mail in there.servers["guest"].received] == [False, True]
        (delivery,) = there.ask("SELECT is_unknown FROM delivery")
        assert delivery["is_unknown"] == 1
        unknown = there.ask("SELECT is_unknown, text FROM attempt ORDER BY seq")
        assert [attempt["is_unknown"] for attempt in unknown] == [1, 0]
        assert "whether it was accepted is unknown" in unknown[0]["text"]


def test_a_clean_stop_under_load_sends_nothing_twice_and_loses_nothing(tmp_path: Path) -> None:
    slow = replace(ACCEPTS, name="slow", delays={Step.FINAL: 0.3})
    with scene(tmp_path, {"guest": slow, "other": slow}) as there:
        addresses = [f"{n}@{('guest', 'other')[n % 2]}.example" for n in range(300)]
        there.put(*addresses)
        for _ in range(2):
            wanted = len(there.copies()) + 40
            with running(there.config, command="deliver") as node:
                wait_until(lambda wanted=wanted: len(there.copies()) >= wanted, timeout=30, what=node.log_tail)  # type: ignore[misc]
                assert node.stop(grace=10.0) == 0, node.log_tail()
            assert there.count("SELECT COUNT(*) FROM delivery WHERE lease_owner IS NOT NULL OR is_unknown = 1") == 0
        there.servers["guest"].temper = there.servers["other"].temper = ACCEPTS
        with running(there.config, command="deliver") as node:
            there.wait_ended(node)
        assert set(there.statuses().values()) == {Status.DELIVERED}
        assert there.copies() == Counter(addresses)
