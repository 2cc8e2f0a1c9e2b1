"""`parse-report`: one line for each file, in order, whatever the files are; and words for people."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.cli.desk import ROOT, Desk
from tests.unit.report_samples import AUTO_REPLIES, BOUNCES
from tests.unit.test_report import feedback, notification

KEYS = ["address", "class", "category", "status", "reply"]
FAILED = (
    "Final-Recipient: rfc822; guest@hotel.example\nAction: failed\nStatus: 5.1.1\n"
    "Diagnostic-Code: smtp; 550 5.1.1 unknown"
)


def test_parse_report_gives_one_line_for_each_file_in_order(desk: Desk, tmp_path: Path) -> None:
    mails = {
        "b.eml": notification(FAILED),
        "a.eml": AUTO_REPLIES[0].raw,
        "empty.eml": b"",
        "noise.eml": bytes(range(256)) * 40,
        "f.eml": feedback("abuse", "Original-Rcpt-To: guest@hotel.example"),
        "q.eml": BOUNCES[0].raw,
    }
    for name, raw in mails.items():
        (tmp_path / name).write_bytes(raw)
    names = [*mails, "missing.eml", "."]
    done = desk.process(
        "parse-report", "--jsonl", *(str(tmp_path / name) for name in names), "-", given=notification(FAILED)
    )
    got = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [line["kind"] for line in got] == [
        *("bounce", "auto-reply", "none", "none", "complaint", "bounce", "none", "none", "bounce")
    ]
    assert all(list(line) == ["kind", "recipients"] for line in got)
    assert all(list(recipient) == KEYS for line in got for recipient in line["recipients"])
    assert got[0]["recipients"][0] == {
        "address": "guest@hotel.example",
        "class": "hard",
        "category": "invalid_address",
        "status": "5.1.1",
        "reply": "550 5.1.1 unknown",
    }
    assert got[4]["recipients"] == [{**dict.fromkeys(KEYS), "address": "guest@hotel.example"}]
    assert done.stderr.count(b"cannot be read") == 2


def test_parse_report_says_it_in_words(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "b.eml").write_bytes(notification(FAILED))
    out = desk.run("parse-report", str(tmp_path / "b.eml")).out
    assert "a bounce: the mail was not delivered" in out
    assert "guest@hotel.example" in out
    assert "invalid_address" in out
    assert "<booking-1@relay.example>" in out


def test_parse_report_shows_nothing_that_steers_a_terminal(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "b.eml").write_bytes(notification(FAILED.replace("unknown", "\x1b[31munknown")))
    for options in ([], ["--jsonl"]):
        assert "\x1b" not in desk.run("parse-report", *options, str(tmp_path / "b.eml")).out


def test_parse_report_needs_no_configuration_and_loads_no_store(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("this is no configuration")
    (tmp_path / "b.eml").write_bytes(notification(FAILED))
    source = (
        "import sys\nfrom relay.cli.main import main\n"
        "code = main(['parse-report', '--jsonl', 'b.eml'])\n"
        "heavy = [m for m in ('pydantic', 'relay.store', 'relay.config', 'asyncio', 'dns') if m in sys.modules]\n"
        "sys.exit(code or len(heavy))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["kind"] == "bounce"
