"""Read an SPF record, and expand the macros in its names (RFC 7208 4.6, 5, 6, 7, 12). Pure.

A record is read whole before any of it is used: a fault in its last word makes all of it a permanent error, as the RFC
asks. Unknown modifiers are passed over, unknown mechanisms are faults. `exp` is checked for its form and not used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from urllib.parse import quote

Ip = IPv4Address | IPv6Address

_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)\Z", re.S)
_MECHANISM = re.compile(r"([+?~-]?)([A-Za-z][A-Za-z0-9_.-]*)(.*)\Z", re.S)
_NAME_AND_PREFIXES = re.compile(r"(?::(?P<spec>.+?))?(?:/(?P<v4>\d{1,2}))?(?://(?P<v6>\d{1,3}))?\Z")
_MACRO = re.compile(r"%(?:\{([slodipvhSLODIPVH])(\d*)(r?)([.\-+,/_=]*)\}|([%_-]))")
_ANY_MACRO = re.compile(r"%(?:\{[slodipvhcrtSLODIPVHCRT]\d*r?[.\-+,/_=]*\}|[%_-])")
_TOP_LABEL = re.compile(r"\.(?:[A-Za-z0-9]*[A-Za-z][A-Za-z0-9]*|[A-Za-z0-9]+-[A-Za-z0-9-]*[A-Za-z0-9])\Z")
_LITERALS = {"%": "%", "_": " ", "-": "%20"}
_MAX_NAME = 253

#: These ask DNS and count towards the limit of ten, as `redirect` does.
ASKING = frozenset({"include", "a", "mx", "ptr", "exists"})
_NEEDS_NAME = frozenset({"include", "exists"})


class SpfFault(ValueError):
    """The record cannot be read; says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One mechanism."""

    text: str  #: as it stands in the record
    qualifier: str  #: + - ~ ?
    name: str
    spec: str = ""  #: the name it is about, with macros; "" = the domain itself
    network: IPv4Network | IPv6Network | None = None  #: of ip4 and ip6
    prefixes: tuple[int, int] = (32, 128)  #: of a and mx: for IPv4, for IPv6


@dataclass(frozen=True, slots=True, kw_only=True)
class SpfRecord:
    """One record, read."""

    terms: tuple[Term, ...]
    redirect: str | None = None


def is_spf(text: str) -> bool:
    """Tell an SPF record from the other TXT records of a name."""
    return text.lower() == "v=spf1" or text.lower().startswith("v=spf1 ")


def read_record(text: str) -> SpfRecord:
    """Read a record that begins with v=spf1.

    Raises:
        SpfFault: it has a fault; all of it counts for nothing then.
    """
    terms: list[Term] = []
    modifiers: dict[str, str] = {}
    for word in text[len("v=spf1") :].split(" "):
        if not word:
            continue
        modifier = _MODIFIER.match(word)
        if modifier is None:
            terms.append(_mechanism(word))
            continue
        name, value = modifier[1].lower(), modifier[2]
        if name in ("redirect", "exp"):
            if name in modifiers:
                raise SpfFault(f"{name}= stands there twice")
            _check_spec(value, word)
            modifiers[name] = value
        elif "%" in _ANY_MACRO.sub("", value):
            raise SpfFault(f'"{word}" has a macro that cannot be read')
    return SpfRecord(terms=tuple(terms), redirect=modifiers.get("redirect"))


def _mechanism(word: str) -> Term:
    match = _MECHANISM.match(word)
    if match is None:
        raise SpfFault(f'"{word}" is no mechanism')
    qualifier, name, rest = match[1] or "+", match[2].lower(), match[3]
    if name == "all":
        if rest:
            raise SpfFault(f'"{word}": nothing may follow all')
        return Term(text=word, qualifier=qualifier, name=name)
    if name in ("ip4", "ip6"):
        return Term(text=word, qualifier=qualifier, name=name, network=_network(name, rest, word))
    if name not in ASKING:
        raise SpfFault(f'"{word}" is no mechanism')
    parts = _NAME_AND_PREFIXES.match(rest)
    if parts is None or (name not in ("a", "mx") and (parts["v4"] or parts["v6"])):
        raise SpfFault(f'"{word}" cannot be read')
    if parts["spec"] is None and name in _NEEDS_NAME:
        raise SpfFault(f'"{word}" needs a name')
    if parts["spec"] is not None:
        _check_spec(parts["spec"], word)
    prefixes = int(parts["v4"] or 32), int(parts["v6"] or 128)
    if prefixes[0] > 32 or prefixes[1] > 128:
        raise SpfFault(f'"{word}" has a prefix that is too long')
    return Term(text=word, qualifier=qualifier, name=name, spec=parts["spec"] or "", prefixes=prefixes)


def _network(name: str, rest: str, word: str) -> IPv4Network | IPv6Network:
    if not re.fullmatch(r":[0-9A-Fa-f.:]+(?:/\d{1,3})?", rest):
        raise SpfFault(f'"{word}" has no address that can be read')
    try:
        network = ip_network(rest[1:], strict=False)
    except ValueError as error:
        raise SpfFault(f'"{word}" has no address that can be read') from error
    if (network.version == 4) != (name == "ip4"):
        raise SpfFault(f'"{word}" has an address of the other family')
    return network


def _check_spec(spec: str, word: str) -> None:
    plain = _MACRO.sub("", spec)
    if "%" in plain or not all("!" <= letter <= "~" for letter in plain):
        raise SpfFault(f'"{word}" has a name that cannot be read')
    if any(match[2] and int(match[2]) == 0 for match in _MACRO.finditer(spec)):
        raise SpfFault(f'"{word}" has a macro that cannot be read')
    ends_with_macro = any(match.end() == len(spec) for match in _MACRO.finditer(spec))
    if not ends_with_macro and not _TOP_LABEL.search(spec.removesuffix(".")):
        raise SpfFault(f'"{word}" has a name that cannot be one')


def expand(spec: str, values: Mapping[str, str]) -> str:
    """Fill in the macros of a name; `values` holds them by letter. A name that grows too long loses labels in front."""

    def fill(match: re.Match[str]) -> str:
        if match[5]:
            return _LITERALS[match[5]]
        parts = re.split(f"[{re.escape(match[4] or '.')}]", values[match[1].lower()])
        if match[3]:
            parts.reverse()
        if match[2]:
            parts = parts[-int(match[2]) :]
        text = ".".join(parts)
        return quote(text, safe="-_.~") if match[1].isupper() else text

    name = _MACRO.sub(fill, spec).removesuffix(".")
    while len(name) > _MAX_NAME and "." in name:
        name = name.partition(".")[2]
    return name


def needs_name_of_ip(spec: str) -> bool:
    """Tell whether a name holds the macro p, which has to be looked up."""
    return any((match[1] or "").lower() == "p" for match in _MACRO.finditer(spec))


def macro_values(ip: Ip, *, sender: str, domain: str, helo: str, name_of_ip: str) -> dict[str, str]:
    """Give what each macro letter stands for."""
    local, _, sender_domain = sender.rpartition("@")
    dotted = str(ip) if ip.version == 4 else ".".join(ip.exploded.replace(":", ""))
    return {
        "s": sender,
        "l": local,
        "o": sender_domain,
        "d": domain,
        "i": dotted,
        "p": name_of_ip,
        "v": "in-addr" if ip.version == 4 else "ip6",
        "h": helo,
    }


def with_addresses(text: str, ips: list[str]) -> str:
    """Put addresses into a record, in front of what ends it; used for the record to paste."""
    added = " ".join(f"ip6:{ip}" if ":" in ip else f"ip4:{ip}" for ip in ips)
    words = text.split()
    at = next((n for n, word in enumerate(words) if re.fullmatch(r"[+?~-]?all|redirect=.*", word, re.I)), len(words))
    return " ".join([*words[:at], added, *words[at:]])
