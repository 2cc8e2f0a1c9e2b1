"""`make cluster-demo`: two relay nodes on one PostgreSQL, one of them killed in the middle of its work.

Everything is on loopback and in a temporary folder: a PostgreSQL server of our own, a name server, one slow recipient's
mail server, and two nodes with a folder and ports each, as on two machines. Mail goes to both; node 1 is killed while
its connections are open; more mail goes to node 2. The table is what `waybill log` of node 2 says of all of it, held
against what the recipient's server has. Exit 0 when each was delivered once, or twice and marked as "sent again".
"""

from __future__ import annotations

import asyncio
import smtplib
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.postgres_server import NoPostgres, PostgresServer
from relay.demo.connections import free_port
from relay.demo.dns import FakeDns, Records
from relay.demo.mx import FakeMx
from relay.demo.node import Node, to_toml
from relay.demo.temper import ACCEPTS, Step, Temper
from relay.settings import HostPort
from relay.store import log, open_store
from relay.store.log import LogRow

DOMAIN = "guests.example"
_BEFORE, _AFTER = 40, 10  #: messages while both live, and afterwards
_LIMIT = 120.0  #: seconds until all must have ended
_SLOW = replace(ACCEPTS, name="takes its time", delays={Step.FINAL: 0.5})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One node of the cluster."""

    node: Node
    smtp: HostPort
    folder: Path


def place(
    folder: Path,
    name: str,
    *,
    url: str,
    dns: HostPort,
    mx_port: int,
    connections: int = 20,
    host: str = "127.0.0.1",
    sites: Sequence[Mapping[str, Any]] = (),
    retry: Sequence[str] = ("1s", "2s"),
    enter: Sequence[str] = (),
) -> Place:
    """Write the configuration of one node; only name, folder, address and ports differ from one to the other.

    `enter` is a command that starts the node in another place, such as a network namespace where `host` lives.
    """
    folder.mkdir(parents=True)
    smtp, dashboard = HostPort(host, free_port()), HostPort("127.0.0.1", free_port())
    tables: dict[str, Any] = {
        "node": {"hostname": f"{name}.relay.example", "data_dir": "data"},
        "store": {"url": url},
        "intake": {"min_free_space": "16MiB"},
        "listener": [{"address": str(smtp), "tls": "none"}],
        "app": [{"name": "desk", "networks": ["127.0.0.0/8", "10.0.0.0/8"]}],
        "delivery": {
            "port": mx_port,
            "ip": "4",
            "retry": list(retry),
            "give_up_after": "5m",
            "allow_private_addresses": True,
            "site": {"connections": connections},
        },
        "dns": {"servers": [str(dns)], "timeout": "1s", "lifetime": "2s"},
        "dashboard": {"address": str(dashboard)},
        "site": list(sites),
    }
    config = folder / "config.toml"
    config.write_text(to_toml(tables), "utf-8")
    argv = [*enter, sys.executable, "-m", "relay", "-c", str(config), "serve"] if enter else []
    return Place(node=Node(config, argv=argv), smtp=smtp, folder=folder)


def hand_over(address: HostPort, numbers: Sequence[int]) -> list[str]:
    """Hand messages to a node, as an app would; return the ids it promised."""
    ids = []
    with smtplib.SMTP(address.host, address.port, timeout=30) as client:
        client.ehlo_or_helo_if_needed()
        for number in numbers:
            client.mail("desk@hotel.example")
            client.rcpt(f"guest{number}@{DOMAIN}")
            code, text = client.data(
                f"From: Hotel <desk@hotel.example>\r\nTo: <guest{number}@{DOMAIN}>\r\n"
                f"Subject: Booking BK-{number}\r\n\r\nYour room is booked.\r\n".encode()
            )
            if code != 250:
                raise smtplib.SMTPDataError(code, text)
            ids.append(text.split()[-1].decode())
    return ids


def rows_of(url: str) -> list[LogRow]:
    """Everything in the one log, oldest first."""
    with open_store(url, Path()) as store:
        return store.read_now(lambda tx: log.search(tx, log.Query(limit=1000)))[::-1]


def main() -> int:
    """Run the demo; return the exit code."""
    try:
        with tempfile.TemporaryDirectory(prefix="waybill-cluster-") as folder, PostgresServer() as server:
            return asyncio.run(_run(Path(folder), server.url))
    except NoPostgres as error:
        print(f"cluster-demo: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 3


async def _run(folder: Path, url: str, *, temper: Temper = _SLOW) -> int:
    zone = {DOMAIN: Records(mx=((10, f"mx.{DOMAIN}"),)), f"mx.{DOMAIN}": Records(a=("127.0.0.1",))}
    async with FakeDns(zone) as dns, FakeMx(temper) as mx:
        places = [
            place(folder / name, name, url=url, dns=dns.address, mx_port=mx.port, connections=6)
            for name in ("node-1", "node-2")
        ]
        try:
            return await _play(places, mx, url)
        finally:
            for each in places:
                await asyncio.to_thread(each.node.stop)


async def _play(places: Sequence[Place], mx: FakeMx, url: str) -> int:
    one, two = places
    for each in places:
        each.node.start()
        await asyncio.to_thread(each.node.wait_greeting, each.smtp, timeout=60)
    _say("Two nodes run on one PostgreSQL:")
    _say((await asyncio.to_thread(two.node.ask, "nodes")).stdout)
    _say(f"Handing {_BEFORE} messages to both in turn …")
    promised = await asyncio.to_thread(hand_over, one.smtp, range(0, _BEFORE, 2))
    promised += await asyncio.to_thread(hand_over, two.smtp, range(1, _BEFORE, 2))
    while len(mx.received) < _BEFORE // 4:  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(0.05)
    await asyncio.to_thread(one.node.kill)
    killed_at = time.monotonic()
    _say(f"Node 1 is killed with {len(mx.received)} of them delivered. {_AFTER} more for node 2 …")
    promised += await asyncio.to_thread(hand_over, two.smtp, range(_BEFORE, _BEFORE + _AFTER))
    rows = await _wait_ended(url)
    _say(f"All have ended {time.monotonic() - killed_at:.0f} s after node 1 was killed.")
    _say((await asyncio.to_thread(two.node.ask, "nodes")).stdout)
    copies = Counter(recipient for each in mx.received for recipient in each.recipients)
    return _report(rows, promised=promised, copies=copies)


async def _wait_ended(url: str) -> list[LogRow]:
    end = time.monotonic() + _LIMIT
    while True:
        rows = await asyncio.to_thread(rows_of, url)
        if all(row.ended_at is not None for row in rows) or time.monotonic() > end:
            return rows
        await asyncio.sleep(1)


def _report(rows: Sequence[LogRow], *, promised: Sequence[str], copies: Counter[str]) -> int:
    print(f"{'MESSAGE':28}{'TO':26}{'STATUS':12}{'TRIES':>5}{'COPIES':>8}  MARK")
    for row in rows:
        mark = "interrupted, sent again" if row.is_unknown else ""
        print(f"{row.message:28}{row.to:26}{row.status:12}{row.attempts:>5}{copies[row.to]:>8}  {mark}")
    lost = set(promised) - {row.message for row in rows if row.status == "delivered" and copies[row.to]}
    doubled = [row.to for row in rows if copies[row.to] > 1]
    unmarked = [row.to for row in rows if copies[row.to] > 1 and not row.is_unknown]
    print(
        f"\n{len(promised)} promised, {len(lost)} lost, {len(doubled)} arrived twice, {len(unmarked)} of them unmarked"
    )
    return 1 if lost or unmarked else 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
