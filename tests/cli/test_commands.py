"""The command line as a whole: exit codes, plain sentences, what needs nothing, and the small commands."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relay.cli.output import print_columns, safe, safe_lines
from relay.passwords import verify_password
from tests.cli.desk import ROOT, Desk

CLASSIFY_KEYS = ["class", "category", "blame", "suppress", "rule"]


def test_classify_gives_one_line_out_for_each_line_in(desk: Desk) -> None:
    lines = [
        b'{"reply": "550 5.1.1 no such user", "stage": "rcpt"}',
        b'{"reply": "452 4.2.2 mailbox full", "stage": null}',
        b'{"reply": "450 4.2.0 greylisted"}',
        b'{"reply": "550 5.1.1 x", "stage": "no such stage"}',
        b"not json",
        b"",
        b'{"reply": 5}',
        b"[" * 100_000,
        b'{"reply": "\xff"}',
        b'{"stage": "rcpt"}',
        b"[]",
        b'{"reply": ""}',
    ]
    done = desk.process("classify", "--jsonl", given=b"\n".join(lines))
    got = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(got) == len(lines)
    assert all(list(line) == CLASSIFY_KEYS for line in got)
    assert all(line["class"] in {"hard", "soft", "deferred"} for line in got)
    assert got[0] == {**got[0], "class": "hard", "category": "invalid_address", "blame": "recipient", "suppress": True}
    assert got[1]["class"] == "deferred"
    assert got[3]["category"] == "invalid_address"
    assert {line["category"] for line in got[4:11]} == {"unknown"}


def test_classify_says_it_in_words_and_as_json(desk: Desk) -> None:
    assert "Not delivered: address does not exist" in desk.run("classify", "550 5.1.1 no such user").out
    got = desk.run("classify", "--json", "--stage", "data", "552 5.3.4 too big").one()
    assert got["category"] == "message_too_large"


def test_classify_needs_no_configuration_and_loads_no_store(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("this is no configuration")
    source = (
        "import sys\nfrom relay.cli.main import main\n"
        "code = main(['classify', '--json', '550 5.1.1 no such user'])\n"
        "heavy = [m for m in ('pydantic', 'relay.store', 'relay.config', 'asyncio', 'dns') if m in sys.modules]\n"
        "print(code, heavy)\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=tmp_path,
        env=environ,
    )
    assert done.stdout.splitlines()[1] == "0 []"


WRONG_USE = [
    ["no-such-command"],
    ["log", "--no-such-option"],
    ["log", "--since", "whenever"],
    ["log", "--limit", "0"],
    ["log", "--status", "lost"],
    ["log", "--refused", "--booking", "1"],
    ["show"],
    ["show", "x", "--raw", "--json"],
    ["why"],
    ["classify"],
    ["classify", "--jsonl", "550 x"],
    ["send-test", "a@example.com", "--wait", "soon"],
]


@pytest.mark.parametrize("arguments", WRONG_USE, ids=" ".join)
def test_wrong_use_exits_2_and_says_so_on_stderr(desk: Desk, arguments: list[str]) -> None:
    got = desk.run(*arguments)
    assert (got.code, got.out) == (2, "")
    assert got.err


NEED_CONFIG = [["log"], ["show", "x"], ["why", "x"], ["queue"], ["stats"], ["verify"], ["migrate"], ["app", "list"]]


@pytest.mark.parametrize("arguments", NEED_CONFIG, ids=" ".join)
def test_a_bad_configuration_exits_3_with_every_fault(desk: Desk, arguments: list[str]) -> None:
    desk.config.write_text("[node]\nhostnam = 1\n[lgo]\n")
    got = desk.run(*arguments)
    assert (got.code, got.out) == (3, "")
    assert [line.split(" ")[1] for line in got.err.splitlines()] == ["config.toml:2:", "config.toml:3:"]


def test_a_missing_configuration_exits_3(capsys: pytest.CaptureFixture[str]) -> None:
    from relay.cli.main import main

    assert main(["-c", "/nowhere/config.toml", "log"]) == 3
    assert capsys.readouterr().err == "waybill: /nowhere/config.toml: there is no such file\n"


def test_a_store_that_cannot_be_opened_exits_3_with_one_sentence(desk: Desk) -> None:
    (desk.folder / "data").mkdir()
    (desk.folder / "data" / "waybill.db").write_bytes(b"this is no database" * 1000)
    got = desk.run("log")
    assert (got.code, got.out) == (3, "")
    assert got.err.startswith("waybill: ")
    assert got.err.count("\n") == 1
    assert "Traceback" not in got.err


def test_a_reader_who_has_seen_enough_is_no_failure(desk: Desk) -> None:
    for number in range(3):
        desk.accept(*(f"guest{number}-{n}@example.com" for n in range(400)))
    with reading_log(desk, "--limit", "2000") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"{")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 0


def test_follow_prints_what_is_new_and_ends_well_on_ctrl_c(desk: Desk) -> None:
    desk.accept("anna@example.com")
    with reading_log(desk, "--follow", "--to", "exam") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["to"] == "anna@example.com"
        desk.accept("nobody@test.invld")
        desk.accept("clara@example.com")
        assert json.loads(process.stdout.readline())["to"] == "clara@example.com"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 0


@contextmanager
def reading_log(desk: Desk, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run `waybill log --json` as a process of its own, which a failed test does not wait for."""
    command = [sys.executable, "-m", "relay", "-c", str(desk.config), "log", "--json", *arguments]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_check_config_prints_every_fault_and_exits_1(desk: Desk) -> None:
    desk.config.write_text('[node]\nhostnam = "x"\n\n[log]\nlevel = "loud"\n')
    got = desk.run("check-config")
    assert got.code == 1
    assert got.out.splitlines() == [
        'config.toml:2: node.hostnam: unknown key - did you mean "hostname"?',
        "config.toml:5: log.level: Input should be 'debug', 'info', 'warning' or 'error'",
    ]
    assert [line["level"] for line in desk.run("check-config", "--json").lines()] == ["error", "error"]


