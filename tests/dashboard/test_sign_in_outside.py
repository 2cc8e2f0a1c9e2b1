"""Sign in with a provider: a real one on loopback, the whole way there and back, and every way it can go wrong."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from starlette.testclient import TestClient

from dashboard.app import build
from dashboard.gate import StoreGate, record
from dashboard.single_sign_on import BACK
from relay.accounts import Account, Role
from relay.actions import accounts
from relay.config import load_text
from relay.store import accounts as kept
from relay.store import audit, open_store, sign_ins
from relay.store.audit import Actor, Via
from relay.store.engine import EngineStore
from tests.dashboard.house import CONFIG, OURS
from tests.support.oidc_provider import CLIENT, SECRET, LittleProvider, little_provider, new_key

HERE = "http://127.0.0.1:8025"
ADMIN = Actor(by="root", via=Via.CLI)
ROLES = 'roles = { desk = "support", chiefs = "admin" }'
SARI: dict[str, Any] = {"sub": "u-17", "preferred_username": "sari", "name": "Sari Virtanen", "groups": ["desk"]}

LATE = "does not answer"
UNUSABLE = "gave no usable answer"
AGAIN = "Please begin again"


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture(scope="module")
def running() -> Iterator[LittleProvider]:
    with little_provider(HERE + BACK) as provider:
        yield provider


@pytest.fixture
def provider(running: LittleProvider) -> LittleProvider:
    fresh = LittleProvider(running.issuer, running.return_to, key=running.key)
    vars(running).update(vars(fresh) | {"person": dict(SARI)})
    return running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EngineStore]:
    with open_store("sqlite:data/waybill.db", tmp_path) as opened:
        yield opened


@dataclass
class Pages:
    """The pages over one store, configured for the provider."""

    store: EngineStore
    folder: Path
    issuer: str

    def browser(self, more: str = ROLES) -> TestClient:
        (self.folder / "oidc.secret").write_text(SECRET + "\n")
        text = f"""{CONFIG}[dashboard.oidc]\nissuer = "{self.issuer}"\nclient_id = "{CLIENT}"
            client_secret_file = "oidc.secret"\nlabel = "Hotel login"\n{more}\n"""
        config = load_text(text, base_dir=self.folder)
        app = build(config, self.store, gate=StoreGate(self.store), audit=record, nudge=lambda: None)
        return TestClient(app, base_url=HERE, headers=OURS, follow_redirects=False)

    def named(self, name: str) -> Account | None:
        return self.store.read_now(lambda tx: kept.named(tx, name))

    def audited(self) -> list[tuple[str, str, str]]:
        rows = self.store.read_now(lambda tx: audit.search(tx))
        return [(row.entry.action, row.entry.object, row.entry.text) for row in reversed(rows)]


@pytest.fixture
def pages(store: EngineStore, tmp_path: Path, provider: LittleProvider) -> Pages:
    return Pages(store, tmp_path, provider.issuer)


def leave(client: TestClient, goes_to: str = "/help") -> str:
    """Press the button; give the address at the provider."""
    answer = client.get("/sign-in/outside", params={"next": goes_to})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def at_provider(address: str) -> str:
    """Sign in there; give the address that it sends back to."""
    answer = httpx2.get(address)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def through(client: TestClient, goes_to: str = "/help") -> httpx2.Response:
    """Go the whole way."""
    return client.get(at_provider(leave(client, goes_to)))


def is_in(client: TestClient) -> bool:
    return client.get("/no-such-page").status_code == 404


def test_somebody_new_with_a_group_gets_an_account_and_the_page_that_was_asked_for(pages: Pages) -> None:
    client = pages.browser()
    page = client.get("/sign-in?next=%2Fhelp%3Fx%3D1").text
    link = re.search(r'href="(/sign-in/outside\?[^"]+)">Sign in with Hotel login<', page)
    assert link
    there = client.get(link[1].replace("&amp;", "&"))
    answer = client.get(at_provider(there.headers["location"]))
    assert (answer.status_code, answer.headers["location"]) == (303, "/help?x=1")
    assert is_in(client)
    account = pages.named("sari")
    assert account is not None
    assert (account.role, account.shown, account.password_hash) == (Role.SUPPORT, "Sari Virtanen", "")
    assert (account.issuer, account.subject) == (pages.issuer, "u-17")
    assert [row[:2] for row in pages.audited()] == [
        ("add_account", "sari"),
        ("connect_account", "sari"),
        ("sign_in", "sari"),
    ]


def test_without_a_provider_there_is_no_button_and_no_way(store: EngineStore, tmp_path: Path) -> None:
    app = build(load_text(CONFIG, base_dir=tmp_path), store, gate=StoreGate(store), audit=record, nudge=lambda: None)
    client = TestClient(app, base_url=HERE, headers=OURS, follow_redirects=False)
    assert "outside" not in client.get("/sign-in").text
    assert client.get("/sign-in/outside").status_code == 404
    assert client.get(BACK, params={"code": "x", "state": "y"}).status_code == 404


def test_what_travels_to_the_provider(pages: Pages) -> None:
    client = pages.browser()
    answer = client.get("/sign-in/outside")
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    assert asked["response_type"] == ["code"]
    assert asked["scope"] == ["openid profile email"]
    assert asked["redirect_uri"] == [HERE + BACK]
    assert asked["code_challenge_method"] == ["S256"]
    values = {asked[name][0] for name in ("state", "nonce", "code_challenge")}
    assert len(values) == 3
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Max-Age=600" in cookie
    assert not any(value in cookie for value in values)


def test_over_https_the_cookie_is_bound_to_this_host(pages: Pages) -> None:
    text = f'{CONFIG}[dashboard]\npublic_url = "https://mail.example.com"\n[dashboard.oidc]\n'
    text += f'issuer = "{pages.issuer}"\nclient_id = "{CLIENT}"\n{ROLES}\n'
    config = load_text(text, base_dir=pages.folder)
    app = build(config, pages.store, gate=StoreGate(pages.store), audit=record, nudge=lambda: None)
    client = TestClient(app, base_url="https://mail.example.com", headers=OURS, follow_redirects=False)
    answer = client.get("/sign-in/outside")
    assert answer.headers["set-cookie"].startswith("__Host-waybill-sso=")
    assert "Secure" in answer.headers["set-cookie"]
    assert parse_qs(urlsplit(answer.headers["location"]).query)["redirect_uri"] == ["https://mail.example.com" + BACK]


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example/", "/\\evil.example", "/" + "a" * 3000])
def test_nobody_is_sent_elsewhere(pages: Pages, target: str) -> None:
    assert through(pages.browser(), target).headers["location"] == "/"


def test_an_address_in_the_cookie_is_looked_at_again(pages: Pages) -> None:
    client = pages.browser()
    back = at_provider(leave(client))
    secret = client.cookies["waybill-sso"].split(".")[0]
    client.cookies.clear()
    client.cookies.set("waybill-sso", f"{secret}.Ly9ldmlsLmV4YW1wbGU")  # //evil.example
    assert client.get(back).headers["location"] == "/"


# -- answers that are not ours, or not now


def test_an_answer_with_another_state_signs_nobody_in(pages: Pages, provider: LittleProvider) -> None:
    client = pages.browser()
    back = urlsplit(at_provider(leave(client)))
    code = dict(parse_qsl(back.query))["code"]
    answer = client.get(BACK, params={"code": code, "state": "x" * 43})
    assert answer.status_code == 400
    assert AGAIN in answer.text
    assert not is_in(client)
    assert "/token" not in provider.asked


def test_an_answer_for_another_browser_signs_nobody_in(pages: Pages, provider: LittleProvider) -> None:
    back = at_provider(leave(pages.browser()))
    victim = pages.browser()
    leave(victim)
    answer = victim.get(back)
    assert (answer.status_code, AGAIN in answer.text) == (400, True)
    assert pages.browser().get(back).status_code == 400
    assert "/token" not in provider.asked


def test_an_answer_counts_once(pages: Pages, provider: LittleProvider) -> None:
    client = pages.browser()
    address = leave(client)
    cookie = client.cookies["waybill-sso"]
    assert client.get(at_provider(address)).status_code == 303
    client.cookies.clear()
    client.cookies.set("waybill-sso", cookie)
    again = client.get(at_provider(address))  # a new code, for the same state and nonce
    assert (again.status_code, AGAIN in again.text) == (400, True)
    assert not is_in(client)
    assert [row[0] for row in pages.audited()].count("sign_in") == 1


def test_a_code_counts_once(pages: Pages) -> None:
    client = pages.browser()
    back = at_provider(leave(client))
    cookie = client.cookies["waybill-sso"]
    assert client.get(back).status_code == 303
    client.cookies.clear()
    client.cookies.set("waybill-sso", cookie)
    assert client.get(back).status_code == 502
    assert not is_in(client)


def test_whoever_turns_back_at_the_provider_may_begin_again(pages: Pages) -> None:
    client = pages.browser()
    state = parse_qs(urlsplit(leave(client)).query)["state"][0]
    answer = client.get(BACK, params={"error": "access_denied", "state": state})
    assert (answer.status_code, AGAIN in answer.text) == (400, True)
    assert through(client).status_code == 303


def test_an_answer_of_another_provider_is_refused(pages: Pages) -> None:
    client = pages.browser()
    answer = client.get(at_provider(leave(client)) + "&iss=https%3A%2F%2Fevil.example")
    assert (answer.status_code, AGAIN in answer.text) == (400, True)


def test_a_code_that_the_provider_does_not_know_is_refused(pages: Pages) -> None:
    client = pages.browser()
    state = parse_qs(urlsplit(leave(client)).query)["state"][0]
    answer = client.get(BACK, params={"code": "made up", "state": state})
    assert (answer.status_code, UNUSABLE in answer.text) == (502, True)
    assert pages.audited()[-1][0] == "sign_in_failed"


# -- tokens that prove nothing


def wrong_key(provider: LittleProvider) -> None:
    provider.shown_keys, provider.key = [provider.key], new_key("one")


def unsigned(claims: dict[str, Any]) -> str:
    return f"{_packed({'alg': 'none'})}.{_packed(claims)}."


def signed_by_what_everybody_knows(claims: dict[str, Any]) -> str:
    """Sign with our own secret, which the provider knows, but so does whoever reads our disk."""
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))


def _packed(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def spoiled(**claims: Any) -> Callable[[LittleProvider], None]:
    return lambda provider: provider.spoil.update(claims)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(spoiled(aud="another client"), id="audience"),
        pytest.param(spoiled(aud="another client", azp=CLIENT), id="audience, though by us"),
        pytest.param(spoiled(aud=[CLIENT, "another"]), id="two audiences without azp"),
        pytest.param(spoiled(azp="another client"), id="made for another"),
        pytest.param(spoiled(iss="https://evil.example"), id="issuer"),
        pytest.param(spoiled(nonce="another"), id="nonce"),
        pytest.param(spoiled(nonce=None), id="no nonce"),
        pytest.param(spoiled(exp=int(time.time()) - 3600), id="expired"),
        pytest.param(spoiled(exp=None), id="no end"),
        pytest.param(spoiled(nbf=int(time.time()) + 3600), id="not yet"),
        pytest.param(spoiled(sub=None), id="nobody"),
        pytest.param(spoiled(sub=""), id="empty subject"),
        pytest.param(spoiled(sub=17), id="subject is a number"),
        pytest.param(wrong_key, id="signature"),
        pytest.param(lambda p: setattr(p, "forge", unsigned), id="unsigned"),
        pytest.param(lambda p: setattr(p, "forge", signed_by_what_everybody_knows), id="symmetric"),
        pytest.param(lambda p: setattr(p, "forge", lambda _: "no token"), id="no token"),
        pytest.param(lambda p: p.header.update(kid="two"), id="key that is not published"),
        pytest.param(lambda p: p.about.update(id_token_signing_alg_values_supported=["HS256"]), id="no signature"),
    ],
)
def test_a_token_that_proves_nothing_signs_nobody_in(
    pages: Pages, provider: LittleProvider, spoil: Callable[[LittleProvider], None]
) -> None:
    spoil(provider)
    client = pages.browser()
    answer = through(client)
    assert (answer.status_code, UNUSABLE in answer.text) == (502, True)
    assert not is_in(client)
    assert pages.named("sari") is None
    action, who, text = pages.audited()[-1]
    assert (action, who, text.split(":")[0]) == ("sign_in_failed", "", "unusable")


def test_a_new_key_of_the_provider_is_fetched(pages: Pages, provider: LittleProvider) -> None:
    client = pages.browser()
    assert through(client).status_code == 303
    assert through(pages.browser()).status_code == 303
    known, provider.key = provider.key, new_key("two")
    client.post("/sign-out")
    assert through(client).status_code == 303
    provider.key = known


def test_what_the_provider_publishes_is_kept(pages: Pages, provider: LittleProvider) -> None:
    client = pages.browser()
    for _ in range(3):
        assert through(client).status_code == 303
        client.post("/sign-out")
    assert provider.asked.count("/keys") == 1
    assert provider.asked.count("/.well-known/openid-configuration") == 1


# -- who may come in


def test_groups_that_give_no_role_open_nothing(pages: Pages, provider: LittleProvider) -> None:
    provider.person["groups"] = ["kitchen", "garden"]
    client = pages.browser()
    answer = through(client)
    assert answer.status_code == 403
    assert "Your groups at Hotel login" in answer.text
    assert not is_in(client)
    assert pages.named("sari") is None
    assert pages.audited() == [("sign_in_failed", "", "no_role: sari, subject u-17, groups kitchen, garden")]


def test_the_role_follows_the_groups_at_each_sign_in(pages: Pages, provider: LittleProvider) -> None:
    first, second = pages.browser(), pages.browser()
    through(first)
    provider.person["groups"] = ["desk", "chiefs"]
    assert through(second).status_code == 303
    assert second.get("/users").status_code == 200
    assert not is_in(first)  # what it was let in for has changed
    provider.person["groups"] = []
    assert through(first).status_code == 403
    assert not is_in(second)  # no group at all: nothing of the account stays open
    account = pages.named("sari")
    assert account is not None
    assert pages.audited()[-1][:2] == ("sign_in_failed", "sari")


def test_the_only_admin_is_not_made_less(pages: Pages, provider: LittleProvider) -> None:
    provider.person["groups"] = ["chiefs"]
    through(pages.browser())
    provider.person["groups"] = ["desk"]
    assert through(pages.browser()).status_code == 403
    account = pages.named("sari")
    assert account is not None
    assert account.role is Role.ADMIN


def test_groups_can_narrow_what_is_seen(pages: Pages, provider: LittleProvider) -> None:
    client = pages.browser(ROLES + '\napps = { desk = ["hotel"] }')
    through(client)
    account = pages.named("sari")
    assert account is not None
    assert account.apps == ("hotel",)


def test_a_disabled_account_stays_out(pages: Pages) -> None:
    client = pages.browser()
    through(client)
    pages.store.write_now(lambda tx: accounts.disable_account(tx, "sari", actor=ADMIN, now=now()))
    answer = through(client)
    assert (answer.status_code, "Your account is disabled" in answer.text) == (403, True)
    assert not is_in(client)
    assert pages.audited()[-1][:2] == ("sign_in_failed", "sari")


def test_with_create_off_only_connected_accounts_come_in(pages: Pages) -> None:
    client = pages.browser(ROLES + "\ncreate = false")
    answer = through(client)
    assert (answer.status_code, "no account here yet" in answer.text) == (403, True)
    assert "subject u-17" in pages.audited()[-1][2]
    make(pages, "sari.v")
    connect(pages, "sari.v")
    assert through(client).status_code == 303
    assert pages.named("sari") is None


def test_an_account_of_that_name_is_never_taken_over(pages: Pages) -> None:
    make(pages, "sari", role=Role.ADMIN)
    answer = through(pages.browser())
    assert (answer.status_code, "no account here yet" in answer.text) == (403, True)
    account = pages.named("sari")
    assert account is not None
    assert not account.is_connected


def test_whoever_has_another_name_now_keeps_the_account(pages: Pages, provider: LittleProvider) -> None:
    through(pages.browser())
    provider.person |= {"preferred_username": "sari.korhonen", "email": "boss@hotel.example"}
    client = pages.browser()
    assert through(client).status_code == 303
    assert pages.named("sari.korhonen") is None


def test_without_roles_the_account_keeps_what_admins_gave_it(pages: Pages) -> None:
    make(pages, "sari.v", role=Role.OPERATOR)
    connect(pages, "sari.v")
    client = pages.browser("create = false")
    assert through(client).status_code == 303
    account = pages.named("sari.v")
    assert account is not None
    assert account.role is Role.OPERATOR


def test_a_connected_account_has_no_password_and_no_second_step(pages: Pages) -> None:
    make(pages, "sari", password_hash=accounts.make_hash("correct horse battery"))
    connect(pages, "sari")
    client = pages.browser()
    form = {"name": "sari", "password": "correct horse battery"}
    assert client.post("/sign-in", data=form).status_code == 422
    assert through(client).status_code == 303
    assert "/me/password" not in client.get("/me").text


def test_groups_are_asked_for_where_the_token_has_none(pages: Pages, provider: LittleProvider) -> None:
    del provider.person["groups"]
    provider.in_userinfo = {"groups": ["chiefs"]}
    client = pages.browser()
    assert through(client).status_code == 303
    assert client.get("/users").status_code == 200
    provider.in_userinfo["sub"] = "somebody else"
    assert through(pages.browser()).status_code == 502


# -- a provider in trouble


@pytest.mark.parametrize(
    "about",
    [{"issuer": "https://evil.example"}, {"authorization_endpoint": "ftp://x"}, {"authorization_endpoint": None}],
)
def test_a_provider_that_is_another_is_not_used(
    pages: Pages, provider: LittleProvider, about: dict[str, str | None]
) -> None:
    provider.about.update(about)
    answer = pages.browser().get("/sign-in/outside")
    assert (answer.status_code, UNUSABLE in answer.text) == (502, True)


def test_a_provider_that_is_down_is_said_and_local_accounts_work(store: EngineStore, tmp_path: Path) -> None:
    with little_provider(HERE + BACK) as gone:
        pages = Pages(store, tmp_path, gone.issuer)
    make(pages, "bob", password_hash=accounts.make_hash("correct horse battery"))
    client = pages.browser()
    answer = client.get("/sign-in/outside", params={"next": "/help"})
    assert (answer.status_code, LATE in answer.text) == (503, True)
    form = {"name": "bob", "password": "correct horse battery", "next": "/help"}
    assert client.post("/sign-in", data=form).headers["location"] == "/help"


def test_a_provider_that_breaks_on_the_way_is_said(pages: Pages, provider: LittleProvider) -> None:
    client = pages.browser()
    back = at_provider(leave(client))
    provider.is_broken = True
    answer = client.get(back)
    assert (answer.status_code, LATE in answer.text) == (503, True)


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token", "/userinfo"])
@pytest.mark.parametrize("body", ["[]", "3", "null", '"x"', "{}", "<html>", "", '{"keys": [3]}', "[" * 100_000])
def test_an_answer_of_any_shape_breaks_nothing(pages: Pages, provider: LittleProvider, path: str, body: str) -> None:
    if path == "/userinfo":
        del provider.person["groups"]
    provider.instead[path] = body
    client = pages.browser()
    answer = client.get("/sign-in/outside")
    if answer.status_code == 303:
        answer = client.get(at_provider(answer.headers["location"]))
    assert (answer.status_code, UNUSABLE in answer.text) == (502, True)


def test_an_answer_without_end_is_left_off(pages: Pages, provider: LittleProvider) -> None:
    provider.instead["/.well-known/openid-configuration"] = " " * 2_000_000
    assert pages.browser().get("/sign-in/outside").status_code == 502


def test_a_silent_provider_is_left_alone_for_a_moment(pages: Pages, provider: LittleProvider) -> None:
    provider.is_broken = True
    client = pages.browser()
    for _ in range(3):
        assert client.get("/sign-in/outside").status_code == 503
    assert len(provider.asked) == 1


def test_a_secret_that_is_gone_is_our_fault_and_breaks_nothing(pages: Pages) -> None:
    client = pages.browser()
    back = at_provider(leave(client))
    (pages.folder / "oidc.secret").unlink()
    assert client.get(back).status_code == 502


def test_who_fails_too_often_has_to_wait(pages: Pages, provider: LittleProvider) -> None:
    client = pages.browser()
    back = at_provider(leave(client))
    for _ in range(sign_ins.PER_CLIENT):
        pages.store.write_now(lambda tx: sign_ins.fail_outside(tx, ip="testclient", now=now()))
    answer = client.get(back)
    assert (answer.status_code, "Too many sign-ins failed" in answer.text) == (429, True)
    assert "/token" not in provider.asked


def make(pages: Pages, name: str, *, role: Role = Role.SUPPORT, password_hash: str = "") -> None:
    answer = pages.store.write_now(
        lambda tx: accounts.create_account(tx, name, role=role, actor=ADMIN, now=now(), password_hash=password_hash)
    )
    assert answer.is_done


def connect(pages: Pages, name: str) -> None:
    answer = pages.store.write_now(
        lambda tx: accounts.connect_account(tx, name, issuer=pages.issuer, subject="u-17", actor=ADMIN, now=now())
    )
    assert answer.is_done
