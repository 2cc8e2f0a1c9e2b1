"""DKIM signatures: which mail gets which, what they cover, and two independent programs that believe them."""

from __future__ import annotations

import random
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.delivery.dkim import SigningKey, keys_for, read_key, relaxed_body, relaxed_field, sign
from relay.delivery.dkim_keys import new_key
from relay.headers import parse_block
from tests.support.tools import need

AT = datetime(2026, 3, 1, tzinfo=UTC)
MAIL = b"From: Desk <desk@hotel.example>\r\nTo: guest@example.com\r\nSubject: Booking\r\n\r\nWelcome!\r\n"


@cache
def keys() -> tuple[SigningKey, SigningKey]:
    return (
        SigningKey(domain="hotel.example", selector="r1", key=new_key("rsa")),
        SigningKey(domain="hotel.example", selector="e1", key=new_key("ed25519")),
    )


def verdicts(signed: bytes, made: Sequence[SigningKey]) -> list[bool]:
    records = {f"{key.record_name}.".encode(): key.record.encode() for key in made}
    return [_verdict(signed, number, records) for number in range(len(made))]


def _verdict(signed: bytes, number: int, records: dict[bytes, bytes]) -> bool:
    try:
        return bool(dkim.DKIM(signed).verify(number, dnsfunc=lambda name, timeout=5: records[name]))
    except dkim.ValidationError:
        return False


def count(signed: bytes) -> int:
    return signed.count(b"DKIM-Signature:")


# What a signature covers

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=60)
_NAMES = st.sampled_from(["Subject", "To", "Cc", "X-Booking", "Reply-To", "List-Unsubscribe", "Received", "Date"])
_WHITE = st.sampled_from(["", " ", "  ", "\t", " \t ", "\r\n ", "\r\n\t"])
_LINES = st.lists(st.tuples(_TEXT, st.sampled_from(["", " ", "\t", "  \t"])), max_size=12)


@st.composite
def mails(draw: st.DrawFn) -> bytes:
    """Any header in any order, folded anywhere, over any text: what old apps send and worse."""
    fields = [f"From:{draw(_WHITE)}Desk <desk@hotel.example>"]
    for name in draw(st.lists(_NAMES, max_size=8)):
        words = draw(st.lists(_TEXT.map(str.strip).filter(bool), min_size=1, max_size=4))
        fields.append(
            f"{name}:{draw(_WHITE)}" + "".join(word + draw(st.sampled_from([" ", "\r\n ", "\t"])) for word in words)
        )
    order = draw(st.permutations(fields))
    body = "".join(f"{text}{white}\r\n" for text, white in draw(_LINES)) + "\r\n" * draw(st.integers(0, 3))
    return ("\r\n".join(order) + "\r\n\r\n" + body).encode()


@settings(max_examples=300, deadline=None)
@given(mail=mails())
def test_dkimpy_believes_both_signatures_of_any_mail(mail: bytes) -> None:
    signed = sign(mail, keys(), at=AT)
    assert signed.endswith(mail), "the mail itself is never changed"
    assert verdicts(signed, keys()) == [True, True]


def test_opendkim_believes_a_thousand(tmp_path: Path) -> None:
    program = need("opendkim")
    rng = random.Random(7)
    words = ["Booking", "=?utf-8?q?B=C3=A4r?=", "täällä", "  ", "\t", "a" * 70, "\r\n ", "<b>", "."]
    files = []
    for number in range(1000):
        fields = [f"{rng.choice(['Subject', 'Cc', 'X-Other'])}: x{''.join(rng.choices(words, k=4))}" for _ in range(3)]
        lines = ["".join(rng.choices(words, k=5)).replace("\r\n", "") for _ in range(rng.randrange(12))]
        mail = "\r\n".join(["From: desk@hotel.example", *fields, "", *lines, "", ""]).encode()
        files.append(tmp_path / f"{number}.eml")
        files[-1].write_bytes(sign(mail, keys(), at=AT))
    (tmp_path / "keys").write_text("".join(f"{key.record_name} {key.record}\n" for key in keys()))
    (tmp_path / "conf").write_text(f"Mode v\nTestPublicKeys {tmp_path}/keys\nSyslog no\n")
    command = [program, "-x", str(tmp_path / "conf"), "-vv", "-t", ",".join(str(file) for file in files)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    passed = [len(re.findall(r"dkim=pass", part)) for part in ran.stdout.split("### INSHEADER")[1:]]
    assert passed == [2] * 1000, ran.stdout[:2000] + ran.stderr[-2000:]


@pytest.mark.parametrize(
    ("change", "is_believed"),
    [
        ((b"Welcome!", b"Welcome?"), False),
        ((b"Subject: Booking", b"Subject: Cancelled"), False),
        ((b"Subject: Booking", b"Subject: Booking\r\nSubject: Two"), False),
        ((b"To: guest", b"Reply-To: evil@example.net\r\nTo: guest"), False),
        ((b"To: guest", b"Cc: more@example.net\r\nTo: guest"), False),
        ((b"To: guest", b"X-Scanned: yes\r\nTo: guest"), True),
        ((b"Subject: Booking", b"SUBJECT:   Booking  "), True),
        ((b"Welcome!\r\n", b"Welcome! \r\n\r\n\r\n"), True),
    ],
)
def test_what_may_change_on_the_way_and_what_may_not(change: tuple[bytes, bytes], is_believed: bool) -> None:
    signed = sign(MAIL, keys(), at=AT)
    assert verdicts(signed.replace(*change), keys()) == [is_believed] * 2


def test_a_retry_signs_the_same_bytes() -> None:
    assert sign(MAIL, keys(), at=AT) == sign(MAIL, keys(), at=AT)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b"", b""),
        (b"\r\n\r\n", b""),
        (b" \r\n", b""),
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),
        (b"no end", b"no end\r\n"),
    ],
)
def test_the_relaxed_body_of_the_rfc(body: bytes, wanted: bytes) -> None:
    """RFC 6376 3.4.5."""
    assert relaxed_body(body) == wanted


