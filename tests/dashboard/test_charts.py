"""Pictures: bars that add up, in colours and hatchings, with text escaped."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

from dashboard.charts import KINDS, Bar, bars, share, swatch


def boxes(markup: str) -> list[tuple[str, float, float]]:
    """Kind, top and height of each coloured box."""
    found = re.findall(r'<rect class="(\w+)" x="[\d.]+" y="([\d.]+)" width="\d+" height="([\d.]+)"/>', markup)
    return [(kind, float(top), float(height)) for kind, top, height in found]


def test_boxes_of_a_bar_stand_on_each_other_and_the_highest_fills_the_picture() -> None:
    drawn = boxes(bars([Bar(title="a", counts=(50, 20, 20, 10)), Bar(title="b", counts=(10, 0, 0, 0))], label="x"))
    first, second = drawn[:4], drawn[4:]
    assert [kind for kind, _, _ in first] == list(KINDS)
    for below, above in pairwise(first):
        assert abs(above[1] + above[2] - below[1]) < 0.11
    assert first[-1][1] >= 0
    (lonely,) = second
    assert abs(lonely[2] * 5 - first[0][2]) < 1


def test_what_is_there_is_seen_however_little() -> None:
    drawn = boxes(bars([Bar(title="a", counts=(100_000, 1, 0, 1))], label="x"))
    assert [kind for kind, _, _ in drawn] == ["delivered", "pending", "blocked"]
    assert all(height >= 2 for _, _, height in drawn)
    assert min(top for _, top, _ in drawn) >= 0


def test_a_kind_is_told_apart_without_colour() -> None:
    lines = {re.sub(r'id="[^"]+"', "", str(swatch(kind))).partition("<rect")[0] for kind in KINDS}
    assert len(lines) == len(KINDS)


def test_a_picture_is_well_formed_and_its_words_are_escaped() -> None:
    markup = bars([Bar(title='<b>"&', counts=(1, 1, 1, 1))], label='"><script>')
    tree = ElementTree.fromstring(markup)
    assert tree.attrib["aria-label"] == '"><script>'
    assert "style" not in markup
    names = re.findall(r'pattern id="([^"]+)"', markup)
    assert len(names) == len(set(names)) == 3
    assert {f"url(#{name})" for name in names} == set(re.findall(r"url\(#[^)]+\)", markup))


def test_nothing_at_all_is_a_picture_too() -> None:
    assert boxes(bars([], label="x")) == boxes(bars([Bar(title="a", counts=(0, 0, 0, 0))], label="x")) == []
    assert 'width="1.0"' in share(0, 0)
    assert 'width="50.0"' in share(1, 2)
