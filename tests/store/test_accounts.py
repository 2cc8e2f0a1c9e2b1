"""Accounts, sessions, one-time links, tokens and failed sign-ins, as the store keeps them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from relay.accounts import Account, Role
from relay.store import accounts, invitations, sessions, sign_ins, tokens
from relay.store.engine import EngineStore
from relay.store.invitations import Invitation, Purpose
from relay.store.tokens import Token
from tests.store.making import HOUR, MINUTE, NOW
from tests.store.people import account, add

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


def get(store: EngineStore, account_id: str) -> Account:
    found = store.read_now(lambda tx: accounts.get(tx, account_id))
    assert found is not None
    return found


def test_an_account_comes_back_as_it_was_written(store: EngineStore) -> None:
    made = add(
        store, "Anna", shown="Anna Berg", role=Role.OPERATOR, may_read_content=False, apps=("hotel", "spa"),
        password_hash="$scrypt$x", totp_secret="ABC", totp_last_step=57_000_000, language="fi", zone="Europe/Helsinki",
        theme="dark", keys_off=True, is_compact=True, disabled_at=NOW + HOUR, last_seen_at=NOW + MINUTE,
    )  # fmt: skip
    assert get(store, made.id) == made
    plain = add(store, "bob")
    assert store.read_now(accounts.every) == [made, plain]


def test_a_name_is_taken_in_any_case_of_letters(store: EngineStore) -> None:
    made = add(store, "Ängla")
    assert not store.write_now(lambda tx: accounts.add(tx, account("äNGLA")))
    assert store.read_now(lambda tx: accounts.named(tx, "ÄNGLA")) == made
    assert store.read_now(lambda tx: accounts.named(tx, "angla")) is None


def test_what_an_admin_decides_and_what_oneself_decides_are_kept_apart(store: EngineStore) -> None:
    made = add(store, language="sv")
    wanted = replace(made, role=Role.ADMIN, apps=("spa",), language="de", shown="A", may_read_content=False)
    store.write_now(lambda tx: accounts.change(tx, wanted))
    assert get(store, made.id) == replace(wanted, language="sv")
    store.write_now(lambda tx: accounts.prefer(tx, replace(made, language="fr", is_compact=False, role=Role.VIEWER)))
    assert get(store, made.id) == replace(wanted, language="fr", is_compact=False)


def test_another_admin_is_one_who_can_sign_in(store: EngineStore) -> None:
    boss, other = add(store, "boss", role=Role.ADMIN), add(store, "other", role=Role.ADMIN)
    add(store, "desk")
    assert store.write_now(lambda tx: accounts.has_other_admin(tx, boss.id))
    assert store.write_now(lambda tx: accounts.disable(tx, other.id, at=NOW))
    assert not store.write_now(lambda tx: accounts.disable(tx, other.id, at=NOW + HOUR))
    assert get(store, other.id).disabled_at == NOW
    assert not store.write_now(lambda tx: accounts.has_other_admin(tx, boss.id))


def test_a_code_counts_once_and_only_for_the_secret_it_was_made_with(store: EngineStore) -> None:
    made = add(store)
    store.write_now(lambda tx: accounts.set_totp(tx, made.id, secret="ONE"))

    def use(step: int, secret: str = "ONE") -> bool:
        return store.write_now(lambda tx: accounts.use_step(tx, made.id, secret=secret, step=step))

    assert [use(7), use(7), use(6), use(8, "TWO"), use(8)] == [True, False, False, False, True]


# -- sessions


def begin(store: EngineStore, owner: Account, token: str = "t", *, now: datetime = NOW) -> None:
    store.write_now(lambda tx: sessions.begin(tx, token, account_id=owner.id, ip="192.0.2.1", agent="Firefox", now=now))


def is_alive(store: EngineStore, token: str, now: datetime) -> bool:
    return store.read_now(lambda tx: sessions.alive(tx, token, now=now)) is not None


@pytest.mark.parametrize(
    ("used_every", "dies_after"),
    [(None, sessions.IDLE), (timedelta(hours=7), sessions.WHOLE)],
    ids=["without use", "in use"],
)
def test_a_session_dies_in_time(store: EngineStore, used_every: timedelta | None, dies_after: timedelta) -> None:
    begin(store, add(store))
    moment = NOW
    while used_every and moment + used_every < NOW + dies_after:
        moment += used_every
        assert store.write_now(lambda tx, at=moment: sessions.touch(tx, "t", now=at))  # type: ignore[misc]
    assert is_alive(store, "t", NOW + dies_after - SECOND)
    assert not is_alive(store, "t", NOW + dies_after)


def test_the_token_itself_is_not_kept(store: EngineStore) -> None:
    begin(store, add(store), "secret-of-anna")
    rows = store.read_now(lambda tx: tx.compose("SELECT * FROM session", {}))
    assert "secret-of-anna" not in str(rows)
    assert rows[0]["token_hash"] == sessions.hash_of("secret-of-anna")


def test_being_seen_is_written_once_a_minute(store: EngineStore) -> None:
    begin(store, add(store))

    def touch(after: timedelta) -> bool:
        return store.write_now(lambda tx: sessions.touch(tx, "t", now=NOW + after))

    assert [touch(59 * SECOND), touch(MINUTE), touch(MINUTE + SECOND)] == [False, True, False]
    found = store.read_now(lambda tx: sessions.alive(tx, "t", now=NOW + HOUR))
    assert found is not None
    assert (found.seen_at, found.created_at) == (NOW + MINUTE, NOW)


def test_one_session_or_all_of_an_account_are_ended(store: EngineStore) -> None:
    anna, bob = add(store), add(store, "bob")
    for token in ("a1", "a2", "a3"):
        begin(store, anna, token)
    begin(store, bob, "b1")
    first = sessions.hash_of("a1")
    assert not store.write_now(lambda tx: sessions.end(tx, first, account_id=bob.id)), "it is not bob's"
    assert store.write_now(lambda tx: sessions.end(tx, first, account_id=anna.id))
    assert [is_alive(store, token, NOW) for token in ("a1", "a2", "b1")] == [False, True, True]
    assert store.write_now(lambda tx: sessions.end_all(tx, anna.id)) == 2
    assert [is_alive(store, token, NOW) for token in ("a2", "a3", "b1")] == [False, False, True]
    assert store.read_now(lambda tx: sessions.of_account(tx, anna.id, now=NOW)) == []


def test_the_session_of_a_disabled_account_is_dead(store: EngineStore) -> None:
    anna = add(store)
    begin(store, anna)
    store.write_now(lambda tx: accounts.disable(tx, anna.id, at=NOW))
    assert not is_alive(store, "t", NOW)


# -- one-time links


def test_a_link_is_used_once_and_in_time(store: EngineStore) -> None:
    made = Invitation(purpose=Purpose.RESET, account_id="a", expires_at=NOW + HOUR)
    store.write_now(lambda tx: invitations.add(tx, "k", made))

    def find(now: datetime) -> Invitation | None:
        return store.read_now(lambda tx: invitations.find(tx, "k", now=now))

    def use(now: datetime) -> bool:
        return store.write_now(lambda tx: invitations.use(tx, "k", now=now))

    assert (find(NOW), find(NOW + HOUR)) == (made, None)
    assert [use(NOW + HOUR), use(NOW), use(NOW)] == [False, True, False]
    assert find(NOW) is None


def test_the_links_of_one_account_are_ended(store: EngineStore) -> None:
    for token, owner in (("k1", "a"), ("k2", "a"), ("k3", "b"), ("k4", None)):
        made = Invitation(purpose=Purpose.WELCOME, account_id=owner, expires_at=NOW + HOUR)
        store.write_now(lambda tx, k=token, m=made: invitations.add(tx, k, m))  # type: ignore[misc]
    assert store.write_now(lambda tx: invitations.end_all(tx, "a")) == 2
    assert store.write_now(invitations.end_first) == 1
    left = [store.read_now(lambda tx, k=k: invitations.find(tx, k, now=NOW)) for k in ("k1", "k2", "k3", "k4")]  # type: ignore[misc]
    assert [one is not None for one in left] == [False, False, True, False]


# -- tokens


def test_a_token_is_found_until_it_is_revoked_and_its_name_is_free_then(store: EngineStore) -> None:
    made = Token(name="Shop", prefix="wb_abcd", role=Role.VIEWER, created_at=NOW, by="boss", apps=("shop",))
    assert store.write_now(lambda tx: tokens.add(tx, "one", made))
    assert not store.write_now(lambda tx: tokens.add(tx, "two", replace(made, name="SHOP")))
    assert store.read_now(lambda tx: tokens.find(tx, "two")) is None
    assert store.write_now(lambda tx: tokens.touch(tx, "one", now=NOW))
    assert not store.write_now(lambda tx: tokens.touch(tx, "one", now=NOW + SECOND))
    assert store.read_now(lambda tx: tokens.find(tx, "one")) == replace(made, last_used_at=NOW)
    assert store.write_now(lambda tx: tokens.revoke(tx, "shop", now=NOW + HOUR))
    assert not store.write_now(lambda tx: tokens.revoke(tx, "shop", now=NOW + HOUR))
    assert store.read_now(lambda tx: tokens.find(tx, "one")) is None
    assert store.write_now(lambda tx: tokens.add(tx, "three", made))
    assert [one.revoked_at for one in store.read_now(tokens.every)] == [None, NOW + HOUR]


# -- failed sign-ins


@pytest.mark.parametrize(
    ("failed", "tried", "waits"),
    [
        ([("anna", "192.0.2.1")] * 4, ("anna", "192.0.2.1"), False),
        ([("anna", "192.0.2.1")] * 5, ("ANNA", "192.0.2.1"), True),
        ([("anna", "192.0.2.1")] * 5, ("anna", "192.0.2.2"), False),
        ([("anna", "192.0.2.1")] * 5, ("bob", "192.0.2.1"), False),
        ([(f"guess{n}", "192.0.2.1") for n in range(29)], ("bob", "192.0.2.1"), False),
        ([(f"guess{n}", "192.0.2.1") for n in range(30)], ("bob", "192.0.2.1"), True),
        ([(f"guess{n}", "192.0.2.1") for n in range(30)], ("bob", "192.0.2.2"), False),
        ([("anna", f"2001:db8::{n}") for n in range(5)], ("anna", "2001:db8::ffff"), True),
        ([("anna", "2001:db8::1")] * 5, ("anna", "2001:db8:0:1::1"), False),
        ([("anna", "::ffff:192.0.2.1")] * 5, ("anna", "192.0.2.1"), True),
    ],
)
def test_who_has_to_wait(
    store: EngineStore, failed: list[tuple[str, str]], tried: tuple[str, str], waits: bool
) -> None:
    for name, ip in failed:
        store.write_now(lambda tx, n=name, i=ip: sign_ins.fail(tx, n, ip=i, now=NOW))  # type: ignore[misc]
    name, ip = tried

    def ask(now: datetime) -> bool:
        return store.read_now(lambda tx: sign_ins.is_throttled(tx, name, ip=ip, now=now))

    assert ask(NOW + sign_ins.WINDOW - SECOND) is waits
    assert not ask(NOW + sign_ins.WINDOW)


def test_a_password_typed_into_the_field_for_the_name_is_not_kept(store: EngineStore) -> None:
    store.write_now(lambda tx: sign_ins.fail(tx, "hunter2 horse", ip="192.0.2.1", now=NOW))
    assert "hunter2" not in str(store.read_now(lambda tx: tx.compose("SELECT * FROM sign_in_failure", {})))


ACTIONS: list[Callable[[str], object]] = [sessions.hash_of, sign_ins.client_of]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("odd", ["", "\udcff", "x" * 10_000, "unix:", "999.1.1.1"])
def test_odd_text_from_a_browser_raises_nothing(action: Callable[[str], object], odd: str) -> None:
    assert action(odd) is not None
