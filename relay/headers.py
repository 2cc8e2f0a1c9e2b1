"""Read the header block of a mail: fields, addresses with names, encoded words; and write our own trace line.

Everything here is bounded and total: broken mail gives poorer answers, never an exception, except that a header block
beyond the limits is refused as a whole. Values handed out are clean text: valid UTF-8 without control characters or
surrogates, so that they can be stored, logged and shown. Only the header block is read; no MIME is parsed here.
RFC 5322, RFC 2047, RFC 5321 4.4. No I/O, no clock.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from relay.errors import Refused

MAX_BLOCK = 1024 * 1024
MAX_FIELDS = 5000

_NAME = re.compile(rb"[!-9;-~]+[ \t]*\Z")
_UNCLEAN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
_INVISIBLE = re.compile(r"[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_ENCODED_WORD = re.compile(r"=\?([A-Za-z0-9_.:\-]{1,40})(?:\*[A-Za-z0-9\-]{1,20})?\?([BbQq])\?([!->@-~]*)\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)[ \t]+(?==\?[^?\s]+\?[BbQq]\?)")
_ADDRESS = re.compile(r'[^<>\s@,;:"()\\]+@[^<>\s@,;:"()\\]+\Z')
_DELIMITERS = re.compile(r'[\s<>,;:"()]+')
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_LIST_TOKEN = re.compile(r'\\.|[",;:<>]|[^",;:<>\\]+|\\', re.DOTALL)
_MESSAGE_ID = re.compile(r"<[^<>\s]+>")

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Field(NamedTuple):
    """One header field as it stands in the mail."""

    name: str  #: lower case
    raw: bytes  #: name, colon, value and folds; without the last CRLF

    @property
    def value(self) -> bytes:
        """The value, unfolded, without white space around it."""
        return self.raw.partition(b":")[2].replace(b"\r\n", b"").strip()


@dataclass(frozen=True, slots=True)
class HeaderBlock:
    """The fields in the order they stand, and where the block ends."""

    fields: list[Field]
    end: int  #: offset just after the last field's CRLF
    is_cut: bool = False  #: the block ended at a line that is no field, without an empty line

    def first(self, name: str) -> bytes | None:
        """Give the unfolded value of the first field of that (lower-case) name."""
        for field in self.fields:
            if field.name == name:
                return field.value
        return None

    def has(self, name: str) -> bool:
        """Tell whether there is a field of that (lower-case) name."""
        return any(field.name == name for field in self.fields)

    def all(self, name: str) -> list[bytes]:
        """Give the unfolded values of all fields of that (lower-case) name."""
        return [field.value for field in self.fields if field.name == name]

    def text(self, name: str, *, limit: int = 998) -> str:
        """Give the first such field decoded to clean text; "" when there is none."""
        value = self.first(name)
        return decode_value(value, limit=limit) if value else ""


def parse_block(content: bytes, *, start: int = 0) -> HeaderBlock:
    """Read the fields up to the first empty line, or up to the first line that cannot be a field.

    Lines end in CRLF. With no field at all, `fields` is empty and `end` is `start`.

    Raises:
        Refused: 554 5.6.0: the block is longer or has more fields than any honest mail.
    """
    end = start if content.startswith(b"\r\n", start) else content.find(b"\r\n\r\n", start)
    block = content[start : len(content) if end < 0 else end]
    if len(block) > MAX_BLOCK:
        # A mail without any header may be one huge text; only a block that is a header counts as too large.
        block = block[: MAX_BLOCK + 1]
    fields: list[Field] = []
    name = ""
    folded: list[bytes] = []
    position = start
    is_cut = False
    for line in block.split(b"\r\n") if block else ():
        if line[:1] in (b" ", b"\t") and folded:
            folded.append(line)
        else:
            before, colon, _ = line.partition(b":")
            if not colon or not _NAME.match(before):
                is_cut = line != b""
                break
            if folded:
                fields.append(Field(name, folded[0] if len(folded) == 1 else b"\r\n".join(folded)))
            name, folded = before.decode("ascii").rstrip().lower(), [line]
        position += len(line) + 2
        if len(fields) > MAX_FIELDS or position - start > MAX_BLOCK:
            raise Refused(554, "5.6.0", "the header is too large", reason="bad_content")
    if folded:
        fields.append(Field(name, b"\r\n".join(folded)))
    return HeaderBlock(fields, min(position, len(content)), is_cut)


def clean(text: str, *, limit: int = 998) -> str:
    """Make text fit to be stored and shown: one line, no control characters or surrogates, at most `limit` long."""
    if text.isascii() and text.isprintable():
        return text[:limit]
    return _INVISIBLE.sub("", _UNCLEAN.sub(" ", text)).strip()[:limit]


def decode_bytes(raw: bytes) -> str:
    """Decode undeclared 8-bit text: UTF-8 if it is, else Windows-1252, which is what old programs send."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def decode_value(raw: bytes, *, limit: int = 998) -> str:
    """Decode a field value with its encoded words to clean text; a broken word is shown as it stands."""
    text = decode_bytes(raw[: 4 * limit + 4096])
    if "=?" in text:
        text = _ENCODED_WORD.sub(_decode_word, _BETWEEN_WORDS.sub(r"\1", text))
    return clean(text, limit=limit)


