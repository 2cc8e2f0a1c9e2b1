"""Find out which booking, customer and kind a mail belongs to, from nothing but the mail. Pure, bounded.

Sources in the order of trust; the first match of each kind is the message's, all are kept with source and rule:
own and mail-service header fields, schema.org markup, iCalendar, the app's picture or pattern over subject, then text,
then links, and the ids of the thread, which the store resolves. A kind also comes from the app's words in the subject.

A picture such as "BK-#####" (# digit, @ letter, * 1-20 of both) becomes a regular expression without nested
repetition, so that no text makes it slow. A "re:" pattern is the administrator's own; it sees the subject and the first
64 KiB of text only. MIME is read when a cheap look says that there is something to find, or the mail is large: then it
is mostly attachments, which a reader of MIME steps over and a look for signs does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from relay import deadline
from relay.headers import HeaderBlock, clean, decode_value, message_ids
from relay.intake.esp_headers import LOOSE, in_field
from relay.intake.markup import in_calendar, in_html, parse_start
from relay.intake.parts import TextPart, text_parts
from relay.model import Reference

_MAX_REFERENCES = 100
_MAX_TEXT = 65_536
_LARGE = 65_536  #: above it, reading the parts costs less than looking for signs in all of the content
_MARKUP = ("ld+json", "itemprop", "schema.org")
_MAX_MATCHES = 20
_TAG = re.compile(r"<[^<>]*>")
_LINK = re.compile(r"href\s*=\s*[\"']?([^\"'\s<>]{1,2000})", re.IGNORECASE)
_GROUPS = {"booking": "booking", "customer": "customer", "tag": "kind", "kind": "kind"}


@dataclass(frozen=True, slots=True)
class Found:
    """What was found, the best of each kind first."""

    references: tuple[Reference, ...] = ()

    def first(self, kind: str) -> str | None:
        """Give the value of the first reference of that kind."""
        return next((reference.value for reference in self.references if reference.kind == kind), None)

    @property
    def kind(self) -> str | None:
        """The kind of mail: confirmation, reminder …"""
        return self.first("kind")

    @property
    def event_at(self) -> datetime | None:
        """When the booked event begins."""
        return next((at for _, at in self._starts()), None)

    @property
    def event_until(self) -> datetime | None:
        """Until when the event has surely not begun: its start, or the end of the day when only that is known."""
        return next((deadline.until(written, at) for written, at in self._starts()), None)

    def _starts(self) -> Iterator[tuple[str, datetime]]:
        for reference in self.references:
            start = parse_start(reference.value) if reference.kind == "event_start" else None
            if start is not None:
                yield reference.value, start


_NOTHING = Found()


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a picture, or the regular expression after "re:".

    Raises:
        re.error: the regular expression cannot be read.
    """
    if pattern.startswith("re:"):
        return re.compile(pattern.removeprefix("re:"))
    pieces = []
    for run in re.findall(r"#+|@+|\*+|[^#@*]+", pattern):
        count = len(run)
        if run[0] == "#":
            pieces.append(f"[0-9]{{{count}}}")
        elif run[0] == "@":
            pieces.append(f"[A-Za-z]{{{count}}}")
        elif run[0] == "*":
            pieces.append(f"[A-Za-z0-9]{{{count},{20 * count}}}")
        else:
            pieces.append(re.escape(run).replace(r"\ ", "[ \u00a0]"))
    return re.compile(rf"(?<![A-Za-z0-9]){''.join(pieces)}(?![A-Za-z0-9])", re.IGNORECASE)


