"""`notices` and `incidents`: what they list, what they change, what they say, how they exit."""

from __future__ import annotations

from typing import Any

import pytest

from relay.model import Delivery, DeliveryId
from relay.status import Status
from relay.store import addresses, events, log
from tests.cli.desk import Desk

GONE = "550 5.1.1 <x>: no such user here"
LISTED = "550 5.7.1 Service unavailable, client host [192.0.2.1] blocked using a block list"


def fail(desk: Desk, address: str = "anna@example.com", text: str = GONE, **values: Any) -> Delivery:
    status = Status.INVALID if text == GONE else Status.SOFT_BOUNCED
    _, (delivery,) = desk.accept(address, **values)
    desk.answer(delivery, text, status=status)
    return delivery


def rows(desk: Desk, *arguments: str) -> list[dict[str, Any]]:
    got = desk.run("notices", "list", "--json", *arguments)
    assert got.code == 0
    return got.lines()


def test_an_empty_list_says_so_and_exits_0(desk: Desk) -> None:
    got = desk.run("notices", "list")
    assert (got.code, got.out) == (0, "Nothing to do.\n")
    assert (desk.run("notices", "list", "x").out, rows(desk)) == ("Nothing to do: there is no such notice.\n", [])
    assert desk.run("incidents", "list").out == "No incident.\n"


def test_m000_3_5_6_9_a_notice_says_address_cause_fix_and_phone(desk: Desk) -> None:
    delivery = fail(desk, "Anna@gmial.com", phone="+358 40 123", customer="C-7")
    out = desk.run("notices", "list").out
    for part in (
        "Not delivered: address does not exist",
        "Anna@gmial.com",
        "+358 40 123",
        "C-7",
        "BK-10042",
        "gmial.com answered that there is no mailbox Anna@gmial.com",
        "Ask for the right address, correct it, resend",
        "the customer",
        "waybill correct Anna@gmial.com NEW",
        "550 5.1.1 <x>: no such user here",
        delivery.id,
    ):
        assert part in out, part


def test_the_keys_of_the_json_are_stable(desk: Desk) -> None:
    delivery = fail(desk, phone="+358 40 123", customer="C-7")
    (one,) = rows(desk)
    assert list(one) == [
        *("id", "state", "address", "cause", "title", "happened", "next_step", "who", "count", "since", "last_at"),
        *("closed_at", "by", "note", "assigned", "suggestion", "corrected_to", "name", "phone", "customer"),
        *("bookings", "app", "delivery", "message", "mx", "code", "enhanced", "reply", "mails"),
    ]
    assert (one["state"], one["address"], one["cause"], one["who"]) == (
        "open",
        "anna@example.com",
        "no-mailbox",
        "customer",
    )
    assert (one["count"], one["bookings"], one["delivery"], one["code"]) == (1, ["BK-10042"], delivery.id, 550)
    assert [mail["id"] for mail in one["mails"]] == [delivery.id]
    assert desk.run("notices", "show", str(one["id"]), "--json").one() == one


def test_words_narrow_the_list(desk: Desk) -> None:
    fail(desk)
    fail(desk, "bob@example.org", "552 5.2.2 mailbox full", booking="BK-2")
    assert [one["address"] for one in rows(desk, "BK-2", "mailbox")] == ["bob@example.org"]
    assert len(rows(desk)) == 2
    assert len(rows(desk, "--limit", "1")) == 1


def test_show_lists_the_mails_and_says_no_when_there_is_none(desk: Desk) -> None:
    delivery = fail(desk)
    got = desk.run("notices", "show", str(rows(desk)[0]["id"]))
    assert got.code == 0
    assert f"{delivery.id}  " in got.out
    got = desk.run("notices", "show", "99")
    assert (got.code, got.out, got.err) == (1, "", "There is no notice 99.\n")


def state(desk: Desk) -> tuple[object, ...]:
    with desk.store() as store:
        return store.read_now(lambda tx: (addresses.get(tx, "anna@example.com"), log.search(tx, log.Query())))


