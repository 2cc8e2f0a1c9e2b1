"""Sign mail with DKIM (RFC 6376; Ed25519: RFC 8463): which keys for which mail, and the signature itself. Pure.

Policy. The domain of the From: address chooses the key: its own, else that of the closest parent domain, which DMARC
takes as aligned unless it is told to be strict. With several keys for that domain (an RSA and an Ed25519 key, or an old
and a new one) each signs. A mail that its own domain has signed already is left alone, unless a key says `resign`.
A mail without exactly one From address is not signed: no receiver would believe the signature.

The signature covers relaxed/relaxed forms, so that a server on the way may change white space and case of header names.
From, To, Cc, Subject, Date, Reply-To and Message-ID are signed once more than they occur, so that nobody can add one.
The time in it is when the mail was accepted and the algorithms are deterministic: a retry sends the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from relay.address import to_a_label
from relay.headers import Field, HeaderBlock, parse_addresses, parse_block

#: Signed once more than they occur: a second one added on the way breaks the signature.
_OVERSIGNED = ("from", "to", "cc", "subject", "date", "reply-to", "message-id")
#: Signed as often as they occur (RFC 6376 5.4.1).
_SIGNED = (
    *_OVERSIGNED,
    *("sender", "in-reply-to", "references", "mime-version", "content-type", "content-transfer-encoding"),
    *("content-id", "content-description", "list-id", "list-help", "list-unsubscribe", "list-unsubscribe-post"),
    *("list-subscribe", "list-post", "list-owner", "list-archive", "auto-submitted"),
)
_LINE = 76
_WSP = re.compile(rb"[ \t]+")
_DOMAIN_TAG = re.compile(rb"(?:^|;)\s*d\s*=\s*([^;\s]+)")

#: RFC 8301: less is not believed by receivers any more.
MIN_RSA_BITS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """One key of one domain."""

    domain: str  #: A-label, lower case
    selector: str
    key: RSAPrivateKey | Ed25519PrivateKey = field(repr=False)
    resign: bool = False  #: also sign what the domain has signed itself

    @property
    def algorithm(self) -> str:
        """The value of a=."""
        return "rsa-sha256" if isinstance(self.key, RSAPrivateKey) else "ed25519-sha256"

    @property
    def record_name(self) -> str:
        """Where its public half is published."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The TXT record that publishes it, as one text."""
        if isinstance(self.key, RSAPrivateKey):
            public = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
            return f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"v=DKIM1; k=ed25519; p={base64.b64encode(raw).decode()}"


def read_key(pem: bytes) -> RSAPrivateKey | Ed25519PrivateKey:
    """Read a private key in PEM form.

    Raises:
        ValueError: it is none, or of a kind that DKIM does not know, or too short; says which.
    """
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("it is no private key in PEM form without a password") from error
    if not isinstance(key, (RSAPrivateKey, Ed25519PrivateKey)):
        raise ValueError("DKIM knows RSA and Ed25519 keys only")
    if isinstance(key, RSAPrivateKey) and key.key_size < MIN_RSA_BITS:
        raise ValueError(f"an RSA key of {key.key_size} bits is too short; 2048 are usual")
    return key


def keys_for(block: HeaderBlock, keys: Sequence[SigningKey]) -> list[SigningKey]:
    """Choose the keys that sign a mail with this header; none when it needs no signature of ours."""
    domain = _from_domain(block)
    if domain is None:
        return []
    name = domain
    while name and not any(key.domain == name for key in keys):
        name = name.partition(".")[2]
    chosen = [key for key in keys if key.domain == name]
    if _is_signed_by(block, {domain, name}):
        return [key for key in chosen if key.resign]
    return chosen


def sign(content: bytes, keys: Sequence[SigningKey], *, at: datetime) -> bytes:
    """Put the signatures of the fitting keys on top of a mail with CRLF lines; the mail itself is not changed."""
    if not keys:
        return content
    block = parse_block(content)
    chosen = keys_for(block, keys)
    if not chosen:
        return content
    body = content[block.end :].removeprefix(b"\r\n")
    body_hash = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest()).decode()
    return b"".join(_signature(block, key, body_hash, at) for key in chosen) + content


def relaxed_body(body: bytes) -> bytes:
    """The form of the body that is hashed (RFC 6376 3.4.4)."""
    body = _WSP.sub(b" ", body).replace(b" \r\n", b"\r\n").rstrip(b"\r\n")
    body = body.removesuffix(b" ")
    return body + b"\r\n" if body else b""


def relaxed_field(raw: bytes) -> bytes:
    """The form of one header field that is hashed, without its line end (RFC 6376 3.4.2)."""
    name, _, value = raw.partition(b":")
    return name.strip().lower() + b":" + _WSP.sub(b" ", value.replace(b"\r\n", b"")).strip()


def _from_domain(block: HeaderBlock) -> str | None:
    fields = [each for each in block.fields if each.name == "from"]
    found = parse_addresses(fields[0].value) if len(fields) == 1 else []
    if len(found) != 1:
        return None
    return to_a_label(found[0][1].rpartition("@")[2])


def _is_signed_by(block: HeaderBlock, domains: set[str]) -> bool:
    tags = [_DOMAIN_TAG.search(value) for value in block.all("dkim-signature")]
    return any(tag is not None and tag[1].decode("ascii", "replace").lower() in domains for tag in tags)


def _signature(block: HeaderBlock, key: SigningKey, body_hash: str, at: datetime) -> bytes:
    names, fields = _covered(block)
    start = (
        f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/relaxed; d={key.domain};\r\n"
        f"\ts={key.selector}; t={int(at.timestamp())};\r\n"
        f"\th={_folded(names)};\r\n"
        f"\tbh={body_hash};\r\n"
        "\tb="
    ).encode()
    hashed = b"".join(relaxed_field(each.raw) + b"\r\n" for each in fields) + relaxed_field(start)
    value = base64.b64encode(_sign(key.key, hashed)).decode()
    lines = [value[at : at + _LINE] for at in range(0, len(value), _LINE)]
    return start + "\r\n\t ".join(lines).encode() + b"\r\n"


def _covered(block: HeaderBlock) -> tuple[list[str], list[Field]]:
    """The names of h=, and the fields they mean: of each name the last one first (RFC 6376 5.4.2)."""
    names, fields = [], []
    for name in _SIGNED:
        found = [each for each in reversed(block.fields) if each.name == name]
        fields += found
        names += [name] * (len(found) + (name in _OVERSIGNED))
    return names, fields


def _folded(names: Sequence[str]) -> str:
    lines, line = [], ""
    for name in names:
        if line and len(line) + len(name) > _LINE:
            lines.append(line)
            line = ""
        line += f"{name}:"
    return "\r\n\t ".join([*lines, line]).removesuffix(":")


def _sign(key: RSAPrivateKey | Ed25519PrivateKey, hashed: bytes) -> bytes:
    if isinstance(key, RSAPrivateKey):
        return key.sign(hashed, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(hashlib.sha256(hashed).digest())
