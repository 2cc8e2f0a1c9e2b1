"""A self-signed certificate for a server of the demo, made when it is first needed.

Owns one TLS context per host name and process. Nobody should trust these certificates: opportunistic TLS does not check
them, and whoever does check must refuse them. RFC 3207, RFC 7672 1.3.
"""

from __future__ import annotations

import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@cache
def server_context(hostname: str) -> ssl.SSLContext:
    """Make the TLS context of a server with that name."""
    certificate, key = make_certificate(hostname, now=datetime.now(UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory(prefix="waybill-demo-tls-") as folder:  # ssl reads keys from files only
        path = Path(folder, "both.pem")
        path.touch(mode=0o600)
        path.write_bytes(key + certificate)
        context.load_cert_chain(path)
    return context


def make_certificate(hostname: str, *, now: datetime, lasts: timedelta = timedelta(days=2)) -> tuple[bytes, bytes]:
    """Make a certificate and its key, both PEM; it is valid from an hour before `now`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + lasts)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(hostname)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem), secret
