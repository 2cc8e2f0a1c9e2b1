"""Roles, permissions, names, passwords: by table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from relay.accounts import (
    PERMISSIONS,
    Account,
    Permission,
    Role,
    fault_of_apps,
    fault_of_name,
    fault_of_password,
    link_of,
    name_key,
    prepared,
)
from relay.passwords import hash_password, nobodys_hash, verify_password

NOW = datetime(2026, 11, 30, tzinfo=UTC)
ANNA = Account(id="1", name="anna", role=Role.SUPPORT, created_at=NOW)


@pytest.mark.parametrize("number", range(4))
def test_a_role_includes_every_one_before_it(number: int) -> None:
    order = [Role.VIEWER, Role.SUPPORT, Role.OPERATOR, Role.ADMIN]
    assert [order[number].allows(needed) for needed in order] == [place <= number for place in range(4)]


def test_every_permission_has_a_least_role_and_a_reason() -> None:
    assert set(PERMISSIONS) == set(Permission)
    assert all(len(reason) > 10 for _, reason in PERMISSIONS.values())


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        (Role.VIEWER, Permission.SEE_LOG, Permission.RESEND),
        (Role.SUPPORT, Permission.UNBLOCK, Permission.UNBLOCK_COMPLAINT),
        (Role.SUPPORT, Permission.EXPORT_ROWS, Permission.STEER_QUEUE),
        (Role.OPERATOR, Permission.SEE_AUDIT, Permission.ERASE_PERSON),
        (Role.OPERATOR, Permission.HANDLE_INCIDENTS, Permission.MANAGE_ACCOUNTS),
    ],
)
def test_where_one_role_ends(role: Role, may: Permission, may_not: Permission) -> None:
    somebody = replace(ANNA, role=role)
    assert (somebody.may(may), somebody.may(may_not)) == (True, False)
    assert replace(somebody, role=Role.ADMIN).may(may_not)


@pytest.mark.parametrize("role", Role)
def test_reading_what_mails_say_is_a_switch_beside_the_role(role: Role) -> None:
    for switch in (True, False):
        somebody = replace(ANNA, role=role, may_read_content=switch)
        assert somebody.may(Permission.READ_CONTENT) is switch
        assert somebody.may(Permission.SEE_LOG)


def test_an_account_sees_its_apps_or_all() -> None:
    assert ANNA.sees("hotel")
    some = replace(ANNA, apps=("hotel", "spa"))
    assert [some.sees(app) for app in ("hotel", "spa", "shop", "hot", "")] == [True, True, False, False, False]


def test_an_account_shows_no_secret() -> None:
    somebody = replace(ANNA, password_hash="$scrypt$hash", totp_secret="SECRET")
    assert "hash" not in repr(somebody).replace("password_hash", "")
    assert "SECRET" not in repr(somebody)


@pytest.mark.parametrize("name", ["anna", "Anna.Berg", "anna@hotel.example", "a+b_c-d", "Ängla", "李"])
def test_names_that_can_be_had(name: str) -> None:
    assert fault_of_name(name) is None


@pytest.mark.parametrize(
    "name", ["", " ", "anna berg", "a" * 65, "a\n", "a\x00b", "a/b", "a:b", "<b>", "\u202eanna", "½a"]
)
def test_names_that_cannot_be_had(name: str) -> None:
    assert fault_of_name(name)


@pytest.mark.parametrize(("one", "other"), [("Anna", "ANNA"), ("STRASSE", "straße"), ("ａnna", "anna"), ("İx", "i̇x")])
def test_names_that_are_the_same(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


@pytest.mark.parametrize(
    ("password", "is_good"),
    [
        ("a" * 10, True),
        ("a" * 9, False),
        ("", False),
        ("correct horse battery", True),
        (" 12345678 ", True),
        ("ä" * 10, True),
        ("a" * 1024, True),
        ("a" * 1025, False),
        ("ä" * 600, False),
        ("ANNA@hotel.example", False),
    ],
)
def test_a_password_has_a_length_and_no_other_rule(password: str, is_good: bool) -> None:
    assert (fault_of_password(password, name="anna@hotel.example") is None) is is_good


def test_the_same_letters_from_two_keyboards_are_the_same_password() -> None:
    stored = hash_password(prepared("pa\u0308ssword for anna"))
    assert verify_password(prepared("p\u00e4ssword for anna").encode(), stored)
    assert not verify_password(b"password for anna", stored)


def test_nobodys_hash_is_a_hash_that_no_password_has() -> None:
    assert nobodys_hash() != nobodys_hash()
    assert not verify_password(b"", nobodys_hash())
    ours = hash_password("x" * 10)
    assert nobodys_hash().split("$")[:3] == ours.split("$")[:3], "it costs the same"
    assert len(nobodys_hash()) == len(ours)


def test_apps_are_named_as_in_the_configuration() -> None:
    assert fault_of_apps(("hotel-desk", "spa.1")) is None
    assert fault_of_apps(("hotel", "a b")) == '"a b" is no name of an app.'


def test_a_link_is_written_on_the_public_address() -> None:
    assert link_of("https://mail.example.com/", "k-1_x") == "https://mail.example.com/link/k-1_x"
    assert urlsplit(link_of("", "k")).path == "/link/k"
