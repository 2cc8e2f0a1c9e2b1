"""Make and check the hashes of passwords: scrypt, for the apps that log in and for the people who sign in.

A hash is written `$scrypt$ln=14,r=8,p=1$SALT$HASH` (unpadded base 64, RFC 7914). One check costs about 50 ms of CPU on
purpose: it never runs on an event loop, nor inside a transaction of the store. Whoever is asked about a user that does
not exist checks against `nobodys_hash`, so that the answer takes as long.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re

_LN, _R, _P = 14, 8, 1
_HASH = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,172})\Z")

#: In octets; longer ones are wrong without a look.
MAX_PASSWORD = 1024


def hash_password(password: str, *, salt: bytes | None = None) -> str:
    """Make the hash that is kept, as `password_hash`."""
    salt = os.urandom(16) if salt is None else salt
    digest = _scrypt(password.encode(), salt, ln=_LN, r=_R, p=_P, length=32)
    return f"$scrypt$ln={_LN},r={_R},p={_P}${_b64(salt)}${_b64(digest)}"


def nobodys_hash() -> str:
    """Make the hash of no password at all: checking against it costs what checking a real one costs."""
    return f"$scrypt$ln={_LN},r={_R},p={_P}${_b64(os.urandom(16))}${_b64(os.urandom(32))}"


def verify_password(password: bytes, stored: str) -> bool:
    """Check a password against a hash; slow on purpose, so never on the event loop."""
    match = _HASH.match(stored)
    if match is None or len(password) > MAX_PASSWORD:
        return False
    try:
        salt, want = _unb64(match[4]), _unb64(match[5])
    except binascii.Error:
        return False
    got = _scrypt(password, salt, ln=int(match[1]), r=int(match[2]), p=int(match[3]), length=len(want))
    return hmac.compare_digest(got, want)


def _scrypt(password: bytes, salt: bytes, *, ln: int, r: int, p: int, length: int) -> bytes:
    memory = 128 * r * (2**ln + p + 2) + 1024 * 1024
    return hashlib.scrypt(password, salt=salt, n=2**ln, r=r, p=p, maxmem=memory, dklen=length)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii").rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
