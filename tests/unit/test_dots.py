"""Dots at the start of a line: found wherever they stand, and looked for cheaply."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.delivery.protocol import wire_form
from relay.dots import has_dot_line


@given(st.lists(st.sampled_from([b".", b"\r\n", b"a", b"a." * 60]), max_size=12).map(b"".join))
def test_a_dot_line_is_found_by_either_way_of_looking(content: bytes) -> None:
    assert has_dot_line(content) == (re.search(rb"^\.", content, re.MULTILINE) is not None)
    assert has_dot_line(bytearray(content)) == has_dot_line(content)


@pytest.mark.parametrize("before", [0, 199, 200, 201, 5000])
def test_a_dot_line_is_found_behind_any_number_of_other_dots(before: int) -> None:
    text = b"a.\r\n" * before
    assert not has_dot_line(text)
    assert has_dot_line(text + b".\r\n")
    assert wire_form(text + b".b\r\n") == text + b"..b\r\n.\r\n"