@pytest.mark.parametrize("verb", ["resolve", "clear"])
def test_m000_10_a_notice_is_ended_by_a_person_and_nothing_else_changes(desk: Desk, verb: str) -> None:
    done = {"resolve": "resolved", "clear": "cleared"}[verb]
    fail(desk)
    before = state(desk)
    (one,) = rows(desk)
    got = desk.run("notices", verb, str(one["id"]), "--note", "rang her")
    assert (got.code, got.out) == (0, f"1 notice {done}.\n")
    assert rows(desk) == []
    (closed,) = rows(desk, "--all")
    assert (closed["state"], closed["note"], bool(closed["by"])) == (done, "rang her", True)
    assert state(desk) == before
    assert desk.run("address", "anna@example.com", "--json").one()["blocked"]
    assert f"{closed['state']} " in desk.run("notices", "list", "--all").out
    assert desk.run("notices", verb, str(one["id"])).code == 1
    assert desk.run("notices", "reopen", str(one["id"])).code == 0
    assert rows(desk) == [{**one, "note": "rang her"}]  # what was written stays
    assert desk.run("notices", "reopen", str(one["id"])).code == 1


def test_many_are_ended_at_once_after_a_look(desk: Desk) -> None:
    fail(desk)
    fail(desk, text="552 5.2.2 mailbox full")
    fail(desk, "bob@example.com")
    got = desk.run("notices", "clear", "--address", "ANNA@example.com", "--dry-run")
    assert (got.code, got.out.count("anna@example.com"), "bob" in got.out) == (0, 2, False)
    assert len(desk.run("notices", "clear", "--cause", "no-mailbox", "--dry-run", "--json").lines()) == 2
    assert len(rows(desk)) == 3
    assert desk.run("notices", "clear", "--address", "ANNA@example.com").out == "2 notices cleared.\n"
    assert [one["address"] for one in rows(desk)] == ["bob@example.com"]


def test_somebody_takes_a_notice(desk: Desk) -> None:
    fail(desk)
    (one,) = rows(desk)
    assert desk.run("notices", "assign", str(one["id"]), "--to", "sari").code == 0
    assert rows(desk, "sari")[0]["assigned"] == "sari"
    assert desk.run("notices", "assign", str(one["id"])).code == 0
    assert rows(desk)[0]["assigned"] is None


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["resolve"], 2),
        (["resolve", "1", "--address", "anna@example.com"], 2),
        (["resolve", "x"], 2),
        (["reopen"], 2),
        (["resolve", "99"], 1),
        (["resolve", "1", "99"], 1),
        (["clear", "--address", "nobody@example.com"], 1),
        (["clear", "--cause", "virus"], 1),
    ],
)
def test_what_cannot_be_changed_changes_nothing(desk: Desk, arguments: list[str], code: int) -> None:
    fail(desk)
    assert desk.run("notices", *arguments).code == code
    assert [one["state"] for one in rows(desk)] == ["open"]


def test_who_did_it_stands_in_the_history_of_the_address(desk: Desk) -> None:
    fail(desk)
    desk.run("notices", "clear", "1", "--note", "on holiday")
    with desk.store() as store:
        (event,) = store.read_now(lambda tx: events.of_address(tx, "anna@example.com"))
    assert (event.kind, event.text) == ("notice", "Notice cleared: on holiday (no-mailbox)")
    assert event.by


def test_m000_7_the_customers_other_address_is_suggested(desk: Desk) -> None:
    of_customer(desk, "anna@gmial.com", "C-7", GONE)
    of_customer(desk, "anna@gmail.com", "C-7", "250 ok")
    (one,) = rows(desk)
    assert one["suggestion"] == "anna@gmail.com"
    assert "Did they mean anna@gmail.com?" in one["next_step"]
    assert "waybill correct anna@gmial.com anna@gmail.com" in desk.run("notices", "list").out


def of_customer(desk: Desk, address: str, customer: str, text: str) -> None:
    _, (delivery,) = desk.accept(address, customer=customer, booking=customer)
    status = Status.DELIVERED if text.startswith("250") else Status.INVALID
    desk.answer(delivery, text, status=status)


