"""Say by hand which booking a mail belongs to, where it cannot be told from the mail or was told wrongly."""

from __future__ import annotations

from datetime import datetime

from relay.actions.answer import Answer, no
from relay.headers import clean
from relay.model import Event
from relay.store import booking_by_hand, events, log
from relay.store.protocols import Tx
from relay.wording import say

_LONGEST = 100


def set_booking(tx: Tx, wanted_id: str, booking: str, *, by: str, now: datetime) -> Answer:
    """Set the booking of a message, named by its own id or by that of a delivery."""
    booking = clean(booking, limit=_LONGEST + 1)
    if not booking or len(booking) > _LONGEST:
        return no(
            "bad_booking", say("Type the number of the booking, with at most {longest} letters.", longest=_LONGEST)
        )
    found = log.find(tx, wanted_id)
    if found is None:
        return no("not_found", say("There is no message or delivery {wanted_id}.", wanted_id=wanted_id))
    message = found.message
    if message.booking == booking:
        return Answer(key="unchanged", sentence=say("It belongs to {booking} already.", booking=booking))
    booking_by_hand.set_booking(tx, message, booking)
    text = booking
    if message.booking:
        text = say("{booking}, before it was {before}", booking=booking, before=message.booking)
    events.add(tx, Event(at=now, kind="booking", text=text, message_id=message.id, by=by))
    return Answer(key="done", sentence=say("It belongs to {booking} now.", booking=booking), count=1)
