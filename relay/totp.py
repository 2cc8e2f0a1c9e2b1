"""The second step of signing in: codes of six digits that change every 30 seconds (RFC 6238, HMAC-SHA-1).

A code counts from one step before its time to one after, because telephones' clocks differ, and only once: `match`
tells which step a code is of, and whoever keeps the account refuses a step that is not newer than the last one used.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from datetime import datetime
from urllib.parse import quote, urlencode

STEP_SECONDS = 30
_DIGITS = 6
_AROUND = (0, -1, 1)

#: Octets of a new secret; RFC 4226 4 recommends 160 bits.
SECRET_BYTES = 20


def secret_of(random: bytes) -> str:
    """Write random octets as the secret that a telephone reads."""
    return base64.b32encode(random).decode("ascii").rstrip("=")


def step_of(now: datetime) -> int:
    """Count the steps since 1970."""
    return int(now.timestamp()) // STEP_SECONDS


def code(secret: str, step: int, *, digits: int = _DIGITS) -> str:
    """Make the code of one step.

    Raises:
        ValueError: the secret is not base 32.
    """
    digest = hmac.digest(_key(secret), struct.pack(">Q", step), "sha1")
    start = digest[-1] & 15
    (number,) = struct.unpack(">I", digest[start : start + 4])
    return str((number & 0x7FFFFFFF) % 10**digits).zfill(digits)


def match(secret: str, given: str, *, now: datetime, last_step: int | None) -> int | None:
    """Tell which step a code is of; None when it is wrong, or not newer than the last one used."""
    wanted = "".join(given.split())
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) == _DIGITS):
        return None
    found = None
    for around in _AROUND:
        step = step_of(now) + around
        if step >= 0 and hmac.compare_digest(code(secret, step), wanted) and (last_step is None or step > last_step):
            found = step if found is None else found
    return found


def uri(secret: str, *, account: str, issuer: str) -> str:
    """Write what a telephone reads from a picture: otpauth://totp/ISSUER:ACCOUNT?…"""
    values = {"secret": secret, "issuer": issuer, "algorithm": "SHA1", "digits": _DIGITS, "period": STEP_SECONDS}
    return f"otpauth://totp/{quote(issuer, safe='')}:{quote(account, safe='')}?{urlencode(values, quote_via=quote)}"


def _key(secret: str) -> bytes:
    try:
        return base64.b32decode(secret + "=" * (-len(secret) % 8))
    except binascii.Error as error:
        raise ValueError("the secret is not base 32") from error
