"""The words for people: one entry for every state, every entry whole, and written by the rules."""

from __future__ import annotations

import itertools
import random
import re
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest

from relay.classify import classify, parse_reply
from relay.classify.explain import (
    Course,
    Explanation,
    Value,
    Words,
    entry_for,
    every_msgid,
    explain,
    explain_delivery,
    explain_no_record,
    explain_refusal,
    render,
    render_for_customer,
    with_params,
)
from relay.classify.rules import load_rules
from relay.model import Blame, Category, Delivery, DeliveryId, Message, MessageId, Suppression
from relay.status import Status

CATALOGUE = tomllib.loads(files("relay.classify").joinpath("catalogue.toml").read_text(encoding="utf-8"))
ENTRIES = CATALOGUE["entry"]
NOW = datetime(2026, 11, 21, 16, 20, tzinfo=UTC)
BANNED = re.compile(r"\b(?:smtp|mx|bounced?|dsn|[45]xx|relay|suppress\w*)\b", re.IGNORECASE)

#: The keys of the catalogue as designed; `sent`, which the list of statuses asks for, and `too-late` for deadlines.
KEYS = """accepted opened queued no-mailbox no-domain bad-address mailbox-off mailbox-full too-big busy slow-down
unreachable dns-trouble gave-up their-fault refused-policy spam-content our-reputation our-identity encryption virus
malformed not-theirs blocked-auto blocked-hand complaint returned-late not-accepted relay-setup cancelled paused
no-record auto-reply unknown sent too-late""".split()  # noqa: SIM905


def delivery(status: Status, category: Category | None = None, code: int | None = None) -> Delivery:
    return Delivery(
        id=DeliveryId("D1"),
        message_id=MessageId("M1"),
        address="sari@b.example",
        domain="b.example",
        status=status,
        created_at=NOW,
        category=category,
        code=code,
        attempts=3,
        next_at=NOW + timedelta(minutes=5) if status in (Status.QUEUED, Status.DEFERRED) else None,
    )


def sentences(entry: dict[str, object]) -> list[str]:
    found: list[str] = []
    for part in (entry, entry.get("pending", {})):
        assert isinstance(part, dict)
        for key in ("happened", "next_step"):
            for sentence in part.get(key, ()):
                found += [sentence] if isinstance(sentence, str) else sentence
    return found


def test_the_catalogue_has_exactly_the_agreed_entries() -> None:
    assert sorted(ENTRIES) == sorted(KEYS)


@pytest.mark.parametrize("status", Status)
def test_every_state_leads_to_one_entry_with_words(status: Status) -> None:
    blames: list[Blame | None] = [None, *Blame]
    for category, course, blame in itertools.product([None, *Category], Course, blames):
        entry = entry_for(status, category=category, course=course, blame=blame)
        assert entry in ENTRIES
        for is_pending in (True, False):
            words = render(Explanation(entry=entry, is_pending=is_pending))
            assert words.title
            assert words.happened
            assert words.next_step
            assert words.who in {"customer", "you", "admin", "wait", "nobody"}


@pytest.mark.parametrize(
    ("status", "category", "course", "entry"),
    [
        (Status.QUEUED, None, Course.TRYING, "queued"),
        (Status.SENT, None, Course.FINAL, "sent"),
        (Status.DELIVERED, None, Course.FINAL, "accepted"),
        (Status.REJECTED, Category.AUTH_FAILURE, Course.FINAL, "relay-setup"),
        (Status.CANCELLED, Category.GREYLISTED, Course.TRYING, "cancelled"),
        (Status.DEFERRED, Category.GREYLISTED, Course.TRYING, "busy"),
        (Status.DEFERRED, Category.NETWORK, Course.TRYING, "unreachable"),
        (Status.DEFERRED, Category.DNS_FAILURE, Course.TRYING, "dns-trouble"),
        (Status.DEFERRED, Category.RATE_LIMITED, Course.TRYING, "slow-down"),
        (Status.DEFERRED, Category.MAILBOX_FULL, Course.TRYING, "mailbox-full"),
        (Status.DEFERRED, Category.UNKNOWN, Course.TRYING, "busy"),
        (Status.SOFT_BOUNCED, Category.MAILBOX_FULL, Course.GAVE_UP, "mailbox-full"),
        (Status.SOFT_BOUNCED, Category.REPUTATION_BLOCK, Course.GAVE_UP, "our-reputation"),
        (Status.SOFT_BOUNCED, Category.NETWORK, Course.GAVE_UP, "gave-up"),
        (Status.SOFT_BOUNCED, Category.GREYLISTED, Course.GAVE_UP, "gave-up"),
        (Status.SOFT_BOUNCED, Category.EXPIRED, Course.GAVE_UP, "gave-up"),
        (Status.SOFT_BOUNCED, Category.SYSTEM_ERROR, Course.FINAL, "their-fault"),
        (Status.SOFT_BOUNCED, Category.UNKNOWN, Course.FINAL, "unknown"),
        (Status.INVALID, Category.INVALID_ADDRESS, Course.FINAL, "no-mailbox"),
        (Status.HARD_BOUNCED, Category.INVALID_DOMAIN, Course.FINAL, "no-domain"),
        (Status.HARD_BOUNCED, Category.MOVED, Course.FINAL, "no-mailbox"),
        (Status.HARD_BOUNCED, Category.MAILBOX_DISABLED, Course.FINAL, "mailbox-off"),
    ],
)
def test_entries_are_the_ones_of_the_design(
    status: Status, category: Category | None, course: Course, entry: str
) -> None:
    assert entry_for(status, category=category, course=course) == entry


