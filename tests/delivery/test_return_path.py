"""The sender a delivery leaves with: who shares a transaction, and who a server's answer is about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from relay.delivery.contract import Route
from relay.delivery.fate import RetryPlan
from relay.delivery.return_path import as_given, most_recipients
from relay.delivery.transaction import MAX_RECIPIENTS
from relay.delivery.verdict import Judge
from relay.model import Category, Claimed, Outcome, Reply, ReplyClass, Stage
from relay.verp import ReturnPaths
from tests.delivery.fake_sites import Clock, World
from tests.delivery.running import Running, play
from tests.store.making import outcome, submission

PATHS = ReturnPaths(domain="bounce.example.com", secret=b"secret of the tests")


def claimed(*, mail_from: str = "desk@hotel.example") -> Claimed:
    made = submission()
    return Claimed(delivery=made.deliveries[0], message=replace(made.message, mail_from=mail_from))


@pytest.mark.parametrize(
    ("mail_from", "is_own", "most"),
    [
        ("desk@hotel.example", False, MAX_RECIPIENTS),
        ("desk@hotel.example", True, 1),
        ("", True, MAX_RECIPIENTS),  # the null sender stays null, for all alike
    ],
)
def test_a_transaction_has_as_many_recipients_as_its_sender_allows(mail_from: str, is_own: bool, most: int) -> None:
    return_path = PATHS.of if is_own else as_given
    assert most_recipients(claimed(mail_from=mail_from), return_path) == most


def test_an_answer_is_read_with_the_sender_that_it_names() -> None:
    """A server that says "user TOKEN@… unknown" speaks of our sender, not of the guest."""
    claim = claimed()
    senders: list[str] = []

    def reading(reply: Reply, *, sender: str = "", recipient: str = "") -> Outcome:
        senders.append(sender)
        return outcome(Category.DNS_FAILURE, reply_class=ReplyClass.DEFERRED)

    judge = Judge(
        classify=reading,
        plan=RetryPlan(ladder=[timedelta(minutes=1)], give_up_after=timedelta(days=1), random=lambda: 0.5),
        clock=lambda: datetime(2026, 3, 1, 12, tzinfo=UTC),
        return_path=PATHS.of,
    )
    failure = Reply(stage=Stage.DNS, code=None, enhanced="4.4.3", text="no answer")
    judge.judge_no_route(claim, Route(site="", failure=failure))
    assert senders == [PATHS.of(claim)]


def test_without_return_paths_recipients_of_one_site_share_a_transaction(tmp_path: Path) -> None:
    world = World(Clock())
    world.serve("guest.example", "mx.guest.example")

    async def scene(running: Running) -> None:
        await running.accept("anna@guest.example", "bert@guest.example")
        await running.until_ended()

    play(tmp_path, scene, world=world)
    assert world.transactions == [("mx.guest.example", ["anna@guest.example", "bert@guest.example"])]
