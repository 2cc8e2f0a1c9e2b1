"""The words in every language: all there, all with the same values, by the same rules as the English ones."""

from __future__ import annotations

import gettext
import io
import itertools
import json
import re
import string
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.mofile import write_mo

from dashboard import catalogues, labels
from dashboard.saying import Saying
from dashboard.tongue import LANGUAGES, Tongue
from relay.classify.explain import Explanation, Size, Value, every_msgid, render, render_for_customer
from relay.model import Category
from relay.notices import CAUSES
from relay.status import Status

CODES = sorted(catalogues.LANGUAGES)
ENTRIES = tomllib.loads(files("relay.classify").joinpath("catalogue.toml").read_text(encoding="utf-8"))["entry"]
NOW = datetime(2026, 11, 21, 16, 20, tzinfo=UTC)

#: Words of the trade, in any language; "bounce" in the forms its translations take.
BANNED = re.compile(
    r"\b(?:smtp|mx|bounc\w*|dsn|[45](?:xx|yz|yy)|relay\w*|relais|suppress\w*|rebond\w*|kimmo\w*)\b", re.IGNORECASE
)

#: What a sentence has at most.
MOST_WORDS = 20

#: A value for everything that a sentence may ask for.
SAMPLES: dict[str, Value] = {
    **dict.fromkeys(("address", "intended", "resent", "corrected", "suggestion", "unknown_address"), "sari@b.example"),
    **dict.fromkeys(("domain", "unconfirmed", "from_domain", "smarthost"), "b.example"),
    **dict.fromkeys(("next", "until", "time", "date", "event", "deadline", "lifted"), NOW),
    "days": timedelta(days=5),
    "n": 3,
    "size": Size(3 * 1024**2),
    "phone": "+358 40 123",
    "app": "hotel-desk",
    "reason": "mailbox_full",
    "last_reason": "network",
    "reply": "no",
    "note": "rang",
    "user": "Sari",
    "subject": "Your booking",
    "sender": "desk@hotel.example",
    "name": "menu.pdf",
    "query": "BK-1",
}


@pytest.fixture(scope="module")
def template() -> Catalog:
    return catalogues.extracted()


@pytest.fixture(scope="module", params=CODES)
def code(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def catalogue(code: str) -> Catalog:
    return catalogues.read(code)


def texts(message: Message) -> list[str]:
    """Give the English of a message: one text, or one and many."""
    return [message.id] if isinstance(message.id, str) else list(message.id)


def words(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string or ())


def values(text: str) -> set[str]:
    """Name the placeholders of both kinds."""
    named = {f"%{name}" for name in re.findall(r"%\((\w+)\)s", text)}
    return named | {name for _, name, _, _ in string.Formatter().parse(text) if name}


def sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.?!])\s", text)


def test_there_is_a_catalogue_for_every_language_but_english() -> None:
    assert {*CODES, "en"} == LANGUAGES.keys()


def test_every_text_is_found_in_pages_tables_and_python(template: Catalog) -> None:
    found = {text for message in catalogues.messages(template) for text in texts(message)}
    assert set(every_msgid()) <= found
    assert {"Delayed, trying again", "{n} times", "Sign in", "Times: %(zone)s"} <= found


def test_every_text_is_translated_and_none_is_left_over(code: str, catalogue: Catalog, template: Catalog) -> None:
    have = {message.id for message in catalogues.messages(catalogue)}
    want = {message.id for message in catalogues.messages(template)}
    empty = {message.id for message in catalogues.messages(catalogue) if not catalogues.is_translated(message)}
    assert (want - have, have - want, empty) == (set(), set(), set()), "run: make catalogues; it says what is missing"
    assert not catalogue.obsolete


def test_a_catalogue_is_written_as_the_tool_writes_it(code: str, template: Catalog) -> None:
    text = catalogues.path_of(code).read_text(encoding="utf-8")
    assert catalogues.written(code, catalogues.updated(code, template)) == text, "run: make catalogues"
    assert not re.search(r"^#: |-Date:|fuzzy|-Translator:", text, re.M)


