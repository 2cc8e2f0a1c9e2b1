"""Reading the text of a reply: the codes come off, on every line, in every form that servers and reports use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.classify import parse_reply
from relay.classify.reply import MAX_TEXT_BYTES
from relay.model import Stage


@pytest.mark.parametrize(
    ("written", "code", "enhanced", "text"),
    [
        ("550 5.1.1 No such user", 550, "5.1.1", "No such user"),
        ("550-5.1.1 No\r\n550 5.1.1 such user\r\n", 550, "5.1.1", "No\nsuch user"),
        ("550-5.1.1 No\n550-5.1.1 such\n550 5.1.1 user", 550, "5.1.1", "No\nsuch\nuser"),
        ("550-5.1.1 No such 550-5.1.1 user, 550 5.1.1 sorry", 550, "5.1.1", "No such user, sorry"),
        ("550-one\n550 two", 550, None, "one\ntwo"),
        ("550 #5.7.1 No", 550, "5.7.1", "No"),
        ("550 5.7.0, No", 550, "5.7.0", "No"),
        ("550 (5.7.1) No", 550, "5.7.1", "No"),
        ("smtp; 550 5.1.1 No", 550, "5.1.1", "No"),
        ("host mx.b.example[192.0.2.1] said: 550 5.1.1 No (in reply to RCPT)", 550, "5.1.1", "No (in reply to RCPT)"),
        ("550 5.1.1 x: host y said: 450 4.2.0 later", 550, "5.1.1", "x: host y said: 450 4.2.0 later"),
        ("421", 421, None, ""),
        ("250 2.0.0 Ok: queued", 250, "2.0.0", "Ok: queued"),
        ("5.1.1 User unknown", None, "5.1.1", "User unknown"),
        ("550 192.0.2.1 is listed", 550, None, "192.0.2.1 is listed"),
        ("550 5.1.1.1 four parts", 550, None, "5.1.1.1 four parts"),
        ("5501 no code", None, None, "5501 no code"),
        ("999 no code", None, None, "999 no code"),
        ("Connection refused", None, None, "Connection refused"),
        ("", None, None, ""),
        ("550 a\tb\x1b[31m", 550, None, "a b [31m"),
        ("550 half \ud83d a character", 550, None, "half   a character"),
    ],
)
def test_codes_come_off_and_the_words_stay(written: str, code: int | None, enhanced: str | None, text: str) -> None:
    got = parse_reply(written)
    assert (got.code, got.enhanced, got.text) == (code, enhanced, text)


def test_stage_and_host_are_kept_and_an_unknown_stage_is_rcpt() -> None:
    assert parse_reply("550 x", Stage.DATA, host="mx.b.example").stage is Stage.DATA
    assert parse_reply("550 x", Stage.DATA, host="mx.b.example").host == "mx.b.example"
    assert parse_reply("550 x").stage is Stage.RCPT


@given(st.text())
def test_anything_becomes_a_reply_that_can_be_stored(text: str) -> None:
    got = parse_reply(text * 50)
    assert len(got.text.encode()) <= MAX_TEXT_BYTES
    assert got.code is None or 200 <= got.code < 600
