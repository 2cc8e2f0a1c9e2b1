"""What the relay words in English is known again by its template and told in the reader's language."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dashboard import catalogues
from dashboard.retelling import Retelling
from dashboard.tongue import RELAY, Tongue
from relay.wording import OURS, TIMES, at, fill, say, variants

ROOT = Path(catalogues.__file__).parents[1]
CODES = sorted(catalogues.LANGUAGES)
TEMPLATES = sorted(str(one.id) for one in catalogues.messages(catalogues.extracted()) if RELAY in one.auto_comments)


#: What only frames words of ours: read as anything, it is told as it was.
_FRAMES = {"{what} ({cause})", "'{text}': {why}"}


def samples(template: str) -> dict[str, str]:
    """A value for everything: words of ours, a time, or something that nobody translates."""
    found = {}
    for number, name in enumerate(re.findall(r"\{(\w+)\}", template)):
        found[name] = "too many errors" if name in OURS else f"zz{number}"
        found[name] = "2026-11-21 16:02 UTC" if name in TIMES else found[name]
    return found | ({"role": "viewer"} if "role" in found else {})


@pytest.mark.parametrize("code", CODES)
def test_every_sentence_is_known_again_in_every_form(code: str) -> None:
    tongue, wrong = Tongue(code), []
    for template in TEMPLATES:
        for form in variants(template):
            values = samples(form)
            shown = {name: tongue.told(value) if name in OURS else value for name, value in values.items()}
            shown |= {name: tongue.moment(datetime(2026, 11, 21, 16, 2, tzinfo=UTC)) for name in TIMES & shown.keys()}
            want = fill(tongue.text(template), dict.fromkeys(re.findall(r"\{(\w+)\}", template), "") | shown)
            if tongue.told(fill(form, values)) != want:
                wrong.append((form, tongue.told(fill(form, values))))
    assert wrong == []


def test_a_template_has_words_of_its_own_between_its_values() -> None:
    for template in TEMPLATES:
        for form in variants(template):
            pieces = re.split(r"\{\w+\}", form)
            assert "" not in pieces[1:-1], template
            assert len(re.findall(r"[^\W\d]", "".join(pieces))) >= 2 or template in _FRAMES, template


@pytest.mark.parametrize("code", CODES)
def test_optional_parts_are_optional_in_every_language(code: str) -> None:
    optional = re.compile(r"\[[^\[\]{}]*\{(\w+)\}[^\[\]{}]*\]")
    for template in TEMPLATES:
        assert sorted(optional.findall(template)) == sorted(optional.findall(Tongue(code).text(template))), template


def test_sentences_that_follow_one_another_are_told_one_by_one() -> None:
    said = "a@x.example is corrected to b@x.example. It is no longer blocked. Something that nobody wrote. Kept."
    assert Tongue("de").told(said) == (
        "a@x.example ist in b@x.example berichtigt. Sie ist nicht mehr gesperrt. "
        "Something that nobody wrote. Gespeichert."
    )


def test_what_a_person_or_a_server_wrote_is_left_as_it_is() -> None:
    note = "We rang. It is no longer blocked. to everyone"
    said = say("Blocked by hand[ for {app}][ until {until}][: {note}]", app="hotel", until=None, note=note)
    assert Tongue("nl").told(said) == f"Met de hand geblokkeerd voor hotel: {note}"
    assert Tongue("nl").told("Maija rang about two more nights") == "Maija rang about two more nights"


def test_a_time_is_written_as_the_reader_does() -> None:
    said = say("Redirected to {new} until {until}[: {note}]", new="b@x.example", until=at(NOON), note="")
    assert said == "Redirected to b@x.example until 2026-11-21 12:00 UTC"
    assert Tongue("fi").told(said) == "Ohjattu osoitteeseen b@x.example 21.11.2026 12:00 asti"


NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_english_is_told_as_it_was_said() -> None:
    assert Tongue("en").told("It is no longer blocked.") == "It is no longer blocked."


def test_values_that_look_like_templates_are_values() -> None:
    assert say("{old} is corrected to {new}.", old="{new}", new="[{old}]") == "{new} is corrected to [{old}]."
    told = Retelling({"{name} is disabled already.": "{name} ist aus."}).tell("{x} is disabled already.", str)
    assert told == "{x} ist aus."


@pytest.mark.parametrize("text", [" is blocked (" * 150, "x; " * 600, "Not sent: " * 190, "a. " * 600 + "(" * 100])
def test_a_hostile_note_costs_no_time(text: str) -> None:
    """Looked at in pieces that are counted: if it were tried in every way, this would not end today."""
    assert isinstance(Tongue("fr").told(text), str)


def sentences_of(path: Path) -> list[str]:
    """Find f-strings and texts that reach people from actions without say: answers, events and findings."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        given = {word.arg: word.value for word in node.keywords}
        shown = {"Answer": ["sentence"], "Event": ["text"], "Finding": ["found", "expected", "why"]}
        values = [given[name] for name in shown.get(node.func.id, []) if name in given]
        values += node.args[1:2] if node.func.id == "no" else []
        for value in values:
            if isinstance(value, ast.JoinedStr) or (isinstance(value, ast.Constant) and value.value):
                found.append(f"{path.name}:{value.lineno}")
    return found


def test_what_is_told_to_people_goes_through_say() -> None:
    paths = [*(ROOT / "relay").rglob("*.py"), *(ROOT / "dashboard").rglob("*.py")]
    assert [where for path in sorted(paths) for where in sentences_of(path)] == []
