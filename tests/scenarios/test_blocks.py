"""Blocks and error counters of a running relay: what is blocked gets no attempt, whoever asks for one.

Setup: one relay (`serve`) for all of these, with two apps told apart by the domain they send from; a mail server whose
       answer depends on the recipient's name; retries wait an hour, so that only what a test asks for is tried.
Test:  app ──SMTP──▶ relay ──SMTP──▶ mail server; the command line blocks, asks and resends.
"""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from relay.model import new_id
from relay.status import OPEN, Status
from relay.store import open_store, spool
from tests.store.making import disposition, submission
from tests.support.asking import Asking, Ran, wait_for
from tests.support.peers import Background, FakeDns, FakeMx, Records, Temper
from tests.support.process import ConfigFile, Node, config_file, running

DOMAIN = "guests.example"
CLOSED = "closed.example"

TEMPER = Temper(
    name="by name",
    people=(
        ("full*", "552 5.2.2 <{rcpt}>: mailbox is full"),
        ("later*", "450 4.3.0 <{rcpt}>: please try again later"),
        ("gone*", "550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown in local recipient table"),
        ("ours*", "550 5.7.26 This mail has been blocked because the sender is unauthenticated (SPF and DKIM fail)"),
        ("big*", "552 5.3.4 <{rcpt}>: message size exceeds the limit"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The running relay and the world around it."""

    config: ConfigFile
    mx: FakeMx
    node: Node
    asking: Asking

    def run(self, *arguments: str) -> Ran:
        return self.asking.run(*arguments)

    def send(self, to: str, *, sender: str = "desk@hotel.example") -> str:
        """Hand a mail in over SMTP, as an app does; give the id that the 250 named."""
        identity = f"<{new_id()}@hotel.example>"
        headers = {"From": sender, "To": to, "Subject": "Your booking", "Message-ID": identity}
        content = "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\nHi.\r\n"
        with smtplib.SMTP(self.config.smtp.host, self.config.smtp.port, timeout=30) as client:
            client.ehlo()
            assert client.mail(sender)[0] == 250
            assert client.rcpt(to)[0] == 250, "a block is never told at RCPT"
            code, answer = client.data(content.encode())
        assert code == 250
        return answer.decode().rsplit(" ", 1)[1]

    def row(self, an_id: str) -> dict[str, Any]:
        (row,) = [row for row in self.asking.log("--limit", "1000") if an_id in (row["id"], row["message"])]
        return row

    def ended(self, an_id: str) -> dict[str, Any]:
        """Wait until a delivery has ended; give its row of the log."""

        def look() -> dict[str, Any] | None:
            row = self.row(an_id)
            return row if Status(row["status"]) not in OPEN else None

        return wait_for(look, otherwise=self.node.log_tail)

    def tried(self, an_id: str) -> dict[str, Any]:
        """Wait until a delivery has waited for its next try."""
        return wait_for(
            lambda: row if (row := self.row(an_id))["status"] == "deferred" else None, otherwise=self.node.log_tail
        )

    def sent(self, to: str) -> str:
        """Send a mail and tell how it ended."""
        status: str = self.ended(self.send(to))["status"]
        return status

    def asked(self, to: str) -> int:
        """How often the mail server was asked to take mail for an address."""
        return sum(f"<{to}>" in line and line.upper().startswith("RCPT") for _, line in self.mx.commands)

    def card(self, address: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run("address", address, "--json").out)
        return found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("blocks")
    with Background() as world:
        mx = world.enter(FakeMx(TEMPER))
        zone = {name: Records(mx=((10, f"mx.{name}"),)) for name in (DOMAIN, CLOSED)}
        zone |= {f"mx.{name}": Records(a=("127.0.0.1",)) for name in (DOMAIN, CLOSED)}
        dns = world.enter(FakeDns(zone))
        apps = [
            {"name": "hotel", "networks": ["127.0.0.0/8"], "from_domains": ["hotel.example"]},
            {"name": "spa", "networks": ["127.0.0.0/8"], "from_domains": ["spa.example"]},
        ]
        config = config_file(folder, mx_port=mx.port, dns=dns.address, retry=("1h",), give_up_after="5d", apps=apps)
        with running(config) as node:
            yield Scene(config=config, mx=mx, node=node, asking=Asking(config.path))


def test_m003_7_8_11_12_13_twelve_errors_send_the_thirteenth_blocks_the_bin_counts_anew(scene: Scene) -> None:
    guest = f"full.anna@{DOMAIN}"
    ids = [scene.send(guest) for _ in range(12)]
    assert {scene.ended(each)["status"] for each in ids} == {"soft_bounced"}
    card = scene.card(guest)
    assert (card["error_count"], card["state"]) == (12, "Email OK")
    assert scene.sent(guest) == "soft_bounced", "with twelve errors it still sends"
    card = scene.card(guest)
    assert (card["error_count"], card["state"], card["blocks"][0]["reason"]) == (13, "Email bounced", "errors")
    assert scene.asked(guest) == 13
    row = scene.ended(scene.send(guest))
    assert (row["status"], row["attempts"]) == ("suppressed", 0)
    assert "has been blocked since" in row["reply"]
    assert (scene.asked(guest), scene.card(guest)["error_count"]) == (13, 13)

    assert scene.run("address", guest, "--reset").code == 0
    card = scene.card(guest)
    assert (card["error_count"], card["state"]) == (0, "Email OK")
    again = [scene.send(guest) for _ in range(12)]
    assert {scene.ended(each)["status"] for each in again} == {"soft_bounced"}
    assert scene.card(guest)["state"] == "Email OK"
    assert scene.sent(guest) == "soft_bounced"
    assert scene.card(guest)["state"] == "Email bounced", "new errors can block again"
    assert scene.sent(guest) == "suppressed"


def test_m001_11_and_14_a_blocked_address_gets_nothing_even_by_hand_until_it_is_unblocked(scene: Scene) -> None:
    guest = f"bob@{DOMAIN}"
    first = scene.send(guest)
    assert scene.ended(first)["status"] == "delivered"
    assert scene.run("block", guest, "--note", "asked us to").code == 0
    assert scene.sent(guest) == "suppressed"
    refused = scene.run("resend", first)
    assert refused.code == 1
    assert "is blocked" in refused.err
    assert "asked us to" in refused.err
    assert scene.asked(guest) == 1, "no attempt was made"
    shown = scene.run("show", first).out
    assert "Not sent: blocked (" in shown
    assert "asked us to" in shown
    why = scene.asking.why(guest)
    assert why["answer"] == "blocked"
    assert "asked us to" in json.dumps(why)
    assert scene.card(guest)["error_count"] == 0, "what was not sent is no error"

    assert scene.run("unblock", guest).code == 0
    assert scene.sent(guest) == "delivered"
    again = scene.run("resend", first, "--json")
    assert again.code == 0
    assert scene.ended(json.loads(again.out)["deliveries"][0])["status"] == "delivered"


def test_a_block_beats_retries_that_are_queued(scene: Scene) -> None:
    guest = f"later.carl@{DOMAIN}"
    waiting = scene.send(guest)
    scene.tried(waiting)
    assert scene.run("block", guest).code == 0
    assert scene.run("queue", "flush", "--domain", DOMAIN).code == 0
    row = scene.ended(waiting)
    assert (row["status"], row["attempts"], scene.asked(guest)) == ("suppressed", 1, 1)


def test_m001_10_a_block_beats_a_resend_from_the_archive(scene: Scene) -> None:
    guest = f"dora@{DOMAIN}"
    old = datetime.now(UTC) - timedelta(days=40)
    given = submission(guest, at=old)
    with open_store("sqlite:data/waybill.db", scene.config.path.parent) as store:
        store.write_now(lambda tx: spool.accept(tx, given))
        ended = disposition(given.deliveries[0].id, Status.DELIVERED, at=old)
        store.write_now(lambda tx: spool.record(tx, ended))
    assert scene.run("block", guest).code == 0
    assert scene.run("resend", given.message.id).code == 1
    assert scene.asked(guest) == 0
    assert scene.run("unblock", guest).code == 0
    copy = json.loads(scene.run("resend", given.message.id, "--json").out)["deliveries"][0]
    assert scene.ended(copy)["status"] == "delivered"


def test_a_block_on_a_domain_stops_everybody_there(scene: Scene) -> None:
    assert scene.run("block", f"@{CLOSED}", "--note", "moved away").code == 0
    assert scene.sent(f"emil@{CLOSED}") == "suppressed"
    assert scene.sent(f"emil@{DOMAIN}") == "delivered"
    why = scene.asking.why(f"emil@{CLOSED}")
    assert why["answer"] == "blocked"
    assert "moved away" in json.dumps(why)
    assert f"{CLOSED} blocked (manual" in scene.run("why", f"emil@{CLOSED}").out
    assert scene.card(f"emil@{CLOSED}")["state"] == "Email bounced"
    assert scene.run("unblock", f"@{CLOSED}").code == 0
    assert scene.sent(f"emil@{CLOSED}") == "delivered"


def test_a_block_for_one_app_stops_only_that_app(scene: Scene) -> None:
    guest = f"fanny@{DOMAIN}"
    assert scene.run("block", guest, "--app", "spa").code == 0
    assert scene.ended(scene.send(guest))["status"] == "delivered"
    assert scene.ended(scene.send(guest, sender="desk@spa.example"))["status"] == "suppressed"
    assert scene.card(guest)["state"] == "Email bounced for spa, OK for every other app"


def test_a_block_ends_by_itself(scene: Scene) -> None:
    guest, other = f"gerd@{DOMAIN}", f"gina@{DOMAIN}"
    assert scene.run("block", other, "--until", "1h").code == 0
    assert scene.sent(other) == "suppressed"
    assert scene.run("block", guest, "--until", "1s").code == 0
    wait_for(lambda: scene.card(guest)["state"] == "Email OK" or None)
    assert scene.sent(guest) == "delivered"
    assert "ended by itself" in scene.run("address", guest).out


def test_an_unknown_address_is_blocked_at_once_and_a_block_by_hand_survives_the_bin(scene: Scene) -> None:
    guest = f"gone.hans@{DOMAIN}"
    assert scene.sent(guest) == "invalid"
    assert [one["source"] for one in scene.card(guest)["blocks"]] == ["automatic"]
    assert scene.run("block", guest, "--note", "certainly").code == 0
    got = scene.run("address", guest, "--reset")
    assert "It stays blocked: blocked by" in got.out
    assert [one["source"] for one in scene.card(guest)["blocks"]] == ["manual"]
    assert scene.sent(guest) == "suppressed"
    assert scene.asked(guest) == 1


@pytest.mark.parametrize("name", ["ours.ida", "big.ida"])
def test_our_own_faults_are_recorded_and_do_not_count(scene: Scene, name: str) -> None:
    guest = f"{name}@{DOMAIN}"
    assert scene.sent(guest) == "soft_bounced"
    card = scene.card(guest)
    assert (card["error_count"], card["state"]) == (0, "Email OK")
    assert card["last_answer"]


def test_an_imported_list_stops_mail_and_an_undo_lets_it_flow_again(scene: Scene) -> None:
    listed, gone = f"jan@{DOMAIN}", f"gone.kim@{DOMAIN}"
    path = scene.config.path.parent / "ses.csv"
    path.write_text(f"{listed},BOUNCE\n")
    assert scene.run("suppressions", "import", str(path)).code == 0
    assert scene.sent(listed) == "suppressed"
    message = scene.send(gone)
    assert scene.ended(message)["status"] == "invalid"
    assert scene.sent(gone) == "suppressed"
    undone = scene.run("suppressions", "undo", "--since", "1h", "--category", "invalid_address", "--json")
    found = {one["address"]: one for one in map(json.loads, undone.out.splitlines())}
    assert found[gone]["count_after"] == 0
    assert len(found[gone]["unsent"]) == 2
    assert listed not in found
    scene.mx.temper = Temper(name="takes all")
    try:
        for each in found[gone]["unsent"]:
            copy = json.loads(scene.run("resend", each, "--json").out)["deliveries"][0]
            assert scene.ended(copy)["status"] == "delivered"
    finally:
        scene.mx.temper = TEMPER
