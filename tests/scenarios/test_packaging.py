"""What is shipped: the wheel, the lock files, the units, and what no file of the tree may say.

Setup: git lists the files of the tree; pip builds a wheel from a copy of them. Test: the wheel holds all data that the
code reads, and its pages are served from nothing else; dependencies are pinned by hash; systemd itself judges the
units; no file names a machine or a registry.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest

from relay.demo.node import is_listening
from tests.support.asking import wait_for
from tests.support.process import config_file

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
UNITS = sorted((ROOT / "systemd").iterdir())
SERVICES = [unit for unit in UNITS if unit.suffix == ".service"]

#: Data that code reads at run time: everything in the packages that is neither code nor made by running it.
DATA = [
    path
    for package in ("relay", "dashboard")
    for path in sorted((ROOT / package).rglob("*"))
    if path.is_file() and path.suffix not in {".py", ".pyc"}
]


def tracked() -> list[Path]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("git is missing, or this is not a clone")
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for path in tracked():
        target = source / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if (
        built.returncode
        and re.search(r"hatchling", built.stderr)
        and re.search(r"No matching|connection", built.stderr)
    ):
        pytest.skip("the build backend hatchling cannot be fetched: offline")
    assert built.returncode == 0, built.stderr
    (made,) = folder.glob("waybill_relay-*.whl")
    return made


@pytest.fixture(scope="module")
def wheel_names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_wheel_holds_all_data_files(wheel_names: set[str]) -> None:
    assert DATA
    missing = {str(path.relative_to(ROOT)) for path in DATA} - wheel_names
    assert not missing


def test_wheel_holds_the_two_packages_and_nothing_else(wheel_names: set[str]) -> None:
    tops = {name.split("/")[0] for name in wheel_names if ".dist-info/" not in name}
    assert tops == {"relay", "dashboard"}


def test_installed_pages_have_their_templates_words_and_style(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(installed)]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    config = config_file(tmp_path)
    program = [sys.executable, "-P", "-m", "relay", "-c", str(config.path), "dashboard"]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    where = [
        sys.executable,
        "-P",
        "-c",
        "import relay, dashboard; print(relay.__file__, dashboard.__file__, sep='\\n')",
    ]
    found = subprocess.run(where, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert all(line.startswith(str(installed)) for line in found.stdout.splitlines())
    with subprocess.Popen(program, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for(lambda: is_listening(config.dashboard) or None, otherwise=process.poll)
            base = f"http://{config.dashboard}"
            page = fetch(f"{base}/sign-in", language="fr")
            (style,) = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page)
            css = fetch(f"{base}{style}")
        finally:
            process.terminate()
            process.communicate()

    assert '<html lang="fr"' in page
    assert "Mot de passe" in page
    assert "--accent" in css


def fetch(address: str, *, language: str = "en") -> str:
    with urllib.request.urlopen(urllib.request.Request(address, headers={"Accept-Language": language})) as answer:
        return str(answer.read().decode())


@pytest.mark.parametrize("name", ["classify/rules.toml", "store/sql/schema.sqlite.sql"])
def test_data_the_relay_cannot_start_without_is_in_the_tree(name: str) -> None:
    assert ROOT / "relay" / name in DATA


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_a_version_and_a_hash(name: str) -> None:
    text = (ROOT / name).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert len(lines) > 10
    faulty = [line[:60] for line in lines if not re.match(r"[a-z0-9.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)]
    assert not faulty


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_no_host_and_no_path(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not re.findall(r"https?://|--index|--find-links|file:|(?<!via )(?<=\s)/\w+|@ ", text)


def test_everything_needed_to_run_is_locked_alike_for_development() -> None:
    run, dev = (dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", (ROOT / name).read_text(), re.M)) for name in LOCKS)
    assert run.items() <= dev.items()


#: What would tie the tree to the machine or the registry it was written on; /home/live and such are pages.
FORBIDDEN = re.compile(
    rb"/(?:root|tmp|work|Users)/[\w.]|/home/(?!live\b|steps\b|test\b)\w|artifactory|pypi[./]|files\.pythonhosted|registry\.npmjs"
)


def test_no_file_names_a_machine_path_or_a_registry() -> None:
    own = Path(__file__).resolve()
    found = [
        f"{path.relative_to(ROOT)}: {match[0].decode()}"
        for path in tracked()
        if path != own
        for match in FORBIDDEN.finditer(path.read_bytes())
    ]
    assert not found


@pytest.fixture
def analyze() -> str:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is missing")
    return program


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_service_is_exposed_at_most_two_of_ten(unit: Path, analyze: str) -> None:
    command = [analyze, "security", "--offline=true", "--threshold=20", "--no-pager", str(unit)]
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout[-300:] + judged.stderr


def test_units_are_clean(analyze: str, tmp_path: Path) -> None:
    copies = []
    for unit in UNITS:
        # The program is not installed here; any other that exists stands for it.
        text = unit.read_text().replace("/opt/waybill/.venv/bin/waybill", sys.executable)
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(text)
    command = [analyze, "verify", "--man=no", *map(str, copies)]
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    complaints = [line for line in judged.stderr.splitlines() if "waybill" in line]
    assert judged.returncode == 0, judged.stderr
    assert not complaints


def test_every_service_runs_a_command_that_exists() -> None:
    commands = {match[1] for unit in SERVICES for match in re.finditer(r"^ExecStart=.* (\w+)$", unit.read_text(), re.M)}
    assert commands == {"serve", "intake", "deliver", "dashboard"}
    shown = subprocess.run(
        [sys.executable, "-m", "relay", "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout
    assert not [command for command in commands if not re.search(rf"^\s+{command}\b", shown, re.M)]
