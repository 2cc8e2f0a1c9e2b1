"""Read the parts of a mail to show them, within bounds, however broken it is. Pure.

Policy. Nothing raises and every step is linear in the bytes: at most _MAX_PARTS parts down to _MAX_DEPTH levels are
opened, an attached mail is not entered, and of a text at most MOST_TEXT letters are shown; `is_cut` says so. What
cannot be decoded is shown with replacement characters; a charset is believed only when it is on the list, because some
codecs take quadratic time. An attachment is named by us: its own name is only ever shown.
RFC 2045, RFC 2046 5.1, RFC 2183, RFC 2392.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from relay.errors import Refused
from relay.headers import HeaderBlock, clean, decode_bytes, decode_value, parse_block

#: More of one text is not shown.
MOST_TEXT = 512 * 1024

_MAX_DEPTH = 12
_MAX_PARTS = 200
_MAX_FIELDS = 400
_MAX_PICTURES = 6 * 1024 * 1024
_BOUNDARY = re.compile(rb'boundary\*?\s{0,9}=\s{0,9}(?:"([^"\r\n]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_CHARSET = re.compile(rb"charset\*?\s{0,9}=\s{0,9}[\"']?([A-Za-z0-9_.:\-]{1,40})", re.IGNORECASE)
_FILE_NAME = re.compile(
    rb'\b(?:file)?name\s{0,9}=\s{0,9}(?:"((?:[^"\\\r\n]|\\.){1,500})"|([^\s;"]{1,500}))', re.IGNORECASE
)
_FILE_NAME_STAR = re.compile(
    rb"\b(?:file)?name\*(?:0\*)?\s{0,9}=\s{0,9}\"?([A-Za-z0-9_\-]{0,40})'[^'\s;]{0,20}'([^\s;\"]{1,900})", re.I
)
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,90}\Z")
_TRUSTED = re.compile(
    r"(?:utf-?8|utf-?16(?:le|be)?|(?:us-)?ascii|iso-?8859-\d{1,2}|latin-?\d|(?:windows|cp)-?(?:8\d\d|125\d|932|949)"
    r"|koi8-[ru]|iso-2022-jp|shift[-_]?jis|euc[-_](?:jp|kr)|gb2312|gbk|gb18030|big5)\Z",
    re.IGNORECASE,
)
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text as it is shown."""

    text: str
    is_cut: bool  #: it is longer than that


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part that holds no others."""

    number: int  #: its place in the mail, from 1
    media_type: str
    disposition: str  #: inline | attachment | ""
    name: str  #: as its author wrote it; for showing only
    content_id: str
    encoding: str
    charset: str
    raw: bytes = field(repr=False)  #: as it stands in the mail

    @property
    def size(self) -> int:
        """About how large it is once decoded."""
        return len(self.raw) * 73 // 100 if self.encoding == "base64" else len(self.raw)

    @property
    def file_name(self) -> str:
        """Give the name it is saved under: made of harmless letters, and never a path."""
        stem, dot, ending = self.name.replace("\\", "/").rpartition("/")[2].rpartition(".")
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", stem if dot else ending).strip("-")[:60] or "attachment"
        ending = ending.lower() if dot and re.fullmatch(r"[A-Za-z0-9]{1,8}", ending) else "bin"
        return f"{self.number}-{stem}.{ending}"

    def content(self) -> bytes:
        """Undo the transfer encoding, as far as that goes."""
        if self.encoding == "base64":
            packed = self.raw.translate(None, _NOT_BASE64)
            try:
                return binascii.a2b_base64(packed[: len(packed) // 4 * 4] + _padded(packed))
            except binascii.Error:
                return self.raw
        return binascii.a2b_qp(self.raw) if self.encoding == "quoted-printable" else self.raw


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What a mail holds."""

    fields: tuple[tuple[str, str], ...]  #: (name, decoded value) in order
    has_more_fields: bool
    plain: Part | None
    html: Part | None
    others: tuple[Part, ...]  #: everything that is neither of the two
    is_cut: bool  #: it has more parts, or deeper ones, than are opened

    def part(self, number: int) -> Part | None:
        """Give an attachment by its number."""
        return next((one for one in self.others if one.number == number), None)

    def pictures(self) -> dict[str, str]:
        """Give the pictures that stand in the mail itself, as data: addresses by Content-ID."""
        found: dict[str, str] = {}
        room = _MAX_PICTURES
        for one in self.others:
            if not one.content_id or one.media_type not in _PICTURES or one.content_id in found:
                continue
            room -= len(one.raw)
            if room < 0:
                break
            found[one.content_id] = f"data:{one.media_type};base64,{base64.b64encode(one.content()).decode('ascii')}"
        return found


