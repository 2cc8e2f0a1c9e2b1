"""Read the DKIM keys of the configuration, make new ones, and sign with them.

A key file that is missing or no key stops the start, with all faults named: mail that goes out unsigned by mistake
lands in spam folders, and nobody would know why.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from relay.address import to_a_label
from relay.config import secret_path
from relay.delivery.dkim import SigningKey, read_key, sign
from relay.delivery.transaction import ContentKey
from relay.errors import ConfigError
from relay.model import time_of
from relay.settings import Config, Dkim

#: Changes a stored content into what is sent; the same for every try.
Prepare = Callable[[ContentKey, bytes], bytes]


def load_keys(config: Config) -> list[SigningKey]:
    """Read all keys.

    Raises:
        ConfigError: some cannot be used; names each.
    """
    keys, problems = [], []
    for number, each in enumerate(config.dkim, 1):
        try:
            keys.append(_load(config, each))
        except (OSError, ValueError) as error:
            why = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
            problems.append(f"dkim.{number}.key_file: {secret_path(config, each.key_file)}: {why}")
    if problems:
        raise ConfigError(problems)
    return keys


def _load(config: Config, each: Dkim) -> SigningKey:
    domain = to_a_label(each.domain)
    if domain is None:
        raise ValueError(f"{each.domain} is not a domain name")
    key = read_key(secret_path(config, each.key_file).read_bytes())
    return SigningKey(domain=domain, selector=each.selector, key=key, resign=each.resign)


def signer(keys: Sequence[SigningKey]) -> Prepare:
    """Make what signs a content; the time in a signature is that of the message, or of the resend."""

    def prepare(key: ContentKey, content: bytes) -> bytes:
        return sign(content, keys, at=time_of(key.delivery_id or key.message_id))

    return prepare


def unchanged(key: ContentKey, content: bytes) -> bytes:
    """Send what is stored: there are no keys."""
    return content


def new_key(kind: str) -> RSAPrivateKey | Ed25519PrivateKey:
    """Make a key of 2048 bits ("rsa") or an Ed25519 key ("ed25519")."""
    return generate_private_key(65537, 2048) if kind == "rsa" else Ed25519PrivateKey.generate()


def write_key(path: Path, key: RSAPrivateKey | Ed25519PrivateKey) -> None:
    """Write a key that only we can read.

    Raises:
        FileExistsError: there is such a file; a key in use is never overwritten.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
