"""`user` and `token`: who may sign in, from the command line."""

from __future__ import annotations

import io
import sys
from urllib.parse import urlsplit

import pytest

from relay.actions import accounts as acting
from relay.actions.accounts import SignIn, State
from relay.cli.context import asker
from relay.store import audit
from tests.cli.desk import Desk

BACKENDS = ("sqlite", "postgres")
PASSWORD = "correct horse"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input holds the password."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))


def sign_in(desk: Desk, name: str, password: str = PASSWORD) -> SignIn:
    now = desk.now
    with desk.store() as store:
        seen = store.read_now(lambda tx: acting.look(tx, name, ip="192.0.2.1", now=now))
        is_right = acting.verify(seen, password)
        return store.write_now(lambda tx: acting.settle(tx, seen, is_right=is_right, agent="", now=now))


def is_signed_in(desk: Desk, came: SignIn) -> bool:
    with desk.store() as store:
        return store.read_now(lambda tx: acting.who(tx, came.token, now=desk.now)) is not None


def audited(desk: Desk) -> list[tuple[str, str, str, str]]:
    with desk.store() as store:
        rows = store.read_now(audit.search)
    return [(e.actor.by, e.actor.via, e.action, e.object) for e in (row.entry for row in reversed(rows))]


@pytest.mark.usefixtures("typed")
def test_an_account_is_made_listed_and_signed_in_to(desk: Desk) -> None:
    assert "Nobody can sign in yet" in desk.run("user", "list").out
    got = desk.run("user", "add", "Anna", "--role", "support", "--apps", "hotel, spa", "--full-name", "Anna Berg")
    assert (got.code, got.out) == (0, "Account Anna was made: support, only hotel, spa.\n")
    assert 'no app "spa" is configured' in got.err
    assert PASSWORD not in got.out + got.err
    assert sign_in(desk, "anna").state is State.OK
    one = desk.run("user", "list", "--json").one()
    assert one == {
        "name": "Anna", "full_name": "Anna Berg", "role": "support", "apps": ["hotel", "spa"],
        "may_read_content": True, "has_password": True, "has_second_step": False, "issuer": "", "subject": "",
        "created_at": one["created_at"], "disabled_at": None, "last_seen_at": one["last_seen_at"],
    }  # fmt: skip
    assert one["last_seen_at"] is not None
    assert "hotel, spa" in desk.run("user", "list").out
    assert audited(desk)[0] == (asker(), "cli", "add_account", "Anna")


@pytest.mark.parametrize(
    ("arguments", "given", "said"),
    [
        (["anna"], "short\n", "at least 10 letters"),
        (["anna"], "\n", "the password is empty"),
        (["anna.berg.hotel"], "ANNA.BERG.hotel\n", "not the name"),
        (["an na"], f"{PASSWORD}\n", "no spaces"),
        (["anna", "--role", "king"], f"{PASSWORD}\n", '"king" is no role: viewer, support, operator, admin'),
        (["anna", "--apps", "a/b"], f"{PASSWORD}\n", '"a/b" is no name of an app'),
    ],
)
def test_what_makes_no_account(
    desk: Desk, arguments: list[str], given: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(given))
    got = desk.run("user", "add", *arguments)
    assert got.code in {1, 2}
    assert said in got.err
    assert desk.run("user", "list", "--json").out == ""


@pytest.mark.usefixtures("typed")
def test_the_same_name_twice_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.run("user", "add", "anna")
    monkeypatch.setattr(sys, "stdin", io.StringIO("another password\n"))
    got = desk.run("user", "add", "ANNA", "--role", "admin")
    assert (got.code, got.err) == (1, "There is an account ANNA already.\n")
    assert sign_in(desk, "anna").state is State.OK


