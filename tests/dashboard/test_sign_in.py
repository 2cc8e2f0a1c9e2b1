"""Sign in and out over the real accounts: one answer for every mistake, sessions that end, links that work once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.app import build
from dashboard.gate import StoreGate, record
from relay import totp
from relay.accounts import Role
from relay.actions import accounts
from relay.config import load_text
from relay.store import accounts as kept
from relay.store import audit, open_store
from relay.store.audit import Actor, Via
from relay.store.engine import EngineStore
from relay.store.invitations import Purpose
from tests.dashboard.house import CONFIG, OURS

PASSWORD = "correct horse battery"
ADMIN = Actor(by="root", via=Via.CLI)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EngineStore]:
    with open_store("sqlite:data/waybill.db", tmp_path) as opened:
        opened.write_now(
            lambda tx: accounts.create_account(
                tx, "bob", role=Role.SUPPORT, actor=ADMIN, now=now(), password_hash=accounts.make_hash(PASSWORD)
            )
        )
        yield opened


@pytest.fixture
def client(store: EngineStore, tmp_path: Path) -> TestClient:
    return browser(store, tmp_path)


def browser(store: EngineStore, folder: Path) -> TestClient:
    app = build(load_text(CONFIG, base_dir=folder), store, gate=StoreGate(store), audit=record, nudge=lambda: None)
    return TestClient(app, base_url="http://127.0.0.1:8025", headers=OURS, follow_redirects=False)


def sign_in(client: TestClient, *, name: str = "bob", password: str = PASSWORD, **more: str) -> int:
    return client.post("/sign-in", data={"name": name, "password": password, **more}).status_code


def test_the_right_password_opens_the_page_that_was_asked_for(client: TestClient) -> None:
    assert client.get("/help?x=1").headers["location"] == "/sign-in?next=%2Fhelp%3Fx%3D1"
    answer = client.post("/sign-in", data={"name": "Bob", "password": PASSWORD, "next": "/help?x=1"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/help?x=1")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "bob" in client.get("/no-such-page").text


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "/\\evil.example"])
def test_nobody_is_sent_elsewhere_after_signing_in(client: TestClient, target: str) -> None:
    answer = client.post("/sign-in", data={"name": "bob", "password": PASSWORD, "next": target})
    assert answer.headers["location"] == "/"


def test_every_mistake_gets_the_same_words(client: TestClient, store: EngineStore) -> None:
    store.write_now(
        lambda tx: accounts.create_account(
            tx, "gone", role=Role.VIEWER, actor=ADMIN, now=now(), password_hash=accounts.make_hash(PASSWORD)
        )
    )
    store.write_now(lambda tx: accounts.disable_account(tx, "gone", actor=ADMIN, now=now()))
    pages = set()
    for name, password in (("bob", "wrong password"), ("nobody", PASSWORD), ("gone", PASSWORD), ("", "")):
        answer = client.post("/sign-in", data={"name": name, "password": password})
        assert answer.status_code == 422
        assert "set-cookie" not in answer.headers
        pages.add(re.sub(r'value="[^"]*"', "", answer.text))
    assert len(pages) == 1


def test_the_sixth_try_must_wait_even_with_the_right_password(client: TestClient) -> None:
    assert [sign_in(client, password="wrong") for _ in range(5)] == [422] * 5
    assert sign_in(client) == 429


def test_blanks_around_a_password_are_part_of_it(client: TestClient) -> None:
    assert sign_in(client, password=f" {PASSWORD}") == 422


def test_signing_out_ends_the_session_for_whoever_kept_the_cookie(client: TestClient) -> None:
    sign_in(client)
    stolen = client.cookies["waybill"]
    assert client.post("/sign-out").headers["location"] == "/sign-in"
    client.cookies.set("waybill", stolen)
    assert client.get("/").headers["location"] == "/sign-in"


def test_a_new_session_at_each_sign_in(client: TestClient) -> None:
    client.cookies.set("waybill", "chosen by somebody else")
    answer = client.post("/sign-in", data={"name": "bob", "password": PASSWORD})
    assert "chosen by somebody else" not in answer.headers["set-cookie"]


def test_a_disabled_account_is_out_at_once(client: TestClient, store: EngineStore) -> None:
    sign_in(client)
    store.write_now(lambda tx: accounts.disable_account(tx, "bob", actor=ADMIN, now=now()))
    assert client.get("/").headers["location"] == "/sign-in"


def test_the_second_step_asks_for_the_code_of_the_telephone(client: TestClient, store: EngineStore) -> None:
    secret = _with_second_step(store)
    page = client.post("/sign-in", data={"name": "bob", "password": PASSWORD, "next": "/help"})
    assert page.status_code == 200
    assert "set-cookie" not in page.headers
    ticket = re.search(r'name="ticket" value="([^"]+)"', page.text)
    assert ticket
    wrong = client.post("/sign-in/code", data={"ticket": ticket[1], "code": "000000", "next": "/help"})
    assert wrong.status_code == 422
    code = totp.code(secret, totp.step_of(now()))
    right = client.post("/sign-in/code", data={"ticket": ticket[1], "code": code, "next": "/help"})
    assert (right.status_code, right.headers["location"]) == (303, "/help")
    again = client.post("/sign-in/code", data={"ticket": ticket[1], "code": code})
    assert again.status_code == 422


def _with_second_step(store: EngineStore) -> str:
    account = store.read_now(lambda tx: kept.named(tx, "bob"))
    assert account is not None
    secret = store.write_now(lambda tx: accounts.start_totp(tx, account))
    assert secret is not None
    earlier = now() - timedelta(minutes=5)
    code = totp.code(secret, totp.step_of(earlier))
    assert store.write_now(lambda tx: accounts.confirm_totp(tx, account, code, actor=ADMIN, now=earlier)).is_done
    return secret


def test_a_link_lets_in_once_and_sets_the_password(client: TestClient, store: EngineStore, tmp_path: Path) -> None:
    token = store.write_now(lambda tx: accounts.make_invitation(tx, "bob", Purpose.RESET, actor=ADMIN, now=now()))
    assert "bob" in client.get(f"/link/{token}").text
    short = client.post(f"/link/{token}", data={"password": "short"})
    assert short.status_code == 422
    assert "at least 10" in short.text
    assert client.post(f"/link/{token}", data={"password": "another long password"}).status_code == 303
    assert client.get("/no-such-page").status_code == 404
    other = browser(store, tmp_path)
    assert other.get(f"/link/{token}").status_code == 410
    assert sign_in(other) == 422
    assert sign_in(other, password="another long password") == 303


def test_the_first_admin_is_made_by_the_link_of_the_first_start(tmp_path: Path) -> None:
    with open_store("sqlite:data/waybill.db", tmp_path) as store:
        token = store.write_now(lambda tx: accounts.first_link(tx, now=now()))
        client = browser(store, tmp_path)
        assert "first account" in client.get(f"/link/{token}").text
        bad = client.post(f"/link/{token}", data={"name": "a b", "password": "x"})
        assert bad.status_code == 422
        made = client.post(f"/link/{token}", data={"name": "ada", "password": PASSWORD})
        assert made.status_code == 303
        account = store.read_now(lambda tx: kept.named(tx, "ada"))
        assert account is not None
        assert account.role is Role.ADMIN
        assert store.write_now(lambda tx: accounts.first_link(tx, now=now())) is None


def test_signing_in_and_out_stands_in_the_audit_log(client: TestClient, store: EngineStore) -> None:
    sign_in(client, password="wrong")
    sign_in(client)
    client.post("/sign-out")
    rows = store.read_now(lambda tx: audit.search(tx))
    assert [row.entry.action for row in rows][:3] == ["sign_out", "sign_in", "sign_in_failed"]
    assert rows[0].entry.actor.by == "bob"


def test_over_https_the_cookie_is_bound_to_this_host(store: EngineStore, tmp_path: Path) -> None:
    config = load_text(CONFIG + '[dashboard]\npublic_url = "https://mail.example.com"\n', base_dir=tmp_path)
    app = build(config, store, gate=StoreGate(store), audit=record, nudge=lambda: None)
    client = TestClient(app, base_url="https://mail.example.com", headers=OURS, follow_redirects=False)
    answer = client.post("/sign-in", data={"name": "bob", "password": PASSWORD})
    assert answer.headers["set-cookie"].startswith("__Host-waybill=")
    assert "Secure" in answer.headers["set-cookie"]
    assert "strict-transport-security" in answer.headers
