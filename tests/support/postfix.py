"""A real Postfix as the recipients' mail server: private, on loopback, gone with the block.

`with Postfix() as postfix:` runs its master with a configuration, queue and mailboxes of its own; the machine's own
mail server is neither read nor touched. It takes mail for its two domains on three addresses with one port, each with
a TLS policy of its own (see Door), refuses people it does not know, large messages and other domains, and greylists by
the policy protocol. What it accepted lies in Maildirs. Mail for one person it takes and then bounces; `returns` says
where bounces go. It needs root, as any Postfix does; tests skip without.
"""

from __future__ import annotations

import os
import pwd
import signal
import socketserver
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import pytest

from relay.demo.certificate import make_certificate
from relay.demo.connections import free_port
from relay.demo.node import is_listening
from relay.settings import HostPort
from tests.support.tools import need

DOMAIN = "guest.example"
STRICT_DOMAIN = "strict.guest.example"
PEOPLE = ("aino", "rupert", "noe")
GREYLISTED = "slow.friend"
GONE = "gone"  #: known at RCPT, unknown when the mail is delivered
SIZE_LIMIT = 20_000


@dataclass(frozen=True, slots=True)
class Door:
    """One address Postfix listens on."""

    ip: str
    tls: str  #: smtpd_tls_security_level: none, may or encrypt
    chain: Path | None = None  #: its own key and certificates; None: those of all


CLEAR = Door("127.0.2.1", "none")
OFFERS_TLS = Door("127.0.2.2", "may")
DEMANDS_TLS = Door("127.0.2.3", "encrypt")
DOORS = (CLEAR, OFFERS_TLS, DEMANDS_TLS)

_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
myhostname = mx.guest.example
mydestination =
mynetworks = 192.0.2.1/32
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
maillog_file =
smtp_host_lookup = native
alias_maps =
local_recipient_maps =
virtual_mailbox_domains = {domains}
virtual_mailbox_maps = texthash:{folder}/people
virtual_mailbox_base = {folder}/boxes
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
transport_maps = texthash:{folder}/transport
message_size_limit = {size}
smtpd_error_sleep_time = 0
smtpd_tls_cert_file = {folder}/certificate
smtpd_tls_key_file = {folder}/key
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions =
  reject_unauth_destination
  reject_unlisted_recipient
  check_recipient_access texthash:{folder}/greylisted
smtpd_restriction_classes = greylist
greylist = check_policy_service inet:127.0.0.1:{policy}
"""

_SERVICES = """\
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
proxymap  unix - - n - - proxymap
virtual   unix - n n - - virtual
smtp      unix - - n - - smtp
gone      unix - n n - - pipe user=nobody argv=/bin/sh -c {echo no such user here; exit 67}
error     unix - - n - - error
retry     unix - - n - - error
anvil     unix - - n - 1 anvil
tlsmgr    unix - - n 1000? 1 tlsmgr
"""


class _Greylist(socketserver.BaseRequestHandler):
    """Postfix's policy protocol: try later at the first sight of a sender and recipient, come in at the second."""

    seen: ClassVar[set[tuple[str, str]]] = set()

    def handle(self) -> None:
        with self.request.makefile("rw", encoding="utf-8") as stream:
            facts: dict[str, str] = {}
            for line in stream:
                if line != "\n":
                    name, _, value = line.rstrip("\n").partition("=")
                    facts[name] = value
                    continue
                pair = (facts.get("sender", ""), facts.get("recipient", ""))
                stream.write(f"action={'dunno' if pair in self.seen else 'defer Greylisted, please try later'}\n\n")
                stream.flush()
                self.seen.add(pair)
                facts = {}


class _PolicyServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


