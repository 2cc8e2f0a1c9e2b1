"""The measuring of the classifier: what a fold leaves out, and how replies are counted."""

from __future__ import annotations

import pytest

from bench.replies import Judged, Sample, confusions, cross_validated, deciding_units, judge, pruned, speed, summary
from relay.classify import classify, parse_reply
from relay.classify.rules import load_rules
from relay.model import Category, ReplyClass


def sample(reply: str, category: str, *, source: str = "") -> Sample:
    named = Category(category)
    hard = named in (Category.INVALID_ADDRESS, Category.INVALID_DOMAIN)
    return Sample(
        reply=parse_reply(reply),
        written=reply,
        categories=(named,),
        classes=frozenset({ReplyClass.HARD if hard else ReplyClass.SOFT}),
        source=source,
    )


@pytest.mark.parametrize(
    "line", ["550 User unknown", "550 mailbox of sari does not exist", "550 宛先不明", "550 5.5.0 x LPN007_416"]
)
def test_reply_is_not_understood_without_what_decided_it(line: str) -> None:
    rules = load_rules()
    units = deciding_units(rules, parse_reply(line))
    assert units
    assert classify(parse_reply(line), rules=pruned(rules, frozenset(units))).rule != classify(parse_reply(line)).rule


def test_wording_that_two_folds_share_stays_and_one_of_a_single_fold_goes() -> None:
    samples = [
        sample("550 User unknown", "invalid_address", source="a"),
        sample("550 User unknown", "invalid_address", source="b"),
        sample("550 Empfänger unbekannt", "invalid_address", source="a"),
    ]
    found = {(one.sample.written, one.sample.source): one.is_right for one in
             cross_validated(samples, lambda one: one.source)}  # fmt: skip
    assert found == {("550 User unknown", "a"): True, ("550 User unknown", "b"): True,
                     ("550 Empfänger unbekannt", "a"): False}  # fmt: skip


def test_summary_counts_the_two_errors_that_matter_apart() -> None:
    wrong = sample("550 x", "policy")
    judged = [
        *judge([sample("550 User unknown", "invalid_address")]),
        Judged(wrong, Category.INVALID_ADDRESS, ReplyClass.HARD, True),
        Judged(sample("550 y", "invalid_address"), Category.UNKNOWN, ReplyClass.SOFT, False),
    ]
    assert summary("set", judged) == "| set | 3 | 1 of 1 | 1 of 2 | 0 of 0 | 1 | 33.3% |"
    assert confusions(judged, most=1) == ["| invalid_address | unknown | 1 | `550 y` |"]


def test_speed_is_measured_in_microseconds() -> None:
    alone, both = speed([sample("550 User unknown", "invalid_address")], rounds=3)
    assert 0 < alone < 10_000
    assert 0 < both < 10_000
