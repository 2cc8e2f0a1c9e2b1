"""Which end of a delivery makes a notice or an incident, and what ends a notice by itself: the rules as tables."""

from __future__ import annotations

from itertools import product

import pytest

from relay.classify.classifier import BLAME
from relay.classify.explain import Explanation, render
from relay.classify.rules import load_rules
from relay.incidents import NXDOMAIN_DOUBTED, NXDOMAIN_EPIDEMIC, Kind, Subject, advice, headline, subject_of
from relay.model import Blame, Category, Outcome, Reply, ReplyClass, Stage
from relay.notices import ADMIN_ENTRIES, CAUSES, cause_of, cause_of_block, is_healed
from relay.status import FAILED, Status

ENTRIES_OF_RULES = sorted({rule.entry for rule in load_rules().by_name.values() if rule.entry})

#: Entries that tell where a mail stands, and ask nobody at the desk to do something.
NOTHING_TO_DO = {
    *("accepted", "opened", "auto-reply", "queued", "sent", "cancelled", "paused", "no-record", "blocked-hand"),
    *("busy", "unreachable", "dns-trouble"),
    "returned-late",  # tells how it failed; its notice has the reason as its cause
}


def reply(code: int | None = 550) -> Reply:
    return Reply(stage=Stage.RCPT, code=code, enhanced=None, text="no")


def outcome(category: Category, *, blame: Blame | None = None, entry: str | None = None, rule: str = "test") -> Outcome:
    return Outcome(
        reply_class=ReplyClass.SOFT, category=category, blame=blame or BLAME[category], rule=rule, entry=entry
    )


def subject(status: Status, reading: Outcome | None, *, code: int | None = 550) -> Subject | None:
    return subject_of(status, outcome=reading, reply=reply(code), domain="guest.example", app="hotel")


def test_every_entry_of_the_catalogue_has_its_place() -> None:
    assert not CAUSES & ADMIN_ENTRIES
    for entry in CAUSES | ADMIN_ENTRIES | NOTHING_TO_DO:
        assert render(Explanation(entry=entry, params={"domain": "guest.example"})).title
    assert not (CAUSES | ADMIN_ENTRIES) & NOTHING_TO_DO
    assert set(ENTRIES_OF_RULES) <= CAUSES | ADMIN_ENTRIES | NOTHING_TO_DO


def test_the_admins_entries_are_those_on_which_the_admin_acts() -> None:
    assert {render(Explanation(entry=entry)).who for entry in CAUSES} <= {"customer", "you", "wait", "admin"}
    for entry in ADMIN_ENTRIES - {"slow-down"}:
        assert render(Explanation(entry=entry)).who == "admin", entry


@pytest.mark.parametrize(
    ("code", "entry"), list(product([550, 450, None], [None, *ENTRIES_OF_RULES])), ids=lambda value: str(value)
)
def test_m000_4_an_address_reported_as_not_existing_always_makes_a_notice(code: int | None, entry: str | None) -> None:
    for status in FAILED - {Status.REJECTED}:
        reading = outcome(Category.INVALID_ADDRESS, entry=entry)
        assert cause_of(status, outcome=reading, reply=reply(code)) is not None
        assert subject(status, reading, code=code) is None


@pytest.mark.parametrize("status", sorted(set(Status) - FAILED))
@pytest.mark.parametrize("category", Category)
def test_m000_4_what_has_not_failed_makes_no_notice(status: Status, category: Category) -> None:
    assert cause_of(status, outcome=outcome(category), reply=reply()) is None
    assert subject(status, outcome(category)) is None


@pytest.mark.parametrize("category", Category)
@pytest.mark.parametrize("code", [550, 450, None])
@pytest.mark.parametrize("blame", Blame)
@pytest.mark.parametrize("status", sorted(FAILED))
def test_every_failure_is_seen_by_somebody_and_by_one_only(
    status: Status, blame: Blame, code: int | None, category: Category
) -> None:
    reading = outcome(category, blame=blame)
    is_notice = cause_of(status, outcome=reading, reply=reply(code)) is not None
    is_incident = subject(status, reading, code=code) is not None
    assert is_notice != is_incident


