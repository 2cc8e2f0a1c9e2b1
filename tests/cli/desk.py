"""A real store with known mail in it, and a way to run the command line against it in this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from relay.address import domain_of
from relay.classify import classify, parse_reply
from relay.cli.main import main
from relay.model import (
    Attempt,
    Delivery,
    DeliveryId,
    Disposition,
    Message,
    MessageId,
    Reference,
    Refusal,
    Stage,
    Submission,
    new_id,
)
from relay.status import Status
from relay.store import open_store, refusals, spool
from relay.store.protocols import Store

ROOT = Path(__file__).resolve().parent.parent.parent

CONTENT = (
    b"From: Harbour Hotel <desk@hotel.example>\r\n"
    b"To: Anna Berg <anna@example.com>\r\n"
    b"Subject: Your booking\r\n"
    b"Message-ID: <1@hotel.example>\r\n"
    b"Date: Sun, 01 Mar 2026 09:00:00 +0000\r\n"
    b"\r\n"
    b"Welcome!\r\n"
)

SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Ran:
    """What a command line did."""

    code: int
    out: str
    err: str

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def one(self) -> dict[str, Any]:
        (line,) = self.lines()
        return line


class Desk:
    """A folder with a configuration and a store."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], *, url: str) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self._url = url
        text = f'[node]\nhostname = "relay.example.org"\n[store]\nurl = "{url}"\n'
        self.config.write_text(text, encoding="utf-8")
        self._capsys = capsys
        self.now = datetime.now(UTC) - timedelta(hours=1)

    def run(self, *arguments: str) -> Ran:
        """Run `waybill -c CONFIG ...` in this process."""
        self._capsys.readouterr()
        code = main(["-c", str(self.config), *arguments])
        out, err = self._capsys.readouterr()
        return Ran(code, out, err)

    def process(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run `waybill -c CONFIG ...` as a process of its own, from another folder."""
        command = [sys.executable, "-m", "relay", "-c", str(self.config), *arguments]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            command, input=given, capture_output=True, timeout=60, check=False, cwd=self.folder, env=environ
        )

    @contextmanager
    def store(self) -> Iterator[Store]:
        store = open_store(self._url, self.folder)
        try:
            yield store
        finally:
            store.close()

    def accept(
        self,
        *recipients: str,
        subject: str = "Your booking",
        booking: str | None = "BK-10042",
        content: bytes = CONTENT,
        held: str | None = None,
        references: tuple[Reference, ...] = (),
        **values: Any,
    ) -> tuple[Message, tuple[Delivery, ...]]:
        """Put one message into the queue, a second after the one before."""
        self.now += SECOND
        message = Message(
            id=MessageId(new_id()),
            accepted_at=self.now,
            mail_from="desk@hotel.example",
            header_from="desk@hotel.example",
            subject=subject,
            booking=booking,
            size=len(content),
            **{"app": "hotel", "kind": "confirmation", "message_id": f"<{new_id()}@hotel.example>", **values},
        )
        deliveries = tuple(
            Delivery(
                id=DeliveryId(new_id()),
                message_id=message.id,
                address=address,
                domain=domain_of(address),
                status=Status.QUEUED,
                created_at=self.now,
                next_at=self.now,
                held=held,
            )
            for address in recipients
        )
        if booking:
            references = (*references, Reference(kind="booking", value=booking, source="header"))
        submission = Submission(message=message, content=content, deliveries=deliveries, references=references)
        with self.store() as store:
            store.write_now(lambda tx: spool.accept(tx, submission))
        return message, deliveries

    def answer(self, delivery: Delivery, text: str, *, status: Status, next_in: timedelta | None = None) -> None:
        """Record that the recipient's server answered this and what became of the delivery."""
        self.now += SECOND
        reply = replace(parse_reply(text, Stage.RCPT), host="mx1.example.com")
        outcome = None if reply.is_positive else classify(reply)
        attempt = Attempt(
            delivery_id=delivery.id,
            number=1,
            started_at=self.now,
            took=timedelta(seconds=0.25),
            reply=reply,
            mx="mx1.example.com",
            ip="192.0.2.1",
            outcome=outcome,
            conversation="S: 220 mx1\nC: EHLO relay\nS: \x1b[2J550 no\n",
        )
        disposition = Disposition(
            delivery_id=delivery.id,
            status=status,
            attempts=1,
            at=self.now,
            attempt_rows=(attempt,),
            outcome=outcome,
            reply=reply,
            mx="mx1.example.com",
            next_at=self.now + next_in if next_in else None,
        )
        with self.store() as store:
            store.write_now(lambda tx: spool.record(tx, disposition))

    def refuse(self, *, to: str, text: str = "sender not allowed") -> None:
        """Record that intake refused a mail."""
        self.now += SECOND
        refusal = Refusal(
            at=self.now,
            listener="127.0.0.1:2525",
            client_ip="192.0.2.7",
            stage="rcpt",
            code=550,
            enhanced="5.7.1",
            text=text,
            reason="sender_not_allowed",
            mail_from="shop@other.example",
            rcpt_to=to,
        )
        with self.store() as store:
            store.write_now(lambda tx: refusals.add(tx, refusal))
