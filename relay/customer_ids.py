"""The opaque name of a customer in an address of a page: nobody can read an email address from it, or guess one.

Policy. The name is the normalised address, encrypted and authenticated with AES-SIV (RFC 5297) under a secret of the
store. So it needs no table, is the same after every restart and on every node, and what was not made here is no name.
Pure.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

#: A name of the longest address there is has less.
_LONGEST = 600


class CustomerIds:
    """Makes and reads the names of one store."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESSIV(secret)

    def of(self, address_key: str) -> str:
        """Name the customer of a normalised address."""
        return urlsafe_b64encode(self._cipher.encrypt(address_key.encode(), None)).decode().rstrip("=")

    def address(self, name: str) -> str | None:
        """Give the normalised address behind a name; None when it was not made here."""
        if not name.isascii() or len(name) > _LONGEST:
            return None
        try:
            sealed = urlsafe_b64decode(name + "=" * (-len(name) % 4))
            found = self._cipher.decrypt(sealed, None).decode()
        except (Error, ValueError, InvalidTag):
            return None
        return found if self.of(found) == name else None
