"""MTA-STS records, policy files and the names they allow (RFC 8461)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from relay.delivery.mta_sts import MAX_AGE, PolicyFault, StsMode, parse_policy, record_id

NOW = datetime(2026, 3, 1, tzinfo=UTC)
GOOD = "version: STSv1\r\nmode: enforce\r\nmx: mx1.guest.example\r\nmx: *.mail.guest.example\r\nmax_age: 604800\r\n"


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (["v=STSv1; id=20260301T1;"], "20260301T1"),
        (["v=STSv1;id=a"], "a"),
        (["v=spf1 -all", "v=STSv1; id=7; more=1"], "7"),
        ([], None),
        (["v=STSv1; id=a", "v=STSv1; id=b"], None),
        (["v=STSv1"], None),
        (["v=STSv1; id="], None),
        (["v=STSv1; id=has-hyphen"], None),
        (["v=STSv1; id=" + "a" * 33], None),
        (["v=STSv10; id=a"], None),
        (["id=a; v=STSv1"], None),
    ],
)
def test_the_record_tells_which_policy_there_is(texts: list[str], wanted: str | None) -> None:
    assert record_id(texts) == wanted


def test_a_policy_is_read() -> None:
    policy = parse_policy(GOOD.encode(), domain="guest.example", record="1", now=NOW)
    assert (policy.mode, policy.mx) == (StsMode.ENFORCE, ("mx1.guest.example", "*.mail.guest.example"))
    assert policy.expires_at == NOW + timedelta(days=7)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("version: STSv1", "version: STSv2"), "version"),
        (("mode: enforce", "mode: strict"), "mode"),
        (("mode: enforce\r\n", ""), "mode"),
        (("max_age: 604800", "max_age: soon"), "max_age"),
        (("max_age: 604800", "max_age: -1"), "max_age"),
        (("mx: mx1.guest.example\r\nmx: *.mail.guest.example\r\n", ""), "no mx"),
        (("mx1.guest.example", "mx1 guest"), "no host name"),
        (("*.mail.guest.example", "mail.*.example"), "no host name"),
        (("mx1", "m\udcff"), "UTF-8"),
    ],
)
def test_a_policy_with_a_fault_is_none(change: tuple[str, str], reason: str) -> None:
    body = GOOD.replace(*change).encode("utf-8", "surrogateescape")
    with pytest.raises(PolicyFault, match=reason):
        parse_policy(body, domain="guest.example", record="1", now=NOW)


def test_mode_none_needs_no_mx_and_a_long_age_is_cut() -> None:
    body = b"version: STSv1\nmode: none\nmax_age: 9999999999\n"
    policy = parse_policy(body, domain="guest.example", record="1", now=NOW)
    assert (policy.mode, policy.max_age) == (StsMode.NONE, MAX_AGE)


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("mx1.guest.example", True),
        ("MX1.Guest.Example.", True),
        ("mx2.guest.example", False),
        ("a.mail.guest.example", True),
        ("a.b.mail.guest.example", False),
        ("mail.guest.example", False),
        ("evil-mail.guest.example", False),
    ],
)
def test_a_wildcard_stands_for_one_label(host: str, is_allowed: bool) -> None:
    policy = parse_policy(GOOD.encode(), domain="guest.example", record="1", now=NOW)
    assert policy.allows(host) is is_allowed