def test_a_translation_has_the_same_placeholders(catalogue: Catalog) -> None:
    for message in catalogues.messages(catalogue):
        asked = set().union(*map(values, texts(message)))
        for form in words(message):
            # The first plural form may leave the number out: "once".
            is_one = message.pluralizable and form == words(message)[0]
            assert values(form) == asked or (is_one and values(form) <= asked), message.id


def test_plural_forms_are_as_many_as_the_language_has(code: str, catalogue: Catalog) -> None:
    for message in catalogues.messages(catalogue):
        assert len(words(message)) == (catalogue.num_plurals if message.pluralizable else 1), message.id
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    spoken = gettext.GNUTranslations(compiled)
    said = {n: spoken.ngettext("once", "{n} times", n) for n in (1, 2, 5, 1_000_000)}
    assert "{n}" not in said[1]
    assert said[2] == said[5] == said[1_000_000] != said[1]


def test_translations_use_no_words_of_the_trade(catalogue: Catalog) -> None:
    """But where the English uses one: on the pages of sysadmins."""
    for message in catalogues.messages(catalogue):
        for form in words(message):
            is_theirs = any(BANNED.search(text) for text in texts(message))
            assert is_theirs or not BANNED.search(re.sub(r"\{\w+\}", "", form)), form


def test_sentences_stay_short_and_end_as_the_english_ones_do(catalogue: Catalog) -> None:
    answers = set(every_msgid())
    for message in catalogues.messages(catalogue):
        for form in words(message) if answers.intersection(texts(message)) else ():
            assert all(len(re.findall(r"\{\w+\}|[\w@’'-]+", sentence)) <= MOST_WORDS for sentence in sentences(form)), (
                form
            )
        for mark in ".?":
            ends = {text.rstrip("”“»").endswith(mark) for text in texts(message)}
            assert {form.rstrip("”“»\u00a0").endswith(mark) for form in words(message)} == ends, message.id


def test_first_words_answer_whether_they_got_it_in_every_language(code: str) -> None:
    tongue = Tongue(code)
    starts = {
        "Delivered": tongue.text("Delivered"),
        "Not delivered": tongue.text("Not delivered"),
        "Not sent": tongue.text("Not sent, blocked").split(",")[0],
        "Not yet": {"fi": "Ei vielä", "fr": "Pas encore", "nl": "Nog niet", "de": "Noch nicht"}[code],
        "Refused before sending": tongue.text("Refused before sending"),
    }
    titles = [part["title"] for entry in ENTRIES.values() for part in (entry, entry.get("pending", entry))]
    for title in titles:
        start = next((first for first in starts if re.match(rf"{first}\b", title)), None)
        if start is not None:
            assert tongue.text(title).startswith(starts[start]), title


@pytest.mark.parametrize(("key", "is_pending"), [*itertools.product(sorted(ENTRIES), (False, True))])
def test_every_entry_can_be_said_in_every_language(code: str, key: str, is_pending: bool) -> None:
    saying = Saying(Tongue(code))
    known: list[tuple[dict[str, Value], tuple[str, ...]]] = [
        *((SAMPLES, also) for also in ((), ("redirected", "resent"), ("blocked",), ("corrected",), ("lifted",))),
        ({"domain": "b.example"}, ()),
        ({}, ()),
    ]
    for params, also in known:
        explanation = Explanation(entry=key, params=params, is_pending=is_pending, also=also)
        said, english = render(explanation, tongue=saying), render(explanation)
        for name in ("title", "happened", "next_step"):
            text = getattr(said, name)
            assert text
            assert not re.search(r"[{}]|%\(", text), text
            assert text != getattr(english, name)
        assert said.who == english.who
        told = render_for_customer(explanation, tongue=saying)
        assert bool(told) == bool(render_for_customer(explanation))
        assert told or params != SAMPLES
        assert not re.search(r"[{}]|\+358|hotel-desk|rang", told), told


def test_what_stands_in_for_a_value_begins_a_sentence_with_a_capital(code: str) -> None:
    for key, is_pending in itertools.product(ENTRIES, (False, True)):
        said = render(Explanation(entry=key, is_pending=is_pending), tongue=Saying(Tongue(code)))
        for text in (said.title, said.happened, said.next_step):
            assert text.lstrip("”“„«\u00a0")[:1].isupper(), text


