"""Many old apps on one host without a password, and strangers who would like to be one of them.

Setup: one real relay with two listeners and seven apps on 127.0.0.0/8; the recipients' server of every domain is ours.
Test:  app -> relay -> MX; who it was is told by listener, network and sender domain; modes hold, redirect and
       store_content do what their names say; strangers (behind a PROXY header) can relay nothing in any of 40 forms.
"""

from __future__ import annotations

import re
import smtplib
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedRWPair
from typing import Any

import pytest

from relay.demo.connections import free_port
from relay.settings import HostPort
from tests.support.asking import Asking, wait_for
from tests.support.peers import Background, FakeDns, FakeMx, Received, Records
from tests.support.process import Node, config_file, running
from tests.support.tools import need

GUEST = "guest.example"
NETWORK = ["127.0.0.0/8"]

APPS: list[dict[str, Any]] = [
    {"name": "hotel", "networks": NETWORK, "from_domains": ["hotel.example"], "booking_pattern": "BK-#####"},
    {"name": "salon", "networks": NETWORK, "from_domains": ["salon.example", "kampaamo.example"]},
    {"name": "trial", "networks": NETWORK, "from_domains": ["trial.example"], "mode": "hold"},
    {"name": "bank", "networks": NETWORK, "from_domains": ["bank.example"], "store_content": "none"},
    {"name": "codes", "networks": NETWORK, "from_domains": ["codes.example"], "store_content": "until_ended"},
    {
        "name": "shop",
        "networks": ["127.0.9.0/24"],
        "from_domains": ["shop.example"],
        "default_from": "orders@shop.example",
    },
]


@dataclass(frozen=True, slots=True)
class House:
    """The relay, its two doors, and the recipients' server."""

    node: Node
    front: HostPort
    back: HostPort
    mx: FakeMx

    def send(
        self, sender: str, to: str, *, at: HostPort | None = None, source: str = "127.0.0.1", header_from: str = ""
    ) -> str:
        """Hand in a message as an old app does, with HELO; return the id of the 250."""
        door = at or self.front
        content = f"From: Desk <{header_from or sender}>\r\nTo: <{to}>\r\nSubject: Booking BK-10427\r\n\r\nWelcome\r\n"
        with smtplib.SMTP(door.host, door.port, timeout=20, source_address=(source, 0)) as client:
            client.helo("old-app")
            for verb, given in ((client.mail, sender), (client.rcpt, to), (client.data, content)):
                code, text = verb(given)
                if code != 250:
                    raise smtplib.SMTPResponseException(code, text)
        return text.decode().rsplit(" ", 1)[1]

    def row(self, message_id: str, *, status: str) -> dict[str, Any]:
        """Wait until the one delivery of a message has a status, and give its row of the log."""
        return wait_for(
            lambda: next((row for row in self.ask.log(message_id) if row["status"] == status), None),
            otherwise=self.node.log_tail,
        )

    def arrived(self, to: str) -> Received:
        """Wait for what the recipients' server has for an address."""
        return wait_for(
            lambda: next((one for one in self.mx.received if to in one.recipients), None), otherwise=self.node.log_tail
        )

    @property
    def ask(self) -> Asking:
        return Asking(self.node.config)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with ExitStack() as stack:
        world = stack.enter_context(Background())
        mx = world.enter(FakeMx())
        dns = world.enter(
            FakeDns({GUEST: Records(mx=((10, f"mx.{GUEST}"),)), f"mx.{GUEST}": Records(a=("127.0.0.1",))})
        )
        front, back = (HostPort("127.0.0.1", free_port()) for _ in range(2))
        till = {"name": "till", "networks": NETWORK, "listeners": [str(back)], "mode": f"redirect:tests@{GUEST}"}
        config = config_file(
            tmp_path_factory.mktemp("house"),
            mx_port=mx.address.port,
            dns=dns.address,
            smtp=front,
            apps=[*APPS, till],
            more={"listener": [{"address": str(front)}, {"address": str(back)}]},
        )
        node = stack.enter_context(running(config))
        node.wait_greeting(back)
        yield House(node, front, back, mx)


