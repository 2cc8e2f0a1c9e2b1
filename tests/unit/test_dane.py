"""TLSA records against certificate chains (RFC 7672)."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from relay.delivery.dane import Tlsa, problem_with
from tests.delivery.certificates import Authority

NAMES = ("mx.guest.example", "guest.example")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def public_key(der: bytes) -> bytes:
    key = x509.load_der_x509_certificate(der).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def record(usage: int, selector: int, matching: int, der: bytes) -> Tlsa:
    data = der if selector == 0 else public_key(der)
    hashed = {0: data, 1: hashlib.sha256(data).digest(), 2: hashlib.sha512(data).digest()}
    return Tlsa(usage, selector, matching, hashed[matching])


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize("temper", ["good", "wrong name", "expired", "self-signed"])
def test_usage_3_looks_at_the_certificate_alone(
    authority: Authority, selector: int, matching: int, temper: str
) -> None:
    name = "elsewhere.example" if temper == "wrong name" else NAMES[0]
    authority.server(name, is_expired=temper == "expired", is_self_signed=temper == "self-signed")
    fitting = record(3, selector, matching, authority.served)
    assert problem_with([authority.served], [fitting], names=NAMES) == ""


def test_one_record_of_several_is_enough_and_another_certificate_is_not(authority: Authority) -> None:
    authority.server(NAMES[0])
    old = record(3, 1, 1, authority.served)
    authority.server(NAMES[0])
    new = authority.served
    assert problem_with([new], [old, record(3, 1, 1, new)], names=NAMES) == ""
    assert "none of those" in problem_with([new], [old], names=NAMES)
    assert "no certificate" in problem_with([], [old], names=NAMES)
    assert "cannot be read" in problem_with([b"garbage"], [old], names=NAMES)


@pytest.mark.parametrize(
    ("name", "is_expired", "is_good"),
    [
        ("mx.guest.example", False, True),
        ("guest.example", False, True),
        ("elsewhere.example", False, False),
        ("mx.guest.example", True, False),
    ],
)
def test_usage_2_needs_a_path_a_name_and_a_date(
    authority: Authority, name: str, is_expired: bool, is_good: bool
) -> None:
    authority.server(name, is_expired=is_expired)
    anchor = record(2, 0, 1, authority.own)
    said = problem_with([authority.served, authority.own], [anchor], names=NAMES)
    assert (said == "") is is_good, said


def test_usage_2_needs_the_authority_in_the_chain_and_the_right_one(authority: Authority, tmp_path: Path) -> None:
    authority.server(NAMES[0])
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    assert problem_with([authority.served], [record(2, 0, 1, authority.own)], names=NAMES) != ""
    stranger = record(2, 0, 1, other.own)
    assert problem_with([authority.served, other.own], [stranger], names=NAMES) != ""


@pytest.mark.parametrize(
    ("tlsa", "is_usable"),
    [
        (Tlsa(3, 1, 1, b"x" * 32), True),
        (Tlsa(2, 0, 2, b"x" * 64), True),
        (Tlsa(3, 0, 0, b"x"), True),
        (Tlsa(1, 1, 1, b"x" * 32), False),
        (Tlsa(0, 1, 1, b"x" * 32), False),
        (Tlsa(3, 2, 1, b"x" * 32), False),
        (Tlsa(3, 1, 3, b"x" * 32), False),
        (Tlsa(3, 1, 1, b"x" * 31), False),
        (Tlsa(3, 0, 0, b""), False),
    ],
)
def test_what_cannot_be_used_counts_as_not_there(tlsa: Tlsa, is_usable: bool) -> None:
    assert tlsa.is_usable is is_usable
