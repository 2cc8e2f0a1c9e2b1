"""`waybill demo`: the real relay, a small internet around it, sample messages, and a table of what became of them.

Policy: everything is on loopback, in a temporary folder, without root, configuration or repository. The name server and
the recipients' servers run in this process; the relay is `waybill serve` in a child with a short retry ladder, so that
every sample ends within seconds. What became of them is what `waybill log` and `waybill why` say (answers.py), held
against what the recipients' servers have.
With `once` it ends with the table: 0 when each delivery ended as internet.py says, 1 when one did not. Without, the
store first gets a past and an account (entrance.py), so that the pages show a house in operation; after the table the
relay goes over to a retry ladder as in life and stays up, with a message now and then, until Ctrl-C or SIGTERM. The
table goes to stdout, progress to stderr.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

from relay.demo import entrance, report
from relay.demo.answers import Answers, answers
from relay.demo.client import send
from relay.demo.connections import free_port
from relay.demo.entrance import Entrance
from relay.demo.internet import CASES, Case, Internet
from relay.demo.node import Node, NodeFailed, to_toml
from relay.demo.samples import BUSINESSES, Guest, load, write
from relay.settings import HostPort

_TIME_LIMIT = 100.0  #: seconds until the samples must have ended; starting and stopping come on top
_PAUSE = timedelta(seconds=20)  #: between messages while the demo stays up
_MAX_MESSAGES = 500  #: sent while it stays up; then it only waits
_FIRST_BOOKING = 1042

#: The ladder that ends within seconds, for the samples; and one as in life, only quicker at its beginning.
SHORT: Mapping[str, Any] = {"retry": ["1s", "2s", "3s"], "give_up_after": "8s"}
LONG: Mapping[str, Any] = {"retry": ["20s", "1m", "5m", "15m", "1h"], "give_up_after": "2d"}


def main(*, once: bool, as_json: bool) -> int:
    """Run the demo; return the exit code.

    Raises:
        NodeFailed: the relay did not start.
        NotAccepted: the relay refused a sample.
    """
    with tempfile.TemporaryDirectory(prefix="waybill-demo-") as folder:
        try:
            return asyncio.run(_run(Path(folder), once=once, as_json=as_json))
        except (KeyboardInterrupt, asyncio.CancelledError):
            _say("Stopped.")
            return 3 if once else 0


async def _run(folder: Path, *, once: bool, as_json: bool) -> int:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with Internet() as internet:
        smtp, dashboard = HostPort("127.0.0.1", free_port()), HostPort("127.0.0.1", free_port())
        config = folder / "config.toml"
        config.write_text(to_toml(configuration(internet, smtp=smtp, dashboard=dashboard)), "utf-8")
        way_in = None if once else await _open_house(config, internet)
        node = Node(config)
        _say(f"Starting the relay, {len(internet.servers)} mail servers and a name server …")
        node.start()
        try:
            await asyncio.to_thread(node.wait_greeting, smtp)
            if way_in is not None:
                await asyncio.to_thread(node.wait_listening, [dashboard])
                _say(_welcome(way_in))
            demo = Demo(node, smtp, internet)
            with answers(config) as found:
                rows = await demo.send_all(found)
            print(report.as_json(rows) if as_json else report.as_table(rows), flush=True)
            if way_in is not None:
                longer = configuration(internet, smtp=smtp, dashboard=dashboard, ladder=LONG)
                config.write_text(to_toml(longer), "utf-8")
                node.reload()
                await demo.stay(way_in)
            return 0 if all(row.is_as_expected for row in rows) else 1
        finally:
            await asyncio.shield(asyncio.to_thread(node.stop))


async def _open_house(config: Path, internet: Internet) -> Entrance:
    entrance.publish(internet.dns, host="mx1.accepts.example")
    _say("Writing 35 days of mail for the pages to show …")
    return await asyncio.to_thread(entrance.prepare, config)


def configuration(
    internet: Internet, *, smtp: HostPort, dashboard: HostPort, ladder: Mapping[str, Any] = SHORT
) -> dict[str, Any]:
    """Make the relay's configuration: the three businesses as apps, and when it tries again."""
    return {
        "node": {"hostname": "relay.demo.example", "data_dir": "data"},
        "store": {"url": "sqlite:data/waybill.db"},
        "intake": {"min_free_space": "16MiB"},
        "listener": [{"address": str(smtp), "tls": "none"}],
        "app": [
            {
                "name": business.app,
                "networks": ["127.0.0.0/8"],
                "from_domains": [business.domain],
                "booking_pattern": business.booking_pattern,
                "kinds": business.kinds,
            }
            for business in BUSINESSES.values()
        ],
        "delivery": {
            "port": internet.port,
            "ip": "4",
            **ladder,
            "allow_private_addresses": True,
            "record": "all",
        },
        "dns": {"servers": [str(internet.dns_address)], "timeout": "1s", "lifetime": "2s"},
        "dashboard": {"address": str(dashboard)},
    }


