"""A listener for returned mail: takes what comes back to our own return paths, refuses everything else in the session.

Setup: a real store with one delivered mail, a listener with kind = "returned", a raw SMTP client.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from relay.classify.report import Report, ReportKind, read_report
from relay.intake.returned_copy import FIELD
from relay.intake.returns import StoreReturns
from relay.model import Delivery, DeliveryId, new_id
from relay.status import Status
from relay.store import content, log, open_store, reports, spool, stats
from relay.store.engine import EngineStore
from relay.store.reports import ReportRow
from relay.verp import ReturnPaths
from tests.smtp.harness import Client, Intake, config, queued_id, run, running
from tests.store.making import disposition, submission

DOMAIN = "bounce.example.com"
GUEST = "guest@example.com"
PATHS = ReturnPaths(domain=DOMAIN, secret=b"secret of the tests")

DSN = (
    b"From: MAILER-DAEMON@mx.example.com\r\n"
    b"To: %s\r\n"
    b"Subject: Undelivered Mail Returned to Sender\r\n"
    b"Message-ID: <dsn-1@mx.example.com>\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n'
    b"\r\n"
    b"--b\r\n\r\nYour message could not be delivered.\r\n"
    b"--b\r\nContent-Type: message/delivery-status\r\n\r\n"
    b"Reporting-MTA: dns; mx.example.com\r\n\r\n"
    b"Final-Recipient: rfc822; guest@example.com\r\n"
    b"Action: failed\r\n"
    b"Status: 5.1.1\r\n"
    b"Diagnostic-Code: smtp; 550 5.1.1 <guest@example.com>: user unknown\r\n"
    b"\r\n--b--\r\n"
)


@dataclass
class Desk:
    """The listener with its store, and the delivery that mail comes back for."""

    intake: Intake
    store: EngineStore
    delivery: Delivery
    wakes: list[bool] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"{PATHS.token(self.delivery.id)}@{DOMAIN}"

    async def client(self) -> Client:
        """Connect and greet."""
        client = await self.intake.client()
        await client.ask("EHLO mx.example.com")
        return client

    async def bring(self, *recipients: str, raw: bytes = DSN, sender: str = "") -> str:
        """Bring one mail, and give the last reply."""
        client = await self.client()
        assert (await client.ask(f"MAIL FROM:<{sender}>")).startswith("250")
        for address in recipients or (self.path,):
            got = await client.ask(f"RCPT TO:<{address}>")
            assert got.startswith("250"), got
        assert (await client.ask("DATA")).startswith("354")
        await client.send(raw + b".\r\n")
        return await client.reply()

    async def rcpt(self, address: str) -> str:
        """Name one recipient, and give the reply."""
        client = await self.client()
        await client.ask("MAIL FROM:<>")
        return await client.ask(f"RCPT TO:<{address}>")

    def now(self) -> Delivery:
        found = self.store.read_now(lambda tx: log.find(tx, self.delivery.id))
        assert found is not None
        return found.deliveries[0]

    def reports(self) -> list[ReportRow]:
        return self.store.read_now(reports.newest)


@contextmanager
def stored(folder: Path, *, at: datetime | None = None) -> Iterator[tuple[EngineStore, Delivery]]:
    """A store with one delivered mail."""
    with contextlib.closing(open_store(f"sqlite:{folder}/waybill.db", folder)) as store:
        at = at or datetime.now(UTC) - timedelta(hours=1)
        made = submission(GUEST, at=at)
        store.write_now(lambda tx: spool.accept(tx, made))
        delivery = made.deliveries[0]
        store.write_now(lambda tx: spool.record(tx, disposition(delivery.id, at=at)))
        yield store, delivery


@contextlib.asynccontextmanager
async def desk(
    folder: Path, *, at: datetime | None = None, read: Any = read_report, **returned: Any
) -> AsyncIterator[Desk]:
    """Run the listener; keyword arguments are settings of [returned]."""
    listener = {"address": "127.0.0.1:0", "kind": "returned"}
    settings = config(returned={"domain": DOMAIN, **returned}, listener=[listener])
    with stored(folder, at=at) as (store, delivery):
        wakes: list[bool] = []
        returns = StoreReturns(store, settings, paths=PATHS, read=read, wake=lambda: wakes.append(True))
        async with running(settings, returns=returns) as intake:
            yield Desk(intake, store, delivery, wakes)


def test_a_bounce_to_its_return_path_is_committed_before_250(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as there:
            report_id = queued_id(await there.bring())
            assert (there.now().status, there.now().enhanced) == (Status.INVALID, "5.1.1")
            (row,) = there.reports()
            assert (row.id, row.delivery_id, row.is_read) == (report_id, there.delivery.id, True)
            raw = there.store.read_now(
                lambda tx: content.load(tx, there.delivery.message_id, delivery_id=DeliveryId(report_id))
            )
            assert raw == DSN  # nothing is added to what is kept

    run(main())


def test_the_same_mail_brought_again_over_another_way_counts_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as there:
            queued_id(await there.bring())
            queued_id(await there.bring(raw=b"Received: from backup.example by mx2.example; now\r\n" + DSN))
            assert len(there.reports()) == 1

    run(main())


@pytest.mark.parametrize(
    "disguise",
    [str.upper, str.title, lambda path: f"prvs=1234abcdef={path}", lambda path: path.replace(DOMAIN, DOMAIN.upper())],
)
def test_a_return_path_is_known_in_disguise(tmp_path: Path, disguise: Any) -> None:
    async def main() -> None:
        async with desk(tmp_path) as there:
            queued_id(await there.bring(disguise(there.path)))
            assert there.now().status is Status.INVALID

    run(main())


def test_everything_else_is_refused_at_rcpt_and_told_by_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as there:
            token = there.path.partition("@")[0]
            strangers = [
                f"{token[:-1]}{'a' if token[-1] != 'a' else 'b'}@{DOMAIN}",
                f"{PATHS.token(DeliveryId(new_id()))}@{DOMAIN}",  # ours, and of no mail there is
                f"{token}@example.org",
                f"postmaster@{DOMAIN}",
                "desk@hotel.example",
                "Postmaster",
                f"{token}%example.org@{DOMAIN}.example",
            ]
            for address in strangers:
                assert (await there.rcpt(address)).startswith("550 5.1.1"), address
            refused = there.intake.acceptor.refused
            assert [(one.stage, one.reason) for one in refused] == [("rcpt", "unknown_address")] * len(strangers)
            assert there.reports() == []

    run(main())


def test_who_guesses_is_sent_away(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as there:
            client = await there.client()
            await client.ask("MAIL FROM:<>")
            replies = [await client.ask(f"RCPT TO:<a{number}@{DOMAIN}>") for number in range(20)]
            assert all(reply.startswith("550 5.1.1") for reply in replies)
            assert (await client.reply()).startswith("421 4.7.0")

    run(main())


def test_all_recipients_of_one_mail_are_looked_at(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path, complaints=[f"fbl@{DOMAIN}"]) as there:
            client = await there.client()
            await client.ask("MAIL FROM:<mailer-daemon>")
            assert (await client.ask(f"RCPT TO:<nobody@{DOMAIN}>")).startswith("550")
            assert (await client.ask(f"RCPT TO:<{there.path}>")).startswith("250")
            assert (await client.ask(f"RCPT TO:<{there.path.upper()}>")).startswith("250")  # the same once more
            assert (await client.ask(f"RCPT TO:<FBL@{DOMAIN}>")).startswith("250")
            await client.ask("DATA")
            await client.send(DSN + b".\r\n")
            queued_id(await client.reply())
            assert sorted(row.found_by for row in there.reports()) == ["", "token"]

    run(main())


def test_nobody_logs_in_and_nothing_is_relayed(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as there:
            client = await there.intake.client()
            offer = await client.ask("EHLO mx.example.com")
            assert "AUTH" not in offer
            assert "SIZE 10485760" in offer
            assert (await client.ask("AUTH PLAIN AGEAYg==")).startswith("502")
            assert "AUTH" not in await client.ask("HELP")
            assert (await client.ask("MAIL FROM:<desk@hotel.example>")).startswith("250")
            assert (await client.ask("RCPT TO:<guest@example.com>")).startswith("550 5.1.1")

    run(main())


@pytest.mark.parametrize("sender", ["", "mailer-daemon", "anna@example.com", "daemon@[192.0.2.1]"])
def test_any_sender_will_do(tmp_path: Path, sender: str) -> None:
    async def main() -> None:
        async with desk(tmp_path) as there:
            queued_id(await there.bring(sender=sender))
            assert there.reports()[0].mail_from == sender

    run(main())


def test_an_international_report_is_taken(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as there:
            client = await there.client()
            assert (await client.ask("MAIL FROM:<süß@beispiel.example> BODY=8BITMIME SMTPUTF8")).startswith("250")
            assert (await client.ask(f"RCPT TO:<{there.path}>")).startswith("250")
            await client.ask("DATA")
            raw = DSN.replace(b"Undelivered Mail", "Unzustellbar: Grüße".encode())
            await client.send(raw + b".\r\n")
            queued_id(await client.reply())
            assert there.reports()[0].subject == "Unzustellbar: Grüße Returned to Sender"
            assert there.now().status is Status.INVALID

    run(main())


def test_a_mail_sent_too_long_ago_does_not_come_back(tmp_path: Path) -> None:
    async def main() -> None:
        at = datetime.now(UTC) - timedelta(days=61)
        async with desk(tmp_path, at=at) as there:
            assert (await there.rcpt(there.path)).startswith("550 5.1.1 that mail was sent too long ago")

    run(main())


def test_one_delivery_brings_back_only_so_much(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as there:
            for number in range(20):
                queued_id(await there.bring(raw=b"Subject: away %d\r\n\r\nOn holiday.\r\n" % number))
            assert (await there.rcpt(there.path)).startswith("550 5.7.1")

    run(main())


def test_a_mail_too_large_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path, size="64KiB") as there:
            client = await there.client()
            assert (await client.ask("MAIL FROM:<> SIZE=70000")).startswith("552 5.3.4")
            assert (await there.bring(raw=b"x" * 70_000 + b"\r\n")).startswith("552 5.3.4")
            assert there.reports() == []

    run(main())


def test_strangers_do_not_use_up_the_rate(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path, rate="1/1h") as there:
            for number in range(3):
                assert (await there.rcpt(f"a{number}@{DOMAIN}")).startswith("550")
            queued_id(await there.bring())
            assert (await there.rcpt(there.path)).startswith("451 4.7.0")

    run(main())


def test_a_store_that_cannot_tell_asks_to_come_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as there:
            there.store.close()
            assert (await there.rcpt(there.path)).startswith("451 4.3.0")

    run(main())


def test_a_store_that_cannot_write_never_says_250(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as there:
            client = await there.client()
            await client.ask("MAIL FROM:<>")
            assert (await client.ask(f"RCPT TO:<{there.path}>")).startswith("250")
            await client.ask("DATA")
            there.store.close()
            await client.send(DSN + b".\r\n")
            assert (await client.reply()).startswith("451 4.3.0")

    run(main())


def test_what_the_reader_cannot_get_through_is_kept_for_a_person(tmp_path: Path) -> None:
    def broken(raw: bytes) -> Report:
        raise RecursionError

    async def main() -> None:
        async with desk(tmp_path, read=broken) as there:
            queued_id(await there.bring())
            assert [row.is_read for row in there.reports()] == [False]
            assert there.now().status is Status.DELIVERED

    run(main())


def test_reading_one_mail_delays_no_other_conversation(tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        begun, is_over = asyncio.Event(), asyncio.Event()

        def slow(raw: bytes) -> Report:
            loop.call_soon_threadsafe(begun.set)
            asyncio.run_coroutine_threadsafe(is_over.wait(), loop).result(20)
            return Report(kind=ReportKind.NONE)

        async with desk(tmp_path, read=slow) as there:
            bringing = asyncio.create_task(there.bring())
            await begun.wait()
            assert (await there.rcpt(there.path)).startswith("250")
            is_over.set()
            queued_id(await bringing)

    run(main())


# -- sending on


def test_a_bounce_is_sent_on_unchanged_from_the_null_sender(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path, forward="desk@hotel.example") as there:
            report_id = queued_id(await there.bring())
            (row,) = there.store.read_now(lambda tx: log.search(tx, log.Query(app="returned")))
            found = there.store.read_now(lambda tx: log.find(tx, row.id))
            raw = there.store.read_now(lambda tx: content.load(tx, row.message))
            assert found is not None
            assert raw is not None
            assert (row.to, found.message.mail_from, row.status) == ("desk@hotel.example", "", Status.QUEUED)
            assert raw.endswith(DSN)
            assert raw.startswith(b"Received: by relay.test with ESMTP id ")
            assert f"\r\n{FIELD}: {report_id}\r\n".encode() in raw
            assert there.wakes == [True]
            counted = there.store.read_now(lambda tx: stats.by_app(tx, since=found.message.accepted_at))
            assert counted == {}, "a copy is no mail of an app"

    run(main())


def test_what_was_sent_on_never_comes_in_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path, forward="desk@hotel.example") as there:
            queued_id(await there.bring())
            (row,) = there.store.read_now(lambda tx: log.search(tx, log.Query(app="returned")))
            raw = there.store.read_now(lambda tx: content.load(tx, row.message))
            assert raw is not None
            assert (await there.bring(raw=b"Received: from hotel.example; now\r\n" + raw)).startswith("554 5.4.6")
            assert len(there.reports()) == 1

    run(main())


def test_a_mail_with_a_hundred_hops_is_a_loop(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as there:
            hops = b"Received: from a by b; now\r\n" * 101
            assert (await there.bring(raw=hops + DSN)).startswith("554 5.4.6")

    run(main())


def test_a_second_mail_cannot_be_smuggled_into_what_is_sent_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path, forward="desk@hotel.example") as there:
            smuggled = DSN + b"\n.\nMAIL FROM:<a@b.example>\n\r.\rRCPT\0TO:<c@d.example>\r\n"
            queued_id(await there.bring(raw=smuggled))
            (row,) = there.store.read_now(lambda tx: log.search(tx, log.Query(app="returned")))
            raw = there.store.read_now(lambda tx: content.load(tx, row.message))
            assert raw is not None
            assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r")
            assert b"\0" not in raw

    run(main())
