"""DANE for SMTP, the pure half (RFC 7672, RFC 6698): which TLSA records can be used, and whether a chain fits them.

Usages 3 (DANE-EE) and 2 (DANE-TA) only; 0 and 1 count as unusable, as RFC 7672 3.1.3 asks. With usage 3 the server's
own certificate must match and nothing else is looked at, neither name nor date. With usage 2 one certificate of the
chain must match, must lead to the server's, and the server's must be valid for the host. DNS is mx.py's and
resolver.py's business; only records from a secure answer come here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

_HASHES: dict[int, Callable[[bytes], bytes]] = {
    0: lambda data: data,
    1: lambda data: hashlib.sha256(data).digest(),
    2: lambda data: hashlib.sha512(data).digest(),
}
_TA, _EE = 2, 3


@dataclass(frozen=True, slots=True)
class Tlsa:
    """One TLSA record."""

    usage: int
    selector: int
    matching: int
    data: bytes

    @property
    def is_usable(self) -> bool:
        """False for what this program (or SMTP) does not know: such records are as if they were not there."""
        sizes = {1: 32, 2: 64}
        return (
            self.usage in (_TA, _EE)
            and self.selector in (0, 1)
            and self.matching in _HASHES
            and len(self.data) == sizes.get(self.matching, len(self.data))
            and bool(self.data)
        )

    def fits(self, certificate: x509.Certificate) -> bool:
        """Tell whether the record means this certificate."""
        if self.selector == 0:
            shown = certificate.public_bytes(Encoding.DER)
        else:
            shown = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return _HASHES[self.matching](shown) == self.data


def problem_with(chain: Sequence[bytes], records: Sequence[Tlsa], *, names: Sequence[str]) -> str:
    """Check the certificates a server sent (DER, its own first); "" when they fit, else why not.

    `names` are those the certificate may be for with usage 2: the MX host and the domain (RFC 7672 3.2.2).
    """
    try:
        certificates = [x509.load_der_x509_certificate(der) for der in chain]
        if not certificates:
            return "the server sent no certificate"
        if any(record.usage == _EE and record.fits(certificates[0]) for record in records):
            return ""
        anchors = [
            each for each in certificates if any(record.usage == _TA and record.fits(each) for record in records)
        ]
        if not anchors:
            return "its certificate is none of those that its TLSA records name"
        return _problem_with_path(certificates, anchors, names)
    except (ValueError, UnsupportedAlgorithm):
        return "its certificate cannot be read"


def _lenient(policy: ExtensionPolicy) -> ExtensionPolicy:
    """Allow certificates of private authorities, which often name no key identifiers; the signatures still decide."""
    for kind in (x509.AuthorityKeyIdentifier, x509.SubjectKeyIdentifier):
        policy = policy.may_be_present(kind, Criticality.AGNOSTIC, None)
    return policy


_CA_POLICY = _lenient(ExtensionPolicy.webpki_defaults_ca()).may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, None)
_EE_POLICY = _lenient(ExtensionPolicy.webpki_defaults_ee())


def _problem_with_path(
    certificates: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], names: Sequence[str]
) -> str:
    said = ""
    for name in names:
        builder = PolicyBuilder().store(Store(list(anchors)))
        builder = builder.extension_policies(ca_policy=_CA_POLICY, ee_policy=_EE_POLICY)
        verifier = builder.build_server_verifier(x509.DNSName(name))
        try:
            verifier.verify(certificates[0], list(certificates[1:]))
        except VerificationError as error:
            said = str(error)
        else:
            return ""
    return f"its certificate does not lead to the one its TLSA records name: {' '.join(said.split())[:200]}"
