"""Make of what an app sent the bytes that are stored and sent: the one normalisation there is. Pure.

Every repair has a stable word, recorded with the message, so that an app's faults can be shown. Nothing is repaired
silently, and a mail without faults is stored byte for byte, with our Received line before it.

    bare_lf, bare_cr        lines end in CRLF; a CR that ends no line becomes a space (or the mail is refused)
    mbox_line_removed       a first line "From someone ..." of a mailbox file
    blank_line_removed      empty lines before the header
    header_added            no header at all: the whole text is the body
    blank_line_added        the header runs into the body without an empty line
    date_added, message_id_added, from_added, from_replaced
    bcc_removed, private_headers_removed      Bcc names people who must not be seen; X-Waybill-* is for us alone
    header_encoded          raw 8-bit text in Subject or a display name, as an RFC 2047 word
    charset_added           8-bit body without any Content-Type
    long_lines_wrapped      see long_lines.py; in a mail its author signed: long_lines_kept

Refused: NUL, a header beyond reason, a loop, long lines that cannot be mended. A mail its author signed (DKIM, S/MIME,
PGP) loses Bcc and X-Waybill-* and has its line ends mended, since it could not travel otherwise, and nothing else.
RFC 5321 2.3.8, 3.9, 6.3; RFC 5322 2.1, 3.6; RFC 6409 8.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import datetime

from relay.errors import Refused
from relay.headers import (
    Field,
    HeaderBlock,
    decode_bytes,
    format_date,
    parse_addresses,
    parse_block,
    received_line,
)
from relay.intake.long_lines import has_long_line, wrap
from relay.intake.policy import is_unreal_sender

MAX_RECEIVED = 100
_MAX_OWN_RECEIVED = 3
# A run of CRs is looked at from its first one only: from each of them, a run without LF would cost its length squared.
_NEWLINE = re.compile(rb"(?<!\r)\r*\n")
_UNSTRUCTURED = frozenset({"subject", "comments", "organization"})
_ADDRESSED = frozenset({"from", "to", "cc", "reply-to", "sender"})
_LEADING_BLANKS = re.compile(rb"(?:[ \t]*\r\n){1,20}(?=[!-9;-~]+:)")
_MBOX_LINE = re.compile(rb">?From [^\r\n]*\r\n(?=[!-9;-~]+[ \t]*:)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What the repair must know of the transaction."""

    message_id: str
    hostname: str
    at: datetime
    protocol: str  #: of the Received line: ESMTPSA …
    mail_from: str  #: the (possibly replaced) reverse path; "" for the null sender
    default_from: str | None = None
    bare_newline: str = "normalize"
    is_smtputf8: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """The content to store, its header as the app gave it, and what was mended."""

    content: bytes
    block: HeaderBlock  #: of the mail as it came, private fields included; its offsets are not those of `content`
    repairs: tuple[str, ...]


def repair(raw: bytes, origin: Origin) -> Repaired:
    """Make the content to store.

    Raises:
        Refused: 550 5.6.0, 550 5.6.11, 554 5.4.6 or 554 5.6.0.
    """
    repairs: list[str] = []
    text = _newlines(raw, origin.bare_newline, repairs)
    text = _shape(text, repairs)
    block = parse_block(text)
    rest = _after_header(text, block, repairs)
    _check_loop(block, origin.hostname)
    is_signed = _is_signed(block)
    lines = _fields(block, origin, repairs, is_signed=is_signed)
    if not is_signed and not rest.isascii() and not block.has("content-type"):
        lines += _charset_lines(block, rest)
        repairs.append("charset_added")
    received = received_line(
        hostname=origin.hostname, protocol=origin.protocol, message_id=origin.message_id, at=origin.at
    )
    content = b"".join((received, b"\r\n".join(lines), b"\r\n" if lines else b"", rest))
    if has_long_line(content):
        content = _without_long_lines(content, repairs, is_signed=is_signed)
    return Repaired(content=content, block=block, repairs=tuple(dict.fromkeys(repairs)))


def _newlines(raw: bytes, policy: str, repairs: list[str]) -> bytes:
    if b"\0" in raw:
        raise Refused(550, "5.6.0", "the content has a NUL byte", reason="bad_content")
    pairs = raw.count(b"\r\n")
    has_bare_lf, has_bare_cr = raw.count(b"\n") != pairs, raw.count(b"\r") != pairs
    if not has_bare_lf and not has_bare_cr:
        return raw
    if policy == "reject":
        raise Refused(550, "5.6.11", "a line ends without CRLF", reason="bad_content")
    repairs += ["bare_lf"] * has_bare_lf + ["bare_cr"] * has_bare_cr
    if has_bare_cr:
        raw = _NEWLINE.sub(b"\n", raw).replace(b"\r", b" ")
    return raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _shape(text: bytes, repairs: list[str]) -> bytes:
    """Drop what stands before the header."""
    match = _LEADING_BLANKS.match(text) if text[:1] in (b"\r", b" ", b"\t") else None
    if match is not None:
        repairs.append("blank_line_removed")
        text = text[match.end() :]
    match = _MBOX_LINE.match(text) if text[:5] == b"From " or text[:6] == b">From " else None
    if match is not None:
        repairs.append("mbox_line_removed")
        text = text[match.end() :]
    return text


def _after_header(text: bytes, block: HeaderBlock, repairs: list[str]) -> bytes:
    """Give the empty line and the body."""
    rest = text[block.end :]
    if rest.startswith(b"\r\n"):
        return rest
    if not block.fields:
        repairs.append("header_added")
    elif block.is_cut:
        repairs.append("blank_line_added")
    return b"\r\n" + rest