def test_values_are_written_as_the_language_does() -> None:
    full = Explanation(entry="gave-up", params=SAMPLES)
    assert render(full, tongue=Saying(Tongue("fi"))).happened.startswith("Yritimme 3 kertaa (kesto: 5 päivää).")
    once = Explanation(entry="gave-up", params={"n": 1})
    assert render(once, tongue=Saying(Tongue("de"))).happened == (
        "Wir haben es einmal versucht. Letzte Antwort: siehe technischer Bericht."
    )
    large = Explanation(entry="too-big", params={**SAMPLES, "size": Size(3_200_000)})
    assert "3,2\u00a0MB" in render(large, tongue=Saying(Tongue("fr"))).happened


@dataclass
class Plain:
    """A language that writes numbers its own way and gives plural forms with or without the number filled in."""

    form: str

    def text(self, msgid: str) -> str:
        return msgid

    def plural(self, one: str, many: str, n: int) -> str:
        return self.form

    def moment(self, at: datetime) -> str:
        return f"at {at:%H}"

    def span(self, span: timedelta) -> str:
        return f"for {span.days}"

    def number(self, n: int) -> str:
        return f"n{n}"

    def size(self, size: int) -> str:
        return f"s{size}"


def test_each_kind_of_value_is_written_by_its_own_rule() -> None:
    saying = Saying(Plain("{n} times"))
    shown = [saying.shown(value) for value in (NOW, timedelta(days=2), Size(7), 7, "7")]
    assert shown == ["at 16", "for 2", "s7", "n7", "7"]
    assert (saying.times(4), Saying(Plain("once")).times(1)) == ("n4 times", "once")


def test_every_key_of_the_store_has_a_word() -> None:
    assert labels.STATUS.keys() == set(Status)
    assert {labels.group_of(status) for status in Status} == set(labels.Group) == set(labels.GROUP)
    assert labels.CAUSE.keys() == set(CAUSES)
    assert {entry["who"] for entry in ENTRIES.values()} <= labels.WHO.keys()
    assert all(labels.reason(category) for category in Category)


def test_green_is_for_what_was_confirmed_alone() -> None:
    tables = (labels.STATUS, labels.MARK)
    green = [key for table in tables for key, label in table.items() if label.tone is labels.Tone.OK]
    assert green == [Status.DELIVERED]
    assert labels.group_of(Status.DELIVERED, ("spam",)) is labels.Group.BLOCKED


def test_every_kind_of_event_that_is_written_has_a_word() -> None:
    kinds = set()
    for path in (Path(catalogues.__file__).parents[1] / "relay").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        for call in re.findall(r"\b(?:Event|_note)\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)", source):
            kinds |= set(re.findall(r'\bkind="(\w+)"', call)) | set(re.findall(r'^tx, case, "(\w+)",', call.strip()))
    assert {"resend", "cancel", "auto_reply", "deadline"} <= kinds
    assert kinds <= labels.EVENT.keys()


def test_what_an_app_made_up_is_shown_as_written() -> None:
    assert (labels.kind("Reminder"), labels.kind("gift_card")) == ("Reminder", "Gift card")
    assert labels.event("something_new") == "Something new"


def test_words_can_be_listed_and_taken_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, template: Catalog) -> None:
    monkeypatch.setattr(catalogues, "path_of", lambda code: tmp_path / code / "waybill.po")
    left = catalogues.missing(template)
    assert left["Delivered"] == dict.fromkeys(CODES, "")
    assert left["once"]["fi"] == ["", ""]
    catalogues.take({"Delivered": {"fi": "Toimitettu"}, "once": {"fi": ["kerran", ""]}}, template)
    left = catalogues.missing(template)
    assert left["Delivered"] == dict.fromkeys(("de", "fr", "nl"), "")
    assert "fi" in left["once"]
    first = (tmp_path / "fi" / "waybill.po").read_bytes()
    catalogues.main([])
    assert (tmp_path / "fi" / "waybill.po").read_bytes() == first


def test_what_is_missing_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    catalogues.main(["--missing"])
    assert isinstance(json.loads(capsys.readouterr().out), dict)