def read(raw: bytes) -> Mail:
    """Read a mail."""
    if raw.count(b"\n") != raw.count(b"\r\n"):
        raw = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    walk = _Walk()
    leaves = list(walk.leaves(raw, depth=0))
    plain = next((one for one in leaves if one.media_type == "text/plain" and _is_shown(one)), None)
    html = next((one for one in leaves if one.media_type == "text/html" and _is_shown(one)), None)
    block = _block(raw)
    fields = tuple((_name(one.raw), decode_value(one.value, limit=4000)) for one in block.fields[:_MAX_FIELDS])
    return Mail(
        fields=fields,
        has_more_fields=len(block.fields) > _MAX_FIELDS,
        plain=plain,
        html=html,
        others=tuple(one for one in leaves if one is not plain and one is not html),
        is_cut=walk.is_cut,
    )


def text_of(part: Part) -> Text:
    """Decode a text part."""
    data = part.content()[: 4 * MOST_TEXT]
    charset = part.charset if _TRUSTED.match(part.charset) else ""
    text = ""
    if charset:
        try:
            text = data.decode(charset, "replace")
        except (LookupError, ValueError):
            charset = ""
    if not charset or (charset.lower() in {"utf-8", "utf8", "us-ascii", "ascii"} and "\ufffd" in text):
        text = decode_bytes(data)
    text = visible(text)
    return Text(text=text[:MOST_TEXT], is_cut=len(text) > MOST_TEXT or len(part.raw) > 8 * MOST_TEXT)


def visible(text: str) -> str:
    """Leave out of a text of many lines what cannot be seen and could act on a screen."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


class _Walk:
    """One way through the parts of a mail, with what is left of its bounds."""

    def __init__(self) -> None:
        self.count = 0
        self.is_cut = False

    def leaves(self, entity: bytes, *, depth: int) -> Iterator[Part]:
        block = _block(entity)
        body = entity[block.end :].removeprefix(b"\r\n")
        declared = block.first("content-type") or b"text/plain"
        media_type = _media_type(declared)
        if media_type.startswith("multipart/"):
            pieces = self._pieces(body, declared, depth)
            if pieces is not None:
                for piece in pieces:
                    yield from self.leaves(piece, depth=depth + 1)
                return
            media_type = "text/plain"  # labelled wrongly, or nested deeper than is opened
        if self.count >= _MAX_PARTS:
            self.is_cut = True
            return
        self.count += 1
        yield _leaf(block, body, declared, media_type=media_type, number=self.count)

    def _pieces(self, body: bytes, declared: bytes, depth: int) -> list[bytes] | None:
        match = _BOUNDARY.search(declared)
        if match is None:
            return None
        if depth >= _MAX_DEPTH or self.count >= _MAX_PARTS:
            self.is_cut = True
            return None if depth >= _MAX_DEPTH else []
        line = re.compile(rb"\r\n--%b(--)?[ \t]{0,99}(?=\r\n|\Z)" % re.escape(match[1] or match[2]))
        body = b"\r\n" + body
        pieces: list[bytes] = []
        begin: int | None = None
        for found in line.finditer(body):
            if begin is not None:
                pieces.append(body[begin : found.start()])
            begin = None if found[1] else found.end() + 2
            if found[1] or len(pieces) > _MAX_PARTS:
                break
        if begin is not None:  # the last line is missing
            pieces.append(body[begin:])
        if len(pieces) > _MAX_PARTS:
            self.is_cut = True
        return pieces[:_MAX_PARTS] or None


def _leaf(block: HeaderBlock, body: bytes, declared: bytes, *, media_type: str, number: int) -> Part:
    disposition = block.first("content-disposition") or b""
    match = _CHARSET.search(declared)
    return Part(
        number=number,
        media_type=media_type,
        disposition=_word(disposition),
        name=_file_name(disposition) or _file_name(declared),
        content_id=clean(decode_bytes(block.first("content-id") or b"").strip(" <>"), limit=200),
        encoding=_word(block.first("content-transfer-encoding") or b""),
        charset=match[1].decode("ascii") if match else "",
        raw=body,
    )


def _block(entity: bytes) -> HeaderBlock:
    try:
        return parse_block(entity)
    except Refused:  # a header beyond all measure: all of it is text
        return HeaderBlock([], 0)


def _media_type(declared: bytes) -> str:
    found = _word(declared)
    return found if _TYPE.match(found) else "text/plain"


def _word(value: bytes) -> str:
    return value[:300].partition(b";")[0].strip().lower().decode("ascii", "replace")


def _file_name(value: bytes) -> str:
    value = value[:4000]
    extended = _FILE_NAME_STAR.search(value)
    if extended is not None:
        data, charset = unquote_to_bytes(extended[2]), extended[1].decode("ascii")
        return clean(data.decode(charset, "replace") if _TRUSTED.match(charset) else decode_bytes(data), limit=200)
    match = _FILE_NAME.search(value)
    return decode_value(match[1] or match[2], limit=200) if match else ""


def _name(raw: bytes) -> str:
    return raw.partition(b":")[0].strip().decode("ascii", "replace")


def _is_shown(part: Part) -> bool:
    return part.disposition != "attachment" and not part.name


def _padded(packed: bytes) -> bytes:
    """Complete the last group of a base64 text that lost its end, or whose padding was taken off with the rest."""
    rest = packed[len(packed) // 4 * 4 :]
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""
