"""The proof that nothing is lost: what a client was promised against what became of it.

A LedgerClient sends numbered messages over SMTP and writes each one the relay said 250 for to its own synced file,
before it goes on. The recipients' servers keep a synced file of their own (FakeMx(ledger=…)). `reconcile` then wants
every promise among the delivered, the still queued, or the ended with a reason. The client goes on through any crash of
the relay: a message without a 250 is no promise.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import smtplib
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from relay.settings import HostPort
from relay.status import FAILED, OPEN, Status

#: Statuses under which a message is accounted for without having arrived anywhere.
_ACCOUNTED = frozenset({*OPEN, *FAILED, Status.SENT, Status.SUPPRESSED, Status.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One message × recipient for which the client got 250."""

    message_id: str  #: the Message-ID header, which the relay keeps
    relay_id: str  #: from "queued as …"
    to: str
    sha256: str = ""  #: of the content as it was handed in


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What became of the promises."""

    promised: int
    delivered: int
    waiting_or_ended: int
    lost: tuple[Promise, ...]
    duplicates: int  #: arrivals beyond the first of a message × recipient


class LedgerClient:
    """Sends messages in several threads, and keeps the promises it was given."""

    def __init__(
        self,
        address: HostPort,
        path: Path,
        *,
        domain: str = "guest.example",
        domains: Sequence[str] = (),
        size: int = 1024,
        pause: float = 0.0,
    ) -> None:
        """`domains` are taken in turn, else all goes to `domain`; `pause`: seconds each session waits between mails."""
        self._address, self._domains, self._size, self._pause = address, tuple(domains) or (domain,), size, pause
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._path = path
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._number = 0
        self._kept = 0
        self._threads: list[threading.Thread] = []

    @property
    def promised(self) -> int:
        """How many promises it has until now."""
        return self._kept

    def start(self, *, sessions: int = 4) -> None:
        """Begin to send, until `stop`."""
        self._threads = [threading.Thread(target=self._send_all, daemon=True) for _ in range(sessions)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> list[Promise]:
        """End the sending; give the promises read back from the file."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        os.close(self._file)
        return read_promises(self._path)

    def send(self, count: int) -> None:
        """Send so many in this thread over one connection; errors are the caller's."""
        with smtplib.SMTP(self._address.host, self._address.port, timeout=30) as client:
            for _ in range(count):
                self._send_one(client)

    def _send_all(self) -> None:
        while not self._stop.is_set():
            try:
                with smtplib.SMTP(self._address.host, self._address.port, timeout=10) as client:
                    while not self._stop.is_set():
                        self._send_one(client)
                        self._stop.wait(self._pause)
            except (OSError, smtplib.SMTPException):
                self._stop.wait(0.05)  # the relay is down: that is what these tests are about

    def _send_one(self, client: smtplib.SMTP) -> None:
        with self._lock:
            self._number += 1
            number = self._number
        message_id = f"<{os.getpid()}.{number}.{os.urandom(4).hex()}@ledger.example>"
        to = f"guest{number}@{self._domains[number % len(self._domains)]}"
        client.ehlo_or_helo_if_needed()
        for code, text in (client.mail("desk@hotel.example"), client.rcpt(to)):
            if code != 250:
                raise smtplib.SMTPResponseException(code, text)
        content = self._content(number, message_id=message_id, to=to)
        code, text = client.data(content)
        if code == 250:
            match = re.search(rb"queued as (\S+)", text)
            relay_id = match[1].decode() if match else ""
            digest = hashlib.sha256(content).hexdigest()
            self._keep(Promise(message_id=message_id, relay_id=relay_id, to=to, sha256=digest))

    def _content(self, number: int, *, message_id: str, to: str) -> bytes:
        head = (
            f"From: Hotel <desk@hotel.example>\r\nTo: <{to}>\r\nSubject: Booking BK-{number:05d}\r\n"
            f"Date: Mon, 02 Feb 2026 10:00:00 +0000\r\nMessage-ID: {message_id}\r\n\r\n"
        ).encode()
        # Lines that begin with a dot are doubled on the wire; each mail differs from every other and packs to half.
        noise = hashlib.shake_256(f"{number}".encode()).hexdigest(self._size // 2)
        lines = ["Thank you for your booking.", ".", "..two dots", ".one dot"]
        lines += [noise[start : start + 64] for start in range(0, len(noise), 64)]
        return head + "".join(f"{line}\r\n" for line in lines).encode()

    def _keep(self, promise: Promise) -> None:
        line = json.dumps(asdict(promise))
        with self._lock:
            os.write(self._file, line.encode() + b"\n")
            os.fsync(self._file)
            self._kept += 1


def read_promises(path: Path) -> list[Promise]:
    """Read the client's file."""
    return [Promise(**json.loads(line)) for line in path.read_text().splitlines()]


def read_arrivals(*paths: Path) -> Counter[tuple[str, str]]:
    """Read the files of recipients' servers: how often each (Message-ID, recipient) arrived."""
    arrivals: Counter[tuple[str, str]] = Counter()
    for path in paths:
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            arrivals.update((entry["id"], to) for to in entry["to"])
    return arrivals


def reconcile(
    promises: Iterable[Promise], *, arrivals: Counter[tuple[str, str]], rows: Iterable[Mapping[str, Any]]
) -> Reconciliation:
    """Compare; `rows` are those of `waybill log --json`.

    A row that says "delivered" proves nothing here: only the recipient's own file does.
    """
    accounted = {(row["message"], row["to"]) for row in rows if row["status"] in _ACCOUNTED}
    delivered = waiting = 0
    lost: list[Promise] = []
    promised = list(promises)
    for promise in promised:
        if arrivals[promise.message_id, promise.to]:
            delivered += 1
        elif (promise.relay_id, promise.to) in accounted:
            waiting += 1
        else:
            lost.append(promise)
    return Reconciliation(
        promised=len(promised),
        delivered=delivered,
        waiting_or_ended=waiting,
        lost=tuple(lost),
        duplicates=sum(count - 1 for count in arrivals.values() if count > 1),
    )
