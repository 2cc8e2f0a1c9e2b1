"""Signing in with a provider's word, on both stores: which account it is, what it may do, and two at one moment."""

from __future__ import annotations

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from relay.accounts import Account, Role
from relay.actions import accounts as acting
from relay.actions.accounts import Caller, Refusal, SignIn, State
from relay.oidc import Guest
from relay.passwords import hash_password
from relay.settings import Oidc
from relay.store import accounts, audit, sign_ins
from relay.store.engine import EngineStore
from relay.store.invitations import Purpose
from tests.store.making import NOW
from tests.store.people import PAGE, add

ISSUER = "https://login.example.com"
SARI = Guest(issuer=ISSUER, subject="u-17", name="sari", shown="Sari Virtanen", groups=("desk",))
CALLER = Caller(ip="192.0.2.1", agent="Firefox")


def settings(**values: Any) -> Oidc:
    roles = {"desk": Role.SUPPORT, "chiefs": Role.ADMIN}
    return Oidc.model_validate({"issuer": ISSUER, "client_id": "w", "roles": roles} | values)


def enter(store: EngineStore, guest: Guest = SARI, **values: Any) -> SignIn | Refusal:
    given = settings(**values)
    answer = secrets.token_urlsafe()
    return store.write_now(lambda tx: acting.enter_outside(tx, guest, given, answer=answer, caller=CALLER, now=NOW))


def named(store: EngineStore, name: str) -> Account:
    found = store.read_now(lambda tx: accounts.named(tx, name))
    assert found is not None
    return found


def signed_in(store: EngineStore, result: SignIn | Refusal) -> str:
    assert isinstance(result, SignIn)
    who = store.read_now(lambda tx: acting.who(tx, result.token, now=NOW))
    return who.name if who is not None else ""


def connect(store: EngineStore, name: str, subject: str = "u-17", issuer: str = ISSUER) -> str:
    return store.write_now(
        lambda tx: acting.connect_account(tx, name, issuer=issuer, subject=subject, actor=PAGE, now=NOW)
    ).key


def test_the_same_person_comes_to_the_same_account(store: EngineStore) -> None:
    assert signed_in(store, enter(store)) == "sari"
    assert signed_in(store, enter(store, replace(SARI, name="virtanen", shown="S. V."))) == "sari"
    assert len(store.read_now(accounts.every)) == 1


def test_another_subject_or_issuer_is_another_person(store: EngineStore) -> None:
    enter(store)
    assert enter(store, replace(SARI, subject="u-18")) is Refusal.TAKEN
    other = settings(issuer="https://other.example")
    guest = replace(SARI, issuer="https://other.example")
    result = store.write_now(lambda tx: acting.enter_outside(tx, guest, other, answer="one", caller=CALLER, now=NOW))
    assert result is Refusal.TAKEN
    assert signed_in(store, enter(store, replace(SARI, subject="U-17", name="other"))) == "other"


def test_two_at_the_same_moment_make_one_account(store: EngineStore) -> None:
    together = threading.Barrier(2)

    def come(_: int) -> SignIn | Refusal:
        together.wait(10)
        return enter(store)

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(come, range(2)))
    assert [signed_in(store, result) for result in results] == ["sari", "sari"]
    assert len(store.read_now(accounts.every)) == 1


@pytest.mark.parametrize(
    ("guest", "values", "want"),
    [
        (replace(SARI, groups=()), {}, Refusal.NO_ROLE),
        (SARI, {"create": False}, Refusal.NO_ACCOUNT),
        (SARI, {"create": False, "roles": {}}, Refusal.NO_ACCOUNT),
        (replace(SARI, name=""), {}, Refusal.NO_NAME),
        (replace(SARI, name="ANNA"), {}, Refusal.TAKEN),
    ],
)
def test_who_stays_out(store: EngineStore, guest: Guest, values: dict[str, Any], want: Refusal) -> None:
    add(store, "anna")
    assert enter(store, guest, **values) is want
    assert [one.name for one in store.read_now(accounts.every)] == ["anna"]
    (row,) = store.read_now(lambda tx: audit.search(tx))
    assert (row.entry.action, row.entry.actor.ip) == ("sign_in_failed", "192.0.2.1")
    assert row.entry.text.startswith(f"{want}: ")


