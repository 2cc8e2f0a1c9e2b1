"""The development set of real returned mail, read in place; it lies outside the repository, without it tests skip.

The bars are above those that unseen mail must reach, because the phrases were written with this set in view.
"""

from __future__ import annotations

import pytest

from bench.corpus_returned import DOUBTFUL, Figures, LabelledMail, corpus_mails, cross_validated, judge
from relay.classify.report import ReportKind, read_report

pytestmark = pytest.mark.skipif(
    not corpus_mails(), reason="../shared/corpus/bounces is not here: the corpus is not part of the repository"
)


@pytest.fixture(scope="module")
def figures() -> Figures:
    return judge(corpus_mails())


def mails_of(*kinds: str) -> list[LabelledMail]:
    return [mail for mail in corpus_mails() if mail.label["kind"] in kinds and mail.name not in DOUBTFUL]


def test_m000_kinds_recipients_and_classes_of_returned_mail_are_right(figures: Figures) -> None:
    assert figures.share("kind", "mails") >= 0.98
    assert figures.share("recipient", "recipients") >= 0.98
    assert figures.share("reply_class", "classes") >= 0.965
    assert figures.share("category", "categories") >= 0.92


def test_next_to_no_soft_failure_is_taken_for_hard(figures: Figures) -> None:
    assert figures.wrongly_hard <= 1
    assert figures.share("missed_hard", "hard") <= 0.06


def test_m000_no_automatic_answer_delay_or_success_is_counted_as_a_bounce() -> None:
    wrong = [
        mail.name
        for mail in mails_of("autoreply", "challenge", "delayed", "success", "complaint", "not_bounce")
        if read_report(mail.raw).kind is ReportKind.BOUNCE
    ]
    assert wrong == []


def test_families_do_not_depend_on_phrases_of_their_own() -> None:
    held_out = cross_validated(corpus_mails())
    assert held_out.share("kind", "mails") >= 0.95
    assert held_out.share("recipient", "recipients") >= 0.95
    assert held_out.share("reply_class", "classes") >= 0.93


def test_no_recipient_is_taken_from_the_returned_mail() -> None:
    for mail in mails_of("bounce"):
        stated = {str(expected.get("recipient")).lower() for expected in mail.label["expected"]}
        for recipient in read_report(mail.raw).recipients:
            address = (recipient.address or "").lower()
            # What the label does not name must at least stand in the report itself and not only in what it returns.
            assert not address or address in stated or address.encode() in mail.raw.lower()


def test_every_mail_of_the_set_survives_being_cut_anywhere() -> None:
    for mail in corpus_mails()[::9]:
        for share in (0.1, 0.3, 0.5, 0.7, 0.9):
            assert read_report(mail.raw[: int(len(mail.raw) * share)]).kind in ReportKind