def _decode_word(match: re.Match[str]) -> str:
    charset, encoding, payload = match.groups()
    try:
        if encoding in "Bb":
            data = binascii.a2b_base64(payload + "=" * (-len(payload) % 4))
        else:
            data = binascii.a2b_qp(payload, header=True)
        return data.decode(charset, "replace")
    except (LookupError, ValueError, binascii.Error):
        return match[0]


def parse_addresses(raw: bytes, *, limit: int = 2000) -> list[tuple[str, str]]:
    """Read (name, address) pairs from a From, To, Cc or Reply-To value; names decoded, addresses as written.

    What cannot be read is left out. Groups give their members. Time is linear in the length, whatever it is.
    """
    text = decode_bytes(raw[:262_144])
    # Encoded words are decoded after the split, so that a comma inside a name makes no second address.
    parts = _split_list(text)[:limit] if any(sign in text for sign in ',;:"') else [text]
    pairs = (_read_mailbox(part.strip()) for part in parts)
    return [pair for pair in pairs if pair is not None]


def hides_address(raw: bytes) -> bool:
    """Tell whether an address list has an address that parse_addresses leaves out; a name before <…> is none."""
    parts = [part.strip() for part in _split_list(decode_bytes(raw[:262_144])) if "@" in part]
    return any(_read_mailbox(part) is None or (not part.endswith(">") and part.count("@") > 1) for part in parts)


def _read_mailbox(part: str) -> tuple[str, str] | None:
    """Read `address`, `name <address>` or, with less care, anything that has an address in it."""
    if _ADDRESS.match(part):
        return "", clean(part)
    if part.endswith(">"):
        name, _, address = part[:-1].rpartition("<")
        if _ADDRESS.match(address.strip()):
            return _display_name(name.strip()), clean(address.strip())
    words = _DELIMITERS.split(part) if "@" in part else []
    address = next((word for word in words if _ADDRESS.match(word)), "")
    if not address:
        return None
    _, _, comment = part.partition("(")
    name = comment.rpartition(")")[0] if comment else part.partition("<")[0] if "<" in part else ""
    return _display_name(name.strip()), clean(address)


def _display_name(name: str) -> str:
    if len(name) > 1 and name.startswith('"') and name.endswith('"'):
        name = _ESCAPED.sub(r"\1", name[1:-1])
    return decode_value(name.encode("utf-8", "surrogatepass"), limit=200)


def _split_list(text: str) -> list[str]:
    """Split at the commas outside quotes and brackets; group names fall away, group members stay."""
    parts: list[str] = []
    current: list[str] = []
    is_quoted = is_bracketed = False
    for token in _LIST_TOKEN.findall(text):
        if is_quoted:
            is_quoted = token != '"'
        elif token == '"':
            is_quoted = True
        elif token in "<>":
            is_bracketed = token == "<"
        elif not is_bracketed and token in ",;:":
            if token != ":":
                parts.append("".join(current))
            current = []
            continue
        current.append(token)
    parts.append("".join(current))
    return [part for part in parts if part.strip()]


def message_ids(raw: bytes, *, limit: int = 50) -> list[str]:
    """Give the ids in a Message-ID, In-Reply-To or References value, with their brackets."""
    return [clean(found) for found in _MESSAGE_ID.findall(decode_bytes(raw[:65_536]))[:limit]]


def format_date(at: datetime) -> str:
    """Write a time as a Date or Received field wants it, in UTC."""
    at = at.astimezone(UTC)
    time = f"{at.hour:02}:{at.minute:02}:{at.second:02}"
    return f"{_DAYS[at.weekday()]}, {at.day} {_MONTHS[at.month - 1]} {at.year} {time} +0000"


def received_line(*, hostname: str, protocol: str, message_id: str, at: datetime) -> bytes:
    """Write our Received field with its CRLF.

    It names us, the protocol, the id and the time. It says nothing of the app's address or host name: those are of no
    use to the recipient, and tell strangers about the network behind the relay (RFC 5321 7.6).
    """
    return f"Received: by {hostname} with {protocol} id {message_id};\r\n\t{format_date(at)}\r\n".encode()
