"""TLS towards other servers: the contexts, and the decision of each connection in words.

Policy by mode. `may`: TLS when it is offered, certificate not checked; when the handshake fails or STARTTLS is
refused, clear text, because unencrypted mail is better than none and a certificate nobody checks protects little.
`encrypt`: TLS or nothing, certificate not checked. `verify` and `implicit`: TLS with a valid certificate for the host,
or nothing. `dane`: TLS with a certificate that fits the host's TLSA records, or nothing. `testing`: as verify, and
when that fails as `may`, which is said. `none`: never. Which of them a host gets is protection.py's decision.
Below TLS 1.2 counts as no TLS; old ciphers are allowed only where clear text would be.
The contexts are built once, because each reads the whole CA bundle. RFC 3207, RFC 7435 (opportunistic security).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from relay.delivery.contract import Protection, TlsMode
from relay.delivery.protocol import SpokeOutOfTurn

_CHECKED = frozenset({TlsMode.VERIFY, TlsMode.IMPLICIT})

_DER = 2  # _ssl.ENCODING_DER, of which Python has no public name

#: The modes in which not one byte of mail goes in clear text.
REQUIRED = frozenset({TlsMode.ENCRYPT, TlsMode.VERIFY, TlsMode.IMPLICIT, TlsMode.DANE})


@dataclass(frozen=True, slots=True)
class TlsContexts:
    """The client contexts of one process."""

    opportunistic: ssl.SSLContext
    checked: ssl.SSLContext

    @classmethod
    def build(cls, *, ca_file: Path | None = None) -> TlsContexts:
        """Make them; `ca_file` replaces the system's certificate authorities."""
        opportunistic = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        opportunistic.check_hostname = False
        opportunistic.verify_mode = ssl.CERT_NONE
        opportunistic.minimum_version = ssl.TLSVersion.TLSv1_2
        opportunistic.set_ciphers("DEFAULT@SECLEVEL=1")  # 1024-bit keys still stand on many MX hosts
        checked = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        checked.minimum_version = ssl.TLSVersion.TLSv1_2
        return cls(opportunistic=opportunistic, checked=checked)

    def of(self, mode: TlsMode) -> ssl.SSLContext:
        """Return the context of a mode."""
        return self.checked if mode in _CHECKED else self.opportunistic


def describe(ssl_object: ssl.SSLObject) -> str:
    """Name version and cipher, such as "TLSv1.3 TLS_AES_256_GCM_SHA384"."""
    cipher = ssl_object.cipher()
    return f"{ssl_object.version()} {cipher[0] if cipher else '?'}"


def decision_encrypted(protection: Protection, *, version: str, host: str) -> str:
    """Say why this connection is encrypted and what was checked."""
    asked = f" ({protection.because})" if protection.because else ""
    if protection.mode in _CHECKED:
        return f"encrypted with {version}; certificate checked and valid for {host}{asked}"
    if protection.mode is TlsMode.DANE:
        return f"encrypted with {version}; certificate checked against the TLSA records of {host}"
    why = "opportunistic" if protection.mode is TlsMode.MAY else "required"
    because = f"; {protection.because}" if protection.because else ""
    return f"encrypted with {version}; certificate not checked ({why}{because})"


def decision_clear(protection: Protection, reason: str) -> str:
    """Say why this connection is in clear text."""
    because = f"; {protection.because}" if protection.because else ""
    return f"clear text: {reason}{because}"


_WANTED = {TlsMode.DANE: "TLS with a certificate that fits the TLSA records", TlsMode.ENCRYPT: "TLS"}


def decision_refused(protection: Protection, reason: str) -> str:
    """Say why nothing was sent."""
    wanted = _WANTED.get(protection.mode, "TLS with a valid certificate")
    by = f" by {protection.because}" if protection.because else ""
    return f"nothing sent: {wanted} is required{by} and {reason}"


def chain_of(ssl_object: ssl.SSLObject) -> list[bytes]:
    """Give the certificates the server sent, its own first, as DER."""
    # Python 3.13 has this in public; before, only the object inside has it.
    give = getattr(ssl_object, "get_unverified_chain", None) or ssl_object._sslobj.get_unverified_chain  # type: ignore[attr-defined]
    return [each if isinstance(each, bytes) else each.public_bytes(_DER) for each in give() or ()]


def handshake_words(error: Exception) -> str:
    """Say what went wrong in a handshake, in a few words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "unknown error").replace("_", " ").lower()
        return f"the TLS handshake failed: {reason}"
    if isinstance(error, (TimeoutError, ConnectionAbortedError)):  # asyncio aborts a handshake that takes too long
        return "the TLS handshake took too long"
    if isinstance(error, SpokeOutOfTurn):
        return f"TLS did not begin: {error.message}"
    return "the server closed the connection during the TLS handshake"
