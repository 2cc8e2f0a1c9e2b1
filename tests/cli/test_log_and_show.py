"""`log`, `show`, `stats`: what they print, exactly which keys, and that nothing shown can steer a terminal."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from relay.status import Status
from tests.cli.desk import CONTENT, Desk

BACKENDS = ("postgres", "sqlite")

LOG_KEYS = [
    *("id", "message", "accepted_at", "app", "from", "to", "subject", "booking", "kind", "status", "category", "blame"),
    *("attempts", "mx", "code", "enhanced", "reply", "next_at", "marks", "intended", "resend_of", "delivered_at"),
    "expires_at",
]

REFUSED_KEYS = [
    *("at", "listener", "client_ip", "app", "user", "helo", "from", "to"),
    *("stage", "code", "enhanced", "text", "reason"),
]


def test_log_json_has_every_key_newest_first(desk: Desk) -> None:
    desk.accept("anna@example.com")
    _, (second,) = desk.accept("Bob@Example.com", subject="Reminder", booking=None, kind=None)
    desk.answer(second, "550 5.1.1 no such user", status=Status.INVALID)
    got = desk.run("log", "--json")
    newest, oldest = got.lines()
    assert got.code == 0
    assert list(newest) == LOG_KEYS == list(oldest)
    assert newest == {
        **newest,
        "id": second.id,
        "to": "Bob@Example.com",
        "from": "desk@hotel.example",
        "booking": None,
        "kind": None,
        "status": "invalid",
        "category": "invalid_address",
        "blame": "recipient",
        "attempts": 1,
        "mx": "mx1.example.com",
        "code": 550,
        "enhanced": "5.1.1",
        "reply": "no such user",
        "next_at": None,
        "marks": [],
    }
    assert oldest["booking"] == "BK-10042"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", oldest["next_at"])


@pytest.mark.parametrize(
    ("arguments", "want"),
    [
        (["anna"], {"anna@example.com"}),
        (["reminder", "bob"], {"bob@example.com"}),
        (["reminder", "anna"], set()),
        (["--to", "bob@example.com"], {"bob@example.com"}),
        (["--booking", "bk 10042"], {"anna@example.com"}),
        (["--status", "deferred"], {"carl@example.com"}),
        (["--status", "deferred", "--status", "queued"], {"anna@example.com", "bob@example.com", "carl@example.com"}),
        (["--app", "shop"], {"bob@example.com"}),
        (["--since", "1d"], {"anna@example.com", "bob@example.com", "carl@example.com"}),
        (["--until", "1d"], set()),
        (["--since", "2100-01-01T10:00"], set()),
        (["--limit", "1"], {"carl@example.com"}),
    ],
)
def test_log_narrows_by_every_option(desk: Desk, arguments: list[str], want: set[str]) -> None:
    desk.accept("anna@example.com")
    desk.accept("bob@example.com", subject="Reminder", booking="BK-7", app="shop")
    _, (third,) = desk.accept("carl@example.com", booking=None)
    desk.answer(third, "451 4.7.1 try later", status=Status.DEFERRED, next_in=timedelta(minutes=5))
    got = desk.run("log", "--json", *arguments)
    assert got.code == 0
    assert {line["to"] for line in got.lines()} == want


def test_log_of_an_empty_store_is_no_failure(desk: Desk) -> None:
    desk.run("migrate")
    got = desk.run("log")
    assert (got.code, got.err) == (0, "")
    assert desk.run("log", "--json").out == ""


def test_log_refused_shows_what_intake_refused(desk: Desk) -> None:
    desk.accept("anna@example.com")
    desk.refuse(to="anna@example.com")
    desk.refuse(to="bob@example.com", text="too large")
    first, second = desk.run("log", "--refused", "--json").lines()
    assert list(first) == REFUSED_KEYS
    assert (first["to"], second["to"]) == ("bob@example.com", "anna@example.com")
    assert [line["text"] for line in desk.run("log", "--refused", "--json", "anna").lines()] == ["sender not allowed"]
    assert "550 5.7.1 sender not allowed" in desk.run("log", "--refused").out


def test_what_strangers_wrote_cannot_steer_the_terminal(desk: Desk) -> None:
    _, (delivery,) = desk.accept("anna@example.com", subject="\x1b[31mred\u202e\x9b2J\x07")
    desk.answer(delivery, "550 5.1.1 no \x1b]0;title\x07 user", status=Status.INVALID)
    for arguments in (["log"], ["log", "--json"], ["show", delivery.id], ["show", delivery.id, "--json"]):
        got = desk.run(*arguments)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", got.out), arguments
    assert "\\x1b[31mred" in desk.run("show", delivery.id).out
    assert desk.run("log", "--json").one()["subject"] == "\x1b[31mred\u202e\x9b2J\x07"


def test_log_keeps_a_long_subject_on_one_line(desk: Desk) -> None:
    desk.accept("anna@example.com", subject="Varausvahvistus " * 20)
    lines = desk.run("log").out.splitlines()
    assert len(lines) == 2
    assert len(lines[1]) < 150


def test_log_says_the_reason_and_that_a_delivery_is_held(desk: Desk) -> None:
    _, (failed,) = desk.accept("anna@example.com")
    desk.answer(failed, "552 5.2.2 mailbox full", status=Status.SOFT_BOUNCED)
    desk.accept("bob@example.com")
    assert desk.run("queue", "hold").code == 0
    heading, held, full = desk.run("log").out.splitlines()
    assert heading.split() == ["ACCEPTED", "STATUS", "REASON", "TO", "SUBJECT", "ID"]
    assert "queued (held)" in held
    assert "soft_bounced" in full
    assert "mailbox_full" in full


def test_refused_text_has_columns_and_no_empty_path(desk: Desk) -> None:
    desk.refuse(to="anna@example.com")
    heading, line = desk.run("log", "--refused").out.splitlines()
    assert heading.split() == ["REFUSED", "CLIENT", "APP", "FROM", "TO", "ANSWER"]
    assert "anna@example.com" in line
    assert "<>" not in line


def test_show_labels_every_line_of_a_resend(desk: Desk) -> None:
    _, (delivery,) = desk.accept("anna@example.com")
    desk.answer(delivery, "552 5.2.2 mailbox full", status=Status.SOFT_BOUNCED)
    (again,) = desk.run("resend", delivery.id, "--json").one()["deliveries"]
    out = desk.run("show", again).out
    assert re.search(rf"^resend of: +{delivery.id}, by ", out, re.MULTILINE)
    assert not re.search(r"^ *:", out, re.MULTILINE)


def test_show_of_a_booking_says_which_command_knows_bookings(desk: Desk) -> None:
    desk.accept("anna@example.com")
    got = desk.run("show", "BK-10042")
    assert (got.code, got.out) == (1, "")
    assert "waybill why BK-10042" in got.err


def test_show_tells_the_whole_story(desk: Desk) -> None:
    message, (delivery,) = desk.accept("anna@example.com")
    desk.answer(delivery, "550 5.1.1 no such user", status=Status.INVALID)
    for wanted in (message.id, delivery.id, delivery.id.lower()):
        got = desk.run("show", wanted)
        assert got.code == 0
        for part in (message.id, delivery.id, "BK-10042", "550 5.1.1 no such user", "mx1.example.com", "EHLO relay"):
            assert part in got.out


def test_show_json_has_stable_keys(desk: Desk) -> None:
    message, (delivery, _) = desk.accept("anna@example.com", "bob@example.com")
    desk.answer(delivery, "550 5.1.1 no such user", status=Status.INVALID)
    got = desk.run("show", message.id, "--json").one()
    assert len(got["deliveries"]) == 2
    assert got["references"] == [{"kind": "booking", "value": "BK-10042", "source": "header", "rule": None}]
    (one,) = desk.run("show", delivery.id, "--json").one()["deliveries"]
    assert one["status"] == "invalid"
    assert one["tries"][0]["took"] == 0.25
    assert one["tries"][0]["category"] == "invalid_address"


def test_show_raw_gives_the_very_bytes(desk: Desk) -> None:
    content = CONTENT + b"caf\xe9 \x1b[2J\r\n"
    message, _ = desk.accept("anna@example.com", content=content)
    done = desk.process("show", message.id, "--raw")
    assert (done.returncode, done.stdout) == (0, content)


@pytest.mark.parametrize("arguments", [["show", "01K0000000000000000000000"], ["show", "x", "--raw"]])
def test_show_of_an_unknown_id_exits_1(desk: Desk, arguments: list[str]) -> None:
    desk.run("migrate")
    got = desk.run(*arguments)
    assert (got.code, got.out) == (1, "")
    assert got.err.startswith("There is no message or delivery")


def test_content_that_must_not_be_kept_is_never_shown(desk: Desk) -> None:
    message, _ = desk.accept("anna@example.com", store_content="none")
    got = desk.run("show", message.id, "--raw")
    assert (got.code, got.out) == (1, "")


def test_stats_count_by_status_and_reason(desk: Desk) -> None:
    _, (first,) = desk.accept("anna@example.com")
    _, (second,) = desk.accept("bob@example.com")
    desk.accept("carl@example.com")
    desk.answer(first, "250 2.0.0 ok", status=Status.DELIVERED)
    desk.answer(second, "550 5.1.1 no such user", status=Status.INVALID)
    got = desk.run("stats", "--json").one()
    assert (got["delivered"], got["failed"], got["waiting"]) == (1, 1, 1)
    assert got["delivery_rate"] is None  # two are too few to say
    assert got["statuses"]["invalid"] == 1
    assert set(got["statuses"]) == {status.value for status in Status}
    assert got["categories"] == {"invalid_address": 1}
    assert got["apps"] == {"hotel": 3}
    assert "too few to say" in desk.run("stats").out
