"""What the doctor makes of addresses, the way out, block lists, and this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relay.config import load_text
from relay.delivery.own_addresses import OwnAddresses
from relay.doctor.answer import Answer, Ask, Said
from relay.doctor.blocklists import check_listing, question
from relay.doctor.finding import State, worst
from relay.doctor.identity import SourceFacts, check_identity
from relay.doctor.local import (
    CertificateFacts,
    ClockFacts,
    DiskFacts,
    FolderFacts,
    ResolverFacts,
    check_certificate,
    check_clock,
    check_disk,
    check_folder,
    check_python,
    check_resolver,
    check_settings,
    check_sqlite,
)
from relay.doctor.machine import look_at_certificates, look_at_disk, look_at_folder
from relay.doctor.names import limited
from relay.doctor.network import greeting_clock, read_web_clock, try_port_25
from relay.doctor.reach import Ended, ReachFacts, check_nothing_probed, check_reach
from relay.doctor.sources import Source, look_up_listing, look_up_source, public_sources
from relay.intake.tls import make_certificate
from relay.settings import Config
from tests.support.peers import ACCEPTS, FakeMx, Fault, Records, Step, Temper, at, free_port, reverse_name
from tests.unit.doctoring import FAULTS, QUICK_FAULTS, Zone, asking, txt

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OURS, OURS6 = "192.0.2.25", "2001:db8::25"
RELAY = "relay.hotel.example"
DAY = timedelta(days=1)
GIB = 1024**3


def config(text: str = "", *, folder: Path = Path()) -> Config:
    return load_text(f'[node]\nhostname = "{RELAY}"\n{text}', base_dir=folder)


def source(zone: Zone, *, ip: str = OURS, ehlo: str = RELAY, is_spared: bool = False) -> SourceFacts:
    return asking(zone, lambda ask: look_up_source(ask, Source(ip=ip, ehlo=ehlo), is_spared=is_spared))


PTR = reverse_name(OURS)
OK = {PTR: Records(ptr=(RELAY,)), RELAY: Records(a=(OURS,))}
OK6 = {reverse_name(OURS6): Records(ptr=(RELAY,)), RELAY: Records(aaaa=(OURS6,))}


@pytest.mark.parametrize(
    ("zone", "ptr", "ehlo"),
    [
        (OK, State.GOOD, State.GOOD),
        ({**OK, PTR: Records(ptr=("a.example", RELAY))}, State.GOOD, State.GOOD),
        ({RELAY: Records(a=(OURS,))}, State.BAD, State.GOOD),
        ({**OK, PTR: Records(txt=("no name",))}, State.BAD, State.GOOD),
        ({**OK, PTR: Records(ptr=("host.provider.example",))}, State.BAD, State.WARNING),
        (
            {**OK, PTR: Records(ptr=("host.provider.example",)), "host.provider.example": Records(a=(OURS,))},
            State.GOOD,
            State.WARNING,
        ),
        ({PTR: Records(ptr=(RELAY,))}, State.BAD, State.BAD),
        ({PTR: Records(ptr=(RELAY,)), RELAY: Records(a=("192.0.2.99",))}, State.BAD, State.BAD),
        *(({**OK, PTR: fault}, State.UNKNOWN, State.GOOD) for fault in QUICK_FAULTS.values()),
        *(({**OK, RELAY: fault}, State.UNKNOWN, State.UNKNOWN) for fault in QUICK_FAULTS.values()),
    ],
)
def test_an_address_and_its_name_lead_to_each_other(zone: Zone, ptr: State, ehlo: State) -> None:
    found = check_identity(source(zone))
    assert [(one.id, one.state) for one in found] == [("identity.ptr", ptr), ("identity.ehlo", ehlo)]


def test_the_record_to_paste_is_the_one_that_is_missing() -> None:
    ptr, _ = check_identity(source({RELAY: Records(a=(OURS,))}))
    assert ptr.fix == "25.2.0.192.in-addr.arpa. IN PTR relay.hotel.example."
    ptr, ehlo = check_identity(source({PTR: Records(ptr=(RELAY,))}))
    assert ptr.fix == ehlo.fix == "relay.hotel.example. IN A 192.0.2.25"
    ptr, ehlo = check_identity(source({}, ip=OURS6))
    assert ehlo.fix == "relay.hotel.example. IN AAAA 2001:db8::25"
    assert ptr.fix.endswith(".8.b.d.0.1.0.0.2.ip6.arpa. IN PTR relay.hotel.example.")


def test_ipv6_without_a_name_is_spared_where_it_is_not_used() -> None:
    assert [one.state for one in check_identity(source(OK6, ip=OURS6))] == [State.GOOD, State.GOOD]
    assert {one.state for one in check_identity(source({}, ip=OURS6))} == {State.BAD}
    assert {one.state for one in check_identity(source({}, ip=OURS6, is_spared=True))} == {State.WARNING}


def test_a_short_name_in_ehlo_is_bad() -> None:
    _, ehlo = check_identity(source(OK, ehlo="relay"))
    assert ehlo.state is State.BAD


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('[doctor]\npublic_addresses = ["192.0.2.25"]', [(OURS, RELAY)]),
        ('[delivery]\nip = "6"\n[doctor]\npublic_addresses = ["192.0.2.25", "2001:db8::25"]', [(OURS6, RELAY)]),
        (
            '[delivery]\nsource_addresses = [{address = "8.8.4.4", hostname = "a.example"}, {address = "10.0.0.1"}]',
            [("8.8.4.4", "a.example")],
        ),
        # Behind address translation: what the EHLO name leads to.
        (
            '[delivery]\nsource_addresses = [{address = "10.0.0.1", hostname = "a.example"}]',
            [("8.8.8.8", "a.example")],
        ),
        ('[delivery]\nsmarthost = "smart.example:587"', []),
    ],
)
def test_the_addresses_that_the_world_sees(text: str, wanted: list[tuple[str, str]]) -> None:
    found = asking({RELAY: Records(a=("8.8.8.8",))}, lambda ask: public_sources(ask, config(text)))
    assert [(one.ip, one.ehlo) for one in found] == wanted


LISTED = "25.2.0.192.bl.example"


@pytest.mark.parametrize(
    ("zone", "state"),
    [
        ({}, State.GOOD),
        ({LISTED: txt("no address")}, State.GOOD),
        ({LISTED: Records(a=("127.0.0.2",), txt=("spam was seen",))}, State.BAD),
        ({LISTED: Records(a=("127.255.255.254",))}, State.UNKNOWN),
        ({LISTED: Records(a=("203.0.113.80",))}, State.UNKNOWN),
        *(({LISTED: fault}, State.UNKNOWN) for fault in FAULTS.values()),
    ],
)
def test_a_block_list_is_believed_only_in_its_own_language(zone: Zone, state: State) -> None:
    facts = asking(zone, lambda ask: look_up_listing(ask, Source(ip=OURS, ehlo=RELAY), "bl.example"))
    found = check_listing(facts)
    assert found.state is state
    assert ("spam was seen" in found.found) is (state is State.BAD)


def test_an_ipv6_address_is_asked_for_digit_by_digit() -> None:
    assert question("2001:db8::1", "bl.example").startswith("1.0.0.0.0.0.0.0.")
    assert question("2001:db8::1", "bl.example").endswith(".8.b.d.0.1.0.0.2.bl.example")


TRY = ReachFacts(source="192.0.2.25", version=4, target="t", ip="192.0.2.80", ended=Ended.GREETED, text="220 hello")


@pytest.mark.parametrize(
    ("ended", "is_online", "is_needed", "state"),
    [
        (Ended.GREETED, True, True, State.GOOD),
        (Ended.UNWILLING, True, True, State.WARNING),
        (Ended.SILENT, True, True, State.BAD),
        (Ended.REFUSED, True, True, State.BAD),
        (Ended.UNREACHABLE, True, True, State.BAD),
        (Ended.SILENT, True, False, State.GOOD),
        (Ended.UNREACHABLE, True, False, State.GOOD),
        (Ended.NO_TARGET, True, True, State.UNKNOWN),
        *((ended, False, True, State.UNKNOWN) for ended in Ended if ended not in (Ended.GREETED, Ended.UNWILLING)),
    ],
)
def test_port_25_is_shut_only_when_other_ports_are_open(
    ended: Ended, is_online: bool, is_needed: bool, state: State
) -> None:
    found = check_reach(replace(TRY, ended=ended, is_needed=is_needed), is_online=is_online)
    assert found.state is state
    assert bool(found.fix) is (state is State.BAD)
    assert ("off the internet" in found.found) is (not is_online)


def test_without_a_probe_the_doctor_says_that_nobody_tried() -> None:
    assert check_nothing_probed().state is State.UNKNOWN


def tried(zone: Zone, text: str) -> list[tuple[str, Ended]]:
    own = OwnAddresses(clock=lambda: 0.0)
    found = asking(zone, lambda ask: try_port_25(ask, config(text), own))
    return [(facts.source, facts.ended) for facts in found]


def from_loopback(probe: str, *, timeout: str = "20s", port: int = 25) -> str:
    return (
        f'[delivery]\nport = {port}\nsource_addresses = [{{address = "127.0.0.1"}}]\n'
        f'[doctor]\nprobe = "{probe}"\ntimeout = "{timeout}"'
    )


def with_server(run: Callable[[int], list[tuple[str, Ended]]], temper: Temper) -> list[tuple[str, Ended]]:
    async def main() -> list[tuple[str, Ended]]:
        async with FakeMx(temper) as mx:
            return await asyncio.to_thread(run, mx.address.port)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("temper", "ended"),
    [
        (ACCEPTS, Ended.GREETED),
        (at(Step.GREETING, "554 go away"), Ended.UNWILLING),
    ],
)
def test_each_source_address_tries_the_way_out(temper: Temper, ended: Ended) -> None:
    def literal(port: int) -> list[tuple[str, Ended]]:
        return tried({}, from_loopback(f"127.0.0.1:{port}"))

    def domain(port: int) -> list[tuple[str, Ended]]:
        zone = {"probe.example": Records(mx=((10, "mx.example"),)), "mx.example": Records(a=("127.0.0.1",))}
        return tried(zone, from_loopback("probe.example", port=port))

    assert with_server(literal, temper) == [("127.0.0.1", ended)]
    assert with_server(domain, temper) == [("127.0.0.1", ended)]


def test_the_try_is_made_from_that_very_address() -> None:
    def run(port: int) -> list[tuple[str, Ended]]:
        text = from_loopback(f"127.0.0.1:{port}").replace('address = "127.0.0.1"', 'address = "127.0.0.2"')
        own = OwnAddresses(clock=lambda: 0.0)
        (facts,) = asking({}, lambda ask: try_port_25(ask, config(text), own))
        return [(facts.text, facts.ended)]

    assert with_server(run, at(Step.GREETING, "220 hello {client}")) == [("220 hello 127.0.0.2", Ended.GREETED)]


def test_a_closed_port_a_silent_one_and_none_to_try() -> None:
    assert tried({}, from_loopback(f"127.0.0.1:{free_port()}")) == [("127.0.0.1", Ended.REFUSED)]
    hung = replace(ACCEPTS, delays={Step.GREETING: 60.0})

    def short(port: int) -> list[tuple[str, Ended]]:
        return tried({}, from_loopback(f"127.0.0.1:{port}", timeout="200ms"))

    assert with_server(short, hung) == [("127.0.0.1", Ended.SILENT)]
    assert tried({}, from_loopback("probe.example")) == [("127.0.0.1", Ended.NO_TARGET)]
    unheard = {"probe.example": Records(fault=Fault.SERVFAIL)}
    assert tried(unheard, from_loopback("probe.example")) == [("127.0.0.1", Ended.NO_TARGET)]
    assert tried({}, from_loopback("")) == []


def test_an_address_of_another_node_is_not_tried_from_here() -> None:
    text = (
        '[delivery]\nsource_addresses = [{{address = "127.0.0.1"}}, {{address = "192.0.2.25"}}]\n[doctor]\nprobe = "{}"'
    )
    own = OwnAddresses(clock=lambda: 0.0)
    if own.has("192.0.2.25"):
        pytest.skip("this machine can bind any address, or has this one")
    text = from_loopback(f"127.0.0.1:{free_port()}").replace("}]", '}, {address = "192.0.2.25"}]')
    assert [name for name, _ in tried({}, text)] == ["127.0.0.1"]


async def web_server(date: str) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 301 Moved\r\nServer: x\r\n{date}\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0)


@pytest.mark.parametrize(
    ("date", "ahead"),
    [
        ("Date: Sun, 01 Mar 2026 12:00:00 GMT", timedelta(seconds=-0.5)),
        ("date: Sun, 01 Mar 2026 11:50:00 GMT", timedelta(seconds=599.5)),
        ("Date: yesterday", None),
        ("X-Other: 1", None),
    ],
)
def test_our_clock_is_held_against_that_of_a_web_server(date: str, ahead: timedelta | None) -> None:
    async def run(ask: Ask) -> ClockFacts | None:
        server = await web_server(date)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await read_web_clock(ask, config(f'[doctor]\nclock = "127.0.0.1:{port}"'), now=lambda: NOW)

    found = asking({}, run)
    assert found is not None
    assert found.ahead == ahead


def test_a_web_server_that_is_not_there_proves_nothing() -> None:
    text = f'[doctor]\nclock = "127.0.0.1:{free_port()}"'
    found = asking({}, lambda ask: read_web_clock(ask, config(text), now=lambda: NOW))
    assert found is not None
    assert check_clock(found).state is State.UNKNOWN
    assert asking({}, lambda ask: read_web_clock(ask, config('[doctor]\nclock = ""'), now=lambda: NOW)) is None


def test_a_greeting_with_a_date_is_a_clock_too() -> None:
    facts = replace(TRY, text="220 mx.example ESMTP; Sun, 1 Mar 2026 12:00:10 +0000")
    found = greeting_clock(facts, at=NOW)
    assert found is not None
    assert found.ahead == timedelta(seconds=-10.5)
    assert greeting_clock(TRY, at=NOW) is None


@pytest.mark.parametrize(
    ("seconds", "state"),
    [
        (0, State.GOOD),
        (-29, State.GOOD),
        (31, State.WARNING),
        (-299, State.WARNING),
        (301, State.BAD),
        (-999, State.BAD),
    ],
)
def test_a_clock_may_be_a_little_off(seconds: int, state: State) -> None:
    found = check_clock(ClockFacts(other="x", ahead=timedelta(seconds=seconds)))
    assert found.state is state
    assert bool(found.fix) is (state is not State.GOOD)


ROOT = ResolverFacts(
    servers="127.0.0.1:53",
    answer=Answer(Said.FOUND),
    seconds=0.01,
    is_trusted=True,
    is_secure=True,
    wants_dane=True,
)


@pytest.mark.parametrize(
    ("facts", "speed", "dnssec"),
    [
        (ROOT, State.GOOD, State.GOOD),
        (replace(ROOT, seconds=0.6), State.WARNING, State.GOOD),
        (replace(ROOT, is_secure=False), State.GOOD, State.WARNING),
        (replace(ROOT, is_secure=False, is_trusted=False), State.GOOD, State.WARNING),
        (replace(ROOT, is_secure=False, is_trusted=False, wants_dane=False), State.GOOD, State.GOOD),
        (replace(ROOT, answer=Answer(Said.NXDOMAIN), is_secure=False), State.WARNING, State.WARNING),
        (replace(ROOT, answer=Answer(Said.FAILED, why="silence"), seconds=9.0), State.UNKNOWN, State.UNKNOWN),
    ],
)
def test_name_servers_should_be_fast_and_check_what_they_say(facts: ResolverFacts, speed: State, dnssec: State) -> None:
    assert [one.state for one in check_resolver(facts)] == [speed, dnssec]


DISK = DiskFacts(folder="/d", free=100 * GIB, reserve=GIB, size=10 * GIB, per_day=GIB, kept=180 * DAY)


@pytest.mark.parametrize(
    ("facts", "state", "words"),
    [
        (DISK, State.GOOD, "99 days"),
        (replace(DISK, free=20 * GIB), State.WARNING, "19 days"),
        (replace(DISK, free=6 * GIB), State.BAD, "5 days"),
        (replace(DISK, free=GIB // 2), State.BAD, "less than the 1.0 GiB"),
        (replace(DISK, free=6 * GIB, kept=14 * DAY), State.GOOD, "enough for as long as mail is kept"),
        (replace(DISK, free=6 * GIB, kept=None), State.BAD, "5 days"),
        (replace(DISK, free=6 * GIB, per_day=0.0), State.GOOD, "enough"),
        (replace(DISK, per_day=None), State.GOOD, "100.0 GiB free"),
        (replace(DISK, per_day=None, is_shared=True), State.GOOD, "on its server"),
    ],
)
def test_the_disk_lasts_for_so_many_days(facts: DiskFacts, state: State, words: str) -> None:
    found = check_disk(facts)
    assert found.state is state
    assert words in found.found


def test_the_disk_under_the_store_is_measured(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "waybill.db").write_bytes(b"x" * 1000)
    (tmp_path / "data" / "waybill.db-wal").write_bytes(b"x" * 500)
    facts = look_at_disk(config(folder=tmp_path), share_per_day=0.1)
    assert (facts.size, facts.per_day, facts.is_shared) == (1500, 150.0, False)
    assert facts.free > 0
    shared = look_at_disk(config('[store]\nurl = "postgresql://x/y"', folder=tmp_path), share_per_day=0.1)
    assert (shared.size, shared.per_day, shared.is_shared) == (0, None, True)


CERTIFICATE = CertificateFacts(place="listener.1", file="/c", ends_at=NOW + 60 * DAY, hostname=RELAY)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (CERTIFICATE, State.GOOD),
        (replace(CERTIFICATE, ends_at=NOW + 13 * DAY), State.WARNING),
        (replace(CERTIFICATE, ends_at=NOW + 2 * DAY), State.BAD),
        (replace(CERTIFICATE, ends_at=NOW - DAY), State.BAD),
        (replace(CERTIFICATE, covers_name=False), State.WARNING),
        (replace(CERTIFICATE, covers_name=False, is_self_made=True), State.GOOD),
        (replace(CERTIFICATE, ends_at=None, fault="it cannot be read"), State.BAD),
    ],
)
def test_a_certificate_is_looked_at_before_it_ends(facts: CertificateFacts, state: State) -> None:
    found = check_certificate(facts, now=NOW)
    assert found.state is state
    assert bool(found.fix) is (state is not State.GOOD)


LISTENER = '[[listener]]\naddress = "127.0.0.1:{}"\ntls = "starttls"\n'
FILES = 'cert_file = "{0}"\nkey_file = "{0}"\n'


def test_the_certificates_of_all_listeners_are_read(tmp_path: Path) -> None:
    for name, host in (("good.pem", RELAY), ("wild.pem", "*.hotel.example"), ("other.pem", "other.example")):
        (tmp_path / name).write_bytes(make_certificate(host, now=NOW, lasts=30 * DAY))
    (tmp_path / "empty.pem").write_text("nothing")
    names = ("good.pem", "wild.pem", "other.pem", "empty.pem", "gone.pem")
    text = "".join(LISTENER.format(4000 + n) + FILES.format(name) for n, name in enumerate(names))
    found = look_at_certificates(config(text + LISTENER.format(5000), folder=tmp_path))
    assert [(one.covers_name, bool(one.fault)) for one in found] == [
        (True, False),
        (True, False),
        (False, False),
        (True, True),
        (True, True),
    ]
    assert found[0].ends_at == NOW + 30 * DAY
    own = tmp_path / "data" / "tls" / "self-signed.pem"
    own.parent.mkdir(parents=True)
    own.write_bytes(make_certificate("localhost", now=NOW))
    (self_made,) = look_at_certificates(config(LISTENER.format(5000), folder=tmp_path))
    assert self_made.is_self_made
    assert look_at_certificates(config('[[listener]]\naddress = "127.0.0.1:2525"', folder=tmp_path)) == []


@pytest.mark.parametrize(
    ("facts", "state", "fix"),
    [
        (FolderFacts(path="/d", mode=0o700), State.GOOD, ""),
        (FolderFacts(path="/d", mode=0o750), State.WARNING, "chmod go= /d"),
        (FolderFacts(path="/d", mode=0o755), State.BAD, "chmod go= /d"),
        (FolderFacts(path="/d", mode=0o700, owner="waybill"), State.WARNING, "sudo -u waybill waybill doctor"),
        (FolderFacts(path="/d", mode=None), State.UNKNOWN, ""),
    ],
)
def test_nobody_else_may_enter_the_data_folder(facts: FolderFacts, state: State, fix: str) -> None:
    found = check_folder(facts)
    assert (found.state, found.fix) == (state, fix)


def test_the_mode_of_the_folder_is_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    assert look_at_folder(tmp_path) == FolderFacts(path=str(tmp_path), mode=0o750)
    assert look_at_folder(tmp_path / "gone").mode is None


def test_versions_and_settings_are_looked_at() -> None:
    assert check_sqlite("3.51.3", is_affected=False).state is State.GOOD
    assert check_sqlite("3.40.1", is_affected=True).state is State.WARNING
    assert [check_python(version).state for version in ((3, 11, 7), (3, 14, 4), (3, 14, 5))] == [
        State.GOOD,
        State.WARNING,
        State.GOOD,
    ]
    assert [one.state for one in check_settings(["a"], ["b"])] == [State.BAD, State.WARNING]
    assert [one.state for one in check_settings([], [])] == [State.GOOD]


def test_all_questions_together_have_an_end() -> None:
    async def run(ask: Ask) -> list[Answer]:
        short = limited(ask, seconds=0.05)
        return [await short("silent.example", "TXT"), await short("there.example", "TXT")]

    zone = {"silent.example": Records(fault=Fault.SILENT), "there.example": txt("x")}
    first, second = asking(zone, run)
    assert first.is_failed
    assert second.is_failed
    assert "0.05 s" in second.why


def test_the_worst_of_several_states() -> None:
    assert worst([State.GOOD, State.UNKNOWN, State.WARNING]) is State.WARNING
    assert worst([]) is State.GOOD
