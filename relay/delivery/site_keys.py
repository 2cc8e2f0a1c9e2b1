"""How the key of a site is made and what fits it; pure.

"mx1.example,mx2.example" are the MX hosts. After a space stands what sets the site apart from others at the same hosts:
the domain pattern of a `[[site]]`, or "from=" and the source addresses that an app's mail is to leave from.
"""

from __future__ import annotations

from collections.abc import Sequence


def site_key(hosts: str, *, pattern: str = "", sources: Sequence[str] = ()) -> str:
    """Make the key."""
    parts = [hosts, *([pattern] if pattern else []), *(["from=" + ",".join(sources)] if sources else [])]
    return " ".join(parts)


def hosts_of(key: str) -> str:
    """Give the part of a key that names the hosts."""
    return key.partition(" ")[0]


def is_of_site(key: str, value: str) -> bool:
    """Tell whether what a person named (hosts as a site is shown, or one host of it) means the site of this key."""
    hosts, wanted = hosts_of(key).lower(), hosts_of(value).lower()
    return wanted == hosts or wanted in hosts.split(",")


def is_below(pattern: str, name: str) -> bool:
    """Tell whether a host or domain fits "example.com" or "*.example.com"."""
    pattern = pattern.lower().rstrip(".")
    if pattern.startswith("*."):
        return name.lower().endswith(pattern[1:])
    return name.lower() == pattern
