"""The name server of the demo: it answers, and fails, as its table says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from tests.support.peers import NULL_MX, FakeDns, Fault, Records, reverse_name, until

ZONE: Mapping[str, Records] = {
    "guest.example": Records(mx=((10, "mx1.guest.example"), (20, "mx2.guest.example")), txt=("v=spf1 -all",)),
    "mx1.guest.example": Records(a=("127.0.1.1",), aaaa=("::1",)),
    "deep.under.tree.example": Records(a=("127.0.1.2",)),
    "nullmx.example": NULL_MX,
    "alias.example": Records(cname="guest.example"),
    "dangling.example": Records(cname="nowhere.example"),
    "round.example": Records(cname="about.example"),
    "about.example": Records(cname="round.example"),
    "lame.example": Records(fault=Fault.LAME),
    "servfail.example": Records(fault=Fault.SERVFAIL),
    "to-servfail.example": Records(cname="servfail.example"),
    "refused.example": Records(fault=Fault.REFUSED),
    "gone.example": Records(a=("127.0.1.1",), fault=Fault.NXDOMAIN),
    "half.example": Records(a=("127.0.1.1",), fault=Fault.SERVFAIL, fault_types=frozenset({"AAAA"})),
    reverse_name("127.0.1.1"): Records(ptr=("mx1.guest.example",)),
}


async def ask(server: FakeDns, name: str, rdtype: str, *, tcp: bool = False, timeout: float = 5) -> dns.message.Message:
    query = dns.message.make_query(name, rdtype, use_edns=0, payload=1232)
    way = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    return await way(query, server.address.host, port=server.address.port, timeout=timeout)


def texts(message: dns.message.Message) -> list[str]:
    return [f"{dns.rdatatype.to_text(rrset.rdtype)} {rdata}" for rrset in message.answer for rdata in rrset]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize(
    ("name", "rdtype", "rcode", "want"),
    [
        ("guest.example", "MX", "NOERROR", ["MX 10 mx1.guest.example.", "MX 20 mx2.guest.example."]),
        ("GUEST.Example", "TXT", "NOERROR", ['TXT "v=spf1 -all"']),
        ("mx1.guest.example", "A", "NOERROR", ["A 127.0.1.1"]),
        ("mx1.guest.example", "AAAA", "NOERROR", ["AAAA ::1"]),
        ("guest.example", "A", "NOERROR", []),
        ("guest.example", "SRV", "NOERROR", []),
        ("tree.example", "MX", "NOERROR", []),
        ("nobody.example", "MX", "NXDOMAIN", []),
        ("nullmx.example", "MX", "NOERROR", ["MX 0 ."]),
        (
            "alias.example",
            "MX",
            "NOERROR",
            ["CNAME guest.example.", "MX 10 mx1.guest.example.", "MX 20 mx2.guest.example."],
        ),
        ("alias.example", "CNAME", "NOERROR", ["CNAME guest.example."]),
        ("dangling.example", "MX", "NXDOMAIN", ["CNAME nowhere.example."]),
        ("servfail.example", "MX", "SERVFAIL", []),
        ("to-servfail.example", "MX", "SERVFAIL", []),
        ("refused.example", "MX", "REFUSED", []),
        ("gone.example", "A", "NXDOMAIN", []),
        ("half.example", "A", "NOERROR", ["A 127.0.1.1"]),
        ("half.example", "AAAA", "SERVFAIL", []),
        ("1.1.0.127.in-addr.arpa", "PTR", "NOERROR", ["PTR mx1.guest.example."]),
    ],
)
def test_answer_is_what_the_table_says(name: str, rdtype: str, rcode: str, want: list[str], tcp: bool) -> None:
    async def scene() -> dns.message.Message:
        async with FakeDns(ZONE) as server:
            return await ask(server, name, rdtype, tcp=tcp)

    got = asyncio.run(scene())

    assert (dns.rcode.to_text(got.rcode()), sorted(texts(got))) == (rcode, sorted(want))
    assert got.flags & dns.flags.RA


def test_no_carries_an_soa_so_that_it_can_be_remembered() -> None:
    async def scene() -> tuple[dns.message.Message, dns.message.Message]:
        async with FakeDns(ZONE) as server:
            return await ask(server, "nobody.example", "MX"), await ask(server, "guest.example", "A")

    for answer in asyncio.run(scene()):
        assert [rrset.rdtype for rrset in answer.authority] == [dns.rdatatype.SOA]


def test_cname_loop_ends_without_an_answer() -> None:
    async def scene() -> dns.message.Message:
        async with FakeDns(ZONE) as server:
            return await ask(server, "round.example", "MX", tcp=True)

    assert {text.split()[0] for text in texts(asyncio.run(scene()))} == {"CNAME"}


def test_lame_server_gives_a_referral_and_nothing_else() -> None:
    async def scene() -> dns.message.Message:
        async with FakeDns(ZONE) as server:
            return await ask(server, "lame.example", "MX")

    got = asyncio.run(scene())

    assert not got.answer
    assert [rrset.rdtype for rrset in got.authority] == [dns.rdatatype.NS]


def test_large_answer_is_truncated_over_udp_and_whole_over_tcp() -> None:
    many = Records(mx=tuple((n, f"mx{n}.a-rather-long-name.example") for n in range(100)))

    async def scene() -> tuple[dns.message.Message, dns.message.Message]:
        async with FakeDns({"many.example": many}) as server:
            return await ask(server, "many.example", "MX"), await ask(server, "many.example", "MX", tcp=True)

    short, whole = asyncio.run(scene())

    assert short.flags & dns.flags.TC
    assert not short.answer
    assert len(whole.answer[0]) == 100


def test_truncating_server_answers_over_tcp_unless_it_is_dead_there() -> None:
    good = Records(a=("127.0.1.1",), fault=Fault.TRUNCATED)

    async def scene() -> tuple[dns.message.Message, dns.message.Message]:
        async with FakeDns({"ok.example": good, "dead.example": replace(good, fault=Fault.TRUNCATED_DEAD)}) as server:
            over_udp, over_tcp = await ask(server, "ok.example", "A"), await ask(server, "ok.example", "A", tcp=True)
            assert (await ask(server, "dead.example", "A")).flags & dns.flags.TC
            with pytest.raises(EOFError):
                await ask(server, "dead.example", "A", tcp=True)
            return over_udp, over_tcp

    over_udp, over_tcp = asyncio.run(scene())

    assert over_udp.flags & dns.flags.TC
    assert not over_udp.answer
    assert texts(over_tcp) == ["A 127.0.1.1"]


def test_garbage_is_no_dns_message() -> None:
    async def scene() -> None:
        async with FakeDns({"garbage.example": Records(fault=Fault.GARBAGE)}) as server:
            await ask(server, "garbage.example", "MX")

    with pytest.raises(dns.exception.DNSException):
        asyncio.run(scene())


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_silent_name_gets_no_answer_and_does_not_hold_up_others(tcp: bool) -> None:
    async def scene() -> list[str]:
        async with FakeDns({**ZONE, "silent.example": Records(fault=Fault.SILENT)}) as server:
            asking = asyncio.ensure_future(ask(server, "silent.example", "MX", tcp=tcp, timeout=30))
            await until(lambda: server.times_asked("silent.example") > 0)
            got = texts(await ask(server, "mx1.guest.example", "A", tcp=tcp))
            assert not asking.done()
            asking.cancel()
            await asyncio.wait([asking])
            return got

    assert asyncio.run(scene()) == ["A 127.0.1.1"]


def test_server_that_is_down_answers_again_when_it_is_up() -> None:
    async def scene() -> list[str]:
        async with FakeDns(ZONE) as server:
            server.is_down = True
            with pytest.raises(dns.exception.Timeout):
                await ask(server, "mx1.guest.example", "A", timeout=0.1)
            server.is_down = False
            return texts(await ask(server, "mx1.guest.example", "A"))

    assert asyncio.run(scene()) == ["A 127.0.1.1"]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_delayed_answer_comes_no_sooner_than_its_delay(tcp: bool) -> None:
    async def scene() -> float:
        loop = asyncio.get_running_loop()
        async with FakeDns({"slow.example": Records(a=("127.0.1.1",), delay=0.1)}) as server:
            started = loop.time()
            assert texts(await ask(server, "slow.example", "A", tcp=tcp)) == ["A 127.0.1.1"]
            return loop.time() - started

    assert asyncio.run(scene()) >= 0.09


def test_records_change_while_the_server_runs_and_questions_are_remembered() -> None:
    async def scene() -> tuple[list[str], str, FakeDns]:
        async with FakeDns() as server:
            server.set("New.Example.", Records(a=("127.0.1.7",)))
            first = texts(await ask(server, "new.example", "A"))
            server.remove("new.example")
            second = dns.rcode.to_text((await ask(server, "new.example", "A", tcp=True)).rcode())
            return first, second, server

    first, second, server = asyncio.run(scene())

    assert (first, second) == (["A 127.0.1.7"], "NXDOMAIN")
    assert [(q.name, q.rdtype, q.transport) for q in server.asked] == [
        ("new.example", "A", "udp"),
        ("new.example", "A", "tcp"),
    ]
    assert (server.times_asked("new.example"), server.times_asked("new.example", "MX")) == (2, 0)


def test_bytes_that_are_no_question_are_ignored() -> None:
    async def scene() -> list[str]:
        async with FakeDns(ZONE) as server:
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=(server.address.host, server.address.port)
            )
            for junk in (b"", b"\x00", b"\xff" * 600):
                transport.sendto(junk)
            transport.close()
            return texts(await ask(server, "mx1.guest.example", "A"))

    assert asyncio.run(scene()) == ["A 127.0.1.1"]
