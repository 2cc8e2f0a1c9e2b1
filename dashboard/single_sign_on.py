"""Signing in with the house's provider, as far as the browser is concerned: what it keeps until it comes back.

The browser gets 32 random bytes in a cookie of its own for ten minutes; state, nonce and the PKCE verifier are made
from them, each by a hash under its own name. The state travels through addresses and tells nothing of the others, and
an answer that comes to a browser without the cookie is nobody's (RFC 6749 10.12). So nothing is written before somebody
has come back, and any node can take the answer. That an answer counts once is kept in the store.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from dashboard.desk import local_path
from relay.config import NO_OIDC, read_secret
from relay.settings import Config

log = logging.getLogger(__name__)

#: Where the provider sends people back to; it has to know the whole address.
BACK = "/sign-in/outside/back"

#: How long somebody may take at the provider.
LASTS = timedelta(minutes=10)

_LONGEST = 1500  #: letters of an address to go back to; what is longer goes to Home


class Unreachable(Exception):
    """The provider does not answer, or says itself that it cannot."""


class Unusable(Exception):
    """The provider answered with something that proves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One sign-in under way, known to one browser."""

    secret: str = field(repr=False)
    goes_to: str  #: the page that was asked for

    @classmethod
    def begin(cls, goes_to: str) -> Flow:
        """Begin a new one."""
        return cls(secret=secrets.token_urlsafe(32), goes_to=goes_to if len(goes_to) <= _LONGEST else "/")

    @classmethod
    def of_cookie(cls, text: str) -> Flow | None:
        """Read what a browser brought back; None when it is nothing of ours."""
        secret, dot, packed = text.partition(".")
        if not dot or len(secret) != 43:
            return None
        try:
            goes_to = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()
        except (binascii.Error, ValueError):
            return None
        return cls(secret=secret, goes_to=local_path(goes_to))

    @property
    def cookie(self) -> str:
        return f"{self.secret}.{base64.urlsafe_b64encode(self.goes_to.encode()).decode().rstrip('=')}"

    @property
    def state(self) -> str:
        return self._made_for("state")

    @property
    def nonce(self) -> str:
        return self._made_for("nonce")

    @property
    def verifier(self) -> str:
        """What PKCE shows at the end (RFC 7636 4.1: 43 to 128 letters)."""
        return self._made_for("verifier")

    def is_answered_by(self, asked: Mapping[str, str], *, issuer: str) -> bool:
        """Tell whether an answer belongs to it; a provider that names itself has to be the right one (RFC 9207)."""
        is_ours = hmac.compare_digest(asked.get("state", "").encode(), self.state.encode())
        return is_ours and asked.get("iss", issuer) == issuer

    def _made_for(self, use: str) -> str:
        digest = hashlib.sha256(f"{use} {self.secret}".encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def flow_cookie(*, is_https: bool) -> str:
    """Name the cookie of a sign-in under way; the prefix as for the session's."""
    return "__Host-waybill-sso" if is_https else "waybill-sso"


class Provider(Protocol):
    """Who vouches for people."""

    async def address(self, flow: Flow) -> str:
        """Give the page at which somebody signs in there.

        Raises:
            Unreachable, Unusable
        """

    async def claims(self, code: str, flow: Flow) -> dict[str, object]:
        """Take the code for what the provider says of the person, checked.

        Raises:
            Unreachable, Unusable
        """


def provider_of(config: Config) -> Provider | None:
    """Get ready for the house's provider, if there is one; nothing is asked of it before somebody wants to sign in."""
    settings = config.dashboard.oidc
    if settings is None:
        return None
    try:
        from dashboard.provider import HttpProvider  # here: only the extra `oidc` brings the libraries
    except ModuleNotFoundError:  # check-config says so too; local accounts work all the same
        log.error("event=sso_missing %s", NO_OIDC)
        return None
    place = settings.client_secret_file
    return HttpProvider(
        settings,
        return_to=config.dashboard.url + BACK,
        secret=lambda: read_secret(config, place) if place is not None else None,
    )
