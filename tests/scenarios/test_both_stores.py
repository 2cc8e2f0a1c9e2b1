"""What matters most, on each store: a mail's whole life, and what the command line says of it.

Setup: one relay for each kind of store, two recipients' servers with synced receipts, the command line.
Test:  app -> relay -> server -> `log`, `show`, `why`, and what a person does to the queue.

Many kills of a relay on SQLite are test_kills.py; several nodes are test_cluster.py.
"""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.postgres_server import PostgresServer
from relay.demo.node import Node
from tests.support.asking import Asking, Ran, wait_for
from tests.support.audit import audit
from tests.support.destinations import Destinations, destinations
from tests.support.ledger import LedgerClient
from tests.support.peers import ACCEPTS, temper, wait_until
from tests.support.process import ConfigFile, config_file, running


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A relay, where its mail goes, and the command line."""

    config: ConfigFile
    there: Destinations
    ask: Asking
    url: str
    folder: Path

    def send(self, to: str, *, booking: str = "BK-10427") -> str:
        """Hand in one mail; give the id that was promised."""
        with smtplib.SMTP(self.config.smtp.host, self.config.smtp.port, timeout=30) as client:
            client.ehlo()
            client.mail("desk@hotel.example")
            client.rcpt(to)
            text = f"From: Hotel <desk@hotel.example>\r\nTo: <{to}>\r\nSubject: Booking {booking}\r\n\r\nWelcome.\r\n"
            code, said = client.data(text.encode())
            assert code == 250, said
            return said.split()[-1].decode()

    def row(self, an_id: str, *, status: str) -> dict[str, Any]:
        """Wait until the log says so of a message."""

        def look() -> dict[str, Any] | None:
            rows = self.ask.log(an_id)
            return rows[0] if rows and rows[0]["status"] == status else None

        return wait_for(look, timeout=60, otherwise=lambda: self.ask.log(an_id))

    def do(self, *command: str) -> Ran:
        done = self.ask.run(*command)
        assert done.code == 0, done.err + done.out
        return done

    def arrived(self, to: str) -> int:
        return sum(to in mail.recipients for server in self.there.servers for mail in list(server.received))


@pytest.fixture(scope="module", params=["postgres", "sqlite"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        url = f"sqlite:{folder}/data/waybill.db"
        if request.param == "postgres":
            server: PostgresServer = request.getfixturevalue("postgres")
            url = stack.enter_context(server.schema("scenario"))
        there = stack.enter_context(destinations(folder, count=2))
        config = config_file(folder, mx_port=there.port, dns=there.dns, more={"store": {"url": url}})
        stack.enter_context(running(config))
        yield Scene(config=config, there=there, ask=Asking(config.path), url=url, folder=folder)


def guest(scene: Scene, name: str) -> str:
    return f"{name}@{scene.there.domains[0]}"


def test_a_mail_is_delivered_and_found_in_every_way(scene: Scene) -> None:
    to = guest(scene, "anna")
    message = scene.send(to, booking="BK-10001")
    row = scene.row(message, status="delivered")
    assert (row["to"], row["code"], row["attempts"]) == (to, 250, 1)
    assert scene.arrived(to) == 1
    for words in (["anna@"], ["Booking BK-10001"], ["--to", "anna"], [message]):
        assert [each["message"] for each in scene.ask.log(*words)] == [message]
    shown = scene.ask.show(message)
    assert shown["deliveries"][0]["status"] == "delivered"
    assert scene.ask.why(to)["answer"] == "delivered"


def test_a_deferred_mail_is_tried_again_and_arrives(scene: Scene) -> None:
    to = guest(scene, "berta")
    scene.there.servers[0].temper = temper.FULL_FOR_NOW
    try:
        message = scene.send(to)
        row = scene.row(message, status="deferred")
        assert (row["category"], row["code"], row["next_at"] is not None) == ("mailbox_full", 452, True)
    finally:
        scene.there.servers[0].temper = ACCEPTS
    assert scene.row(message, status="delivered")["attempts"] >= 2


def test_an_address_that_does_not_exist_is_blocked_until_a_person_frees_it(scene: Scene) -> None:
    to = guest(scene, "clara")
    scene.there.servers[0].temper = temper.UNKNOWN_USER
    try:
        first = scene.send(to)
        assert scene.row(first, status="invalid")["category"] == "invalid_address"
    finally:
        scene.there.servers[0].temper = ACCEPTS
    second = scene.send(to)
    scene.row(second, status="suppressed")
    assert scene.arrived(to) == 0
    scene.do("unblock", to, "--note", "typed again")
    scene.do("resend", second)
    wait_until(lambda: scene.arrived(to) == 1)
    wait_for(lambda: [row for row in scene.ask.log(to) if row["status"] == "delivered"] or None)


def test_a_pause_holds_mail_and_a_cancelled_one_never_goes(scene: Scene) -> None:
    domain = scene.there.domains[1]
    scene.do("queue", "pause", "--domain", domain, "--note", "their move")
    dropped = scene.send(f"emil@{domain}")
    scene.do("queue", "cancel", "--domain", domain, "--yes", "--note", "called off")
    kept = scene.send(f"dora@{domain}")
    wait_for(lambda: scene.ask.show(kept)["deliveries"][0]["held"] or None)
    scene.do("queue", "resume", "--domain", domain)
    scene.row(kept, status="delivered")
    scene.row(dropped, status="cancelled")
    assert (scene.arrived(f"dora@{domain}"), scene.arrived(f"emil@{domain}")) == (1, 0)


def test_a_relay_on_postgresql_that_is_killed_under_load_loses_nothing(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        url = stack.enter_context(postgres.schema("killed"))
        there = stack.enter_context(destinations(tmp_path, count=2))
        config = config_file(tmp_path, mx_port=there.port, dns=there.dns, more={"store": {"url": url}})
        delivery = stack.enter_context(Node(config.path, command="deliver"))
        intake = stack.enter_context(running(config, command="intake"))
        client = LedgerClient(config.smtp, tmp_path / "promises", domains=there.domains, pause=0.05)
        client.start(sessions=4)
        wait_until(lambda: client.promised >= 20, timeout=90, what=intake.log_tail)
        intake.kill()
        intake.start()
        wait_until(lambda: there.arrived >= 20, timeout=90, what=delivery.log_tail)
        delivery.kill()
        delivery.start()
        wanted = client.promised + 20
        wait_until(lambda: client.promised >= wanted, timeout=90, what=intake.log_tail)
        promises = client.stop()
        there.wait_for(promises, timeout=90)
        found = audit(promises, receipts=there.receipts, data_dir=config.data_dir, url=url)
    assert found.faults == {}
