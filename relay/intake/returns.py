"""Take returned mail: find whose it is, read it, keep it with all that follows from it, and have bounces sent on.

What arrives is mended only in its line ends. It is read in a thread, one mail at a time, and committed before 250 is
said. A mail that the reader cannot get through is kept for a person, for its sender would only bring it again.

With `returned.forward` a copy of each bounce about a mail of ours is committed in the same transaction, and goes out
through our own queue (returned_copy.py).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from relay import maillog
from relay.address import address_key
from relay.classify.report_model import Report, ReportKind
from relay.errors import Refused, StoreError
from relay.headers import HeaderBlock, clean, decode_value, parse_block
from relay.intake.returned_copy import APP_NAME, check_loop, make_copy
from relay.intake.submission import Circumstances, Transaction
from relay.model import DeliveryId, MessageId, new_id
from relay.settings import App, Config, Limits, Rate
from relay.store import reports
from relay.store.content import pack
from relay.store.protocols import Store, Tx
from relay.store.reports import ReturnedMail, Taken
from relay.verp import ReturnPaths

log = logging.getLogger("relay.intake")

_MAX_REPORTS = 20  # of one delivery: no honest server has more to say
_MAX_RECIPIENTS = 100
# A run of CRs is looked at from its first one only: from each of them, a run without LF would cost its length squared.
_LINE_END = re.compile(rb"(?<!\r)\r*\n")
_TRACE = frozenset({"received", "return-path"})

Read = Callable[[bytes], Report]


@dataclass(frozen=True, slots=True)
class Target:
    """Whose return path a recipient is; None: an address for complaints."""

    delivery_id: DeliveryId | None


@dataclass(slots=True, kw_only=True)
class ReturnedTransaction(Transaction):
    """A transaction at a listener for returned mail."""

    targets: list[Target] = field(default_factory=list)


class Returns(Protocol):
    """What a listener for returned mail asks for."""

    @property
    def app(self) -> App:
        """The app that returned mail belongs to, with its limits."""

    @property
    def rate(self) -> Rate:
        """How many returned mails are taken in a time."""

    async def find(self, address: str, *, now: datetime) -> Target:
        """Say whose address this is.

        Raises:
            Refused: 550: nobody's, or no longer; 451: the store cannot tell.
        """

    async def take(self, transaction: ReturnedTransaction, content: bytes, given: Circumstances) -> None:
        """Commit a returned mail with all that follows from it.

        Raises:
            Refused: 554: a loop; 550: no mail at all.
            StoreError: it could not be committed.
        """


class StoreReturns:
    """Takes returned mail into a store."""

    def __init__(
        self, store: Store, config: Config, *, paths: ReturnPaths, read: Read, wake: Callable[[], None] = lambda: None
    ) -> None:
        settings = config.returned
        self._store = store
        self._config = config
        self._paths = paths
        self._read = read
        self._wake = wake
        self._complaints = frozenset(address_key(address) for address in settings.complaints)
        self._reading = asyncio.Lock()
        limits = Limits(size=settings.size, recipients=_MAX_RECIPIENTS)
        self.app = App.model_construct(name=APP_NAME, limits=limits)
        self.rate = settings.rate

    async def find(self, address: str, *, now: datetime) -> Target:
        """Say whose address this is."""
        if address_key(address) in self._complaints:
            return Target(None)
        delivery_id = self._paths.read_address(address)
        if delivery_id is None:
            raise Refused(550, "5.1.1", "there is no such address here", reason="unknown_address")
        try:
            known = await self._store.read(lambda tx: reports.known(tx, delivery_id))
        except StoreError as error:
            log.error("returned mail cannot be matched: %s", error)
            raise Refused(451, "4.3.0", "try again later", reason="store_trouble") from error
        if known is None or known.created_at < now - self._config.returned.accept_for:
            raise Refused(550, "5.1.1", "that mail was sent too long ago", reason="unknown_address")
        if known.report_count >= _MAX_REPORTS:
            raise Refused(550, "5.7.1", "enough has come back for that mail", reason="rate_limited")
        return Target(delivery_id)

    async def take(self, transaction: ReturnedTransaction, content: bytes, given: Circumstances) -> None:
        """Commit a returned mail with all that follows from it."""
        async with self._reading:
            mails = await asyncio.to_thread(self._opened, transaction, content, given)
        await self._commit(mails)

    def _opened(self, transaction: ReturnedTransaction, content: bytes, given: Circumstances) -> list[ReturnedMail]:
        """Read a mail for each of its recipients; this takes a while and runs in a thread."""
        content = _mended(content)
        block = parse_block(content)
        check_loop(block)
        report = self._understood(content)
        packed = pack(content)
        forward = self._config.returned.forward if report.kind is ReportKind.BOUNCE else None
        mails = []
        for number, target in enumerate(transaction.targets):
            delivery_id = target.delivery_id or self._paths.read_first(report.return_token_candidates)
            report_id = given.id if number == 0 else MessageId(new_id())
            mails.append(
                ReturnedMail(
                    id=report_id,
                    at=given.at,
                    digest=_digest(content, block, delivery_id),
                    report=report,
                    packed=packed,
                    delivery_id=delivery_id,
                    mail_from=clean(transaction.mail_from, limit=320),
                    subject=decode_value(block.first("subject") or b""),
                    since=given.at - self._config.returned.accept_for,
                    forward=make_copy(content, block, report_id=report_id, to=forward, given=given)
                    if forward
                    else None,
                )
            )
        return mails

    async def _commit(self, mails: list[ReturnedMail]) -> None:
        settings, incident = self._config.suppression, self._config.incident

        def unit(tx: Tx) -> list[Taken]:
            return [reports.take(tx, mail, settings=settings, incident=incident) for mail in mails]

        taken = await self._store.write(unit)
        for mail, result in zip(mails, taken, strict=True):
            maillog.returned(mail, result)
        if any(result.is_forwarded for result in taken):
            self._wake()

    def _understood(self, content: bytes) -> Report:
        try:
            return self._read(content)
        except Exception:
            # The listener is one of the three places that catch everything. 451 would only bring the same mail again.
            log.exception("a returned mail could not be read")
            return Report(kind=ReportKind.NONE)


def _mended(content: bytes) -> bytes:
    """Let every line end in CRLF and nothing else, so that no server further on reads two mails out of one."""
    return _LINE_END.sub(b"\n", content.replace(b"\0", b"")).replace(b"\r", b" ").replace(b"\n", b"\r\n")


def _digest(content: bytes, block: HeaderBlock, delivery_id: DeliveryId | None) -> str:
    """Give what is the same for the same mail about the same delivery, whichever way it came."""
    found = hashlib.sha256((delivery_id or "").encode())
    for each in block.fields:
        if each.name not in _TRACE:
            found.update(each.raw + b"\r\n")
    found.update(content[block.end :])
    return found.hexdigest()
