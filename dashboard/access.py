"""Who may open what: roles, the session cookie, and the guard that every route stands behind.

Each route names the least role it needs (None: everybody, signed in or not); the guard asks for nothing else, so that
the whole matrix can be read from the list of routes. A sender scope narrows what a person sees further: rows of other
apps do not exist for them (404, never 403). A change comes from our own page or not at all: the browser says where a
request comes from (Sec-Fetch-Site, else Origin), and what says nothing of the kind is no browser of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from urllib.parse import urlsplit

from relay.accounts import Role

__all__ = ["SAFE", "Gate", "Person", "Role", "cookie_name", "is_our_own"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who is signed in."""

    id: str
    name: str  #: stands as `by` on everything they do
    role: Role
    may_read_content: bool = True
    apps: tuple[str, ...] | None = None  #: only mail of these apps exists for them; None: of all
    language: str = ""  #: "" = what the browser asks for
    zone: str = ""  #: "" = the instance's
    theme: str = ""  #: light | dark | "" = as the device
    has_keys: bool = True  #: letter keys are on
    is_compact: bool = False  #: low rows in long tables


class Gate(Protocol):
    """Knows who a session belongs to."""

    async def person_of(self, token: str, *, now: datetime) -> Person | None:
        """Give the person of a session that is alive; None for every other text."""


#: Methods that change nothing.
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def cookie_name(*, is_https: bool) -> str:
    """Name the session cookie; the prefix makes browsers refuse one that was set over http or for another path."""
    return "__Host-waybill" if is_https else "waybill"


def is_our_own(headers: Mapping[str, str]) -> bool:
    """Tell whether a request to change something was sent by one of our own pages."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == headers.get("host", "")
