"""Write a delivery status notification: a mail that tells a sender, and a program, what became of recipients.

Three parts: words for people; the fields for programs; what was sent, whole when the sender asked for it (RET=FULL),
the mail failed and is not large, else its header. What we write is 7-bit whatever it tells of: text is quoted-printable
where it must be, and the fields of mail that used SMTPUTF8 go as message/global-delivery-status, which may be encoded.
Only a mail that was 8-bit itself comes back 8-bit when all of it was asked for.

Nothing of a remote server's answer or of the mail can add a field or a part: values are put on one line, and the
boundary is made of the notification's own id, which nobody knew before. It never names where the mail came from.
RFC 3461 5 and 6, RFC 3464, RFC 6522, RFC 6533, RFC 3834 (Auto-Submitted). No I/O; the time is given.
"""

from __future__ import annotations

import quopri
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.address import split, to_a_label
from relay.dsn_rules import Action
from relay.headers import clean, format_date

#: A failed mail up to this size comes back whole when that was asked for.
FULL_UP_TO = 256 * 1024

_HEADER_UP_TO = 64 * 1024
_TEXT_WIDTH = 76
_LINE = 76
_MAX_VALUE = 900  # of a field: far below the 998 of a line, far above any honest answer

_XTEXT = re.compile(r"\+([0-9A-F]{2})")
_TYPED = re.compile(r"[A-Za-z0-9\-]{1,40};.", re.DOTALL)
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\Z")

_TITLE = {
    Action.FAILED: "Your mail was not delivered",
    Action.DELAYED: "Your mail is delayed",
    Action.DELIVERED: "Your mail was delivered",
    Action.RELAYED: "Your mail was passed on",
}

_WHAT = {
    Action.FAILED: "Your mail could not be delivered to the recipients below. It is not tried again.",
    Action.DELAYED: "Your mail has not reached the recipients below yet. It is still being tried; there is nothing "
    "you need to do, and nothing to send again.",
    Action.DELIVERED: "Your mail was delivered to the recipients below.",
    Action.RELAYED: "The servers of the recipients below took your mail. They send no notifications of their own, so "
    "this is the last you hear of it.",
}

