"""The header block: fields, addresses, encoded words, bounds."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import Refused
from relay.headers import (
    MAX_FIELDS,
    clean,
    decode_value,
    format_date,
    message_ids,
    parse_addresses,
    parse_block,
    received_line,
)


def test_block_ends_at_the_first_empty_line() -> None:
    content = b"Subject: a\r\n b\r\nTo: c\r\n\r\nFrom: body\r\n"
    block = parse_block(content)
    assert [(field.name, field.value) for field in block.fields] == [("subject", b"a b"), ("to", b"c")]
    assert content[block.end :] == b"\r\nFrom: body\r\n"
    assert not block.is_cut


@pytest.mark.parametrize(
    ("content", "names", "is_cut"),
    [
        pytest.param(b"", [], False, id="nothing"),
        pytest.param(b"\r\nbody\r\n", [], False, id="no header"),
        pytest.param(b"Subject: x\r\n", ["subject"], False, id="header only"),
        pytest.param(b"hello\r\nSubject: x\r\n\r\n", [], True, id="text first"),
        pytest.param(b"Subject: x\r\nhello there\r\n\r\n", ["subject"], True, id="text without empty line"),
        pytest.param(b": empty\r\n\r\n", [], True, id="no name"),
        pytest.param(b"__proto__: x\r\nconstructor: y\r\n\r\n", ["__proto__", "constructor"], False, id="odd names"),
        pytest.param(b"Name with space: x\r\n\r\n", [], True, id="space in the name"),
        pytest.param(b"Sub\xe4ject: x\r\n\r\n", [], True, id="8-bit name"),
        pytest.param(b"Subject : x\r\n\r\n", ["subject"], False, id="space before the colon"),
        pytest.param(b" folded first\r\nTo: a\r\n\r\n", [], True, id="fold without field"),
    ],
)
def test_broken_blocks_give_what_is_readable(content: bytes, names: list[str], is_cut: bool) -> None:
    block = parse_block(content)
    assert [field.name for field in block.fields] == names
    assert block.is_cut == is_cut


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"X: y\r\n" * (MAX_FIELDS + 2) + b"\r\n", id="too many fields"),
        pytest.param(b"Subject: " + b"x" * 1_100_000 + b"\r\n\r\n", id="one field too long"),
        pytest.param(b"Subject: x\r\n" + b" y\r\n" * 300_000 + b"\r\n", id="too many folds"),
    ],
)
def test_header_beyond_reason_is_refused(content: bytes) -> None:
    with pytest.raises(Refused) as caught:
        parse_block(content)
    assert caught.value.code == 554


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"Booking confirmation", "Booking confirmation"),
        (b"=?utf-8?Q?P=C3=A4ivi=C3=A4?=", "Päiviä"),
        (b"=?ISO-8859-1?B?5OQ=?= =?utf-8?q?_x?=", "ää x"),
        (b"=?utf-8?B?w6Q?=", "ä"),
        (b"=?bogus?Q?abc?=", "=?bogus?Q?abc?="),
        (b"=?utf-8?B?!!!?=", ""),
        (b"=?utf-8*fi?Q?=C3=A4?=", "ä"),
        (b"raw \xe4 latin", "raw ä latin"),
        ("raw ä utf".encode(), "raw ä utf"),
        (b"a\x00b\x1b[31mc", "a b [31mc"),
        ("right\u202eleft".encode(), "rightleft"),
        (b"=?utf-8?Q?a=0D=0Ab?=", "a b"),
    ],
)
def test_value_is_decoded_to_clean_text(raw: bytes, text: str) -> None:
    assert decode_value(raw) == text


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        (b"sari@example.com", [("", "sari@example.com")]),
        (b"Sari V <sari@example.com>", [("Sari V", "sari@example.com")]),
        (b'"Virtanen, Sari" <sari@example.com>', [("Virtanen, Sari", "sari@example.com")]),
        (b'"V, S" <a@b.c>, d@e.f, G <h@i.j>', [("V, S", "a@b.c"), ("", "d@e.f"), ("G", "h@i.j")]),
        (b"=?utf-8?Q?Virtanen=2C_S=C3=A4ri?= <a@b.c>", [("Virtanen, Säri", "a@b.c")]),
        (b"team: a@b.c, d@e.f;", [("", "a@b.c"), ("", "d@e.f")]),
        (b"undisclosed-recipients:;", []),
        (b"www-data", []),
        (b"", []),
        (b"P\xe4ivi <p@x.fi>", [("Päivi", "p@x.fi")]),
        (b"a@b.c (Comment)", [("Comment", "a@b.c")]),
    ],
)
def test_addresses_and_names_are_read(raw: bytes, pairs: list[tuple[str, str]]) -> None:
    assert parse_addresses(raw) == pairs


def test_message_ids_keep_their_brackets() -> None:
    assert message_ids(b"<a@b> <c@d>\t<e@f>") == ["<a@b>", "<c@d>", "<e@f>"]
    assert message_ids(b"nothing here") == []


def test_trace_line_names_us_and_nobody_else() -> None:
    line = received_line(
        hostname="relay.example", protocol="ESMTPSA", message_id="01K", at=datetime(2026, 3, 1, 8, 5, 9, tzinfo=UTC)
    )
    assert line == b"Received: by relay.example with ESMTPSA id 01K;\r\n\tSun, 1 Mar 2026 08:05:09 +0000\r\n"
    assert format_date(datetime(2026, 3, 1, 8, 5, 9, tzinfo=UTC)) == "Sun, 1 Mar 2026 08:05:09 +0000"


@given(st.binary(max_size=400))
def test_any_bytes_give_clean_text(raw: bytes) -> None:
    text = decode_value(raw)
    text.encode("utf-8")
    assert not set(text) & {chr(c) for c in range(32)}
    for name, address in parse_addresses(raw):
        (name + address).encode("utf-8")
        assert "\n" not in name + address


@given(st.binary(max_size=400))
def test_fields_are_a_part_of_what_was_given(raw: bytes) -> None:
    block = parse_block(raw)
    joined = b"".join(field.raw + b"\r\n" for field in block.fields)
    assert raw.startswith(joined[: len(raw)])
    assert clean("x") == "x"


@pytest.mark.parametrize(
    "raw",
    [
        b"=?" * 20_000,
        b'"' * 50_000,
        b"a" + b" " * 200_000,
        b'"\\"' * 60_000,
        b"a" * 200_000 + b"@",
        b"<" * 50_000,
        b"a@b," * 20_000,
        b"(" * 4000,
        b"=?utf-8?Q?" + b"a" * 60_000,
    ],
)
def test_hostile_values_take_bounded_time(raw: bytes) -> None:
    start = time.process_time()
    decode_value(raw)
    parse_addresses(raw)
    message_ids(raw)
    assert time.process_time() - start < 2
