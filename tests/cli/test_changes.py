"""`resend`, `cancel`, `block`, `unblock`, `address`: what they do to the store, what they say, how they exit."""

from __future__ import annotations

from email import message_from_bytes

import pytest

from relay.model import DeliveryId, MessageId
from relay.status import Status
from relay.store import content, log
from tests.cli.desk import CONTENT, Desk

BACKENDS = ("postgres", "sqlite")

BOTH = (
    b"From: desk@hotel.example\r\nTo: anna@example.com\r\nSubject: Hi\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/alternative; boundary=x\r\n\r\n"
    b"--x\r\nContent-Type: text/plain\r\n\r\nplain words\r\n--x\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--x--\r\n"
)


def found(desk: Desk, wanted: str) -> log.Found:
    with desk.store() as store:
        result = store.read_now(lambda tx: log.find(tx, wanted))
    assert result is not None
    return result


def sent_content(desk: Desk, message: MessageId, delivery: str) -> bytes:
    with desk.store() as store:
        raw = store.read_now(lambda tx: content.load(tx, message, delivery_id=DeliveryId(delivery)))
    assert raw is not None
    return raw


def test_resend_is_a_new_delivery_and_the_original_stays(desk: Desk) -> None:
    message, (original,) = desk.accept("anna@example.com")
    desk.answer(original, "552 5.2.2 mailbox full", status=Status.SOFT_BOUNCED)
    before = found(desk, original.id).deliveries[0]
    got = desk.run("resend", original.id, "--json")
    (new_id,) = got.one()["deliveries"]
    first, second = found(desk, message.id).deliveries
    assert got.code == 0
    assert first == before
    assert (second.id, second.status, second.resend_of, second.form) == (new_id, Status.QUEUED, original.id, "full")
    assert second.by
    assert second.next_at is not None
    assert [event.kind for event in found(desk, message.id).events] == ["resend"]


def test_resend_gets_a_fresh_message_id_and_date_and_the_corrected_to(desk: Desk) -> None:
    message, (original,) = desk.accept("Anna@Example.com")
    (new_id,) = desk.run("resend", message.id, "--to", "anna.berg@example.org", "--json").one()["deliveries"]
    raw = sent_content(desk, message.id, new_id)
    old, new = message_from_bytes(CONTENT), message_from_bytes(raw)
    assert new["Message-ID"] == f"<{new_id}@relay.example.org>"
    assert new["Date"] != old["Date"]
    assert new["To"] == "Anna Berg <anna.berg@example.org>"
    assert raw.partition(b"\r\n\r\n")[2] == CONTENT.partition(b"\r\n\r\n")[2]
    assert sent_content(desk, message.id, original.id) == CONTENT


def test_resend_of_a_signed_mail_changes_only_the_envelope(desk: Desk) -> None:
    signed = b"DKIM-Signature: v=1; d=hotel.example; b=abc\r\n" + CONTENT
    message, _ = desk.accept("anna@example.com", content=signed)
    (new_id,) = desk.run("resend", message.id, "--to", "new@example.org", "--json").one()["deliveries"]
    assert sent_content(desk, message.id, new_id) == signed
    assert found(desk, new_id).deliveries[1].address == "new@example.org"


def test_plain_resend_carries_the_text_alone(desk: Desk) -> None:
    message, _ = desk.accept("anna@example.com", content=BOTH)
    (new_id,) = desk.run("resend", message.id, "--plain", "--json").one()["deliveries"]
    assert sent_content(desk, message.id, new_id).endswith(b"\r\n\r\nplain words\r\n")
    assert found(desk, new_id).deliveries[1].form == "plain"


def test_resend_to_a_blocked_address_is_suppressed_and_exits_1(desk: Desk) -> None:
    message, (original,) = desk.accept("anna@example.com")
    desk.answer(original, "250 ok", status=Status.DELIVERED)
    desk.run("block", "@example.com", "--note", "moved")
    got = desk.run("resend", original.id)
    assert got.code == 1
    assert "anna@example.com is blocked" in got.err
    assert "moved" in got.err
    copy = found(desk, message.id).deliveries[1]
    assert (copy.status, copy.next_at, copy.attempts) == (Status.SUPPRESSED, None, 0)
    assert copy.ended_at is not None
    assert desk.run("address", "anna@example.com", "--json").one()["error_count"] == 0
    assert desk.run("verify").code == 0


REFUSED = [
    (["resend", "01K0000000000000000000000"], "There is no message or delivery"),
    (["resend", "{two}", "--to", "new@example.org"], "That message went to 2 recipients"),
    (["resend", "{html}", "--plain"], "That message has no plain text part"),
    (["resend", "{gone}"], "The content of that message was not kept"),
    (["cancel", "01K0000000000000000000000"], "There is no message or delivery"),
    (["cancel", "{ended}"], "There is nothing to stop: it has ended (delivered)"),
    (["unblock", "anna@example.com"], "anna@example.com is not blocked"),
    (["address", "nobody@example.com"], "Nothing is known about nobody@example.com"),
    (["address", "nobody@example.com", "--reset"], "Nothing is known about nobody@example.com"),
    (["queue", "resume"], "Sending to everyone is not paused"),
]


