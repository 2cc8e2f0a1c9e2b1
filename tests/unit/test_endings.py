"""What a refusal that comes back by mail still changes."""

from __future__ import annotations

import pytest

from relay.endings import end_of_bounce, end_of_final, is_about
from relay.model import Category, ReplyClass
from relay.status import TRANSITIONS, Status


@pytest.mark.parametrize("category", list(Category))
def test_every_final_refusal_has_an_end(category: Category) -> None:
    hard = {
        Category.INVALID_ADDRESS: Status.INVALID,
        Category.INVALID_DOMAIN: Status.HARD_BOUNCED,
        Category.MAILBOX_DISABLED: Status.HARD_BOUNCED,
        Category.MOVED: Status.HARD_BOUNCED,
    }
    assert end_of_final(category) is hard.get(category, Status.SOFT_BOUNCED)


@pytest.mark.parametrize("status", list(Status))
def test_only_what_had_arrived_can_come_back(status: Status) -> None:
    end = end_of_bounce(status, reply_class=ReplyClass.HARD, category=Category.INVALID_ADDRESS)
    if status in (Status.DELIVERED, Status.SENT):
        assert end is Status.INVALID
        assert (status, end) in TRANSITIONS
    else:
        assert end is None


@pytest.mark.parametrize("reply_class", [ReplyClass.SOFT, ReplyClass.DEFERRED, None])
def test_a_server_that_gave_up_is_a_soft_end(reply_class: ReplyClass | None) -> None:
    end = end_of_bounce(Status.DELIVERED, reply_class=reply_class, category=Category.INVALID_ADDRESS)
    assert end is Status.SOFT_BOUNCED


@pytest.mark.parametrize(
    ("reported", "is_ours"),
    [
        (None, True),
        ("", True),
        ("anna", True),
        ("anna@example.com", True),
        ("Anna@EXAMPLE.com", True),
        ("anna@mail3.example.com", True),
        ("bert@mail3.example.com", False),
        ("anna@example.org", False),
        ("anna.private@gmail.example", False),
        ("anna@notexample.com", False),
    ],
)
def test_a_forwarded_address_is_not_our_recipient(reported: str | None, is_ours: bool) -> None:
    assert is_about(reported, "anna@example.com") is is_ours
