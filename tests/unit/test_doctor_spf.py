"""SPF as a receiver evaluates it: the mechanisms, the macros, the limits, and what cannot be known."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.doctor.answer import Ask
from relay.doctor.finding import Finding, State
from relay.doctor.sender_spf import SpfFacts, check_spf
from relay.doctor.spf import Evaluation, Result, evaluate
from relay.doctor.spf_record import SpfFault, expand, macro_values, read_record, with_addresses
from tests.support.peers import Fault, Records, reverse_name
from tests.unit.doctoring import FAULTS, Zone, asking, txt

OURS, OURS6, OTHER = "192.0.2.25", "2001:db8::25", "198.51.100.7"
HOTEL = "hotel.example"
NOTHING: Zone = {}

#: What the records below lead to.
WORLD = {
    "include.example": txt("v=spf1 ip4:192.0.2.0/24 -all"),
    "softly.example": txt("v=spf1 ip4:198.51.100.0/24 ~all"),
    "broken.example": txt("v=spf1 ip4:nonsense -all"),
    "host.example": Records(a=(OURS,), aaaa=(OURS6,)),
    "near.example": Records(a=("192.0.2.99",)),
    "mail.example": Records(mx=((10, "host.example"), (5, "near.example"))),
    "null.example": Records(mx=((0, "."),)),
    "many.example": Records(mx=tuple((n, f"mx{n}.example") for n in range(11))),
    "25.hotel.example": Records(a=("127.0.0.2",)),
    reverse_name(OURS): Records(ptr=("liar.elsewhere.example", "relay.hotel.example")),
    "relay.hotel.example": Records(a=(OURS,)),
    "liar.elsewhere.example": Records(a=(OTHER,)),
    "loop.example": txt("v=spf1 include:loop.example -all"),
}


def result(record: str | Records, *, ip: str = OURS, zone: Zone = NOTHING) -> Evaluation:
    top = txt(record) if isinstance(record, str) else record
    return asking({HOTEL: top, **WORLD, **zone}, lambda ask: evaluate(ask, ip=ip, domain=HOTEL, helo=f"relay.{HOTEL}"))


@pytest.mark.parametrize(
    ("record", "ip", "wanted"),
    [
        ("v=spf1 ip4:192.0.2.25 -all", OURS, Result.PASS),
        ("v=spf1 ip4:192.0.2.0/24 -all", OURS, Result.PASS),
        ("v=spf1 ip4:192.0.2.25 -all", OTHER, Result.FAIL),
        ("v=spf1 ip4:192.0.2.25 ~all", OTHER, Result.SOFTFAIL),
        ("v=spf1 ip4:192.0.2.25 ?all", OTHER, Result.NEUTRAL),
        ("v=spf1 ip4:192.0.2.25", OTHER, Result.NEUTRAL),
        ("v=spf1 -ip4:192.0.2.25 +all", OURS, Result.FAIL),
        ("V=SPF1 IP4:192.0.2.25 -ALL", OURS, Result.PASS),
        ("v=spf1", OURS, Result.NEUTRAL),
        ("v=spf10 ip4:192.0.2.25", OURS, Result.NONE),
        ("google-site-verification=x", OURS, Result.NONE),
        ("v=spf1 ip6:2001:db8::/32 -all", OURS6, Result.PASS),
        ("v=spf1 ip6:2001:db8::/32 -all", OURS, Result.FAIL),
        ("v=spf1 ip4:192.0.2.25 -all", "::ffff:192.0.2.25", Result.PASS),
        ("v=spf1 a:host.example -all", OURS, Result.PASS),
        ("v=spf1 a:host.example -all", OURS6, Result.PASS),
        ("v=spf1 a:near.example -all", OURS, Result.FAIL),
        ("v=spf1 a:near.example/24 -all", OURS, Result.PASS),
        ("v=spf1 a:host.example/24//32 -all", "2001:db8:ffff::1", Result.PASS),
        ("v=spf1 mx:mail.example -all", OURS, Result.PASS),
        ("v=spf1 mx:mail.example -all", OTHER, Result.FAIL),
        ("v=spf1 mx:null.example -all", OURS, Result.FAIL),
        ("v=spf1 mx:many.example -all", OURS, Result.PERMERROR),
        ("v=spf1 ptr -all", OURS, Result.PASS),
        ("v=spf1 ptr:elsewhere.example -all", OURS, Result.FAIL),
        ("v=spf1 exists:%{i1}.hotel.example -all", OURS, Result.PASS),
        ("v=spf1 exists:%{i}.nothing.example -all", OURS, Result.FAIL),
        ("v=spf1 include:include.example -all", OURS, Result.PASS),
        ("v=spf1 include:include.example -all", OTHER, Result.FAIL),
        ("v=spf1 include:softly.example ip4:192.0.2.25 -all", OURS, Result.PASS),
        ("v=spf1 -include:include.example +all", OURS, Result.FAIL),
        ("v=spf1 include:broken.example -all", OURS, Result.PERMERROR),
        ("v=spf1 include:host.example -all", OURS, Result.PERMERROR),
        ("v=spf1 include:loop.example -all", OURS, Result.PERMERROR),
        ("v=spf1 redirect=include.example", OURS, Result.PASS),
        ("v=spf1 redirect=include.example", OTHER, Result.FAIL),
        ("v=spf1 redirect=host.example", OURS, Result.PERMERROR),
        ("v=spf1 ~all redirect=include.example", OURS, Result.SOFTFAIL),
        ("v=spf1 unknown=yes ip4:192.0.2.25 -all", OURS, Result.PASS),
        ("v=spf1 exp=why.hotel.example ip4:192.0.2.25 -all", OURS, Result.PASS),
        ("v=spf1 ip4:192.0.2.25 -all nonsense", OURS, Result.PERMERROR),
    ],
)
def test_a_record_gives_what_a_receiver_would_say(record: str, ip: str, wanted: Result) -> None:
    assert result(record, ip=ip).result is wanted


@pytest.mark.parametrize(
    ("fault", "where"),
    [
        *((fault, HOTEL) for fault in FAULTS),
        *(("servfail", name) for name in ("include.example", "host.example", "mail.example")),
    ],
)
def test_a_name_server_that_fails_is_a_temporary_error(fault: str, where: str) -> None:
    record = "v=spf1 include:include.example mx:mail.example a:host.example -all"
    found = result(record, ip=OTHER, zone={where: FAULTS[fault]})
    assert found.result is Result.TEMPERROR
    assert found.text


def test_a_failing_ptr_look_up_only_does_not_match() -> None:
    found = result("v=spf1 ptr ip4:192.0.2.25 -all", zone={reverse_name(OURS): Records(fault=Fault.SERVFAIL)})
    assert (found.result, found.term) == (Result.PASS, "ip4:192.0.2.25 of hotel.example")


def test_two_records_are_an_error() -> None:
    found = result(txt("v=spf1 ip4:192.0.2.25 -all", "v=spf1 -all"))
    assert found.result is Result.PERMERROR
    assert len(found.records) == 2


def test_a_domain_that_does_not_exist_has_no_record() -> None:
    found = asking({}, lambda ask: evaluate(ask, ip=OURS, domain="gone.example", helo="relay.example"))
    assert found.result is Result.NONE


@pytest.mark.parametrize(("count", "wanted"), [(10, Result.PASS), (11, Result.PERMERROR)])
def test_ten_terms_may_ask_dns(count: int, wanted: Result) -> None:
    names = {f"i{n}.example": txt("v=spf1 ip4:203.0.113.1") for n in range(count)}
    words = " ".join(f"include:{name}" for name in names)
    assert result(f"v=spf1 {words} ip4:192.0.2.25 -all", zone=names).result is wanted


def test_look_ups_of_included_records_count_as_well() -> None:
    inner = txt("v=spf1 " + " ".join("a:host.example" for _ in range(10)))
    assert result("v=spf1 include:inner.example -all", ip=OTHER, zone={"inner.example": inner}).text.startswith(
        "more than 10"
    )


@pytest.mark.parametrize(("count", "wanted"), [(2, Result.PASS), (3, Result.PERMERROR)])
def test_two_look_ups_may_find_nothing(count: int, wanted: Result) -> None:
    words = " ".join(f"a:gone{n}.example" for n in range(count))
    assert result(f"v=spf1 {words} ip4:192.0.2.25 -all").result is wanted


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 all:x -all",
        "v=spf1 include -all",
        "v=spf1 exists -all",
        "v=spf1 include:x.example/24",
        "v=spf1 ip4 -all",
        "v=spf1 ip4:2001:db8::1",
        "v=spf1 ip6:192.0.2.1",
        "v=spf1 ip4:192.0.2.1/33",
        "v=spf1 ip4:192.0.2.0/255.255.255.0",
        "v=spf1 a/33",
        "v=spf1 a//129",
        "v=spf1 a:example",
        "v=spf1 a:host.123",
        "v=spf1 a:%{x}.example",
        "v=spf1 a:%{d0}.example",
        "v=spf1 a:%%{d",
        "v=spf1 a:%.example",
        "v=spf1 ipv4:192.0.2.1 -all",
        "v=spf1 redirect=a.example redirect=b.example",
        "v=spf1 -",
    ],
)
def test_a_record_with_a_fault_is_refused_whole(record: str) -> None:
    with pytest.raises(SpfFault):
        read_record(record)


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        # The examples of RFC 7208 7.4.
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        ("%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("a%_b%-c%%.example", "a b%20c%.example"),
        ("%{p}.%{h}", "unknown.mx.example.org"),
    ],
)
def test_macros_are_filled_in_as_the_rfc_shows(spec: str, wanted: str) -> None:
    values = macro_values(
        ip_address("192.0.2.3"),
        sender="strong-bad@email.example.com",
        domain="email.example.com",
        helo="mx.example.org",
        name_of_ip="unknown",
    )
    assert expand(spec, values) == wanted


def test_an_ipv6_address_is_filled_in_digit_by_digit() -> None:
    values = macro_values(
        ip_address("2001:db8::cb01"), sender="a@b.example", domain="b.example", helo="h", name_of_ip=""
    )
    reverse = "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
    assert expand("%{ir}.%{v}.example", values) == f"{reverse}.ip6.example"


def test_a_name_that_grows_too_long_loses_labels_in_front() -> None:
    values = macro_values(ip_address("192.0.2.3"), sender="x", domain=".".join(["label"] * 60), helo="h", name_of_ip="")
    name = expand("%{d}.example", values)
    assert len(name) <= 253
    assert name.endswith("label.example")


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ("v=spf1 -all", "v=spf1 ip4:192.0.2.25 ip6:2001:db8::25 -all"),
        ("v=spf1 mx ~all", "v=spf1 mx ip4:192.0.2.25 ip6:2001:db8::25 ~all"),
        ("v=spf1 a redirect=x.example", "v=spf1 a ip4:192.0.2.25 ip6:2001:db8::25 redirect=x.example"),
        ("v=spf1 mx", "v=spf1 mx ip4:192.0.2.25 ip6:2001:db8::25"),
    ],
)
def test_our_addresses_are_put_before_the_end_of_a_record(record: str, wanted: str) -> None:
    assert with_addresses(record, [OURS, OURS6]) == wanted


def finding(record: str | Records, *ips: str, zone: Zone = NOTHING) -> tuple[State, str]:
    top = txt(record) if isinstance(record, str) else record

    async def run(ask: Ask) -> Finding:
        found = [(ip, await evaluate(ask, ip=ip, domain=HOTEL, helo="relay.hotel.example")) for ip in ips]
        return check_spf(SpfFacts(domain=HOTEL, by_ip=tuple(found)))

    found = asking({HOTEL: top, **WORLD, **zone}, run)
    return found.state, found.fix


@pytest.mark.parametrize(
    ("record", "state", "fix"),
    [
        ("v=spf1 ip4:192.0.2.25 -all", State.GOOD, ""),
        ("v=spf1 +all", State.WARNING, 'hotel.example. IN TXT "v=spf1 ip4:192.0.2.25 ~all"'),
        ("v=spf1 ptr -all", State.WARNING, 'hotel.example. IN TXT "v=spf1 ip4:192.0.2.25 -all"'),
        (
            "v=spf1 ptr:x.example ip4:192.0.2.25 ?all",
            State.WARNING,
            'hotel.example. IN TXT "v=spf1 ip4:192.0.2.25 ?all"',
        ),
        ("v=spf1 ?all", State.WARNING, 'hotel.example. IN TXT "v=spf1 ip4:192.0.2.25 ?all"'),
        ("v=spf1 mx:mail.example -mx -all", State.GOOD, ""),
        (
            "v=spf1 ip4:203.0.113.9 -all",
            State.BAD,
            'hotel.example. IN TXT "v=spf1 ip4:203.0.113.9 ip4:192.0.2.25 -all"',
        ),
        ("v=spf1 ~all", State.BAD, 'hotel.example. IN TXT "v=spf1 ip4:192.0.2.25 ~all"'),
        ("nothing of the kind", State.BAD, 'hotel.example. IN TXT "v=spf1 ip4:192.0.2.25 ~all"'),
        ("v=spf1 ip4:oops -all", State.BAD, "dig +short TXT hotel.example"),
        (
            txt("v=spf1 ip4:203.0.113.9 -all", "v=spf1 mx -all"),
            State.BAD,
            'hotel.example. IN TXT "v=spf1 ip4:203.0.113.9 mx ip4:192.0.2.25 -all"',
        ),
        *[(records, State.UNKNOWN, "") for records in FAULTS.values()],
    ],
)
def test_the_finding_says_how_it_stands_and_what_to_publish(record: str | Records, state: State, fix: str) -> None:
    assert finding(record, OURS) == (state, fix)


def test_only_the_address_that_is_missing_is_added() -> None:
    state, fix = finding("v=spf1 ip4:192.0.2.25 -all", OURS, OURS6)
    assert (state, fix) == (State.BAD, 'hotel.example. IN TXT "v=spf1 ip4:192.0.2.25 ip6:2001:db8::25 -all"')


def test_a_record_that_will_soon_be_too_long_is_a_warning() -> None:
    names = {f"i{n}.example": txt("v=spf1 ip4:203.0.113.1") for n in range(9)}
    words = " ".join(f"include:{name}" for name in names)
    assert finding(f"v=spf1 {words} ip4:192.0.2.25 -all", OURS, zone=names)[0] is State.WARNING


def test_without_an_address_nothing_is_known() -> None:
    found = check_spf(SpfFacts(domain=HOTEL, by_ip=()))
    assert (found.state, found.fix) == (State.UNKNOWN, '[doctor]\npublic_addresses = ["192.0.2.25"]')
    found = check_spf(SpfFacts(domain=HOTEL, by_ip=(), smarthost="smart.example"))
    assert (found.state, found.fix) == (State.UNKNOWN, "")
    assert "smart.example" in found.found


@given(st.text(alphabet="v=spf1 +-~?alinudeixmp46:/.%{}sodr0123456789_,", max_size=80))
@example("v=spf1 a:%{d}%{")
def test_any_text_is_read_or_named_faulty(text: str) -> None:
    try:
        record = read_record("v=spf1 " + text)
    except SpfFault:
        return
    values = macro_values(ip_address(OURS), sender=f"a@{HOTEL}", domain=HOTEL, helo="h", name_of_ip="unknown")
    for term in record.terms:
        assert len(expand(term.spec, values)) <= max(253, len(term.spec) * 70)