@pytest.mark.parametrize(
    ("sender", "source", "is_back", "app"),
    [
        ("desk@hotel.example", "127.0.0.1", False, "hotel"),
        ("DESK@HOTEL.EXAMPLE", "127.0.0.5", False, "hotel"),
        ("a@salon.example", "127.0.0.1", False, "salon"),
        ("a@kampaamo.example", "127.0.0.1", False, "salon"),
        ("orders@shop.example", "127.0.9.1", False, "shop"),
        ("desk@hotel.example", "127.0.9.1", False, "hotel"),
        ("desk@hotel.example", "127.0.0.1", True, "till"),
        ("anybody@nowhere.example", "127.0.0.1", True, "till"),
    ],
)
def test_apps_of_one_host_are_told_apart(house: House, sender: str, source: str, is_back: bool, app: str) -> None:
    message_id = house.send(sender, f"who@{GUEST}", at=house.back if is_back else None, source=source)
    assert house.ask.show(message_id)["app"] == app


def test_a_sender_nobody_may_use_is_refused_and_the_refusal_can_be_found(house: House) -> None:
    with pytest.raises(smtplib.SMTPResponseException) as refused:
        house.send("desk@stranger.example", f"never@{GUEST}")
    assert refused.value.smtp_code == 550
    wait_for(lambda: house.ask.log("--refused", "stranger") or None)
    (row,) = house.ask.log("--refused", "stranger")
    assert (row["from"], row["client_ip"], row["app"]) == ("desk@stranger.example", "127.0.0.1", None)
    assert (row["code"], row["enhanced"], row["reason"]) == (550, "5.7.1", "sender_not_allowed")
    assert row["listener"] == str(house.front)
    text = house.ask.run("log", "--refused", "stranger").out
    assert "desk@stranger.example" in text
    assert "550 5.7.1" in text
    assert house.ask.log("stranger") == []


def test_a_header_from_of_another_app_is_refused(house: House) -> None:
    """The envelope is this app's own; what the guest would see is not."""
    with pytest.raises(smtplib.SMTPResponseException) as refused:
        house.send("desk@hotel.example", f"never@{GUEST}", header_from="boss@bank.example")
    assert refused.value.smtp_code == 550
    assert all(f"never@{GUEST}" not in one.recipients for one in house.mx.received)


def test_a_sender_such_as_www_data_becomes_the_default_from(house: House) -> None:
    message_id = house.send("www-data@localhost", f"buyer@{GUEST}", source="127.0.9.7")
    got = house.arrived(f"buyer@{GUEST}")
    assert got.mail_from == "orders@shop.example"
    assert b'From: "Desk" <orders@shop.example>\r\n' in got.content
    assert b"www-data" not in got.content
    assert "sender_replaced" in house.ask.show(message_id)["repairs"]


def test_the_received_line_names_neither_the_client_nor_its_address(house: House) -> None:
    house.send("desk@hotel.example", f"curious@{GUEST}", source="127.0.0.77")
    content = house.arrived(f"curious@{GUEST}").content
    (received,) = re.findall(rb"^Received: .*(?:\r\n[ \t].*)*", content, re.MULTILINE)
    assert b"127.0.0.77" not in content
    assert b"old-app" not in content
    assert b"by relay.test.example with" in received


def test_hold_keeps_everything_until_a_person_lets_it_go(house: House) -> None:
    message_id = house.send("a@trial.example", f"real.guest@{GUEST}")
    (delivery,) = house.ask.show(message_id)["deliveries"]
    assert (delivery["status"], delivery["attempts"]) == ("queued", 0)
    assert delivery["held"]
    other = house.send("desk@hotel.example", f"after.it@{GUEST}")
    house.row(other, status="delivered")  # later mail is through by now, so the held one would be
    assert house.ask.show(message_id)["deliveries"][0]["attempts"] == 0
    assert house.ask.run("queue", "release", "--app", "trial").code == 0
    house.row(message_id, status="delivered")
    assert house.arrived(f"real.guest@{GUEST}").mail_from == "a@trial.example"