@pytest.mark.parametrize("key", sorted(ENTRIES))
def test_sentences_are_short_and_use_no_words_of_the_trade(key: str) -> None:
    entry = ENTRIES[key]
    for text in [entry["title"], entry.get("pending", {}).get("title", ""), *sentences(entry)]:
        assert not BANNED.search(re.sub(r"\{\w+\}", "", text)), text
        for sentence in re.split(r"(?<=[.?!]) ", text):
            assert len(sentence.split()) <= 20, sentence


@pytest.mark.parametrize("key", sorted(ENTRIES))
def test_no_sentence_is_left_with_a_hole_when_a_value_is_missing(key: str) -> None:
    for is_pending in (True, False):
        words = render(Explanation(entry=key, is_pending=is_pending))
        assert "{" not in " ".join([words.title, words.happened, words.next_step])


def test_first_words_of_a_title_answer_whether_they_got_it() -> None:
    first = ("Delivered", "Not yet", "Not delivered", "Not sent", "Refused", "We never received", "Marked as spam")
    for key, entry in ENTRIES.items():
        assert entry["title"].startswith(first), key
        if "pending" in entry:
            assert entry["pending"]["title"].startswith("Not yet"), key


def test_what_is_still_tried_never_sounds_final() -> None:
    for category in Category:
        entry = entry_for(Status.DEFERRED, category=category, course=Course.TRYING)
        assert render(Explanation(entry=entry, is_pending=True)).title.startswith("Not yet"), category


def test_every_entry_that_a_rule_names_exists_in_both_tenses() -> None:
    for rule in load_rules().rules:
        if rule.entry:
            title = render(Explanation(entry=rule.entry, is_pending=True)).title
            assert title.startswith("Not yet") or rule.final or rule.entry == "unknown", rule.name


def test_every_category_has_words_for_a_reason() -> None:
    assert {category.value for category in Category} <= CATALOGUE["reason"].keys()


def test_a_reply_alone_is_explained() -> None:
    reply = parse_reply("550 5.1.1 User unknown")
    explanation = explain(
        reply=reply, outcome=classify(reply), params={"domain": "b.example", "address": "a@b.example"}
    )
    assert explanation.entry == "no-mailbox"
    assert render(explanation) == Words(
        "Not delivered: address does not exist",
        "b.example answered that there is no mailbox a@b.example. Trying again will not help.",
        "Ask for the right address, correct it, resend.",
        "customer",
    )


def test_a_deferred_reply_alone_is_still_tried() -> None:
    reply = parse_reply("452 4.2.2 Mailbox full")
    assert render(explain(reply=reply, outcome=classify(reply))).title == "Not yet: mailbox is full"


def test_a_delivery_gives_its_own_values_and_the_caller_adds_more() -> None:
    explanation = explain_delivery(
        delivery(Status.DEFERRED, Category.MAILBOX_FULL, 452), params={"until": NOW + timedelta(days=4)}
    )
    assert (
        render(explanation).happened
        == "There is no room in the customer's mailbox. We try until 25 Nov 2026 16:20 UTC."
    )
    assert "by phone" not in render(explanation).next_step