class Demo:
    """The samples on their way through one relay."""

    def __init__(self, node: Node, smtp: HostPort, internet: Internet) -> None:
        self._node, self._smtp, self._internet = node, smtp, internet
        self._number = _FIRST_BOOKING
        self._sent: list[report.Sent] = []
        self._end = time.monotonic() + _TIME_LIMIT

    async def send_all(self, found: Answers) -> list[report.Row]:
        """Send every sample, wait until all have ended or time is up, and read the answer for each."""
        first = [case for case in CASES if not case.is_second]
        second = [case for case in CASES if case.is_second]
        rows: list[report.Row] = []
        for wave in (first, second):
            for case in wave:
                self._sent.append(await self.send(case))
            _say(f"Sent {len(wave)} message{'s' if len(wave) != 1 else ''}.")
            rows = await self._wait_ended(found)
        return [row.with_sentence(found.sentence(row.id)) if row.id else row for row in rows]

    async def send(self, case: Case) -> report.Sent:
        """Send the sample of one case under the next booking number."""
        guest = Guest(name=case.guest, addresses=case.addresses)
        written = write(load()[case.sample], guest, number=self._number, now=datetime.now(UTC))
        self._number += 1
        message_id = await asyncio.to_thread(send, written, self._smtp)
        return report.Sent(case=case, message_id=message_id, booking=written.booking)

    async def stay(self, way_in: Entrance) -> None:
        """Tell how to try it, and send a message now and then until cancelled."""
        _say(_invitation(self._node, self._smtp, way_in))
        cases = cycle(CASES)
        for _ in range(_MAX_MESSAGES):
            await asyncio.sleep(_PAUSE.total_seconds())
            case = next(cases)
            sent = await self.send(case)
            _say(f"Sent {case.sample} for {sent.booking} to {', '.join(case.addresses)}: {sent.message_id}")
        await asyncio.Event().wait()

    async def _wait_ended(self, found: Answers) -> list[report.Row]:
        told = -1
        while True:
            rows = self._rows(found.rows())
            ended = sum(row.has_ended for row in rows)
            if ended != told:
                _say(f"{ended} of {len(rows)} deliveries have ended.")
                told = ended
            if ended == len(rows) or time.monotonic() > self._end:
                return rows
            if self._node.pid is None:
                raise NodeFailed(f"the relay ended while it had work to do\n{self._node.log_tail()}")
            await asyncio.sleep(0.5)

    def _rows(self, log: Sequence[Mapping[str, Any]]) -> list[report.Row]:
        rows: list[report.Row] = []
        for sent in self._sent:
            rows += report.rows_of(sent, log=log, copies=self._internet.copies)
        return rows


def _welcome(way_in: Entrance) -> str:
    """Say where the pages are, as soon as they are."""
    return (
        f"\nPages:     {way_in.link}\n"
        f"           The link works once; later: {way_in.url}/ with name {entrance.NAME}, password {way_in.password}\n"
    )


def _invitation(node: Node, smtp: HostPort, way_in: Entrance) -> str:
    domains = ", ".join(sorted({case.domain for case in CASES}))
    return (
        f"\nThe demo stays up until Ctrl-C. Messages go out every {_PAUSE.seconds} seconds.\n\n"
        f"Pages:     {way_in.url}/ with name {entrance.NAME}, password {way_in.password}\n"
        f"SMTP:      {smtp}, no password, from desk@harbour-lantern.example\n"
        f"Try:       swaks --server {smtp} --from desk@harbour-lantern.example --to you@accepts.example\n"
        f"Domains:   {domains}\n"
        f"Look at:   {_program()} -c {node.config} log\n"
        f"           {_program()} -c {node.config} why you@accepts.example\n"
    )


def _program() -> str:
    """Name the command as it was called, so that the lines can be copied: it is seldom in the PATH yet."""
    called = Path(sys.argv[0])
    return str(called) if called.name == "waybill" else f"{sys.executable} -m relay"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
