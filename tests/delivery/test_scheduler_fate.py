"""fate.py and nxdomain.py: the failure policy as tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from relay.delivery import fate
from relay.delivery.fate import RetryPlan
from relay.delivery.nxdomain import WINDOW, NxdomainWatch
from relay.model import Blame, Category, Delivery, Disposition, Outcome, Reply, ReplyClass, Stage
from relay.status import Status
from tests.delivery.fake_sites import OK, START, refusal, submission

PLAN = RetryPlan(
    ladder=[timedelta(minutes=1), timedelta(minutes=5)], give_up_after=timedelta(days=1), random=lambda: 0.5
)


def outcome(category: Category, blame: Blame = Blame.THEIR_SERVER) -> Outcome:
    return Outcome(reply_class=ReplyClass.SOFT, category=category, blame=blame, rule="test")


def decide(
    reply: Reply,
    category: Category | None = Category.UNKNOWN,
    *,
    is_smarthost: bool = False,
    after: timedelta = timedelta(0),
) -> Disposition:
    return fate.decide(
        submission(["anna@guest.example"]).deliveries[0],
        reply,
        outcome=outcome(category) if category is not None else None,
        rows=(),
        plan=PLAN,
        now=START + after,
        is_smarthost=is_smarthost,
    )


def test_taken_is_delivered_and_at_a_smarthost_sent() -> None:
    assert decide(OK, None).status is Status.DELIVERED
    assert decide(OK, None, is_smarthost=True).status is Status.SENT


@pytest.mark.parametrize("category", list(Category))
def test_a_final_answer_ends_by_its_category(category: Category) -> None:
    want = {
        Category.INVALID_ADDRESS: Status.INVALID,
        Category.INVALID_DOMAIN: Status.HARD_BOUNCED,
        Category.MAILBOX_DISABLED: Status.HARD_BOUNCED,
        Category.MOVED: Status.HARD_BOUNCED,
    }.get(category, Status.SOFT_BOUNCED)
    got = decide(refusal(550), category)
    assert (got.status, got.next_at) == (want, None)


@pytest.mark.parametrize("category", list(Category))
@pytest.mark.parametrize("code", [450, 421, None, 299 + 55])
def test_anything_else_is_deferred_whatever_it_says_and_ends_soft(code: int | None, category: Category) -> None:
    early = decide(refusal(code), category)
    late = decide(refusal(code), category, after=timedelta(days=1))
    assert early.status is Status.DEFERRED
    assert early.next_at is not None
    assert (late.status, late.next_at) == (Status.SOFT_BOUNCED, None)
    assert late.outcome is not None
    assert late.outcome.category is category


@pytest.mark.parametrize(
    ("stage", "code", "want"),
    [
        (Stage.CONNECT, 554, Status.REJECTED),
        (Stage.EHLO, 550, Status.REJECTED),
        (Stage.AUTH, 535, Status.REJECTED),
        (Stage.MAIL, 530, Status.REJECTED),
        (Stage.AUTH, 454, Status.DEFERRED),
        (Stage.STARTTLS, 554, Status.DEFERRED),
        (Stage.RCPT, 550, Status.SOFT_BOUNCED),
        (Stage.DATA, 554, Status.SOFT_BOUNCED),
    ],
)
def test_a_smarthost_that_refuses_us_leaves_the_delivery_rejected(stage: Stage, code: int, want: Status) -> None:
    assert decide(refusal(code, stage=stage), is_smarthost=True).status is want


@pytest.mark.parametrize(
    ("reply", "want"),
    [
        (refusal(452, enhanced="4.5.3"), True),
        (refusal(552, enhanced="5.5.3"), True),
        (refusal(452, text="Too many recipients received this hour"), True),
        (refusal(452, enhanced="4.2.2", text="mailbox full"), False),
        (refusal(552, enhanced="5.2.2", text="over quota"), False),
        (refusal(550, enhanced="5.5.3"), False),
        (refusal(552, stage=Stage.DATA, enhanced="5.5.3"), False),
    ],
)
def test_too_many_recipients_is_told_from_a_full_mailbox(reply: Reply, want: bool) -> None:
    assert fate.is_too_many_recipients(reply) is want


GREETING_NO = refusal(554, stage=Stage.CONNECT)
SILENCE = refusal(None, stage=Stage.CONNECT)
BUSY = refusal(421, stage=Stage.CONNECT)


@pytest.mark.parametrize(
    ("replies", "index"),
    [
        ([GREETING_NO], 0),
        ([GREETING_NO, GREETING_NO], 1),
        ([SILENCE, GREETING_NO], 0),
        ([BUSY, GREETING_NO, GREETING_NO], 0),
        ([GREETING_NO, SILENCE], 1),
        ([SILENCE, refusal(550, stage=Stage.RCPT)], 1),  # a word about the recipient decides
        ([SILENCE, OK], 1),
    ],
)
def test_a_greeting_that_says_no_speaks_for_its_host_alone(replies: list[Reply], index: int) -> None:
    assert fate.deciding_reply(replies) is replies[index]


@pytest.mark.parametrize(
    ("reply", "given", "want"),
    [
        (refusal(421, stage=Stage.MAIL), outcome(Category.RATE_LIMITED, Blame.US), True),
        (refusal(550, enhanced="5.7.1"), outcome(Category.REPUTATION_BLOCK, Blame.US), True),
        (refusal(450, enhanced="4.2.1"), outcome(Category.RATE_LIMITED, Blame.US), False),  # this mailbox is busy
        (refusal(450), outcome(Category.RATE_LIMITED, Blame.RECIPIENT), False),
        (refusal(452, enhanced="4.5.3"), outcome(Category.RATE_LIMITED, Blame.US), False),
        *[
            (refusal(451), outcome(category), False)
            for category in Category
            if category not in (Category.RATE_LIMITED, Category.REPUTATION_BLOCK)
        ],
    ],
)
def test_only_our_pace_or_name_slows_a_site(reply: Reply, given: Outcome, want: bool) -> None:
    assert fate.slows_site(reply, given) is want


@pytest.mark.parametrize(
    ("days_ago", "is_epidemic", "want"),
    [
        (None, False, None),
        (91, False, None),
        (89, False, fate.NXDOMAIN_DOUBTED),
        (None, True, fate.NXDOMAIN_EPIDEMIC),
        (200, True, fate.NXDOMAIN_EPIDEMIC),
    ],
)
def test_nxdomain_is_believed_only_of_strangers_and_one_at_a_time(
    days_ago: int | None, is_epidemic: bool, want: Outcome | None
) -> None:
    last = None if days_ago is None else START - timedelta(days=days_ago)
    got = fate.doubt_of_nxdomain(last_delivered_at=last, is_epidemic=is_epidemic, now=START)
    assert got is want


def watch(missing: int, found: int) -> NxdomainWatch:
    made = NxdomainWatch()
    for number in range(missing):
        made.note(f"gone{number}.example", is_missing=True, now=START)
    for number in range(found):
        made.note(f"here{number}.example", is_missing=False, now=START)
    return made


@pytest.mark.parametrize(
    ("missing", "found", "want"), [(4, 0, False), (5, 0, True), (5, 5, True), (5, 6, False), (0, 9, False)]
)
def test_many_missing_domains_at_once_are_our_resolvers_fault(missing: int, found: int, want: bool) -> None:
    assert watch(missing, found).is_epidemic(START) is want


def test_one_missing_domain_asked_often_is_one_and_old_ones_are_forgotten() -> None:
    often = NxdomainWatch()
    for _ in range(50):
        often.note("gone.example", is_missing=True, now=START)
    assert not often.is_epidemic(START)
    assert not watch(9, 0).is_epidemic(START + WINDOW + timedelta(seconds=1))
    healed = watch(9, 0)
    for number in range(9):
        healed.note(f"gone{number}.example", is_missing=False, now=START)
    assert not healed.is_epidemic(START)


def failing(category: Category | None, blame: Blame | None) -> Delivery:
    return replace(submission(["anna@guest.example"]).deliveries[0], category=category, blame=blame, attempts=1)


@pytest.mark.parametrize(
    ("sites", "last", "want"),
    [
        (Category.NETWORK, (Category.MAILBOX_FULL, Blame.RECIPIENT), (Category.NETWORK, Blame.THEIR_SERVER)),
        (Category.RATE_LIMITED, (None, None), (Category.RATE_LIMITED, Blame.US)),
        (Category.PROTOCOL_ERROR, (Category.NETWORK, Blame.THEIR_SERVER), (Category.PROTOCOL_ERROR, Blame.US)),
        (None, (Category.MAILBOX_FULL, Blame.RECIPIENT), (Category.MAILBOX_FULL, Blame.RECIPIENT)),
        (Category.EXPIRED, (Category.SPAM_CONTENT, Blame.MESSAGE), (Category.EXPIRED, Blame.MESSAGE)),
        (None, (None, None), (Category.EXPIRED, Blame.THEIR_SERVER)),
    ],
)
def test_time_that_ran_out_is_blamed_on_what_used_it_up(
    sites: Category | None, last: tuple[Category | None, Blame | None], want: tuple[Category, Blame]
) -> None:
    end = fate.expired(failing(*last), category=sites, text="", now=START)
    assert end.outcome is not None
    assert (end.outcome.category, end.outcome.blame) == want


def test_a_reply_that_says_expired_keeps_the_blame_of_the_reply_before() -> None:
    got = fate.decide(
        failing(Category.SPAM_CONTENT, Blame.MESSAGE),
        refusal(554, enhanced="5.4.7"),
        outcome=outcome(Category.EXPIRED),
        rows=(),
        plan=PLAN,
        now=START,
    )
    assert got.outcome is not None
    assert got.outcome.blame is Blame.MESSAGE