CAUSES_BY_REPLY = [
    (Status.INVALID, Category.INVALID_ADDRESS, 550, "no-mailbox"),
    (Status.HARD_BOUNCED, Category.INVALID_DOMAIN, 550, "no-domain"),
    (Status.HARD_BOUNCED, Category.MAILBOX_DISABLED, 550, "mailbox-off"),
    (Status.HARD_BOUNCED, Category.MOVED, 551, "no-mailbox"),
    (Status.SOFT_BOUNCED, Category.MAILBOX_FULL, 552, "mailbox-full"),
    (Status.SOFT_BOUNCED, Category.MAILBOX_FULL, 452, "mailbox-full"),
    (Status.SOFT_BOUNCED, Category.MESSAGE_TOO_LARGE, 552, "too-big"),
    (Status.SOFT_BOUNCED, Category.POLICY, 550, "refused-policy"),
    (Status.SOFT_BOUNCED, Category.RELAY_DENIED, 550, "not-theirs"),
    (Status.SOFT_BOUNCED, Category.SYSTEM_ERROR, 554, "their-fault"),
    (Status.SOFT_BOUNCED, Category.NETWORK, None, "gave-up"),
    (Status.SOFT_BOUNCED, Category.GREYLISTED, 450, "gave-up"),
    (Status.SOFT_BOUNCED, Category.UNKNOWN, 550, "unknown"),
    (Status.SOFT_BOUNCED, Category.REPUTATION_BLOCK, 550, None),
    (Status.SOFT_BOUNCED, Category.RATE_LIMITED, 450, None),
    (Status.SOFT_BOUNCED, Category.SPAM_CONTENT, 550, None),
    (Status.SOFT_BOUNCED, Category.AUTH_FAILURE, 550, None),
    (Status.REJECTED, Category.POLICY, 550, None),
]


@pytest.mark.parametrize(("status", "category", "code", "want"), CAUSES_BY_REPLY)
def test_the_cause_of_a_notice(status: Status, category: Category, code: int | None, want: str | None) -> None:
    assert cause_of(status, outcome=outcome(category), reply=reply(code)) == want


@pytest.mark.parametrize(
    ("reason", "want"),
    [
        ("invalid_address", "no-mailbox"),
        ("invalid_domain", "no-domain"),
        ("errors", "blocked-auto"),
        ("complaint", "complaint"),
        ("manual", None),
    ],
)
def test_mail_that_a_block_held_back_belongs_to_what_blocked(reason: str, want: str | None) -> None:
    assert cause_of_block(reason) == want


@pytest.mark.parametrize(
    ("cause", "is_the_mail", "was_returned", "want"),
    [
        ("no-mailbox", False, False, True),
        ("mailbox-full", False, False, True),
        ("no-mailbox", True, True, False),
        ("too-big", False, False, False),
        ("too-big", True, False, True),
        ("virus", False, False, False),
        ("complaint", True, False, False),
    ],
)
def test_what_ends_a_notice_by_itself(cause: str, is_the_mail: bool, was_returned: bool, want: bool) -> None:
    assert is_healed(cause, is_the_mail=is_the_mail, was_returned=was_returned) is want


SUBJECTS = [
    (Status.SOFT_BOUNCED, outcome(Category.REPUTATION_BLOCK), Subject(kind=Kind.OUR_FAULT, domain="guest.example")),
    (Status.SOFT_BOUNCED, outcome(Category.AUTH_FAILURE), Subject(kind=Kind.OUR_FAULT, domain="guest.example")),
    (Status.SOFT_BOUNCED, outcome(Category.SPAM_CONTENT), Subject(kind=Kind.CONTENT, domain="guest.example")),
    (Status.REJECTED, outcome(Category.AUTH_FAILURE), Subject(kind=Kind.SMARTHOST, app="hotel")),
    (
        Status.DEFERRED,
        outcome(Category.DNS_FAILURE, rule=NXDOMAIN_DOUBTED),
        Subject(kind=Kind.RESOLVER, domain="guest.example"),
    ),
    (Status.DEFERRED, outcome(Category.DNS_FAILURE, rule=NXDOMAIN_EPIDEMIC), Subject(kind=Kind.RESOLVER)),
    (Status.DEFERRED, outcome(Category.DNS_FAILURE), None),
    (Status.DEFERRED, outcome(Category.REPUTATION_BLOCK), None),
    (Status.SOFT_BOUNCED, outcome(Category.MAILBOX_FULL), None),
    (Status.DELIVERED, None, None),
]


@pytest.mark.parametrize(("status", "reading", "want"), SUBJECTS)
def test_the_incident_that_a_failure_belongs_to(status: Status, reading: Outcome | None, want: Subject | None) -> None:
    assert subject(status, reading) == want


def test_what_stops_with_an_incident() -> None:
    assert Subject(kind=Kind.OUR_FAULT, domain="guest.example").pause == ("domain", "guest.example")
    assert Subject(kind=Kind.SMARTHOST, app="hotel").pause == ("app", "hotel")


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_incident_has_words(kind: Kind) -> None:
    one = Subject(kind=kind, domain="guest.example", app="hotel")
    assert headline(one, "policy")
    assert advice(one).endswith(".")