@pytest.mark.parametrize(("arguments", "want"), REFUSED, ids=[" ".join(row[0]) for row in REFUSED])
def test_a_no_is_said_on_stderr_with_exit_1(desk: Desk, arguments: list[str], want: str) -> None:
    two, _ = desk.accept("anna@example.com", "bob@example.com")
    html, _ = desk.accept("anna@example.com", content=b"Content-Type: text/html\r\n\r\n<p>\r\n")
    gone, _ = desk.accept("anna@example.com", store_content="none")
    ended, (delivery,) = desk.accept("anna@example.com")
    desk.answer(delivery, "250 ok", status=Status.DELIVERED)
    ids = {"two": two.id, "html": html.id, "gone": gone.id, "ended": ended.id}
    got = desk.run(*(argument.format(**ids) for argument in arguments))
    assert got.code == 1
    assert got.out == ""
    assert got.err.startswith(want)
    assert got.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["block", "no address"],
        ["block", "@"],
        ["unblock", "a@b@@"],
        ["address", "nobody"],
        ["resend", "{id}", "--to", "nowhere"],
        ["send-test", "nobody"],
    ],
)
def test_what_is_no_address_is_wrong_use(desk: Desk, arguments: list[str]) -> None:
    message, _ = desk.accept("anna@example.com")
    got = desk.run(*(argument.format(id=message.id) for argument in arguments))
    assert (got.code, got.out) == (2, "")


def test_cancel_ends_what_is_open_and_names_who(desk: Desk) -> None:
    message, (first, second) = desk.accept("anna@example.com", "bob@example.com")
    desk.answer(first, "250 ok", status=Status.DELIVERED)
    got = desk.run("cancel", message.id)
    assert got.code == 0
    assert [one.status for one in found(desk, message.id).deliveries] == [Status.DELIVERED, Status.CANCELLED]
    (event,) = found(desk, message.id).events
    assert (event.kind, event.delivery_id) == ("cancel", second.id)
    assert event.by


def test_block_and_unblock_an_address_in_any_spelling(desk: Desk) -> None:
    assert desk.run("block", "Anna@EXAMPLE.com", "--note", "asked").code == 0
    again = desk.run("block", "anna@example.com")
    assert (again.code, again.out) == (0, "anna@example.com is blocked already.\n")
    known = desk.run("address", "anna@example.com", "--json").one()
    assert known["blocked"]
    assert (known["blocks"][0]["source"], known["blocks"][0]["note"]) == ("manual", "asked")
    assert known["blocks"][0]["by"]
    assert desk.run("unblock", "anna@Example.com").code == 0
    assert not desk.run("address", "anna@example.com", "--json").one()["blocked"]


def test_unblocking_an_address_says_when_its_domain_stays_blocked(desk: Desk) -> None:
    desk.run("block", "anna@example.com")
    desk.run("block", "@example.com")
    got = desk.run("unblock", "anna@example.com")
    assert got.code == 0
    assert "all of example.com is blocked" in got.out


def test_reset_lifts_automatic_blocks_and_never_one_by_hand(desk: Desk) -> None:
    _, (delivery,) = desk.accept("anna@example.com")
    desk.answer(delivery, "550 5.1.1 no such user", status=Status.INVALID)
    known = desk.run("address", "anna@example.com", "--json").one()
    assert (known["error_count"], known["blocked"]) == (1, True)
    desk.run("block", "anna@example.com", "--note", "by me")
    got = desk.run("address", "anna@example.com", "--reset")
    assert got.code == 0
    assert "stays blocked" in got.out
    known = desk.run("address", "anna@example.com", "--json").one()
    assert known["error_count"] == 0
    assert [one["source"] for one in known["blocks"]] == ["manual"]


def test_address_shows_the_last_error(desk: Desk) -> None:
    _, (delivery,) = desk.accept("anna@example.com", phone="+358 40 123")
    desk.answer(delivery, "550 5.1.1 no such user", status=Status.INVALID)
    out = desk.run("address", "anna@example.com").out
    for part in ("errors:", "(invalid_address)", "550 5.1.1 no such user", "+358 40 123", "the address does not exist"):
        assert part in out


def test_a_resend_that_is_blocked_for_one_says_that_the_others_go(desk: Desk) -> None:
    message, _ = desk.accept("anna@example.com", "bob@example.com")
    desk.run("block", "bob@example.com")
    got = desk.run("resend", message.id, "--json")
    assert (got.code, got.one()["key"], got.one()["count"]) == (1, "blocked", 2)
    assert got.one()["sentence"].startswith("Not sent: bob@example.com is blocked (")
    assert got.one()["sentence"].endswith(" Queued again to anna@example.com.")
    row = desk.run("log", "bob@example.com", "--status", "suppressed", "--json").one()
    assert row["reply"].startswith("the address bob@example.com has been blocked since "), "as at a blocked new mail"
    assert "  blocked  " in desk.run("log", "bob@example.com", "--status", "suppressed").out


def test_the_time_line_ends_with_the_end(desk: Desk) -> None:
    message, _ = desk.accept("bob@example.com")
    desk.run("block", "bob@example.com")
    desk.run("resend", message.id)
    assert desk.run("show", message.id).out.splitlines()[-1].endswith("bob@example.com: suppressed")
