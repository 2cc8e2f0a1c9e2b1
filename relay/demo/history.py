"""Give the demo a past: write what bookings.py planned into the store, as the relay itself would have written it.

Every mail goes through the units of intake and delivery (spool.accept, spool.record) with times that are over, so that
counters, blocks, notices, incidents and statistics are those the answers lead to. Answers are read by the real rules.
What the desk would have settled by now is settled; the newest stories are left for whoever opens the pages.
The same seed and time give the same store; ids hold the times they stand for.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from operator import attrgetter

from relay.address import address_key, domain_of
from relay.classify import classify, parse_reply
from relay.classify.report_model import Report, ReportKind
from relay.delivery import fate as fates
from relay.delivery.transcript import Transcript
from relay.demo.bookings import Fate, Planned, plan
from relay.demo.samples import Guest, Sample, Written, load, write
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
)
from relay.notices import State
from relay.status import Status
from relay.store import log, notices, refusals, reports, spool, suppressions
from relay.store.content import pack
from relay.store.protocols import Store, Tx
from relay.store.reports import ReturnedMail

_US = "relay.demo.example"
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SETTLED_AFTER = timedelta(days=3)
_INDEXED_AT_ONCE = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """What one attempt brought: the server's words, so long after the mail was taken."""

    line: str
    after: timedelta = timedelta(seconds=2)
    stage: Stage = Stage.RCPT


_TAKEN = "250 2.0.0 Ok: queued as {id}"
_GREYLISTED = Try(line="450 4.2.0 <{to}>: Recipient address rejected: Greylisted, please try again in 300 seconds")
_SILENT = Try(line="connection timed out", after=timedelta(seconds=32), stage=Stage.CONNECT)
_ARRIVES = Try(line=_TAKEN, stage=Stage.DATA)

#: What the servers said.
_TRIES: dict[Fate, tuple[Try, ...]] = {
    Fate.ARRIVES: (_ARRIVES,),
    Fate.COMPLAINS: (_ARRIVES,),
    Fate.GREYLISTED: (_GREYLISTED, replace(_ARRIVES, after=timedelta(minutes=7))),
    Fate.UNREACHABLE_FIRST: (_SILENT, replace(_ARRIVES, after=timedelta(minutes=6))),
    Fate.WAITS: (_GREYLISTED,),
    Fate.NO_DOMAIN: (Try(line="550 5.1.2 the domain {domain} does not exist (NXDOMAIN)", stage=Stage.DNS),),
    Fate.NO_MAILBOX: (Try(line="550 5.1.1 <{to}>: Recipient address rejected: User unknown in virtual mailbox table"),),
    Fate.FULL: (Try(line="552 5.2.2 <{to}>: mailbox is full, quota exceeded"),),
    Fate.CLOSED: (Try(line="550 5.2.1 <{to}>: this account has been disabled"),),
    Fate.POLICY: (Try(line="550 5.7.1 <{to}>: only members may write to this group"),),
    Fate.TOO_LARGE: (Try(line="552 5.3.4 Message size exceeds fixed maximum message size", stage=Stage.DATA),),
    Fate.BLOCKS_US: (Try(line="550 5.7.1 Service unavailable; client host [198.51.100.4] blocked using a block list"),),
}

#: Who settled what, in turn.
_DESK = (
    ("sari", "phoned, the address is right in the booking now"),
    ("jules", "told the guest at the counter"),
    ("imogen", "wrote to the new address"),
)


def fill(store: Store, *, now: datetime, seed: int = 1) -> int:
    """Write the past into an empty store; return the number of deliveries."""
    past = _Past(now=now, seed=seed)
    mails = plan(now=now, seed=seed)
    for _, day in groupby(mails, key=lambda mail: mail.at.date()):
        store.write_now(partial(past.write_all, mails=list(day)))
    store.write_now(past.settle)
    store.write_now(past.refuse)
    while store.write_now(partial(log.index_pending, limit=_INDEXED_AT_ONCE)):
        pass
    return len(mails)


