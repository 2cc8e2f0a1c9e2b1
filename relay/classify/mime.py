"""Read the parts of a returned mail, however broken it is, within fixed bounds.

Policy: only the first MAX_BYTES are looked at, and of these at most _MAX_PARTS parts down to _MAX_DEPTH levels; what
lies beyond is as if it were not there. Nothing raises: a boundary that does not occur is guessed from the body, a part
without a header is all body, broken base64 or quoted-printable is decoded as far as it goes, an unknown charset is read
as UTF-8 or Windows-1252. A charset is believed only when it is on the list, because some codecs take quadratic time.
Every step is linear in the bytes. Unlike intake.parts it also opens attached messages, which is where reports keep
what they return. Used for reading only, never to build a mail.
RFC 2045, RFC 2046 5.1 and 5.2, RFC 2047.
"""

from __future__ import annotations

import binascii
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from relay.headers import decode_bytes, decode_value

#: More of a mail is never looked at; what a report says stands before what it returns.
MAX_BYTES = 384 * 1024

_MAX_PARTS = 60
_MAX_DEPTH = 6
_MAX_TEXT = 96 * 1024
_MAX_HEADER = 64 * 1024
_MAX_FIELDS = 300
_MAX_VALUE = 4000

_LINE_END = re.compile(rb"\r+\n?")
_FIELD = re.compile(rb"([!-9;-~]{1,80})[ \t]{0,4}:")
_BOUNDARY = re.compile(r'boundary\*?\s{0,4}=\s{0,4}(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_GUESSED = re.compile(rb"^--([0-9A-Za-z'()+_,./:=?!\-]{8,150})$", re.MULTILINE)
_CHARSET = re.compile(r"charset\*?\s{0,4}=\s{0,4}[\"']?([A-Za-z0-9_.:\-]{1,40})", re.IGNORECASE)
_TRUSTED = re.compile(
    r"(?:utf-?8|utf-?16(?:le|be)?|us-ascii|ascii|iso-?8859-\d{1,2}|latin-?[1-9]|(?:windows|cp)-?(?:8\d\d|125\d|932|949)"
    r"|koi8-[ru]|iso-2022-(?:jp(?:-\d)?|kr)|shift[-_]?jis|sjis|euc[-_](?:jp|kr)|gb2312|gbk|gb18030|big5(?:-hkscs)?"
    r"|ks_c_5601-1987|tis-620|mac-?roman)\Z",
    re.IGNORECASE,
)
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
_JAPANESE = b"\x1b$"

