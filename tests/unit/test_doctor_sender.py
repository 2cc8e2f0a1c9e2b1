"""DKIM records, DMARC policies, alignment, and the rules for bulk senders, against a name server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

from relay.delivery.dkim import SigningKey
from relay.doctor.answer import Answer, Said, txt_record
from relay.doctor.dmarc import Dmarc, discover, is_aligned
from relay.doctor.dns_sender import SenderFacts, Sent, check_alignment, check_bulk, check_dmarc
from relay.doctor.finding import State
from relay.doctor.sender_dkim import KeyFacts, check_dkim, check_unsigned
from relay.doctor.sender_spf import SpfFacts
from relay.doctor.senders import keys_of, look_up_key
from relay.doctor.spf import Evaluation, Result
from tests.support.peers import Records
from tests.unit.doctoring import FAULTS, Zone, asking, txt

HOTEL = "hotel.example"
RSA = SigningKey(domain=HOTEL, selector="wb", key=generate_private_key(65537, 2048))
OLD = SigningKey(domain=HOTEL, selector="wb", key=generate_private_key(65537, 1024))
ED = SigningKey(domain=HOTEL, selector="wb", key=Ed25519PrivateKey.generate())


def dkim(key: SigningKey, records: Records | None) -> tuple[State, str]:
    zone = {key.record_name: records} if records is not None else {}
    found = check_dkim(asking(zone, lambda ask: look_up_key(ask, key)))
    return found.state, found.fix


@pytest.mark.parametrize(
    ("record", "state"),
    [
        (RSA.record, State.GOOD),
        (RSA.record.removeprefix("v=DKIM1; "), State.GOOD),
        (RSA.record.replace("k=rsa; ", ""), State.GOOD),
        (RSA.record.replace("p=", "p= ").replace("A", " A"), State.GOOD),
        (f"{RSA.record}; h=sha1:sha256; s=email; n=note", State.GOOD),
        (f"{RSA.record}; t=s", State.GOOD),
        (f"{RSA.record}; t=y", State.WARNING),
        (f"{RSA.record}; t=s : y", State.WARNING),
        (f"{RSA.record}; h=sha1", State.BAD),
        (f"{RSA.record}; s=other", State.BAD),
        (RSA.record.replace("DKIM1", "DKIM2"), State.BAD),
        (OLD.record, State.BAD),
        pytest.param(ED.record, State.BAD, id="another kind of key"),
        (RSA.record[:-30], State.BAD),
        ("v=DKIM1; k=rsa; p=", State.BAD),
        ("v=DKIM1; k=rsa", State.BAD),
        ("v=DKIM1; k=rsa; p=§", State.BAD),
        ("something else", State.BAD),
    ],
)
def test_a_dkim_record_fits_the_key_or_is_given_to_be_published(record: str, state: State) -> None:
    # As a name server holds it: in strings of 255 octets at most, which are put together again.
    pieces = '" "'.join(record[at : at + 200] for at in range(0, len(record), 200))
    publish = txt_record(f"wb._domainkey.{HOTEL}", RSA.record)
    assert dkim(RSA, txt(pieces)) == (state, "" if state is State.GOOD else publish)


@pytest.mark.parametrize(
    ("key", "records", "state"),
    [
        (ED, txt(ED.record), State.GOOD),
        (ED, txt(ED.record.replace("k=ed25519; ", "")), State.BAD),
        (OLD, txt(OLD.record), State.WARNING),
        (RSA, None, State.BAD),
        (RSA, Records(a=("192.0.2.1",)), State.BAD),
        (ED, txt(ED.record, ED.record.replace("v=DKIM1; ", "")), State.BAD),
        *((RSA, records, State.UNKNOWN) for records in FAULTS.values()),
    ],
)
def test_other_keys_and_other_answers(key: SigningKey, records: Records | None, state: State) -> None:
    found, fix = dkim(key, records)
    assert found is state
    assert bool(fix) is (state in (State.WARNING, State.BAD))


def test_the_record_that_is_given_is_whole_and_in_strings_that_dns_can_hold() -> None:
    fix = dkim(RSA, None)[1]
    strings = fix.partition(" TXT ")[2].split('" "')
    assert "".join(strings).strip('"') == RSA.record
    assert max(map(len, strings)) <= 255


def test_a_domain_without_a_key_is_told_how_to_make_one() -> None:
    found = check_unsigned(HOTEL, signed_by=frozenset())
    assert (found.state, found.fix) == (State.WARNING, "waybill dkim new hotel.example")
    assert check_unsigned(HOTEL, signed_by=frozenset({HOTEL})).state is State.GOOD


def policy(domain: str, zone: Zone) -> Dmarc:
    return asking(zone, lambda ask: discover(ask, domain))


@pytest.mark.parametrize(
    ("domain", "zone", "wanted"),
    [
        (HOTEL, {f"_dmarc.{HOTEL}": txt("v=DMARC1; p=reject")}, ("reject", HOTEL, HOTEL)),
        (HOTEL, {f"_dmarc.{HOTEL}": txt("v=DMARC1;p=Quarantine;")}, ("quarantine", HOTEL, HOTEL)),
        (HOTEL, {f"_dmarc.{HOTEL}": txt("v=spf1 -all", "v=DMARC1; p=none")}, ("none", HOTEL, HOTEL)),
        (HOTEL, {f"_dmarc.{HOTEL}": txt("v=DMARC1; rua=mailto:a@b.example")}, ("none", HOTEL, HOTEL)),
        (f"desk.{HOTEL}", {f"_dmarc.{HOTEL}": txt("v=DMARC1; p=reject")}, ("reject", HOTEL, HOTEL)),
        (f"desk.{HOTEL}", {f"_dmarc.{HOTEL}": txt("v=DMARC1; p=reject; sp=none")}, ("none", HOTEL, HOTEL)),
        (
            f"desk.{HOTEL}",
            {f"_dmarc.desk.{HOTEL}": txt("v=DMARC1; p=none"), f"_dmarc.{HOTEL}": txt("v=DMARC1; p=reject")},
            ("none", f"desk.{HOTEL}", HOTEL),
        ),
        (
            f"a.{HOTEL}",
            {f"_dmarc.{HOTEL}": txt("v=DMARC1; p=reject; psd=n"), "_dmarc.example": txt("v=DMARC1; p=none; psd=y")},
            ("reject", HOTEL, HOTEL),
        ),
        (f"a.{HOTEL}", {"_dmarc.example": txt("v=DMARC1; p=reject; psd=y")}, ("reject", "example", HOTEL)),
        (HOTEL, {f"_dmarc.{HOTEL}": txt("v=DMARC2; p=reject")}, ("", None, "")),
        (HOTEL, {}, ("", None, "")),
    ],
)
def test_the_policy_is_found_by_walking_up(domain: str, zone: Zone, wanted: tuple[str, str | None, str]) -> None:
    found = policy(domain, zone)
    assert (found.policy, found.found_at, found.organization) == wanted
    assert not found.fault + found.failure


@pytest.mark.parametrize(
    "records",
    [
        txt("v=DMARC1"),
        txt("v=DMARC1; p=rejekt"),
        txt("v=DMARC1; p=none", "v=DMARC1; p=reject"),
    ],
)
def test_a_faulty_policy_is_named(records: Records) -> None:
    assert policy(HOTEL, {f"_dmarc.{HOTEL}": records}).fault


def test_a_name_of_many_labels_is_not_asked_for_ever() -> None:
    asked: list[str] = []

    async def ask(name: str, kind: str) -> Answer:
        asked.append(name)
        return Answer(Said.NXDOMAIN)

    async def run(_: object) -> Dmarc:
        return await discover(ask, ".".join([*"abcdefghijklmnopqrst", "example"]))

    asking({}, run)
    assert len(asked) == 8
    assert asked[1] == "_dmarc.o.p.q.r.s.t.example"


@pytest.mark.parametrize(
    ("other", "organization", "is_strict", "wanted"),
    [
        (HOTEL, "", True, True),
        (f"bounce.{HOTEL}", HOTEL, False, True),
        (f"bounce.{HOTEL}", HOTEL, True, False),
        (f"bounce.{HOTEL}", "", False, True),
        (f"not{HOTEL}", "", False, False),
        ("other.example", "other.example", False, False),
    ],
)
def test_alignment_goes_by_the_organization(other: str, organization: str, is_strict: bool, wanted: bool) -> None:
    dmarc = Dmarc(domain=HOTEL, found_at=HOTEL, policy="none", organization=HOTEL)
    assert is_aligned(dmarc, other, other_organization=organization, is_strict=is_strict) is wanted


PASSES = SpfFacts(domain=HOTEL, by_ip=(("192.0.2.25", Evaluation(result=Result.PASS)),))
FAILS = SpfFacts(domain=HOTEL, by_ip=(("192.0.2.25", Evaluation(result=Result.FAIL)),))
SILENT = SpfFacts(domain=HOTEL, by_ip=(("192.0.2.25", Evaluation(result=Result.TEMPERROR)),))
assert isinstance(RSA.key, RSAPrivateKey)
KEY = KeyFacts(
    domain=HOTEL,
    record_name=RSA.record_name,
    record=RSA.record,
    bits=2048,
    answer=Answer(Said.FOUND, (RSA.record,)),
)
LOST = replace(KEY, answer=Answer(Said.NXDOMAIN))
UNHEARD = replace(KEY, answer=Answer(Said.FAILED, why="silence"))
REJECT = Dmarc(domain=HOTEL, found_at=HOTEL, text="v=DMARC1; p=reject", policy="reject", organization=HOTEL)
NONE = replace(REJECT, policy="none")
MISSING = Dmarc(domain=HOTEL)
PUBLISH = '_dmarc.hotel.example. IN TXT "v=DMARC1; p=none; rua=mailto:postmaster@hotel.example"'
DNS_DOWN = Dmarc(domain=HOTEL, failure="silence")


def facts(
    *, spf: SpfFacts = PASSES, keys: tuple[KeyFacts, ...] = (KEY,), dmarc: Dmarc = REJECT, sent: Sent | None = None
) -> SenderFacts:
    one = sent or Sent(envelope=spf.domain, count=3)
    return SenderFacts(domain=HOTEL, dmarc=dmarc, sent=(one,), spf={spf.domain: spf}, keys=keys)


@pytest.mark.parametrize(
    ("known", "state"),
    [
        (facts(), State.GOOD),
        (facts(spf=FAILS), State.GOOD),
        (facts(spf=replace(PASSES, domain="esp.example")), State.GOOD),
        (facts(keys=()), State.WARNING),
        (facts(keys=(LOST,)), State.WARNING),
        (facts(keys=(LOST,), spf=FAILS), State.BAD),
        (facts(keys=(LOST, KEY), spf=FAILS), State.GOOD),
        (facts(keys=(), spf=replace(PASSES, domain="esp.example")), State.BAD),
        (facts(keys=(), spf=FAILS, dmarc=NONE), State.WARNING),
        (facts(keys=(), spf=FAILS, dmarc=MISSING), State.WARNING),
        (facts(keys=(), spf=SILENT), State.UNKNOWN),
        (facts(keys=(UNHEARD,), spf=FAILS), State.UNKNOWN),
        (facts(keys=(UNHEARD,)), State.UNKNOWN),
        (facts(keys=(), spf=FAILS, dmarc=DNS_DOWN), State.UNKNOWN),
        (facts(keys=(), spf=FAILS, sent=Sent(envelope=HOTEL, signed_by=frozenset({HOTEL}))), State.GOOD),
        (facts(keys=(), spf=FAILS, sent=Sent(envelope=HOTEL, signed_by=frozenset({"esp.example"}))), State.BAD),
        (facts(keys=(), spf=replace(PASSES, domain=f"bounce.{HOTEL}")), State.WARNING),
        (facts(keys=(), spf=replace(PASSES, domain=f"b.{HOTEL}"), dmarc=replace(REJECT, strict_spf=True)), State.BAD),
        (facts(keys=(replace(KEY, domain="example"),), spf=FAILS, dmarc=replace(REJECT, strict_dkim=True)), State.BAD),
    ],
)
def test_mail_must_be_tied_to_the_domain_in_from(known: SenderFacts, state: State) -> None:
    (found,) = check_alignment(known)
    assert found.state is state


@pytest.mark.parametrize(
    ("dmarc", "state", "fix"),
    [
        (REJECT, State.GOOD, ""),
        (replace(REJECT, found_at="example"), State.GOOD, ""),
        (
            MISSING,
            State.WARNING,
            PUBLISH,
        ),
        (
            replace(REJECT, fault="it has no policy (p=)"),
            State.BAD,
            PUBLISH,
        ),
        (DNS_DOWN, State.UNKNOWN, ""),
    ],
)
def test_the_dmarc_record_is_judged(dmarc: Dmarc, state: State, fix: str) -> None:
    found = check_dmarc(facts(dmarc=dmarc))
    assert (found.state, found.fix) == (state, fix)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_policy_that_cannot_be_looked_up_is_not_missing(fault: str) -> None:
    found = policy(f"desk.{HOTEL}", {f"_dmarc.{HOTEL}": FAULTS[fault]})
    assert found.failure
    assert check_dmarc(facts(dmarc=found)).state is State.UNKNOWN


@pytest.mark.parametrize(
    ("known", "has_ptr", "has_tls", "state", "words"),
    [
        (facts(), True, True, State.GOOD, "met: SPF, DKIM, DMARC, alignment, PTR, TLS"),
        (facts(spf=FAILS), True, True, State.WARNING, "missing: SPF;"),
        (facts(keys=()), True, True, State.WARNING, "missing: DKIM;"),
        (facts(dmarc=MISSING), True, True, State.WARNING, "missing: DMARC;"),
        (facts(), False, True, State.WARNING, "missing: PTR;"),
        (facts(), True, False, State.WARNING, "missing: TLS;"),
        (facts(), None, True, State.UNKNOWN, "not known: PTR;"),
        (facts(spf=SILENT), True, True, State.UNKNOWN, "not known: SPF;"),
        (facts(dmarc=DNS_DOWN), True, True, State.UNKNOWN, "not known: DMARC;"),
        (
            facts(sent=Sent(envelope=HOTEL, is_bulk=True, has_one_click=False)),
            True,
            True,
            State.WARNING,
            "missing: one-click unsubscribe;",
        ),
        (facts(sent=Sent(envelope=HOTEL, is_bulk=True)), True, True, State.GOOD, "TLS, one-click unsubscribe"),
        (facts(sent=Sent(envelope=HOTEL, has_one_click=False)), True, True, State.GOOD, "met: "),
    ],
)
def test_the_rules_for_bulk_senders_are_one_line(
    known: SenderFacts, has_ptr: bool | None, has_tls: bool, state: State, words: str
) -> None:
    found = check_bulk(known, has_ptr=has_ptr, has_tls=has_tls)
    assert found.state is state
    assert words in found.found
    assert bool(found.fix) is (state is State.WARNING)


def test_mail_that_is_not_aligned_is_told_the_record_or_the_command() -> None:
    other = replace(KEY, domain="other.test")
    for keys, fix in [
        ((), f"waybill dkim new {HOTEL}"),
        ((other,), f"waybill dkim new {HOTEL}"),
        ((LOST,), txt_record(KEY.record_name, KEY.record)),
    ]:
        (found,) = check_alignment(facts(keys=keys, spf=FAILS))
        assert (found.state, found.fix) == (State.BAD, fix)


def test_the_key_of_the_closest_domain_signs() -> None:
    above = replace(KEY, domain="example")
    assert keys_of(f"desk.{HOTEL}", [above, KEY]) == [KEY]
    assert keys_of("other.example", [above, KEY]) == [above]
    assert keys_of("other.test", [above, KEY]) == []
