"""What is offered when the log has nothing: slips of the address, refusals, and nothing beyond a scope."""

from __future__ import annotations

import pytest

from relay.actions import nearest
from relay.model import Refusal
from relay.store import addresses, refusals, spool
from relay.store.engine import EngineStore
from tests.store.making import NOW, accept, claim, disposition


def send(store: EngineStore, address: str, *, app: str = "hotel", booking: str | None = None) -> None:
    made = accept(store, address, app=app, booking=booking)
    claim(store)
    store.write_now(lambda tx: spool.record(tx, disposition(made.deliveries[0].id), owner="one"))


def refuse(store: EngineStore, address: str, *, app: str | None = None) -> None:
    refusal = Refusal(
        at=NOW, listener="l", client_ip="192.0.2.1", stage="auth", code=535, enhanced="5.7.8", text="no", app=app,
        reason="auth_failed", rcpt_to=address,
    )  # fmt: skip
    store.write_now(lambda tx: refusals.add(tx, refusal))


@pytest.fixture
def filled(store: EngineStore) -> EngineStore:
    send(store, "sari@gmail.com")
    send(store, "sari@spa.example", app="spa")
    send(store, "sarah@gmail.com")
    send(store, "otto@gmail.com", booking="BK-20931")
    refuse(store, "sari@gmial.com", app="hotel")
    refuse(store, "sari@gmial.com")
    refuse(store, "other@gmial.com", app="hotel")
    return store


@pytest.mark.parametrize(
    ("asked", "want"),
    [
        ("sari@gmial.com", ["sari@gmail.com", "sari@spa.example"]),
        ("sarih@gmail.com", ["sarah@gmail.com", "sari@gmail.com"]),
        ("sari@elsewhere.example", ["sari@gmail.com", "sari@spa.example"]),
        ("zoe@gmail.com", []),
        ("otto", []),
    ],
)
def test_similar_are_two_letters_off_or_namesakes(filled: EngineStore, asked: str, want: list[str]) -> None:
    assert filled.read_now(lambda tx: addresses.similar(tx, asked)) == want


def test_refusals_and_the_first_day_come_with_it(filled: EngineStore) -> None:
    near = filled.read_now(lambda tx: nearest(tx, "Sari@gmial.com"))
    assert [one.app for one in near.refusals] == [None, "hotel"]
    assert near.first_at == NOW


def test_a_scope_tells_nothing_of_other_apps(filled: EngineStore) -> None:
    near = filled.read_now(lambda tx: nearest(tx, "sari@gmial.com", apps=("spa",)))
    assert (near.similar, near.refusals) == (("sari@spa.example",), ())
    near = filled.read_now(lambda tx: nearest(tx, "sari@gmial.com", apps=("hotel",)))
    assert (near.similar, [one.app for one in near.refusals]) == (("sari@gmail.com",), ["hotel"])
    assert filled.read_now(lambda tx: nearest(tx, "k-2093", apps=("spa",))).similar == ()


def test_part_of_a_booking_leads_to_it(filled: EngineStore) -> None:
    assert filled.read_now(lambda tx: nearest(tx, "k-2093")).similar == ("BK-20931",)
    assert filled.read_now(lambda tx: nearest(tx, "")).similar == ()