class _Past:
    """Writes mails and what became of them."""

    def __init__(self, *, now: datetime, seed: int) -> None:
        self._now = now
        self._random = random.Random(seed)
        self._samples = {(sample.language, sample.kind): sample for sample in load().values() if not sample.is_old}

    def write_all(self, tx: Tx, *, mails: list[Planned]) -> None:
        """Write some mails, oldest first."""
        for mail in mails:
            self._write(tx, mail)

    def _write(self, tx: Tx, mail: Planned) -> None:
        sample = self._samples[mail.to.language, mail.kind]
        guest = Guest(name=mail.to.name, addresses=(mail.to.address,), phone=mail.to.phone, customer=mail.to.customer)
        written = write(sample, guest, number=mail.number, now=mail.at, begins_at=mail.begins_at)
        submission = self._submission(mail, sample, written)
        spool.accept(tx, submission)
        (delivery,) = submission.deliveries
        key = address_key(delivery.address)
        block = suppressions.active_for(tx, key, domain=delivery.domain, app=mail.app, now=mail.at)
        if block is not None:
            spool.record(tx, fates.suppressed(delivery, block=block, now=mail.at + timedelta(seconds=1)))
            return
        for number, each in enumerate(_TRIES[mail.fate], start=1):
            spool.record(tx, self._disposition(delivery, each, number=number))
        if mail.fate is Fate.COMPLAINS:
            self._complain(tx, delivery, message_id=submission.message.message_id)

    def _submission(self, mail: Planned, sample: Sample, written: Written) -> Submission:
        message = Message(
            id=MessageId(self._id(mail.at)),
            accepted_at=mail.at,
            app=mail.app,
            mail_from=written.mail_from,
            header_from=written.mail_from,
            from_name=sample.business.title,
            subject=written.subject,
            message_id=written.message_id,
            size=len(written.content),
            kind=mail.kind,
            booking=written.booking,
            customer=mail.to.customer,
            phone=mail.to.phone,
            event_at=mail.begins_at,
            listener="127.0.0.1:2525",
            client_ip="127.0.0.1",
            helo="desk.example",
        )
        delivery = Delivery(
            id=DeliveryId(self._id(mail.at)),
            message_id=message.id,
            address=mail.to.address,
            domain=domain_of(mail.to.address),
            status=Status.QUEUED,
            created_at=mail.at,
            next_at=mail.at,
            name=mail.to.name,
        )
        given = (("booking", written.booking, "pattern"), ("customer", mail.to.customer, "header"))
        found = tuple(Reference(kind=kind, value=value, source=source) for kind, value, source in given)
        return Submission(message=message, content=written.content, deliveries=(delivery,), references=found)

    def _disposition(self, delivery: Delivery, each: Try, *, number: int) -> Disposition:
        took = timedelta(milliseconds=self._random.randrange(180, 1400))
        at = delivery.created_at + each.after + took
        host = f"mx1.{delivery.domain}" if each.stage is not Stage.DNS else None
        line = each.line.format(to=delivery.address, domain=delivery.domain, id=f"4{self._random.getrandbits(40):010X}")
        reply = parse_reply(line, each.stage, host=host)
        outcome = None if reply.is_positive else classify(reply, recipient=delivery.address)
        if outcome is None:
            status = Status.DELIVERED
        elif fates.is_final(reply):
            status = fates.status_of_final(reply, outcome, is_smarthost=False)
        else:
            status = Status.DEFERRED
        is_connected = each.stage not in {Stage.DNS, Stage.CONNECT}
        attempt = Attempt(
            delivery_id=delivery.id,
            number=number,
            started_at=at - took,
            took=took,
            reply=reply,
            mx=host,
            ip="127.0.1.1" if host else None,
            source="127.0.0.1" if is_connected else None,
            tls="TLSv1.3 TLS_AES_256_GCM_SHA384" if is_connected else None,
            outcome=outcome,
            conversation=_conversation(delivery, line, host=host or "", stage=each.stage) if is_connected else None,
        )
        return Disposition(
            delivery_id=delivery.id,
            status=status,
            attempts=number,
            at=at,
            attempt_rows=(attempt,),
            outcome=outcome,
            reply=reply,
            mx=host,
            next_at=self._now + timedelta(minutes=9) if status is Status.DEFERRED else None,
        )

    def _complain(self, tx: Tx, delivery: Delivery, *, message_id: str) -> None:
        mail = ReturnedMail(
            id=self._id(delivery.created_at + timedelta(hours=1)),
            at=delivery.created_at + timedelta(hours=1),
            digest=f"complaint of {delivery.id}",
            report=Report(kind=ReportKind.COMPLAINT, feedback_type="abuse", original_message_id=message_id),
            packed=pack(b"Feedback-Type: abuse\r\n"),
            delivery_id=delivery.id,
            mail_from=f"feedback@{delivery.domain}",
            subject="Abuse report",
            since=delivery.created_at - timedelta(days=60),
        )
        reports.take(tx, mail)

    def settle(self, tx: Tx) -> None:
        """Close the notices that people have dealt with by now."""
        old = [one for one in notices.search(tx, limit=1000) if self._now - one.last_at > _SETTLED_AFTER]
        for turn, notice in enumerate(sorted(old, key=attrgetter("last_at", "id"))):
            by, note = _DESK[turn % len(_DESK)]
            at = notice.last_at + timedelta(minutes=40 + turn * 13 % 200)
            notices.close(tx, notice.id, state=State.RESOLVED, at=at, by=by, note=note)

    def refuse(self, tx: Tx) -> None:
        """Tell of a program that has had the wrong password since this morning."""
        refusals.add_all(
            tx,
            [
                Refusal(
                    at=self._now - timedelta(hours=hours),
                    listener="127.0.0.1:2525",
                    client_ip="192.0.2.77",
                    stage="auth",
                    code=535,
                    enhanced="5.7.8",
                    text="user or password is wrong",
                    reason="auth_failed",
                    helo="kassa-2.example",
                    auth_user="salon-till",
                )
                for hours in (7.5, 7.4, 2.2, 2.1)
            ],
        )

    def _id(self, at: datetime) -> str:
        value = (int(at.timestamp() * 1000) << 80) | self._random.getrandbits(80)
        return "".join(_LETTERS[value >> shift & 31] for shift in range(125, -1, -5))


def _conversation(delivery: Delivery, line: str, *, host: str, stage: Stage) -> str:
    """Write out what was said, as the relay notes it."""
    told = Transcript()
    code, _, text = line.partition(" ")
    told.received(0.0, 220, f"{host} ESMTP")
    told.sent(0.02, f"EHLO {_US}")
    told.received(0.05, 250, f"{host}\nPIPELINING\nSTARTTLS\n8BITMIME")
    told.happened(0.11, "encrypted with TLSv1.3 TLS_AES_256_GCM_SHA384")
    told.sent(0.12, "MAIL FROM:<desk@harbour-lantern.example>")
    told.received(0.14, 250, "2.1.0 Ok")
    told.sent(0.15, f"RCPT TO:<{delivery.address}>")
    if stage is Stage.DATA:
        told.received(0.17, 250, "2.1.5 Ok")
        told.sent(0.18, "DATA")
        told.received(0.2, 354, "End data with <CR><LF>.<CR><LF>")
        told.happened(0.21, "the content was sent")
    told.received(0.25, int(code), text)
    return told.text()
