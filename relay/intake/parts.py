"""Read the text parts of a mail, within bounds, for those who look for something in them. Pure.

Works on broken mail too: what cannot be decoded is left out or shown with replacement characters. Never used to build
a mail, only to read one. RFC 2045, RFC 2046 5.1.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from relay.errors import Refused
from relay.headers import HeaderBlock, parse_block

_MAX_CONTENT = 2 * 1024 * 1024
_MAX_TEXT = 256 * 1024
_MAX_DEPTH = 10
_MAX_PARTS = 100
_BOUNDARY = re.compile(rb'boundary\s*=\s*(?:"([^"\r\n]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_CHARSET = re.compile(rb'charset\s*=\s*"?([A-Za-z0-9_.:\-]{1,40})', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class TextPart:
    """One text part, decoded."""

    media_type: str  #: text/plain, text/html, text/calendar …
    text: str  #: at most the first 256 KiB


def text_parts(content: bytes) -> list[TextPart]:
    """Give the text parts in the order they stand."""
    found: list[TextPart] = []
    for part in _walk(content[:_MAX_CONTENT], depth=0):
        found.append(part)
        if len(found) >= _MAX_PARTS:
            break
    return found


def _walk(entity: bytes, *, depth: int) -> Iterator[TextPart]:
    try:
        block = parse_block(entity)
    except Refused:
        return
    body = entity[block.end :].removeprefix(b"\r\n")
    content_type = block.first("content-type") or b"text/plain"
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type.startswith(b"multipart/"):
        match = _BOUNDARY.search(content_type)
        if match is not None and depth < _MAX_DEPTH:
            for piece in _pieces(body, b"--" + (match[1] or match[2])):
                yield from _walk(piece, depth=depth + 1)
    elif media_type.startswith(b"text/"):
        yield TextPart(media_type.decode("ascii", "replace"), _decode(body, block, content_type))


def _pieces(body: bytes, delimiter: bytes) -> Iterator[bytes]:
    for piece in (b"\r\n" + body).split(b"\r\n" + delimiter, _MAX_PARTS)[1:]:
        if piece.startswith(b"--"):
            return
        yield piece.partition(b"\r\n")[2]


def _decode(body: bytes, block: HeaderBlock, content_type: bytes) -> str:
    body = body[: 2 * _MAX_TEXT]
    encoding = (block.first("content-transfer-encoding") or b"").strip().lower()
    if encoding == b"base64":
        packed = b"".join(body.split())
        try:
            body = binascii.a2b_base64(packed[: len(packed) // 4 * 4])
        except binascii.Error:
            return ""
    elif encoding == b"quoted-printable":
        body = binascii.a2b_qp(body)
    match = _CHARSET.search(content_type)
    charset = match[1].decode("ascii") if match else "utf-8"
    try:
        return body[:_MAX_TEXT].decode(charset, "replace")
    except (LookupError, ValueError):
        return body[:_MAX_TEXT].decode("utf-8", "replace")