class Postfix:
    """The server, running for as long as the block runs."""

    def __init__(
        self,
        *,
        returns: tuple[str, HostPort] | None = None,
        doors: Sequence[Door] = DOORS,
        domains: Sequence[str] = (DOMAIN, STRICT_DOMAIN),
    ) -> None:
        """`returns`: the domain of the return paths, and where Postfix brings mail for it."""
        self.port = free_port()
        self._doors = doors
        self._domains = domains
        self._returns = returns
        self._stack = ExitStack()
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if os.geteuid():
            pytest.skip("Postfix can be started by root only")
        need("postfix")
        try:
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="waybill-postfix-")))
            self._folder.chmod(0o755)  # it gives up root and must still reach its queue
            self._write(policy_port=self._start_greylist())
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._end(self._process)
        self._stack.close()

    def mailbox(self, person: str) -> list[bytes]:
        """Read the messages that lie in somebody's mailbox, with the trace headers Postfix put on top."""
        return [path.read_bytes() for path in sorted((self._folder / "boxes" / person / "new").glob("*"))]

    def wait_mailbox(self, person: str, *, count: int = 1, timeout: float = 15.0) -> list[bytes]:
        """Wait until so many messages lie there.

        Raises:
            TimeoutError: they do not come.
        """
        end = time.monotonic() + timeout
        while len(found := self.mailbox(person)) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{len(found)} of {count} messages in the mailbox of {person}\n{self._log()}")
            time.sleep(0.05)
        return found

    def _start_greylist(self) -> int:
        _Greylist.seen.clear()
        server = self._stack.enter_context(_PolicyServer(("127.0.0.1", 0), _Greylist))
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self._stack.callback(server.shutdown)
        return int(server.server_address[1])

    def _write(self, *, policy_port: int) -> None:
        folder, nobody, owner = self._folder, pwd.getpwnam("nobody"), pwd.getpwnam("postfix")
        for name in ("config", "spool", "data", "boxes"):
            (folder / name).mkdir()
        os.chown(folder / "data", owner.pw_uid, -1)
        os.chown(folder / "boxes", nobody.pw_uid, nobody.pw_gid)
        known = (*PEOPLE, GREYLISTED, GONE)
        people = [f"{person}@{domain} {person}/\n" for person in known for domain in self._domains]
        (folder / "people").write_text("".join(people))
        ways = [f"{GONE}@{DOMAIN} gone:\n"]
        if self._returns is not None:
            domain, where = self._returns
            ways.append(f"{domain} smtp:[{where.host}]:{where.port}\n")
        (folder / "transport").write_text("".join(ways))
        (folder / "greylisted").write_text(f"{GREYLISTED}@{DOMAIN} greylist\n")
        certificate, key = make_certificate("mx.guest.example", now=datetime.now(UTC))
        (folder / "certificate").write_bytes(certificate)
        (folder / "key").write_bytes(key)
        (folder / "key").chmod(0o600)
        values = {
            "folder": folder,
            "domains": " ".join(self._domains),
            "uid": nobody.pw_uid,
            "gid": nobody.pw_gid,
        }
        (folder / "config" / "main.cf").write_text(_MAIN.format(**values, size=SIZE_LIMIT, policy=policy_port))
        doors = "".join(self._door(door) for door in self._doors)
        (folder / "config" / "master.cf").write_text(doors + _SERVICES)

    def _door(self, door: Door) -> str:
        chain = f" -o smtpd_tls_chain_files={door.chain}" if door.chain else ""
        return f"{door.ip}:{self.port} inet n - n - - smtpd -o smtpd_tls_security_level={door.tls}{chain}\n"

    def _start(self) -> None:
        config = str(self._folder / "config")
        environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
        subprocess.run(["postfix", "-c", config, "check"], capture_output=True, check=False, env=environment)
        where = [need("postconf"), "-c", config, "-h", "daemon_directory"]
        programs = subprocess.run(where, capture_output=True, check=True, text=True, env=environment).stdout.strip()
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [f"{programs}/master", "-c", config, "-d"], stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        end = time.monotonic() + 15
        while not all(is_listening(HostPort(door.ip, self.port)) for door in self._doors):
            if time.monotonic() > end or self._process.poll() is not None:
                raise RuntimeError(f"Postfix does not listen\n{self._log()}")
            time.sleep(0.05)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()  # master ends its children
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")[-2000:]
