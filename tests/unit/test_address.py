"""Addresses: what is taken, what is refused with which status, and the two derived forms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.address import address_key, domain_of, parse_path, split, validate
from relay.errors import Refused


@pytest.mark.parametrize(
    "address",
    [
        "sari@example.com",
        "a.b+tag@example.com",
        "b%y@relay.example",
        "=?utf-8?q?b=40y?=@x.example",
        '"b@y"@relay.example',
        '"with space"@example.com',
        "a@b",
        "o'brien@example.ie",
        "a@xn--mller-kva.example",
        "x" * 64 + "@example.com",
        "a@" + "b" * 63 + ".example",
    ],
)
def test_usable_address_passes(address: str) -> None:
    validate(address)


@pytest.mark.parametrize(
    ("address", "code", "enhanced"),
    [
        pytest.param("", 501, "5.1.3", id="empty recipient"),
        pytest.param("b", 501, "5.1.3", id="no domain"),
        pytest.param("@y", 501, "5.1.3", id="no local part"),
        pytest.param("y!b", 501, "5.1.3", id="bang path"),
        pytest.param("@r1,@r2:b@y", 501, "5.1.3", id="source route"),
        pytest.param("b@x..y", 501, "5.1.3", id="empty label"),
        pytest.param(".b@x", 501, "5.1.3", id="leading dot"),
        pytest.param("b.@x", 501, "5.1.3", id="trailing dot in local part"),
        pytest.param("b@x.", 501, "5.1.3", id="trailing dot in domain"),
        pytest.param("b@-x-", 501, "5.1.3", id="hyphens at the ends"),
        pytest.param("b@x_y", 501, "5.1.3", id="underscore"),
        pytest.param("b@xn--a", 501, "5.1.3", id="broken A-label"),
        pytest.param("b@XN--A", 501, "5.1.3", id="broken A-label in capitals"),
        pytest.param("b@x:25", 501, "5.1.3", id="port"),
        pytest.param("b@1.2.3.4", 501, "5.1.3", id="bare IP"),
        pytest.param("b@y,c@z", 501, "5.1.3", id="list"),
        pytest.param("b (c)@y", 501, "5.1.3", id="comment"),
        pytest.param("b @y", 501, "5.1.3", id="space"),
        pytest.param("a\x00b@y", 501, "5.1.3", id="NUL"),
        pytest.param("a\x0bb@y", 501, "5.1.3", id="VT"),
        pytest.param("a\tb@y", 501, "5.1.3", id="TAB"),
        pytest.param('"a\rb"@y', 501, "5.1.3", id="CR in quotes"),
        pytest.param("x" * 65 + "@y", 501, "5.1.3", id="local part of 65"),
        pytest.param("a@" + "b." * 127 + "com", 501, "5.1.3", id="domain of 256"),
        pytest.param("a@" + "b" * 64 + ".com", 501, "5.1.3", id="label of 64"),
        pytest.param("ä@example.com", 553, "5.6.7", id="8-bit local part"),
        pytest.param("a@müller.example", 553, "5.6.7", id="8-bit domain"),
        pytest.param("b@[127.0.0.1]", 550, "5.1.2", id="literal"),
        pytest.param("b@[IPv6:::1]", 550, "5.1.2", id="v6 literal"),
        pytest.param("b@[999.0.0.1]", 501, "5.1.3", id="bad literal"),
        pytest.param("postmaster", 550, "5.1.1", id="bare postmaster"),
    ],
)
def test_unusable_recipient_is_refused(address: str, code: int, enhanced: str) -> None:
    with pytest.raises(Refused) as caught:
        validate(address)
    assert (caught.value.code, caught.value.enhanced) == (code, enhanced)


def test_bad_sender_has_a_status_of_its_own() -> None:
    with pytest.raises(Refused) as caught:
        validate("a..b@x", is_sender=True)
    assert (caught.value.code, caught.value.enhanced) == (501, "5.1.7")


def test_null_sender_passes_and_a_null_recipient_does_not() -> None:
    validate("", is_sender=True)
    with pytest.raises(Refused):
        validate("")


@pytest.mark.parametrize("address", ["päivi@example.com", "a@müller.example", "用户@例子.example"])
def test_smtputf8_opens_the_door_for_8_bit_addresses(address: str) -> None:
    validate(address, is_smtputf8=True)


@pytest.mark.parametrize(
    ("text", "address", "parameters", "repairs"),
    [
        ("<a@b> SIZE=1 BODY=8BITMIME", "a@b", "SIZE=1 BODY=8BITMIME", ()),
        (" <a@b>", "a@b", "", ("space_before_path",)),
        ("a@b SIZE=3", "a@b", "SIZE=3", ("missing_brackets",)),
        (" a@b", "a@b", "", ("space_before_path", "missing_brackets")),
        ("<>", "", "", ()),
        ('<"a b"@x> X', '"a b"@x', "X", ()),
        ('<"a>b"@x>', '"a>b"@x', "", ()),
    ],
)
def test_path_is_split_without_touching_the_address(
    text: str, address: str, parameters: str, repairs: tuple[str, ...]
) -> None:
    path = parse_path(text)
    assert (path.address, path.parameters, path.repairs) == (address, parameters, repairs)


@pytest.mark.parametrize("text", ["", "<a@b", "<a@b>SIZE=1", "a@b>", "<<a@b>>", "<a@b><c@d>", "< a@b >"])
def test_text_that_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        parse_path(text, is_sender=True)
    assert (caught.value.code, caught.value.enhanced) == (501, "5.1.7")


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("Sari@Example.COM", "sari@example.com"),
        ("a.b+Tag@example.com", "a.b+tag@example.com"),
        ("x@MÜller.example", "x@xn--mller-kva.example"),
        ('"Bob"@example.com', "bob@example.com"),
        ('"Bob B"@example.com', '"bob b"@example.com'),
        ("STRASSE@x", "strasse@x"),
    ],
)
def test_key_folds_case_and_nothing_else(address: str, key: str) -> None:
    assert address_key(address) == key


def test_domain_is_the_a_label_of_what_follows_the_last_at() -> None:
    assert domain_of('"b@y"@Relay.Example') == "relay.example"
    assert domain_of("x@MÜLLER.example") == "xn--mller-kva.example"
    assert domain_of("nobody") == ""
    assert split('"a@b"') == ('"a@b"', "")


@given(st.text(max_size=300))
def test_any_text_is_judged_and_never_breaks(text: str) -> None:
    for is_utf8 in (False, True):
        try:
            validate(text, is_smtputf8=is_utf8)
        except Refused:
            continue
        # What passes can stand in a command without becoming another one.
        assert not set(text) & set("\r\n\0")
        assert not set(text) & set("<>") or text.startswith('"')
        assert address_key(text) == address_key(address_key(text))
    domain_of(text)


@given(st.text(alphabet='<>"\\ @ab.,:;\t\r\n', max_size=80))
def test_any_path_is_split_or_refused(text: str) -> None:
    try:
        path = parse_path(text)
    except Refused:
        return
    assert path.address in text