def test_a_link_is_alone_on_stdout_and_lets_in_once(desk: Desk) -> None:
    got = desk.run("user", "add", "anna", "--link")
    assert got.code == 0
    link = got.out.splitlines()[-1]
    assert link.startswith("http://127.0.0.1:8025/link/")
    assert "no password yet" in desk.run("user", "list").out
    assert sign_in(desk, "anna", "").state is State.WRONG
    token = urlsplit(link).path.removeprefix("/link/")
    newer = desk.run("user", "password", "anna", "--link").out.strip().rpartition("/")[2]
    made = acting.make_hash(PASSWORD)
    with desk.store() as store:
        used = [
            store.write_now(
                lambda tx, t=one: acting.use_invitation(  # type: ignore[misc]
                    tx, t, password_hash=made, ip="192.0.2.1", agent="", now=desk.now
                )
            ).state
            for one in (token, newer, newer)
        ]
    assert used == [State.WRONG, State.OK, State.WRONG]
    assert sign_in(desk, "anna").state is State.OK


def test_a_link_is_on_the_address_that_browsers_reach(desk: Desk) -> None:
    text = '\n[dashboard]\npublic_url = "https://mail.example.com"\ntrusted_proxies = ["127.0.0.1"]\n'
    desk.config.write_text(desk.config.read_text(encoding="utf-8") + text, encoding="utf-8")
    assert desk.run("user", "add", "anna", "--link").out.splitlines()[-1].startswith("https://mail.example.com/link/")