def _check_loop(block: HeaderBlock, hostname: str) -> None:
    received = block.all("received")
    if not received:
        return
    by_us = f"by {hostname.lower()} ".encode()
    own = sum(1 for value in received if by_us in value.lower() + b" ")
    if len(received) >= MAX_RECEIVED or own >= _MAX_OWN_RECEIVED:
        raise Refused(554, "5.4.6", "this mail goes in circles (too many Received lines)", reason="loop")


def _is_signed(block: HeaderBlock) -> bool:
    if block.has("dkim-signature"):
        return True
    return (block.first("content-type") or b"").lstrip()[:16].lower() == b"multipart/signed"


def _fields(block: HeaderBlock, origin: Origin, repairs: list[str], *, is_signed: bool) -> list[bytes]:
    """Give the header lines to store: what must be added, then the app's own without the private ones."""
    names = {field.name for field in block.fields}
    lines: list[bytes] = []
    if not is_signed:
        lines += _missing(block, origin, repairs, names=names)
    is_plain_ascii = origin.is_smtputf8 or is_signed
    for field in block.fields:
        name = field.name
        if name[0] in "brx" and _is_private(name, repairs):
            continue
        if name == "message-id" and "message_id_added" in repairs:
            continue
        if name == "from" and not is_signed:
            lines.append(_from_line(field, origin, repairs))
        elif is_plain_ascii or field.raw.isascii():
            lines.append(field.raw)
        else:
            lines.append(_encoded(field, repairs))
    return lines


def _is_private(name: str, repairs: list[str]) -> bool:
    if name in {"bcc", "resent-bcc"}:
        repairs.append("bcc_removed")
        return True
    if name.startswith("x-waybill-"):
        repairs.append("private_headers_removed")
        return True
    return False


def _missing(block: HeaderBlock, origin: Origin, repairs: list[str], *, names: set[str]) -> list[bytes]:
    added: list[bytes] = []
    if "date" not in names:
        added.append(f"Date: {format_date(origin.at)}".encode())
        repairs.append("date_added")
    if "message-id" not in names or not block.first("message-id"):
        added.append(f"Message-ID: <{origin.message_id}@{origin.hostname}>".encode())
        repairs.append("message_id_added")
    if "from" not in names:
        sender = origin.default_from or origin.mail_from
        if not sender:
            raise Refused(550, "5.6.0", "there is no From header and no sender to make one of", reason="bad_content")
        added.append(f"From: <{sender}>".encode())
        repairs.append("from_added")
    return added


def _from_line(field: Field, origin: Origin, repairs: list[str]) -> bytes:
    """Keep the From, unless its address cannot be right and the app has a default."""
    raw = field.raw
    if origin.default_from is not None and is_unreal_from(field.value):
        repairs.append("from_replaced")
        pairs = parse_addresses(field.value)
        return b"From: " + _address_text(pairs[0][0] if pairs else "", origin.default_from)
    if raw.isascii() or origin.is_smtputf8:
        return raw
    return _encoded(field, repairs)


def is_unreal_from(value: bytes) -> bool:
    """Tell whether a From value names nobody, or somebody who can never receive an answer."""
    pairs = parse_addresses(value)
    return not pairs or any(is_unreal_sender(address) for _, address in pairs)


def _encoded(field: Field, repairs: list[str]) -> bytes:
    """Write a field's raw 8-bit text as encoded words, where its syntax is known; else leave it."""
    name = field.raw.partition(b":")[0]
    if field.name in _UNSTRUCTURED:
        repairs.append("header_encoded")
        return name + b": " + encode_words(decode_bytes(field.value))
    if field.name in _ADDRESSED:
        pairs = parse_addresses(field.value)
        if pairs and all(address.isascii() for _, address in pairs):
            repairs.append("header_encoded")
            return name + b": " + b",\r\n ".join(_address_text(*pair) for pair in pairs)
    return field.raw


def _address_text(name: str, address: str) -> bytes:
    if not name:
        return f"<{address}>".encode()
    if name.isascii():
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}" <{address}>'.encode()
    return encode_words(name) + f" <{address}>".encode()


def encode_words(text: str) -> bytes:
    """Write text as folded RFC 2047 words of at most 75 characters, never splitting a character."""
    words, chunk = [], ""
    for character in text:
        if len((chunk + character).encode()) > 42:
            words.append(chunk)
            chunk = ""
        chunk += character
    words.append(chunk)
    return b"\r\n ".join(b"=?utf-8?B?" + base64.b64encode(word.encode()) + b"?=" for word in words)


def _charset_lines(block: HeaderBlock, body: bytes) -> list[bytes]:
    try:
        body.decode("utf-8")
        charset = b"utf-8"
    except UnicodeDecodeError:
        charset = b"windows-1252"
    lines = [b"Content-Type: text/plain; charset=" + charset]
    if not block.has("mime-version"):
        lines.append(b"MIME-Version: 1.0")
    if not block.has("content-transfer-encoding"):
        lines.append(b"Content-Transfer-Encoding: 8bit")
    return lines


def _without_long_lines(content: bytes, repairs: list[str], *, is_signed: bool) -> bytes:
    if is_signed:
        repairs.append("long_lines_kept")
        return content
    wrapped = wrap(content)
    if has_long_line(wrapped):
        if b"multipart/signed" not in wrapped.lower():
            raise Refused(554, "5.6.0", "a line is over 998 octets and cannot be wrapped", reason="bad_content")
        repairs.append("long_lines_kept")
    if wrapped != content:
        repairs.append("long_lines_wrapped")
    return wrapped
