"""A real validating resolver with a signed zone: private, on loopback, gone with the block.

The zones are given as texts of a zone file. Those that are to be signed are signed here with a key of their own, which
unbound is told to trust; the others are answered as insecure. unbound is their name server and resolver in one.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

import dns.dnssec
import dns.dnssectypes
import dns.exception
import dns.message
import dns.query
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

from relay.demo.connections import free_port
from relay.settings import HostPort
from tests.support.tools import need

_HEAD = """\
$TTL 300
@ IN SOA ns.{zone}. admin.{zone}. 1 3600 600 86400 300
@ IN NS ns.{zone}.
ns IN A 127.0.0.1
"""
_CONFIG = """\
server:
  interface: 127.0.0.1
  port: {port}
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  module-config: "validator iterator"
  local-zone: "test." nodefault
{anchors}
remote-control:
  control-enable: no
"""
_ZONE = """\
auth-zone:
  name: "{zone}"
  zonefile: "{file}"
  for-upstream: yes
  for-downstream: no
  fallback-enabled: no
"""


class Unbound:
    """The resolver, running for as long as the block runs."""

    def __init__(self, *, signed: Mapping[str, str], plain: Mapping[str, str]) -> None:
        """Both map the name of a zone to its records, one a line, as in a zone file."""
        self.address = HostPort("127.0.0.1", free_port())
        self._signed = signed
        self._plain = plain
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        program = need("unbound")
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="waybill-unbound-")))
        anchors, zones = [], []
        for name, text in {**self._signed, **self._plain}.items():
            zone = dns.zone.from_text(_HEAD.format(zone=name) + text, origin=f"{name}.", relativize=False)
            if name in self._signed:
                anchors.append(f"  trust-anchor: '{_sign(zone)}'")
            else:
                anchors.append(f'  domain-insecure: "{name}"')
            file = folder / f"{name}.zone"
            zone.to_file(str(file), relativize=False)
            zones.append(_ZONE.format(zone=name, file=file))
        config = _CONFIG.format(port=self.address.port, folder=folder, anchors="\n".join(anchors))
        (folder / "unbound.conf").write_text(config + "".join(zones))
        log = self._stack.enter_context((folder / "log").open("wb"))
        self._process = subprocess.Popen([program, "-c", str(folder / "unbound.conf")], stdout=log, stderr=log)
        try:
            self._wait(next(iter(self._signed)), folder / "log")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        self._stack.close()

    def _wait(self, zone: str, log: Path) -> None:
        end = time.monotonic() + 15
        while True:
            try:
                query = dns.message.make_query(f"{zone}.", "SOA")
                dns.query.udp(query, self.address.host, port=self.address.port, timeout=0.3)
            except (dns.exception.Timeout, OSError):
                if time.monotonic() > end:
                    raise RuntimeError(f"unbound does not answer\n{log.read_text(errors='replace')}") from None
                time.sleep(0.05)
            else:
                return


def _sign(zone: dns.zone.Zone) -> str:
    """Sign a zone in place; return its key as a trust anchor."""
    key = ec.generate_private_key(ec.SECP256R1())
    algorithm = dns.dnssectypes.Algorithm.ECDSAP256SHA256
    dnskey = dns.dnssec.make_dnskey(key.public_key(), algorithm, flags=257)
    now = datetime.now(UTC)
    with zone.writer() as writer:
        dns.dnssec.sign_zone(
            zone,
            txn=writer,
            keys=[(key, dnskey)],
            inception=now - timedelta(hours=1),
            expiration=now + timedelta(days=1),
            add_dnskey=True,
            dnskey_ttl=300,
        )
    return f"{zone.origin} 300 IN DNSKEY {dnskey.to_text()}"