def test_redirect_sends_everything_to_one_address_and_keeps_who_was_meant(house: House) -> None:
    message_id = house.send("desk@hotel.example", "dear.guest@elsewhere.example", at=house.back)
    row = house.row(message_id, status="delivered")
    assert row["to"] == f"tests@{GUEST}"
    assert house.ask.show(message_id)["deliveries"][0]["intended"] == "dear.guest@elsewhere.example"
    assert all("elsewhere" not in to for one in house.mx.received for to in one.recipients)


@pytest.mark.parametrize("sender", ["a@bank.example", "a@codes.example"])
def test_content_that_must_not_stay_is_delivered_and_then_gone(house: House, sender: str) -> None:
    to = f"{sender.replace('@', '.')}@{GUEST}"
    message_id = house.send(sender, to)
    assert b"Welcome" in house.arrived(to).content
    house.row(message_id, status="delivered")
    wait_for(lambda: None if house.ask.show(message_id)["has_content"] else True)
    raw = house.ask.run("show", "--raw", message_id)
    assert (raw.code, raw.out) == (1, "")
    assert "not kept" in raw.err
    again = house.ask.run("resend", message_id)
    assert again.code == 1
    assert "content" in again.out + again.err


def test_swaks_from_the_shell_is_told_what_is_wrong(house: House) -> None:
    swaks = need("swaks")
    command = [swaks, "--server", str(house.front), "--from", "x@stranger.example", "--to", f"a@{GUEST}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert "550 5.7.1 this sender's domain is not one of from_domains" in done.stdout


RELAY, VICTIM = "relay.test.example", "victim.example"

#: (sender, recipient): the ways to ask for relaying that scanners know, then the ways to write an address oddly.
FORMS: list[tuple[str, str]] = [
    ("", f"b@{VICTIM}"),
    (f"a@{VICTIM}", f"b@{VICTIM}"),
    (f"a@{RELAY}", f"b@{VICTIM}"),
    ("a@[127.0.0.1]", f"b@{VICTIM}"),
    ("a@[127.0.0.1]", f"b%{VICTIM}@[127.0.0.1]"),
    ("a@[127.0.0.1]", f"b%{VICTIM}@{RELAY}"),
    ("a@[127.0.0.1]", f'"b@{VICTIM}"'),
    ("a@[127.0.0.1]", f'"b%{VICTIM}"'),
    ("a@[127.0.0.1]", f"b@{VICTIM}@[127.0.0.1]"),
    ("a@[127.0.0.1]", f'"b@{VICTIM}"@[127.0.0.1]'),
    ("a@[127.0.0.1]", f"b@{VICTIM}@{RELAY}"),
    ("a@[127.0.0.1]", f"@[127.0.0.1]:b@{VICTIM}"),
    ("a@[127.0.0.1]", f"@{RELAY}:b@{VICTIM}"),
    ("a@[127.0.0.1]", f"{VICTIM}!b"),
    ("a@[127.0.0.1]", f"{VICTIM}!b@[127.0.0.1]"),
    ("a@[127.0.0.1]", f"{VICTIM}!b@{RELAY}"),
    ("a@localhost", f"b@{VICTIM}"),
    ("a", f"b@{VICTIM}"),
    ("postmaster", f"b@{VICTIM}"),
    (f"MAILER-DAEMON@{RELAY}", f"b@{VICTIM}"),
    ("", "postmaster"),
    ("", f"postmaster@{RELAY}"),
    ("", f"b%{VICTIM}@{RELAY}"),
    ("", f'"b@{VICTIM}"@{RELAY}'),
    ("", f"b@{VICTIM}."),
    ("", f"b@{VICTIM.upper()}"),
    ("", "b@[192.0.2.9]"),
    ("", "b@[IPv6:2001:db8::9]"),
    ("", "b@[IPv6:::1]"),
    ("", f"@{RELAY},@r2.example:b@{VICTIM}"),
    ("", f'"b x"@{VICTIM}'),
    ("", f"=?utf-8?q?b=40{VICTIM}?=@{RELAY}"),
    ("", f"b@{RELAY},b@{VICTIM}"),
    ("", f"b (c)@{VICTIM}"),
    ("", f"b @{VICTIM}"),
    ("", f"b@{VICTIM}:25"),
    ("", f"{VICTIM}!b%{VICTIM}@{RELAY}"),
    (f"@{RELAY}:a@{VICTIM}", f"b@{VICTIM}"),
    ("desk@hotel.example", f"b@{VICTIM}"),
    ("orders@shop.example", f"b%{VICTIM}@localhost"),
]


def test_there_are_forty_forms() -> None:
    assert len(set(FORMS)) == len(FORMS) == 40


@pytest.fixture(scope="module", params=["no app at all", "apps", "apps with a login"])
def closed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, HostPort]]:
    """A relay behind a proxy, so that a client of this machine can come from anywhere."""
    apps: list[dict[str, Any]] = [] if request.param == "no app at all" else APPS
    smtp = HostPort("127.0.0.1", free_port())
    more: dict[str, Any] = {"listener": [{"address": str(smtp), "proxy_protocol": NETWORK}]}
    if request.param == "apps with a login":
        apps = [{"name": "shop", "username": "shop", "password_file": "password"}]
        more["listener"][0]["auth_without_tls"] = True
    folder = tmp_path_factory.mktemp("closed")
    (folder / "password").write_text("the right one\n")
    (folder / "password").chmod(0o600)
    config = config_file(folder, smtp=smtp, apps=apps, more=more)
    with Node(config.path) as node:
        node.wait_listening([smtp])
        yield node, smtp