def test_one_answer_counts_once(store: EngineStore) -> None:
    def bring(answer: str) -> SignIn | Refusal:
        given = settings()
        return store.write_now(lambda tx: acting.enter_outside(tx, SARI, given, answer=answer, caller=CALLER, now=NOW))

    assert signed_in(store, bring("one")) == "sari"
    assert bring("one") == SignIn(state=State.WRONG)
    assert signed_in(store, bring("two")) == "sari"


def test_refusals_are_counted_and_keep_no_local_account_out(store: EngineStore) -> None:
    def may_come() -> bool:
        return store.read_now(lambda tx: acting.may_come(tx, ip=CALLER.ip, now=NOW))

    for _ in range(sign_ins.PER_CLIENT - 1):
        enter(store, replace(SARI, groups=()))
    assert may_come()
    enter(store, replace(SARI, groups=()))
    assert not may_come()
    assert store.read_now(lambda tx: acting.may_come(tx, ip="192.0.2.2", now=NOW))
    assert not store.read_now(lambda tx: sign_ins.is_throttled(tx, "anna", ip=CALLER.ip, now=NOW))


def test_a_role_that_changed_ends_what_is_open(store: EngineStore) -> None:
    first = enter(store)
    second = enter(store, replace(SARI, groups=("chiefs",)))
    assert (signed_in(store, first), signed_in(store, second)) == ("", "sari")
    assert named(store, "sari").role is Role.ADMIN
    assert signed_in(store, enter(store, replace(SARI, groups=("chiefs",)))) == "sari"
    assert signed_in(store, second) == "sari"  # nothing changed: nothing ends


def test_apps_follow_the_groups_only_where_they_are_configured(store: EngineStore) -> None:
    enter(store)
    store.write_now(lambda tx: acting.change_account(tx, "sari", apps=["spa"], actor=PAGE, now=NOW))
    enter(store)
    assert named(store, "sari").apps == ("spa",)
    enter(store, apps={"desk": ["hotel"]})
    assert named(store, "sari").apps == ("hotel",)


def test_connecting_takes_password_code_sessions_and_links(store: EngineStore) -> None:
    made = add(store, "sari", password_hash=hash_password("correct horse"), totp_secret="A" * 32, totp_last_step=1)
    token = store.write_now(lambda tx: acting.begin_session(tx, made, ip="", agent="", now=NOW))
    link = store.write_now(lambda tx: acting.make_invitation(tx, "sari", Purpose.RESET, actor=PAGE, now=NOW))
    assert link is not None
    assert connect(store, "Sari") == "done"
    account = named(store, "sari")
    assert (account.password_hash, account.totp_secret, account.is_connected) == ("", None, True)
    assert store.read_now(lambda tx: acting.who(tx, token, now=NOW)) is None
    assert store.read_now(lambda tx: acting.invited(tx, link, now=NOW)) is None
    assert store.write_now(lambda tx: acting.make_invitation(tx, "sari", Purpose.RESET, actor=PAGE, now=NOW)) is None
    given = store.write_now(lambda tx: acting.set_password(tx, "sari", password_hash="x", actor=PAGE, now=NOW))
    assert given.key == "connected"
    assert signed_in(store, enter(store)) == "sari"


def test_one_person_has_one_account(store: EngineStore) -> None:
    add(store, "anna")
    add(store, "sari")
    assert connect(store, "anna") == "done"
    assert connect(store, "anna") == "unchanged"
    assert connect(store, "sari") == "taken"
    assert connect(store, "nobody") == "not_found"
    assert connect(store, "sari", subject="") == "taken"
    assert connect(store, "sari", issuer="https://other.example") == "done"
    assert not named(store, "anna").is_disabled


def test_a_disconnected_account_is_local_again(store: EngineStore) -> None:
    token = enter(store)

    def disconnect() -> str:
        return store.write_now(lambda tx: acting.disconnect_account(tx, "sari", actor=PAGE, now=NOW)).key

    assert [disconnect(), disconnect()] == ["done", "unchanged"]
    assert signed_in(store, token) == ""
    assert enter(store) is Refusal.TAKEN
    given = store.write_now(lambda tx: acting.set_password(tx, "sari", password_hash="x", actor=PAGE, now=NOW))
    assert given.is_done
    actions = [row.entry.action for row in store.read_now(lambda tx: audit.search(tx))]
    assert actions[:3] == ["set_password", "sign_in_failed", "disconnect_account"]
