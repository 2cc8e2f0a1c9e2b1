"""Make the formatted text of a mail harmless: only what is known to lay out text is written anew, nothing that acts.

Policy. The page that shows it is locked up by its own headers (sandbox, no script, no request to anywhere); this is the
second lock, for links above all: one that is opened once must not be opened by the desk. Known elements are written
with known attributes, every value escaped. A link loses its address and keeps it as a hint; a picture stays only when
it stands in the mail itself; elements that act or load are dropped, those that hold no text of the mail with all they
hold. Style sheets lose whatever names an address.
One pass, linear in the text: a quote or a comment that never ends takes the rest with it, as it does in a browser.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_KEPT = _words(
    """
    a abbr address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del
    details dfn div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd label li
    main mark nav ol p pre q s samp section small span strike strong style sub summary sup table tbody td
    tfoot th thead time tr tt u ul var wbr
    """
)
_EMPTY = frozenset({"br", "hr", "img", "col", "wbr"})

#: What stands inside is no text of the mail.
_DROPPED_WHOLE = _words(
    """
    script title textarea iframe noembed noframes noscript xmp template svg math object applet audio video
    canvas select frameset
    """
)
_ATTRIBUTES = _words(
    """
    align alt bgcolor border cellpadding cellspacing class clear color cols colspan dir face height hspace
    lang nowrap rowspan size span start style type valign value vspace width
    """
)
_SPAN = re.compile(r"[^\s\"'<>/=\x00]{1,100}")
_TAG_NAME = re.compile(r"[A-Za-z][A-Za-z0-9:-]{0,30}")
_SPACES = re.compile(r"[\s/]*")
_UNQUOTED = re.compile(r"[^\s>]*")
_DATA_PICTURE = re.compile(r"data:image/(?:png|jpeg|jpg|gif|webp|bmp);base64,[A-Za-z0-9+/=\s]+\Z", re.IGNORECASE)
_EQUALS = re.compile(r"\s{0,100}=\s{0,100}")
_HINTS = re.compile(r"(?:https?|mailto|tel):", re.IGNORECASE)
_ACTS = re.compile(r"@(?:import|charset|namespace)[^;]*;?|expression\s*\(|-moz-binding|behavior\s*:|javascript:", re.I)
_ADDRESS = re.compile(r"(?:url|image-set|image|src|element|cross-fade)\s*\([^)]*\)?", re.IGNORECASE)
_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.DOTALL)

_PAGE = (
    '<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    "<style>body{{margin:1rem;background:#fff;color:#16202c;font:15px/1.45 system-ui,sans-serif}}"
    "img{{max-width:100%;height:auto}}a{{color:#1a5fb4;text-decoration:underline}}</style></head><body>{}</body></html>"
)


def page(markup: str, pictures: Mapping[str, str]) -> str:
    """Make the page that shows a formatted mail."""
    return _PAGE.format("".join(_written(markup, pictures)))


def _written(markup: str, pictures: Mapping[str, str]) -> Iterator[str]:
    at, end = 0, len(markup)
    while at < end:
        opens = markup.find("<", at)
        if opens < 0:
            yield _text(markup[at:])
            return
        yield _text(markup[at:opens])
        at, written = _element(markup, opens, pictures)
        yield written


def _element(markup: str, at: int, pictures: Mapping[str, str]) -> tuple[int, str]:
    """Read what begins at a "<"; give where the text goes on, and what is written for it."""
    if markup.startswith("<!--", at):
        return _after(markup, "-->", at + 4), ""
    if markup.startswith(("<!", "<?"), at):
        return _after(markup, ">", at), ""
    is_end = markup.startswith("</", at)
    found = _TAG_NAME.match(markup, at + 1 + is_end)
    if found is None:
        return at + 1, "&lt;"
    name = found[0].lower()
    at, attributes = _attributes(markup, found.end())
    if is_end:
        return at, f"</{name}>" if name in _KEPT and name not in _EMPTY else ""
    if name in _DROPPED_WHOLE:
        return _end_of(markup, name, at), ""
    if name not in _KEPT:
        return at, ""
    if name == "style":
        close = _find_end(markup, name, at)
        return _after(markup, ">", close), f"<style>{_sheet(markup[at:close])}</style>"
    return at, f"<{name}{_kept(name, attributes, pictures)}>"


def _attributes(markup: str, at: int) -> tuple[int, list[tuple[str, str]]]:
    """Read the attributes of a tag up to its ">"; a value without an end takes the rest of the mail."""
    found: list[tuple[str, str]] = []
    end = len(markup)
    while True:
        spaces = _SPACES.match(markup, at)
        at = spaces.end() if spaces else at
        if at >= end:
            return end, found
        if markup[at] == ">":
            return at + 1, found
        name = _SPAN.match(markup, at)
        if name is None:
            at += 1
            continue
        at = name.end()
        value = ""
        equals = _equals(markup, at)
        if equals:
            at, value = _value(markup, equals)
        if len(found) < 60:
            found.append((name[0].lower(), value))


def _equals(markup: str, at: int) -> int:
    """Give where the value of an attribute begins; 0 when it has none."""
    match = _EQUALS.match(markup, at)
    return match.end() if match else 0


def _value(markup: str, at: int) -> tuple[int, str]:
    quote = markup[at : at + 1]
    if quote in ("'", '"') and quote:
        close = markup.find(quote, at + 1)
        return (len(markup), "") if close < 0 else (close + 1, markup[at + 1 : close])
    match = _UNQUOTED.match(markup, at)
    return (match.end(), match[0]) if match else (at, "")


def _kept(name: str, attributes: list[tuple[str, str]], pictures: Mapping[str, str]) -> str:
    written = []
    for key, value in attributes:
        value = html.unescape(value)
        if key == "style":
            value = _sheet(value)
        elif name == "a" and key == "href":
            if not _HINTS.match(value.strip()):
                continue
            key = "title"
        elif name == "img" and key == "src":
            value = _picture(value.strip(), pictures)
            if not value:
                continue
        elif key not in _ATTRIBUTES:
            continue
        written.append(f' {key}="{html.escape(value[: None if key == "src" else 4000])}"')
    return "".join(written)


def _picture(source: str, pictures: Mapping[str, str]) -> str:
    if source[:4].lower() == "cid:":
        return pictures.get(source[4:], "")
    return source if _DATA_PICTURE.match(source) else ""


def _sheet(text: str) -> str:
    """Leave of a style sheet what names no address; an escape could hide one."""
    return _ADDRESS.sub("none", _ACTS.sub("", _ESCAPE.sub(_unescaped, text))).replace("<", "")


def _unescaped(match: re.Match[str]) -> str:
    return chr(min(int(match[1], 16), 0xFFFD)) if match[1] else match[2]


def _text(text: str) -> str:
    """Keep the character references of a text; everything else is written as text."""
    return text.replace(">", "&gt;")


def _after(markup: str, what: str, at: int) -> int:
    found = markup.find(what, at)
    return len(markup) if found < 0 else found + len(what)


def _find_end(markup: str, name: str, at: int) -> int:
    match = re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE).search(markup, at)
    return match.start() if match else len(markup)


def _end_of(markup: str, name: str, at: int) -> int:
    return _after(markup, ">", _find_end(markup, name, at))
