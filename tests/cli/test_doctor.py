"""`waybill doctor` from end to end: a relay with a store, a name server, a mail server to try, and what is said."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from relay.delivery.dkim import SigningKey
from relay.delivery.dkim_keys import new_key, write_key
from relay.store import spool
from tests.cli.desk import CONTENT, Desk, Ran
from tests.store.making import submission
from tests.support.peers import Background, FakeDns, FakeMx, Fault, Records, reverse_name

OURS = "192.0.2.25"
RELAY = "relay.example.org"
HOTEL = "hotel.example"


class Outside:
    """The internet around the relay of one test: everything is in order until a test changes it."""

    def __init__(self, world: Background, desk: Desk) -> None:
        self.dns = world.enter(FakeDns())
        self.mx = world.enter(FakeMx())
        key = new_key("ed25519")
        write_key(desk.folder / "key.pem", key)
        self.key = SigningKey(domain=HOTEL, selector="wb", key=key)
        self.dns.set(RELAY, Records(a=(OURS,)))
        self.dns.set(reverse_name(OURS), Records(ptr=(RELAY,)))
        self.dns.set(HOTEL, Records(txt=(f"v=spf1 ip4:{OURS} -all",)))
        self.dns.set(f"_dmarc.{HOTEL}", Records(txt=("v=DMARC1; p=reject",)))
        self.dns.set(self.key.record_name, Records(txt=(self.key.record,)))
        self.configure(desk)

    def configure(self, desk: Desk, *, more: str = "", probe: str = "") -> None:
        text = desk.config.read_text(encoding="utf-8").partition("[dns]")[0]
        text += f'[dns]\nservers = ["{self.dns.address}"]\nlifetime = "10s"\ntimeout = "10s"\n'
        text += '[delivery]\nsource_addresses = [{address = "127.0.0.1", hostname = "' + RELAY + '"}]\n'
        text += f'[[dkim]]\ndomain = "{HOTEL}"\nselector = "wb"\nkey_file = "key.pem"\n'
        text += f'[doctor]\nprobe = "{probe or self.mx.address}"\nclock = ""\npublic_addresses = ["{OURS}"]\n{more}\n'
        desk.config.write_text(text, encoding="utf-8")


@pytest.fixture
def outside(desk: Desk) -> Iterator[Outside]:
    with Background() as world:
        yield Outside(world, desk)


def states(ran: Ran) -> dict[str, str]:
    """The state of each finding about the network, by its id."""
    return {one["id"]: one["state"] for one in ran.lines() if not one["id"].startswith("local.")}


GOOD = {
    "sender.spf": "good",
    "sender.dkim": "good",
    "sender.dmarc": "good",
    "sender.alignment": "good",
    "sender.bulk": "good",
    "identity.ptr": "good",
    "identity.ehlo": "good",
    "reach.port25": "good",
}


def test_all_is_well(desk: Desk, outside: Outside) -> None:
    desk.accept("anna@example.com")
    ran = desk.run("doctor", "--json")
    assert states(ran) == GOOD
    assert ran.code == 0, ran.out
    assert all(set(one) == {"id", "subject", "state", "found", "expected", "fix", "why"} for one in ran.lines())
    (alignment,) = (one for one in ran.lines() if one["id"] == "sender.alignment")
    assert alignment["found"].startswith("1 message lately")
    assert {"local.resolver", "local.dnssec", "local.disk", "local.sqlite", "local.data_dir", "local.config"} <= {
        one["id"] for one in ran.lines()
    }


@pytest.mark.parametrize(
    ("name", "records", "changed"),
    [
        (HOTEL, Records(txt=("v=spf1 -all",)), {"sender.spf": "bad", "sender.bulk": "warning"}),
        (
            "wb._domainkey.hotel.example",
            Records(txt=("v=DKIM1; p=",)),
            {"sender.dkim": "bad", "sender.alignment": "warning", "sender.bulk": "warning"},
        ),
        (f"_dmarc.{HOTEL}", Records(txt=("v=DMARC1; p=yes",)), {"sender.dmarc": "bad", "sender.bulk": "warning"}),
        (
            reverse_name(OURS),
            Records(ptr=("elsewhere.example",)),
            {
                "identity.ptr": "bad",
                "identity.ehlo": "warning",
                "sender.bulk": "warning",
            },
        ),
    ],
)
def test_what_is_bad_is_said_with_what_mends_it(
    desk: Desk, outside: Outside, name: str, records: Records, changed: dict[str, str]
) -> None:
    desk.accept("anna@example.com")
    outside.dns.set(name, records)
    ran = desk.run("doctor", "--json")
    assert ran.code == 1
    assert states(ran) == GOOD | changed
    assert all(one["fix"] for one in ran.lines() if one["state"] == "bad")


@pytest.mark.parametrize("fault", [Fault.SERVFAIL, Fault.REFUSED])
def test_a_name_server_that_fails_makes_nothing_bad(desk: Desk, outside: Outside, fault: Fault) -> None:
    desk.accept("anna@example.com")
    for name in (HOTEL, f"_dmarc.{HOTEL}", outside.key.record_name, reverse_name(OURS), RELAY):
        outside.dns.set(name, Records(fault=fault))
    ran = desk.run("doctor", "--json")
    assert ran.code == 0, ran.out
    assert set(states(ran).values()) == {"unknown", "good"}
    assert [name for name, state in states(ran).items() if state == "good"] == ["reach.port25"]


def test_ipv6_that_is_not_used_is_held_against_nobody(desk: Desk, outside: Outside) -> None:
    text = desk.config.read_text(encoding="utf-8")
    desk.config.write_text(text.replace(f'["{OURS}"]', f'["{OURS}", "2001:db8::25"]'), encoding="utf-8")
    ran = desk.run("doctor", "--json")
    assert ran.code == 0, ran.out
    found = {(one["id"], one["state"]) for one in ran.lines() if one["id"].startswith(("sender.", "identity."))}
    warned = {"identity.ptr", "identity.ehlo"}  # of the IPv6 address
    expected = {(name, state) for name, state in GOOD.items() if not name.startswith("reach.")}
    assert found == expected | {(name, "warning") for name in warned}


def test_off_the_internet_it_says_so(desk: Desk, outside: Outside) -> None:
    outside.configure(desk, probe="probe.example")
    ran = desk.run("doctor")
    assert "unknown reach.port25  127.0.0.1: this machine seems to be off the internet" in ran.out


def test_a_domain_is_checked_before_it_sends(desk: Desk, outside: Outside) -> None:
    ran = desk.run("doctor", "--domain", "new.example", "--json")
    assert ran.code == 1
    by_id = {one["id"]: one for one in ran.lines()}
    assert set(by_id) == {"sender.spf", "sender.dkim", "sender.dmarc", "sender.alignment", "sender.bulk"}
    assert by_id["sender.spf"]["fix"] == f'new.example. IN TXT "v=spf1 ip4:{OURS} ~all"'
    assert by_id["sender.dkim"]["fix"] == "waybill dkim new new.example"


def test_the_text_form_shows_the_worst_first_and_the_record_to_paste(desk: Desk, outside: Outside) -> None:
    outside.dns.set(HOTEL, Records(txt=("v=spf1 mx -all",)))
    ran = desk.run("doctor")
    lines = ran.out.splitlines()
    assert lines[0].startswith("bad     sender.spf  hotel.example: address 192.0.2.25: not allowed (-)")
    assert f'            hotel.example. IN TXT "v=spf1 mx ip4:{OURS} -all"' in lines
    assert lines[-1].startswith("1 bad, ")


def test_a_word_from_dns_cannot_steer_the_terminal(desk: Desk, outside: Outside) -> None:
    outside.dns.set(HOTEL, Records(txt=("v=spf1 a:\\027[2J.example -all",)))
    ran = desk.run("doctor")
    assert "\x1b" not in ran.out
    assert "\\x1b[2J" in ran.out


def test_the_envelope_domain_is_the_one_on_the_wire(desk: Desk, outside: Outside) -> None:
    desk.accept("anna@example.com")
    outside.configure(desk, more='[returned]\ndomain = "bounce.hotel.example"\n')
    ran = desk.run("doctor", "--json")
    (spf,) = (one for one in ran.lines() if one["id"] == "sender.spf")
    assert (spf["subject"], spf["state"]) == ("bounce.hotel.example", "bad")


def test_mail_that_a_smarthost_passes_on_is_not_held_against_our_addresses(desk: Desk, outside: Outside) -> None:
    outside.dns.set(HOTEL, Records(txt=("v=spf1 include:smart.example -all",)))
    desk.accept("anna@example.com")
    apps = '[[app]]\nname = "hotel"\nnetworks = ["127.0.0.0/8"]\n'
    outside.configure(desk, more=apps + '[[route]]\napp = "hotel"\nhost = "smart.example"\ntls = "may"\n')
    ran = desk.run("doctor", "--json")
    assert ran.code == 0, ran.out
    (spf,) = (one for one in ran.lines() if one["id"] == "sender.spf")
    assert spf["state"] == "unknown"
    assert "leaves through smart.example" in spf["found"]


def test_an_app_with_addresses_of_its_own_is_judged_by_these(desk: Desk, outside: Outside) -> None:
    desk.accept("anna@example.com")
    outside.dns.set("other.example.org", Records(a=("8.8.4.4",)))
    text = desk.config.read_text(encoding="utf-8").replace(f'public_addresses = ["{OURS}"]', "")
    pair = '[{address = "8.8.8.8"}, {address = "8.8.4.4", hostname = "other.example.org"}]'
    apps = '[[app]]\nname = "hotel"\nnetworks = ["127.0.0.0/8"]\nsource_addresses = ["8.8.4.4"]\n'
    text = text.replace('[{address = "127.0.0.1", hostname = "relay.example.org"}]', pair)
    desk.config.write_text(text + apps, encoding="utf-8")
    outside.dns.set(HOTEL, Records(txt=("v=spf1 ip4:8.8.4.4 -all",)))
    ran = desk.run("doctor", "--domain", HOTEL, "--json")
    (spf,) = (one for one in ran.lines() if one["id"] == "sender.spf")
    assert (spf["state"], "8.8.8.8" in spf["found"]) == ("good", False)


def test_two_senders_of_one_domain_are_told_apart_by_what_is_on_the_wire(desk: Desk, outside: Outside) -> None:
    desk.accept("anna@example.com")
    desk.accept("anna@example.com", kind="reminder")
    with desk.store() as store:
        store.write_now(lambda tx: spool.accept(tx, submission("b@example.com", app="other")))
    ran = desk.run("doctor", "--json")
    found = [(one["subject"], one["found"][:18]) for one in ran.lines() if one["id"] == "sender.alignment"]
    assert found == [("hotel.example sent as hotel.example", "3 messages lately;")]


def test_bulk_mail_without_a_way_out_is_a_warning(desk: Desk, outside: Outside) -> None:
    desk.accept("anna@example.com", kind="newsletter")
    assert states(desk.run("doctor", "--json")) == GOOD | {"sender.bulk": "warning"}
    way_out = b"List-Unsubscribe: <https://hotel.example/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    desk.accept("anna@example.com", kind="newsletter", content=way_out + CONTENT)
    assert states(desk.run("doctor", "--json")) == GOOD


def test_a_key_that_cannot_be_read_is_named(desk: Desk, outside: Outside) -> None:
    (desk.folder / "key.pem").write_text("no key")
    ran = desk.run("doctor", "--json")
    bad = [one["found"] for one in ran.lines() if one["id"] == "local.config" and one["state"] == "bad"]
    assert len(bad) == 1
    assert "no private key in PEM form" in bad[0]


def test_a_block_list_that_lists_us_is_bad(desk: Desk, outside: Outside) -> None:
    outside.configure(desk, more='blocklists = ["bl.example", "other.example"]')
    outside.dns.set("25.2.0.192.bl.example", Records(a=("127.0.0.2",), txt=("you know why",)))
    ran = desk.run("doctor", "--json")
    found = [(one["subject"], one["state"]) for one in ran.lines() if one["id"] == "blocklists.listed"]
    assert found == [("192.0.2.25 at bl.example", "bad"), ("192.0.2.25 at other.example", "good")]


def test_no_store_is_made_just_to_look(desk: Desk, outside: Outside) -> None:
    ran = desk.run("doctor")
    assert ran.code == 0, ran.out
    assert not (desk.folder / "data").exists()


def test_a_store_that_does_not_open_is_bad_and_the_rest_is_looked_at(desk: Desk, outside: Outside) -> None:
    (desk.folder / "data").mkdir(mode=0o700)
    (desk.folder / "data" / "waybill.db").write_bytes(b"this is no database " * 400)
    ran = desk.run("doctor", "--json")
    assert ran.code == 1
    by_id = {one["id"]: one["state"] for one in ran.lines()}
    assert (by_id["local.store"], by_id["sender.spf"]) == ("bad", "good")


def test_a_configuration_with_faults_is_a_finding(desk: Desk) -> None:
    desk.config.write_text('[node]\nhostnam = "x"\n', encoding="utf-8")
    ran = desk.run("doctor")
    assert ran.code == 1
    assert 'did you mean "hostname"' in ran.out


def test_a_domain_that_is_none_is_wrong_use(desk: Desk) -> None:
    ran = desk.run("doctor", "--domain", "no domain")
    assert ran.code == 2