_HIDDEN = re.compile(r"<(/?)(?:style|script|title)\b[^<>]{0,400}>", re.IGNORECASE)
_BREAK = re.compile(r"<(?:br|/?p|/?div|/tr|/li|/?h[1-6]|/?table|/pre|hr)\b[^<>]{0,400}>", re.IGNORECASE)
_CELL = re.compile(r"</t[dh]\b[^<>]{0,400}>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z!][a-z0-9:]{0,30}(?:[\s/-][^<>]{0,2000})?>", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a mail, or the mail itself."""

    content_type: str  #: lower case; "text/plain" where nothing is said
    fields: tuple[tuple[str, str], ...]  #: (lower-case name, decoded value), in order
    body: bytes  #: as it stands, line ends are "\\n"
    children: tuple[Part, ...] = ()  #: of a multipart, or the one message that is attached

    def first(self, name: str) -> str:
        """Give the value of the first field of that (lower-case) name, or ""."""
        return next((value for found, value in self.fields if found == name), "")

    def all(self, name: str) -> list[str]:
        """Give the values of all fields of that (lower-case) name."""
        return [value for found, value in self.fields if found == name]

    @property
    def is_message(self) -> bool:
        """Tell whether a message, or its header alone, is attached here."""
        return self.content_type in _MESSAGES

    def walk(self) -> Iterator[Part]:
        """Give this part and all below it, in the order they stand; attached messages are given but not entered."""
        yield self
        if not self.is_message:
            for child in self.children:
                yield from child.walk()


_MESSAGES = frozenset(
    {"message/rfc822", "message/global", "text/rfc822-headers", "text/rfc822-header", "message/global-headers"}
)
_HEADERS_ONLY = frozenset({"text/rfc822-headers", "text/rfc822-header", "message/global-headers"})


class _Budget:
    """How many parts may still be read."""

    def __init__(self) -> None:
        self.parts = _MAX_PARTS


def read_mail(raw: bytes) -> Part:
    """Read a mail and its parts."""
    content = _LINE_END.sub(b"\n", raw[:MAX_BYTES]).lstrip(b"\n \t")
    if content.startswith((b"From ", b">From ")):
        content = content.partition(b"\n")[2]
    return _part(content, depth=0, budget=_Budget())


def read_header(text: str) -> Part:
    """Read a header that stands in a text, as the returned part of a report in plain text does."""
    return _part(text.encode("utf-8", "replace")[:_MAX_HEADER], depth=_MAX_DEPTH, budget=_Budget())


def text_of(part: Part) -> str:
    """Decode the body of a part; of an HTML one what a person sees."""
    text = _decoded(part)
    return html_to_text(text) if part.content_type == "text/html" else text


def html_to_text(markup: str) -> str:
    """Leave what a person sees, one line per block."""
    visible = _visible(markup.replace("\n", " "))
    shown = _TAG.sub("", _CELL.sub(" ", _BREAK.sub("\n", visible)))
    return html.unescape(shown).replace("\xa0", " ")


def _visible(markup: str) -> str:
    """Drop what stands inside style, script and title, in one pass."""
    kept: list[str] = []
    start, is_hidden = 0, False
    for tag in _HIDDEN.finditer(markup):
        if not is_hidden:
            kept.append(markup[start : tag.start()])
        is_hidden, start = not tag[1], tag.end()
    if not is_hidden:
        kept.append(markup[start:])
    return " ".join(kept)


def _part(entity: bytes, *, depth: int, budget: _Budget) -> Part:
    fields, body = _split(entity)
    declared = next((value for name, value in fields if name == "content-type"), "")
    content_type = declared.partition(";")[0].strip().lower() or "text/plain"
    if not declared and b"\nContent-Type: message/" in body[:_MAX_HEADER]:
        content_type = "multipart/mixed"  # the header that said so was lost on the way
    part = Part(content_type=content_type, fields=fields, body=body)
    if depth >= _MAX_DEPTH:
        return part
    if content_type.startswith("multipart/"):
        return _with_children(part, _pieces(body, declared), depth=depth, budget=budget)
    if content_type in _HEADERS_ONLY or content_type in ("message/rfc822", "message/global"):
        inner = _unpacked(part).lstrip(b"\n")
        inner = inner.partition(b"\n")[2] if inner.startswith((b"From ", b">From ")) else inner
        return _with_children(part, [inner], depth=depth, budget=budget)
    return part


def _with_children(part: Part, pieces: list[bytes], *, depth: int, budget: _Budget) -> Part:
    children: list[Part] = []
    for piece in pieces:
        if budget.parts <= 0:
            break
        budget.parts -= 1
        children.append(_part(piece, depth=depth + 1, budget=budget))
    if not children:  # a multipart without parts is plain text that somebody labelled wrongly
        return Part(content_type="text/plain", fields=part.fields, body=part.body)
    return Part(content_type=part.content_type, fields=part.fields, body=part.body, children=tuple(children))


def _split(entity: bytes) -> tuple[tuple[tuple[str, str], ...], bytes]:
    """Part the header from the body; what does not begin like a header is all body."""
    if entity.startswith(b"\n"):
        return (), entity[1:]
    if not _FIELD.match(entity[:200]):
        return (), entity
    end = entity.find(b"\n\n")
    block, body = (entity, b"") if end < 0 else (entity[:end], entity[end + 2 :])
    block = block[:_MAX_HEADER]
    found: list[tuple[str, list[bytes]]] = []
    for line in block.split(b"\n", 4000)[:4000]:
        match = _FIELD.match(line)
        if match and len(found) < _MAX_FIELDS:
            found.append((match[1].decode("ascii").lower(), [line[match.end() :]]))
        elif found and line[:1] in (b" ", b"\t"):
            found[-1][1].append(line)
    fields = tuple((name, decode_value(b"".join(lines).strip(), limit=_MAX_VALUE)) for name, lines in found)
    return fields, body


def _pieces(body: bytes, declared: str) -> list[bytes]:
    """Cut a multipart at its boundary, or at what looks like one."""
    match = _BOUNDARY.search(declared)
    name = (match[1] or match[2]).strip().encode("utf-8", "replace") if match else b""
    if not name or b"--" + name not in body:
        guessed = _GUESSED.search(body[:_MAX_HEADER])
        if guessed is None:
            return []
        name = guessed[1]
    pieces: list[bytes] = []
    for piece in (b"\n" + body).split(b"\n--" + name, _MAX_PARTS)[1:]:
        if piece.startswith(b"--"):
            break
        pieces.append(piece.partition(b"\n")[2])
    return pieces


def _unpacked(part: Part) -> bytes:
    """Undo the transfer encoding."""
    encoding = part.first("content-transfer-encoding").strip().lower()
    if encoding == "base64":
        packed = part.body.translate(None, _NOT_BASE64)
        try:
            return binascii.a2b_base64(packed[: len(packed) // 4 * 4])
        except binascii.Error:
            return part.body
    if encoding == "quoted-printable":
        return binascii.a2b_qp(part.body)
    return part.body


def _decoded(part: Part) -> str:
    data = _unpacked(part)[:_MAX_TEXT]
    match = _CHARSET.search(part.first("content-type"))
    charset = match[1] if match else ""
    if _JAPANESE in data and not charset.lower().startswith("iso-2022"):
        charset = "iso-2022-jp"
    text = ""
    if _TRUSTED.match(charset):
        try:
            text = data.decode(charset, "replace")
        except (LookupError, ValueError):
            charset = ""
    if not text:
        text = decode_bytes(data)
    if charset.lower() in ("utf-8", "us-ascii") and "\ufffd" in text:  # labelled wrongly
        text = decode_bytes(data)
    return text.replace("\x00", "")