def test_the_relaxed_fields_of_the_rfc() -> None:
    assert relaxed_field(b"A: X") == b"a:X"
    assert relaxed_field(b"B : Y\t\r\n\tZ  ") == b"b:Y Z"


# Which keys sign which mail


@pytest.mark.parametrize(
    ("sender", "wanted"),
    [
        ("desk@hotel.example", ["hotel.example"]),
        ("desk@HOTEL.example", ["hotel.example"]),
        ("news@mail.hotel.example", ["mail.hotel.example"]),
        ("a@deep.mail.hotel.example", ["mail.hotel.example"]),
        ("a@spa.hotel.example", ["hotel.example"]),
        ("a@nothotel.example", []),
        ("a@bücher.example", ["xn--bcher-kva.example"]),
        ("a@hotel.example, b@spa.example", []),
    ],
)
def test_the_closest_domain_signs(sender: str, wanted: list[str]) -> None:
    made = [
        SigningKey(domain=domain, selector="s", key=keys()[1].key)
        for domain in ("hotel.example", "mail.hotel.example", "xn--bcher-kva.example")
    ]
    block = parse_block(f"From: {sender}\r\n\r\n".encode())
    assert [key.domain for key in keys_for(block, made)] == wanted


@pytest.mark.parametrize("headers", [b"To: a@b.example\r\n", b"From: a@hotel.example\r\nFrom: b@hotel.example\r\n"])
def test_without_exactly_one_from_nothing_is_signed(headers: bytes) -> None:
    mail = headers + b"\r\nText\r\n"
    assert sign(mail, keys(), at=AT) == mail


@pytest.mark.parametrize(
    ("signed_by", "resign", "signatures"),
    [("hotel.example", False, 1), ("hotel.example", True, 2), ("esp.example", False, 2), ("xhotel.example", False, 2)],
)
def test_a_mail_its_domain_signed_itself_is_left_alone_unless_told(
    signed_by: str, resign: bool, signatures: int
) -> None:
    key = SigningKey(domain="hotel.example", selector="s", key=keys()[1].key, resign=resign)
    mail = f"DKIM-Signature: v=1; a=rsa-sha256;\r\n\td={signed_by}; s=x; b=abc\r\n".encode() + MAIL
    assert count(sign(mail, [key], at=AT)) == signatures


# Keys


def test_keys_are_read_and_published() -> None:
    for key in keys():
        pem = key.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        again = SigningKey(domain=key.domain, selector=key.selector, key=read_key(pem))
        assert again.record == key.record
        assert key.record_name.endswith("._domainkey.hotel.example")
    assert "k=ed25519; p=" in keys()[1].record


@pytest.mark.parametrize("what", ["text", "elliptic", "password", "short"])
def test_what_is_no_key_for_dkim_is_told(what: str) -> None:
    plain = (Encoding.PEM, PrivateFormat.PKCS8)
    pem = {
        "text": lambda: b"not a key",
        "elliptic": lambda: generate_private_key(SECP256R1()).private_bytes(*plain, NoEncryption()),
        "password": lambda: keys()[1].key.private_bytes(*plain, BestAvailableEncryption(b"x")),
        "short": _short,
    }[what]()
    with pytest.raises(ValueError, match=r"PEM form|RSA and Ed25519|too short"):
        read_key(pem)


def _short() -> bytes:
    """An RSA key that receivers do not believe any more, made by openssl because the library refuses to."""
    made = subprocess.run([need("openssl"), "genrsa", "768"], capture_output=True, check=True)
    return made.stdout
