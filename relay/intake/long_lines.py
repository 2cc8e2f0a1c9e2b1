"""Bring lines over 998 octets under the limit of SMTP without changing what the mail says. Pure.

Old programs write a whole HTML page on one line; servers on the way refuse such mail or break it anywhere. Only the
part that has such a line changes: text becomes quoted-printable, base64 is wrapped anew, a header field is folded. All
other parts keep every byte, and nothing inside a multipart/signed changes at all. What cannot be mended stays as it is;
the caller decides what that means. The structure is followed to a bounded depth and number of parts.
RFC 5321 4.5.3.1.6, RFC 5322 2.1.1, RFC 2045 6.7, RFC 2046 5.1.
"""

from __future__ import annotations

import binascii
import re

from relay.headers import Field, HeaderBlock, parse_block

MAX_LINE = 998
_MAX_DEPTH = 20
_MAX_PARTS = 1000
_FOLD_AT = 900
_BOUNDARY = re.compile(rb'boundary\s*=\s*(?:"([^"\r\n]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_ADDRESS_LISTS = frozenset({"to", "cc", "reply-to", "references", "in-reply-to"})
_TEXT_ENCODINGS = frozenset({b"", b"7bit", b"8bit", b"binary"})


def has_long_line(content: bytes, *, start: int = 0, end: int | None = None) -> bool:
    """Tell whether a line has over 998 octets (CRLF lines); looks once per kilobyte, not once per line."""
    stop = len(content) if end is None else end
    while start + MAX_LINE < stop:
        newline = content.rfind(b"\n", start, start + MAX_LINE + 2)
        if newline < 0:
            return stop - start > MAX_LINE + 2 or content.find(b"\n", start, stop) < 0
        start = newline + 1
    return False


def wrap(content: bytes) -> bytes:
    """Mend every long line that can be mended."""
    return _Wrapper().message(content, depth=0, is_top=True)


class _Wrapper:
    """One run over one mail, with its budget of parts."""

    def __init__(self) -> None:
        self._parts = 0

    def message(self, content: bytes, *, depth: int, is_top: bool = False) -> bytes:
        """Mend one entity: header, empty line, body."""
        self._parts += 1
        if depth > _MAX_DEPTH or self._parts > _MAX_PARTS or not has_long_line(content):
            return content
        block = parse_block(content)
        body_at = block.end + 2 if content.startswith(b"\r\n", block.end) else block.end
        body = content[body_at:]
        media_type = (block.first("content-type") or b"text/plain").partition(b";")[0].strip().lower()
        added: list[bytes] = []
        if media_type == b"multipart/signed":
            new_body = body
        elif media_type.startswith(b"multipart/"):
            new_body = self._multipart(body, block, depth=depth)
        elif media_type == b"message/rfc822":
            new_body = self.message(body, depth=depth + 1)
        else:
            new_body, encoding = _encode(body, (block.first("content-transfer-encoding") or b"").lower())
            if encoding:
                added.append(b"Content-Transfer-Encoding: " + encoding)
                if is_top and not block.has("mime-version"):
                    added.append(b"MIME-Version: 1.0")
        return _header(block, added) + content[block.end : body_at] + new_body

    def _multipart(self, body: bytes, block: HeaderBlock, *, depth: int) -> bytes:
        match = _BOUNDARY.search(block.first("content-type") or b"")
        if match is None:
            return body
        delimiter = b"--" + (match[1] or match[2])
        pieces = (b"\r\n" + body).split(b"\r\n" + delimiter, _MAX_PARTS + 1)
        if len(pieces) > _MAX_PARTS:
            return body
        for index, piece in enumerate(pieces[1:], 1):
            rest_of_line, newline, part = piece.partition(b"\r\n")
            if rest_of_line.startswith(b"--"):  # the closing delimiter; what follows is no part
                break
            if newline and not rest_of_line.strip():
                pieces[index] = rest_of_line + newline + self.message(part, depth=depth + 1)
        return (b"\r\n" + delimiter).join(pieces)[2:]


def _encode(body: bytes, encoding: bytes) -> tuple[bytes, bytes | None]:
    """Give the body with short lines, and its new transfer encoding if that changed."""
    if not has_long_line(body):
        return body, None
    if encoding == b"base64":
        packed = b"".join(body.split())
        lines = [packed[i : i + 76] for i in range(0, len(packed), 76)]
        return b"\r\n".join(lines) + (b"\r\n" if body.endswith(b"\r\n") else b""), None
    if encoding == b"quoted-printable":
        return _quoted_printable(binascii.a2b_qp(body)), None
    if encoding in _TEXT_ENCODINGS:
        return _quoted_printable(body), b"quoted-printable"
    return body, None


def _quoted_printable(body: bytes) -> bytes:
    return binascii.b2a_qp(body, istext=True).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _header(block: HeaderBlock, added: list[bytes]) -> bytes:
    """Write the fields again, the long ones folded, with a new transfer encoding in place of the old."""
    replaced = any(line.startswith(b"Content-Transfer-Encoding:") for line in added)
    lines = [
        fold(field) if len(field.raw) > MAX_LINE else field.raw
        for field in block.fields
        if not (replaced and field.name == "content-transfer-encoding")
    ]
    return b"".join(line + b"\r\n" for line in [*lines, *added])


def fold(field: Field) -> bytes:
    """Fold a field's long lines at white space, or after a comma of an address list."""
    folded = []
    for line in field.raw.split(b"\r\n"):
        while len(line) > MAX_LINE:
            at = line.rfind(b" ", len(field.name) + 2, _FOLD_AT)
            space = b""
            if at < 0 and field.name in _ADDRESS_LISTS:
                at, space = line.rfind(b",", 0, _FOLD_AT) + 1, b" "
            if at <= 0:
                break
            folded.append(line[:at])
            line = space + line[at:]
        folded.append(line)
    return b"\r\n".join(folded)
