"""Part what a report says to people from the mail it returns.

Policy: people read the text parts that stand outside attached messages, the plain ones before the HTML ones. In a text
the returned mail begins at a line that announces it or at the first lines that are a mail header; from there on nothing
is said by the reporting server, and no address found there is ever taken for the one that failed. The returned header
is kept apart: with it our own delivery is found. Pure; bounded by _MAX_LINES lines of _MAX_LINE characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from relay.classify.mime import Part, read_header, text_of
from relay.classify.report_phrases import load_phrases, plain

_MAX_LINES = 250
_MAX_LINE = 1000
_MAX_TEXT_PARTS = 8
_LOOKED_AHEAD = 12
_NO_TEXT = ("image/", "application/", "audio/", "video/", "font/")

_RULE = re.compile(r"[-=_*#~+.>|\s]{3,}")
_HEADER_LINE = re.compile(
    r"[ \t>|]{0,8}(?:received|return-path|dkim-signature|domainkey-signature|message-id|mime-version|content-type"
    r"|delivered-to|x-[a-z-]{2,40}|from|to|subject|date|arc-seal|authentication-results|content-transfer-encoding|cc|reply-to|sender"
    r"|user-agent|list-[a-z]{2,20}|precedence|errors-to|importance|thread-[a-z]{4,8}):",
    re.IGNORECASE,
)
_SURE_HEADER = re.compile(
    r"[ \t>|]{0,8}(?:received: {0,3}(?:from|by|\(|$)|return-path:|dkim-signature:|domainkey-signature:|arc-seal:"
    r"|x-mozilla|from \S+@\S+ {1,3}[a-z]{3} [a-z]{3})",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Human:
    """What a report says, and the header of the mail it returns."""

    lines: tuple[str, ...]
    words: str = field(repr=False)  #: of all lines, in plain form
    original: Part | None = None

    @property
    def text(self) -> str:
        """All lines, with single empty lines between paragraphs."""
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self.lines)).strip()


def read_human(mail: Part) -> Human:
    """Read what the report says to people."""
    lines: list[str] = []
    original = _attached(mail)
    for text in _texts(mail):
        spoken, returned = _cut(text)
        lines += [*spoken, ""]
        if original is None and returned:
            original = read_header(returned)
        if len(lines) >= _MAX_LINES:
            break
    kept = tuple(lines[:_MAX_LINES])
    return Human(lines=kept, words=plain("\n".join(kept)), original=original)


def _texts(mail: Part) -> list[str]:
    """Give the texts outside attached messages; HTML only where there is nothing plain."""
    parts = [part for part in mail.walk() if not part.children]
    plain_texts = [text_of(part) for part in parts if part.content_type == "text/plain"][:_MAX_TEXT_PARTS]
    if any(text.strip() for text in plain_texts):
        return plain_texts
    markup = [text_of(part) for part in parts if part.content_type == "text/html"][:_MAX_TEXT_PARTS]
    if markup or any(part.content_type.startswith("message/") for part in parts):
        return markup
    # An unknown label: a text, if it can be one.
    return [text_of(part) for part in parts[:1] if not part.content_type.startswith(_NO_TEXT)]


def _attached(mail: Part) -> Part | None:
    """Give the header of the attached message."""
    for part in mail.walk():
        if part.is_message and part.children:
            return part.children[0]
    return None


def _cut(text: str) -> tuple[list[str], str]:
    """Part the lines of the report from the returned mail."""
    lines = [line[:_MAX_LINE].rstrip() for line in text.split("\n", 4 * _MAX_LINES)[: 4 * _MAX_LINES]]
    for number, line in enumerate(lines[: 2 * _MAX_LINES]):
        if _announces(line) and _has_begun(lines[:number]) and _follows(line, lines[number + 1 :]):
            return lines[:number], _unquoted(lines[number + 1 :])
        if not _HEADER_LINE.match(line) and not _SURE_HEADER.match(line):
            continue
        least = 2 if _SURE_HEADER.match(line) else 4
        if _is_header(lines, number, least=least) and _has_spoken(lines[:number], lines[number:]):
            return lines[:number], _unquoted(lines[number:])
    return lines[:_MAX_LINES], ""


def _announces(line: str) -> bool:
    """Tell whether a line says that the returned mail follows: between rules, or as a short sentence ending so."""
    stripped = line.strip()
    if not 6 <= len(stripped) <= 160:
        return False
    has_rule = bool(_RULE.match(stripped)) and not stripped.startswith("-->")
    ends_so = stripped.endswith((":", ".", "：", "-", "=")) and len(stripped) <= 110
    if not has_rule and not ends_so:
        return False
    words = plain(stripped)
    if not load_phrases().has("original", words):
        return False
    if has_rule:
        return "session" not in words
    return any(sign in words for sign in _FOLLOWING) and "received at" not in words


def _has_begun(before: list[str]) -> bool:
    return any(line.strip() for line in before)


def _has_spoken(before: list[str], after: list[str]) -> bool:
    """Tell whether the report has said something yet; some quote the header of the mail first and speak then."""
    phrases = load_phrases()
    if any(phrases.has(group, plain("\n".join(before))) for group in ("failure", "delay", "delivered", "auto")):
        return True
    rest = [line for line in after[:60] if not _HEADER_LINE.match(line)]
    return not phrases.has("failure", plain("\n".join(rest)))


def _follows(announcing: str, after: list[str]) -> bool:
    """Tell whether the returned mail follows indeed: after a rule, or a header, or next to nothing."""
    if _RULE.match(announcing.strip()):
        return True
    ahead = [line for line in after if line.strip()][:_LOOKED_AHEAD]
    return len(ahead) <= 3 or any(_HEADER_LINE.match(line) for line in ahead)


_FOLLOWING = (
    *(" follow", " below", " copy ", " first ", " included ", " attached ", " is following", " headers ", " header "),
    *(" original message ", " bounced ", " original mail ", " kopie ", " copie ", " copia ", " folgt"),
    *(" returned message ", " nachricht ", "以下", "原", "копия", "текст", "исходное", "заголовк"),
)


def _is_header(lines: list[str], number: int, *, least: int = 2) -> bool:
    """Tell whether the lines from here on are a mail header and not a summary of one."""
    ahead = lines[number : number + _LOOKED_AHEAD]
    found = 0
    for line in ahead:
        if not line.strip():
            break
        found += bool(_HEADER_LINE.match(line))
    sure = any(_SURE_HEADER.match(line) or line.lower().lstrip(" >").startswith("mime-version:") for line in ahead)
    return found >= least and (sure or least < 3)


def _unquoted(lines: list[str]) -> str:
    """Give the returned header without what stands before it in each line."""
    start = next((number for number, line in enumerate(lines) if _HEADER_LINE.match(line)), len(lines))
    if start > 6:
        return ""
    rest = lines[start:]
    indent = len(rest[0]) - len(rest[0].lstrip(" \t>|")) if rest else 0
    return "\n".join(line[indent:] if not line[:indent].strip(" \t>|") else line for line in rest)
