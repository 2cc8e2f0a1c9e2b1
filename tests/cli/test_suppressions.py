"""`block`, `unblock` and `suppressions`: what they print, what they leave in the store, how they exit."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from relay.status import Status
from tests.cli.desk import Desk

APPS = '[[app]]\nname = "hotel"\nnetworks = ["192.0.2.1"]\n[[app]]\nname = "spa"\nnetworks = ["192.0.2.2"]\n'
DEAD = "550 5.1.1 no such user"


@pytest.fixture
def two_apps(desk: Desk) -> Desk:
    desk.config.write_text(desk.config.read_text() + APPS)
    return desk


def test_a_block_for_one_app_and_for_a_time_is_shown_and_lifted_alone(two_apps: Desk) -> None:
    got = two_apps.run("block", "anna@example.com", "--app", "spa", "--until", "7d", "--note", "asked")
    assert got.code == 0
    assert got.out.startswith("anna@example.com is blocked for spa until 20")
    two_apps.run("block", "anna@example.com")
    (wide, narrow) = two_apps.run("suppressions", "list", "--json").lines()
    assert (wide["app"], wide["until"], narrow["app"], narrow["note"]) == (None, None, "spa", "asked")
    until = datetime.fromisoformat(narrow["until"])
    assert timedelta(days=6) < until - datetime.now(UTC) < timedelta(days=8)
    lifted = two_apps.run("unblock", "anna@example.com", "--app", "spa")
    assert lifted.code == 0
    assert "is still blocked for all apps" in lifted.out
    no = two_apps.run("unblock", "anna@example.com", "--app", "spa")
    assert (no.code, no.err) == (1, "anna@example.com is not blocked for spa; it is for all apps.\n")
    assert two_apps.run("unblock", "anna@example.com").code == 0
    assert two_apps.run("suppressions", "list").out == "Nothing is blocked.\n"
    assert len(two_apps.run("suppressions", "list", "--all", "--json").lines()) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["block", "anna@example.com", "--app", "spaa"],
        ["block", "anna@example.com", "--until", "2020-01-01"],
        ["block", "anna@example.com", "--until", "soon"],
        ["suppressions", "list", "--reason", "luck"],
        ["suppressions", "undo"],
        ["suppressions", "undo", "--since", "1h", "--domain", "no domain"],
        ["suppressions", "import", "nowhere.csv"],
    ],
)
def test_wrong_use_exits_2(two_apps: Desk, arguments: list[str]) -> None:
    got = two_apps.run(*arguments)
    assert (got.code, got.out) == (2, "")


def test_a_name_that_is_nearly_an_app_is_suggested(two_apps: Desk) -> None:
    assert "did you mean hotel?" in two_apps.run("block", "anna@example.com", "--app", "hotl").err


def test_the_list_is_filtered_and_tells_who_and_why(desk: Desk) -> None:
    desk.run("block", "anna@example.com", "--note", "asked by phone")
    desk.run("block", "@example.org")
    _, (delivery,) = desk.accept("bob@example.com")
    desk.answer(delivery, DEAD, status=Status.INVALID)
    by_source = desk.run("suppressions", "list", "--source", "automatic", "--json").one()
    assert (by_source["value"], by_source["reason"], by_source["category"]) == (
        "bob@example.com",
        "invalid_address",
        "invalid_address",
    )
    assert (by_source["delivery"], by_source["reply"]) == (delivery.id, "no such user")
    assert by_source["rule"]
    out = desk.run("suppressions", "list").out
    assert out.splitlines()[0].split() == ["SINCE", "UNTIL", "REASON", "SOURCE", "APP", "BLOCKED", "NOTE"]
    for part in ("@example.org", "asked by phone (by ", "bob@example.com", "no such user"):
        assert part in out
    assert desk.run("suppressions", "list", "PHONE").out.count("\n") == 2
    assert desk.run("suppressions", "list", "nobody").out == "No block fits.\n"
    assert len(desk.run("suppressions", "list", "--limit", "1", "--json").lines()) == 1


def test_a_list_longer_than_a_page_is_whole(desk: Desk) -> None:
    path = desk.folder / "many.txt"
    path.write_text("".join(f"g{number}@example.com\n" for number in range(2500)))
    desk.run("suppressions", "import", str(path))
    got = [one["value"] for one in desk.run("suppressions", "list", "--json", "--limit", "2100").lines()]
    assert (len(got), got[0], got[-1]) == (2100, "g2499@example.com", "g400@example.com")
    assert len(desk.run("suppressions", "export").out.splitlines()) == 2501


@pytest.mark.parametrize("form", ["csv", "json"])
def test_an_export_can_be_imported_elsewhere_without_loss(two_apps: Desk, form: str) -> None:
    desk = two_apps
    desk.run("block", "=anna@example.com", "--note", '=1+1, "she\'s"', "--app", "spa", "--until", "7d")
    desk.run("block", "@example.org")
    _, (delivery,) = desk.accept("bob@example.com")
    desk.answer(delivery, DEAD, status=Status.INVALID)
    before = desk.run("suppressions", "list", "--json").out
    path = desk.folder / f"export.{form}"
    path.write_bytes(desk.run("suppressions", "export", "--format", form).out.encode())
    same = desk.run("suppressions", "import", str(path), "--json").one()
    assert (same["format"], same["blocked"], same["known"]) == ("waybill", 0, 3)
    for each in ("=anna@example.com", "@example.org", "bob@example.com"):
        assert desk.run("unblock", each).code == 0
    fresh = desk.run("suppressions", "import", str(path), "--json").one()
    assert (fresh["blocked"], fresh["bad"]) == (3, 0)
    assert desk.run("suppressions", "list", "--json").out == before


def test_an_import_says_what_it_took_left_out_and_could_not_read(desk: Desk) -> None:
    path = desk.folder / "bounces.csv"
    path.write_text(
        "address,code,error,created_at\n"
        "gone@example.com,550,no such user here,\n"
        "gone@example.com,550,no such user here,\n"
        "full@example.com,552,5.2.2 mailbox is full,\n"
        "not an address,550,no such user,\n"
    )
    planned = desk.run("suppressions", "import", str(path), "--dry-run")
    assert desk.run("suppressions", "list").out == "Nothing is blocked.\n"
    got = desk.run("suppressions", "import", str(path))
    assert (planned.code, got.code) == (1, 1)
    assert planned.out.replace("would be ", "") == got.out
    assert got.out.splitlines() == [
        "4 entries of a mailgun list: 1 blocked, 1 known already",
        "1 left out: a reason that can pass or be mended, not a dead address (line 4: full@example.com)",
    ]
    assert got.err.splitlines()[0].startswith("line 5: 'not an address'")
    assert got.err.splitlines()[-1] == "1 lines were kept out because they cannot be read"
    again = desk.run("suppressions", "import", str(path), "--json").one()
    assert (again["blocked"], again["known"], again["bad"]) == (0, 2, 1)
    known = desk.run("address", "gone@example.com", "--json").one()
    assert known["state"] == "Email bounced"
    assert known["blocks"][0]["source"] == "import"


def test_an_import_for_one_app_and_of_an_app_that_is_gone(two_apps: Desk) -> None:
    path = two_apps.folder / "list.csv"
    path.write_text("address,app\nanna@example.com,\nbob@example.com,sauna\n")
    got = two_apps.run("suppressions", "import", str(path), "--app", "spa")
    assert got.code == 0
    assert 'an app "sauna" that is not configured' in got.err
    assert {one["value"]: one["app"] for one in two_apps.run("suppressions", "list", "--json").lines()} == {
        "anna@example.com": "spa",
        "bob@example.com": "sauna",
    }


def test_a_list_of_something_else_is_wrong_use_unless_its_format_is_named(desk: Desk) -> None:
    path = desk.folder / "x.csv"
    path.write_text("who,what\nanna,x\n")
    got = desk.run("suppressions", "import", str(path))
    assert got.code == 2
    assert "cannot tell whose list that is: it has who, what" in got.err
    path.write_text('{"address": "anna@example.com", "reason": "BOUNCE"}')
    assert desk.run("suppressions", "import", str(path), "--format", "ses", "--json").one()["blocked"] == 1


def test_a_list_comes_from_stdin_too(desk: Desk) -> None:
    done = desk.process("suppressions", "import", "-", given=b"anna@example.com\n")
    assert done.returncode == 0
    assert b"Importing" not in done.stderr, "there is no terminal, so there is no bar"
    assert done.stdout == b"1 entries of a waybill list: 1 blocked, 0 known already\n"


def bounce(desk: Desk, address: str, text: str = DEAD, *, status: Status = Status.INVALID) -> str:
    _, (delivery,) = desk.accept(address)
    desk.answer(delivery, text, status=status)
    return str(delivery.id)


def test_undo_shows_a_table_does_the_same_and_offers_what_to_resend(desk: Desk) -> None:
    ids = [bounce(desk, "anna@example.com"), bounce(desk, "bob@example.com")]
    bounce(desk, "carl@example.org")
    desk.run("block", "dora@example.com")
    arguments = ("suppressions", "undo", "--since", "2h", "--domain", "example.com")
    planned = desk.run(*arguments, "--dry-run")
    assert planned.code == 0
    assert len(desk.run("suppressions", "list", "--json").lines()) == 4
    done = desk.run(*arguments)
    assert done.code == 0
    swapped = planned.out.replace("Would lift", "Lifted").replace("take back", "took back")
    assert swapped == done.out
    lines = done.out.splitlines()
    assert lines[0].split() == ["BLOCKS", "REASON", "CATEGORY", "RULE", "ERRORS", "UNSENT", "FOR", "EXAMPLE", "ANSWER"]
    assert lines[1].split()[:3] == ["2", "invalid_address", "invalid_address"]
    assert "Lifted 2 blocks and took back 2 errors from their counters." in lines
    assert [line.split()[-1] for line in lines[-2:]] == ids
    assert [one["value"] for one in desk.run("suppressions", "list", "--json").lines()] == [
        "dora@example.com",
        "carl@example.org",
    ]
    assert desk.run("address", "anna@example.com", "--json").one()["error_count"] == 0
    again = desk.run(*arguments)
    assert (again.code, again.err) == (1, "No automatic block fits.\n")
    last = desk.run("suppressions", "undo", "--since", "2h").out.splitlines()
    assert "Lifted 1 block and took back 1 error from their counters." in last


def test_undo_by_rule_and_as_json(desk: Desk) -> None:
    delivery = bounce(desk, "anna@example.com")
    rule = desk.run("suppressions", "list", "--json").one()["rule"]
    assert desk.run("suppressions", "undo", "--since", "2h", "--rule", "another").code == 1
    planned = desk.run("suppressions", "undo", "--since", "2h", "--rule", rule, "--dry-run", "--json").one()
    done = desk.run("suppressions", "undo", "--since", "2h", "--rule", rule, "--json").one()
    assert (planned.pop("done"), done.pop("done")) == (False, True)
    assert planned == done
    assert (done["address"], done["taken_back"], done["unsent"]) == ("anna@example.com", [delivery], [delivery])
    assert (done["count_before"], done["count_after"]) == (1, 0)
    card = desk.run("address", "anna@example.com", "--json").one()
    assert card["state"] == "Email OK"
    assert card["past_blocks"][0]["lifted_note"] == "undone"
    assert [one["kind"] for one in card["events"]] == ["undo"]


def test_every_line_of_json_is_an_object_of_its_own(desk: Desk) -> None:
    desk.run("block", "anna@example.com", "--note", "\x1b[2J\n")
    for line in desk.run("suppressions", "list", "--json").out.splitlines():
        assert json.loads(line)["note"] == "\x1b[2J\n"
    assert "\x1b" not in desk.run("suppressions", "list").out
