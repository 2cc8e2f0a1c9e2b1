"""The copy of a bounce that goes to the mailbox which used to get bounces: an ordinary message of our own queue. Pure.

It leaves from the null sender, so that nothing can come back for it, with the bounce unchanged behind two lines of
ours: a Received line, and the field FIELD, by which a mail that returns to us once more is known as a loop. Its content
is not kept once it is delivered, for the report keeps it. RFC 5321 4.4, 4.5.5 and 6.3.
"""

from __future__ import annotations

from relay import dsn_rules
from relay.address import domain_of
from relay.errors import Refused
from relay.headers import HeaderBlock, decode_value, message_ids, parse_addresses, received_line
from relay.intake.submission import Circumstances, protocol
from relay.model import Delivery, DeliveryId, Message, MessageId, Submission, new_id
from relay.status import Status

#: The built-in app that returned mail belongs to, and under which its copies are sent.
APP_NAME = "returned"

FIELD = "X-Waybill-Returned"
_MAX_RECEIVED = 100


def check_loop(block: HeaderBlock) -> None:
    """Pass silently when a returned mail has not been here before.

    Raises:
        Refused: 554 5.4.6.
    """
    names = [field.name for field in block.fields]
    if FIELD.lower() in names or names.count("received") > _MAX_RECEIVED:
        raise Refused(554, "5.4.6", "this mail is going round in circles", reason="loop")


def make_copy(content: bytes, block: HeaderBlock, *, report_id: str, to: str, given: Circumstances) -> Submission:
    """Make the message that carries a bounce on."""
    message_id = MessageId(new_id())
    trace = received_line(
        hostname=given.hostname,
        protocol=protocol(given, is_smtputf8=False),
        message_id=message_id,
        at=given.at,
    )
    whole = trace + f"{FIELD}: {report_id}\r\n".encode() + content
    senders = parse_addresses(block.first("from") or b"", limit=1)
    ids = message_ids(block.first("message-id") or b"", limit=1)
    message = Message(
        id=message_id,
        accepted_at=given.at,
        app=APP_NAME,
        mail_from="",
        header_from=senders[0][1] if senders else "",
        from_name=senders[0][0] if senders else "",
        subject=decode_value(block.first("subject") or b""),
        message_id=ids[0] if ids else "",
        size=len(whole),
        listener=given.listener,
        client_ip=given.client_ip,
        helo=given.helo,
        tls=given.tls,
        is_8bit=not whole.isascii(),
        store_content="until_ended",
    )
    delivery = Delivery(
        id=DeliveryId(new_id()),
        message_id=message_id,
        address=to,
        domain=domain_of(to),
        status=Status.QUEUED,
        created_at=given.at,
        next_at=given.at,
        dsn=dsn_rules.ITSELF,  # what becomes of it concerns nobody: no notice, no counter, no statistics
    )
    return Submission(message=message, content=whole, deliveries=(delivery,))
