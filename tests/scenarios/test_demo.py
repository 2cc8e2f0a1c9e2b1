"""The demo proves itself.

Setup: nothing; `waybill demo --once` brings its own name server, mail servers, relay and configuration.
Test:  samples -> relay -> mail servers of every temper -> `waybill log` and `why` -> the table; each as it should be.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

import relay
from relay.demo.internet import CASES

ROOT = Path(relay.__file__).parents[1]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "WAYBILL_CONFIG": "/nonexistent/must-not-be-read.toml"}


@pytest.mark.timeout(180)
def test_every_sample_ends_as_it_should(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "relay", "demo", "--once", "--json"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    wrong = [row for row in rows if not row["is_as_expected"]]
    assert wrong == [], done.stderr
    assert [row["recipient"] for row in rows] == [address for case in CASES for address in case.addresses]
    assert [row["recipient"] for row in rows if not row["sentence"]] == []
    assert done.returncode == 0
    assert list(tmp_path.iterdir()) == []


def enter(link: str) -> str:
    """Go in as somebody who was given the link; return Home."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    form = browser.open(link, timeout=20).read().decode()
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    origin = link.partition("/link/")[0]
    click = urllib.request.Request(link, urllib.parse.urlencode(hidden).encode(), {"Origin": origin})
    browser.open(click, timeout=20).read()
    return str(browser.open(f"{origin}/", timeout=20).read().decode())


@pytest.mark.timeout(90)
def test_demo_opens_on_a_house_in_operation_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "relay", "demo"],
        cwd=tmp_path,
        env={**environment(), "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process:
        link = ""
        for line in process.stderr:
            link = line.split()[1] if line.startswith("Pages:") else link
            if line.startswith("Sent "):
                break
        home = enter(link)
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=40)

    assert "marlow-post.example refuses our emails" in home
    assert "Jean-Baptiste Delacroix-Montaigne" in home
    assert "Stopped." in rest
    assert process.returncode == 0
    assert list(folder.iterdir()) == []
