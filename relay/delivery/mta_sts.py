"""MTA-STS, the pure half (RFC 8461): the TXT record, the policy file, and which MX names a policy allows.

A record or a policy that breaks the rules of the RFC counts as none: the RFC asks for that, because a typing mistake
at the recipient's must not stop their mail. Fetching is sts_fetch.py's, remembering sts.py's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

#: RFC 8461 3.2: a year is the longest a policy may live.
MAX_AGE = timedelta(seconds=31_557_600)

_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_HOST = re.compile(r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}", re.I)


class StsMode(StrEnum):
    """What a domain asks of those who send to it."""

    ENFORCE = "enforce"  #: valid TLS to a listed MX, or no mail
    TESTING = "testing"  #: the same, but only say what would have failed
    NONE = "none"  #: as without a policy


@dataclass(frozen=True, slots=True, kw_only=True)
class StsPolicy:
    """One domain's policy, as fetched."""

    domain: str
    id: str  #: of the TXT record it was fetched for
    mode: StsMode
    mx: tuple[str, ...]  #: names, or "*.name"; lower case
    max_age: timedelta
    fetched_at: datetime

    @property
    def expires_at(self) -> datetime:
        return self.fetched_at + self.max_age

    def allows(self, host: str) -> bool:
        """Tell whether an MX name is one of the policy's (RFC 8461 4.1: a wildcard stands for one label)."""
        host = host.rstrip(".").lower()
        _, _, parent = host.partition(".")
        return any(pattern == host or (pattern.startswith("*.") and pattern[2:] == parent) for pattern in self.mx)


class PolicyFault(Exception):
    """The policy file is no policy; says why in a few words."""


def record_id(texts: Iterable[str]) -> str | None:
    """Read the id out of the TXT records of `_mta-sts.DOMAIN`; None: the domain has no (usable) MTA-STS."""
    found = [text for text in texts if re.match(r"v=STSv1\s*(;|$)", text)]
    if len(found) != 1:
        return None  # RFC 8461 3.1: none, or more than one, counts as none
    fields = dict(_pairs(found[0].split(";"), "="))
    identity = fields.get("id", "")
    return identity if _ID.fullmatch(identity) else None


def parse_policy(body: bytes, *, domain: str, record: str, now: datetime) -> StsPolicy:
    """Read a policy file (RFC 8461 3.2).

    Raises:
        PolicyFault: it breaks the rules.
    """
    try:
        lines = body.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise PolicyFault("it is not UTF-8") from error
    pairs = list(_pairs(lines, ":"))
    fields = dict(reversed(pairs))  # of a field that stands twice the first one counts
    if fields.get("version") != "STSv1":
        raise PolicyFault("it does not begin as version STSv1")
    if fields.get("mode", "") not in list(StsMode):
        raise PolicyFault("it has no mode")
    mode = StsMode(fields["mode"])
    age = fields.get("max_age", "")
    if not age.isascii() or not age.isdigit() or len(age) > 10:
        raise PolicyFault("it has no max_age")
    patterns = tuple(value.rstrip(".").lower() for name, value in pairs if name == "mx")
    if mode is not StsMode.NONE and not patterns:
        raise PolicyFault("it names no mx")
    if not all(_HOST.fullmatch(pattern) for pattern in patterns):
        raise PolicyFault("one of its mx lines is no host name")
    max_age = min(timedelta(seconds=int(age)), MAX_AGE)
    return StsPolicy(domain=domain, id=record, mode=mode, mx=patterns, max_age=max_age, fetched_at=now)


def _pairs(parts: Iterable[str], sign: str) -> Iterable[tuple[str, str]]:
    for part in parts:
        name, found, value = part.partition(sign)
        if found:
            yield name.strip(), value.strip()