def test_phone_and_suggestion_are_said_when_known() -> None:
    words = render(
        with_params(
            explain_delivery(delivery(Status.INVALID, Category.INVALID_ADDRESS, 550)),
            {"phone": "+358 40 123", "suggestion": "sari@gmail.com"},
        )
    )
    assert "+358 40 123" in words.next_step
    assert "Did they mean sari@gmail.com?" in words.next_step


def test_rule_of_the_delivery_names_the_nearer_entry() -> None:
    refused = replace(delivery(Status.SOFT_BOUNCED, Category.CONTENT_REJECTED, 550), rule="text.virus")
    assert explain_delivery(refused).entry == "virus"
    assert explain_delivery(replace(refused, rule="a rule that was renamed")).entry == "malformed"


@pytest.mark.parametrize(
    ("span", "shown"),
    [
        (timedelta(days=5), "5 days"),
        (timedelta(hours=47), "47 hours"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(seconds=8.4), "8 seconds"),
        (timedelta(seconds=1), "1 second"),
    ],
)
def test_temporary_to_the_end_says_how_often_how_long_and_the_last_reason(span: timedelta, shown: str) -> None:
    ended = replace(delivery(Status.SOFT_BOUNCED, Category.NETWORK), ended_at=NOW + span)
    words = render(explain_delivery(ended))
    assert words.happened == f"We tried 3 times over {shown}. Last answer: their server did not answer."


def test_our_own_fault_to_the_end_is_for_the_admin() -> None:
    ended = replace(delivery(Status.SOFT_BOUNCED, Category.PROTOCOL_ERROR), blame=Blame.US)
    assert render(explain_delivery(ended)).who == "admin"
    assert (
        entry_for(Status.SOFT_BOUNCED, category=Category.EXPIRED, course=Course.GAVE_UP, blame=Blame.US)
        == "relay-setup"
    )


@pytest.mark.parametrize(
    ("reason", "entry"),
    [
        ("manual", "blocked-hand"),
        ("complaint", "complaint"),
        ("errors", "blocked-auto"),
        ("invalid_address", "blocked-auto"),
    ],
)
def test_blocks_are_told_apart(reason: str, entry: str) -> None:
    block = Suppression(id=1, scope="address", value="x", reason=reason, since_at=NOW, by="Sari", note="rang")
    explanation = explain_delivery(delivery(Status.SUPPRESSED), blocked=block)
    assert explanation.entry == entry
    if reason == "manual":
        assert render(explanation).happened.startswith("Blocked by Sari on 21 Nov 2026 16:20 UTC. Note: “rang”.")
    assert explain_delivery(delivery(Status.SUPPRESSED)).entry == "blocked-auto"


def test_late_return_marks_and_holds_have_their_own_entries() -> None:
    returned = replace(delivery(Status.HARD_BOUNCED, Category.MAILBOX_DISABLED, 550), delivered_at=NOW)
    assert "Reason: the mailbox is switched off." in render(explain_delivery(returned)).happened
    arrived = delivery(Status.DELIVERED)
    for mark, entry in [
        ("opened", "opened"),
        ("clicked", "opened"),
        ("spam", "complaint"),
        ("auto_reply", "auto-reply"),
    ]:
        assert explain_delivery(replace(arrived, marks=(mark,))).entry == entry
    held = explain_delivery(replace(delivery(Status.QUEUED), held="test system"))
    assert (held.entry, "“test system”" in render(held).happened) == ("paused", True)


def test_message_gives_app_subject_and_sender() -> None:
    message = Message(
        id=MessageId("M1"), accepted_at=NOW, app="hotel-desk", mail_from="d@hotel.example",
        header_from="desk@hotel.example", subject="Your booking", size=3 * 1024**2,
    )  # fmt: skip
    ended = delivery(Status.SOFT_BOUNCED, Category.AUTH_FAILURE, 550)
    assert "hotel.example" in render(explain_delivery(ended, message=message)).happened
    large = delivery(Status.SOFT_BOUNCED, Category.MESSAGE_TOO_LARGE, 552)
    assert "3.0 MB" in render(explain_delivery(large, message=message)).happened


def test_nothing_handed_to_us_and_refusals_at_the_door() -> None:
    assert "BK-1" in render(explain_no_record("BK-1")).happened
    assert "wrong password" in render(explain_refusal(app="desk", reason="auth_failed")).happened
    assert "too many" in render(explain_refusal(app=None, reason="rate_limited")).happened
    assert "technical report" in render(explain_refusal(app="desk", reason="weird")).happened


