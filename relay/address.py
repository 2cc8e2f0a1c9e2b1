"""Mail addresses: read a path, judge it, and make the two forms everything else goes by.

An address is kept exactly as the app wrote it and goes on the wire byte for byte; nothing here rewrites one. Beside
it stand two derived forms: the *domain* (lower-case A-label, what routing goes by) and the *key* (what blocks and
counters go by). The key folds the case of the local part, since no mailbox provider tells two cases apart, and takes
the quotes off a local part that needs none; it never strips dots or a +tag, because those can be different people.

Policy: dot-atoms and quoted strings are taken, comments, lists, source routes, spaces and control characters are
refused, so that no server further on can read another address into the same bytes. The small faults of old programs
(a space before the path, missing brackets) are mended and named. RFC 5321 4.1.2 and 4.5.3.1, RFC 6531, RFC 5890.
No I/O, no DNS: whether a domain exists is asked at delivery.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

import idna

from relay.errors import Refused
from relay.wording import say

_ATEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)*(?!\d+\Z){_LABEL}\Z")
_DOT_ATOM = re.compile(rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*\Z")
_DOT_ATOM_UTF8 = re.compile(rf"[{_ATEXT}\u0080-\U0010ffff]+(?:\.[{_ATEXT}\u0080-\U0010ffff]+)*\Z")
_QUOTED = re.compile(r'"(?:[ !#-\[\]-~\u0080-\U0010ffff]|\\[ -~])*"\Z')
# Most addresses are of this form; one match decides them.
_PLAIN = re.compile(rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*@(?:{_LABEL}\.)*(?!\d+\Z){_LABEL}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_BRACKETED = re.compile(r'<((?:[^<>"\\\s]|"(?:[^"\\]|\\.)*")*)>(?:\s+(.*))?\Z')
_BARE = re.compile(r'((?:[^<>"\\\s]|"(?:[^"\\]|\\.)*")+)(?:\s+(.*))?\Z')

MAX_LOCAL = 64
MAX_DOMAIN = 255
MAX_ADDRESS = 254  # a path of 256 octets less its two brackets


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A reverse or forward path as it stood in a command."""

    address: str  #: between the brackets, untouched; "" for <>
    parameters: str  #: what followed, untouched
    repairs: tuple[str, ...] = ()  #: space_before_path, missing_brackets


def parse_path(text: str, *, is_sender: bool = False) -> Path:
    """Split `<path> parameters` as it follows FROM: or TO:.

    Raises:
        Refused: 501 5.1.7 (sender) or 5.1.3: it is no path.
    """
    stripped = text.lstrip(" \t")
    repairs: tuple[str, ...] = ("space_before_path",) if stripped != text else ()
    match = _BRACKETED.match(stripped)
    if match is None:
        match = _BARE.match(stripped)
        if match is None:
            raise _refused(say("that is not an address in angle brackets"), is_sender=is_sender)
        repairs += ("missing_brackets",)
    return Path(address=match[1], parameters=(match[2] or "").strip(), repairs=repairs)


def validate(address: str, *, is_sender: bool = False, is_smtputf8: bool = False, allow_literal: bool = False) -> None:
    """Pass silently when the address can be used as it is. The null sender "" passes for a sender.

    Raises:
        Refused: 501 5.1.3 / 5.1.7 for bad syntax or length, 553 5.6.7 for 8-bit characters without SMTPUTF8,
            550 5.1.2 for an address literal, 550 5.1.1 for a bare `postmaster`.
    """
    if len(address) <= MAX_ADDRESS and _PLAIN.match(address):
        local, _, domain = address.rpartition("@")
        if len(local) <= MAX_LOCAL and "xn--" not in domain and "XN--" not in domain.upper():
            return
    if not address and is_sender:
        return
    if _CONTROL.search(address):
        raise _refused(say("control or undecodable characters in the address"), is_sender=is_sender)
    if not address.isascii() and not is_smtputf8:
        raise Refused(553, "5.6.7", say("non-ASCII address needs SMTPUTF8"), reason="bad_address")
    if "@" not in address:
        if address.lower() == "postmaster" and not is_sender:
            raise Refused(550, "5.1.1", say("no mailbox is kept here; give the domain too"), reason="bad_address")
        raise _refused(say("the address has no domain"), is_sender=is_sender)
    local, domain = split(address)
    if len(address.encode()) > MAX_ADDRESS or len(local.encode()) > MAX_LOCAL or len(domain.encode()) > MAX_DOMAIN:
        raise _refused(say("the address is too long"), is_sender=is_sender)
    if not (_DOT_ATOM_UTF8.match(local) or _QUOTED.match(local)):
        raise _refused(say("bad characters before the @"), is_sender=is_sender)
    if domain.startswith("["):
        _check_literal(domain, is_sender=is_sender, allow_literal=allow_literal)
    elif to_a_label(domain) is None:
        raise _refused(say("that is not a domain name"), is_sender=is_sender)


def _check_literal(domain: str, *, is_sender: bool, allow_literal: bool) -> None:
    if literal_ip(domain) is None:
        raise _refused(say("bad address literal"), is_sender=is_sender)
    if not is_sender and not allow_literal:
        raise Refused(550, "5.1.2", say("addresses at an IP number are not accepted"), reason="bad_address")


def _refused(text: str, *, is_sender: bool) -> Refused:
    return Refused(501, "5.1.7" if is_sender else "5.1.3", text, reason="bad_address")


def literal_ip(domain: str) -> str | None:
    """Give the IP of `[192.0.2.1]` or `[IPv6:2001:db8::1]`, else None."""
    inside = domain[1:-1] if domain.startswith("[") and domain.endswith("]") else ""
    is_v6 = inside[:5].lower() == "ipv6:"
    try:
        ip = ip_address(inside[5:] if is_v6 else inside)
    except ValueError:
        return None
    return str(ip) if isinstance(ip, IPv6Address) == is_v6 and "%" not in inside else None


def split(address: str) -> tuple[str, str]:
    """Split at the last @; the domain is "" when there is none. A @ inside quotes before it stays in the local part."""
    local, at, domain = address.rpartition("@")
    return (local, domain) if at and not domain.endswith('"') else (address, "")


@lru_cache(maxsize=4096)
def to_a_label(domain: str) -> str | None:
    """Make the lower-case A-label form of a domain; None when it is not a host name."""
    if domain.isascii():
        lowered = domain.lower()
        if len(lowered) > MAX_DOMAIN or not _DOMAIN.match(lowered):
            return None
        return lowered if "xn--" not in lowered or _is_alabel(lowered) else None
    try:
        encoded = idna.encode(domain, uts46=True, transitional=False).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        return None
    return encoded if _DOMAIN.match(encoded) else None


def _is_alabel(domain: str) -> bool:
    try:
        idna.decode(domain)
    except (idna.IDNAError, UnicodeError):
        return False
    return True


def domain_of(address: str) -> str:
    """Give the lower-case A-label of the address's domain; of one that cannot be mapped, its lower-case text."""
    domain = split(address)[1]
    return to_a_label(domain) or domain.lower()


def address_key(address: str) -> str:
    """Give what blocks, counters and searches go by: local part casefolded, domain as lower-case A-label."""
    local, domain = split(address)
    if len(local) > 2 and local.startswith('"') and local.endswith('"') and _DOT_ATOM.match(local[1:-1]):
        local = local[1:-1]
    folded = local.casefold() if local.isascii() else unicodedata.normalize("NFC", local).casefold()
    return f"{folded}@{to_a_label(domain) or domain.lower()}" if domain else folded