def test_check_config_reports_missing_files_and_shows_settings(desk: Desk) -> None:
    desk.config.write_text(
        '[[app]]\nname = "a"\nusername = "a"\npassword_file = "nowhere"\n[node]\nhostname="r.example"\n'
    )
    got = desk.run("check-config", "--show")
    assert got.code == 1
    assert "app.1.password_file: " in got.out
    assert 'app.1.name="a"' in got.out


def test_check_config_of_a_good_file_warns_and_exits_0(desk: Desk) -> None:
    desk.config.write_text(
        '[[listener]]\naddress = "127.0.0.1:25"\nauth_without_tls = true\n[node]\nhostname="r.example"\n'
    )
    got = desk.run("check-config")
    assert got.code == 0
    assert got.out.startswith("warning: listener.1.auth_without_tls: ")


def test_app_list_and_password(desk: Desk) -> None:
    assert "only this machine" in desk.run("app", "list").out
    desk.config.write_text('[[app]]\nname = "a"\nnetworks = ["10.0.0.0/8"]\nmode = "hold"\n')
    assert "10.0.0.0/8" in desk.run("app", "list").out
    assert desk.run("app", "list", "--json").one()["mode"] == "hold"
    done = desk.process("app", "password", given="sälä sana\n".encode())
    assert done.returncode == 0
    assert verify_password("sälä sana".encode(), done.stdout.decode().strip())
    assert desk.process("app", "password", given=b"\n").returncode == 2


def test_send_test_queues_one_message(desk: Desk) -> None:
    got = desk.run("send-test", "jörg@exämple.com", "--json").one()
    row = desk.run("log", "--json").one()
    assert (row["id"], row["message"], row["to"]) == (got["id"], got["message"], "jörg@exämple.com")
    assert row["kind"] == "test"
    assert desk.run("show", got["message"], "--json").one()["has_content"]
    queued = desk.run("send-test", "anna@example.com")
    assert queued.out.startswith("queued as 01")


def test_send_test_that_waits_exits_1_when_nothing_delivers_it(desk: Desk) -> None:
    before = time.monotonic()
    got = desk.run("send-test", "anna@example.com", "--wait", "300ms")
    assert got.code == 1
    assert got.out.splitlines()[1] == "queued"
    assert time.monotonic() - before >= 0.3


def test_verify_finds_what_is_wrong_and_exits_1(desk: Desk) -> None:
    desk.accept("anna@example.com")
    good = desk.run("verify")
    assert (good.code, good.out, good.err) == (0, "The store is sound.\n", "")
    import pysqlite3.dbapi2 as db

    connection = db.connect(desk.folder / "data" / "waybill.db")
    connection.execute("DELETE FROM content")
    connection.commit()
    connection.close()
    got = desk.run("verify", "--json")
    assert got.code == 1
    assert got.one()["kind"] == "open_without_content"


def test_migrate_says_what_it_did(desk: Desk) -> None:
    first = desk.run("migrate")
    assert first.code == 0
    assert first.out.startswith("applied ")
    assert desk.run("migrate").out == "The store is up to date.\n"


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\r\nb\tc", "a\\r\\nb\\tc"),
        ("\x9b\x7f", "\\x9b\\x7f"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("\ud800", "\\ud800"),
        ("Hyvää päivää 予約", "Hyvää päivää 予約"),
    ],
)
def test_safe_text_stays_on_one_line_and_steers_nothing(text: str, want: str) -> None:
    assert safe(text) == want


def test_safe_lines_keep_line_ends_and_tabs() -> None:
    assert safe_lines("a\tb\r\nc\x1b") == "a\tb\nc\\x1b"


def test_columns_line_up_for_wide_and_combining_letters(capsys: pytest.CaptureFixture[str]) -> None:
    print_columns(("A", "B"), [("予約", "x"), ("e\u0301", "y"), ("abcd", "z")])
    assert capsys.readouterr().out.splitlines() == ["A     B", "予約  x", "e\u0301     y", "abcd  z"]


def test_the_unforeseen_is_one_sentence_with_exit_3(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x\n")))
    sys.stdin.close()
    got = desk.run("app", "password")
    assert got.code == 3
    assert got.err.startswith("waybill: this should not happen, please report it: ValueError")
    assert got.err.count("\n") == 1


def test_a_store_that_was_not_there_is_not_taken_for_an_empty_log(desk: Desk) -> None:
    got = desk.run("log")
    assert (got.code, got.err) == (0, f"waybill: there was no store yet; made an empty one in {desk.folder / 'data'}\n")
    assert desk.run("log").err == ""
