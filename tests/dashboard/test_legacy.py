"""The badge of a booking: one word, drawn for whoever has the app's key and for nobody else."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from relay.booking_links import Link, Shows, key_of
from relay.status import Status
from relay.store import meta
from tests.dashboard.house import House

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SOON = int((NOW + timedelta(minutes=10)).timestamp())
KEY = key_of(bytes(32), "hotel")


def test_any_language_can_make_the_signature() -> None:
    text = f"booking\nhotel\nBK-1\n{SOON}"
    link = Link(shows=Shows.BOOKING, app="hotel", booking="BK-1", expires=SOON)
    assert link.signature(KEY) == hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("changed", "is_good"),
    [
        ({}, True),
        ({"booking": "BK-2"}, False),
        ({"app": "spa"}, False),
        ({"shows": Shows.BADGE}, False),
        ({"expires": SOON + 600}, False),
        ({"expires": None}, False),
    ],
)
def test_a_signature_is_for_exactly_one_link(changed: dict[str, object], is_good: bool) -> None:
    given = {"shows": Shows.BOOKING, "app": "hotel", "booking": "BK-1", "expires": SOON}
    signature = Link(**given).signature(KEY)  # type: ignore[arg-type]
    assert Link(**given | changed).is_signed(KEY, signature, now=NOW) is is_good  # type: ignore[arg-type]


def test_a_page_needs_an_end_and_closes_then() -> None:
    endless = Link(shows=Shows.BOOKING, app="hotel", booking="BK-1")
    assert not endless.is_signed(KEY, endless.signature(KEY), now=NOW)
    link = Link(shows=Shows.BOOKING, app="hotel", booking="BK-1", expires=SOON)
    assert not link.is_signed(KEY, link.signature(KEY), now=NOW + timedelta(minutes=10))


def test_every_app_has_a_key_of_its_own() -> None:
    assert key_of(bytes(32), "hotel") != key_of(bytes(32), "spa")


def badge(house: House, booking: str, *, app: str = "hotel") -> str:
    secret = house.store.write_now(lambda tx: meta.secret(tx, "booking_links"))
    return Link(shows=Shows.BADGE, app=app, booking=booking).address("", key_of(secret, app))


@pytest.mark.parametrize(
    ("line", "status", "word"),
    [
        ("250 2.0.0 ok", Status.DELIVERED, "Email delivered"),
        ("550 5.1.1 no such user", Status.INVALID, "Email not delivered"),
        ("450 4.7.1 greylisted", Status.DEFERRED, "Email not delivered yet"),
    ],
)
def test_the_badge_says_in_one_word_what_became_of_it(house: House, line: str, status: Status, word: str) -> None:
    _, (delivery,) = house.desk.accept("guest@example.com", booking="BK-10042")
    later = timedelta(minutes=5) if status is Status.DEFERRED else None
    house.desk.answer(delivery, line, status=status, next_in=later)
    answer = house.client().get(badge(house, "BK-10042"))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert f"<title>{word}</title>" in answer.text
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


def test_the_badge_of_a_booking_that_never_came_says_so(house: House) -> None:
    assert "No email" in house.client().get(badge(house, "BK-99999")).text


def test_the_badge_shows_no_other_apps_mail(house: House) -> None:
    house.desk.accept("guest@example.com", booking="BK-10042")
    assert "No email" in house.client().get(badge(house, "BK-10042", app="spa")).text


def test_the_badge_speaks_the_language_that_is_asked_for(house: House) -> None:
    assert house.client(None, **{"accept-language": "fi"}).get(badge(house, "BK-1")).status_code == 200


@pytest.mark.parametrize("change", [("signature=", "signature=0"), ("app=hotel", "app=nobody"), ("BK-1", "BK-2")])
def test_a_wrong_signature_gets_nothing(house: House, change: tuple[str, str]) -> None:
    answer = house.client().get(badge(house, "BK-1").replace(*change))
    assert (answer.status_code, answer.text) == (404, "")


def test_the_example_of_the_guide_is_the_signature(house: House) -> None:
    """The four lines that docs/operations.md shows in PHP, an empty one for a badge without an end."""
    text = "badge\nhotel\nBK-10042\n"
    link = Link(shows=Shows.BADGE, app="hotel", booking="BK-10042")
    assert link.signature(KEY) == hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()
