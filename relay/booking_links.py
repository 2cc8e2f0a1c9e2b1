"""Signed links and pictures about one booking, which a legacy app can put on its own pages.

The app has a key of its own; whoever has it can make links that show this app's mail for one booking and nothing else,
to people who have no account: staff who look at the booking in the old system. A link has an end; a picture (the
badge) says one word and may have none. The signature is HMAC-SHA256 in hex over four lines, so that it can be made in
any language; docs/operations.md shows it in PHP. No I/O, no clock; RFC 2104.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from urllib.parse import quote, urlencode


class Shows(StrEnum):
    """What a signature opens."""

    BOOKING = "booking"  #: the read-only page
    BADGE = "badge"  #: the picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What is signed."""

    shows: Shows
    app: str
    booking: str
    expires: int | None = None  #: seconds since 1970; a page needs one

    @property
    def _text(self) -> str:
        return "\n".join((self.shows.value, self.app, self.booking, str(self.expires or "")))

    def signature(self, key: str) -> str:
        """Sign it with the app's key."""
        return hmac.digest(key.encode(), self._text.encode("utf-8", "surrogatepass"), "sha256").hex()

    def is_signed(self, key: str, signature: str, *, now: datetime) -> bool:
        """Tell whether somebody with the key made it, and its time is not over."""
        if self.shows is Shows.BOOKING and self.expires is None:
            return False
        is_right = hmac.compare_digest(self.signature(key).encode(), signature.encode("utf-8", "surrogatepass"))
        return is_right and (self.expires is None or now < datetime.fromtimestamp(self.expires, UTC))

    def address(self, base: str, key: str) -> str:
        """Write it as an address below the pages' own."""
        reference = quote(self.booking, safe="")
        path = f"/open/bookings/{reference}" if self.shows is Shows.BOOKING else f"/badge/booking/{reference}.svg"
        query = {"app": self.app, **({"expires": str(self.expires)} if self.expires else {})}
        return f"{base}{path}?{urlencode({**query, 'signature': self.signature(key)})}"


def key_of(secret: bytes, app: str) -> str:
    """Give the key of one app, made from the store's secret: nothing has to be kept for it."""
    return hmac.digest(secret, b"booking links of " + app.encode(), "sha256").hex()
