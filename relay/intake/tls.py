"""The certificates of the listeners: load, reload when the files change, make one when there is none.

Each listener with TLS has one SSLContext for its whole life. New files are tried on a context of their own first and
only then loaded into the live one, so a half-written certificate never stops mail: the old one stays and a warning says
why. Without cert_file a self-signed certificate is made once under data_dir/tls/ (0600); old apps rarely check.
tls_min 1.0 or 1.1 also lowers OpenSSL's security level, without which it would refuse them anyway. RFC 3207, RFC 8314.
"""

from __future__ import annotations

import logging
import os
import ssl
import tempfile
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from relay.errors import ConfigError
from relay.settings import Config, Listener

log = logging.getLogger("relay.intake")

_VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}


class ListenerTls:
    """The TLS context of one listener and the files it comes from."""

    def __init__(self, cert_file: Path, key_file: Path, *, minimum: str) -> None:
        self._files = (cert_file, key_file)
        self._minimum = minimum
        self._seen = self._stamps()
        self.context = self._make()

    def refresh(self) -> bool:
        """Load the files anew if they changed; tell whether a new certificate is in use."""
        stamps = self._stamps()
        if stamps == self._seen:
            return False
        self._seen = stamps
        try:
            self._make()
            self.context.load_cert_chain(*self._files)
        except (OSError, ConfigError) as error:
            log.warning("certificate kept: the new %s cannot be used: %s", self._files[0], error)
            return False
        log.info("certificate reloaded from %s", self._files[0])
        return True

    def _make(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self._minimum in {"1.0", "1.1"}:
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings():
            # Python warns of 1.0 and 1.1; whoever configured them knows, and has no other app.
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = _VERSIONS[self._minimum]
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        try:
            context.load_cert_chain(*self._files)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError([f"the certificate {self._files[0]} cannot be used: {error}"]) from error
        return context

    def _stamps(self) -> tuple[tuple[int, int], ...]:
        return tuple(_stamp(path) for path in self._files)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_ino)


def for_listener(config: Config, listener: Listener) -> ListenerTls | None:
    """Make the TLS side of one listener; None when it speaks clear text only.

    Raises:
        ConfigError: the certificate cannot be used.
    """
    if listener.tls == "none":
        return None
    if listener.cert_file is not None and listener.key_file is not None:
        cert, key = config.path(listener.cert_file), config.path(listener.key_file)
    else:
        cert = key = self_signed(config.data_dir / "tls", hostname=config.node.hostname or "localhost")
    return ListenerTls(cert, key, minimum=listener.tls_min)


def self_signed(folder: Path, *, hostname: str) -> Path:
    """Give the file with our own key and certificate, made now if it is not there.

    Several processes may start at once: each writes a file of its own and only the first one's gets the name.
    """
    path = folder / "self-signed.pem"
    if path.exists():
        return path
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A name of its own each time: a file left behind by a process that was killed here must not stop the next.
    descriptor, name = tempfile.mkstemp(prefix=".self-signed.", dir=folder)
    scratch = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(make_certificate(hostname, now=datetime.now(UTC)))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(scratch, path)
        except FileExistsError:
            log.debug("another process made the certificate first")
    finally:
        scratch.unlink()
    return path


def make_certificate(hostname: str, *, now: datetime, lasts: timedelta = timedelta(days=3650)) -> bytes:
    """Make a key and a self-signed certificate, as one PEM text. RSA, because the oldest clients know nothing else."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
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
    return secret + certificate.public_bytes(pem)
