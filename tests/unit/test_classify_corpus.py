"""Labelled replies in bulk: the development corpus, and the sets found later, with bars for what matters.

The corpus lies outside the repository and its tests skip without it; the rules were written with it in view, so its
bars say that nothing is lost. The cross-validated bars and the first meetings say how unseen replies fare.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bench.replies import (
    CORPUS,
    Judged,
    Sample,
    by_provider,
    corpus_samples,
    cross_validated,
    first_met,
    judge,
    own_samples,
    precision_table,
    without_stage,
)
from relay.model import ReplyClass

HARD, SOFT, DEFERRED = ReplyClass.HARD, ReplyClass.SOFT, ReplyClass.DEFERRED


def corpus() -> list[Sample]:
    if not CORPUS.exists():
        pytest.skip("../shared/corpus/replies.jsonl is not here: the corpus is not part of the repository")
    return corpus_samples()


@pytest.fixture(scope="module", params=["corpus, stage as written", "corpus, stage unknown", "sets found later"])
def judged(request: pytest.FixtureRequest) -> list[Judged]:
    if request.param == "sets found later":
        return judge(sample for samples in own_samples().values() for sample in samples)
    samples = corpus()
    return judge(without_stage(samples) if "unknown" in request.param else samples)


def expected(judged: Sequence[Judged], only: ReplyClass) -> list[Judged]:
    return [one for one in judged if one.sample.classes == {only}]


def share(part: Sequence[object], whole: Sequence[object]) -> float:
    return len(part) / max(1, len(whole))


def test_no_soft_reply_is_taken_for_hard(judged: list[Judged]) -> None:
    soft = expected(judged, SOFT)
    wrong = [one.sample.written for one in soft if one.reply_class is HARD]
    assert share(wrong, soft) <= 0.003, wrong


def test_hard_replies_are_found(judged: list[Judged]) -> None:
    hard = expected(judged, HARD)
    missed = [one.sample.written for one in hard if one.reply_class is not HARD]
    assert share(missed, hard) <= 0.03, missed


def test_every_4yz_is_deferred(judged: list[Judged]) -> None:
    assert [one.sample.written for one in expected(judged, DEFERRED) if one.reply_class is not DEFERRED] == []


def test_no_good_address_is_blocked(judged: list[Judged]) -> None:
    assert [one.sample.written for one in judged if one.blocks and HARD not in one.sample.classes] == []


def test_categories_are_right(judged: list[Judged]) -> None:
    wrong = [(one.sample.categories[0], one.category, one.sample.written) for one in judged if not one.is_right]
    assert share(wrong, judged) <= 0.07, wrong


def test_no_source_is_left_behind(judged: list[Judged]) -> None:
    sources = {one.sample.source for one in judged}
    for source in sources:
        of_source = [one for one in judged if one.sample.source == source]
        wrong = [one.sample.written for one in of_source if not one.is_right]
        assert len(of_source) < 20 or share(wrong, of_source) <= 0.2, (source, wrong)


def test_every_class_is_precise(judged: list[Judged]) -> None:
    for line in precision_table(judged)[2:5]:
        name, precision, recall = line.strip("| ").split(" | ")[:3]
        assert min(float(precision), float(recall)) >= 0.97, name


def test_provider_left_out_costs_little() -> None:
    found = cross_validated(corpus(), by_provider)
    wrong = [one.sample.written for one in expected(found, SOFT) if one.reply_class is HARD]
    assert share(wrong, expected(found, SOFT)) <= 0.01, wrong
    assert share([one for one in found if one.is_right], found) >= 0.85
    assert {one.reply_class for one in expected(found, DEFERRED)} == {DEFERRED}


def test_first_meetings_are_kept_as_they_were() -> None:
    """What the rules of the day said is history; a line that changes it would forge the figures of the documents."""
    met = first_met(sample for samples in own_samples().values() for sample in samples)
    wrong = [one.sample.written for one in expected(met, SOFT) if one.reply_class is HARD]
    missed = [one.sample.written for one in expected(met, HARD) if one.reply_class is not HARD]
    assert (len(met), len(wrong), len(missed)) == (876, 15, 29)


def test_own_samples_hold_no_real_host_or_address() -> None:
    for samples in own_samples().values():
        for sample in samples:
            for address in [word for word in sample.written.split() if "@" in word and "." in word]:
                assert ".example" in address or "broken" in address or "localhost" in address, sample.written
