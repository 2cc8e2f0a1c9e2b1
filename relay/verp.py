"""The return path of a delivery: an address made for it alone, which nobody else can make.

`TOKEN@domain`, where TOKEN is the delivery's id, a hyphen and a signature: 43 octets in lower-case letters and digits.
It is made from nothing but the id and a secret of the store, so it is the same at every try (greylisting goes by the
sender) and on every node. Letter case does not matter, since servers change it. A token is also found inside what
others make of a sender address (BATV `prvs=…=TOKEN`, SRS), for the signature, not the place, is what is trusted.

The signature says that we made the token, not that the mail is true: whoever got a mail of ours knows its token.
80 bits are enough against guessing, since every guess is a refused RCPT. No I/O; the secret is given.
RFC 2104, RFC 5321 4.5.3.1.1 (64 octets).
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from relay.address import split, to_a_label
from relay.model import Claimed, DeliveryId

_SIGNATURE_BYTES = 10
_TOKEN = re.compile(r"(?<![0-9A-Za-z])([0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{26})-([A-Za-z2-7]{16})(?![0-9A-Za-z])", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnPaths:
    """Makes and reads return paths at one domain."""

    domain: str  #: lower-case A-label
    secret: bytes = field(repr=False)

    def of(self, claim: Claimed) -> str:
        """Give the reverse path a delivery leaves with; the null sender stays null (RFC 5321 4.5.5)."""
        return f"{self.token(claim.delivery.id)}@{self.domain}" if claim.message.mail_from else ""

    def token(self, delivery_id: DeliveryId) -> str:
        """Make the token of a delivery."""
        return f"{delivery_id.lower()}-{self._signature(delivery_id)}"

    def read(self, text: str) -> DeliveryId | None:
        """Find the first token of ours in a local part, or in what somebody made of one."""
        for match in _TOKEN.finditer(text):
            delivery_id = DeliveryId(match[1].upper())
            if hmac.compare_digest(match[2].lower(), self._signature(delivery_id)):
                return delivery_id
        return None

    def read_address(self, address: str) -> DeliveryId | None:
        """Give the delivery whose return path this address is; None for any other domain or token."""
        local, domain = split(address)
        return self.read(local) if is_same_domain(domain, self.domain) else None

    def read_first(self, texts: Iterable[str]) -> DeliveryId | None:
        """Find the first token of ours in several texts."""
        return next((found for text in texts if (found := self.read(text)) is not None), None)

    def _signature(self, delivery_id: DeliveryId) -> str:
        digest = hmac.digest(self.secret, b"return path " + delivery_id.encode(), "sha256")
        return base64.b32encode(digest[:_SIGNATURE_BYTES]).decode("ascii").lower()


def is_same_domain(domain: str, other: str) -> bool:
    """Compare two domains as DNS does; `other` is an A-label."""
    return to_a_label(domain.removesuffix(".")) == other
