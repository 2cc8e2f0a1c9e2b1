"""`address`: what the desk sees of one address."""

from __future__ import annotations

from relay.status import Status
from relay.store import addresses
from tests.cli.desk import Desk

FULL = "552 5.2.2 mailbox is full"


def fail(desk: Desk, text: str = FULL, *, times: int = 1, status: Status = Status.SOFT_BOUNCED) -> str:
    for _ in range(times):
        message, (delivery,) = desk.accept("anna@example.com", phone="+358 40 123")
        desk.answer(delivery, text, status=status)
    return str(message.id)


def test_m003_9_no_number_when_there_are_no_errors(desk: Desk) -> None:
    _, (delivery,) = desk.accept("anna@example.com")
    desk.answer(delivery, "250 2.0.0 ok", status=Status.DELIVERED)
    known = desk.run("address", "anna@example.com", "--json").one()
    assert (known["error_count"], known["last_error_at"], known["state"]) == (0, None, "Email OK")
    out = desk.run("address", "anna@example.com").out
    assert "errors:          0\n" in out
    assert "last error" not in out
    assert "last delivered:" in out


def test_m003_10_the_last_error_is_told_in_detail(desk: Desk) -> None:
    message = fail(desk)
    known = desk.run("address", "anna@example.com", "--json").one()
    assert (known["error_count"], known["last_category"]) == (1, "mailbox_full")
    assert (known["last_reply"], known["last_answer"]) == ("mailbox is full", "552 5.2.2 mailbox is full")
    assert (known["last_message"], known["last_mx"]) == (message, "mx1.example.com")
    assert known["last_error"]
    assert known["next_step"]
    out = desk.run("address", "anna@example.com").out
    for part in ("mx1.example.com: 552 5.2.2 mailbox is full", message, "BK-10042", "Your booking", "next step:"):
        assert part in out


def test_m003_8_and_11_twelve_errors_send_the_thirteenth_blocks_and_the_bin_releases(desk: Desk) -> None:
    fail(desk, times=12)
    known = desk.run("address", "anna@example.com", "--json").one()
    assert (known["error_count"], known["state"]) == (12, "Email OK")
    assert "12 (more than 12 block it)" in desk.run("address", "anna@example.com").out
    fail(desk)
    known = desk.run("address", "anna@example.com", "--json").one()
    assert (known["error_count"], known["state"], known["blocks"][0]["reason"]) == (13, "Email bounced", "errors")
    desk.run("block", "anna@example.com", "--app", "desk")
    got = desk.run("address", "anna@example.com", "--reset", "--note", "she called")
    assert got.out == "The error counter of anna@example.com is 0. It is no longer blocked.\n"
    known = desk.run("address", "anna@example.com", "--json").one()
    assert (known["error_count"], known["state"]) == (0, "Email OK")
    assert known["reset_at"]
    assert known["last_answer"] == "552 5.2.2 mailbox is full", "what the last error was stays true"
    assert "she called" in known["events"][0]["text"]


def test_m001_12_a_block_for_one_app_is_told_as_such(desk: Desk) -> None:
    desk.config.write_text(desk.config.read_text() + '[[app]]\nname = "spa"\nnetworks = ["192.0.2.1"]\n')
    desk.run("block", "anna@example.com", "--app", "spa")
    out = desk.run("address", "anna@example.com").out
    assert "Email bounced for spa, OK for every other app" in out
    desk.run("block", "@example.com", "--note", "closed")
    out = desk.run("address", "anna@example.com").out
    assert "state:    Email bounced\n" in out
    assert "all of example.com, blocked by " in out
    assert '"closed"' in out


def test_earlier_blocks_recent_mail_and_the_current_address_are_shown(desk: Desk) -> None:
    fail(desk, "550 5.1.1 no such user", status=Status.INVALID)
    desk.run("unblock", "anna@example.com", "--note", "a slip")
    with desk.store() as store:
        store.write_now(lambda tx: addresses.correct(tx, "anna@example.com", "anna.berg@example.org", now=desk.now))
    known = desk.run("address", "anna@example.com", "--json").one()
    assert known["current"] == "anna.berg@example.org"
    assert [one["lifted_note"] for one in known["past_blocks"]] == ["a slip"]
    assert [one["status"] for one in known["recent"]] == ["invalid"]
    out = desk.run("address", "anna@example.com").out
    for part in ("anna.berg@example.org", "Earlier blocks", "a slip", "Recent mail", "invalid", "What people did"):
        assert part in out


def test_what_was_never_seen_is_a_no(desk: Desk) -> None:
    got = desk.run("address", "nobody@example.com", "--json")
    assert (got.code, got.one()["state"], got.one()["recent"]) == (1, "Email OK", [])


def test_mail_that_still_waits_makes_an_address_known(desk: Desk) -> None:
    desk.accept("anna@example.com")
    got = desk.run("address", "anna@example.com")
    assert got.code == 0
    assert "queued" in got.out
