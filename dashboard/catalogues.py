"""Keep the catalogues of words, dashboard/locale/CODE/waybill.po: `make catalogues` runs this.

Policy. The English text is the msgid. It is found in the Python of the dashboard (`_`, `N_`, `text`, `plural`), in its
templates, in the tables of relay/classify and where the relay words its sentences (`say`; marked "relay"). Updating
keeps what is translated, drops what nobody says any more, and writes the same bytes for the same words: sorted, without
line numbers, dates or names. The catalogues are text; they are read at run time (dashboard/tongue.py), so there is
nothing to compile.

    python -m dashboard.catalogues                update the catalogues
    python -m dashboard.catalogues --missing      print what is not translated, as JSON: {msgid: {language: ""}}
    python -m dashboard.catalogues --take FILE    put the words of such a file in (plural forms are a list)

No page needs this module.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

from dashboard.tongue import RELAY
from relay.classify.explain import every_msgid

#: The languages beside English, and how each forms its plurals (without the CLDR's third French form, for millions).
LANGUAGES = {
    "de": "nplurals=2; plural=(n != 1);",
    "fi": "nplurals=2; plural=(n != 1);",
    "fr": "nplurals=2; plural=(n > 1);",
    "nl": "nplurals=2; plural=(n != 1);",
}

HERE = Path(__file__).parent

_KEYWORDS = {"_": None, "N_": None, "gettext": None, "text": None, "plural": (1, 2), "ngettext": (1, 2)}

_PYTHON, _JINJA = "python", "jinja2.ext:babel_extract"

_OPTIONS = {"newstyle_gettext": "true", "silent": "false", "encoding": "utf-8"}

_HEADER = """\
msgid ""
msgstr ""
"Language: {code}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plural}\\n"

"""

Words = str | list[str]


def extracted() -> Catalog:
    """Gather every text that the dashboard may show."""
    found = Catalog(charset="utf-8")
    for msgid in every_msgid():
        found.add(msgid)
    for path in sorted(HERE.rglob("*.py")):
        _add(found, path, _PYTHON)
    for path in sorted((HERE / "templates").rglob("*.html")):
        _add(found, path, _JINJA)
    for path in sorted(path for part in (HERE, HERE.parent / "relay") for path in part.rglob("*.py")):
        for msgid in _said_in(path):
            found.add(msgid, auto_comments=[RELAY])
    return found


def _said_in(path: Path) -> Iterator[str]:
    """Give the templates that a module says; one that is not written out cannot be found."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say":
            template = node.args[0]
            if not isinstance(template, ast.Constant) or not isinstance(template.value, str):
                raise SystemExit(f"{path}:{node.lineno}: write the template out")
            yield template.value


def read(code: str) -> Catalog:
    """Read the catalogue of a language; an empty one when there is none yet."""
    path = path_of(code)
    text = path.read_text(encoding="utf-8") if path.exists() else _header(code)
    return read_po(io.StringIO(text), locale=code, charset="utf-8", abort_invalid=True)


def updated(code: str, template: Catalog) -> Catalog:
    """Give a language's catalogue with exactly the texts of the template."""
    before = read(code)
    after = read_po(io.StringIO(_header(code)), locale=code, charset="utf-8")
    for message in messages(template):
        known = before.get(message.id, message.context)
        string = known.string if known is not None and known.pluralizable == message.pluralizable else None
        after.add(message.id, string, auto_comments=message.auto_comments, context=message.context)
    return after


def written(code: str, catalogue: Catalog) -> str:
    """Write a catalogue down."""
    body = io.BytesIO()
    write_po(body, catalogue, width=0, no_location=True, omit_header=True, sort_output=True)
    return _header(code) + body.getvalue().decode("utf-8").strip("\n") + "\n"


def path_of(code: str) -> Path:
    """Name the file of a language."""
    return HERE / "locale" / code / "waybill.po"


def messages(catalogue: Catalog) -> Iterator[Message]:
    """Give the messages without the header."""
    return (message for message in catalogue if message.id)


def is_translated(message: Message) -> bool:
    """Tell whether all of its words are there."""
    words = message.string if isinstance(message.string, list | tuple) else [message.string]
    return bool(words) and all(words)


def missing(template: Catalog) -> dict[str, dict[str, Words]]:
    """Give what is not translated, ready to be filled in."""
    found: dict[str, dict[str, Words]] = {}
    for code in LANGUAGES:
        catalogue = updated(code, template)
        for message in messages(catalogue):
            if not is_translated(message):
                empty: Words = [""] * catalogue.num_plurals if message.pluralizable else ""
                found.setdefault(_name(message), {})[code] = empty
    return dict(sorted(found.items()))


def take(words: Mapping[str, Mapping[str, Words]], template: Catalog) -> None:
    """Put translations in and write the catalogues; what is empty changes nothing."""
    for code in LANGUAGES:
        catalogue = updated(code, template)
        for message in messages(catalogue):
            given = words.get(_name(message), {}).get(code)
            if given and all(given):
                message.string = tuple(given) if isinstance(given, list) else given
        _write(code, catalogue)


def _header(code: str) -> str:
    return _HEADER.format(code=code, plural=LANGUAGES[code])


def _name(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def _add(found: Catalog, path: Path, method: str) -> None:
    with path.open("rb") as file:
        options: Any = _OPTIONS
        for _, msgid, comments, context in extract(method, file, _KEYWORDS, ("Words:",), options):
            if msgid:
                found.add(msgid, auto_comments=comments, context=context)


def _write(code: str, catalogue: Catalog) -> None:
    path_of(code).parent.mkdir(parents=True, exist_ok=True)
    path_of(code).write_text(written(code, catalogue), encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Update, list or fill in."""
    parser = argparse.ArgumentParser(prog="python -m dashboard.catalogues", description="Keep the catalogues of words.")
    parser.add_argument("--missing", action="store_true", help="print what is not translated, as JSON")
    parser.add_argument("--take", metavar="FILE", type=Path, help="put in the words of such a JSON file")
    options = parser.parse_args(arguments)
    template = extracted()
    if options.missing:
        sys.stdout.write(json.dumps(missing(template), ensure_ascii=False, indent=1) + "\n")
        return
    take(json.loads(options.take.read_text(encoding="utf-8")) if options.take else {}, template)
    left = missing(template)
    for code in LANGUAGES:
        count = sum(code in languages for languages in left.values())
        sys.stdout.write(f"{code}: {len(template)} texts, {count} not translated\n")


if __name__ == "__main__":
    main(sys.argv[1:])
