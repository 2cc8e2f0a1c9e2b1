"""Look at this machine: the disk under the store, the certificates of the listeners, who can read the data folder."""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from relay.doctor.local import CertificateFacts, DiskFacts, FolderFacts
from relay.settings import Config
from relay.store import folder_of, is_shared
from relay.wording import say


def look_at_disk(config: Config, *, share_per_day: float | None) -> DiskFacts:
    """Measure the disk; `share_per_day`: which part of the store came in on an average day."""
    folder = folder_of(config.store.url, config.base_dir)
    shared = is_shared(config.store.url)
    size = 0 if shared else sum(_file_size(path) for path in _store_files(config))
    return DiskFacts(
        folder=str(folder),
        free=shutil.disk_usage(_existing(folder)).free,
        reserve=config.intake.min_free_space,
        size=size,
        per_day=None if shared or share_per_day is None else size * share_per_day,
        kept=config.retention.content,
        is_shared=shared,
    )


def _store_files(config: Config) -> Iterator[Path]:
    path = config.path(Path(config.store.url.partition(":")[2]))
    yield from (path, path.with_name(path.name + "-wal"))


def _file_size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next((path for path in (folder, *folder.absolute().parents) if path.exists()), Path("/"))


def look_at_folder(path: Path) -> FolderFacts:
    """Read who may enter a folder."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return FolderFacts(path=str(path), mode=None)
    except OSError as error:
        return FolderFacts(
            path=str(path), mode=None, fault=say("it cannot be looked at: {reply}", reply=error.strerror)
        )
    is_ours = os.geteuid() in (0, status.st_uid)  # root looks after everybody's relay
    return FolderFacts(path=str(path), mode=status.st_mode & 0o777, owner="" if is_ours else _user(status.st_uid))


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def look_at_certificates(config: Config) -> list[CertificateFacts]:
    """Read the certificate of every listener with TLS; one that is made at the first start may not be there yet."""
    found = []
    for number, listener in enumerate(config.listener, 1):
        if listener.tls == "none":
            continue
        own = config.data_dir / "tls" / "self-signed.pem"
        path = config.path(listener.cert_file) if listener.cert_file is not None else own
        if listener.cert_file is not None or own.exists():
            place = f"listener.{number} ({listener.address})"
            found.append(_certificate(path, place=place, hostname=config.node.hostname, is_self_made=path == own))
    return found


def _certificate(path: Path, *, place: str, hostname: str, is_self_made: bool) -> CertificateFacts:
    fault, certificate = "", None
    try:
        certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except OSError as error:
        fault = say("{path} cannot be read: {reply}", path=path, reply=error.strerror)
    except ValueError:
        fault = say("{path} holds no certificate", path=path)
    return CertificateFacts(
        place=place,
        file=str(path),
        ends_at=certificate.not_valid_after_utc if certificate else None,
        covers_name=certificate is None or _covers(certificate, hostname),
        is_self_made=is_self_made,
        hostname=hostname,
        fault=fault,
    )


def _covers(certificate: x509.Certificate, hostname: str) -> bool:
    """Tell whether a certificate is for a name; a wildcard stands for one label (RFC 6125 6.4.3)."""
    try:
        extension = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
        assert isinstance(extension, x509.SubjectAlternativeName)
        names = extension.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        names = [str(each.value) for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    wanted = hostname.lower()
    return any(name.lower() in (wanted, f"*.{wanted.partition('.')[2]}") for name in names)
