"""Code and documents agree: every key, command and option is explained, and nothing is explained that is not there."""

from __future__ import annotations

import re
import sys
import tomllib
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from relay.cli.main import COMMANDS, cli
from relay.config import defaults, load, load_text
from relay.settings import Config
from relay.status import TRANSITIONS, Status

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = (ROOT / "config.example.toml").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ARCHITECTURE_FILE = ROOT / "docs" / "architecture.md"
STATES = re.compile(r"(?<=python -m tests.test_docs --write -->\n).*?(?=<!-- /states -->)", re.S)

#: "# text" is explanation, "#key = value" a setting that is switched off.
SWITCHED_OFF = re.compile(r"^#(?! |$)", re.MULTILINE)
EVERYTHING_ON = SWITCHED_OFF.sub("", EXAMPLE)


def model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (list, typing.Union, types.UnionType):
        return next((m for a in typing.get_args(annotation) if (m := model_in(a)) is not None), None)
    return None


def keys_of_settings(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if field.exclude:
            continue
        inner = model_in(field.annotation)
        yield from keys_of_settings(inner, f"{prefix}{name}.") if inner else iter([prefix + name])


def keys_of_file(value: dict[str, object], model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, inner in value.items():
        field = model.model_fields.get(name)
        found = model_in(field.annotation) if field else None
        if found is None:
            yield prefix + name
            continue
        for one in inner if isinstance(inner, list) else [inner]:
            assert isinstance(one, dict), name
            yield from keys_of_file(one, found, f"{prefix}{name}.")


def commands(group: click.Group, prefix: str = "waybill") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        yield f"{prefix} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")


def test_the_example_shows_every_key_and_no_other() -> None:
    shown = set(keys_of_file(tomllib.loads(EVERYTHING_ON), Config))
    known = set(keys_of_settings(Config))
    assert shown == known


def test_the_example_loads_and_means_the_defaults(tmp_path: Path) -> None:
    place = tmp_path / "config.toml"
    place.write_text(EXAMPLE, encoding="utf-8")
    config = load(place)
    assert [app.name for app in config.app] == ["hotel-desk"]
    without_app = config.model_copy(update={"app": [], "base_dir": defaults().base_dir})
    assert without_app == defaults()


def test_the_example_loads_with_everything_switched_on(tmp_path: Path) -> None:
    config = load_text(EVERYTHING_ON, base_dir=tmp_path)
    assert len(config.app) == 3


def test_every_key_of_the_example_is_explained() -> None:
    """A key stands below a comment, or below a key that does (one comment for a few keys)."""
    lines = EXAMPLE.splitlines()
    unexplained = []
    is_explained = False
    for line in lines:
        if line.startswith("# "):
            is_explained = True
        elif not line.strip():
            is_explained = False
        elif re.match(r"#?\w+ = ", line) and not is_explained:
            unexplained.append(line)
        elif re.match(r"#?\[", line) and not is_explained:
            is_explained = False
    allowed = re.compile(r"address = |#match = |#domain = ")
    assert [line for line in unexplained if not allowed.match(line)] == []


def test_every_command_is_in_the_operations_guide() -> None:
    missing = [name for name, _ in commands(cli) if not re.search(rf"`{name}\b", OPERATIONS)]
    assert missing == []


def test_every_event_of_the_log_is_in_the_operations_guide() -> None:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "relay").rglob("*.py"))
    events = {event for source in sources for event in re.findall(r"[\"' ]event=([a-z][a-z_]+)[ \"']", source)}
    assert len(events) > 10
    assert {event for event in events if event not in OPERATIONS} == set()


def test_the_operations_guide_names_no_command_that_is_not_there() -> None:
    known = {name for name, _ in commands(cli)}
    pattern = r"`waybill [a-z][a-z-]+(?: (?:list|password|show|pause|resume|flush|hold|release|cancel)\b)?"
    named = {match[0].lstrip("`") for match in re.finditer(pattern, OPERATIONS)}
    assert {name for name in named if name not in known} == set()


@pytest.mark.parametrize(("name", "command"), list(commands(cli)), ids=[name for name, _ in commands(cli)])
def test_every_command_and_option_explains_itself(name: str, command: click.Command) -> None:
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.name}"


def test_the_help_of_the_group_lists_what_it_can_run() -> None:
    assert [name.removeprefix("waybill ") for name, _ in commands(cli) if name.count(" ") == 1] == list(COMMANDS)


def states_section() -> str:
    """Draw the table of relay/status.py: one letter for each reason, the arrows that have it, and what it says."""
    letters: dict[str, str] = {}
    arrows = ["    [*] --> queued", "    [*] --> suppressed"]
    steps: dict[str, list[str]] = {}
    for (old, new), reason in TRANSITIONS.items():
        letter = letters.setdefault(reason, chr(ord("a") + len(letters)))
        arrows.append(f"    {old} --> {new}: {letter}")
        steps.setdefault(letter, []).append(f"{old} → {new}")
    rows = [f"| {letter} | {reason} | {', '.join(steps[letter])} |" for reason, letter in letters.items()]
    diagram = ["```mermaid", "stateDiagram-v2", *arrows, "```"]
    return "\n".join([*diagram, "", "| | why | steps |", "|---|---|---|", *rows, ""])


def test_the_diagram_of_the_states_is_current() -> None:
    found = STATES.search(ARCHITECTURE_FILE.read_text(encoding="utf-8"))
    assert found is not None
    assert found[0] == states_section(), "run: python -m tests.test_docs --write"


def test_every_reason_of_a_step_has_a_letter() -> None:
    assert len(set(TRANSITIONS.values())) <= 26


@pytest.mark.parametrize("status", Status)
def test_every_status_is_explained_to_the_operator(status: Status) -> None:
    assert re.search(rf"^\| `{status}` \| \S.*\| \S", OPERATIONS, re.M)


def test_every_symptom_names_a_command_that_exists() -> None:
    table = OPERATIONS.partition("## Mail is stuck")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 12
    assert [row for row in rows if "`" not in row] == []


def write() -> None:
    """Put the generated passage into the document."""
    text = ARCHITECTURE_FILE.read_text(encoding="utf-8")
    ARCHITECTURE_FILE.write_text(STATES.sub(lambda _: states_section(), text), encoding="utf-8")


if __name__ == "__main__" and sys.argv[1:] == ["--write"]:
    write()
