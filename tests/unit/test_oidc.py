"""What a provider's claims mean, what [dashboard.oidc] may say, and what the browser keeps meanwhile: tables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from dashboard.single_sign_on import Flow, provider_of
from relay.accounts import Role
from relay.config import NO_OIDC, file_problems, load_text, warnings
from relay.errors import ConfigError
from relay.oidc import Grant, granted, groups_of, guest_of
from relay.settings import Oidc

ISSUER = "https://login.example.com/realms/hotel"
BASE = f'[dashboard.oidc]\nissuer = "{ISSUER}"\nclient_id = "waybill"\n'
ROLES = 'roles = { desk = "support" }\n'


def settings(**values: Any) -> Oidc:
    given = {"issuer": ISSUER, "client_id": "waybill", "roles": {"desk": "support"}} | values
    return Oidc.model_validate(given)


# -- who it is


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"preferred_username": "sari", "email": "s@hotel.example"}, "sari"),
        ({"preferred_username": "Sari Virtanen", "email": "s@hotel.example"}, "s@hotel.example"),
        ({"preferred_username": " sari "}, "sari"),
        ({"preferred_username": ["sari"], "email": 7}, "u-17"),
        ({"email": "a" * 70 + "@hotel.example"}, "u-17"),
        ({}, "u-17"),
        ({"sub": "no name|of ours"}, ""),
    ],
)
def test_what_a_new_account_is_called_by(claims: dict[str, object], name: str) -> None:
    guest = guest_of({"iss": ISSUER, "sub": "u-17"} | claims, settings())
    assert guest is not None
    assert guest.name == name


def test_a_claim_of_the_house_can_be_the_name() -> None:
    guest = guest_of({"iss": ISSUER, "sub": "u", "upn": "sv", "preferred_username": "x"}, settings(name_claim="upn"))
    assert guest is not None
    assert guest.name == "sv"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": ISSUER},
        {"iss": ISSUER, "sub": ""},
        {"iss": ISSUER, "sub": 17},
        {"iss": ISSUER, "sub": "a" * 256},
        {"iss": ISSUER, "sub": "a\x00b"},
        {"iss": ISSUER + "/", "sub": "u-17"},
        {"sub": "u-17"},
    ],
)
def test_claims_that_name_nobody(claims: dict[str, object]) -> None:
    assert guest_of(claims, settings()) is None


@pytest.mark.parametrize(
    ("claims", "name", "groups"),
    [
        ({"groups": ["a", "b", "a", "", 3, None]}, "groups", ("a", "b")),
        ({"hd": "hotel.example"}, "hd", ("hotel.example",)),
        ({"realm_access": {"roles": ["a"]}}, "realm_access.roles", ("a",)),
        ({"https://hotel.example/groups": ["a"]}, "https://hotel.example/groups", ("a",)),
        ({"a.b": ["whole"], "a": {"b": ["path"]}}, "a.b", ("whole",)),
        ({"groups": {"a": 1}}, "groups", ()),
        ({"groups": []}, "groups", ()),
        ({"realm_access": "roles"}, "realm_access.roles", ()),
        ({}, "groups", ()),
    ],
)
def test_which_groups_somebody_has(claims: dict[str, object], name: str, groups: tuple[str, ...]) -> None:
    assert groups_of(claims, name) == groups


# -- what they may do

TWO = {"desk": "support", "chiefs": "admin", "spa": "support"}


@pytest.mark.parametrize(
    ("groups", "apps", "want"),
    [
        ((), {}, None),
        (("Desk",), {}, None),
        (("kitchen", "desk"), {}, Grant(role=Role.SUPPORT, apps=())),
        (("desk", "chiefs"), {}, Grant(role=Role.ADMIN, apps=())),
        (("chiefs", "desk"), {}, Grant(role=Role.ADMIN, apps=())),
        (("desk",), {"desk": ["hotel"]}, Grant(role=Role.SUPPORT, apps=("hotel",))),
        (
            ("desk", "spa"),
            {"desk": ["hotel"], "spa": ["spa", "hotel"]},
            Grant(role=Role.SUPPORT, apps=("hotel", "spa")),
        ),
        (("desk", "spa"), {"desk": ["hotel"]}, Grant(role=Role.SUPPORT, apps=())),
        (("desk", "chiefs"), {"chiefs": ["hotel"]}, Grant(role=Role.ADMIN, apps=("hotel",))),
        (("desk", "chiefs"), {"desk": ["hotel"]}, Grant(role=Role.ADMIN, apps=())),
    ],
)
def test_what_groups_give(groups: tuple[str, ...], apps: dict[str, list[str]], want: Grant | None) -> None:
    assert granted(groups, settings(roles=TWO, apps=apps)) == want


# -- the configuration


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BASE, "new accounts need a role"),
        (BASE + 'roles = { desk = "boss" }', "dashboard.oidc.roles.desk: Input should be 'viewer'"),
        (BASE + 'roles = { "" = "admin" }', "a group has a name"),
        (BASE + ROLES + 'apps = { spa = ["a"] }', 'apps names the group "spa"'),
        (BASE + ROLES + 'apps = { desk = ["a"] }', 'dashboard.oidc.apps.desk.1: no [[app]] has the name "a"'),
        (BASE + ROLES + "apps = { desk = [] }", "dashboard.oidc.apps.desk: name the apps"),
        (BASE + ROLES + 'scopes = ["openid profile"]', "each scope by itself"),
        (BASE + ROLES + 'client_secret = "x"', 'unknown key - did you mean "client_secret_file"'),
        (BASE + ROLES + 'label = ""', "dashboard.oidc.label"),
        (BASE.replace("https", "http") + ROLES, "reached over https"),
        (BASE.replace(ISSUER, "login.example.com") + ROLES, "write the issuer"),
        (BASE.replace(ISSUER, ISSUER + "?x=1") + ROLES, "write the issuer"),
        (
            '[dashboard]\naddress = "0.0.0.0:443"\ncert_file = "c"\nkey_file = "k"\n' + BASE + ROLES,
            "oidc needs public_url",
        ),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(text, base_dir=Path("/srv"))
    assert said in caught.value.problems[0]


def test_an_issuer_on_this_machine_may_do_without_https() -> None:
    config = load_text(BASE.replace(ISSUER, "http://127.0.0.1:8080") + ROLES, base_dir=Path("/srv"))
    assert config.dashboard.oidc is not None
    assert config.dashboard.oidc.scopes[0] == "openid"


def test_openid_is_always_asked_for() -> None:
    assert settings(scopes=["email"]).scopes == ["openid", "email"]


def test_a_secret_that_is_missing_or_open_is_said(tmp_path: Path) -> None:
    config = load_text(BASE + ROLES + 'client_secret_file = "s"', base_dir=tmp_path)
    assert file_problems(config)[0].startswith("dashboard.oidc.client_secret_file: ")
    (tmp_path / "s").write_text("secret\n")
    (tmp_path / "s").chmod(0o644)
    assert file_problems(config) == []
    assert any(line.startswith("dashboard.oidc.client_secret_file: every user") for line in warnings(config))


def test_packages_that_are_missing_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "dashboard.provider", raising=False)
    config = load_text(BASE + ROLES, base_dir=tmp_path)
    assert file_problems(config) == [NO_OIDC]
    assert provider_of(config) is None  # the pages go on with local accounts
    assert file_problems(load_text("", base_dir=tmp_path)) == []


def test_without_a_section_no_provider_is_made_ready(tmp_path: Path) -> None:
    assert provider_of(load_text("", base_dir=tmp_path)) is None
    assert provider_of(load_text(BASE + ROLES, base_dir=tmp_path)) is not None


# -- the browser's part


def test_a_cookie_says_again_what_it_was_made_from() -> None:
    flow = Flow.begin("/log?q=ä&x=1")
    assert Flow.of_cookie(flow.cookie) == flow
    assert len({flow.state, flow.nonce, flow.verifier, flow.secret}) == 4
    assert {len(flow.state), len(flow.nonce), len(flow.verifier)} == {43}
    assert flow.secret not in repr(flow)
    assert Flow.begin("/").state != Flow.begin("/").state


@pytest.mark.parametrize("text", ["", ".", "short.Lw", "a" * 43, "a" * 43 + ".ä", "a" * 43 + ".A", "a" * 43 + "./w"])
def test_a_cookie_that_is_not_ours_is_none(text: str) -> None:
    assert Flow.of_cookie(text) is None


@pytest.mark.parametrize(
    ("change", "is_ours"),
    [
        ({}, True),
        ({"iss": ISSUER}, True),
        ({"iss": "https://evil.example"}, False),
        ({"state": ""}, False),
        ({"state": "ä"}, False),
    ],
)
def test_which_answer_is_ours(change: dict[str, str], is_ours: bool) -> None:
    flow = Flow.begin("/")
    assert flow.is_answered_by({"state": flow.state} | change, issuer=ISSUER) is is_ours
    assert not flow.is_answered_by({}, issuer=ISSUER)
