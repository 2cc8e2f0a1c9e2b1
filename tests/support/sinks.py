"""Postfix's smtp-sink as a recipients' mail server that takes everything, or fails at the command it is told to.

`with Sink("127.0.3.1", port, "-q", "rcpt") as sink:` listens there; what it accepted can be read back with its
envelope. As root it runs as the user nobody, because it refuses anything else.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from types import TracebackType
from typing import Self

from relay.demo.node import is_listening
from relay.settings import HostPort
from tests.support.tools import need


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """One message the sink took."""

    mail_from: str  #: the arguments of MAIL
    recipients: tuple[str, ...]  #: the arguments of RCPT
    protocol: str  #: SMTP or ESMTP
    message: Message  #: with the sink's own trace headers on top


class Sink:
    """One smtp-sink process, running for as long as the block runs."""

    def __init__(self, ip: str, port: int, *options: str) -> None:
        self._address = HostPort(ip, port)
        self._options = options
        self._stack = ExitStack()
        self._folder = Path()

    def __enter__(self) -> Self:
        program = need("smtp-sink")
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="waybill-sink-")))
        user: tuple[str, ...] = ()
        if os.geteuid() == 0:
            os.chown(self._folder, pwd.getpwnam("nobody").pw_uid, -1)
            user = ("-u", "nobody")
        command = [program, *user, "-d", "%s.", *self._options, str(self._address), "128"]
        process = self._stack.enter_context(
            subprocess.Popen(command, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        self._stack.callback(process.kill)
        end = time.monotonic() + 10
        while not is_listening(self._address):
            if time.monotonic() > end or process.poll() is not None:
                self._stack.close()
                raise RuntimeError(f"smtp-sink does not listen on {self._address}")
            time.sleep(0.02)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def taken(self) -> list[Taken]:
        """Read what it has accepted, oldest first."""
        files = sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        dumps = [path.read_bytes() for path in files]
        return [_read(dump) for dump in dumps if dump.endswith(b"\n\n")]  # an empty line ends a whole dump


def _read(dump: bytes) -> Taken:
    message = message_from_bytes(dump)
    return Taken(
        mail_from=str(message["X-Mail-Args"]),
        recipients=tuple(map(str, message.get_all("X-Rcpt-Args", []))),
        protocol=str(message["X-Client-Proto"]),
        message=message,
    )
