"""Set the booking of a message that carries none, or the wrong one: its row, its reference, its words in the index.

Other references of the message stay: a mail may speak of several bookings.
"""

from __future__ import annotations

from relay.model import Message, Reference
from relay.store import retention, searching, spool
from relay.store.protocols import Tx


def set_booking(tx: Tx, message: Message, booking: str) -> None:
    """Give a message its booking, in place of the one it had."""
    spool.lock_message(tx, message.id)
    seqs = [row["seq"] for row in tx.rows("retention.delivery_seqs", {"id": message.id})]
    retention.unindex(tx, seqs)
    for value in {message.booking or booking, booking}:
        tx.run("booking_by_hand.drop_reference", {"id": message.id, "booking": value})
    spool.add_reference(tx, message.id, Reference(kind="booking", value=booking, source="person"))
    tx.run("booking_by_hand.set", {"id": message.id, "booking": booking})
    searching.index_again(tx, seqs)
