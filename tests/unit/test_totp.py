"""The second step: the vectors of RFC 6238, the window, and that a code counts once."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from relay import totp

SECRET = totp.secret_of(b"12345678901234567890")
STEP = timedelta(seconds=totp.STEP_SECONDS)

# RFC 6238, appendix B (SHA-1, eight digits)
VECTORS = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize(("seconds", "wanted"), VECTORS)
def test_the_codes_of_the_rfc(seconds: int, wanted: str) -> None:
    assert totp.code(SECRET, totp.step_of(at(seconds)), digits=8) == wanted
    assert totp.match(SECRET, wanted[2:], now=at(seconds), last_step=None) == seconds // 30


@pytest.mark.parametrize(("late", "counts"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_one_step_off(late: int, counts: bool) -> None:
    now = at(1234567890)
    given = totp.code(SECRET, totp.step_of(now))
    found = totp.match(SECRET, given, now=now + late * STEP, last_step=None)
    assert found == (totp.step_of(now) if counts else None)


def test_a_code_counts_once_and_no_older_one_after_it() -> None:
    now = at(1234567890)
    step = totp.step_of(now)
    assert totp.match(SECRET, totp.code(SECRET, step), now=now, last_step=step - 1) == step
    assert totp.match(SECRET, totp.code(SECRET, step), now=now, last_step=step) is None
    assert totp.match(SECRET, totp.code(SECRET, step - 1), now=now, last_step=step) is None
    assert totp.match(SECRET, totp.code(SECRET, step + 1), now=now, last_step=step) == step + 1


@pytest.mark.parametrize(
    "given", ["", "12345", "1234567", "٣٤٥٦٧٨", "abcdef", "-12345", "0x1234", "²²²²²²", "\udcff" * 6]
)
def test_what_is_no_code_is_wrong(given: str) -> None:
    assert totp.match(SECRET, given, now=at(59), last_step=None) is None


def test_spaces_in_a_code_do_not_matter() -> None:
    assert totp.match(SECRET, " 287 082 ", now=at(59), last_step=None) == 1


def test_the_first_seconds_of_1970_have_no_step_before_them() -> None:
    assert totp.match(SECRET, totp.code(SECRET, 0), now=at(0), last_step=None) == 0


def test_what_a_telephone_reads() -> None:
    made = urlsplit(totp.uri(SECRET, account="anna@hotel.example", issuer="Waybill: Hotel"))
    assert (made.scheme, made.netloc) == ("otpauth", "totp")
    assert unquote(made.path) == "/Waybill: Hotel:anna@hotel.example"
    asked = {key: value for key, (value,) in parse_qs(made.query).items()}
    assert asked == {
        "secret": SECRET, "issuer": "Waybill: Hotel", "algorithm": "SHA1", "digits": "6", "period": "30",
    }  # fmt: skip
    assert "+" not in made.query, "telephones do not read it as a space"
    assert base64.b32decode(SECRET) == b"12345678901234567890"


def test_a_broken_secret_is_told() -> None:
    with pytest.raises(ValueError, match="base 32"):
        totp.code("not base 32!", 1)
