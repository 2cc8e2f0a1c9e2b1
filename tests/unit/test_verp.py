"""Return paths: made for one delivery, recognised in every disguise, and never guessed."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from relay.address import validate
from relay.model import Claimed, DeliveryId
from relay.verp import ReturnPaths
from tests.store.making import submission

PATHS = ReturnPaths(domain="bounce.example.com", secret=bytes(range(32)))
ID = DeliveryId("01M82CWXCCG4SRY2499YARKQ1R")
TOKEN = PATHS.token(ID)
GUESSES = 20_000


def claimed(*, mail_from: str = "alice@hotel.example") -> Claimed:
    made = submission()
    return Claimed(delivery=made.deliveries[0], message=replace(made.message, mail_from=mail_from))


def test_a_token_is_a_short_plain_local_part() -> None:
    assert len(TOKEN) == 43  # with "prvs=1234567890=" before it still within 64 octets
    assert TOKEN.lower() == TOKEN
    validate(f"{TOKEN}@{PATHS.domain}", is_sender=True)


def test_a_delivery_has_the_same_return_path_at_every_try_and_on_every_node() -> None:
    claim = claimed()
    elsewhere = ReturnPaths(domain=PATHS.domain, secret=PATHS.secret)
    tried_again = replace(claim, delivery=replace(claim.delivery, attempts=3))
    assert PATHS.of(claim) == elsewhere.of(tried_again)
    assert PATHS.read_address(PATHS.of(claim)) == claim.delivery.id


def test_two_deliveries_have_different_return_paths() -> None:
    assert PATHS.of(claimed()) != PATHS.of(claimed())


def test_the_null_sender_stays_null() -> None:
    assert PATHS.of(claimed(mail_from="")) == ""


@pytest.mark.parametrize(
    "local",
    [
        TOKEN,
        TOKEN.upper(),
        TOKEN.title(),
        f"prvs=1234abcdef={TOKEN}",
        f"prvs={TOKEN}=1234abcdef",
        f"btv1==0123456789ab=={TOKEN}",
        f"SRS0=HHHH=TT=bounce.example.com={TOKEN}",
        f"SRS1=HHHH=fwd.example==HHHH=TT=bounce.example.com={TOKEN.upper()}",
        f'"{TOKEN}"',
        f"{TOKEN}+seen",
    ],
)
def test_a_token_is_found_in_what_servers_make_of_it(local: str) -> None:
    assert PATHS.read(local) == ID


@pytest.mark.parametrize(
    "local",
    [
        "",
        "postmaster",
        ID,
        f"{ID}-",
        TOKEN[:-1],
        TOKEN + "a",
        "a" + TOKEN,
        TOKEN.replace("-", ""),
        TOKEN[:-1] + ("a" if TOKEN[-1] != "a" else "b"),
        f"01m82pyssp3n2kh6ygtdzx60d7{TOKEN[26:]}",  # the signature of another delivery
        ReturnPaths(domain=PATHS.domain, secret=b"another").token(ID),
        TOKEN.replace("0", "\uff10"),  # a full-width digit
    ],
)
def test_nothing_else_is_a_token(local: str) -> None:
    assert PATHS.read(local) is None


def test_no_signature_is_guessed() -> None:
    chance = random.Random(4)
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    guesses = (f"{ID}-{''.join(chance.choices(letters, k=16))}" for _ in range(GUESSES))
    assert PATHS.read_first(guesses) is None


@pytest.mark.parametrize(
    ("domain", "is_ours"),
    [
        ("bounce.example.com", True),
        ("Bounce.EXAMPLE.com", True),
        ("bounce.example.com.", True),
        ("example.com", False),
        ("a.bounce.example.com", False),
        ("bounce.example.com.evil.example", False),
        ("", False),
    ],
)
def test_a_token_counts_at_our_domain_only(domain: str, is_ours: bool) -> None:
    assert PATHS.read_address(f"{TOKEN}@{domain}") == (ID if is_ours else None)


def test_an_international_domain_is_known_in_both_forms() -> None:
    paths = ReturnPaths(domain="xn--bounce-hxa.example", secret=PATHS.secret)
    label = b"xn--bounce-hxa.example".decode("idna")
    assert paths.read_address(f"{TOKEN}@{label}") == paths.read_address(f"{TOKEN}@xn--bounce-hxa.example")


def test_the_secret_is_not_shown() -> None:
    assert "secret" not in repr(PATHS)
    assert PATHS.secret.hex() not in repr(PATHS)


def test_a_long_hostile_text_is_read_quickly() -> None:
    assert PATHS.read((TOKEN[:-1] + "!") * 20_000) is None
    assert PATHS.read("0" * 1_000_000) is None
