"""A small certificate authority and TLS servers of every temper, for tests."""

from __future__ import annotations

import ssl
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)


class Authority:
    """A certificate authority whose files live in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(self._certify(self._name, self._key, names=(), is_ca=True, is_expired=False))
        self.own = ssl.PEM_cert_to_DER_cert(self.ca_file.read_text())  #: the authority's own certificate, DER
        self.served = b""
        self._count = 0

    def server(
        self, *names: str, is_expired: bool = False, is_self_signed: bool = False, with_authority: bool = False
    ) -> ssl.SSLContext:
        """Make the context of a server with a certificate for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(
            self.chain(*names, is_expired=is_expired, is_self_signed=is_self_signed, with_authority=with_authority)
        )
        return context

    def chain(
        self, *names: str, is_expired: bool = False, is_self_signed: bool = False, with_authority: bool = False
    ) -> Path:
        """Make a file with a key and its certificate, which is kept in `served` as DER too."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        signer = key if is_self_signed else self._key
        issuer = subject if is_self_signed else self._name
        certificate = self._certify(subject, key, names=names, is_expired=is_expired, signer=signer, issuer=issuer)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._count += 1
        path = self._folder / f"chain-{self._count}.pem"
        path.write_bytes(secret + certificate + (self.ca_file.read_bytes() if with_authority else b""))
        self.served = ssl.PEM_cert_to_DER_cert(certificate.decode())
        return path

    def old_server(self, name: str) -> ssl.SSLContext:
        """Make the context of a server that speaks nothing newer than TLS 1.0."""
        context = self.server(name)
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is what the tests are about
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1
        return context

    def _certify(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        names: tuple[str, ...],
        is_expired: bool,
        is_ca: bool = False,
        signer: ec.EllipticCurvePrivateKey | None = None,
        issuer: x509.Name | None = None,
    ) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 10 * _DAY)
            .not_valid_after(now - _DAY if is_expired else now + 10 * _DAY)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False
            )
        return builder.sign(signer or self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
