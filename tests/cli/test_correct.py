"""`correct` and `resend`: where a copy goes, that it goes once, and what is left out with which reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from relay import actions
from relay.model import Delivery
from relay.status import Status
from relay.store import content, log
from tests.cli.desk import CONTENT, Desk

OLD, NEW = "ana@exmaple.com", "Anna@example.com"


def rows(desk: Desk, *arguments: str) -> list[dict[str, Any]]:
    return desk.run("log", "--json", *arguments).lines()


def bounced(desk: Desk, to: str = OLD, **values: Any) -> Delivery:
    _, (delivery,) = desk.accept(to, **values)
    desk.answer(delivery, "550 5.1.1 no such user", status=Status.INVALID)
    return delivery


def bounced_softly(desk: Desk, to: str = OLD, **values: Any) -> Delivery:
    """Fail without blocking the address."""
    _, (delivery,) = desk.accept(to, **values)
    desk.answer(delivery, "552 5.2.2 mailbox full", status=Status.SOFT_BOUNCED)
    return delivery


def resent(desk: Desk, *arguments: str) -> str:
    (made,) = desk.run("resend", *arguments, "--json").one()["deliveries"]
    return str(made)


# Where a resend goes


def test_m000_6_after_the_correction_a_resend_goes_to_the_new_address_and_says_so(desk: Desk) -> None:
    old = bounced(desk)
    other = bounced(desk, "bob@example.com")
    desk.run("correct", OLD, NEW, "--days", "1")
    later = bounced(desk)
    got = desk.run("resend", later.id)
    assert got.code == 0
    assert f"Queued again to {NEW}. {NEW} is the current address; it was {OLD}." in got.out
    assert desk.run("resend", old.id, "--to", OLD).code == 1  # told otherwise: it is blocked there
    assert f"Queued again to {OLD}." not in desk.run("resend", other.id).out


def test_m001_15_a_resend_to_another_address_is_not_the_current_one(desk: Desk) -> None:
    old = bounced_softly(desk)
    desk.run("correct", OLD, NEW, "--dry-run")
    assert "Queued again to desk@hotel.example." in desk.run("resend", old.id, "--to", "desk@hotel.example").out
    assert f"Queued again to {OLD}." in desk.run("resend", old.id).out


def test_a_resend_goes_where_a_redirect_sends_new_mail(desk: Desk) -> None:
    old = bounced_softly(desk)
    desk.run("redirect", OLD, NEW)
    got = desk.run("resend", old.id)
    assert f"Mail to {OLD} is redirected to {NEW}, so it goes there." in got.out
    assert (rows(desk)[0]["to"], rows(desk)[0]["intended"]) == (NEW, OLD)
    assert "meant for" in desk.run("show", rows(desk)[0]["id"]).out


# Once


def test_an_identical_resend_waits_for_the_first_to_end(desk: Desk) -> None:
    old = bounced_softly(desk)
    first = resent(desk, old.id)
    got = desk.run("resend", old.id, "--json")
    assert (got.code, got.one()["key"], got.one()["count"]) == (0, "already_queued", 0)
    assert got.one()["deliveries"] == [first]
    assert got.one()["sentence"] == f"Already queued to {OLD}: {first}."
    assert resent(desk, first) == first  # the copy of a copy is the same mail
    assert len(rows(desk)) == 2
    desk.run("cancel", first)
    assert resent(desk, old.id) != first


def test_another_form_or_address_is_another_resend(desk: Desk) -> None:
    old = bounced_softly(desk)
    made = {resent(desk, old.id), resent(desk, old.id, "--plain"), resent(desk, old.id, "--to", NEW)}
    assert len(made) == 3


def test_a_token_makes_a_repeated_submit_return_the_first_result(desk: Desk) -> None:
    old = bounced_softly(desk)
    now = datetime.now(UTC)

    def submit() -> actions.Answer:
        with desk.store() as store:
            plan = store.read_now(
                lambda tx: actions.plan_resend(tx, old.id, by="sari", now=now, hostname="relay.example")
            )
            assert isinstance(plan, actions.Plan)
            return store.write_now(lambda tx: actions.resend(tx, plan, token="form-7"))

    first = submit()
    desk.run("cancel", first.deliveries[0])  # the copy has ended: only the token keeps a second one away
    assert submit() == first
    assert len(rows(desk)) == 2


# The forms


@pytest.mark.parametrize(
    ("raw", "kept", "want"),
    [
        (CONTENT, "all", ["full", "plain"]),
        (b"Subject: x\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n", "all", ["full"]),
        (CONTENT, "none", []),
    ],
)
def test_m001_4_a_form_is_offered_only_where_it_is_possible(desk: Desk, raw: bytes, kept: str, want: list[str]) -> None:
    message, _ = desk.accept("anna@example.com", content=raw, store_content=kept)
    assert desk.run("show", message.id, "--json").one()["forms"] == want
    for form, option in (("full", []), ("plain", ["--plain"])):
        assert (desk.run("resend", message.id, *option).code == 0) == (form in want)


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        ("none", "so it is set for the app hotel"),
        ("until_ended", "for the app hotel only until it has ended"),
        ("all", "its time of keeping is over"),
    ],
)
def test_what_was_not_kept_says_why(desk: Desk, kept: str, why: str) -> None:
    message, (delivery,) = desk.accept("anna@example.com", store_content=kept)
    desk.answer(delivery, "250 ok", status=Status.DELIVERED)
    with desk.store() as store:
        store.write_now(lambda tx: content.drop_if_ended(tx, message.id))
    got = desk.run("resend", message.id)
    assert (got.code, got.out) == (1, "")
    assert f"was not kept ({why}" in got.err


# Correct and catch up


def test_everything_undelivered_goes_to_the_new_address_once(desk: Desk) -> None:
    failed = bounced(desk)
    _, (held_back,) = desk.accept(OLD, kind="reminder")
    desk.answer(held_back, "550 blocked", status=Status.SUPPRESSED)
    _, (waiting,) = desk.accept(OLD, kind="cancellation")
    _, (arrived,) = desk.accept(OLD)
    desk.answer(arrived, "250 ok", status=Status.DELIVERED)
    desk.accept("bob@example.com")
    dry = desk.run("correct", OLD, NEW, "--dry-run", "--json").one()
    assert [one["id"] for one in dry["chosen"]] == [waiting.id, held_back.id, failed.id]
    assert rows(desk, "--to", NEW) == []
    got = desk.run("correct", OLD, NEW, "--json")
    assert (got.code, got.one()["key"], got.one()["left_out"]) == (0, "done", [])
    made = {row["resend_of"]: row for row in rows(desk, "--to", NEW)}
    assert made.keys() == {failed.id, held_back.id, waiting.id}
    assert {row["status"] for row in made.values()} == {"queued"}
    assert desk.run("show", waiting.id, "--json").one()["deliveries"][0]["status"] == "cancelled"
    again = desk.run("correct", OLD, NEW, "--json").one()
    assert (again["done"], again["resent"], len(again["left_out"])) == (True, [], 3)
    assert len(rows(desk, "--to", NEW)) == 3


def test_what_is_listed_is_listed_before_it_is_done(desk: Desk) -> None:
    failed = bounced(desk)
    out = desk.run("correct", OLD, NEW).out
    assert out.startswith(f"1 to be sent again to {NEW}, 0 left out.")
    assert out.index(failed.id) < out.index(f"Queued again to {NEW}.") < out.index(f"{OLD} is corrected to {NEW}.")
    assert "correct the address there too" in out


def test_what_was_resent_in_vain_to_the_old_address_is_one_mail(desk: Desk) -> None:
    failed = bounced(desk)
    assert desk.run("resend", failed.id).code == 1  # blocked
    assert desk.run("resend", failed.id).code == 1
    assert len(desk.run("correct", OLD, NEW, "--json").one()["resent"]) == 1
    assert len(rows(desk, "--to", NEW)) == 1


SOON, PAST = timedelta(days=1), timedelta(hours=-2)

LEFT_OUT = [
    ("stopped", "it was stopped by a person"),
    ("elsewhere", "it reached other@example.com by another resend"),
    ("expired", "its time was over on"),
    ("reminder", "it is a reminder of something that began on"),
    ("not_kept", "its content is not kept any more"),
    ("soon", None),
    ("confirmation", None),
]


@pytest.mark.parametrize(("what", "reason"), LEFT_OUT, ids=[row[0] for row in LEFT_OUT])
def test_what_is_left_out_has_its_reason(desk: Desk, what: str, reason: str | None) -> None:
    now = datetime.now(UTC)
    details: dict[str, dict[str, Any]] = {
        "expired": {"expires_at": now + PAST},
        "reminder": {"kind": "reminder", "event_at": now + PAST},
        "soon": {"kind": "reminder", "event_at": now + SOON, "expires_at": now + SOON},
        "confirmation": {"event_at": now + PAST},
        "not_kept": {"store_content": "until_ended"},
    }
    values = details.get(what, {})
    if what == "stopped":
        _, (delivery,) = desk.accept(OLD)
        desk.run("cancel", delivery.id)
    else:
        delivery = bounced(desk, **values)
    if what == "elsewhere":
        copy = resent(desk, delivery.id, "--to", "other@example.com")
        with desk.store() as store:
            found = store.read_now(lambda tx: log.find(tx, copy))
        assert found is not None
        desk.answer(found.deliveries[1], "250 ok", status=Status.DELIVERED)
    got = desk.run("correct", OLD, NEW, "--json").one()
    assert len(got["resent"]) == (reason is None)
    assert [one["reason"][: len(reason or "")] for one in got["left_out"]] == ([reason] if reason else [])
    assert len(rows(desk, "--to", NEW)) == (reason is None)


def test_older_mail_than_asked_for_stays_where_it_is(desk: Desk) -> None:
    desk.now -= timedelta(days=10)
    bounced(desk)
    assert desk.run("correct", OLD, NEW, "--days", "5", "--json").one()["resent"] == []
    assert len(desk.run("correct", OLD, NEW, "--days", "15", "--json").one()["resent"]) == 1


def test_m001_11_a_blocked_new_address_gets_nothing_and_nothing_is_changed(desk: Desk) -> None:
    failed = bounced(desk)
    desk.run("block", NEW, "--note", "asked us to stop")
    got = desk.run("correct", OLD, NEW)
    assert (got.code, got.out) == (1, "")
    assert got.err.startswith(f"Nothing was done: {NEW} is blocked")
    assert "asked us to stop" in got.err
    assert rows(desk, "--to", NEW) == []
    assert desk.run("resend", failed.id).code == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((OLD, OLD.upper()), 1, "are the same address"),
        (("nobody", NEW), 2, "the address has no domain"),
        ((OLD, "a b@example.com"), 2, "bad characters"),
        ((OLD, NEW, "--days", "0"), 2, "--days"),
    ],
)
def test_what_cannot_be_corrected_says_why(desk: Desk, arguments: tuple[str, ...], code: int, said: str) -> None:
    got = desk.run("correct", *arguments)
    assert (got.code, got.out) == (code, "")
    assert said in got.err


# One history


def test_m000_7_the_history_of_a_corrected_customer_stays_together(desk: Desk) -> None:
    bounced(desk, booking="BK-1")
    desk.run("correct", OLD, NEW)
    message, (later,) = desk.accept(NEW.lower(), booking="BK-2", kind="reminder")  # the app knows it by now
    desk.answer(later, "250 ok", status=Status.DELIVERED)
    for question in (OLD, NEW):
        answer = desk.run("why", question, "--json").one()
        assert answer["answer"] == "delivered", question
        assert {one["to"].lower() for one in answer["deliveries"]} == {OLD, NEW.lower()}
        assert len(answer["deliveries"]) == 3
    assert message.id in desk.run("why", OLD).out


def test_why_of_an_old_mail_names_the_copy_that_counts(desk: Desk) -> None:
    failed = bounced(desk)
    desk.run("correct", OLD, NEW)
    answer = desk.run("why", failed.id, "--json").one()
    assert answer["answer"] == "not_delivered"
    assert answer["happened"].endswith(f"It was sent again to {NEW} since.")
    assert (answer["next_step"], answer["who"]) == (f"Ask about the copy to {NEW}.", "you")