@pytest.mark.usefixtures("typed")
def test_a_new_password_signs_out_everywhere(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.run("user", "add", "anna")
    came = sign_in(desk, "anna")
    monkeypatch.setattr(sys, "stdin", io.StringIO("battery staple\n"))
    assert desk.run("user", "password", "Anna").code == 0
    assert not is_signed_in(desk, came)
    assert sign_in(desk, "anna").state is State.WRONG
    assert sign_in(desk, "anna", "battery staple").state is State.OK


@pytest.mark.usefixtures("typed")
@pytest.mark.parametrize("command", [("signout",), ("disable",), ("change", "--role", "viewer")])
def test_what_ends_the_sessions_of_an_account(desk: Desk, command: tuple[str, ...]) -> None:
    desk.run("user", "add", "anna", "--role", "support")
    came = sign_in(desk, "anna")
    assert is_signed_in(desk, came)
    assert desk.run("user", command[0], "anna", *command[1:]).code == 0
    assert not is_signed_in(desk, came)


@pytest.mark.usefixtures("typed")
def test_a_disabled_account_is_enabled_again(desk: Desk) -> None:
    desk.run("user", "add", "anna")
    assert "signed out everywhere" in desk.run("user", "disable", "anna").out
    assert desk.run("user", "disable", "anna").out == "anna is disabled already.\n"
    assert desk.run("user", "list", "--json").one()["disabled_at"] is not None
    assert sign_in(desk, "anna").state is State.WRONG
    assert desk.run("user", "password", "anna", "--link").code == 1
    assert desk.run("user", "enable", "anna").code == 0
    assert sign_in(desk, "anna").state is State.OK


@pytest.mark.usefixtures("typed")
def test_the_last_admin_is_kept(desk: Desk) -> None:
    desk.run("user", "add", "boss", "--role", "admin")
    for command in (("disable", "boss"), ("change", "boss", "--role", "operator")):
        got = desk.run("user", *command)
        assert (got.code, got.err) == (1, "boss is the only admin; make another one first.\n")
    assert "may not read mail, only hotel" in desk.run("user", "change", "boss", "--no-content", "--apps", "hotel").out
    assert desk.run("user", "change", "boss", "--content", "--apps", "all").out == "boss is now admin.\n"
    assert desk.run("user", "change", "boss").out == "boss is so already: admin.\n"


@pytest.mark.parametrize("command", ["disable", "enable", "signout", "password", "change", "reset-code"])
def test_nobody_is_not_changed(desk: Desk, command: str) -> None:
    got = desk.run("user", command, "no\x1bbody")
    assert (got.code, got.out, got.err.splitlines()[-1]) == (1, "", "There is no account no\\x1bbody.")


@pytest.mark.usefixtures("typed")
def test_who_lost_the_telephone_is_let_in(desk: Desk) -> None:
    desk.run("user", "add", "anna")
    assert desk.run("user", "reset-code", "anna").out == "anna signs in without a code already.\n"
    anna = sign_in(desk, "anna").account
    assert anna is not None
    with desk.store() as store:
        assert store.write_now(lambda tx: acting.start_totp(tx, anna))
    assert desk.run("user", "reset-code", "anna").out == "anna signs in without a code.\n"


def test_a_token_is_printed_once_listed_by_its_beginning_and_revoked(desk: Desk) -> None:
    assert desk.run("token", "list").out == "There is no token.\n"
    got = desk.run("token", "add", "shop", "--role", "support", "--apps", "all")
    secret = got.out.strip()
    assert (got.code, "not shown again" in got.err) == (0, True)
    with desk.store() as store:
        found = store.read_now(lambda tx: acting.bearer(tx, secret))
    assert found is not None
    listed = desk.run("token", "list").out
    assert secret[:9] in listed
    assert secret[:10] not in listed
    one = desk.run("token", "list", "--json").one()
    assert (one["name"], one["role"], one["apps"], one["by"]) == ("shop", "support", [], asker())
    assert desk.run("token", "add", "Shop").code == 1
    assert desk.run("token", "revoke", "shop").out == "Token shop counts no more.\n"
    assert desk.run("token", "revoke", "shop").code == 1
    with desk.store() as store:
        assert store.read_now(lambda tx: acting.bearer(tx, secret)) is None
    assert desk.run("token", "list", "--json").out == ""
    assert desk.run("token", "list", "--all", "--json").one()["revoked_at"] is not None
    assert [row[2:] for row in audited(desk)] == [("add_token", "shop"), ("revoke_token", "shop")]


@pytest.mark.usefixtures("typed")
def test_the_audit_log_is_read_and_narrowed(desk: Desk) -> None:
    assert (desk.run("audit").code, desk.run("audit").out) == (0, "")
    desk.run("user", "add", "anna")
    desk.run("token", "add", "shop")
    sign_in(desk, "anna", "wrong password")
    rows = desk.run("audit", "--json").lines()
    assert [row["action"] for row in rows] == ["sign_in_failed", "add_token", "add_account"]
    assert rows[0] == {
        "seq": rows[0]["seq"], "at": rows[0]["at"], "by": "", "via": "page", "ip": "192.0.2.1",
        "action": "sign_in_failed", "object_kind": "account", "object": "anna", "text": "", "note": "",
    }  # fmt: skip
    for asked, wanted in (
        (["shop"], ["add_token"]),
        (["--by", asker()], ["add_token", "add_account"]),
        (["--action", "add_account"], ["add_account"]),
        (["--limit", "1"], ["sign_in_failed"]),
        (["--before", str(rows[1]["seq"])], ["add_account"]),
        (["--until", "10m"], ["sign_in_failed"]),
        (["--since", "10m"], ["add_token", "add_account"]),
    ):
        assert [row["action"] for row in desk.run("audit", *asked, "--json").lines()] == wanted, asked
    assert "token shop" in desk.run("audit").out


def test_an_account_is_connected_to_the_provider_and_made_local_again(desk: Desk) -> None:
    desk.run("user", "add", "anna", "--link")
    assert "write [dashboard.oidc]" in desk.run("user", "connect", "anna", "u-17").err
    section = '[dashboard.oidc]\nissuer = "https://login.example.com"\nclient_id = "waybill"\ncreate = false\n'
    desk.config.write_text(desk.config.read_text() + section)
    assert desk.run("user", "connect", "anna", "u-17").code == 0
    (one,) = desk.run("user", "list", "--json").lines()
    assert (one["issuer"], one["subject"]) == ("https://login.example.com", "u-17")
    assert " provider" in desk.run("user", "list").out
    assert "signs in with the provider" in desk.run("user", "password", "anna", "--link").err
    assert desk.run("user", "connect", "nobody", "u-18").code == 1
    assert desk.run("user", "disconnect", "anna").code == 0
    assert "no password yet" in desk.run("user", "list").out