def test_sentence_that_lacks_the_domain_still_begins_with_a_capital() -> None:
    reply = parse_reply("550 5.1.1 User unknown")
    assert render(explain(reply=reply, outcome=classify(reply))).happened.startswith("Their server answered that")


CUSTOMER = tomllib.loads(files("relay.classify").joinpath("customer.toml").read_text(encoding="utf-8"))


def test_there_is_a_text_for_the_customer_for_every_entry() -> None:
    assert CUSTOMER["text"].keys() == ENTRIES.keys()
    assert {*CUSTOMER["pending"]["entries"], *CUSTOMER["pending"]["special"]} <= ENTRIES.keys()


def test_what_the_customer_is_told_is_pending_wherever_the_desk_is_told_so() -> None:
    told_pending = {key for key, entry in ENTRIES.items() if "pending" in entry}
    assert told_pending - {*CUSTOMER["pending"]["entries"], *CUSTOMER["pending"]["special"]} == set()


@pytest.mark.parametrize("key", sorted(ENTRIES))
def test_texts_for_the_customer_are_short_plain_and_show_nothing_internal(key: str) -> None:
    for is_pending in (True, False):
        params = {"address": "a@b.example", "user": "mika", "note": "rude", "app": "desk-app", "phone": "+358"}
        bare = render_for_customer(Explanation(entry=key, is_pending=is_pending))
        full = render_for_customer(Explanation(entry=key, is_pending=is_pending, params=params))
        for text in (bare, full):
            assert not re.search(r"[{}]|mika|rude|desk-app|\+358", text), text
            assert not BANNED.search(text), text
            assert all(len(sentence.split()) <= 20 for sentence in re.split(r"(?<=[.?!]) ", text)), text
        assert full


class Listening:
    """A tongue that says everything in capitals, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def text(self, msgid: str) -> str:
        self.asked.add(msgid)
        return re.sub(r"(\{\w+\})|([^{]+)", lambda found: found[1] or found[2].upper(), msgid)

    def shown(self, value: Value) -> str:
        return f"<{value}>"

    def times(self, n: int) -> str:
        return f"<{n}×>"


def test_another_tongue_gives_the_words_and_writes_the_values() -> None:
    ended = replace(delivery(Status.SOFT_BOUNCED, Category.NETWORK), ended_at=NOW + timedelta(days=5))
    words = render(explain_delivery(ended), tongue=Listening())
    assert words.title == "NOT DELIVERED: WE STOPPED TRYING"
    assert words.happened == "WE TRIED <3×> OVER <5 days, 0:00:00>. LAST ANSWER: THEIR SERVER DID NOT ANSWER."
    assert render_for_customer(explain_delivery(ended), tongue=Listening()).startswith("OUR EMAIL TO <sari@b.example>")


def test_a_tongue_is_asked_only_for_texts_of_the_list_and_for_all_of_them() -> None:
    listening, chance = Listening(), random.Random(11)
    names = set(re.findall(r"\{(\w+)\}", " ".join(every_msgid())))
    for key, is_pending, _ in itertools.product(ENTRIES, (True, False), range(100)):
        params: dict[str, Value] = {name: 4 if name == "n" else name for name in sorted(names) if chance.random() < 0.6}
        explanation = Explanation(entry=key, params=params, is_pending=is_pending)
        render(explanation, tongue=listening)
        render_for_customer(explanation, tongue=listening)
    for key in CATALOGUE["also"]:
        explanation = Explanation(entry="queued", params=dict.fromkeys(names, "x"), also=(key,))
        render(explanation, tongue=listening)
        render_for_customer(explanation, tongue=listening)
    for reason in CATALOGUE["reason"]:
        render(Explanation(entry="gave-up", params={"reason": reason}), tongue=listening)
    assert listening.asked - set(every_msgid()) == set()
    assert set(every_msgid()) - listening.asked == set()


def test_a_sentence_with_a_stand_in_is_a_text_of_its_own() -> None:
    listening = Listening()
    render(Explanation(entry="unreachable", params={"until": NOW}), tongue=listening)
    assert "We could not reach their server." in listening.asked
    assert "We could not reach {domain}." not in listening.asked


def test_a_domain_that_begins_like_a_stand_in_keeps_its_small_letter() -> None:
    words = render(Explanation(entry="busy", params={"domain": "italia.example"}))
    assert words.happened.startswith("italia.example is busy")
