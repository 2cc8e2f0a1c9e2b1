"""Make the content of a resend from the content that was sent before. Pure.

Policy. A full resend changes three header fields and nothing else: a fresh Message-ID and Date, because mailbox
providers hide a copy whose Message-ID they know, and the corrected address where To or Cc name the old one. A mail that
its author signed or encrypted is not touched at all: only its envelope changes. A plain resend keeps the header and
carries the first text/plain part byte for byte; signatures go, since they no longer hold. A mail without such a part
cannot be resent in plain form. RFC 5322 3.6, RFC 2045, RFC 6376, RFC 1847.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email import message_from_string
from email.message import Message as Part
from email.utils import format_datetime

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*")
_SIGNED_TYPE = re.compile(rb"(?:multipart/(?:signed|encrypted)|application/(?:x-)?pkcs7-mime)", re.IGNORECASE)
_BYTES = "latin-1"  # one character for each byte, so that the parser changes none
_ATOM = rb"A-Za-z0-9.!#$%&'*+/=?^_`{|}~-"

#: Fields that describe or sign the old body; a plain resend has its own.
_OF_THE_BODY = frozenset({b"mime-version", b"dkim-signature", b"domainkey-signature", b"x-google-dkim-signature"})
_OF_THE_BODY_PREFIXES = (b"content-", b"arc-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """What makes the copy a new mail: given, so that the work is repeatable."""

    now: datetime
    message_id: str  #: with <>
    old_address: str = ""
    new_address: str = ""  #: "" or the same as old_address: To and Cc stay as they are


def is_signed(content: bytes) -> bool:
    """Tell whether the author signed or encrypted the mail, so that any change would break it."""
    for name, field in _fields(_split(content)[0]):
        if name == b"dkim-signature" or (name == b"content-type" and _SIGNED_TYPE.search(field)):
            return True
    return False


def has_plain_form(content: bytes) -> bool:
    """Tell whether the mail has a text part that can be sent alone."""
    return _text_part(content) is not None


def forms_of(content: bytes) -> tuple[str, ...]:
    """Name the forms in which the mail can be sent again."""
    return ("full", "plain") if has_plain_form(content) else ("full",)


def full_copy(content: bytes, fresh: Freshness) -> bytes:
    """Make the content of a full resend."""
    if is_signed(content):
        return content
    header, body = _split(content)
    return b"".join(_renewed(header, fresh)) + b"\r\n" + body


def plain_copy(content: bytes, fresh: Freshness) -> bytes | None:
    """Make the content of a plain-text resend; None when the mail has no text part."""
    part = _text_part(content)
    if part is None:
        return None
    header, _ = _split(content)
    kept = [field for name, field in _fields(b"".join(_renewed(header, fresh))) if not _is_of_the_body(name)]
    kept.append(b"MIME-Version: 1.0\r\n")
    for name in ("Content-Type", "Content-Transfer-Encoding"):
        if name in part:
            kept.append(name.encode() + b": " + _raw(str(part[name])) + b"\r\n")
    body = _raw(part.get_payload())
    return b"".join(kept) + b"\r\n" + (body if body.endswith(b"\r\n") or not body else body + b"\r\n")


def _split(content: bytes) -> tuple[bytes, bytes]:
    """Cut the content at the blank line; the header keeps its last line end."""
    if content.startswith(b"\r\n"):
        return b"", content[2:]
    header, blank, body = content.partition(b"\r\n\r\n")
    return (header + b"\r\n", body) if blank else (content if content.endswith(b"\r\n") else content + b"\r\n", b"")


def _fields(header: bytes) -> list[tuple[bytes, bytes]]:
    """List the header fields: lower-case name, whole field with its folds and line end."""
    return [(match[1].lower(), match[0]) for match in _FIELD.finditer(header)]


def _renewed(header: bytes, fresh: Freshness) -> list[bytes]:
    new = {
        b"message-id": b"Message-ID: " + fresh.message_id.encode() + b"\r\n",
        b"date": b"Date: " + format_datetime(fresh.now).encode() + b"\r\n",
    }
    fields = []
    for name, field in _fields(header):
        if name in (b"message-id", b"date"):
            if name in new:  # a second Date or Message-ID of a careless app is left out
                fields.append(new.pop(name))
        elif name in (b"to", b"cc"):
            fields.append(_corrected(field, fresh))
        else:
            fields.append(field)
    return fields + list(new.values())


def _corrected(field: bytes, fresh: Freshness) -> bytes:
    if not fresh.new_address or fresh.new_address == fresh.old_address:
        return field
    pattern = rb"(?<![%b])%b(?![%b])" % (_ATOM, re.escape(fresh.old_address.encode()), _ATOM)
    new = fresh.new_address.encode()
    return re.sub(pattern, lambda _: new, field, flags=re.IGNORECASE)


def _is_of_the_body(name: bytes) -> bool:
    return name in _OF_THE_BODY or name.startswith(_OF_THE_BODY_PREFIXES)


def _text_part(content: bytes) -> Part | None:
    """Find the first text/plain part that is no attachment, in the order of the mail."""
    try:
        waiting: list[Part] = [message_from_string(content.decode(_BYTES))]
    except RecursionError:  # parts nested beyond reason
        return None
    while waiting:
        part = waiting.pop(0)
        if part.is_multipart():
            waiting[:0] = [inner for inner in part.get_payload() if isinstance(inner, Part)]
        elif part.get_content_type() == "text/plain" and part.get_content_disposition() != "attachment":
            return part
    return None


def _raw(text: object) -> bytes:
    return str(text).encode(_BYTES)