def _fixed_part(pattern: str) -> str:
    """Give the longest run of a picture that stands in every match, folded; "" when there is none."""
    if pattern.startswith("re:"):
        return ""
    runs = re.findall(r"[!-\"$-)+-?A-~]+", pattern)  # printable ASCII without the signs # @ * and the space
    return max(runs, key=len, default="").lower()


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One configured picture or expression."""

    rule: str  #: as configured
    expression: re.Pattern[str]
    fixed: str  #: text without which there is no match

    def may_match(self, folded: str) -> bool:
        """Tell cheaply whether looking is worth it."""
        return self.fixed in folded


class Extractor:
    """One app's way of finding references."""

    def __init__(self, *, patterns: tuple[str, ...] = (), kinds: Mapping[str, str] | None = None) -> None:
        self._patterns = [_Pattern(text, compile_pattern(text), _fixed_part(text)) for text in patterns]
        self._fixed_bytes = [pattern.fixed.encode("ascii") for pattern in self._patterns]
        self._kinds = [(word.casefold(), word, kind) for word, kind in (kinds or {}).items()]

    def find(self, block: HeaderBlock, content: bytes) -> Found:
        """Find all references of one mail; `content` has CRLF lines."""
        found = list(self._in_headers(block))
        parts: list[TextPart] | None = None
        if len(content) > _LARGE or _may_have_markup(content):
            parts = text_parts(content)
            found += [r for part in parts if _is_marked_up(part) for r in in_html(part.text)]
            found += [r for part in parts if part.media_type == "text/calendar" for r in in_calendar(part.text)]
        found += self._by_pattern(block, content, parts)
        found += self._kind_by_subject(block)
        found += _thread(block)
        return Found(_unique(found)) if found else _NOTHING

    def _in_headers(self, block: HeaderBlock) -> Iterator[Reference]:
        for field in block.fields:
            if not field.name.startswith("x-"):
                continue
            if field.name in LOOSE:
                value = decode_value(field.value, limit=200)
                if any(pattern.expression.fullmatch(value) for pattern in self._patterns):
                    yield Reference(kind="booking", value=value, source="esp_header", rule=field.name, confidence=90)
            else:
                yield from in_field(field)

    def _by_pattern(self, block: HeaderBlock, content: bytes, parts: list[TextPart] | None) -> list[Reference]:
        """Look in the subject, else in the text, else in the links."""
        if not self._patterns:
            return []
        found = self._search(block.text("subject"), where="subject", confidence=90)
        if found or (parts is None and not self._is_worth_reading(content)):
            return found
        texts = text_parts(content) if parts is None else parts
        plain = "\n".join(_readable(part) for part in texts if part.media_type in {"text/plain", "text/html"})
        found = self._search(plain[:_MAX_TEXT], where="text", confidence=70)
        if found:
            return found
        links = [
            unquote(link)
            for part in texts
            if part.media_type == "text/html"
            for link in _LINK.findall(part.text[:_MAX_TEXT])[:100]
        ]
        return self._search("\n".join(links)[:_MAX_TEXT], where="link", confidence=60)

    def _is_worth_reading(self, content: bytes) -> bool:
        """Tell whether the text may hold a match; text in an encoding, or with % escapes in links, has to be read."""
        folded = content.lower()
        if b"base64" in folded or b"quoted-printable" in folded or b"utf-16" in folded or b"href" in folded:
            return True
        return any(fixed in folded for fixed in self._fixed_bytes)

    def _search(self, text: str, *, where: str, confidence: int) -> list[Reference]:
        found: list[Reference] = []
        folded = text.lower()
        for pattern in self._patterns:
            if not pattern.may_match(folded):
                continue
            for number, match in enumerate(pattern.expression.finditer(text)):
                if number >= _MAX_MATCHES:
                    break
                for kind, value in _groups(match):
                    found.append(
                        Reference(
                            kind=kind,
                            value=clean(value, limit=200),
                            source="pattern",
                            rule=f"{pattern.rule} in {where}",
                            confidence=confidence,
                        )
                    )
        return found

    def _kind_by_subject(self, block: HeaderBlock) -> list[Reference]:
        if not self._kinds:
            return []
        subject = block.text("subject").casefold()
        return [
            Reference(kind="kind", value=kind, source="subject", rule=word, confidence=80)
            for folded, word, kind in self._kinds
            if folded in subject
        ]


def _may_have_markup(content: bytes) -> bool:
    has_markup = any(sign.encode() in content for sign in _MARKUP)
    has_calendar = b"text/calendar" in content or b"BEGIN:VCALENDAR" in content
    return has_markup or has_calendar or (b"base64" in content and b"text/html" in content)


def _is_marked_up(part: TextPart) -> bool:
    return part.media_type == "text/html" and any(sign in part.text for sign in _MARKUP)


def _groups(match: re.Match[str]) -> list[tuple[str, str]]:
    """Give kind and value of what a match named; without named groups the first group or the whole is the booking."""
    named = [(_GROUPS[name], value) for name, value in match.groupdict().items() if name in _GROUPS and value]
    if named:
        return named
    value = (match.group(1) if match.re.groups else None) or match.group(0)
    return [("booking", value)] if value.strip() else []


def _readable(part: TextPart) -> str:
    text = part.text[: 2 * _MAX_TEXT]
    return _TAG.sub(" ", text) if part.media_type == "text/html" else text


def _thread(block: HeaderBlock) -> list[Reference]:
    found = []
    for name in ("in-reply-to", "references"):
        value = block.first(name)
        for message_id in message_ids(value, limit=10) if value else ():
            found.append(Reference(kind="thread", value=message_id[:998], source="thread", rule=name, confidence=50))
    return found


def _unique(found: list[Reference]) -> tuple[Reference, ...]:
    seen: dict[tuple[str, str], Reference] = {}
    for reference in found:
        if reference.value:
            seen.setdefault((reference.kind, reference.value.casefold()), reference)
    return tuple(list(seen.values())[:_MAX_REFERENCES])
