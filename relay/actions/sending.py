"""Put one short message of our own into the queue, past intake: proof that mail leaves, arrives and is understood."""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from relay.actions.answer import Answer
from relay.address import domain_of, validate
from relay.model import Delivery, DeliveryId, Message, MessageId, Submission, new_id
from relay.status import Status
from relay.store import spool
from relay.store.protocols import Tx
from relay.wording import say

#: The app that such mail is of in the log.
OWN_APP = "waybill"


def send_test(tx: Tx, address: str, *, hostname: str, now: datetime, sender: str | None = None) -> Answer:
    """Queue a test message.

    Raises:
        Refused: one of them is no address.
    """
    validate(address, is_smtputf8=True)
    validate(sender or "", is_sender=True, is_smtputf8=True)
    submission = make_test(address, sender=sender, hostname=hostname, now=now)
    spool.accept(tx, submission)
    made = tuple(delivery.id for delivery in submission.deliveries)
    return Answer(
        key="done", sentence=say("A test email to {address} is queued.", address=address), count=1, deliveries=made
    )


def make_test(address: str, *, sender: str | None, hostname: str, now: datetime) -> Submission:
    """Write the test message."""
    sender = sender or f"postmaster@{hostname}"
    message_id = MessageId(new_id())
    content = EmailMessage(policy=SMTP.clone(utf8=not (address + sender).isascii()))
    content["From"] = sender
    content["To"] = address
    content["Subject"] = f"Test from {hostname}"
    content["Date"] = format_datetime(now)
    content["Message-ID"] = f"<{message_id}@{hostname}>"
    content.set_content(f"This is a test message of Waybill on {hostname}.\nIf you can read it, mail arrives.\n")
    raw = content.as_bytes()
    message = Message(
        id=message_id,
        accepted_at=now,
        app=OWN_APP,
        mail_from=sender,
        header_from=sender,
        subject=str(content["Subject"]),
        message_id=str(content["Message-ID"]),
        size=len(raw),
        kind="test",
        listener="command line",
        is_smtputf8=not (address + sender).isascii(),
    )
    delivery = Delivery(
        id=DeliveryId(new_id()),
        message_id=message_id,
        address=address,
        domain=domain_of(address),
        status=Status.QUEUED,
        created_at=now,
        next_at=now,
    )
    return Submission(message=message, content=raw, deliveries=(delivery,))