def test_a_hostile_answer_cannot_steer_the_terminal(desk: Desk) -> None:
    _, (delivery,) = desk.accept("anna@example.com", subject="\x1b[2J\u202eX")
    desk.answer(delivery, "550 5.1.1 \x1b]0;owned\x07 no such user", status=Status.INVALID)
    for arguments in (["list"], ["list", "--json"], ["show", "1"]):
        assert not {"\x1b", "\x07", "\u202e"} & set(desk.run("notices", *arguments).out)


# Incidents.


def incident(desk: Desk, count: int = 6) -> list[DeliveryId]:
    return [fail(desk, f"g{number}@example.com", LISTED).id for number in range(count)]


def test_an_incident_is_listed_and_explained(desk: Desk) -> None:
    incident(desk)
    assert rows(desk) == []
    out = desk.run("incidents", "list").out
    assert "example.com refuses our mail (reputation_block)" in out
    assert "paused" in out
    out = desk.run("incidents", "show", "1").out
    for part in (
        "using a block list",
        "waybill incidents close 1",
        "waybill incidents resend 1",
        "g3@example.com",
    ):
        assert part in out, part
    one = desk.run("incidents", "list", "--json").one()
    assert (one["id"], one["state"], one["kind"], one["domain"]) == (1, "paused", "our_fault", "example.com")
    assert (one["count"], one["waiting"], one["to_resend"]) == (6, 0, 6)
    paused = desk.run("queue").out
    assert paused.startswith("Paused: domain example.com since ")
    assert paused.count("incident 1") == 1


@pytest.mark.parametrize("verb", ["show", "close", "resend"])
def test_an_incident_that_is_not_there_is_said_with_exit_1(desk: Desk, verb: str) -> None:
    fail(desk)
    got = desk.run("incidents", verb, "7")
    assert (got.code, got.out, got.err) == (1, "", "There is no incident 7.\n")


def test_closing_ends_the_pause(desk: Desk) -> None:
    incident(desk)
    got = desk.run("incidents", "close", "1", "--note", "off the list")
    assert (got.code, got.out) == (0, "Incident 1 is closed. Mail goes out again.\n")
    assert desk.run("incidents", "close", "1").code == 1
    assert desk.run("incidents", "list", "--json").out == ""
    (closed,) = desk.run("incidents", "list", "--all", "--json").lines()
    assert (closed["state"], closed["note"], bool(closed["by"])) == ("closed", "off the list", True)
    assert "Paused" not in desk.run("queue").out


def test_sending_again_shows_first_and_sends_once(desk: Desk) -> None:
    ids = incident(desk)
    desk.run("cancel", desk.run("resend", ids[0], "--json").one()["deliveries"][0])
    desk.run("resend", ids[1])
    got = desk.run("incidents", "resend", "1", "--dry-run", "--json")
    assert (got.code, {one["id"] for one in got.lines()}) == (0, {ids[0], *ids[2:]})
    assert "5 would be sent again" in desk.run("incidents", "resend", "1", "--dry-run").out
    assert desk.run("incidents", "list", "--json").one()["state"] == "paused"
    got = desk.run("incidents", "resend", "1", "--json")
    assert (got.code, got.one()["count"]) == (0, 5)
    again = desk.run("incidents", "resend", "1", "--json")
    assert (again.code, again.one()["count"]) == (0, 0)
    with desk.store() as store:
        copies = store.read_now(lambda tx: [row.resend_of for row in log.search(tx, log.Query()) if row.resend_of])
    assert sorted(copies) == sorted([ids[0], *ids])


def test_sending_again_says_what_a_block_holds_back(desk: Desk) -> None:
    incident(desk)
    desk.run("block", "g2@example.com")
    got = desk.run("incidents", "resend", "1", "--json")
    assert (got.code, got.one()["key"], got.one()["count"]) == (1, "some_refused", 5)
    assert "g2@example.com is blocked" in got.one()["sentence"]
