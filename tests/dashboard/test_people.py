"""Users and one's own account over the real accounts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from relay import totp
from relay.accounts import Account, Role
from relay.actions import accounts
from relay.store import accounts as kept
from relay.store import open_store, tokens
from relay.store.audit import Actor, Via
from relay.store.engine import EngineStore
from tests.dashboard.house import token_of
from tests.dashboard.test_sign_in import PASSWORD, browser, sign_in

ROOT = Actor(by="root", via=Via.CLI)


@pytest.fixture(scope="module")
def made_hash() -> str:
    return accounts.make_hash(PASSWORD)


@pytest.fixture
def store(tmp_path: Path, made_hash: str) -> Iterator[EngineStore]:
    with open_store("sqlite:data/waybill.db", tmp_path) as opened:
        for name, role in (("ada", Role.ADMIN), ("bob", Role.SUPPORT)):
            opened.write_now(
                lambda tx, name=name, role=role: accounts.create_account(  # type: ignore[misc]
                    tx, name, role=role, actor=ROOT, now=datetime.now(UTC), password_hash=made_hash
                )
            )
        yield opened


@pytest.fixture
def ada(store: EngineStore, tmp_path: Path) -> TestClient:
    client = browser(store, tmp_path)
    sign_in(client, name="ada")
    return client


@pytest.fixture
def bob(store: EngineStore, tmp_path: Path) -> TestClient:
    client = browser(store, tmp_path)
    sign_in(client, name="bob")
    return client


def account(store: EngineStore, name: str) -> Account:
    found = store.read_now(lambda tx: kept.named(tx, name))
    assert found is not None
    return found


def test_an_admin_adds_a_user_who_comes_in_by_a_link(ada: TestClient, store: EngineStore, tmp_path: Path) -> None:
    form = {"token": token_of(ada.get("/users").text), "name": "cleo", "role": "support", "apps": "hotel"}
    assert ada.post("/users", data=form).headers["location"].startswith("/users?did=add_account")
    assert ada.post("/users", data=form).status_code == 303
    assert account(store, "cleo").apps == ("hotel",)
    assert not account(store, "cleo").may_read_content
    page = ada.post("/users/cleo/link", data={"token": token_of(ada.get("/users/cleo").text)})
    link = re.search(r'value="(http[^"]+/link/[^"]+)"', page.text)
    assert link
    cleo = browser(store, tmp_path)
    assert cleo.post(link[1], data={"password": "a long enough one"}).status_code == 303
    assert cleo.get("/users").status_code == 403


def test_a_link_is_shown_once(ada: TestClient) -> None:
    form = {"token": token_of(ada.get("/users/bob").text)}
    assert "/link/" in ada.post("/users/bob/link", data=form).text
    assert "/link/" not in ada.post("/users/bob/link", data=form).text


def test_a_changed_role_ends_the_sessions(ada: TestClient, bob: TestClient, store: EngineStore) -> None:
    form = {"token": token_of(ada.get("/users/bob").text), "role": "viewer", "content": "yes"}
    ada.post("/users/bob", data=form)
    assert account(store, "bob").role is Role.VIEWER
    assert bob.get("/me").headers["location"].startswith("/sign-in")


def test_the_last_admin_stays(ada: TestClient, store: EngineStore) -> None:
    answer = ada.post("/users/ada/disable", data={"token": token_of(ada.get("/users/ada").text)})
    assert "only admin" in ada.get(answer.headers["location"]).text
    assert not account(store, "ada").is_disabled


def test_a_disabled_user_is_out_until_enabled(ada: TestClient, bob: TestClient) -> None:
    ada.post("/users/bob/disable", data={"token": token_of(ada.get("/users/bob").text)})
    assert bob.get("/me").status_code == 303
    assert sign_in(bob) == 422
    ada.post("/users/bob/enable", data={"token": token_of(ada.get("/users/bob").text)})
    assert sign_in(bob) == 303


@pytest.mark.parametrize("action", ["", "/disable", "/link", "/sign-out", "/remove-step"])
def test_an_unknown_user_is_not_there(ada: TestClient, action: str) -> None:
    form = {"token": token_of(ada.get("/users").text)}
    assert ada.post(f"/users/nobody{action}", data=form).status_code == 404


def test_a_token_is_shown_once_and_revoked(ada: TestClient, store: EngineStore) -> None:
    form = {"token": token_of(ada.get("/users").text), "name": "nagios", "role": "viewer"}
    assert "wb_" in ada.post("/tokens", data=form).text
    assert "wb_" not in ada.post("/tokens", data=form).text
    ada.post("/tokens/revoke", data={"token": token_of(ada.get("/users").text), "name": "nagios"})
    (known,) = store.read_now(tokens.every)
    assert known.revoked_at is not None


def test_my_language_clock_and_looks(bob: TestClient, store: EngineStore) -> None:
    form = {"token": token_of(bob.get("/me").text), "language": "fi", "zone": "Europe/Helsinki", "theme": "dark"}
    bob.post("/me", data=form)
    page = bob.get("/me").text
    assert '<html lang="fi" data-theme="dark">' in page
    assert "Europe/Helsinki" in page
    assert "data-keys" not in page
    assert account(store, "bob").keys_off


def test_my_rows_are_low_when_i_say_so(bob: TestClient, store: EngineStore) -> None:
    assert 'class="compact"' not in bob.get("/log").text
    for rows, is_compact in (("compact", True), ("", False)):
        bob.post("/me", data={"token": token_of(bob.get("/me").text), "rows": rows, "keys": "yes"})
        assert ('class="compact"' in bob.get("/log").text) is is_compact
        assert account(store, "bob").is_compact is is_compact


def test_my_password_changes_only_with_the_old_one(bob: TestClient, store: EngineStore, tmp_path: Path) -> None:
    other = browser(store, tmp_path)
    sign_in(other)
    wrong = bob.post("/me/password", data={"old": "wrong one", "new": "another long one"})
    assert wrong.status_code == 422
    assert other.get("/me").status_code == 200
    assert bob.post("/me/password", data={"old": PASSWORD, "new": "short"}).status_code == 422
    assert bob.post("/me/password", data={"old": PASSWORD, "new": "another long one"}).status_code == 303
    assert bob.get("/me").status_code == 200
    assert other.get("/me").status_code == 303
    assert sign_in(other, password="another long one") == 303


def test_my_second_step_begins_with_a_picture_and_a_code(bob: TestClient, store: EngineStore) -> None:
    assert bob.post("/me/step", data={"old": "wrong"}).status_code == 422
    page = bob.post("/me/step", data={"old": PASSWORD})
    assert "<svg" in page.text
    secret = account(store, "bob").totp_secret
    assert secret is not None
    assert secret in page.text
    assert bob.post("/me/step/confirm", data={"code": "000000"}).status_code == 422
    assert not account(store, "bob").has_second_step
    code = totp.code(secret, totp.step_of(datetime.now(UTC)))
    assert bob.post("/me/step/confirm", data={"code": code}).status_code == 303
    assert account(store, "bob").has_second_step
    form = {"token": token_of(bob.get("/me").text), "old": PASSWORD}
    bob.post("/me/step/remove", data=form)
    assert not account(store, "bob").has_second_step


def test_signing_out_everywhere_ends_this_session_too(bob: TestClient) -> None:
    assert bob.post("/me/sign-out").headers["location"] == "/sign-in"
    assert bob.get("/me").status_code == 303