#: The status when no server gave one that fits.
_PLAIN_STATUS = {
    Action.FAILED: "5.0.0",
    Action.DELAYED: "4.0.0",
    Action.DELIVERED: "2.0.0",
    Action.RELAYED: "2.0.0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """What is told of one recipient."""

    address: str
    words: tuple[str, ...] = ()  #: what happened and what to do, in plain sentences
    orcpt: str | None = None  #: as the client gave it, still encoded
    status: str | None = None  #: the enhanced code of the answer
    code: int | None = None  #: of a server's own answer
    reply: str = ""  #: of that server, or our own words where none answered
    remote: str | None = None  #: the server that answered
    last_attempt_at: datetime | None = None
    retry_until: datetime | None = None
    log_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """All that a notification is made of."""

    id: str  #: of the new message
    at: datetime
    hostname: str  #: ours
    to: str  #: the sender of the mail
    action: Action
    recipients: tuple[Recipient, ...]
    arrived_at: datetime
    subject: str = ""
    message_id: str = ""  #: of the mail, with its brackets
    envid: str | None = None  #: as the client gave it, still encoded
    is_utf8: bool = False  #: the mail used SMTPUTF8
    is_full_wanted: bool = False  #: RET=FULL
    original: bytes | None = None


def compose(told: Notification) -> bytes:
    """Write the mail."""
    boundary = f"=_{told.id}/dsn"
    parts = [_people(told), _fields(told), *_returned(told)]
    is_8bit = not all(part.isascii() for part in parts)
    body = b"".join(b"--%s\r\n%s\r\n" % (boundary.encode(), part) for part in parts)
    return _head(told, boundary, is_8bit=is_8bit) + b"\r\n" + body + b"--%s--\r\n" % boundary.encode()


def title(action: Action) -> str:
    """Give the subject line."""
    return _TITLE[action]


def sender(hostname: str) -> str:
    """Give the address that notifications are from; mail to it goes nowhere."""
    return f"MAILER-DAEMON@{to_a_label(hostname) or hostname}"


def ascii_form(address: str) -> str:
    """Write an address in ASCII where only its domain is not."""
    local, domain = split(address)
    label = None if address.isascii() else to_a_label(domain)
    return f"{local}@{label}" if label and local.isascii() else address


def _head(told: Notification, boundary: str, *, is_8bit: bool) -> bytes:
    ours = to_a_label(told.hostname) or told.hostname
    lines = [
        f"Received: by {ours} id {told.id};",
        f"\t{format_date(told.at)}",
        f"From: Mail delivery <{sender(told.hostname)}>",
        f"To: <{ascii_form(told.to)}>",
        f"Subject: {_TITLE[told.action]}",
        f"Date: {format_date(told.at)}",
        f"Message-ID: <{told.id}@{ours}>",
        *([f"In-Reply-To: {told.message_id}"] if _is_id(told.message_id) else []),
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{boundary}"',
        *(["Content-Transfer-Encoding: 8bit"] if is_8bit else []),
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


def _is_id(message_id: str) -> bool:
    return message_id.isascii() and re.fullmatch(r"<[!-;=?-~]{1,900}>", message_id) is not None


# -- for people


def _people(told: Notification) -> bytes:
    ours = to_a_label(told.hostname) or told.hostname
    lines = [*_wrapped(f"This is the mail relay {ours}."), "", *_wrapped(_WHAT[told.action]), ""]
    lines += _wrapped(f"Subject: {told.subject}", indent="    ") if told.subject else []
    lines += [f"    Accepted: {format_date(told.arrived_at)}"]
    for one in told.recipients:
        lines += ["", f"<{clean(one.address)}>"]
        for sentence in one.words:
            lines += _wrapped(sentence, indent="    ")
        if one.code is not None and told.action in (Action.FAILED, Action.DELAYED):
            lines += _wrapped(f"The answer of {one.remote or 'their server'}: {_answer(one)}", indent="    ")
    return _text("text/plain; charset=utf-8", lines)


def _wrapped(text: str, *, indent: str = "") -> list[str]:
    return textwrap.wrap(
        clean(text, limit=4096),
        _TEXT_WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _text(content_type: str, lines: Iterable[str]) -> bytes:
    text = "".join(f"{line}\r\n" for line in lines)
    return _encoded(content_type, text.encode("utf-8", "replace"))


def _encoded(content_type: str, text: bytes) -> bytes:
    """Make a part of text that is 7-bit and has no long line."""
    if text.isascii() and all(len(line) <= 990 for line in text.split(b"\r\n")):
        return b"Content-Type: %s\r\n\r\n%s" % (content_type.encode(), text)
    quoted = quopri.encodestring(text.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
    return b"Content-Type: %s\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n%s" % (
        content_type.encode(),
        quoted,
    )


# -- for programs


def _fields(told: Notification) -> bytes:
    ours = to_a_label(told.hostname) or told.hostname
    whole = [
        *([("Original-Envelope-Id", plain_envid(told.envid))] if told.envid else []),
        ("Reporting-MTA", f"dns; {ours}"),
        ("Arrival-Date", format_date(told.arrived_at)),
    ]
    groups = [whole, *(_recipient_fields(told, one) for one in told.recipients)]
    text = "\r\n".join("".join(_folded(name, value, is_utf8=told.is_utf8) for name, value in group) for group in groups)
    kind = "message/global-delivery-status" if told.is_utf8 else "message/delivery-status"
    return _encoded(kind, text.encode("utf-8", "replace"))


def _recipient_fields(told: Notification, one: Recipient) -> list[tuple[str, str]]:
    found: list[tuple[str, str | None]] = [
        ("Original-Recipient", plain_orcpt(one.orcpt) if one.orcpt else None),
        ("Final-Recipient", _typed(one.address, is_utf8=told.is_utf8)),
        ("Action", told.action.value),
        ("Status", _status(told.action, one)),
        ("Remote-MTA", f"dns; {one.remote}" if one.remote and one.code is not None else None),
        ("Diagnostic-Code", _diagnostic(told.action, one)),
        ("Last-Attempt-Date", format_date(one.last_attempt_at) if one.last_attempt_at else None),
        ("Final-Log-ID", one.log_id or None),
        (
            "Will-Retry-Until",
            format_date(one.retry_until) if one.retry_until and told.action is Action.DELAYED else None,
        ),
    ]
    return [(name, value) for name, value in found if value is not None]


def _typed(address: str, *, is_utf8: bool) -> str:
    if address.isascii():
        return f"rfc822; {address}"
    written = ascii_form(address)
    if written.isascii():
        return f"rfc822; {written}"
    return f"utf-8; {address if is_utf8 else escaped_utf8(address)}"


def escaped_utf8(text: str) -> str:
    r"""Write an address with \x{…} for what is not ASCII, and for what an escape is made of (RFC 6533 3)."""
    return "".join(
        letter if "!" <= letter <= "~" and letter not in "\\+=" else f"\\x{{{ord(letter):02X}}}" for letter in text
    )


def plain_envid(envid: str) -> str:
    """Take the encoding off an ENVID; one that hides control characters, or only spaces, stays encoded."""
    return _shown(envid)


def plain_orcpt(orcpt: str) -> str | None:
    """Write an ORCPT as a field; None when it is none."""
    if not _TYPED.match(orcpt):
        return None
    kind, _, address = orcpt.partition(";")
    if kind.lower() == "utf-8":  # has an encoding of its own, which stays
        return f"utf-8; {address}"
    return f"{kind}; {_shown(address)}"


def _shown(xtext: str) -> str:
    plain = _XTEXT.sub(lambda match: chr(int(match[1], 16)), xtext)
    return plain if plain.strip() and all(" " <= letter <= "~" for letter in plain) else xtext


def _status(action: Action, one: Recipient) -> str:
    """Give the status: the server's own where it fits what happened, else one made of the code."""
    fitting = {Action.FAILED: "45", Action.DELAYED: "4"}.get(action, "2")
    if one.status and _STATUS.match(one.status) and one.status[0] in fitting:
        return one.status
    if one.code is not None and str(one.code)[0] in fitting:
        return f"{str(one.code)[0]}.0.0"
    return _PLAIN_STATUS[action]


def _diagnostic(action: Action, one: Recipient) -> str | None:
    if one.code is not None:
        return f"smtp; {_answer(one)}"
    return f"X-Waybill; {one.reply}" if one.reply and action in (Action.FAILED, Action.DELAYED) else None


def _answer(one: Recipient) -> str:
    return clean(f"{one.code} {one.status + ' ' if one.status else ''}{clean(one.reply)}", limit=_MAX_VALUE)


def _folded(name: str, value: str, *, is_utf8: bool) -> str:
    """Write a field, folded at its spaces; none when it has no value."""
    text = clean(value, limit=_MAX_VALUE).strip()
    if not text:
        return ""
    if not is_utf8:
        text = text.encode("ascii", "replace").decode("ascii")
    lines = [f"{name}:"]
    for word in filter(None, text.split(" ")):
        if len(lines[-1]) + 1 + len(word) > _LINE and len(lines[-1]) > len(name) + 1:
            lines.append("")
        lines[-1] += f" {word}"
    return "".join(f"{line}\r\n" for line in lines)


# -- what was sent


def _returned(told: Notification) -> Sequence[bytes]:
    original = told.original
    if original is None:
        return ()
    if told.is_full_wanted and told.action is Action.FAILED and len(original) <= FULL_UP_TO:
        if told.is_utf8:
            return (_encoded("message/global", original),)
        encoding = b"" if original.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"  # RFC 2046 5.2.1: no other
        return (b"Content-Type: message/rfc822\r\n%s\r\n%s" % (encoding, original),)
    return (_encoded("message/global-headers" if told.is_utf8 else "text/rfc822-headers", _header_of(original)),)


def _header_of(original: bytes) -> bytes:
    """Give the header, cut at the end of a line when it is very long."""
    header = b"" if original.startswith(b"\r\n") else original.partition(b"\r\n\r\n")[0]
    if len(header) > _HEADER_UP_TO:
        header = header[:_HEADER_UP_TO].rpartition(b"\r\n")[0]
    return header.removesuffix(b"\r\n") + b"\r\n"