def ask(stream: BufferedRWPair, command: bytes) -> str:
    """Send one line and read one whole reply; give its last line."""
    stream.write(command + b"\r\n")
    stream.flush()
    line = stream.readline()
    while line[3:4] == b"-":
        line = stream.readline()
    return line.decode().strip()


@pytest.mark.parametrize("has_wrong_password", [False, True])
def test_no_stranger_can_relay_in_any_form(closed: tuple[Node, HostPort], has_wrong_password: bool) -> None:
    node, smtp = closed
    accepted: list[tuple[str, str]] = []
    tried = 0
    for number, forms in enumerate(batched(FORMS, 4), start=1):
        # Each from a new address, so that nothing is refused merely for its pace.
        with connected(smtp, source=f"203.0.113.{number}") as stream:
            ask(stream, b"EHLO stranger.example")
            if has_wrong_password:
                assert not ask(stream, b"AUTH PLAIN AHNob3AAd3Jvbmc=").startswith("235")
            for sender, recipient in forms:
                answers = [ask(stream, line.encode()) for line in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>")]
                tried += all(answers)
                if answers[1].startswith("250"):
                    accepted.append((sender, recipient))
                ask(stream, b"RSET")
    assert (accepted, tried) == ([], 40)
    assert Asking(node.config).log() == []
    wait_for(lambda: Asking(node.config).log("--refused") or None)


def batched(forms: list[tuple[str, str]], size: int) -> Iterator[list[tuple[str, str]]]:
    for start in range(0, len(forms), size):
        yield forms[start : start + size]


@contextmanager
def connected(smtp: HostPort, *, source: str) -> Iterator[BufferedRWPair]:
    """Connect as a client with that address, and read the greeting."""
    with socket.create_connection((smtp.host, smtp.port), timeout=20) as client, client.makefile("rwb") as stream:
        assert ask(stream, f"PROXY TCP4 {source} 192.0.2.1 40000 25".encode()).startswith("220")
        yield stream


def test_the_same_relay_takes_mail_from_this_machine(closed: tuple[Node, HostPort]) -> None:
    """Without this the test above could pass on a relay that refuses everybody."""
    _, smtp = closed
    with connected(smtp, source="127.0.0.1") as stream:
        ask(stream, b"EHLO friend.example")
        assert ask(stream, b"AUTH PLAIN AHNob3AAdGhlIHJpZ2h0IG9uZQ==")[:3] in {"235", "538"}
        assert ask(stream, b"MAIL FROM:<desk@hotel.example>").startswith("250")
        assert ask(stream, b"RCPT TO:<b@victim.example>").startswith("250")
